//! A device that registers itself, with the app's publishable client key.

use reqwest::Method;
use reqwest::header::AUTHORIZATION;

use super::Trust;
use super::server::{Answer, Error, http_client, read};
use crate::api::{DeviceRegistered, RegisterDevice};

const PATH: &str = "/v1/devices";

/// Registers at the API at `base`. Never repeated: whether a failed try registered the device is
/// unknown, and another registration would make its credential worthless.
pub async fn register(
    base: &str,
    client_key: &str,
    device: &RegisterDevice,
    trust: &Trust,
) -> Result<DeviceRegistered, Error> {
    let http = http_client(base, trust)?;
    let url = format!("{}{PATH}", base.trim_end_matches('/'));
    let request = http.post(url).header(AUTHORIZATION, format!("Client {client_key}")).json(device);
    let response = request.send().await?;
    let (status, headers) = (response.status(), response.headers().clone());
    read(Answer { status, headers, body: response.bytes().await? }, &Method::POST, PATH)
}

//! Three devices inside the process, so that a newcomer sees a message arrive.

use carillon_actors::engine::Engine;
use carillon_actors::store::AppInfo;
use carillon_sdk::api::{DeviceAddresses, Platform, RegisterDevice};
use carillon_sdk::client::{Address, DeviceClient, Options};
use carillon_sdk::{DeviceId, UserId};

use crate::cli::exit::Failure;
use crate::cli::{device, out};

const SAMPLES: [(&str, &str, Platform); 3] = [
    ("phone-1", "alice", Platform::Android),
    ("tablet-1", "alice", Platform::Ios),
    ("phone-2", "bob", Platform::HarmonyOs),
];

/// Registers, binds and connects them. With `quiet` they print to standard error.
pub(super) async fn start(
    engine: &Engine,
    app: &AppInfo,
    addresses: &DeviceAddresses,
    quiet: bool,
) -> Result<(), Failure> {
    let Some(tcp) = &addresses.tcp else { return Ok(()) };
    for (name, user, platform) in SAMPLES {
        let device_id = DeviceId::parse(name).map_err(Failure::from_error)?;
        let user = UserId::parse(user).map_err(Failure::from_error)?;
        let request = RegisterDevice {
            device_id: Some(device_id.clone()),
            platform,
            app_version: Some("1.0".to_owned()),
            ..RegisterDevice::default()
        };
        let registered =
            engine.store().register(app.app, request, None).await.map_err(Failure::from_error)?;
        engine.bind(registered.device, Some(user), None).await.map_err(Failure::from_error)?;
        let options = Options::new(Address::Tcp(tcp.clone()), registered.credential);
        let client = DeviceClient::connect(options).await.map_err(Failure::from_error)?;
        actix_rt::spawn(print(device_id, client, quiet));
    }
    Ok(())
}

/// Until the server ends, which ends the client.
async fn print(device: DeviceId, client: DeviceClient, quiet: bool) {
    while let Ok(push) = client.next_push().await {
        let line = format!("{:<10} {}", device.as_str(), device::text(&push));
        if quiet {
            out::note(&line);
        } else if out::line(&line).is_err() {
            return;
        }
    }
}

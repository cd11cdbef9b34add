//! Tokens of phone makers' channels.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};

use super::{Answer, AppServer, Error, NOTHING, escaped, read, refusal};
use crate::api::tokens::{DeviceTokens, SetToken, TokenSet, TokensImported};
use crate::ids::DeviceId;
use crate::vendor::Vendor;

/// From the first byte of a file to its answer, and of a whole export.
const FILE_TIMEOUT: Duration = Duration::from_secs(900);

/// How a file of tokens is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenForm {
    /// A JSON object a line.
    Ndjson,
    /// A header, and cells a line.
    Csv,
}

/// An export under way.
#[derive(Debug)]
pub struct TokenExport(reqwest::Response);

impl AppServer {
    /// A device's tokens, and what was done to them.
    pub async fn device_tokens(&self, device: &DeviceId) -> Result<DeviceTokens, Error> {
        self.get(&format!("/v1/devices/{}/tokens", escaped(device.as_str()))).await
    }

    pub async fn set_token(
        &self,
        device: &DeviceId,
        channel: Vendor,
        token: &str,
    ) -> Result<TokenSet, Error> {
        let path = format!("/v1/devices/{}/tokens/{channel}", escaped(device.as_str()));
        self.call(Method::PUT, &path, Some(&SetToken { token: token.to_owned() })).await
    }

    pub async fn withdraw_token(&self, device: &DeviceId, channel: Vendor) -> Result<(), Error> {
        let path = format!("/v1/devices/{}/tokens/{channel}", escaped(device.as_str()));
        self.done(Method::DELETE, &path, NOTHING).await
    }

    /// Takes in the tokens of a file. With `skip`, lines that cannot be read are left out; without,
    /// they refuse the whole.
    pub async fn import_tokens(
        &self,
        form: TokenForm,
        file: Bytes,
        skip: bool,
    ) -> Result<TokensImported, Error> {
        self.import(Some(form), None, file, skip).await
    }

    /// The same for a file of one channel, whose lines need not name it. Without a form it has a token a
    /// line and nothing else.
    pub async fn import_tokens_of(
        &self,
        channel: Vendor,
        form: Option<TokenForm>,
        file: Bytes,
        skip: bool,
    ) -> Result<TokensImported, Error> {
        self.import(form, Some(channel), file, skip).await
    }

    async fn import(
        &self,
        form: Option<TokenForm>,
        channel: Option<Vendor>,
        file: Bytes,
        skip: bool,
    ) -> Result<TokensImported, Error> {
        let of = channel.map(|channel| format!("&channel={channel}")).unwrap_or_default();
        let path = format!("/v1/tokens/import?on_error={}{of}", if skip { "skip" } else { "refuse" });
        let content_type = match form {
            Some(TokenForm::Ndjson) => "application/x-ndjson",
            Some(TokenForm::Csv) => "text/csv; charset=utf-8",
            None => "text/plain; charset=utf-8",
        };
        let url = self.url(&path)?;
        let authorization = self.sign(&Method::POST, &url, &file);
        let request = self.http.request(Method::POST, url).timeout(FILE_TIMEOUT);
        let request = request.header(AUTHORIZATION, authorization).header(CONTENT_TYPE, content_type);
        let response = request.body(file).send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        read(Answer { status, headers, body: response.bytes().await? }, &Method::POST, &path)
    }

    /// Every token on record, of one channel or of all.
    pub async fn export_tokens(
        &self,
        form: TokenForm,
        channel: Option<Vendor>,
    ) -> Result<TokenExport, Error> {
        let format = match form {
            TokenForm::Ndjson => "ndjson",
            TokenForm::Csv => "csv",
        };
        let mut path = format!("/v1/tokens?format={format}");
        if let Some(channel) = channel {
            path = format!("{path}&channel={channel}");
        }
        let url = self.url(&path)?;
        let authorization = self.sign(&Method::GET, &url, &[]);
        let request = self.http.request(Method::GET, url).timeout(FILE_TIMEOUT);
        let response = request.header(AUTHORIZATION, authorization).send().await?;
        if response.status().is_success() {
            return Ok(TokenExport(response));
        }
        let (status, headers) = (response.status(), response.headers().clone());
        Err(refusal(&Answer { status, headers, body: response.bytes().await? }, &Method::GET, &path))
    }
}

impl TokenExport {
    /// The next piece, as it comes; none at the end. An export that the server breaks off is an error.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        Ok(self.0.chunk().await?)
    }
}

//! Settings.

use reqwest::Method;
use reqwest::header::HeaderMap;

use super::templates::if_match;
use super::{AppServer, Error, body, read};
use crate::api::settings::{CallbackKeyView, MakeCallbackKey, SettingsView, WriteSettings};

const SETTINGS: &str = "/v1/settings";
const CALLBACK_KEY: &str = "/v1/settings/callback-key";

impl AppServer {
    pub async fn settings(&self) -> Result<SettingsView, Error> {
        self.get(SETTINGS).await
    }

    /// Replaces the settings; with an `etag`, only if they are still those.
    pub async fn replace_settings(
        &self,
        settings: &WriteSettings,
        etag: Option<&str>,
    ) -> Result<SettingsView, Error> {
        let answer = self.send(Method::PUT, SETTINGS, if_match(etag)?, body(Some(settings))).await?;
        read(answer, &Method::PUT, SETTINGS)
    }

    pub async fn callback_key(&self) -> Result<CallbackKeyView, Error> {
        self.get(CALLBACK_KEY).await
    }

    /// Makes the key that signs callbacks, or brings one along.
    pub async fn make_callback_key(&self, key: &MakeCallbackKey) -> Result<CallbackKeyView, Error> {
        let answer = self.send(Method::POST, CALLBACK_KEY, HeaderMap::new(), body(Some(key))).await?;
        read(answer, &Method::POST, CALLBACK_KEY)
    }
}

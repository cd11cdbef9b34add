//! Apps, keys, nonces.

use carillon_sdk::KeyId;
use carillon_sdk::api::{CreateApp, CreateKey};

use super::super::tenants::NO_APP;
use super::super::work::Write;
use super::super::{AppInfo, Error, KeyInfo, Nonce, NonceVerdict, Store};
use crate::model::App;

impl Store {
    /// `Exists` when the tenant is there already.
    pub async fn create_app(&self, body: CreateApp, nonce: Option<Nonce>) -> Result<AppInfo, Error> {
        self.write(0, NO_APP, |reply| Write::CreateApp { body, nonce, reply }).await
    }

    #[must_use]
    pub fn apps(&self) -> Vec<AppInfo> {
        self.0.shared.tenants.all().iter().map(|people| people.info.clone()).collect()
    }

    #[must_use]
    pub fn app(&self, app: App) -> Option<AppInfo> {
        self.0.shared.tenants.get(app).map(|people| people.info.clone())
    }

    #[must_use]
    pub fn app_by_client_key(&self, client_key: &str) -> Option<App> {
        self.0.shared.tenants.by_client_key(client_key)
    }

    /// `Exists` when the app has two live keys already.
    pub async fn create_key(
        &self,
        app: App,
        body: CreateKey,
        nonce: Option<Nonce>,
    ) -> Result<KeyInfo, Error> {
        self.write(0, NO_APP, |reply| Write::CreateKey { app, body, nonce, reply }).await
    }

    /// False when the app has no such key.
    pub async fn revoke_key(&self, app: App, key: &KeyId, nonce: Option<Nonce>) -> Result<bool, Error> {
        let key = key.clone();
        self.write(0, NO_APP, |reply| Write::RevokeKey { app, key, nonce, reply }).await
    }

    /// Any key, revoked ones too; the operator's key (`operator`) always exists.
    #[must_use]
    pub fn key(&self, key: &KeyId) -> Option<KeyInfo> {
        self.0.shared.tenants.key(key, &self.0.shared.keyring)
    }

    #[must_use]
    pub fn keys(&self, app: App) -> Vec<KeyInfo> {
        self.0.shared.tenants.keys(app, &self.0.shared.keyring)
    }

    /// Remembers a nonce in memory; the commit its request causes makes it durable.
    pub fn nonce(&self, nonce: &Nonce) -> NonceVerdict {
        self.0.shared.nonces.lock().remember(nonce, self.0.shared.limits.nonces_max)
    }
}

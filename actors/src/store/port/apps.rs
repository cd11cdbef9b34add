//! Apps, keys, nonces.

use std::net::IpAddr;

use carillon_sdk::api::{CreateApp, CreateKey, UpdateApp, UpdateKey};
use carillon_sdk::{AppId, KeyId, Timestamp, Ttl, WorkspaceId};

use super::super::tenancy::{TenantChange, TenantDone};
use super::super::tenants::NO_APP;
use super::super::work::Write;
use super::super::{AppInfo, Audit, Error, KeyInfo, Nonce, NonceVerdict, Store, Unusable};
use crate::model::App;

impl Store {
    /// By the server itself; [`Store::make_app`] is for people.
    pub async fn create_app(&self, body: CreateApp, nonce: Option<Nonce>) -> Result<AppInfo, Error> {
        self.make_app(body, None, nonce).await
    }

    /// `Exists` when the tenant is there already. The audit entry's object, when empty, is named.
    pub async fn make_app(
        &self,
        body: CreateApp,
        audit: Option<Audit>,
        nonce: Option<Nonce>,
    ) -> Result<AppInfo, Error> {
        match self.tenants(TenantChange::CreateApp(body), audit, nonce).await? {
            TenantDone::App(info) => Ok(info),
            TenantDone::Key(_) | TenantDone::Unknown => Err(Error::Unavailable),
        }
    }

    /// None when there is no such app.
    pub async fn update_app(
        &self,
        app: App,
        update: UpdateApp,
        audit: Option<Audit>,
        nonce: Option<Nonce>,
    ) -> Result<Option<AppInfo>, Error> {
        self.tenants(TenantChange::UpdateApp { app, update }, audit, nonce).await.map(app_of)
    }

    /// Gives the app another client key; the one before registers nothing from now on.
    pub async fn rotate_client_key(
        &self,
        app: App,
        audit: Option<Audit>,
        nonce: Option<Nonce>,
    ) -> Result<Option<AppInfo>, Error> {
        self.tenants(TenantChange::RotateClientKey { app }, audit, nonce).await.map(app_of)
    }

    #[must_use]
    pub fn apps(&self) -> Vec<AppInfo> {
        self.0.shared.tenants.infos()
    }

    #[must_use]
    pub fn app(&self, app: App) -> Option<AppInfo> {
        self.0.shared.tenants.info(app)
    }

    #[must_use]
    pub fn find_app(&self, app_id: &AppId, workspace_id: &WorkspaceId) -> Option<App> {
        self.0.shared.tenants.find(app_id, workspace_id)
    }

    /// Whether its operator has shut the app: nothing is sent, nobody connects, nothing is lost.
    #[must_use]
    pub fn is_disabled(&self, app: App) -> bool {
        self.0.shared.tenants.is_disabled(app)
    }

    #[must_use]
    pub fn app_by_client_key(&self, client_key: &str) -> Option<App> {
        self.0.shared.tenants.by_client_key(client_key)
    }

    /// By the server itself; [`Store::make_key`] is for people.
    pub async fn create_key(
        &self,
        app: App,
        body: CreateKey,
        nonce: Option<Nonce>,
    ) -> Result<KeyInfo, Error> {
        self.make_key(app, body, None, nonce).await
    }

    /// `Exists` when the app has two live keys already. The audit entry's object, when empty, is
    /// named.
    pub async fn make_key(
        &self,
        app: App,
        body: CreateKey,
        audit: Option<Audit>,
        nonce: Option<Nonce>,
    ) -> Result<KeyInfo, Error> {
        let made = self.tenants(TenantChange::CreateKey { app, body }, audit, nonce).await?;
        key_of(made).ok_or(Error::Unavailable)
    }

    /// Makes a successor with the same rights; the key itself ends after `overlap`. `Exists` when
    /// the app would have more than two live keys, None when it has no such key.
    pub async fn rotate_key(
        &self,
        app: App,
        key: &KeyId,
        overlap: Ttl,
        audit: Option<Audit>,
        nonce: Option<Nonce>,
    ) -> Result<Option<KeyInfo>, Error> {
        let change = TenantChange::RotateKey { app, key: key.clone(), overlap };
        self.tenants(change, audit, nonce).await.map(key_of)
    }

    /// None when the app has no such live key.
    pub async fn update_key(
        &self,
        app: App,
        key: &KeyId,
        update: UpdateKey,
        audit: Option<Audit>,
        nonce: Option<Nonce>,
    ) -> Result<Option<KeyInfo>, Error> {
        let change = TenantChange::UpdateKey { app, key: key.clone(), update };
        self.tenants(change, audit, nonce).await.map(key_of)
    }

    /// False when the app has no such key.
    pub async fn revoke_key(
        &self,
        app: App,
        key: &KeyId,
        audit: Option<Audit>,
        nonce: Option<Nonce>,
    ) -> Result<bool, Error> {
        if self.0.shared.tenants.key_row(app, key).is_none() {
            return Ok(false);
        }
        // One that has ended already stays as it is.
        self.tenants(TenantChange::RevokeKey { app, key: key.clone() }, audit, nonce).await.map(|_| true)
    }

    async fn tenants(
        &self,
        change: TenantChange,
        audit: Option<Audit>,
        nonce: Option<Nonce>,
    ) -> Result<TenantDone, Error> {
        let change = Box::new(change);
        self.write(0, NO_APP, |reply| Write::Tenants { change, audit, nonce, reply }).await
    }

    /// Any key, revoked and expired ones too (ask [`KeyInfo::usable`]); the operator's key
    /// (`operator`) always exists.
    #[must_use]
    pub fn key(&self, key: &KeyId) -> Option<KeyInfo> {
        self.0.shared.tenants.key(key, &self.0.shared.keyring)
    }

    /// Remembers that a request under this key was let in. In memory; on disk within about a minute.
    pub fn key_used(&self, key: &KeyId, now: Timestamp, from: IpAddr) {
        self.0.shared.tenants.key_used(key, now, from);
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

fn app_of(done: TenantDone) -> Option<AppInfo> {
    match done {
        TenantDone::App(info) => Some(info),
        TenantDone::Key(_) | TenantDone::Unknown => None,
    }
}

fn key_of(done: TenantDone) -> Option<KeyInfo> {
    match done {
        TenantDone::Key(key) => Some(key),
        TenantDone::App(_) | TenantDone::Unknown => None,
    }
}

impl KeyInfo {
    /// Whether a request from `from`, whose signature holds, is let in now. Both faces ask this, and
    /// answer `Unknown` as they answer a key that never was.
    pub fn usable(&self, now: Timestamp, from: IpAddr) -> Result<(), Unusable> {
        let ended = self.view.expires_at.is_some_and(|expires_at| expires_at <= now);
        if self.view.revoked_at.is_some() || ended {
            return Err(Unusable::Unknown);
        }
        let from = from.to_canonical();
        if !self.allow.is_empty() && !self.allow.iter().any(|range| range.contains(&from)) {
            return Err(Unusable::Address);
        }
        if self.app_disabled { Err(Unusable::AppDisabled) } else { Ok(()) }
    }
}

//! Changes of apps and keys, by partition 0: the row, and who did it, in one commit.

use carillon_sdk::api::{CreateApp, CreateKey, Scope, UpdateApp, UpdateKey};
use carillon_sdk::{KeyId, Ttl};

use super::credential::random_name;
use super::partition::Partition;
use super::rows::{AppRow, KeyRow, encode};
use super::tenants::{LIVE_KEYS_MAX, NO_APP};
use super::work::{Reply, Work};
use super::{AppInfo, Audit, Error, KeyInfo, keys};
use crate::model::App;

/// What is to be done to apps and keys.
#[derive(Debug)]
pub(super) enum TenantChange {
    CreateApp(CreateApp),
    UpdateApp {
        app: App,
        update: UpdateApp,
    },
    /// Another client key; the one before is no longer any.
    RotateClientKey {
        app: App,
    },
    CreateKey {
        app: App,
        body: CreateKey,
    },
    /// A successor with the same rights; the key itself ends after the overlap.
    RotateKey {
        app: App,
        key: KeyId,
        overlap: Ttl,
    },
    UpdateKey {
        app: App,
        key: KeyId,
        update: UpdateKey,
    },
    RevokeKey {
        app: App,
        key: KeyId,
    },
}

#[derive(Debug)]
pub(super) enum TenantDone {
    App(AppInfo),
    Key(KeyInfo),
    /// There is no such app or live key.
    Unknown,
}

impl TenantChange {
    /// What takes rights away is taken in on a full disk too.
    #[must_use]
    pub(super) fn needs_room(&self) -> bool {
        let disables = |update: &UpdateApp| update.enabled == Some(false);
        match self {
            Self::RevokeKey { .. } => false,
            Self::UpdateApp { update, .. } => !disables(update),
            _ => true,
        }
    }

    /// In whose audit log it stands.
    const fn app(&self) -> App {
        match self {
            Self::CreateApp(_) | Self::UpdateApp { .. } | Self::RotateClientKey { .. } => NO_APP,
            Self::CreateKey { app, .. }
            | Self::RotateKey { app, .. }
            | Self::UpdateKey { app, .. }
            | Self::RevokeKey { app, .. } => *app,
        }
    }
}

impl Partition {
    /// The audit entry's object is named here when it is made here.
    pub(super) fn change_tenants(
        &mut self,
        change: TenantChange,
        audit: Option<Audit>,
        reply: Reply<TenantDone>,
        work: &mut Work,
    ) {
        let log = change.app();
        let done = match self.apply(change, work) {
            Ok(done) => done,
            Err(error) => {
                // Whoever asked may have gone.
                let _ = reply.send(Err(error));
                return;
            }
        };
        let object = match &done {
            TenantDone::App(info) => format!("{}/{}", info.app_id, info.workspace_id),
            TenantDone::Key(key) => key.view.key_id.to_string(),
            TenantDone::Unknown => return work.answer(reply, done),
        };
        if let Some(mut audit) = audit {
            if audit.object.is_empty() {
                audit.object = object;
            }
            self.write_audit(log, audit, work);
        }
        work.answer(reply, done);
    }

    fn apply(&self, change: TenantChange, work: &mut Work) -> Result<TenantDone, Error> {
        match change {
            TenantChange::CreateApp(body) => self.create_app(body, work),
            TenantChange::UpdateApp { app, update } => self.update_app(app, work, |row, now| {
                row.name = update.name.or(row.name.take());
                row.disabled_at = match update.enabled {
                    None => row.disabled_at,
                    Some(true) => None,
                    Some(false) => Some(row.disabled_at.unwrap_or(now)),
                };
            }),
            TenantChange::RotateClientKey { app } => {
                self.update_app(app, work, |row, _| row.client_key = random_name("cp_"))
            }
            TenantChange::CreateKey { app, body } => self.create_key(app, body, work),
            TenantChange::RotateKey { app, key, overlap } => self.rotate_key(app, &key, overlap, work),
            TenantChange::UpdateKey { app, key, update } => self.update_key(app, &key, work, |row| {
                row.name = update.name.or(row.name.take());
                row.allow = update.allow.unwrap_or(std::mem::take(&mut row.allow));
                row.expires_at = update.expires_at.or(row.expires_at);
            }),
            TenantChange::RevokeKey { app, key } => {
                let now = work.now;
                self.update_key(app, &key, work, |row| row.revoked_at = Some(now))
            }
        }
    }

    fn create_app(&self, body: CreateApp, work: &mut Work) -> Result<TenantDone, Error> {
        if self.shared.tenants.find(&body.app_id, &body.workspace_id).is_some() {
            return Err(Error::Exists);
        }
        let row = AppRow {
            app_id: body.app_id,
            workspace_id: body.workspace_id,
            name: body.name,
            client_key: random_name("cp_"),
            created_at: work.now,
            disabled_at: None,
        };
        Ok(self.put_app(self.shared.tenants.next(), row, work))
    }

    fn update_app(
        &self,
        app: App,
        work: &mut Work,
        update: impl FnOnce(&mut AppRow, carillon_sdk::Timestamp),
    ) -> Result<TenantDone, Error> {
        let Some(info) = self.shared.tenants.info(app) else { return Ok(TenantDone::Unknown) };
        let mut row = AppRow {
            app_id: info.app_id,
            workspace_id: info.workspace_id,
            name: info.name,
            client_key: info.client_key,
            created_at: info.created_at,
            disabled_at: info.disabled_at,
        };
        update(&mut row, work.now);
        Ok(self.put_app(app, row, work))
    }

    fn put_app(&self, app: App, row: AppRow, work: &mut Work) -> TenantDone {
        work.batch.put(keys::app(app), encode(&row));
        TenantDone::App(self.shared.tenants.insert(app, row))
    }

    fn create_key(&self, app: App, body: CreateKey, work: &mut Work) -> Result<TenantDone, Error> {
        if self.shared.tenants.live_keys(app, work.now) >= LIVE_KEYS_MAX {
            return Err(Error::Exists);
        }
        let mut scopes = body.scopes;
        if scopes.is_empty() {
            scopes = vec![Scope::Push, Scope::Device, Scope::Read, Scope::Keys, Scope::Manage];
        }
        scopes.retain(|scope| *scope != Scope::Operator);
        let row = KeyRow {
            key_id: Self::new_key_id()?,
            app,
            name: body.name,
            scopes,
            bearer: body.bearer,
            created_at: work.now,
            revoked_at: None,
            expires_at: body.expires_at,
            allow: body.allow,
            used: None,
        };
        Ok(self.put_key(&row, work))
    }

    fn rotate_key(&self, app: App, key: &KeyId, overlap: Ttl, work: &mut Work) -> Result<TenantDone, Error> {
        let now = work.now;
        let before = self.shared.tenants.key_row(app, key).filter(|row| row.is_live(now));
        let Some(mut before) = before else { return Ok(TenantDone::Unknown) };
        let live = self.shared.tenants.live_keys(app, now) - usize::from(overlap.is_zero());
        if live >= LIVE_KEYS_MAX {
            return Err(Error::Exists);
        }
        let end = now + overlap;
        // As long a life as the one before had.
        let life = before.expires_at.map(|expires_at| now + expires_at.since(before.created_at));
        let successor = KeyRow {
            key_id: Self::new_key_id()?,
            created_at: now,
            expires_at: life,
            used: None,
            ..before.clone()
        };
        before.expires_at = Some(before.expires_at.map_or(end, |expires_at| expires_at.min(end)));
        self.put_key(&before, work);
        Ok(self.put_key(&successor, work))
    }

    fn update_key(
        &self,
        app: App,
        key: &KeyId,
        work: &mut Work,
        update: impl FnOnce(&mut KeyRow),
    ) -> Result<TenantDone, Error> {
        let row = self.shared.tenants.key_row(app, key).filter(|row| row.is_live(work.now));
        let Some(mut row) = row else { return Ok(TenantDone::Unknown) };
        update(&mut row);
        Ok(self.put_key(&row, work))
    }

    fn put_key(&self, row: &KeyRow, work: &mut Work) -> TenantDone {
        work.batch.put(keys::api_key(&row.key_id), encode(row));
        self.shared.tenants.insert_key(row);
        let key = self.shared.tenants.key(&row.key_id, &self.shared.keyring);
        key.map_or(TenantDone::Unknown, TenantDone::Key)
    }

    fn new_key_id() -> Result<KeyId, Error> {
        // A random name is well formed.
        KeyId::parse(&random_name("ck_")).map_err(|_| Error::Unavailable)
    }
}

//! Apps and their keys, in memory. Made by partition 0 alone, so two requests cannot make one twice.

use std::sync::Arc;

use ahash::AHashMap;
use carillon_sdk::api::{KeyView, Scope};
use carillon_sdk::{AppId, KeyId, Timestamp, WorkspaceId};
use parking_lot::RwLock;

use super::credential::Keyring;
use super::directory::OfApp;
use super::rows::{AppRow, KeyRow};
use super::{AppInfo, KeyInfo};
use crate::model::App;

/// Live keys an app may have: one in use, one to change to.
pub(super) const LIVE_KEYS_MAX: usize = 2;

/// The id of the operator's key, which always exists.
pub(super) const OPERATOR: &str = "operator";

/// What belongs to no app: its intake queue, and the operator's audit log.
pub const NO_APP: App = App(u32::MAX);

#[derive(Default)]
pub(super) struct Tenants(RwLock<Inner>);

#[derive(Default)]
struct Inner {
    apps: Vec<Option<Arc<OfApp>>>,
    by_name: AHashMap<(AppId, WorkspaceId), App>,
    by_client_key: AHashMap<String, App>,
    keys: AHashMap<KeyId, Entry>,
}

struct Entry {
    app: App,
    view: KeyView,
}

impl Tenants {
    #[must_use]
    pub(super) fn get(&self, app: App) -> Option<Arc<OfApp>> {
        self.0.read().apps.get(app.0 as usize)?.clone()
    }

    #[must_use]
    pub(super) fn all(&self) -> Vec<Arc<OfApp>> {
        self.0.read().apps.iter().flatten().cloned().collect()
    }

    #[must_use]
    pub(super) fn find(&self, app_id: &AppId, workspace_id: &WorkspaceId) -> Option<App> {
        self.0.read().by_name.get(&(app_id.clone(), workspace_id.clone())).copied()
    }

    #[must_use]
    pub(super) fn by_client_key(&self, client_key: &str) -> Option<App> {
        self.0.read().by_client_key.get(client_key).copied()
    }

    /// The number the next app gets.
    #[must_use]
    pub(super) fn next(&self) -> App {
        App(self.0.read().apps.len() as u32)
    }

    /// Keeps numbers up to this one from being given out: rows refer to it.
    pub(super) fn skip(&self, app: App) {
        let mut inner = self.0.write();
        if inner.apps.len() <= app.0 as usize {
            inner.apps.resize_with(app.0 as usize + 1, || None);
        }
    }

    pub(super) fn insert(&self, app: App, row: AppRow) -> AppInfo {
        let info = AppInfo {
            app,
            app_id: row.app_id,
            workspace_id: row.workspace_id,
            name: row.name,
            client_key: row.client_key,
            created_at: row.created_at,
        };
        self.skip(app);
        let mut inner = self.0.write();
        inner.by_name.insert((info.app_id.clone(), info.workspace_id.clone()), app);
        inner.by_client_key.insert(info.client_key.clone(), app);
        inner.apps[app.0 as usize] = Some(Arc::new(OfApp::new(info.clone())));
        info
    }

    pub(super) fn insert_key(&self, row: &KeyRow) {
        let view = KeyView {
            key_id: row.key_id.clone(),
            name: row.name.clone(),
            scopes: row.scopes.clone(),
            bearer: row.bearer,
            created_at: row.created_at,
            revoked_at: row.revoked_at,
        };
        self.0.write().keys.insert(row.key_id.clone(), Entry { app: row.app, view });
    }

    /// The row of a key of this app.
    #[must_use]
    pub(super) fn key_row(&self, app: App, key: &KeyId) -> Option<KeyRow> {
        let inner = self.0.read();
        let Entry { view, .. } = inner.keys.get(key).filter(|entry| entry.app == app)?;
        Some(KeyRow {
            key_id: view.key_id.clone(),
            app,
            name: view.name.clone(),
            scopes: view.scopes.clone(),
            bearer: view.bearer,
            created_at: view.created_at,
            revoked_at: view.revoked_at,
        })
    }

    #[must_use]
    pub(super) fn live_keys(&self, app: App) -> usize {
        let inner = self.0.read();
        inner.keys.values().filter(|entry| entry.app == app && entry.view.revoked_at.is_none()).count()
    }

    #[must_use]
    pub(super) fn key(&self, id: &KeyId, keyring: &Keyring) -> Option<KeyInfo> {
        let secret = || keyring.key_secret(id);
        if id.as_str() == OPERATOR {
            let view = KeyView {
                key_id: id.clone(),
                name: None,
                scopes: vec![Scope::Operator],
                bearer: false,
                created_at: Timestamp::default(),
                revoked_at: None,
            };
            return Some(KeyInfo { view, app: None, secret: secret() });
        }
        let inner = self.0.read();
        let entry = inner.keys.get(id)?;
        Some(KeyInfo { view: entry.view.clone(), app: Some(entry.app), secret: secret() })
    }

    #[must_use]
    pub(super) fn keys(&self, app: App, keyring: &Keyring) -> Vec<KeyInfo> {
        let inner = self.0.read();
        let of_app = inner.keys.values().filter(|entry| entry.app == app);
        let mut keys: Vec<_> = of_app
            .map(|entry| KeyInfo {
                view: entry.view.clone(),
                app: Some(app),
                secret: keyring.key_secret(&entry.view.key_id),
            })
            .collect();
        keys.sort_by(|one, other| {
            (one.view.created_at, &one.view.key_id).cmp(&(other.view.created_at, &other.view.key_id))
        });
        keys
    }
}

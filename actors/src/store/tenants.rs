//! Apps and their keys, in memory. Made by partition 0 alone, so two requests cannot make one twice.

use std::net::IpAddr;
use std::sync::Arc;

use ahash::AHashMap;
use carillon_sdk::api::{KeyView, Scope};
use carillon_sdk::{AppId, KeyId, Timestamp, WorkspaceId};
use ipnet::IpNet;
use parking_lot::{Mutex, RwLock};

use super::credential::Keyring;
use super::directory::OfApp;
use super::rows::{AppRow, KeyRow, KeyUse};
use super::{AppInfo, KeyInfo};
use crate::model::App;

/// Live keys an app may have: one in use, one to change to.
pub(super) const LIVE_KEYS_MAX: usize = 2;

/// The id of the operator's key, which always exists.
pub(super) const OPERATOR: &str = "operator";

/// What belongs to no app: its intake queue, and the operator's audit log.
pub const NO_APP: App = App(u32::MAX);

/// Between two writes of when a key was last used.
const USE_WRITTEN_EVERY_MS: u64 = 60_000;

#[derive(Default)]
pub(super) struct Tenants(RwLock<Inner>);

#[derive(Default)]
struct Inner {
    apps: Vec<Option<Tenant>>,
    by_name: AHashMap<(AppId, WorkspaceId), App>,
    by_client_key: AHashMap<String, App>,
    keys: AHashMap<KeyId, Entry>,
}

struct Tenant {
    info: AppInfo,
    people: Arc<OfApp>,
}

struct Entry {
    row: KeyRow,
    allow: Arc<[IpNet]>,
    used: Mutex<Used>,
}

/// Noted with every request, written now and then.
#[derive(Default)]
struct Used {
    last: Option<KeyUse>,
    /// What the row has.
    written: Option<Timestamp>,
}

impl Tenants {
    #[must_use]
    pub(super) fn get(&self, app: App) -> Option<Arc<OfApp>> {
        let inner = self.0.read();
        Some(Arc::clone(&inner.apps.get(app.0 as usize)?.as_ref()?.people))
    }

    #[must_use]
    pub(super) fn all(&self) -> Vec<Arc<OfApp>> {
        self.0.read().apps.iter().flatten().map(|tenant| Arc::clone(&tenant.people)).collect()
    }

    #[must_use]
    pub(super) fn info(&self, app: App) -> Option<AppInfo> {
        let inner = self.0.read();
        Some(inner.apps.get(app.0 as usize)?.as_ref()?.info.clone())
    }

    #[must_use]
    pub(super) fn infos(&self) -> Vec<AppInfo> {
        self.0.read().apps.iter().flatten().map(|tenant| tenant.info.clone()).collect()
    }

    #[must_use]
    pub(super) fn is_disabled(&self, app: App) -> bool {
        let inner = self.0.read();
        let tenant = inner.apps.get(app.0 as usize).and_then(Option::as_ref);
        tenant.is_some_and(|tenant| tenant.info.disabled_at.is_some())
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

    /// Takes in an app, or what became of one that is there.
    pub(super) fn insert(&self, app: App, row: AppRow) -> AppInfo {
        let info = AppInfo {
            app,
            app_id: row.app_id,
            workspace_id: row.workspace_id,
            name: row.name,
            client_key: row.client_key,
            created_at: row.created_at,
            disabled_at: row.disabled_at,
        };
        self.skip(app);
        let mut inner = self.0.write();
        let inner = &mut *inner;
        inner.by_name.insert((info.app_id.clone(), info.workspace_id.clone()), app);
        match &mut inner.apps[app.0 as usize] {
            Some(tenant) => {
                inner.by_client_key.remove(&tenant.info.client_key);
                tenant.info = info.clone();
            }
            empty => *empty = Some(Tenant { info: info.clone(), people: Arc::new(OfApp::new(app)) }),
        }
        inner.by_client_key.insert(info.client_key.clone(), app);
        info
    }

    pub(super) fn insert_key(&self, row: &KeyRow) {
        // What cannot be read admits nobody: the list is not empty for it.
        let nowhere = || IpNet::from(IpAddr::from([0; 16]));
        let allow = row.allow.iter().map(|text| text.parse().unwrap_or_else(|_| nowhere())).collect();
        let used = Used { last: row.used.clone(), written: row.used.as_ref().map(|used| used.at) };
        let mut inner = self.0.write();
        let used = match inner.keys.remove(&row.key_id) {
            Some(before) => before.used,
            None => Mutex::new(used),
        };
        inner.keys.insert(row.key_id.clone(), Entry { row: row.clone(), allow, used });
    }

    /// The row of a key of this app, as it would be written now.
    #[must_use]
    pub(super) fn key_row(&self, app: App, key: &KeyId) -> Option<KeyRow> {
        let inner = self.0.read();
        inner.keys.get(key).filter(|entry| entry.row.app == app).map(Entry::row)
    }

    #[must_use]
    pub(super) fn live_keys(&self, app: App, now: Timestamp) -> usize {
        let inner = self.0.read();
        inner.keys.values().filter(|entry| entry.row.app == app && entry.row.is_live(now)).count()
    }

    /// Remembers that a key was used, in memory.
    pub(super) fn key_used(&self, key: &KeyId, now: Timestamp, from: IpAddr) {
        let inner = self.0.read();
        if let Some(entry) = inner.keys.get(key) {
            entry.used.lock().last = Some(KeyUse { at: now, from });
        }
    }

    /// Rows that should say when their key was last used and do not yet: none of them has been
    /// written within the last minute. They count as written.
    #[must_use]
    pub(super) fn uses_to_write(&self, now: Timestamp, most: usize) -> Vec<KeyRow> {
        let inner = self.0.read();
        let due = |entry: &&Entry| {
            let mut used = entry.used.lock();
            let Some(last) = used.last.as_ref().map(|last| last.at) else { return false };
            let waited = used.written.is_none_or(|written| {
                last > written && now.since(written).as_millis() >= USE_WRITTEN_EVERY_MS
            });
            if waited {
                used.written = Some(last);
            }
            waited
        };
        inner.keys.values().filter(due).take(most).map(Entry::row).collect()
    }

    #[must_use]
    pub(super) fn key(&self, id: &KeyId, keyring: &Keyring) -> Option<KeyInfo> {
        let secret = keyring.key_secret(id);
        if id.as_str() == OPERATOR {
            let view = KeyView {
                key_id: id.clone(),
                name: None,
                scopes: vec![Scope::Operator],
                bearer: false,
                created_at: Timestamp::default(),
                revoked_at: None,
                expires_at: None,
                allow: Vec::new(),
                last_used_at: None,
                last_used_from: None,
            };
            return Some(KeyInfo { view, app: None, secret, allow: Arc::new([]), app_disabled: false });
        }
        let inner = self.0.read();
        let entry = inner.keys.get(id)?;
        Some(inner.key_info(entry, secret))
    }

    #[must_use]
    pub(super) fn keys(&self, app: App, keyring: &Keyring) -> Vec<KeyInfo> {
        let inner = self.0.read();
        let of_app = inner.keys.values().filter(|entry| entry.row.app == app);
        let mut keys: Vec<_> =
            of_app.map(|entry| inner.key_info(entry, keyring.key_secret(&entry.row.key_id))).collect();
        keys.sort_by(|one, other| {
            (one.view.created_at, &one.view.key_id).cmp(&(other.view.created_at, &other.view.key_id))
        });
        keys
    }
}

impl Inner {
    fn key_info(&self, entry: &Entry, secret: String) -> KeyInfo {
        let tenant = self.apps.get(entry.row.app.0 as usize).and_then(Option::as_ref);
        KeyInfo {
            view: entry.view(),
            app: Some(entry.row.app),
            secret,
            allow: Arc::clone(&entry.allow),
            app_disabled: tenant.is_some_and(|tenant| tenant.info.disabled_at.is_some()),
        }
    }
}

impl Entry {
    fn row(&self) -> KeyRow {
        KeyRow { used: self.used.lock().last.clone(), ..self.row.clone() }
    }

    fn view(&self) -> KeyView {
        let used = self.used.lock().last.clone();
        let row = &self.row;
        KeyView {
            key_id: row.key_id.clone(),
            name: row.name.clone(),
            scopes: row.scopes.clone(),
            bearer: row.bearer,
            created_at: row.created_at,
            revoked_at: row.revoked_at,
            expires_at: row.expires_at,
            allow: row.allow.clone(),
            last_used_at: used.as_ref().map(|used| used.at),
            last_used_from: used.map(|used| used.from.to_string()),
        }
    }
}

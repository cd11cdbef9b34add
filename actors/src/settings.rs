//! The settings of an app: one object, of which a field that nobody wrote has its default.
//!
//! The key that signs callbacks lies beside it, under an id of its own: its private half is sealed,
//! goes in and never comes out, and a change of the other settings does not touch it.

mod callback_key;

use bytes::Bytes;
use carillon_sdk::{Fallback, Route, Timestamp};
use serde::{Deserialize, Serialize};

pub use self::callback_key::{CallbackKey, CallbackKeyView, KeyError, Signer, public_key};
use crate::engine::Engine;
use crate::model::App;
use crate::store::{self, Audit, Change, Changed, Expect, Kind, Nonce};

/// The id of the one object; what else an app has but once lies beside it.
pub(crate) const SETTINGS: &str = "app";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// One more with every change; 0 when nobody has written any.
    pub version: u64,
    pub updated_at: Option<Timestamp>,
    pub push_api: PushApi,
    /// An IANA time zone: of schedules, and of the days of quiet hours and caps.
    pub time_zone: String,
    pub callback: Callback,
    pub routing: Routing,
}

/// Pushes by API, on both faces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PushApi {
    /// Off: pushes by API are refused; schedules and campaigns go on.
    pub enabled: bool,
    /// The owner's RSA public key, in PEM: kept and shown, as the mPaaS console does.
    pub public_key: Option<String>,
}

/// Which road a message takes where there are two, unless it says so itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Routing {
    pub route: Route,
    /// With `vendor_after`: so long our own socket has a message to itself. At least 1, at most
    /// [`VENDOR_AFTER_S_MAX`].
    pub vendor_after_s: u64,
    pub fallback: Fallback,
}

/// A day: a message that may wait longer for its device is in no hurry for a vendor.
pub const VENDOR_AFTER_S_MAX: u64 = 86_400;

/// The mPaaS callback: receipts POSTed to a URL, signed with the app's callback key.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Callback {
    pub enabled: bool,
    pub url: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// They are no longer the revision that the change named.
    #[error("the settings were changed meanwhile")]
    Changed,
    /// A JSON pointer to the field, and what it takes.
    #[error("{pointer}: {why}")]
    Invalid { pointer: &'static str, why: String },
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            version: 0,
            updated_at: None,
            push_api: PushApi::default(),
            time_zone: "UTC".to_owned(),
            callback: Callback::default(),
            routing: Routing::default(),
        }
    }
}

impl Default for Routing {
    fn default() -> Self {
        Self { route: Route::default(), vendor_after_s: 30, fallback: Fallback::default() }
    }
}

impl Default for PushApi {
    fn default() -> Self {
        Self { enabled: true, public_key: None }
    }
}

/// A change without a revision to hold on to is tried so often against others at work.
const TRIES_MAX: u32 = 5;

/// What is kept, or the defaults.
pub(crate) fn read(stored: Option<store::Stored>) -> Settings {
    let Some(stored) = stored else { return Settings::default() };
    serde_json::from_slice(&stored.bytes).unwrap_or_else(|error| {
        tracing::error!(%error, "the settings of an app cannot be read; the defaults hold");
        Settings::default()
    })
}

impl Engine {
    /// An app's settings, out of memory.
    #[must_use]
    pub fn settings(&self, app: App) -> Settings {
        self.settings_kept(app).0
    }

    /// The same with the revision by which a change says what it replaces; 0 when nobody has
    /// written any.
    #[must_use]
    pub fn settings_kept(&self, app: App) -> (Settings, u64) {
        let stored = self.store().object(app, Kind::Settings, SETTINGS);
        let version = stored.as_ref().map_or(0, |stored| stored.version);
        (read(stored), version)
    }

    /// Puts `change` of the settings in place of what they are. With `revision`, only over that one.
    /// What it gives is checked here.
    pub async fn change_settings(
        &self,
        app: App,
        revision: Option<u64>,
        change: impl Fn(Settings) -> Settings,
        audit: Audit,
        nonce: Option<Nonce>,
    ) -> Result<(Settings, u64), Error> {
        for _ in 0..TRIES_MAX {
            let (before, found) = self.settings_kept(app);
            if revision.is_some_and(|revision| revision != found) {
                return Err(Error::Changed);
            }
            let version = before.version + 1;
            let changed = change(before);
            self.check_settings(app, &changed)?;
            let changed = Settings { version, updated_at: Some(self.clock().now()), ..changed };
            let value = serde_json::to_vec(&changed).expect("settings are plain data");
            let expect = if found == 0 { Expect::Absent } else { Expect::Version(found) };
            let change = single(SETTINGS, expect, value.into());
            let done = self.store().change(app, vec![change], Some(audit.clone()), nonce.clone()).await?;
            if let Changed::Done(revision) = done {
                return Ok((changed, revision));
            }
        }
        Err(Error::Changed)
    }

    fn check_settings(&self, app: App, settings: &Settings) -> Result<(), Error> {
        let invalid = |pointer, why: &str| Err(Error::Invalid { pointer, why: why.to_owned() });
        if jiff::tz::TimeZone::get(&settings.time_zone).is_err() {
            return invalid("/time_zone", "a name of the IANA time zone database, as Asia/Shanghai");
        }
        if let Some(key) = &settings.push_api.public_key
            && public_key(key).as_ref() != Ok(key)
        {
            return invalid("/push_api/public_key", "an RSA public key of 2048 to 4096 bits, in PEM");
        }
        if !(1..=VENDOR_AFTER_S_MAX).contains(&settings.routing.vendor_after_s) {
            return invalid("/routing/vendor_after_s", "1 to 86400 seconds");
        }
        if settings.callback.enabled && settings.callback.url.is_none() {
            return invalid("/callback/url", "a callback that is on goes somewhere");
        }
        if settings.callback.enabled && self.callback_key(app).is_none() {
            return invalid("/callback/enabled", "a callback is signed: make or upload its key first");
        }
        Ok(())
    }
}

fn single(id: &str, expect: Expect, value: Bytes) -> Change {
    Change { kind: Kind::Settings, id: id.to_owned(), expect, value: Some(value) }
}

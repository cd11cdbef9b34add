//! An app's setups for vendors, as they are kept: sealed whole, since a vendor's settings may hold a
//! secret too. What goes in as a credential never comes out again but to the vendor.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carillon_sdk::{Timestamp, Vendor};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

use super::{Gateway, Invalid, Setup};
use crate::engine::{Engine, Shared};
use crate::model::App;
use crate::store::{self, Audit, Change, Changed, Expect, Kind, Nonce, Store};

const PURPOSE: &str = "channel";
/// The same of the key in the address of its receipts.
const PURPOSE_OF_RECEIPTS: &str = "channel_receipts";

/// How such a key begins.
const RECEIPTS: &str = "vr_";

/// A change without a revision to hold on to is tried so often against others at work.
const TRIES_MAX: u32 = 5;

/// What an app's owner gives, or gives anew, for a vendor.
#[derive(Clone, PartialEq)]
pub struct Draft {
    /// None keeps the one that is there: it cannot be read, so nobody can give it back.
    pub credential: Option<Value>,
    pub settings: Value,
    pub hosts: BTreeMap<String, String>,
    pub ca_pem: Option<String>,
    pub clock_offset_ms: i64,
    /// Off: what would go this way takes another road, or none.
    pub enabled: bool,
    /// Messages a day in place of the table's, by the name of the limit; `null` is no limit.
    pub quotas: BTreeMap<String, Option<u64>>,
}

/// A setup as its owner sees it: all but the credential.
#[derive(Debug, Clone, PartialEq)]
pub struct SetupView {
    pub vendor: Vendor,
    pub settings: Value,
    pub hosts: BTreeMap<String, String>,
    pub ca_pem: Option<String>,
    pub clock_offset_ms: i64,
    pub enabled: bool,
    pub quotas: BTreeMap<String, Option<u64>>,
    /// The secret part of the path on which this vendor's receipts for this app come in; none when it
    /// cannot be opened any more.
    pub receipts_key: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// When the credential was given.
    pub credential_at: Timestamp,
    /// What a change names to be sure that nobody else made one meanwhile.
    pub revision: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the app has no setup for this vendor")]
    Unknown,
    /// A new setup, or one whose credential cannot be opened any more, needs one.
    #[error("a credential is needed")]
    NoCredential,
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// It is no longer the revision that the change named.
    #[error("the setup was changed meanwhile")]
    Changed,
    /// No vendor is spoken to by this process.
    #[error("there is no way out")]
    Closed,
    #[error(transparent)]
    Store(#[from] store::Error),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Row {
    /// Base64 of the sealed JSON of a [`Setup`] without its `receipts_url`.
    sealed: String,
    /// Drawn anew with all that an access token depends on: one got for another is not used.
    generation: String,
    enabled: bool,
    quotas: BTreeMap<String, Option<u64>>,
    /// Base64 of the sealed key in the address of its receipts, and the digest by which that is known.
    receipts_sealed: String,
    receipts_digest: String,
    created_at: Timestamp,
    updated_at: Timestamp,
    credential_at: Timestamp,
}

/// A setup opened: for the channel's actor.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Opened {
    pub(crate) setup: Setup,
    pub(crate) generation: String,
    pub(crate) enabled: bool,
    pub(crate) quotas: BTreeMap<String, Option<u64>>,
}

/// An app's setups.
pub struct Setups<'a> {
    shared: &'a Shared,
    app: App,
}

impl Engine {
    #[must_use]
    pub fn channel_setups(&self, app: App) -> Setups<'_> {
        Setups { shared: self.shared(), app }
    }

    /// Whose receipts come in under this key. Anybody may ask, so it costs one look, and takes as long
    /// whether it is one or nearly one.
    #[must_use]
    pub fn channel_of_receipts(&self, key: &str) -> Option<(App, Vendor)> {
        let (app, rest) = key.strip_prefix(RECEIPTS)?.split_once('_')?;
        let (code, _) = rest.split_once('_')?;
        let (app, vendor) = (App(app.parse().ok()?), Vendor::from_code(code.parse().ok()?)?);
        let (row, _) = self.channel_setups(app).row(vendor)?;
        let is_it = row.receipts_digest.as_bytes().ct_eq(digest(key).as_bytes());
        bool::from(is_it).then_some((app, vendor))
    }
}

/// Every setup there is, opened or not: whose channels there should be, and by which version.
pub(crate) fn all(store: &Store) -> Vec<(App, Vendor, u64)> {
    let all = store.objects_of_all(Kind::Channel).into_iter();
    all.filter_map(|(app, id, stored)| Some((app, id.parse().ok()?, stored.version))).collect()
}

impl<'a> Setups<'a> {
    pub(crate) const fn of(shared: &'a Shared, app: App) -> Self {
        Self { shared, app }
    }

    /// In the order of the vendors' numbers.
    #[must_use]
    pub fn list(&self) -> Vec<SetupView> {
        Vendor::ALL.into_iter().filter_map(|vendor| self.get(vendor)).collect()
    }

    #[must_use]
    pub fn get(&self, vendor: Vendor) -> Option<SetupView> {
        let (row, revision) = self.row(vendor)?;
        let Some(setup) = self.unseal(&row) else {
            // Its owner sees that there is one, and gives a credential anew.
            return Some(self.view(row, vendor, Setup::empty(), revision));
        };
        Some(self.view(row, vendor, setup, revision))
    }

    /// With its credential and the address of its receipts: for gateways alone.
    pub(crate) fn open(&self, vendor: Vendor) -> Option<Opened> {
        let (row, _) = self.row(vendor)?;
        let setup = self.unseal(&row)?;
        let receipts_url = self.receipts_key(&row).and_then(|key| self.receipts_url(&key));
        let Row { generation, enabled, quotas, .. } = row;
        Some(Opened { setup: Setup { receipts_url, ..setup }, generation, enabled, quotas })
    }

    fn receipts_url(&self, key: &str) -> Option<String> {
        let base = self.shared.channels_config()?.receipts_url.as_deref()?;
        Some(format!("{}/{key}", base.trim_end_matches('/')))
    }

    /// Puts a setup in the place of what is there. With `revision`, only over that one: 0 is none.
    /// What it gives is checked by the vendor's own rules.
    pub async fn put(
        &self,
        vendor: Vendor,
        revision: Option<u64>,
        draft: Draft,
        audit: impl Into<Option<Audit>>,
        nonce: Option<Nonce>,
    ) -> Result<SetupView, Error> {
        let make = |before: Option<(Row, Option<Setup>)>| {
            let credential = draft.credential.clone();
            let kept = || before.as_ref()?.1.as_ref().map(|setup| setup.credential.clone());
            let setup = Setup {
                credential: credential.or_else(kept).ok_or(Error::NoCredential)?,
                settings: draft.settings.clone(),
                hosts: draft.hosts.clone(),
                ca_pem: draft.ca_pem.clone(),
                clock_offset_ms: draft.clock_offset_ms,
                receipts_url: None,
            };
            Ok(Made { setup, enabled: draft.enabled, quotas: draft.quotas.clone(), before })
        };
        self.change(vendor, revision, make, audit.into(), nonce).await
    }

    /// Puts another credential in the place of the one that is there, or another key in the address of
    /// its receipts, and leaves the rest.
    pub async fn rotate(
        &self,
        vendor: Vendor,
        credential: Option<Value>,
        new_receipts_key: bool,
        audit: Audit,
        nonce: Option<Nonce>,
    ) -> Result<SetupView, Error> {
        let make = |before: Option<(Row, Option<Setup>)>| {
            let (mut row, setup) = before.ok_or(Error::Unknown)?;
            let kept = setup.clone().ok_or(Error::NoCredential)?;
            let given = credential.clone().unwrap_or_else(|| kept.credential.clone());
            let changed = Setup { credential: given, ..kept };
            let (enabled, quotas) = (row.enabled, row.quotas.clone());
            if new_receipts_key {
                row.receipts_sealed.clear();
            }
            Ok(Made { setup: changed, enabled, quotas, before: Some((row, setup)) })
        };
        self.change(vendor, None, make, Some(audit), nonce).await
    }

    /// Forgets the setup, and all that was got with it.
    pub async fn remove(&self, vendor: Vendor, audit: Audit, nonce: Option<Nonce>) -> Result<(), Error> {
        self.row(vendor).ok_or(Error::Unknown)?;
        let mut changes = vec![forget(Kind::Channel, vendor.as_str())];
        let of_it = format!("{vendor}/");
        let kept = self.shared.store.objects(self.app, Kind::ChannelState, None, usize::MAX).into_iter();
        changes.extend(
            kept.filter(|(id, _)| id.starts_with(&of_it)).map(|(id, _)| forget(Kind::ChannelState, &id)),
        );
        self.shared.store.change(self.app, changes, Some(audit), nonce).await?;
        Ok(())
    }

    async fn change(
        &self,
        vendor: Vendor,
        revision: Option<u64>,
        make: impl Fn(Option<(Row, Option<Setup>)>) -> Result<Made, Error>,
        audit: Option<Audit>,
        nonce: Option<Nonce>,
    ) -> Result<SetupView, Error> {
        for _ in 0..TRIES_MAX {
            let found = self.row(vendor);
            let at = found.as_ref().map_or(0, |(_, version)| *version);
            if revision.is_some_and(|revision| revision != at) {
                return Err(Error::Changed);
            }
            let before = found.map(|(row, _)| {
                let setup = self.unseal(&row);
                (row, setup)
            });
            let made = make(before)?;
            let row = self.row_of(vendor, made)?;
            let expect = if at == 0 { Expect::Absent } else { Expect::Version(at) };
            let changes = vec![put(Kind::Channel, vendor.as_str(), expect, &row)];
            let done = self.shared.store.change(self.app, changes, audit.clone(), nonce.clone()).await?;
            if let Changed::Done(revision) = done {
                let setup = self.unseal(&row).ok_or(Error::NoCredential)?;
                return Ok(self.view(row, vendor, setup, revision));
            }
        }
        Err(Error::Changed)
    }

    /// Checks what was made by opening a gateway with it.
    fn row_of(&self, vendor: Vendor, made: Made) -> Result<Row, Error> {
        let Made { setup, enabled, quotas, before } = made;
        super::quota::check(vendor, &quotas)?;
        let now = self.shared.clock.now();
        let kept = before.as_ref().and_then(|(row, _)| self.receipts_key(row));
        let receipts_key = kept.unwrap_or_else(|| receipts_key(self.app, vendor));
        let gateways = self.shared.gateways().ok_or(Error::Closed)?;
        let receipts_url = self.receipts_url(&receipts_key);
        gateways.open(vendor, &Setup { receipts_url, ..setup.clone() })?;
        // A setup is plain data, whose maps have strings for keys.
        let text = serde_json::to_vec(&setup).unwrap_or_default();
        let sealed = self.sealed(PURPOSE, &text);
        let (mut generation, mut credential_at) = (store::random_name("vg_"), now);
        let created_at = before.as_ref().map_or(now, |(row, _)| row.created_at);
        if let Some((row, Some(old))) = before {
            if old.credential == setup.credential {
                credential_at = row.credential_at;
            }
            // A vendor may bind its access to any of it; to get another costs a call.
            if old == setup {
                generation = row.generation;
            }
        }
        Ok(Row {
            sealed,
            generation,
            enabled,
            quotas,
            receipts_sealed: self.sealed(PURPOSE_OF_RECEIPTS, receipts_key.as_bytes()),
            receipts_digest: digest(&receipts_key),
            created_at,
            updated_at: now,
            credential_at,
        })
    }

    fn sealed(&self, purpose: &str, secret: &[u8]) -> String {
        STANDARD.encode(self.shared.store.seal(self.app, purpose, secret))
    }

    /// None when it was made under another master secret: then the next change draws another.
    fn receipts_key(&self, row: &Row) -> Option<String> {
        let sealed = STANDARD.decode(&row.receipts_sealed).ok()?;
        String::from_utf8(self.shared.store.unseal(self.app, PURPOSE_OF_RECEIPTS, &sealed)?).ok()
    }

    fn view(&self, row: Row, vendor: Vendor, setup: Setup, revision: u64) -> SetupView {
        SetupView {
            vendor,
            settings: setup.settings,
            hosts: setup.hosts,
            ca_pem: setup.ca_pem,
            clock_offset_ms: setup.clock_offset_ms,
            receipts_key: self.receipts_key(&row),
            enabled: row.enabled,
            quotas: row.quotas,
            created_at: row.created_at,
            updated_at: row.updated_at,
            credential_at: row.credential_at,
            revision,
        }
    }

    fn row(&self, vendor: Vendor) -> Option<(Row, u64)> {
        let stored = self.shared.store.object(self.app, Kind::Channel, vendor.as_str())?;
        Some((read(&stored.bytes)?, stored.version))
    }

    fn unseal(&self, row: &Row) -> Option<Setup> {
        let sealed = STANDARD.decode(&row.sealed).ok()?;
        let text = self.shared.store.unseal(self.app, PURPOSE, &sealed);
        if text.is_none() {
            tracing::error!("a vendor's setup cannot be opened: was it made under another master secret?");
        }
        serde_json::from_slice(&text?).ok()
    }

    /// A gateway as the setup says.
    pub(crate) fn gateway(&self, vendor: Vendor) -> Result<(Arc<dyn Gateway>, Opened), Error> {
        let opened = self.open(vendor).ok_or(Error::Unknown)?;
        let gateways = self.shared.gateways().ok_or(Error::Closed)?;
        Ok((gateways.open(vendor, &opened.setup)?, opened))
    }
}

/// 240 bits in 40 characters, after whose it is: vivo takes a whole address of 128.
fn receipts_key(app: App, vendor: Vendor) -> String {
    let secret = store::random_name("") + &store::random_name("");
    format!("{RECEIPTS}{}_{}_{secret}", app.0, vendor as u8)
}

/// What it was made of cannot be guessed, so its digest tells nothing.
fn digest(key: &str) -> String {
    STANDARD.encode(Sha256::digest(key))
}

/// What a change makes of what was there.
struct Made {
    setup: Setup,
    enabled: bool,
    quotas: BTreeMap<String, Option<u64>>,
    before: Option<(Row, Option<Setup>)>,
}

impl Setup {
    const fn empty() -> Self {
        Self {
            credential: Value::Null,
            settings: Value::Null,
            hosts: BTreeMap::new(),
            ca_pem: None,
            clock_offset_ms: 0,
            receipts_url: None,
        }
    }
}

/// Whether a setup, as it is kept, is switched on.
pub(crate) fn is_enabled(bytes: &[u8]) -> bool {
    read::<Row>(bytes).is_some_and(|row| row.enabled)
}

/// None, with a word in the log, when it cannot be read.
fn read<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    serde_json::from_slice(bytes)
        .inspect_err(|error| tracing::error!(%error, "a vendor's setup cannot be read"))
        .ok()
}

fn put(kind: Kind, id: &str, expect: Expect, value: &impl Serialize) -> Change {
    // Plain data always serializes.
    let value = serde_json::to_vec(value).unwrap_or_default();
    Change { kind, id: id.to_owned(), expect, value: Some(value.into()) }
}

fn forget(kind: Kind, id: &str) -> Change {
    Change { kind, id: id.to_owned(), expect: Expect::Anything, value: None }
}

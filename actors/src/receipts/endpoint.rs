//! Endpoints, as they are kept, and what their owner does with them.

use carillon_sdk::api::endpoints::EndpointView;
use carillon_sdk::api::{EventType, SignatureAlgorithm};
use carillon_sdk::{Timestamp, Ttl};
use serde::{Deserialize, Serialize};

use super::sign::Secret;
use super::{Answer, letter};
use crate::engine::{Engine, Shared};
use crate::model::App;
use crate::store::{self, Audit, Change, Changed, Expect, FeedFrom, FeedQuery, Kind, Nonce};

const PURPOSE: &str = "endpoint";

/// Where the mPaaS callback's progress lies.
pub(super) const CALLBACK: &str = "callback";

/// A change is tried so often against others at work.
const TRIES_MAX: u32 = 5;

/// Secrets that sign at once: the newest and those it takes over from.
const SECRETS_MAX: usize = 4;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    pub id: String,
    pub url: String,
    /// All when empty.
    pub events: Vec<EventType>,
    pub description: Option<String>,
    pub algorithm: SignatureAlgorithm,
    /// The newest first.
    secrets: Vec<Sealed>,
    pub created_at: Timestamp,
    pub disabled: Option<String>,
    pub(super) replay: Option<Replay>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Sealed {
    bytes: Vec<u8>,
    /// Until when it signs; none for the newest.
    until: Option<Timestamp>,
    public_key: Option<String>,
}

/// Events that are sent again, by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Replay {
    /// Where its progress lies.
    pub id: String,
    /// A cursor.
    pub until: String,
}

/// How far a road has come, written after each batch.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Progress {
    pub cursor: String,
    pub failing_since: Option<Timestamp>,
    pub attempts: u32,
    pub last_error: Option<String>,
    pub delivered_at: Option<Timestamp>,
}

/// What its owner says of a new endpoint, checked.
#[derive(Debug, Clone)]
pub struct Draft {
    pub url: String,
    pub events: Vec<EventType>,
    pub description: Option<String>,
    pub algorithm: SignatureAlgorithm,
    pub secret: Secret,
}

/// An endpoint, and how it fares.
#[derive(Debug, Clone)]
pub struct Kept {
    pub endpoint: Endpoint,
    progress: Progress,
}

#[derive(Debug, Clone)]
pub enum ReplayFrom {
    Cursor(String),
    Time(Timestamp),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("no such endpoint")]
    Unknown,
    #[error("the app has {0} endpoints, as many as it may")]
    Full(usize),
    #[error("the endpoint is disabled")]
    Disabled,
    #[error("a replay is under way")]
    Replaying,
    #[error("the cursor is none of this app's")]
    Cursor,
    /// Others changed it again and again.
    #[error("it was changed meanwhile")]
    Changed,
    /// Nothing goes out of this process.
    #[error("there is no way out")]
    Closed,
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Endpoint {
    /// An id that no endpoint has.
    #[must_use]
    pub fn fresh_id() -> String {
        store::random_name("ep_")
    }

    /// What signs now.
    pub(super) fn secrets(&self, shared: &Shared, app: App, now: Timestamp) -> Vec<Secret> {
        let live = self.secrets.iter().filter(|sealed| sealed.until.is_none_or(|until| now < until));
        let open = |sealed: &Sealed| {
            let bytes = shared.store.unseal(app, PURPOSE, &sealed.bytes);
            if bytes.is_none() {
                tracing::error!("an endpoint's secret cannot be opened: was it made under another master?");
            }
            Some(Secret::of_bytes(self.algorithm, bytes?))
        };
        live.filter_map(open).collect()
    }

    /// The same, in so far as its road depends on it.
    pub(super) fn road(&self) -> Self {
        Self { description: None, replay: None, ..self.clone() }
    }
}

impl Kept {
    #[must_use]
    pub fn view(self, now: Timestamp) -> EndpointView {
        let Self { endpoint, progress } = self;
        let live = endpoint.secrets.iter().filter(|sealed| sealed.until.is_none_or(|until| now < until));
        EndpointView {
            public_keys: live.filter_map(|sealed| sealed.public_key.clone()).collect(),
            endpoint_id: endpoint.id,
            url: endpoint.url,
            events: endpoint.events,
            description: endpoint.description,
            algorithm: endpoint.algorithm,
            enabled: endpoint.disabled.is_none(),
            disabled_reason: endpoint.disabled,
            created_at: endpoint.created_at,
            delivered_at: progress.delivered_at,
            failing_since: progress.failing_since,
            last_error: progress.last_error,
            replaying: endpoint.replay.is_some(),
            cursor: progress.cursor,
        }
    }
}

/// An app's endpoints.
pub struct Endpoints<'a> {
    shared: &'a Shared,
    app: App,
}

impl Engine {
    #[must_use]
    pub fn endpoints(&self, app: App) -> Endpoints<'_> {
        Endpoints { shared: self.shared(), app }
    }
}

impl<'a> Endpoints<'a> {
    pub(super) const fn of(shared: &'a Shared, app: App) -> Self {
        Self { shared, app }
    }

    /// All of them; an app has few.
    #[must_use]
    pub fn list(&self) -> Vec<Kept> {
        let stored = self.shared.store.objects(self.app, Kind::Endpoint, None, usize::MAX);
        stored.into_iter().filter_map(|(_, stored)| self.kept(&stored.bytes)).collect()
    }

    #[must_use]
    pub fn get(&self, id: &str) -> Option<Kept> {
        self.kept(&self.shared.store.object(self.app, Kind::Endpoint, id)?.bytes)
    }

    fn kept(&self, bytes: &[u8]) -> Option<Kept> {
        let endpoint: Endpoint = read(bytes)?;
        let progress = self.progress(&endpoint.id).unwrap_or_default();
        Some(Kept { endpoint, progress })
    }

    pub(super) fn progress(&self, id: &str) -> Option<Progress> {
        read(&self.shared.store.object(self.app, Kind::Receipt, id)?.bytes)
    }

    /// A new one, which hears of what happens from now on.
    pub async fn create(&self, draft: Draft, audit: Audit, nonce: Option<Nonce>) -> Result<Kept, Error> {
        let most = self.shared.receipts_config().ok_or(Error::Closed)?.endpoints_max;
        if self.list().len() >= most {
            return Err(Error::Full(most));
        }
        let endpoint = Endpoint {
            id: audit.object.clone(),
            url: draft.url,
            events: draft.events,
            description: draft.description,
            algorithm: draft.algorithm,
            secrets: vec![self.seal(&draft.secret)],
            created_at: self.shared.clock.now(),
            disabled: None,
            replay: None,
        };
        let cursor = self.shared.store.feed_end().encode(self.app);
        let progress = Progress { cursor, ..Progress::default() };
        // Its place first: whoever sees the endpoint sees where it begins.
        let changes = vec![
            put(Kind::Receipt, &endpoint.id, Expect::Absent, &progress),
            put(Kind::Endpoint, &endpoint.id, Expect::Absent, &endpoint),
        ];
        match self.shared.store.change(self.app, changes, Some(audit), nonce).await? {
            Changed::Done(_) => Ok(Kept { endpoint, progress }),
            Changed::Unexpected(_) => Err(Error::Changed),
        }
    }

    fn seal(&self, secret: &Secret) -> Sealed {
        Sealed {
            bytes: self.shared.store.seal(self.app, PURPOSE, secret.bytes()),
            until: None,
            public_key: secret.public_key(),
        }
    }

    /// Puts what `change` makes of it in its place.
    pub async fn change(
        &self,
        id: &str,
        change: impl Fn(&mut Endpoint),
        audit: Audit,
        nonce: Option<Nonce>,
    ) -> Result<Kept, Error> {
        let change = |endpoint: &mut Endpoint| {
            let was_disabled = endpoint.disabled.is_some();
            change(endpoint);
            let again = was_disabled && endpoint.disabled.is_none();
            let progress = self.progress(id).filter(|_| again);
            // What it failed at before is forgiven; where it was is not forgotten.
            let forgiven =
                |progress| Progress { failing_since: None, attempts: 0, last_error: None, ..progress };
            let put = |progress| put(Kind::Receipt, id, Expect::Anything, &forgiven(progress));
            Ok(progress.map(put).into_iter().collect())
        };
        self.change_with(id, change, audit, nonce).await
    }

    /// The same, with more that is changed together with it.
    pub(super) async fn change_with(
        &self,
        id: &str,
        change: impl Fn(&mut Endpoint) -> Result<Vec<Change>, Error>,
        audit: Audit,
        nonce: Option<Nonce>,
    ) -> Result<Kept, Error> {
        for _ in 0..TRIES_MAX {
            let stored = self.shared.store.object(self.app, Kind::Endpoint, id).ok_or(Error::Unknown)?;
            let mut endpoint: Endpoint = read(&stored.bytes).ok_or(Error::Unknown)?;
            let mut changes = change(&mut endpoint)?;
            changes.push(put(Kind::Endpoint, id, Expect::Version(stored.version), &endpoint));
            let done =
                self.shared.store.change(self.app, changes, Some(audit.clone()), nonce.clone()).await?;
            if let Changed::Done(_) = done {
                let progress = self.progress(id).unwrap_or_default();
                return Ok(Kept { endpoint, progress });
            }
        }
        Err(Error::Changed)
    }

    /// Signs with `secret` from now on, and for `overlap` with what signed before too.
    pub async fn rotate(
        &self,
        id: &str,
        secret: &Secret,
        overlap: Ttl,
        audit: Audit,
        nonce: Option<Nonce>,
    ) -> Result<Kept, Error> {
        let now = self.shared.clock.now();
        let sealed = self.seal(secret);
        let change = |endpoint: &mut Endpoint| {
            endpoint.secrets.retain(|sealed| sealed.until.is_none_or(|until| now < until));
            for old in &mut endpoint.secrets {
                let until = now + overlap;
                old.until = Some(old.until.map_or(until, |before| before.min(until)));
            }
            endpoint.secrets.insert(0, sealed.clone());
            endpoint.secrets.truncate(SECRETS_MAX);
        };
        self.change(id, change, audit, nonce).await
    }

    pub async fn delete(&self, id: &str, audit: Audit, nonce: Option<Nonce>) -> Result<(), Error> {
        let Kept { endpoint, .. } = self.get(id).ok_or(Error::Unknown)?;
        let mut changes = vec![forget(Kind::Endpoint, id), forget(Kind::Receipt, id)];
        changes.extend(endpoint.replay.map(|replay| forget(Kind::Receipt, &replay.id)));
        self.shared.store.change(self.app, changes, Some(audit), nonce).await?;
        Ok(())
    }

    /// Sends events of the past again, beside what happens: those from a place on and before
    /// `until`, or all there are now.
    pub async fn replay(
        &self,
        id: &str,
        from: ReplayFrom,
        until: Option<Timestamp>,
        audit: Audit,
        nonce: Option<Nonce>,
    ) -> Result<Kept, Error> {
        let cursor = match from {
            ReplayFrom::Cursor(text) => {
                self.shared.store.feed_cursor(self.app, &text).ok_or(Error::Cursor)?;
                text
            }
            ReplayFrom::Time(since) => self.place_of(since).await?,
        };
        let until = match until {
            Some(until) => self.place_of(until).await?,
            None => self.shared.store.feed_end().encode(self.app),
        };
        // A name that no former replay had: what one left behind is not taken up.
        let replay = Replay { id: format!("{id}/{}", self.shared.clock.now().as_millis()), until };
        let progress = Progress { cursor, ..Progress::default() };
        let change = |endpoint: &mut Endpoint| {
            if endpoint.disabled.is_some() {
                return Err(Error::Disabled);
            }
            if endpoint.replay.is_some() {
                return Err(Error::Replaying);
            }
            endpoint.replay = Some(replay.clone());
            Ok(vec![put(Kind::Receipt, &replay.id, Expect::Anything, &progress)])
        };
        self.change_with(id, change, audit, nonce).await
    }

    async fn place_of(&self, at: Timestamp) -> Result<String, Error> {
        let query = FeedQuery { types: Vec::new(), limit: 0, until: None };
        let page = self.shared.store.events(self.app, FeedFrom::Time(at), query).await?;
        Ok(page.cursor.encode(self.app))
    }

    /// Sends a ping, and waits for what comes of it.
    pub async fn test(&self, id: &str) -> Result<Answer, Error> {
        let Kept { endpoint, .. } = self.get(id).ok_or(Error::Unknown)?;
        let gateway = self.shared.gateway().ok_or(Error::Closed)?;
        let now = self.shared.clock.now();
        let secrets = endpoint.secrets(self.shared, self.app, now);
        let ping = store::random_name("msg_");
        Ok(gateway.post(letter::signed(&endpoint.url, &ping, now, &secrets, letter::ping(id, now))).await)
    }
}

/// None, with a word in the log, when it cannot be read.
pub(super) fn read<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    serde_json::from_slice(bytes)
        .inspect_err(|error| tracing::error!(%error, "an endpoint cannot be read"))
        .ok()
}

pub(super) fn put(kind: Kind, id: &str, expect: Expect, value: &impl Serialize) -> Change {
    // Plain data always serializes.
    let value = serde_json::to_vec(value).unwrap_or_default();
    Change { kind, id: id.to_owned(), expect, value: Some(value.into()) }
}

pub(super) fn forget(kind: Kind, id: &str) -> Change {
    Change { kind, id: id.to_owned(), expect: Expect::Anything, value: None }
}

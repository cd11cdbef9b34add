//! The engine as the edge sees it: one cheap handle.

use carillon_sdk::UserId;
use carillon_sdk::wire::Lane;
use carillon_sdk::{MessageId, Ttl};

use crate::clock::Clock;
use crate::limits::Limits;
use crate::link::Arrival;
use crate::model::{Device, User};
use crate::store::{self, Idempotency, Nonce, Store};

pub struct Config {
    pub store: store::Config,
    pub limits: Limits,
    /// Arbiters for devices; one a core is the default.
    pub shards: usize,
}

/// Clones share one engine.
#[derive(Clone)]
pub struct Engine {}

/// A push, parsed: everything in it is within its limits.
#[derive(Debug, Clone)]
pub struct Push {
    pub app: crate::model::App,
    pub to: To,
    pub title: Option<String>,
    pub body: Option<String>,
    /// A JSON object, as text.
    pub data: Option<String>,
    pub ttl: Ttl,
    pub lane: Lane,
    pub collapse_key: Option<String>,
    pub silent: bool,
    pub idempotency: Option<Idempotency>,
    pub nonce: Option<Nonce>,
}

#[derive(Debug, Clone)]
pub enum To {
    Devices(Vec<Device>),
    /// In the caller's words: a user nobody has heard of is accepted and waits for a bind.
    Users(Vec<UserId>),
    All,
}

/// The answer to a push. `outcomes` is in the order of the targets, empty for `To::All`.
#[derive(Debug, Clone, PartialEq)]
pub struct Pushed {
    pub id: MessageId,
    pub accepted: u32,
    pub outcomes: Vec<Outcome>,
    /// True when an earlier request with the same idempotency key gave this answer.
    pub replayed: bool,
}

/// What became of one target of a push at acceptance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Outcome {
    Accepted,
    /// 1,000 messages or 1 MiB are pending there already.
    QueueFull,
    /// `ttl: 0`, and no session is open.
    Offline,
    /// The device was deleted meanwhile.
    Gone,
}

/// Why a request was not done at all. The edge maps each to a status and a code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A bounded queue is full; nothing happened. 503 with Retry-After.
    #[error("a queue is full")]
    Busy,
    /// The store is read-only after a failed commit, or stopping. 503.
    #[error("the store cannot take it")]
    Unavailable,
    /// The commit failed under way: it may or may not have happened; a retry with the same
    /// idempotency key is safe. 503.
    #[error("it may or may not have happened")]
    Unknown,
    /// The disk is full. 507.
    #[error("the disk is full")]
    DiskFull,
    /// A request with the same idempotency key is being answered. 409.
    #[error("the same idempotency key is in flight")]
    IdempotencyInFlight,
    /// The same idempotency key came with another body. 422.
    #[error("the same idempotency key came with another body")]
    IdempotencyMismatch,
    /// As many live broadcasts as an app may have. 429.
    #[error("too many live broadcasts")]
    BroadcastsFull,
    #[error("no such device")]
    DeviceUnknown,
}

/// The kinds of actor, for death and for counting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Root,
    Store,
    Metrics,
    Scheduler,
    Shard,
    User,
    Connection,
}

/// Whether the node should get work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    Ready,
    Draining,
    /// The store failed and is read-only; the text says how.
    StoreFailed(String),
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("open the store")]
    Store(#[source] store::OpenError),
    #[error("start an arbiter")]
    Arbiter,
}

impl Engine {
    /// Opens the store and starts the actors. Called once, within an actix system.
    pub fn start(config: Config, clock: Clock) -> Result<Self, StartError> {
        let _ = (config, clock);
        todo!()
    }

    #[must_use]
    pub fn store(&self) -> &Store {
        todo!()
    }

    #[must_use]
    pub fn clock(&self) -> &Clock {
        todo!()
    }

    #[must_use]
    pub fn limits(&self) -> &Limits {
        todo!()
    }

    /// Answers when every accepted target is on disk (or, with `ttl: 0`, handed to live sessions).
    pub async fn push(&self, push: Push) -> Result<Pushed, Refusal> {
        let _ = push;
        todo!()
    }

    /// Binds `device` to `user`, or to nobody. Answers when it is on disk and the device's live
    /// session, if any, knows.
    pub async fn bind(&self, device: Device, user: Option<UserId>, nonce: Option<Nonce>) -> Result<Option<User>, Refusal> {
        let _ = (device, user, nonce);
        todo!()
    }

    /// Ends the device's session and forgets the device: pending messages are verdicted rejected
    /// with the reason `device_deleted`.
    pub async fn delete_device(&self, device: Device, nonce: Option<Nonce>) -> Result<(), Refusal> {
        let _ = (device, nonce);
        todo!()
    }

    /// Hands a verified device to its shard. Told, not asked; `Err` gives it back when the shard's
    /// mailbox is full, and the edge says Goodbye busy.
    pub fn arrive(&self, arrival: Arrival) -> Result<(), Arrival> {
        Err(arrival)
    }

    /// Registered devices may be let in at this moment: the token bucket on Hello. `Err` is how
    /// long to send the device away, jitter included.
    pub fn admit_hello(&self) -> Result<(), Ttl> {
        todo!()
    }

    /// The arbiters of the shards, on which the edge runs its accept loops.
    #[must_use]
    pub fn arbiters(&self) -> Vec<actix_rt::ArbiterHandle> {
        todo!()
    }

    #[must_use]
    pub fn connections(&self) -> usize {
        todo!()
    }

    #[must_use]
    pub fn readiness(&self) -> Readiness {
        todo!()
    }

    /// Says Goodbye to every session, spread over `window`, waits for what is in flight, commits
    /// what is accepted, and closes the store.
    pub async fn drain(&self, window: Ttl) {
        let _ = window;
        todo!()
    }

    /// Makes one actor of a kind panic in its next handler: to see supervision at work.
    /// `carillon dev` and tests call it; nothing reaches it in `serve`.
    pub fn crash(&self, kind: Kind) {
        let _ = kind;
        todo!()
    }
}

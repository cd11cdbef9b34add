//! A push as the edge gives it, and what it is answered.

use carillon_sdk::wire::{Lane, Look};
use carillon_sdk::{MessageId, Ttl, UserId};

use crate::audience::Audience;
use crate::model::{App, Device};
use crate::store::{Idempotency, Nonce};

/// A push, parsed: everything in it is within its limits.
#[derive(Debug, Clone)]
pub struct Push {
    pub app: App,
    pub to: To,
    pub title: Option<String>,
    pub body: Option<String>,
    /// A JSON object, as text.
    pub data: Option<String>,
    pub uri: Option<String>,
    pub look: Option<Look>,
    /// For other roads than our own: a JSON object, as text.
    pub options: Option<String>,
    pub ttl: Ttl,
    pub lane: Lane,
    pub collapse_key: Option<String>,
    pub silent: bool,
    /// Its words are a template's: counted as such when it goes to one by one.
    pub from_template: bool,
    pub idempotency: Option<Idempotency>,
    pub nonce: Option<Nonce>,
}

#[derive(Debug, Clone)]
pub enum To {
    Devices(Vec<Device>),
    /// In the caller's words: a user nobody has heard of is accepted and waits for a bind.
    Users(Vec<UserId>),
    Audience(Audience),
    All,
}

/// The answer to a push. `outcomes` is in the order of the targets, empty for an audience and
/// for all.
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
    /// A placeholder without a value; an order is checked before it is given. 400.
    #[error("a placeholder has no value")]
    ValueMissing,
    /// As many live broadcasts as an app may have. 429.
    #[error("too many live broadcasts")]
    BroadcastsFull,
    #[error("no such device")]
    DeviceUnknown,
    /// The operator has shut the app. 403.
    #[error("the app is disabled")]
    AppDisabled,
}

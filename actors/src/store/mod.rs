//! What must not be forgotten: apps, keys, devices, users, pending messages, broadcasts, answers,
//! nonces, history, statistics.
//!
//! The port: operations batched and atomic per device, ids made by callers so that any retry is
//! safe, and `Unknown` ("may have happened") distinct from `Unavailable`. Nothing outside
//! `store/sled.rs` knows sled.

mod port;

mod broadcasts;
mod credential;
mod decided;
mod directory;
mod errands;
mod feed;
mod handed;
mod idempotency;
mod intake;
mod load;
mod log;
mod nonces;
mod objects;
mod open;
mod page;
mod partition;
mod pending;
mod queues;
mod reading;
mod recover;
mod registry;
mod revokes;
mod roads;
mod seal;
mod sessions;
mod shared;
mod story;
mod sweep;
mod tasks;
mod tenancy;
mod tenants;
mod tokens;
mod work;

pub mod history;
pub mod stats;

pub mod disk;
pub mod faults;
mod keys;
pub mod memory;
mod rows;
mod sled;

use std::path::PathBuf;
use std::sync::Arc;

use carillon_sdk::api::{KeyView, Platform, Scope};
use carillon_sdk::{AppId, DeviceId, KeyId, MessageId, Timestamp, UserId, Vendor, WorkspaceId};
use roaring::RoaringBitmap;

use crate::audience::Audience;
use crate::model::{App, Device, Due, Epoch, Owner, Seq, ShardNo, User};

pub(crate) use self::credential::random_name;
#[doc(hidden)]
pub use self::directory::Crowd;
pub use self::directory::{AudienceCount, TAGS_APP_MAX, TAGS_MAX, TagChange, TagInfo, Tagged, carrier_of};
pub use self::feed::{FeedCursor, FeedFrom, FeedPage, FeedQuery, Origin};
pub use self::idempotency::IdempotencyGuard;
pub use self::log::{EntryView, Log, LogEntry};
pub use self::objects::{Audit, AuditEntry, Change, Changed, Expect, Kind, Stored};
#[doc(hidden)]
pub use self::open::Parts;
pub use self::revokes::{RevokeOutcome, Revoked};
pub use self::tasks::{TaskInfo, TaskQuery, TaskView};
pub use self::tenants::NO_APP;
pub use self::tokens::{
    By, Dropped, LEDGER_MAX, LedgerEntry, NewToken, TOKEN_BYTES_MAX, TokenChange, TokenInfo, TokenKept,
    is_token, token_digest,
};

#[derive(Debug, Clone)]
pub struct Config {
    pub dir: PathBuf,
    /// Databases, by hash of the owner; fixed when the directory is made.
    pub partitions: usize,
    /// Page cache of all partitions together, in bytes.
    pub cache_bytes: u64,
    /// Stop instead of starting when a partition cannot be read; otherwise it is set aside, loudly.
    pub strict: bool,
    /// The secret from which key secrets and device credentials are derived.
    pub master: [u8; 32],
}

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the data directory is in use by another process")]
    Locked,
    #[error("{what} in {path}")]
    Io {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("partition {partition} cannot be read: {reason}")]
    Damaged { partition: usize, reason: String },
    #[error("the data directory has layout {found}; this build reads {expected}")]
    Layout { found: u32, expected: u32 },
}

/// Why an operation was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The partition's intake is full; nothing happened.
    #[error("the intake is full")]
    Full,
    /// Read-only after a failure, or closed; nothing happened.
    #[error("the store is unavailable")]
    Unavailable,
    /// The commit failed under way.
    #[error("it may or may not have happened")]
    Unknown,
    /// Nothing happened.
    #[error("the disk is full")]
    DiskFull,
    #[error("no such device")]
    DeviceUnknown,
    /// The app or key exists already, or has as many live keys as it may.
    #[error("it exists already")]
    Exists,
}

/// Told by a partition after its commit. A hint may be lost, late, repeated or out of order: the
/// store is the truth, and a session notices a gap by `prev` and reads.
pub trait Hints: Send + Sync {
    /// One call a shard a commit.
    fn due(&self, shard: ShardNo, hints: Vec<DueHint>);
    /// To every shard: the entry was let go to these devices.
    fn broadcast(&self, entry: Arc<LogEntry>, devices: Arc<RoaringBitmap>);
    /// To every shard: this place is due no more to these devices of the app, or to none of them.
    fn withdrawn(&self, app: App, seq: Seq, devices: Option<Arc<RoaringBitmap>>);
}

#[derive(Debug, Clone)]
pub struct DueHint {
    pub device: Device,
    /// The session that was live when the message was committed.
    pub epoch: Epoch,
    pub due: Due,
    /// The place before this one in the same queue: a session that did not see it has a gap.
    pub prev: Seq,
    /// It was held back, and is behind where the session stands: due all the same.
    pub is_again: bool,
}

/// What a new session finds.
#[derive(Debug, Clone)]
pub struct Connected {
    /// The session this one fenced, to be ended.
    pub previous: Option<(ShardNo, Epoch)>,
    /// The last session's number, ended or not; 0 if none is remembered.
    pub last_epoch: Epoch,
    pub user: Option<User>,
    /// False when neither the device nor its user has anything stored: no page is needed.
    pub pending: bool,
}

/// Where a session stands in each stored lane: every place up to it was sent, or was not due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cursor {
    pub high: Seq,
    pub normal: Seq,
}

#[derive(Debug, Clone)]
pub struct Page {
    /// In the order to send: by lane and place, both queues (the device's, its user's) merged, no
    /// lane starving the other.
    pub due: Vec<Due>,
    /// Places remain beyond these.
    pub more: bool,
    /// The last place of each queue when the page was read: where hints go on.
    pub device_head: Seq,
    pub user_head: Seq,
}

/// What a device says arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acked {
    /// None for a broadcast.
    pub owner: Option<Owner>,
    pub seq: Seq,
    pub id: MessageId,
}

/// Whom a campaign is for: frozen when it is planned.
#[derive(Debug, Clone, PartialEq)]
pub enum Targets {
    Rule(Audience),
    Devices(RoaringBitmap),
}

/// A request's nonce, remembered in the commit the request causes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nonce {
    pub key: KeyId,
    /// SHA-256 of key id and nonce, cut to 16 bytes.
    pub hash: [u8; 16],
    /// The request's own timestamp: which bucket it is in.
    pub at: Timestamp,
}

/// Whether a nonce may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NonceVerdict {
    New,
    Replayed,
    /// The table is full: 429.
    Full,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// SHA-256 of app and Idempotency-Key, cut to 16 bytes.
    pub key: [u8; 16],
    /// SHA-256 of the request body.
    pub body: [u8; 32],
}

#[derive(Debug)]
pub enum Begun {
    /// First of its kind: answer it, then `finish` (or drop the guard to let a retry in).
    New(IdempotencyGuard),
    Replay(Vec<u8>),
    InFlight,
    Mismatch,
}

/// One target of an enqueue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enqueued {
    Stored(Seq),
    /// Already there under the same message id: a retry.
    Repeated,
    QueueFull,
    /// The device was deleted.
    Gone,
    /// Its task was revoked.
    Revoked,
}

#[derive(Debug, Clone)]
pub struct AppInfo {
    pub app: App,
    pub app_id: AppId,
    pub workspace_id: WorkspaceId,
    pub name: Option<String>,
    pub client_key: String,
    pub created_at: Timestamp,
    pub disabled_at: Option<Timestamp>,
}

#[derive(Debug, Clone)]
pub struct KeyInfo {
    pub view: KeyView,
    /// None for the operator's key.
    pub app: Option<App>,
    /// Derived from the master secret; never stored.
    pub secret: String,
    /// Addresses from which it may be used; empty: from any.
    pub allow: Arc<[ipnet::IpNet]>,
    /// Its app is shut.
    pub app_disabled: bool,
}

/// Why a key that exists lets nobody in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusable {
    /// Revoked or expired: as if it had never been.
    Unknown,
    /// Not from this address.
    Address,
    AppDisabled,
}

impl KeyInfo {
    #[must_use]
    pub fn allows(&self, scope: Scope) -> bool {
        self.view.revoked_at.is_none() && self.view.scopes.contains(&scope)
    }
}

#[derive(Debug, Clone)]
pub struct Registered {
    pub device: Device,
    pub device_id: DeviceId,
    pub credential: String,
    pub created: bool,
}

/// A device as the directory has it, in memory.
#[derive(Debug, Clone)]
pub struct DeviceInfo {
    pub device: Device,
    pub device_id: DeviceId,
    pub platform: Platform,
    pub app_version: Option<String>,
    pub maker: Option<String>,
    pub locale: Option<String>,
    pub time_zone: Option<String>,
    pub user: Option<User>,
    pub user_id: Option<UserId>,
    pub online: bool,
    pub registered_at: Timestamp,
    pub last_seen_at: Option<Timestamp>,
    pub pending: u32,
    /// The vendors of which a token is on record.
    pub vendors: Vec<Vendor>,
    /// In alphabetical order.
    pub tags: Vec<String>,
}

/// Counts for gauges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    pub pending: u64,
    pub pending_bytes: u64,
    pub oldest_pending_at: Option<Timestamp>,
    pub devices: u64,
    pub users: u64,
    pub broadcasts: u64,
    pub disk_bytes: u64,
    pub intake: u64,
}

/// Clones share one store. When the last goes without `close`, what was not answered may be lost,
/// as when the process is killed.
#[derive(Clone)]
pub struct Store(Arc<open::Handle>);

#[cfg(test)]
mod tests;

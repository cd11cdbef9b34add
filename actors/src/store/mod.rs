//! What must not be forgotten: apps, keys, devices, users, pending messages, broadcasts, answers,
//! nonces, history, statistics.
//!
//! The port: operations batched and atomic per device, ids made by callers so that any retry is
//! safe, and `Unknown` ("may have happened") distinct from `Unavailable`. Nothing outside
//! `store/sled.rs` knows sled.

pub mod history;
pub mod stats;

use std::path::PathBuf;
use std::sync::Arc;

use carillon_sdk::api::{CreateApp, CreateKey, Granularity, Dimension, KeyView, MessageView, Platform, RegisterDevice, ReportKind, StatsRow, Scope};
use carillon_sdk::{AppId, DeviceId, KeyId, MessageId, Timestamp, UserId, WorkspaceId};

use crate::clock::Clock;
use crate::limits::Limits;
use crate::model::{App, Device, Due, Epoch, Message, Owner, Seq, ShardNo, User};

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
    Io { what: &'static str, path: PathBuf, #[source] source: std::io::Error },
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
    /// To every shard.
    fn broadcast(&self, entry: Arc<LogEntry>);
}

#[derive(Debug, Clone)]
pub struct DueHint {
    pub device: Device,
    /// The session that was live when the message was committed.
    pub epoch: Epoch,
    pub due: Due,
    /// The place before this one in the same queue: a session that did not see it has a gap.
    pub prev: Seq,
}

/// A broadcast in its app's log: one record, whatever the number of devices.
#[derive(Debug)]
pub struct LogEntry {
    pub app: App,
    pub due: Due,
    // acked bitmap, dirty marks, targets at acceptance: private to the store.
}

impl LogEntry {
    /// Whether this broadcast is still due to the device: not acked, not expired.
    #[must_use]
    pub fn is_due(&self, device: Device, now: Timestamp) -> bool {
        let _ = (device, now);
        todo!()
    }
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

/// Holds an idempotency key while its request is being answered.
#[derive(Debug)]
pub struct IdempotencyGuard {}

/// One target of an enqueue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enqueued {
    Stored(Seq),
    /// Already there under the same message id: a retry.
    Repeated,
    QueueFull,
    /// The device was deleted.
    Gone,
}

#[derive(Debug, Clone)]
pub struct AppInfo {
    pub app: App,
    pub app_id: AppId,
    pub workspace_id: WorkspaceId,
    pub name: Option<String>,
    pub client_key: String,
    pub created_at: Timestamp,
}

#[derive(Debug, Clone)]
pub struct KeyInfo {
    pub view: KeyView,
    /// None for the operator's key.
    pub app: Option<App>,
    /// Derived from the master secret; never stored.
    pub secret: String,
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
    pub vendor_channels: Vec<String>,
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

/// Clones share one store.
#[derive(Clone)]
pub struct Store {}

impl Store {
    /// Opens or makes the store in `config.dir` on sled, one writer thread a partition.
    pub fn open(config: &Config, limits: &Limits, clock: &Clock, hints: Arc<dyn Hints>) -> Result<Self, OpenError> {
        let _ = (config, limits, clock, hints);
        todo!()
    }

    // ---- apps and keys -------------------------------------------------------------------------

    pub async fn create_app(&self, app: CreateApp, nonce: Option<Nonce>) -> Result<AppInfo, Error> {
        let _ = (app, nonce);
        todo!()
    }

    #[must_use]
    pub fn apps(&self) -> Vec<AppInfo> {
        todo!()
    }

    #[must_use]
    pub fn app(&self, app: App) -> Option<AppInfo> {
        let _ = app;
        todo!()
    }

    #[must_use]
    pub fn app_by_client_key(&self, client_key: &str) -> Option<App> {
        let _ = client_key;
        todo!()
    }

    /// `Exists` when the app has two live keys already.
    pub async fn create_key(&self, app: App, key: CreateKey, nonce: Option<Nonce>) -> Result<KeyInfo, Error> {
        let _ = (app, key, nonce);
        todo!()
    }

    /// False when the app has no such key.
    pub async fn revoke_key(&self, app: App, key: &KeyId, nonce: Option<Nonce>) -> Result<bool, Error> {
        let _ = (app, key, nonce);
        todo!()
    }

    /// Any key, revoked ones too; the operator's key (`operator`) always exists.
    #[must_use]
    pub fn key(&self, key: &KeyId) -> Option<KeyInfo> {
        let _ = key;
        todo!()
    }

    #[must_use]
    pub fn keys(&self, app: App) -> Vec<KeyInfo> {
        let _ = app;
        todo!()
    }

    /// Remembers a nonce in memory; the commit its request causes makes it durable.
    pub fn nonce(&self, nonce: &Nonce) -> NonceVerdict {
        let _ = nonce;
        todo!()
    }

    // ---- devices and users ---------------------------------------------------------------------

    pub async fn register(&self, app: App, device: RegisterDevice, nonce: Option<Nonce>) -> Result<Registered, Error> {
        let _ = (app, device, nonce);
        todo!()
    }

    /// The device a credential belongs to; None when it does not verify, was superseded by a later
    /// registration, or the device was deleted. Memory only, constant time in the secret.
    #[must_use]
    pub fn verify_credential(&self, credential: &str) -> Option<Device> {
        let _ = credential;
        todo!()
    }

    #[must_use]
    pub fn device(&self, app: App, id: &DeviceId) -> Option<Device> {
        let _ = (app, id);
        todo!()
    }

    #[must_use]
    pub fn device_info(&self, device: Device) -> Option<DeviceInfo> {
        let _ = device;
        todo!()
    }

    /// Devices in order of registration, from `after` on, at most `limit`.
    #[must_use]
    pub fn devices(&self, app: App, after: Option<u32>, limit: usize) -> Vec<DeviceInfo> {
        let _ = (app, after, limit);
        todo!()
    }

    pub async fn delete_device(&self, device: Device, nonce: Option<Nonce>) -> Result<(), Error> {
        let _ = (device, nonce);
        todo!()
    }

    /// The user of that name, made in memory when new; its name is written with its first commit.
    #[must_use]
    pub fn user(&self, app: App, id: &UserId) -> User {
        let _ = (app, id);
        todo!()
    }

    /// The same without making one.
    #[must_use]
    pub fn known_user(&self, app: App, id: &UserId) -> Option<User> {
        let _ = (app, id);
        todo!()
    }

    #[must_use]
    pub fn user_id(&self, user: User) -> Option<UserId> {
        let _ = user;
        todo!()
    }

    /// The devices a user is logged in on.
    #[must_use]
    pub fn user_devices(&self, user: User) -> Vec<Device> {
        let _ = user;
        todo!()
    }

    /// The last place in an owner's queue, 0 when it is empty: what a session compares itself with.
    #[must_use]
    pub fn head(&self, owner: Owner) -> Seq {
        let _ = owner;
        todo!()
    }

    #[must_use]
    pub fn pending_count(&self, owner: Owner) -> u32 {
        let _ = owner;
        todo!()
    }

    /// Durable; answers the user bound before. What is pending for the new user and acked by
    /// nobody becomes the device's too.
    pub async fn bind(&self, device: Device, user: Option<User>, nonce: Option<Nonce>) -> Result<Option<User>, Error> {
        let _ = (device, user, nonce);
        todo!()
    }

    pub async fn vendor_token(&self, device: Device, channel: &str, token: &str) -> Result<(), Error> {
        let _ = (device, channel, token);
        todo!()
    }

    /// The app version a Hello named; written lazily.
    pub fn note_app_version(&self, device: Device, version: &str) {
        let _ = (device, version);
        todo!()
    }

    // ---- pushes --------------------------------------------------------------------------------

    /// One outcome a target, in their order, after every partition concerned has committed. The
    /// message ids make it safe to repeat. `Unknown` when any partition failed under way.
    pub async fn enqueue(&self, message: Arc<Message>, targets: Vec<Owner>, nonce: Option<Nonce>) -> Result<Vec<Enqueued>, Error> {
        let _ = (message, targets, nonce);
        todo!()
    }

    /// Appends to the app's log. Answers the number of devices registered at that moment.
    /// `Exists` when the log is full.
    pub async fn broadcast(&self, message: Arc<Message>, nonce: Option<Nonce>) -> Result<u32, Error> {
        let _ = (message, nonce);
        todo!()
    }

    #[must_use]
    pub fn idempotency_begin(&self, app: App, idempotency: &Idempotency) -> Begun {
        let _ = (app, idempotency);
        todo!()
    }

    /// Records the answer, to be kept until `until`.
    pub async fn idempotency_finish(&self, guard: IdempotencyGuard, answer: Vec<u8>, until: Timestamp) -> Result<(), Error> {
        let _ = (guard, answer, until);
        todo!()
    }

    // ---- sessions ------------------------------------------------------------------------------

    /// A number for a new session.
    #[must_use]
    pub fn next_epoch(&self) -> Epoch {
        todo!()
    }

    /// Takes the device over for this session. Memory only. A push committed after this is hinted
    /// to this session; one whose commit began before is seen in `pending`.
    pub fn connect(&self, device: Device, epoch: Epoch, shard: ShardNo) -> Option<Connected> {
        let _ = (device, epoch, shard);
        todo!()
    }

    /// Ends the session, unless a later one has taken over.
    pub fn disconnect(&self, device: Device, epoch: Epoch) {
        let _ = (device, epoch);
        todo!()
    }

    /// The session open for a device.
    #[must_use]
    pub fn session(&self, device: Device) -> Option<(ShardNo, Epoch)> {
        let _ = device;
        todo!()
    }

    /// What is due to a device after `cursor`, from its own queue and its user's.
    pub async fn page(&self, device: Device, user: Option<User>, cursor: Cursor, limit: usize) -> Result<Page, Error> {
        let _ = (device, user, cursor, limit);
        todo!()
    }

    /// The live broadcasts of an app, oldest first.
    #[must_use]
    pub fn log(&self, app: App) -> Arc<Vec<Arc<LogEntry>>> {
        let _ = app;
        todo!()
    }

    /// These arrived. Told: applied within a few tens of milliseconds. `Full` when the intake is:
    /// the device will be sent them again, which it drops. An ack that overtakes the commit of its
    /// message is applied after it.
    pub fn ack(&self, device: Device, acked: Vec<Acked>) -> Result<(), Error> {
        let _ = (device, acked);
        todo!()
    }

    /// `holding` of a Hello: places the device has, from whichever queue they are in. Unknown ones
    /// are passed over. The same as `ack` otherwise.
    pub fn ack_held(&self, device: Device, user: Option<User>, seqs: Vec<Seq>) -> Result<(), Error> {
        let _ = (device, user, seqs);
        todo!()
    }

    /// These were written to the device's socket: a step of history, told.
    pub fn note_sent(&self, device: Device, ids: Vec<Due>) {
        let _ = (device, ids);
        todo!()
    }

    /// The steps of a push that was never stored (`ttl: 0`), told.
    pub fn note_online(&self, device: Device, due: &Due, step: carillon_sdk::api::Step) {
        let _ = (device, due, step);
        todo!()
    }

    /// What the device says of a message. False when it was never sent that message.
    pub async fn report(&self, device: Device, id: MessageId, kind: ReportKind) -> Result<bool, Error> {
        let _ = (device, id, kind);
        todo!()
    }

    // ---- time ----------------------------------------------------------------------------------

    /// One bounded step of housekeeping, called about once a second: verdicts what expired, drops
    /// old nonces, answers, history and statistics, writes dirty bitmaps and last-seen times.
    /// True when there was more to do than one step takes.
    pub async fn sweep(&self, now: Timestamp) -> Result<bool, Error> {
        let _ = now;
        todo!()
    }

    /// Closes every minute before `now` in the statistics: one durable step a minute.
    pub async fn close_minutes(&self, now: Timestamp) -> Result<(), Error> {
        let _ = now;
        todo!()
    }

    // ---- reading back --------------------------------------------------------------------------

    /// One page of a message's story, `limit` targets at most.
    pub async fn message(&self, app: App, id: MessageId, cursor: Option<String>, limit: usize) -> Result<Option<MessageView>, Error> {
        let _ = (app, id, cursor, limit);
        todo!()
    }

    /// Counts from `from` (inclusive) to `to` (exclusive), the open minute included.
    pub async fn stats(&self, app: App, from: Timestamp, to: Timestamp, granularity: Granularity, group_by: Vec<Dimension>) -> Result<Vec<StatsRow>, Error> {
        let _ = (app, from, to, granularity, group_by);
        todo!()
    }

    #[must_use]
    pub fn totals(&self) -> Totals {
        todo!()
    }

    /// Why the store is read-only, when it is.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        todo!()
    }

    /// Commits what is in hand and ends the threads. Operations after it are `Unavailable`.
    pub async fn close(&self) {
        todo!()
    }

    /// Makes a partition's thread panic: the process exits and loses nothing.
    pub fn crash(&self) {
        todo!()
    }
}

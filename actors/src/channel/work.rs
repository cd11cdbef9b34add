//! What a channel has to carry, as the store gives it out.

use std::sync::Arc;

use carillon_sdk::{Timestamp, Vendor};
use futures_util::future::BoxFuture;
use tokio::sync::Notify;

use crate::model::{App, Device, Message};
use crate::store;

/// Names an errand to whoever gave it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ErrandId(pub u64);

/// One message for one device, claimed for this channel: while claimed, no other road carries it.
#[derive(Debug, Clone)]
pub struct Errand {
    pub id: ErrandId,
    pub device: Device,
    pub token: String,
    /// When the device reported the token.
    pub registered_at: Timestamp,
    pub message: Arc<Message>,
    /// Calls that were made for it before.
    pub attempts: u16,
    /// Of the first lane: someone waits for it.
    pub urgent: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ErrandLane {
    Urgent,
    Normal,
    Bulk,
}

#[derive(Debug, Default)]
pub struct Claimed {
    pub errands: Vec<Errand>,
    /// When the next one of the lane that was not given is due.
    pub next_due: Option<Timestamp>,
}

/// What became of an errand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The vendor took it, and named it so.
    HandedOver { vendor_id: Option<String> },
    /// Due again then; a call was made for it.
    Again { at: Timestamp },
    /// The token is dead: it is unbound if it is still this one and was reported before then.
    Dead { code: String, dead_since: Option<Timestamp> },
    /// This vendor will not carry it: another road does, or none.
    Refused { code: String },
    /// Given back untouched, due at once.
    Unclaim,
}

/// The errands of one channel.
pub trait Errands: Send + Sync {
    /// Up to `max` errands of the lane that are due, claimed durably.
    fn claim(&self, lane: ErrandLane, max: usize) -> BoxFuture<'static, Result<Claimed, store::Error>>;

    /// What became of claimed ones: settled in one commit, and answered when that is durable.
    fn conclude(&self, ends: Vec<(ErrandId, End)>) -> BoxFuture<'static, Result<(), store::Error>>;

    /// Whether a claimed one may still be sent: the device has this token, and its user is who was
    /// meant. What is known without waiting, to be asked at the moment of sending.
    fn is_owed(&self, id: ErrandId) -> bool;

    /// Told when something became due for this channel.
    fn watch(&self) -> Arc<Notify>;
}

/// Where channels get their errands from.
pub trait Works: Send + Sync {
    /// Whatever another life of the channel held claimed is due again.
    fn errands(&self, app: App, vendor: Vendor) -> Arc<dyn Errands>;
}

impl ErrandLane {
    /// The first is the most urgent.
    pub const ALL: [Self; 3] = [Self::Urgent, Self::Normal, Self::Bulk];
}

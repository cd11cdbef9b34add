//! The engine's own names for things: dense numbers where the edge has texts, so that a queue key
//! is short and a set of devices is a bitmap.

use std::sync::Arc;

use carillon_sdk::wire::Lane;
use carillon_sdk::{MessageId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

/// A tenant: an app id with a workspace id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct App(pub u32);

/// A device of an app. Ordinals are dense and never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Device {
    pub app: App,
    pub ordinal: u32,
}

impl Device {
    /// Stands for an id under which `app` has no device: a target of a push that is answered `Gone`.
    #[must_use]
    pub const fn unknown(app: App) -> Self {
        Self { app, ordinal: u32::MAX }
    }
}

/// A user of an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct User {
    pub app: App,
    pub ordinal: u32,
}

/// Whose queue a pending message stands in. A message for a user stays the user's: every device
/// the user is logged in on reads that one queue, so unbinding withdraws by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Owner {
    Device(Device),
    User(User),
}

impl Owner {
    #[must_use]
    pub const fn app(self) -> App {
        match self {
            Self::Device(device) => device.app,
            Self::User(user) => user.app,
        }
    }
}

/// The order of acceptance: one counter for the whole store, drawn when a partition takes the
/// operation in hand, so a push accepted before another began has the smaller number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Seq(pub u64);

/// A session's number: greater than that of any earlier session of any device, over restarts too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Epoch(pub u64);

/// A shard, by its place in the router.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ShardNo(pub u16);

/// How a push was asked for: a dimension of statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[repr(u8)]
pub enum PushType {
    Single = 1,
    Multiple = 2,
    Broadcast = 3,
}

/// What is sent, before it has a place in any queue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    pub id: MessageId,
    pub app: App,
    pub push_type: PushType,
    pub title: Option<String>,
    pub body: Option<String>,
    /// A JSON object, as text.
    pub data: Option<String>,
    pub lane: Lane,
    pub silent: bool,
    pub collapse_key: Option<String>,
    pub accepted_at: Timestamp,
    /// Equal to `accepted_at` for an online-only push.
    pub expires_at: Timestamp,
}

impl Message {
    /// Bytes of payload, for the limits of a queue.
    #[must_use]
    pub fn payload_bytes(&self) -> usize {
        [&self.title, &self.body, &self.data].iter().map(|text| text.as_ref().map_or(0, String::len)).sum()
    }

    /// The push frame for the queue place `seq`, for `user` when it is a user's.
    #[must_use]
    pub fn frame(&self, seq: Seq, user: Option<&UserId>) -> carillon_sdk::wire::Push {
        carillon_sdk::wire::Push {
            seq: seq.0,
            message_id: self.id,
            title: self.title.clone(),
            body: self.body.clone(),
            data: self.data.as_deref().and_then(|text| serde_json::from_str(text).ok()),
            lane: self.lane,
            silent: self.silent,
            collapse_key: self.collapse_key.clone(),
            sent_at: self.accepted_at,
            expires_at: if self.expires_at == self.accepted_at {
                Timestamp::default()
            } else {
                self.expires_at
            },
            user_id: user.cloned(),
        }
    }
}

/// A message in its place in a queue, ready to be written to sockets.
pub type Due = Arc<crate::encoded::Encoded>;

//! Events: what became of pushes, one device at a time, in the order it happened.

use serde::{Deserialize, Serialize};

use super::Platform;
use crate::ids::{DeviceId, MessageId, UserId};
use crate::time::Timestamp;

/// What happened to a message at a device, or for a user that no device was bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum EventType {
    /// It is on disk and due to the device.
    Accepted,
    /// It was written to the device's socket.
    Sent,
    /// The device acked it.
    Arrived,
    Shown,
    Opened,
    Dismissed,
    Expired,
    /// By a later one with the same collapse key.
    Replaced,
    Revoked,
    /// It will not arrive; `reason` says why.
    Rejected,
    /// A vendor's channel took it. `arrived` may follow.
    HandedOver,
    /// Of no message: a vendor said that the device's token of `channel` is dead, and it was dropped;
    /// `reason` is the vendor's word for it.
    TokenInvalidated,
}

impl EventType {
    pub const ALL: [Self; 12] = [
        Self::Accepted,
        Self::Sent,
        Self::Arrived,
        Self::Shown,
        Self::Opened,
        Self::Dismissed,
        Self::Expired,
        Self::Replaced,
        Self::Revoked,
        Self::Rejected,
        Self::HandedOver,
        Self::TokenInvalidated,
    ];

    /// As it stands in JSON and in queries.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Sent => "sent",
            Self::Arrived => "arrived",
            Self::Shown => "shown",
            Self::Opened => "opened",
            Self::Dismissed => "dismissed",
            Self::Expired => "expired",
            Self::Replaced => "replaced",
            Self::Revoked => "revoked",
            Self::Rejected => "rejected",
            Self::HandedOver => "handed_over",
            Self::TokenInvalidated => "token_invalidated",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EventView {
    /// The same whenever the event is given out, and no other event's.
    pub id: String,
    #[serde(rename = "type")]
    pub kind: EventType,
    /// When it reached the server, milliseconds since 1970.
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    pub at: Timestamp,
    /// Absent where it is of no message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub message_id: Option<MessageId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// Absent for a device deleted since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub device_id: Option<DeviceId>,
    /// Whom the push was for: when no device of his is meant, and when it was sent under a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub user_id: Option<UserId>,
    /// Of the device, where one is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// The caller's own name for the message, where it gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// `single`, `multiple`, `broadcast` or `template`; absent where it is of no message.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub push_type: String,
    /// By which road: `own` is our own connection to the device.
    pub channel: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What the vendor said of the message: its code when it would not have it, its own id for it when
    /// it took it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Of a token: the first 16 hexadecimal digits of its SHA-256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_digest: Option<String>,
}

/// `GET /v1/events`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EventList {
    pub events: Vec<EventView>,
    /// Where to go on, whether there were events or not.
    pub cursor: String,
    /// There is more now, or may be.
    pub more: bool,
    /// History between the cursor given and these events is no longer kept.
    pub gap: bool,
}

//! What history holds: one step of one message, for a device, a user, or a group of devices.

use std::sync::Arc;

use carillon_sdk::api::{Platform, Step};
use carillon_sdk::wire::Lane;
use carillon_sdk::{MessageId, Timestamp, Vendor};
use roaring::RoaringBitmap;

use crate::model::{App, Due, PushType, Task};

#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// When it reached the server.
    pub at: Timestamp,
    pub app: App,
    pub id: MessageId,
    pub push_type: PushType,
    pub task: Option<Task>,
    pub step: Step,
    pub whom: Whom,
    /// Of the device; none for a user or a group.
    pub platform: Option<Platform>,
    /// The same. At most 255 bytes are kept; the API allows 64.
    pub app_version: Option<Arc<str>>,
    pub channel: Channel,
    pub reason: Option<Reason>,
    /// The vendor's name for it, or its word for why not: at most 64 bytes are kept.
    pub detail: Option<Box<str>>,
    /// On `Accepted`: what a reader must know of the message when it is no longer stored.
    pub message: Option<MessageHead>,
}

/// By ordinal within the app.
#[derive(Debug, Clone, PartialEq)]
pub enum Whom {
    Device(u32),
    User(u32),
    /// Devices of a broadcast that took the same step within about a second.
    Group(RoaringBitmap),
}

impl Whom {
    /// How many devices or users this stands for.
    #[must_use]
    pub fn count(&self) -> u64 {
        match self {
            Self::Device(_) | Self::User(_) => 1,
            Self::Group(devices) => devices.len(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageHead {
    pub lane: Lane,
    pub expires_at: Timestamp,
    /// For the app alone: nothing is shown.
    pub silent: bool,
}

impl MessageHead {
    #[must_use]
    pub fn of(due: &Due) -> Self {
        Self { lane: due.lane, expires_at: due.expires_at, silent: due.silent }
    }
}

/// By which road a message went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Channel {
    /// Our own connection to the device.
    #[default]
    Own,
    Vendor(Vendor),
}

impl Channel {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Vendor(vendor) => vendor.as_str(),
        }
    }

    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Own),
            code => match Vendor::from_code(code) {
                Some(vendor) => Some(Self::Vendor(vendor)),
                None => None,
            },
        }
    }

    /// Its number on disk.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Own => 0,
            Self::Vendor(vendor) => vendor as u8,
        }
    }
}

/// Why a message was rejected or expired, from a closed list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Reason {
    DeviceDeleted = 1,
    QueueFull = 2,
    /// `ttl: 0`, and no session was open.
    Offline = 3,
    /// It was written to the socket, and no ack came until it expired.
    AckTimeout = 4,
    DeviceUnknown = 5,
    /// A vendor's channel will not carry it, and no other road was wished.
    VendorRefused = 6,
    /// The same, since the token is dead.
    TokenDead = 7,
    /// Routed: the device has a vendor's token, and that road goes first.
    VendorFirst = 8,
    /// Routed: a session was open.
    Online = 9,
    /// Routed: no session was open.
    Unconnected = 10,
    /// Routed: it waited for an ack on our own road as long as it should.
    Waited = 11,
    /// Routed: no other road was wished.
    OwnOnly = 12,
    /// Routed: the vendor would not have it.
    Fallback = 13,
    /// Routed: the token it was to go to is gone.
    TokenGone = 14,
    /// Refused, after the vendor took it: its receipt says that the device will not show it.
    ByReceipt = 15,
}

impl Reason {
    pub const ALL: [Self; 15] = [
        Self::DeviceDeleted,
        Self::QueueFull,
        Self::Offline,
        Self::AckTimeout,
        Self::DeviceUnknown,
        Self::VendorRefused,
        Self::TokenDead,
        Self::VendorFirst,
        Self::Online,
        Self::Unconnected,
        Self::Waited,
        Self::OwnOnly,
        Self::Fallback,
        Self::TokenGone,
        Self::ByReceipt,
    ];

    /// As it stands in the API and in statistics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DeviceDeleted => "device_deleted",
            Self::QueueFull => "queue_full",
            Self::Offline => "offline",
            Self::AckTimeout => "ack_timeout",
            Self::DeviceUnknown => "device_unknown",
            Self::VendorRefused => "vendor_refused",
            Self::TokenDead => "token_dead",
            Self::VendorFirst => "vendor_first",
            Self::Online => "online",
            Self::Unconnected => "unconnected",
            Self::Waited => "waited",
            Self::OwnOnly => "own_only",
            Self::Fallback => "fallback",
            Self::TokenGone => "token_gone",
            Self::ByReceipt => "by_receipt",
        }
    }

    /// The reason behind a stored number.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|&reason| reason as u8 == code)
    }
}

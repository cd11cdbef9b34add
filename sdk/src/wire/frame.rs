//! Every frame of the protocol and its fields. Field names here are the names on the wire.

use std::fmt;

use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::ids::{DeviceId, MessageId, UserId};
use crate::time::Timestamp;

/// Most pushes a Hello may name as held.
pub const HOLDING_MAX: usize = 256;

/// Most pushes one Ack may name.
pub const ACK_SEQS_MAX: usize = 1_024;

/// A frame. The number is its type on the wire and never changes.
#[derive(Debug, Clone, PartialEq)]
#[repr(u8)]
pub enum Frame {
    /// Device → server, first on a connection, once.
    Hello(Hello) = 1,
    /// Server → device, the answer to Hello.
    Welcome(Welcome) = 2,
    /// Server → device.
    Push(Push) = 3,
    /// Device → server: these arrived.
    Ack(Ack) = 4,
    /// Device → server: what became of a message on the device.
    Report(Report) = 5,
    /// Server → device: withdraw what was shown.
    Revoke(Revoke) = 6,
    /// Device → server: this user is logged in here. Answered by `Answer`.
    Bind(Bind) = 7,
    /// Device → server: nobody is logged in here. Answered by `Answer`.
    Unbind(Unbind) = 8,
    /// Device → server: a phone maker's token for this device. Answered by `Answer`.
    VendorToken(VendorToken) = 9,
    /// Server → device: the answer to Bind, Unbind and VendorToken, by their `request`.
    Answer(BindAnswer) = 10,
    /// Either way; answered by Pong.
    Ping = 11,
    Pong = 12,
    /// Server → device, last on a connection.
    Goodbye(Goodbye) = 13,
    /// Server → device: a frame was not obeyed. The connection goes on unless a Goodbye follows.
    Error(Error) = 14,
}

/// The names of the frames in JSON, in the order of their numbers.
pub(super) const NAMES: [&str; 14] = [
    "hello",
    "welcome",
    "push",
    "ack",
    "report",
    "revoke",
    "bind",
    "unbind",
    "vendor_token",
    "answer",
    "ping",
    "pong",
    "goodbye",
    "error",
];

impl Frame {
    /// Its number on the wire.
    #[must_use]
    pub const fn kind(&self) -> u8 {
        match self {
            Self::Hello(_) => 1,
            Self::Welcome(_) => 2,
            Self::Push(_) => 3,
            Self::Ack(_) => 4,
            Self::Report(_) => 5,
            Self::Revoke(_) => 6,
            Self::Bind(_) => 7,
            Self::Unbind(_) => 8,
            Self::VendorToken(_) => 9,
            Self::Answer(_) => 10,
            Self::Ping => 11,
            Self::Pong => 12,
            Self::Goodbye(_) => 13,
            Self::Error(_) => 14,
        }
    }

    /// Its name in JSON, and in logs and metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        NAMES[self.kind() as usize - 1]
    }
}

/// Which queue a push travels in. Between lanes there is no order, and none starves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Lane {
    High,
    #[default]
    Normal,
    /// Broadcasts and campaigns; a caller cannot choose it.
    Bulk,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Hello {
    /// Highest protocol version the device speaks.
    pub version: u16,
    /// The signed credential that registration gave.
    pub credential: String,
    /// The heartbeat the device would like, in seconds; the server answers with the one agreed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub heartbeat_s: u32,
    /// Resume point: the `session` of the last Welcome this device had, 0 if it had none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub resume: u64,
    /// `seq` of each push the device holds whose Ack may not have reached the server. They are
    /// taken as acked. At most [`HOLDING_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "at_most::<HOLDING_MAX, _>")]
    pub holding: Vec<u64>,
    /// The app's version now; registration's is replaced when it differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_version: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Welcome {
    pub version: u16,
    /// This session's number; a later session of the same device has a greater one.
    pub session: u64,
    /// True when `resume` named the device's last session: nobody else used its credential since.
    pub resumed: bool,
    /// The agreed heartbeat in seconds: the device sends something at least this often, and the
    /// server closes after one and a half times that silence.
    pub heartbeat_s: u32,
    /// The server's wall time, in milliseconds since 1970.
    pub now: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_id: Option<DeviceId>,
    /// The user bound to this device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Push {
    /// By which this delivery is acked; the same in every repeat to this device.
    pub seq: u64,
    /// By which a device knows a repeat, whatever road it came on.
    pub message_id: MessageId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The app's own data: any JSON object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<serde_json::Value>,
    pub lane: Lane,
    /// True when the message is for the app and nothing is to be shown.
    #[serde(default, skip_serializing_if = "is_false")]
    pub silent: bool,
    /// Where a tap leads: a URL or a deep link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// How it is to be shown, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look: Option<Box<Look>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collapse_key: Option<String>,
    /// When the server accepted it.
    pub sent_at: Timestamp,
    /// From this moment on it must not be shown. 0 for online-only pushes.
    pub expires_at: Timestamp,
    /// The user it is for, when it was sent to a user. A device shows it only while that user is
    /// logged in on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
}

/// How a message is shown. What a device cannot do it leaves out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Look {
    #[serde(default, skip_serializing_if = "is_default")]
    pub style: Style,
    /// What a tap on `uri` opens.
    #[serde(default, skip_serializing_if = "is_default")]
    pub action: TapAction,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icon_url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_url: Option<String>,
    /// The Android notification channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel_id: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Style {
    #[default]
    Text,
    BigText,
    /// With icon and image.
    Rich,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum TapAction {
    /// A page on the web.
    #[default]
    Web,
    /// A screen of the app.
    App,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Ack {
    /// `seq` of each push that arrived. At most [`ACK_SEQS_MAX`].
    #[serde(deserialize_with = "at_most::<ACK_SEQS_MAX, _>")]
    pub seqs: Vec<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ReportKind {
    Shown,
    Opened,
    Dismissed,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub message_id: MessageId,
    pub kind: ReportKind,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Revoke {
    pub message_id: MessageId,
    /// By which it is acked, as a push is; 0 when it is not to be.
    #[serde(default, skip_serializing_if = "is_zero64")]
    pub seq: u64,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Bind {
    /// Chosen by the device, repeated in the answer.
    pub request: u32,
    /// Signed by the app server: `sign::BindToken`.
    pub token: String,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Unbind {
    pub request: u32,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct VendorToken {
    pub request: u32,
    /// The channel's name: `apns`, `fcm`, `huawei`, …
    pub channel: String,
    /// The token, 1 to 4,096 bytes; empty withdraws the one on record.
    pub token: String,
}

/// The answer to Bind, Unbind and VendorToken.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct BindAnswer {
    /// 0 is never a device's: by it the server tells of a user bound or unbound through the API.
    pub request: u32,
    /// Absent when the request was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorCode>,
    /// The user now bound to the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Goodbye {
    pub reason: GoodbyeReason,
    /// Come back no sooner than this, in milliseconds, jitter already included.
    #[serde(default, skip_serializing_if = "is_zero64")]
    pub retry_after_ms: u64,
}

/// Why a server ends a connection. A reason one side does not know reads as `Other`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GoodbyeReason {
    /// The server is stopping.
    Draining,
    /// A newer session of this device took over.
    Replaced,
    /// The device was silent for one and a half heartbeats, or owed an answer to a probe.
    Idle,
    /// The device read too slowly; its messages stay pending.
    Slow,
    /// More devices than the server may hold, or a storm of them.
    Busy,
    /// The credential was refused; registering again is the cure.
    Credential,
    /// The device broke the protocol; an Error frame before it says how.
    Protocol,
    /// The device was deleted or its credential revoked.
    Revoked,
    /// Something failed in the server; nothing is lost.
    Internal,
    #[serde(other)]
    Other,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Error {
    pub code: ErrorCode,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// Codes in Error frames and answers. Each is a heading in docs/errors.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// A first frame that is no Hello.
    HelloExpected,
    /// A second Hello.
    HelloTwice,
    /// A credential that does not verify, or of a device that no longer exists.
    CredentialInvalid,
    /// A frame longer than allowed.
    FrameTooLong,
    /// A frame whose body could not be read.
    FrameMalformed,
    /// An Ack for a push that is not in flight on this connection.
    AckUnknown,
    /// A Report for a message this device was not sent.
    ReportUnknown,
    /// A bind token that does not verify, is for another device or app, or names no user.
    BindTokenInvalid,
    BindTokenExpired,
    /// A channel the server does not know, or a token out of bounds.
    VendorTokenInvalid,
    /// Too many frames of this kind; slow down.
    TooMany,
    /// The store cannot take it now; try again.
    Unavailable,
    /// A frame only a server may send.
    UnexpectedFrame,
    #[serde(other)]
    Other,
}

fn is_zero<T: PartialEq + From<u8>>(n: &T) -> bool {
    *n == T::from(0)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
fn is_zero64(n: &u64) -> bool {
    *n == 0
}

fn is_default<T: PartialEq + Default>(value: &T) -> bool {
    *value == T::default()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
fn is_false(b: &bool) -> bool {
    !*b
}

/// A list of at most `N` numbers. A longer one is refused at its first number too many, and what a
/// sender claims to be the length reserves no more than that.
fn at_most<'de, const N: usize, D: Deserializer<'de>>(from: D) -> Result<Vec<u64>, D::Error> {
    struct List<const N: usize>;
    impl<'de, const N: usize> Visitor<'de> for List<N> {
        type Value = Vec<u64>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a list of at most {N} numbers")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<u64>, A::Error> {
            let mut numbers = Vec::with_capacity(list.size_hint().unwrap_or(0).min(N));
            while let Some(number) = list.next_element()? {
                if numbers.len() == N {
                    return Err(de::Error::invalid_length(N + 1, &self));
                }
                numbers.push(number);
            }
            Ok(numbers)
        }
    }
    from.deserialize_seq(List::<N>)
}

//! The bodies of the native HTTP API, `/v1`. Field names here are the names in JSON.
//!
//! Requests refuse unknown fields, so that a misspelt option is an error and not a surprise;
//! answers may gain fields at any time.

pub mod endpoints;
pub mod events;
pub mod revokes;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::owner::{RotateKey, UpdateApp, UpdateKey};
pub use self::problem::{Problem, ProblemAt};
use crate::ids::{AppId, DeviceId, KeyId, MessageId, UserId, WorkspaceId};
use crate::time::Timestamp;
pub use crate::wire::frame::{Lane, Look, ReportKind, Style, TapAction};
pub use endpoints::SignatureAlgorithm;
pub use events::{EventList, EventType, EventView};

pub mod analysis;
pub mod audit;
pub mod batch;
pub mod campaigns;
pub mod lists;
pub mod owner;
mod problem;
pub mod schedules;
pub mod settings;
pub mod tags;
pub mod templates;
pub mod tokens;
pub mod vendors;

/// The kind of device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Platform {
    Android,
    Ios,
    #[serde(rename = "harmonyos")]
    HarmonyOs,
    Web,
    #[default]
    Other,
}

impl Platform {
    pub const ALL: [Self; 5] = [Self::Android, Self::Ios, Self::HarmonyOs, Self::Web, Self::Other];

    /// As it stands in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Android => "android",
            Self::Ios => "ios",
            Self::HarmonyOs => "harmonyos",
            Self::Web => "web",
            Self::Other => "other",
        }
    }
}

/// `POST /v1/devices`. With a `device_id` already registered it updates that device and returns a
/// new credential, and the old one stops working.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RegisterDevice {
    /// The caller's own name for the device, 1–256 bytes; the server makes one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, min_length = 1, max_length = 256))]
    pub device_id: Option<DeviceId>,
    pub platform: Platform,
    /// At most 64 bytes, like every text below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maker: Option<String>,
    /// A BCP 47 language tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// An IANA time zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
}

/// Where devices connect. A transport that is not offered is absent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeviceAddresses {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<String>,
    /// A `ws://` or `wss://` URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ws: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeviceRegistered {
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub device_id: DeviceId,
    /// Opaque and secret; the device shows it in Hello.
    pub credential: String,
    pub addresses: DeviceAddresses,
    /// In `carillon dev` only: the certificate, in PEM, that signs the TLS listener's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_pem: Option<String>,
    /// False when the device was registered before.
    pub created: bool,
}

/// `GET /v1/devices/{id}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeviceView {
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub device_id: DeviceId,
    pub platform: Platform,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maker: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub user_id: Option<UserId>,
    /// True while a session is open.
    pub online: bool,
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    pub registered_at: Timestamp,
    /// When a session last opened or closed; written lazily, so a crash may lose the last minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u64>))]
    pub last_seen_at: Option<Timestamp>,
    /// Messages waiting for this device, those of its user and broadcasts not counted.
    pub pending: u32,
    /// The channels for which a vendor token is on record.
    #[serde(default)]
    pub vendor_channels: Vec<String>,
    /// In alphabetical order.
    #[serde(default)]
    pub tags: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeviceList {
    pub devices: Vec<DeviceView>,
    /// Give it as `cursor` for the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// `PUT /v1/devices/{id}/user`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BindUser {
    #[cfg_attr(feature = "openapi", schema(value_type = String, min_length = 1, max_length = 256))]
    pub user_id: UserId,
}

/// `GET /v1/users/{id}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UserView {
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub user_id: UserId,
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub devices: Vec<DeviceId>,
    /// Messages kept for this user.
    pub pending: u32,
    /// In alphabetical order.
    #[serde(default)]
    pub tags: Vec<String>,
}

/// Whom a push is for: exactly one of the four.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Target {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub devices: Vec<DeviceId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub users: Vec<UserId>,
    /// Every device of the app, those that register within the validity included.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// The devices of an audience, as docs/audiences.md has it, at most 4,096 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
}

/// `POST /v1/pushes`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PushRequest {
    pub to: Target,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The app's own data: a JSON object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub data: Option<Value>,
    /// Validity in seconds; the server's default when absent. 0: only to devices online now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_s: Option<u64>,
    /// `high` or `normal`.
    #[serde(default)]
    pub lane: Lane,
    /// A later push with the same key replaces this one where it is still pending. 1–64 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collapse_key: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub silent: bool,
    /// Where a tap leads: a URL or a deep link, at most 2,048 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look: Option<Look>,
    /// In the words of this template, in place of title, body, URI, look and `silent`; `data`, when
    /// given, goes in place of the template's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// The template's variables: variable → its text.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub values: std::collections::BTreeMap<String, String>,
    /// Its road, and what is for vendors alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<vendors::VendorOptions>,
}

/// The answer to `POST /v1/pushes`: 202 when at least one target was accepted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PushAccepted {
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub message_id: MessageId,
    /// Targets accepted: devices and users named, or every device now registered.
    pub accepted: u32,
    /// One row a target named, in the order given; empty for a push to all.
    #[serde(default)]
    pub targets: Vec<TargetAnswer>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TargetAnswer {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub device_id: Option<DeviceId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub user_id: Option<UserId>,
    pub accepted: bool,
    /// Why not, when not: `device_unknown`, `queue_full`, `offline` (ttl 0), …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// What happened to a message on its way to one device (or to a user no device was bound to).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Step {
    Accepted,
    /// Written to the device's socket, which is not yet delivered.
    Sent,
    /// The device acked it. Terminal.
    Delivered,
    /// Terminal.
    Expired,
    /// Terminal.
    Revoked,
    /// A later push with the same collapse key took its place. Terminal.
    Replaced,
    /// Terminal, with a reason.
    Rejected,
    Shown,
    Opened,
    Dismissed,
    /// By which road it goes, with why.
    Routed,
    /// A vendor's channel took it, and tells no more unless it sends receipts. Terminal.
    HandedOver,
    /// After `handed_over`: the vendor's receipt, or the app, says that it arrived.
    Confirmed,
    /// A vendor's channel would not have it, and it goes by another road.
    Refused,
    /// Of no message: a vendor said that a device's token is dead, and it was dropped.
    TokenInvalidated,
}

impl Step {
    /// True for the verdicts, of which each accepted target gets exactly one.
    #[must_use]
    pub const fn is_verdict(self) -> bool {
        matches!(
            self,
            Self::Delivered
                | Self::HandedOver
                | Self::Expired
                | Self::Revoked
                | Self::Replaced
                | Self::Rejected
        )
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StepView {
    pub step: Step,
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    pub at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The vendor's channel; of `routed` also `own`, our socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// The vendor's own name for it, or its word for why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// One target's story.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TargetView {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub device_id: Option<DeviceId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub user_id: Option<UserId>,
    /// `pending`, or the verdict.
    pub state: String,
    pub steps: Vec<StepView>,
}

/// `GET /v1/messages/{id}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MessageView {
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub message_id: MessageId,
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    pub accepted_at: Timestamp,
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    pub expires_at: Timestamp,
    pub lane: Lane,
    /// Targets in each state, all pages counted.
    pub counts: std::collections::BTreeMap<String, u64>,
    pub targets: Vec<TargetView>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A minute, an hour or a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Granularity {
    #[default]
    Minute,
    Hour,
    Day,
}

/// A dimension by which statistics may be grouped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Dimension {
    Platform,
    AppVersion,
    Channel,
    PushType,
    Reason,
    Task,
}

impl Dimension {
    /// As it stands in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Platform => "platform",
            Self::AppVersion => "app_version",
            Self::Channel => "channel",
            Self::PushType => "push_type",
            Self::Reason => "reason",
            Self::Task => "task",
        }
    }
}

/// `GET /v1/stats`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StatsView {
    pub granularity: Granularity,
    pub rows: Vec<StatsRow>,
}

/// Counts of one period and one value of each dimension asked for. Each event is counted in the
/// minute it reached the server.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StatsRow {
    /// Start of the period, milliseconds since 1970.
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    pub start: Timestamp,
    /// Dimension → value, for each dimension in `group_by`.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub group: std::collections::BTreeMap<String, String>,
    pub accepted: u64,
    pub sent: u64,
    /// The device acked it, or a vendor's receipt said so.
    pub arrived: u64,
    /// A vendor's channel took it, and no more is known.
    #[serde(default)]
    pub handed_over: u64,
    pub shown: u64,
    pub opened: u64,
    pub dismissed: u64,
    pub expired: u64,
    pub replaced: u64,
    pub revoked: u64,
    pub failed: u64,
}

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Scope {
    /// Send pushes.
    Push,
    /// Register, bind and delete devices.
    Device,
    /// Read devices, users, messages and statistics.
    Read,
    /// Make and revoke keys of the same app.
    Keys,
    /// Write templates, settings and whatever else the app's owner keeps.
    Manage,
    /// Make apps. Only the operator's key has it, and it has nothing else.
    Operator,
}

/// `POST /v1/keys`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreateKey {
    /// What it is for, at most 64 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// All but `operator` when empty.
    #[serde(default)]
    pub scopes: Vec<Scope>,
    /// Whether `Authorization: Bearer` is accepted for it, over TLS or loopback only.
    #[serde(default)]
    pub bearer: bool,
    /// From then on it is as if it had never been; never when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u64>))]
    pub expires_at: Option<Timestamp>,
    /// Addresses and ranges (`192.0.2.0/24`) from which it may be used, at most 100; from any when
    /// empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<String>,
}

/// A key just made: the only time its secret is shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KeyCreated {
    #[serde(flatten)]
    pub key: KeyView,
    pub secret: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KeyView {
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub key_id: KeyId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub scopes: Vec<Scope>,
    pub bearer: bool,
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    pub created_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u64>))]
    pub revoked_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u64>))]
    pub expires_at: Option<Timestamp>,
    /// Addresses and ranges from which it may be used; from any when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<String>,
    /// Written lazily: a crash may lose the last minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u64>))]
    pub last_used_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_from: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KeyList {
    pub keys: Vec<KeyView>,
}

/// `POST /v1/apps`, with the operator's key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreateApp {
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub app_id: AppId,
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub workspace_id: WorkspaceId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AppView {
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub app_id: AppId,
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub workspace_id: WorkspaceId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Publishable: it can register devices and nothing else.
    pub client_key: String,
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    pub created_at: Timestamp,
    /// False while the operator has shut it.
    #[serde(default = "yes")]
    pub enabled: bool,
}

const fn yes() -> bool {
    true
}

/// An app just made, with its first key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AppCreated {
    pub app: AppView,
    pub key: KeyCreated,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AppList {
    pub apps: Vec<AppView>,
}

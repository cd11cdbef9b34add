//! Bodies of `/v1/tokens` and of the tokens of a device.

use serde::{Deserialize, Serialize};

use super::Platform;
use super::lists::LineError;
use crate::ids::{DeviceId, UserId};
use crate::time::Timestamp;
use crate::vendor::Vendor;

/// `PUT /v1/devices/{id}/tokens/{channel}`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SetToken {
    /// As the maker's SDK gave it, 1 to 4,096 bytes; of Web Push the subscription as JSON.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 4096))]
    pub token: String,
}

/// What became of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum TokenOutcome {
    /// The device had none of the channel.
    New,
    /// In place of another.
    Replaced,
    /// The device had it already.
    Same,
    /// Another device had it, and has it no more.
    Moved,
    /// One that was registered later is on record; or this one, by another device.
    Stale,
}

/// The answer to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokenSet {
    pub outcome: TokenOutcome,
}

/// A token on record.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokenView {
    pub channel: Vendor,
    pub token: String,
    /// What stands for the token where its text has no place: the first 16 hexadecimal digits of its
    /// SHA-256.
    pub digest: String,
    /// When it was last said to be registered; absent when nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u64>))]
    pub registered_at: Option<Timestamp>,
    /// Who said so: `device`, or `key:`, `mpaas:` or `import:` and a key's id.
    pub by: String,
}

/// What was done to a token of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum TokenStep {
    Registered,
    /// In place of another.
    Replaced,
    /// The other device had it before.
    MovedFrom,
    /// The other device has it now.
    MovedTo,
    Withdrawn,
    /// The vendor says that it is dead.
    Invalidated,
}

impl TokenStep {
    /// As it stands in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Replaced => "replaced",
            Self::MovedFrom => "moved_from",
            Self::MovedTo => "moved_to",
            Self::Withdrawn => "withdrawn",
            Self::Invalidated => "invalidated",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokenChange {
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    pub at: Timestamp,
    pub channel: Vendor,
    pub digest: String,
    pub change: TokenStep,
    /// Of a token that moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub other_device: Option<DeviceId>,
    /// As in a token; `vendor` and `receipt` are the vendor, in an answer or a receipt.
    pub by: String,
    /// The vendor's word for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `GET /v1/devices/{id}/tokens`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeviceTokens {
    pub tokens: Vec<TokenView>,
    /// The channel that carries for the device, when one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carrier: Option<Vendor>,
    /// The newest 32 changes, the newest first.
    pub history: Vec<TokenChange>,
}

/// A line of `POST /v1/tokens/import` and of `GET /v1/tokens`: what is exported can be imported.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokenLine {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub device_id: Option<DeviceId>,
    pub channel: Vendor,
    pub token: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maker: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub user_id: Option<UserId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u64>))]
    pub registered_at: Option<Timestamp>,
}

/// What an import did, in lines.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokensImported {
    pub new: u64,
    pub replaced: u64,
    pub same: u64,
    pub moved: u64,
    pub stale: u64,
    /// Devices that were registered by it.
    pub devices: u64,
    /// Devices to which a user was bound by it.
    pub bound: u64,
    /// Lines left out.
    pub skipped: u64,
    /// The first thousand of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<LineError>,
}

macro_rules! hides_its_token {
    ($($name:ident),*) => {$(
        /// Without the token's text.
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    )*};
}

hides_its_token!(SetToken, TokenView, DeviceTokens, TokenLine);

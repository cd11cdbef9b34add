//! Bodies of `/v1/tags`, of the tags of devices and users, and of `/v1/audiences`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Platform;
use super::lists::LineError;

/// `PUT /v1/devices/{id}/tags` and `PUT /v1/users/{id}/tags`: these and no others. Also the answer
/// to whatever changes them, in alphabetical order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Tags {
    /// At most 100, of 1 to 64 bytes each, without control characters.
    #[cfg_attr(feature = "openapi", schema(max_items = 100))]
    pub tags: Vec<String>,
}

/// `PATCH` of the same: what is removed and not added goes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChangeTags {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub add: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TagCount {
    pub tag: String,
    /// Devices that have it themselves.
    pub devices: u64,
    pub users: u64,
}

/// `GET /v1/tags`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TagList {
    pub tags: Vec<TagCount>,
    /// Give it as `cursor` for the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Whom a file of members names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum MemberKind {
    #[default]
    Devices,
    Users,
}

/// What becomes of the members a file names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum MemberMode {
    /// They get the tag.
    #[default]
    Add,
    /// They lose it.
    Remove,
    /// They get it, and every other of their kind loses it.
    Replace,
}

/// `POST /v1/tags/{tag}/members`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MembersUploaded {
    /// Members the file named that have the tag now, or with `remove` have not.
    pub members: u64,
    /// Others that lost it, with `replace`.
    pub removed: u64,
    /// Items left out.
    pub skipped: u64,
    /// The first thousand of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<LineError>,
}

/// `POST /v1/audiences/count`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CountAudience {
    /// As docs/audiences.md has it, at most 4,096 bytes.
    pub audience: String,
}

/// How many an audience has now.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AudienceCounted {
    /// As it was understood: spans are moments.
    pub audience: String,
    pub devices: u64,
    /// Different users bound to those devices.
    pub users: u64,
    #[cfg_attr(feature = "openapi", schema(value_type = BTreeMap<String, u64>))]
    pub by_platform: BTreeMap<Platform, u64>,
    /// By channels for which a token is on record; `own` has none.
    pub by_channel: BTreeMap<String, u64>,
}

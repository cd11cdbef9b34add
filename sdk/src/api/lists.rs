//! Bodies of `/v1/lists`.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// A list of targets, but for its lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ListView {
    pub list_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub lines: u64,
    /// Lines that name a device, and those that name a user.
    pub devices: u64,
    pub users: u64,
    /// Of the file as it is kept.
    pub bytes: u64,
    /// SHA-256 of the lines as they are kept, in hex: the same for the same lines.
    pub digest: String,
    /// Lines that could not be read and were left out.
    pub skipped: u64,
    /// The key that uploaded it.
    pub by: String,
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    pub created_at: Timestamp,
}

/// `POST /v1/lists`: what was kept, and what was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ListUploaded {
    #[serde(flatten)]
    pub list: ListView,
    /// The first thousand lines left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<LineError>,
}

/// A line that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LineError {
    /// From 1.
    pub line: u64,
    pub detail: String,
}

/// `GET /v1/lists`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ListList {
    pub lists: Vec<ListView>,
    /// Give it as `cursor` for the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

//! The audit log.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::time::Timestamp;

/// `GET /v1/audit`: the newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditLog {
    pub entries: Vec<AuditView>,
    /// Give it as `before` for older ones; absent when there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Who changed what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditView {
    /// Its place in the log, decimal.
    pub seq: String,
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    pub at: Timestamp,
    /// A key's id; `mpaas:` and a key's id; or `server` for what it did by itself.
    pub who: String,
    /// The address from which the request came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// As `template.create`.
    pub what: String,
    /// The object's id or name.
    pub object: String,
    /// What changed; never a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub detail: Option<Value>,
}

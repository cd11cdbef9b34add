//! What became of an app's pushes, in numbers and rates; and the tasks they belong to.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// Counts and rates. An event counts in the period in which it reached the server, so in a window
/// that cuts a push from its arrival a rate may pass 1; over a task's whole life rates are exact.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Figures {
    /// Targets that were promised a delivery.
    pub accepted: u64,
    /// Accepted and not rejected since.
    pub successful: u64,
    pub sent: u64,
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
    pub rejected: u64,
    /// Accepted and without a verdict yet.
    pub pending: u64,
    /// Arrived of successful, to four places; 0 of nothing.
    pub arrival_rate: f64,
    /// Opened of arrived.
    pub open_rate: f64,
    /// Dismissed of arrived.
    pub dismiss_rate: f64,
}

/// `GET /v1/analysis`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Analysis {
    /// Inclusive.
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    pub from: Timestamp,
    /// Exclusive.
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    pub to: Timestamp,
    pub figures: Figures,
}

/// A task and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TaskView {
    /// A decimal number.
    pub task: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `multiple` or `broadcast`.
    pub push_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    pub created_at: Timestamp,
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    pub expires_at: Timestamp,
    /// When the last target was accepted or got its verdict.
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    pub changed_at: Timestamp,
    /// The same, once nothing is pending and nobody can be added any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u64>))]
    pub ended_at: Option<Timestamp>,
    pub figures: Figures,
}

/// `GET /v1/tasks`: the newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TaskList {
    pub tasks: Vec<TaskView>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

//! Taking back what was pushed.

use serde::{Deserialize, Serialize};

/// The answer to `DELETE /v1/messages/{id}` and `DELETE /v1/tasks/{task}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Revoked {
    /// Devices, and users without one, for whom it was pending and no longer is.
    pub withdrawn: u64,
    /// Devices that may show it and are told to withdraw it: now, or when they connect.
    pub told: u64,
    /// False when a task had more deliveries than are looked up: the devices beyond are not told.
    pub complete: bool,
}

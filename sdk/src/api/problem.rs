//! What every refusal says.

use serde::{Deserialize, Serialize};

use super::TargetAnswer;
use super::campaigns::CampaignPlan;

/// Every error body: `application/problem+json`, RFC 9457.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// Resolves to the code's heading in docs/errors.md.
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    pub status: u16,
    /// Stable; for programs.
    pub code: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub request_id: String,
    /// Where in the body, as JSON pointers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<ProblemAt>,
    /// On a push of which no target was accepted: each target's code.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<TargetAnswer>,
    /// On `plan_changed` and `plan_broken`: the campaign's plan as it is now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Box<CampaignPlan>>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProblemAt {
    pub pointer: String,
    pub detail: String,
}

//! Bodies of `/v1/campaigns`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Look;
use super::templates::ChannelBreach;
use super::vendors::VendorOptions;
use crate::ids::{DeviceId, UserId};
use crate::time::Timestamp;

/// `POST /v1/campaigns`: one content, or one content in each target's own words, for many.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreateCampaign {
    /// For people, at most 64 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub to: CampaignTarget,
    /// In the words of this template as it is now, in place of title, body, URI, look and `silent`;
    /// `data`, when given, goes in place of the template's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// With `#placeholders#`, like body and uri.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Where a tap leads: a URL or a deep link, at most 2,048 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// The app's own data: a JSON object. A list's line may have its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub data: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look: Option<Look>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub silent: bool,
    /// Placeholder → text, for every target; a list's line may have its own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, String>,
    /// Validity in seconds, counted from apply: the whole campaign expires at one moment. The
    /// server's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_s: Option<u64>,
    /// A later push with the same key replaces this one where it is still pending. 1–64 bytes; for
    /// a list alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collapse_key: Option<String>,
    /// Its road, and what is for vendors alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<VendorOptions>,
    /// As fast as it goes when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pace: Option<CampaignPace>,
    /// The share of targets, above 0 and below 1, that gets it first; then the campaign holds until
    /// it is told to resume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<f64>,
}

/// Whom a campaign is for: exactly one of them.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CampaignTarget {
    /// Every device registered when it is applied.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// Every device of an audience, in the language of audiences, as found when it is applied.
    /// Spans of time in it count back from when the campaign was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// Each line of this list, in its own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<String>,
}

/// How fast targets are let go. Each bound holds by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CampaignPace {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1))]
    pub per_second: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1))]
    pub per_minute: Option<u32>,
}

/// Where a campaign stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum CampaignState {
    /// Made and not applied: nothing is sent.
    Planned,
    Running,
    /// Nothing more is let go until it is told to resume.
    Paused,
    /// The canary is out; the rest waits until it is told to resume.
    Holding,
    /// Everything is let go; some of it waits for its verdict.
    Settling,
    /// It is being withdrawn.
    Revoking,
    /// Every target has its verdict. Terminal.
    Finished,
    /// Nothing more is let go; what was stays. Terminal.
    Aborted,
    /// What was pending was withdrawn. Terminal.
    Revoked,
    /// It cannot go on; `reason` says why. Terminal.
    Failed,
}

impl CampaignState {
    pub const ALL: [Self; 10] = [
        Self::Planned,
        Self::Running,
        Self::Paused,
        Self::Holding,
        Self::Settling,
        Self::Revoking,
        Self::Finished,
        Self::Aborted,
        Self::Revoked,
        Self::Failed,
    ];

    /// Nothing changes it any more, but for a revoke.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Finished | Self::Aborted | Self::Revoked | Self::Failed)
    }

    /// As JSON has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Holding => "holding",
            Self::Settling => "settling",
            Self::Revoking => "revoking",
            Self::Finished => "finished",
            Self::Aborted => "aborted",
            Self::Revoked => "revoked",
            Self::Failed => "failed",
        }
    }
}

/// What applying a campaign would do, computed and not done.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CampaignPlan {
    /// Stands for the campaign's content and its exact targets: `apply` names it, and is refused
    /// when either has changed.
    pub plan: String,
    /// Devices of the audience, or lines of the list.
    pub targets: u64,
    /// Lines whose device is not registered: they are rejected when it runs.
    pub unknown: u64,
    /// How many of the targets are let go before it holds.
    pub canary: u64,
    /// Targets that are devices, by platform.
    pub by_platform: BTreeMap<String, u64>,
    /// The same by app version; `unknown` has none.
    pub by_app_version: BTreeMap<String, u64>,
    pub by_channel: BTreeMap<String, u64>,
    /// Targets that are users, with devices or still without.
    pub users: u64,
    /// What some of the targets would read.
    pub samples: Vec<CampaignSample>,
    /// Placeholders without a value, the first 100. A campaign with any is not applied.
    pub missing: Vec<CampaignMissing>,
    pub missing_count: u64,
    /// Of our own channel.
    pub payload: CampaignPayload,
    /// What phone makers' channels would refuse or cut.
    pub breaches: Vec<CampaignBreach>,
    /// When the last target is let go, if it were applied now and nobody paused it.
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    pub finishes_at: Timestamp,
    /// Targets that the pace does not reach within the validity. A campaign with any is not applied.
    pub late: u64,
}

/// A message as a target would get it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CampaignSample {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub device_id: Option<DeviceId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub user_id: Option<UserId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub data: Option<Value>,
}

/// A placeholder without a value.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CampaignMissing {
    /// Of the list, from 1; absent for an audience, whose targets all read the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub device_id: Option<DeviceId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub user_id: Option<UserId>,
    pub variable: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CampaignPayload {
    /// Of the longest.
    pub bytes: u64,
    pub bytes_max: u64,
    /// Targets whose payload is longer than that. A campaign with any is not applied.
    pub too_long: u64,
}

/// A limit of a channel that some texts do not keep; `has` is of the longest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CampaignBreach {
    #[serde(flatten)]
    pub breach: ChannelBreach,
    /// Targets with such a text, whether they have that channel or not.
    pub targets: u64,
}

/// `POST /v1/campaigns/{id}/apply`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApplyCampaign {
    /// The hash of the plan that was read.
    pub plan: String,
}

/// `GET /v1/campaigns/{id}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CampaignView {
    /// A decimal number: the task its messages are found and counted by.
    pub campaign_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub state: CampaignState,
    /// Why, when it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub to: CampaignTarget,
    /// The template its words were taken from, and which version of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template_version: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pace: Option<CampaignPace>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<f64>,
    pub ttl_s: u64,
    /// The key that made it.
    pub by: String,
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    pub created_at: Timestamp,
    /// The plan it was applied by, and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u64>))]
    pub applied_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u64>))]
    pub expires_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u64>))]
    pub ended_at: Option<Timestamp>,
    pub counts: CampaignCounts,
    /// Targets let go a second, over the last seconds.
    pub rate_per_s: f64,
    /// When the last target is let go, at the pace or else at the rate; absent when it does not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u64>))]
    pub finishes_at: Option<Timestamp>,
    /// Why lines of a list were not taken: code → count.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refusals: BTreeMap<String, u64>,
}

/// Targets of a campaign: devices of its audience, or lines of its list. A line for a user on several
/// devices gives a verdict for each, so verdicts may be more than targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CampaignCounts {
    /// Frozen when it was applied.
    pub targets: u64,
    /// Let go so far.
    pub released: u64,
    /// Lines of a list that were let go and not taken, for an unknown device or a full queue.
    pub refused: u64,
    /// What was taken, by device: each has or gets one verdict.
    pub accepted: u64,
    pub delivered: u64,
    /// A vendor's channel took it, and no more is known.
    #[serde(default)]
    pub handed_over: u64,
    pub opened: u64,
    pub expired: u64,
    pub revoked: u64,
    pub replaced: u64,
    pub rejected: u64,
    /// Accepted and without a verdict.
    pub pending: u64,
}

/// A campaign just made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CampaignCreated {
    #[serde(flatten)]
    pub campaign: CampaignView,
    pub planned: CampaignPlan,
}

/// `GET /v1/campaigns`, in order of creation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CampaignList {
    pub campaigns: Vec<CampaignView>,
    /// Give it as `cursor` for the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

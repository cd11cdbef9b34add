//! Pushes ordered now for later: schedules and their runs.

use serde::{Deserialize, Serialize};

use super::PushRequest;
use super::batch::PushBatch;
use crate::ids::MessageId;
use crate::time::Timestamp;

/// `POST /v1/schedules`: a push or a batch, and either `at`, or `every` with `time` and `to`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreateSchedule {
    /// For people, 1 to 64 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// As `POST /v1/pushes` takes it, but for a `ttl_s` of 0. Its validity begins when it fires. The
    /// words of a template are those of now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push: Option<PushRequest>,
    /// With a push to all: only to these devices, an expression as campaigns take it. Who belongs to
    /// it is decided when it fires, and spans as `7d` count back from then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// Instead of `push`: as `POST /v1/pushes/batch` takes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<PushBatch>,
    /// Once, at this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Moment>,
    /// Again and again, on these days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<Every>,
    /// Which days: of a week 1 (Monday) to 7, of a month 1 to 31; none for every day.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on: Vec<i64>,
    /// The time of day there, as `09:30` or `09:30:00`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// An IANA time zone; that of the app's settings when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// The first day there, as `2026-12-01`; today when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The last day there, itself included, at most 180 days ahead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// What becomes of a run whose time passed while the server was down; `late_once` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missed: Option<Missed>,
    /// With `late_once`: how late a run may be, in seconds; the push's validity when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late_max_s: Option<u64>,
}

/// Milliseconds since 1970, or RFC 3339 as `2026-12-01T09:00:00+08:00`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Moment {
    Millis(u64),
    Text(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Every {
    Day,
    Week,
    Month,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Missed {
    /// It fires late; of several runs, the last.
    #[default]
    LateOnce,
    Skip,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ScheduleView {
    pub schedule_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `active`, `done` or `cancelled`.
    pub state: String,
    /// `single`, `template`, `multiple` or `broadcast`.
    pub push_type: String,
    /// Of its push.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// When it fires once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u64>))]
    pub at: Option<Timestamp>,
    /// When it fires again and again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<Every>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on: Vec<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    pub missed: Missed,
    /// A run that would be later than this is not carried out.
    pub late_max_s: u64,
    /// `api` or `console`.
    pub face: String,
    /// The key that made it.
    pub by: String,
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    pub created_at: Timestamp,
    /// The next run; absent when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u64>))]
    pub next_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u64>))]
    pub ended_at: Option<Timestamp>,
}

/// `GET /v1/schedules/{id}`: with all its runs, past and to come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ScheduleDetail {
    #[serde(flatten)]
    pub schedule: ScheduleView,
    pub runs: Vec<RunView>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ScheduleList {
    pub schedules: Vec<ScheduleView>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// One firing of a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunView {
    pub run_id: String,
    pub schedule_id: String,
    /// `planned`, `firing`, `fired`, `skipped`, `cancelled` or `failed`.
    pub state: String,
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    pub planned_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u64>))]
    pub fired_at: Option<Timestamp>,
    /// From its time to when it was on disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_ms: Option<u64>,
    /// A decimal number: of a push to several, or to an audience.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// The first hundred.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub message_ids: Vec<MessageId>,
    /// Recipients accepted, or devices in the audience.
    #[serde(default)]
    pub accepted: u32,
    #[serde(default)]
    pub refused: u32,
    /// Why it was skipped or failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `GET /v1/runs`: in the order of their times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunList {
    pub runs: Vec<RunView>,
    /// Of all pages, at most 10,000.
    pub total: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

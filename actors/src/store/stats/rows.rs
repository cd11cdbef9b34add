//! Rows of statistics as the store keeps them, and as a query answers them.
//!
//! ```text
//! key    'S' · granularity u8 · app u32 · start u64 · platform · channel · push type · reason · [task u64] · app version …
//! value  number of counts u8 · a varint each
//! ```
//!
//! The platform's highest bit says that there is a task. Big-endian, so that the rows of an app and a span of time are one range of keys.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use carillon_sdk::api::{Dimension, Granularity, Platform, StatsRow};
use carillon_sdk::{Timestamp, Ttl};

use super::super::history::{Channel, Reason, platform_code, platform_of, push_type_of, varint};
use super::{Counts, Dims, Key, floor};
use crate::model::{App, PushType, Task};

/// The kind byte of a row's key.
pub const KIND: u8 = b'S';

/// How long rows are kept, after the start of their period.
const MINUTES_KEEP: Ttl = Ttl::from_secs(48 * 3600);
const HOURS_KEEP: Ttl = Ttl::from_secs(90 * 24 * 3600);
const DAYS_KEEP: Ttl = Ttl::from_secs(2 * 366 * 24 * 3600);

const UNKNOWN: &str = "unknown";
/// The task of a push that belongs to none.
const NO_TASK: &str = "none";
const WITH_TASK: u8 = 0x80;
const FRONT: usize = 1 + 1 + 4 + 8;

/// A stored row that is no row: of another build, or damaged beyond its checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a row of statistics")]
pub struct Damaged;

impl Key {
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let dims = &self.dims;
        let version = dims.app_version.as_deref().unwrap_or_default();
        let mut key = front(self.granularity, self.app, self.start);
        key.extend_from_slice(&[
            dims.platform.map_or(0, platform_code) | if dims.task.is_some() { WITH_TASK } else { 0 },
            dims.channel as u8,
            dims.push_type as u8,
            dims.reason.map_or(0, |reason| reason as u8),
        ]);
        if let Some(task) = dims.task {
            key.extend_from_slice(&task.0.to_be_bytes());
        }
        key.extend_from_slice(version.as_bytes());
        key
    }

    pub fn decode(key: &[u8]) -> Result<Self, Damaged> {
        parse(key).ok_or(Damaged)
    }
}

fn parse(key: &[u8]) -> Option<Key> {
    let (&[kind, granularity], rest) = key.split_first_chunk()?;
    let (app, rest) = rest.split_first_chunk()?;
    let (start, rest) = rest.split_first_chunk()?;
    let (&[platform, channel, push_type, reason], mut version) = rest.split_first_chunk()?;
    let mut task = None;
    if platform & WITH_TASK != 0 {
        let (number, rest) = version.split_first_chunk()?;
        task = Some(Task(u64::from_be_bytes(*number)));
        version = rest;
    }
    let platform = platform & !WITH_TASK;
    let dims = Dims {
        platform: if platform == 0 { None } else { Some(platform_of(platform)?) },
        app_version: if version.is_empty() {
            None
        } else {
            Some(Arc::from(std::str::from_utf8(version).ok()?))
        },
        channel: Channel::from_code(channel)?,
        push_type: push_type_of(push_type)?,
        reason: if reason == 0 { None } else { Some(Reason::from_code(reason)?) },
        task,
    };
    (kind == KIND).then_some(())?;
    Some(Key {
        granularity: granularity_of(granularity)?,
        app: App(u32::from_be_bytes(*app)),
        start: Timestamp::from_millis(u64::from_be_bytes(*start)),
        dims,
    })
}

fn front(granularity: Granularity, app: App, start: Timestamp) -> Vec<u8> {
    let mut key = Vec::with_capacity(FRONT + 4 + 16);
    key.extend_from_slice(&[KIND, granularity_code(granularity)]);
    key.extend_from_slice(&app.0.to_be_bytes());
    key.extend_from_slice(&start.as_millis().to_be_bytes());
    key
}

/// The keys of an app's rows whose period begins from `from` (inclusive) to `to` (exclusive).
#[must_use]
pub fn range(granularity: Granularity, app: App, from: Timestamp, to: Timestamp) -> Range<Vec<u8>> {
    front(granularity, app, from)..front(granularity, app, to.max(from))
}

/// How long rows of a granularity are kept.
#[must_use]
pub const fn keep(granularity: Granularity) -> Ttl {
    match granularity {
        Granularity::Minute => MINUTES_KEEP,
        Granularity::Hour => HOURS_KEEP,
        Granularity::Day => DAYS_KEEP,
    }
}

/// The keys of an app's rows that are no longer kept.
#[must_use]
pub fn expired(granularity: Granularity, app: App, now: Timestamp) -> Range<Vec<u8>> {
    range(granularity, app, Timestamp::default(), now - keep(granularity))
}

impl Counts {
    const FIELDS: usize = 10;

    /// In the order they are stored: add at the end, never change.
    const fn fields(&mut self) -> [&mut u64; Self::FIELDS] {
        [
            &mut self.accepted,
            &mut self.sent,
            &mut self.arrived,
            &mut self.shown,
            &mut self.opened,
            &mut self.dismissed,
            &mut self.expired,
            &mut self.replaced,
            &mut self.revoked,
            &mut self.failed,
        ]
    }

    #[must_use]
    pub fn encode(mut self) -> Vec<u8> {
        let mut value = Vec::with_capacity(1 + 2 * Self::FIELDS);
        value.push(Self::FIELDS as u8);
        for count in self.fields() {
            varint::put(&mut value, *count);
        }
        value
    }

    /// Counts that an earlier build did not keep are 0; those of a later one are passed over.
    pub fn decode(value: &[u8]) -> Result<Self, Damaged> {
        let (&stored, mut rest) = value.split_first().ok_or(Damaged)?;
        let mut counts = Self::default();
        for count in counts.fields().into_iter().take(usize::from(stored)) {
            *count = varint::take(&mut rest).ok_or(Damaged)?;
        }
        Ok(counts)
    }
}

/// Sums rows into periods and groups, sorted by start, then group. A row belongs to the period its
/// start falls in, and a period to the answer when its own start is within `from` (inclusive) and
/// `to` (exclusive); so minute rows of the open window and stored hour or day rows go together.
pub fn aggregate(
    rows: impl IntoIterator<Item = (Key, Counts)>,
    from: Timestamp,
    to: Timestamp,
    granularity: Granularity,
    group_by: &[Dimension],
) -> Vec<StatsRow> {
    let mut sums: BTreeMap<(Timestamp, BTreeMap<String, String>), Counts> = BTreeMap::new();
    for (key, counts) in rows {
        let start = floor(key.start, granularity);
        if start < from || start >= to {
            continue;
        }
        let group = group_by.iter().map(|&dimension| (name(dimension), key.dims.value(dimension))).collect();
        sums.entry((start, group)).or_default().merge(&counts);
    }
    sums.into_iter().map(|((start, group), counts)| row(start, group, counts)).collect()
}

fn row(start: Timestamp, group: BTreeMap<String, String>, counts: Counts) -> StatsRow {
    StatsRow {
        start,
        group,
        accepted: counts.accepted,
        sent: counts.sent,
        arrived: counts.arrived,
        shown: counts.shown,
        opened: counts.opened,
        dismissed: counts.dismissed,
        expired: counts.expired,
        replaced: counts.replaced,
        revoked: counts.revoked,
        failed: counts.failed,
    }
}

impl Dims {
    fn value(&self, dimension: Dimension) -> String {
        let value = match dimension {
            Dimension::Platform => self.platform.map(platform),
            Dimension::AppVersion => self.app_version.as_deref(),
            Dimension::Channel => Some(self.channel.as_str()),
            Dimension::PushType => Some(push_type_name(self.push_type)),
            Dimension::Reason => self.reason.map(Reason::as_str),
            Dimension::Task => return self.task.map_or_else(|| NO_TASK.to_owned(), |task| task.to_string()),
        };
        value.unwrap_or(UNKNOWN).to_owned()
    }
}

fn name(dimension: Dimension) -> String {
    let name = match dimension {
        Dimension::Platform => "platform",
        Dimension::AppVersion => "app_version",
        Dimension::Channel => "channel",
        Dimension::PushType => "push_type",
        Dimension::Reason => "reason",
        Dimension::Task => "task",
    };
    name.to_owned()
}

const fn platform(platform: Platform) -> &'static str {
    match platform {
        Platform::Android => "android",
        Platform::Ios => "ios",
        Platform::HarmonyOs => "harmonyos",
        Platform::Web => "web",
        Platform::Other => "other",
    }
}

pub(in crate::store) const fn push_type_name(push_type: PushType) -> &'static str {
    match push_type {
        PushType::Single => "single",
        PushType::Multiple => "multiple",
        PushType::Broadcast => "broadcast",
        PushType::Template => "template",
    }
}

const fn granularity_code(granularity: Granularity) -> u8 {
    match granularity {
        Granularity::Minute => 0,
        Granularity::Hour => 1,
        Granularity::Day => 2,
    }
}

const fn granularity_of(code: u8) -> Option<Granularity> {
    Some(match code {
        0 => Granularity::Minute,
        1 => Granularity::Hour,
        2 => Granularity::Day,
        _ => return None,
    })
}

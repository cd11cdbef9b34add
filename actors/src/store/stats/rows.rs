//! Rows of statistics as the store keeps them, and as a query answers them.
//!
//! ```text
//! of an app   'S' · granularity u8 · app u32 · start u64 · platform · channel · push type · reason · app version …
//! of a task   't' · app u32 · task u64 · start u64 · platform · channel · push type · reason · app version …
//! value       number of counts u8 · a varint each
//! ```
//!
//! Big-endian, so that the rows of an app and a span of time, or of a task, are one range of keys.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use carillon_sdk::api::{Dimension, Granularity, Platform, StatsRow};
use carillon_sdk::{Timestamp, Ttl};

use super::super::history::{Channel, Reason, platform_code, platform_of, push_type_of, varint};
use super::{Counts, Dims, Key, floor};
use crate::model::{App, PushType, Task};

/// The kind byte of the key of an app's row.
pub const KIND: u8 = b'S';

/// The same of a task's.
pub const KIND_OF_TASK: u8 = b's';

/// A task is counted by the day.
pub const TASK_GRANULARITY: Granularity = Granularity::Day;

/// How long rows are kept, after the start of their period.
const MINUTES_KEEP: Ttl = Ttl::from_secs(48 * 3600);
const HOURS_KEEP: Ttl = Ttl::from_secs(90 * 24 * 3600);
const DAYS_KEEP: Ttl = Ttl::from_secs(2 * 366 * 24 * 3600);

const UNKNOWN: &str = "unknown";
/// The task of a push that belongs to none.
const NO_TASK: &str = "none";
const FRONT: usize = 1 + 1 + 4 + 8;

/// A stored row that is no row: of another build, or damaged beyond its checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a row of statistics")]
pub struct Damaged;

impl Key {
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let dims = &self.dims;
        let mut key = match dims.task {
            None => front(self.granularity, self.app, self.start),
            Some(task) => {
                let mut key = front_of_task(self.app, task);
                key.extend_from_slice(&self.start.as_millis().to_be_bytes());
                key
            }
        };
        key.extend_from_slice(&[
            dims.platform.map_or(0, platform_code),
            dims.channel.code(),
            dims.push_type as u8,
            dims.reason.map_or(0, |reason| reason as u8),
        ]);
        key.extend_from_slice(dims.app_version.as_deref().unwrap_or_default().as_bytes());
        key
    }

    pub fn decode(key: &[u8]) -> Result<Self, Damaged> {
        parse(key).ok_or(Damaged)
    }
}

fn parse(key: &[u8]) -> Option<Key> {
    let (&kind, rest) = key.split_first()?;
    let (granularity, app, task, rest) = match kind {
        KIND => {
            let (&granularity, rest) = rest.split_first()?;
            let (app, rest) = rest.split_first_chunk()?;
            (granularity_of(granularity)?, app, None, rest)
        }
        KIND_OF_TASK => {
            let (app, rest) = rest.split_first_chunk()?;
            let (task, rest) = rest.split_first_chunk()?;
            (TASK_GRANULARITY, app, Some(Task(u64::from_be_bytes(*task))), rest)
        }
        _ => return None,
    };
    let (start, rest) = rest.split_first_chunk()?;
    let (&[platform, channel, push_type, reason], version) = rest.split_first_chunk()?;
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
    Some(Key {
        granularity,
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

fn front_of_task(app: App, task: Task) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + 4 + 8 + 8 + 4 + 16);
    key.push(KIND_OF_TASK);
    key.extend_from_slice(&app.0.to_be_bytes());
    key.extend_from_slice(&task.0.to_be_bytes());
    key
}

/// The keys of the rows of an app's tasks from `from` to `to`, both included.
#[must_use]
pub fn task_range(app: App, from: Task, to: Task) -> Range<Vec<u8>> {
    // Numbers of tasks are below 2^53.
    front_of_task(app, from)..front_of_task(app, Task(to.0.saturating_add(1)))
}

/// The keys of the rows of an app's tasks before `task`.
#[must_use]
pub fn before_task(app: App, task: Task) -> Range<Vec<u8>> {
    front_of_task(app, Task(0))..front_of_task(app, task)
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

impl From<&StatsRow> for Counts {
    fn from(row: &StatsRow) -> Self {
        Self {
            accepted: row.accepted,
            sent: row.sent,
            arrived: row.arrived,
            shown: row.shown,
            opened: row.opened,
            dismissed: row.dismissed,
            expired: row.expired,
            replaced: row.replaced,
            revoked: row.revoked,
            failed: row.failed,
            handed_over: row.handed_over,
            confirmed: 0,
            changed_at: 0,
        }
    }
}

impl Counts {
    const FIELDS: usize = 13;

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
            &mut self.changed_at,
            &mut self.handed_over,
            &mut self.confirmed,
        ]
    }

    #[must_use]
    pub fn encode(mut self) -> Vec<u8> {
        let counts = self.fields();
        // Zeros at the end are what `decode` makes of what is not there.
        let stored = counts.iter().rposition(|count| **count != 0).map_or(0, |last| last + 1);
        let mut value = Vec::with_capacity(1 + 2 * Self::FIELDS);
        value.push(stored as u8);
        for count in counts.into_iter().take(stored) {
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

/// A question to the statistics of an app.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Asked {
    /// Inclusive; a period counts by its start.
    pub from: Timestamp,
    /// Exclusive.
    pub to: Timestamp,
    /// Of a task: [`TASK_GRANULARITY`], whatever stands here.
    pub granularity: Granularity,
    pub filter: Filter,
    pub group_by: Vec<Dimension>,
}

/// What is counted: rows with these values. Everything, by default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter(BTreeMap<Dimension, String>);

/// Which rows answer a question: of one family, so that nothing is counted twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    Periods {
        granularity: Granularity,
        from: Timestamp,
        to: Timestamp,
    },
    /// Both included.
    Tasks {
        from: Task,
        to: Task,
    },
}

impl Filter {
    /// And with this value of a dimension, in the words of the API: `ios`, `own`, `broadcast`, `3.1`.
    #[must_use]
    pub fn with(mut self, dimension: Dimension, value: impl Into<String>) -> Self {
        self.0.insert(dimension, value.into());
        self
    }

    #[must_use]
    pub fn has(&self, dims: &Dims) -> bool {
        self.0.iter().all(|(dimension, wanted)| *dims.value(*dimension) == **wanted)
    }

    /// The task it names.
    fn task(&self) -> Option<&str> {
        self.0.get(&Dimension::Task).map(String::as_str)
    }
}

impl Asked {
    #[must_use]
    pub fn is_of_tasks(&self) -> bool {
        self.filter.task().is_some() || self.group_by.contains(&Dimension::Task)
    }

    /// The granularity of the answer.
    #[must_use]
    pub fn granularity(&self) -> Granularity {
        if self.is_of_tasks() { TASK_GRANULARITY } else { self.granularity }
    }

    #[must_use]
    pub fn span(&self) -> Span {
        let (granularity, from, to) = (self.granularity, self.from, self.to);
        if !self.is_of_tasks() {
            return Span::Periods { granularity, from, to };
        }
        // One that is no number is nobody's task.
        let named = self.filter.task().map(|task| task.parse().map_or(Task(0), Task));
        Span::Tasks { from: named.unwrap_or(Task(0)), to: named.unwrap_or(Task(u64::MAX - 1)) }
    }
}

/// Sums rows into periods and groups, sorted by start, then group. A row belongs to the period its
/// start falls in, and a period to the answer when its own start is within `from` (inclusive) and
/// `to` (exclusive); so minute rows of the open window and stored hour or day rows go together. A
/// question of tasks passes over what belongs to none.
pub fn aggregate(rows: impl IntoIterator<Item = (Key, Counts)>, asked: &Asked) -> Vec<StatsRow> {
    let granularity = asked.granularity();
    let of_tasks = asked.is_of_tasks();
    let mut sums: BTreeMap<(Timestamp, BTreeMap<String, String>), Counts> = BTreeMap::new();
    for (key, counts) in rows {
        let start = floor(key.start, granularity);
        let within = start >= asked.from && start < asked.to && (!of_tasks || key.dims.task.is_some());
        if !within || !asked.filter.has(&key.dims) {
            continue;
        }
        let value = |&by: &Dimension| (by.as_str().to_owned(), key.dims.value(by).into_owned());
        let group = asked.group_by.iter().map(value).collect();
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
        arrived: counts.arrived + counts.confirmed,
        handed_over: counts.handed_over.saturating_sub(counts.confirmed),
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
    fn value(&self, dimension: Dimension) -> Cow<'_, str> {
        let value = match dimension {
            Dimension::Platform => self.platform.map(Platform::as_str),
            Dimension::AppVersion => self.app_version.as_deref(),
            Dimension::Channel => Some(self.channel.as_str()),
            Dimension::PushType => Some(self.push_type.as_str()),
            Dimension::Reason => self.reason.map(Reason::as_str),
            Dimension::Task => {
                return self.task.map_or(Cow::Borrowed(NO_TASK), |task| Cow::Owned(task.to_string()));
            }
        };
        Cow::Borrowed(value.unwrap_or(UNKNOWN))
    }
}

/// The values a dimension may have, where they are a closed list.
#[must_use]
pub fn values(dimension: Dimension) -> Option<Vec<&'static str>> {
    Some(match dimension {
        Dimension::Platform => Platform::ALL.map(Platform::as_str).into_iter().chain([UNKNOWN]).collect(),
        Dimension::Channel => (0..=u8::MAX).filter_map(Channel::from_code).map(Channel::as_str).collect(),
        Dimension::PushType => PushType::ALL.map(PushType::as_str).to_vec(),
        Dimension::Reason => Reason::ALL.map(Reason::as_str).into_iter().chain([UNKNOWN]).collect(),
        Dimension::AppVersion | Dimension::Task => return None,
    })
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

//! Counting what history holds, by minute; hours and days are sums of minutes.
//!
//! ```text
//!  Record ──count──▶ Window (open minutes) ──close_before──▶ rows ──add──▶ minute, hour, day of the store
//!                                                        └─▶ Cursor, in the same commit
//! ```
//!
//! A start reads the cursor and counts history again from it, so that the sum of the store's rows
//! and the window is, at any moment and after any crash, the count of the records in history.
//!
//! **Tasks.** An app may make a hundred tasks a second, so a task among the dimensions of the rows
//! above would turn a hundred rows a minute into a hundred thousand, kept for two years. Two
//! families of rows therefore: the app's, which count everything and know no task, by minute, hour
//! and day; and a task's own, by the day alone, found by the task and deleted with it. Nothing is in
//! one family that is not in the other, so a question is answered from one of them and nothing is
//! counted twice: from the tasks' rows when it names a task or groups by task, otherwise from the
//! app's. A task's counts by the minute are not kept; whoever asks for them is refused, not guessed
//! for. A task costs at most a row for each platform, version and reason among its targets and each
//! day it lives: five for a push to a hundred phones of the usual kinds, 90 bytes each. At the
//! bound of 100,000 tasks an app that is 50 MB. The commit that closes a minute grows by these rows:
//! a hundred tasks a second make about 15,000 a partition and a tenth of a second, once a minute.

mod rows;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use ahash::{AHashMap, AHashSet};
use carillon_sdk::Timestamp;
use carillon_sdk::api::{Granularity, Platform, Step};
use serde::{Deserialize, Serialize};

use super::history::{Channel, Position, Reason, Record};
use crate::model::{App, PushType, Task};

pub use self::rows::{
    Asked, Damaged, Filter, KIND, KIND_OF_TASK, Span, TASK_GRANULARITY, aggregate, before_task, expired,
    keep, range, task_range, values,
};

/// App versions an app's statistics tell apart within a minute. Devices name their version
/// themselves, so without a bound they could make rows without end; the rest count as [`OTHER`].
pub const VERSIONS_PER_MINUTE_MAX: usize = 200;

/// The app version of those beyond [`VERSIONS_PER_MINUTE_MAX`].
pub const OTHER: &str = "other";

/// What one row of statistics is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    pub granularity: Granularity,
    pub app: App,
    /// Start of the minute, hour or day (UTC).
    pub start: Timestamp,
    pub dims: Dims,
}

/// The dimensions. None reads `unknown`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Dims {
    pub platform: Option<Platform>,
    pub app_version: Option<Arc<str>>,
    pub channel: Channel,
    pub push_type: PushType,
    pub reason: Option<Reason>,
    pub task: Option<Task>,
}

impl Key {
    /// The rows that a closed minute's counts are added to: the app's minute, hour and day, and the
    /// task's day when it belongs to one.
    pub fn levels(&self) -> impl Iterator<Item = Self> {
        let at = |granularity, task| Self {
            granularity,
            app: self.app,
            start: floor(self.start, granularity),
            dims: Dims { task, ..self.dims.clone() },
        };
        let of_app =
            [Granularity::Minute, Granularity::Hour, Granularity::Day].map(|period| at(period, None));
        let of_task = self.dims.task.map(|task| at(TASK_GRANULARITY, Some(task)));
        of_app.into_iter().chain(of_task)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    pub accepted: u64,
    pub sent: u64,
    pub arrived: u64,
    pub shown: u64,
    pub opened: u64,
    pub dismissed: u64,
    pub expired: u64,
    pub replaced: u64,
    pub revoked: u64,
    pub failed: u64,
    /// Taken by a vendor's channel.
    pub handed_over: u64,
    /// Of those, how many are known to have arrived.
    pub confirmed: u64,
    /// When the last of these reached the server, reports of what was shown, opened or dismissed not
    /// counted; 0 in rows of an app.
    pub changed_at: u64,
}

impl Counts {
    pub fn add(&mut self, step: Step, count: u64) {
        if let Some(of_step) = self.of(step) {
            *of_step += count;
        }
    }

    pub fn merge(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.sent += other.sent;
        self.arrived += other.arrived;
        self.shown += other.shown;
        self.opened += other.opened;
        self.dismissed += other.dismissed;
        self.expired += other.expired;
        self.replaced += other.replaced;
        self.revoked += other.revoked;
        self.failed += other.failed;
        self.handed_over += other.handed_over;
        self.confirmed += other.confirmed;
        self.changed_at = self.changed_at.max(other.changed_at);
    }

    /// Accepted and without a verdict yet. Of a window that begins after some pushes were accepted,
    /// less than that.
    #[must_use]
    pub const fn pending(&self) -> u64 {
        let verdicts =
            self.arrived + self.handed_over + self.expired + self.replaced + self.revoked + self.failed;
        self.accepted.saturating_sub(verdicts)
    }

    /// None of what is only told of.
    const fn of(&mut self, step: Step) -> Option<&mut u64> {
        Some(match step {
            Step::Accepted => &mut self.accepted,
            Step::Sent => &mut self.sent,
            Step::Delivered => &mut self.arrived,
            Step::Shown => &mut self.shown,
            Step::Opened => &mut self.opened,
            Step::Dismissed => &mut self.dismissed,
            Step::Expired => &mut self.expired,
            Step::Replaced => &mut self.replaced,
            Step::Revoked => &mut self.revoked,
            Step::Rejected => &mut self.failed,
            Step::HandedOver => &mut self.handed_over,
            Step::Confirmed => &mut self.confirmed,
            Step::Routed | Step::Refused | Step::TokenInvalidated => return None,
        })
    }
}

/// The start of the period `at` falls in.
#[must_use]
pub const fn floor(at: Timestamp, granularity: Granularity) -> Timestamp {
    let period = length_ms(granularity);
    Timestamp::from_millis(at.as_millis() / period * period)
}

const fn length_ms(granularity: Granularity) -> u64 {
    match granularity {
        Granularity::Minute => 60_000,
        Granularity::Hour => 3_600_000,
        Granularity::Day => 86_400_000,
    }
}

/// What the stored rows hold: every record before `counted_to` whose minute began before
/// `closed_before`, and no other. Records may stand a little out of order around a minute's end,
/// and a clock may be put right between two starts, which is why one place would not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Cursor {
    /// Where to read history from: no record before it is missing in the rows.
    pub replay_from: Position,
    pub counted_to: Position,
    pub closed_before: Timestamp,
}

/// The minutes not yet stored.
#[derive(Debug, Default)]
pub struct Window {
    cursor: Cursor,
    minutes: BTreeMap<Timestamp, Minute>,
}

#[derive(Debug)]
struct Minute {
    /// Not after any record counted here.
    since: Position,
    rows: AHashMap<(App, Dims), Counts>,
    versions: AHashMap<App, AHashSet<Arc<str>>>,
}

impl Window {
    /// A window over what the stored rows do not hold. History is to be counted into it from
    /// `cursor.replay_from` on, and then what is appended.
    #[must_use]
    pub const fn new(cursor: Cursor) -> Self {
        Self { cursor, minutes: BTreeMap::new() }
    }

    /// Counts a record in the minute it reached the server; a group counts its members. `place` is
    /// where the record stands or any place before it: while replaying its own, and for a batch
    /// just written `History::position` as it was before the write.
    pub fn count(&mut self, record: &Record, place: Position) {
        let start = floor(record.at, Granularity::Minute);
        if place < self.cursor.counted_to && start < self.cursor.closed_before {
            return; // the stored rows hold it
        }
        let minute = match self.minutes.entry(start) {
            Entry::Occupied(minute) => minute.into_mut(),
            Entry::Vacant(minute) => {
                minute.insert(Minute { since: place, rows: AHashMap::new(), versions: AHashMap::new() })
            }
        };
        minute.count(record);
    }

    /// Takes out the minutes that are over. `written` is `History::position` now. The rows are to
    /// be added (see [`Key::levels`]) and [`Window::cursor`] stored in one commit, after a
    /// `History::sync`: rows must not know of records the disk does not.
    pub fn close_before(&mut self, now: Timestamp, written: Position) -> Vec<(Key, Counts)> {
        // Never back: a minute once closed stays so, and what comes late for it is closed at once.
        let before = floor(now, Granularity::Minute).max(self.cursor.closed_before);
        let open = self.minutes.split_off(&before);
        let closed = std::mem::replace(&mut self.minutes, open);
        let replay_from = self.minutes.values().map(|minute| minute.since).min().unwrap_or(written);
        self.cursor = Cursor { replay_from, counted_to: written, closed_before: before };
        closed.into_iter().flat_map(|(start, minute)| minute.into_rows(start)).collect()
    }

    /// What the stored rows hold once those of the last `close_before` are stored.
    #[must_use]
    pub const fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// The open minutes of an app, for queries.
    #[must_use]
    pub fn open(&self, app: App) -> Vec<(Key, Counts)> {
        let mut rows = Vec::new();
        for (&start, minute) in &self.minutes {
            let of_app = minute.rows.iter().filter(|((of, _), _)| *of == app);
            rows.extend(of_app.map(|((_, dims), &counts)| (Key::minute(app, start, dims.clone()), counts)));
        }
        rows
    }
}

impl Key {
    const fn minute(app: App, start: Timestamp, dims: Dims) -> Self {
        Self { granularity: Granularity::Minute, app, start, dims }
    }
}

impl Minute {
    fn count(&mut self, record: &Record) {
        let dims = Dims {
            platform: record.platform,
            app_version: record.app_version.clone(),
            channel: record.channel,
            push_type: record.push_type,
            reason: record.reason,
            task: record.task,
        };
        if matches!(record.step, Step::Routed | Step::Refused | Step::TokenInvalidated) {
            return;
        }
        let mut counts = Counts::default();
        counts.add(record.step, record.whom.count());
        if record.task.is_some() && !matches!(record.step, Step::Shown | Step::Opened | Step::Dismissed) {
            counts.changed_at = record.at.as_millis();
        }
        let mut key = (record.app, dims);
        if let Some(known) = self.rows.get_mut(&key) {
            return known.merge(&counts);
        }
        key.1.app_version = key.1.app_version.map(|version| self.admit(record.app, version));
        self.rows.entry(key).or_default().merge(&counts);
    }

    /// The version, or [`OTHER`] when the app has named too many already.
    fn admit(&mut self, app: App, version: Arc<str>) -> Arc<str> {
        let versions = self.versions.entry(app).or_default();
        if versions.contains(&version) {
            return version;
        }
        if versions.len() >= VERSIONS_PER_MINUTE_MAX {
            return Arc::from(OTHER);
        }
        versions.insert(Arc::clone(&version));
        version
    }

    fn into_rows(self, start: Timestamp) -> impl Iterator<Item = (Key, Counts)> {
        self.rows.into_iter().map(move |((app, dims), counts)| (Key::minute(app, start, dims), counts))
    }
}

#[cfg(test)]
mod tests;

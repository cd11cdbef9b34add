//! Schedules and their runs, read. All of it is in memory.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use carillon_sdk::{Timestamp, Ttl};

use super::calendar::Strategy;
use super::object::{Head, Id, Run, RunState, State, parts, run_of};
use crate::engine::Engine;
use crate::model::{App, PushType};
use crate::store::{Kind, Store, Stored};

/// Runs that a schedule is shown with: more than it has within the farthest end there may be.
const RUNS_OF_ONE_MAX: usize = 400;

/// Runs that one question counts; of more, the first.
const RUNS_COUNTED_MAX: usize = 10_000;

/// Which runs: those planned from `from` on and before `to`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunsQuery {
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    pub push_type: Option<PushType>,
    /// Of this schedule; or this one run.
    pub of: Option<Id>,
    pub skip: usize,
    pub limit: usize,
}

/// In the order of their times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunsPage {
    pub runs: Vec<Listed>,
    /// Of all pages, at most 10,000.
    pub total: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub id: Id,
    pub run: Run,
    /// Of its schedule.
    pub head: Arc<Head>,
}

impl Engine {
    /// Schedules in the order in which they were made, after `after`.
    #[must_use]
    pub fn schedules(&self, app: App, after: Option<Id>, limit: usize) -> Vec<(Id, Head)> {
        let after = after.map(|id| id.to_string());
        self.store()
            .objects(app, Kind::Schedule, after.as_deref(), limit)
            .into_iter()
            .filter_map(read)
            .collect()
    }

    #[must_use]
    pub fn schedule_head(&self, app: App, id: Id) -> Option<Head> {
        let stored = self.store().object(app, Kind::Schedule, &id.to_string())?;
        Some(parts(&stored.bytes).ok()?.0)
    }

    /// Runs, past and to come. They are merged from all schedules in the order of their times, and
    /// only those of the page are read: the cost is that of what is counted.
    #[must_use]
    pub fn runs(&self, app: App, query: &RunsQuery) -> RunsPage {
        let store = self.store();
        let schedules = match query.of {
            Some(id) => store.schedule_of(app, id).into_iter().collect(),
            None => self.schedules(app, None, usize::MAX),
        };
        let schedules = schedules
            .into_iter()
            .filter(|(_, head)| query.push_type.is_none_or(|kind| kind == head.push_type));
        let mut lines: Vec<_> = schedules.map(|(id, head)| Line::new(store, app, id, head, query)).collect();
        let firsts = lines.iter().enumerate().filter_map(|(at, line)| Some(Reverse((line.first()?, at))));
        let mut heap: BinaryHeap<_> = firsts.collect();
        let (mut runs, mut total) = (Vec::new(), 0);
        while total < RUNS_COUNTED_MAX
            && let Some(Reverse((planned, at))) = heap.pop()
        {
            let line = &mut lines[at];
            let row = line.take(planned);
            heap.extend(line.first().map(|next| Reverse((next, at))));
            if total >= query.skip && runs.len() < query.limit {
                runs.extend(line.listed(planned, row));
            }
            total += 1;
        }
        RunsPage { runs, total }
    }
}

/// The runs of one schedule within a question's window, in order: what has a row, and what is still
/// to come.
struct Line {
    id: Id,
    head: Arc<Head>,
    rows: VecDeque<(Timestamp, Bytes)>,
    to_come: Option<Timestamp>,
    to: Timestamp,
    left: usize,
}

impl Line {
    fn new(store: &Store, app: App, id: Id, head: Head, query: &RunsQuery) -> Self {
        let one = query.of.and_then(Id::planned);
        let from = one.or(query.from).unwrap_or_default();
        let end = Timestamp::from_millis(u64::MAX);
        let to = one.map_or(query.to.unwrap_or(end), |planned| planned + Ttl::from_millis(1));
        let rows = store.family(app, Kind::Run, id, RUNS_OF_ONE_MAX).into_iter();
        let rows = rows.filter_map(|(run, stored)| {
            let run: Id = run.parse().ok()?;
            let planned = run.planned().unwrap_or_else(|| head.strategy.end());
            (from <= planned && planned < to).then_some((planned, stored.bytes))
        });
        let rows = rows.collect();
        let active = head.state == State::Active;
        let after = head.over_until.max(from - Ttl::from_millis(1));
        let to_come = head.strategy.next_after(after).filter(|next| active && *next < to);
        Self { id, head: Arc::new(head), rows, to_come, to, left: RUNS_OF_ONE_MAX }
    }

    fn first(&self) -> Option<Timestamp> {
        let row = self.rows.front().map(|(planned, _)| *planned);
        row.into_iter().chain(self.to_come).min().filter(|_| self.left > 0)
    }

    /// Goes past the run planned for `planned`, which is the first; its row, if it has one.
    fn take(&mut self, planned: Timestamp) -> Option<Bytes> {
        self.left = self.left.saturating_sub(1);
        if self.to_come == Some(planned) {
            self.to_come = self.head.strategy.next_after(planned).filter(|next| *next < self.to);
        }
        let row = self.rows.pop_front_if(|(at, _)| *at == planned);
        row.map(|(_, bytes)| bytes)
    }

    /// None for a row that cannot be read.
    fn listed(&self, planned: Timestamp, row: Option<Bytes>) -> Option<Listed> {
        let run = match row {
            Some(row) => run_of(&row).ok()?,
            None => Run::new(self.id, planned, RunState::Planned),
        };
        Some(Listed { id: self.id.run(&self.head.strategy, planned), run, head: Arc::clone(&self.head) })
    }
}

fn read((id, stored): (String, Stored)) -> Option<(Id, Head)> {
    Some((id.parse().ok()?, parts(&stored.bytes).ok()?.0))
}

impl Store {
    /// Objects whose ids begin as this one.
    pub(super) fn family(&self, app: App, kind: Kind, id: Id, limit: usize) -> Vec<(String, Stored)> {
        let family = id.family();
        let mut found = self.objects(app, kind, Some(&family), limit);
        found.retain(|(id, _)| id.starts_with(&family));
        found
    }

    /// The schedule of that id, or the one whose run it is.
    pub(super) fn schedule_of(&self, app: App, id: Id) -> Option<(Id, Head)> {
        let (found, head) = self.family(app, Kind::Schedule, id, 1).pop().and_then(read)?;
        (found == id || id.planned().is_some()).then_some((found, head))
    }

    pub(super) fn schedule_of_run(&self, app: App, run: Id) -> Option<(Id, Head)> {
        self.schedule_of(app, run).filter(|(_, head)| matches!(head.strategy, Strategy::Cyclic(_)))
    }

    pub(super) fn active_schedules(&self, app: App) -> usize {
        let all = self.objects(app, Kind::Schedule, None, usize::MAX).into_iter().filter_map(read);
        all.filter(|(_, head)| head.state == State::Active).count()
    }
}

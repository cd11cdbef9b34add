//! Schedules and their runs, read. All of it is in memory.

use std::sync::Arc;

use carillon_sdk::Timestamp;

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

    /// Runs, past and to come.
    #[must_use]
    pub fn runs(&self, app: App, query: &RunsQuery) -> RunsPage {
        let store = self.store();
        let schedules = match query.of {
            Some(id) => store.schedule_of(app, id).into_iter().collect(),
            None => self.schedules(app, None, usize::MAX),
        };
        let mut runs = Vec::new();
        for (id, head) in schedules {
            if query.push_type.is_some_and(|push_type| push_type != head.push_type) {
                continue;
            }
            let head = Arc::new(head);
            let within = |run: &Run| {
                query.from.is_none_or(|from| run.planned_at >= from)
                    && query.to.is_none_or(|to| run.planned_at < to)
            };
            let listed = runs_of(store, app, id, &head).into_iter().filter(within).map(|run| Listed {
                id: id.run(&head.strategy, run.planned_at),
                run,
                head: Arc::clone(&head),
            });
            runs.extend(listed);
        }
        if let Some(one) = query.of.filter(|id| id.planned().is_some()) {
            runs.retain(|listed| listed.id == one);
        }
        runs.sort_by_key(|listed| (listed.run.planned_at, listed.id));
        runs.truncate(RUNS_COUNTED_MAX);
        let total = runs.len();
        let runs = runs.into_iter().skip(query.skip).take(query.limit).collect();
        RunsPage { runs, total }
    }
}

/// What has a row, and what is still to come.
fn runs_of(store: &Store, app: App, id: Id, head: &Head) -> Vec<Run> {
    let mut runs: Vec<Run> = store
        .family(app, Kind::Run, id, RUNS_OF_ONE_MAX)
        .into_iter()
        .filter_map(|(_, stored)| run_of(&stored.bytes).ok())
        .collect();
    if head.state == State::Active {
        let known: std::collections::BTreeSet<_> = runs.iter().map(|run| run.planned_at).collect();
        let to_come = head.strategy.after(head.over_until).take(RUNS_OF_ONE_MAX);
        let to_come = to_come.filter(|planned| !known.contains(planned));
        runs.extend(to_come.map(|planned| Run::new(id, planned, RunState::Planned)));
    }
    runs
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

//! Schedules and single runs, cancelled: what has not begun will not.

use super::By;
use super::calendar::Strategy;
use super::firing::{Found, run_change, run_in_store};
use super::object::{Head, Id, Run, RunState, State};
use crate::engine::{Engine, Refusal, Shared};
use crate::model::App;
use crate::store::{Audit, Changed, Expect, Nonce};

/// A change that comes in between starts it over.
const LOOKS_MAX: usize = 16;

/// What ids are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    Schedules,
    Runs,
}

/// What became of a wish to cancel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancelled {
    Done,
    /// It was cancelled before.
    Already,
    /// It has fired, or is firing, or was passed over.
    Over,
    Unknown,
}

impl Engine {
    /// Cancels schedules, or runs of schedules, one after the other; answers in their order.
    pub async fn cancel_schedules(
        &self,
        app: App,
        ids: &[Id],
        which: Which,
        by: &By,
        nonce: Option<Nonce>,
    ) -> Result<Vec<Cancelled>, Refusal> {
        let (mut nonce, mut answers) = (nonce, Vec::with_capacity(ids.len()));
        for id in ids {
            answers.push(match which {
                Which::Schedules => schedule(self.shared(), app, *id, by, nonce.take()).await?,
                Which::Runs => run(self.shared(), app, *id, by, nonce.take()).await?,
            });
        }
        Ok(answers)
    }
}

async fn schedule(
    shared: &Shared,
    app: App,
    id: Id,
    by: &By,
    nonce: Option<Nonce>,
) -> Result<Cancelled, Refusal> {
    for _ in 0..LOOKS_MAX {
        let Some(found) = Found::in_store(shared, app, id) else { return Ok(Cancelled::Unknown) };
        match found.head.state {
            State::Active => {}
            State::Done => return Ok(Cancelled::Over),
            State::Cancelled => return Ok(Cancelled::Already),
        }
        let head = Head { state: State::Cancelled, ended_at: Some(shared.clock.now()), ..found.head.clone() };
        let mut changes = vec![found.with(id, &head)];
        // The next run's row is what its firing would write: only one of the two is first.
        if let Some(planned) = found.head.next() {
            let next = id.run(&head.strategy, planned);
            let begun = run_in_store(shared, app, next).map(|run| run.state);
            match (begun, &head.strategy) {
                (None, _) => {
                    let run = Run::new(id, planned, RunState::Cancelled);
                    changes.push(run_change(&head.strategy, &run, Expect::Absent));
                }
                (Some(_), Strategy::Once(_)) => return Ok(Cancelled::Over),
                (Some(_), Strategy::Cyclic(_)) => {}
            }
        }
        let audit = audit(by, "schedule.cancel", id);
        if let Changed::Done(_) = shared.store.change(app, changes, Some(audit), nonce.clone()).await? {
            return Ok(Cancelled::Done);
        }
    }
    Err(Refusal::Busy)
}

async fn run(shared: &Shared, app: App, id: Id, by: &By, nonce: Option<Nonce>) -> Result<Cancelled, Refusal> {
    let Some(planned) = id.planned() else {
        // The one run of a schedule that fires once.
        return match Found::in_store(shared, app, id) {
            Some(found) if matches!(found.head.strategy, Strategy::Once(_)) => {
                schedule(shared, app, id, by, nonce).await
            }
            _ => Ok(Cancelled::Unknown),
        };
    };
    for _ in 0..LOOKS_MAX {
        if let Some(run) = run_in_store(shared, app, id) {
            return Ok(if run.state == RunState::Cancelled { Cancelled::Already } else { Cancelled::Over });
        }
        let Some((schedule, head)) = shared.store.schedule_of_run(app, id) else {
            return Ok(Cancelled::Unknown);
        };
        let just_before = planned - carillon_sdk::Ttl::from_millis(1);
        if planned <= head.created_at || head.strategy.next_after(just_before) != Some(planned) {
            return Ok(Cancelled::Unknown);
        }
        match head.state {
            State::Active => {}
            State::Done => return Ok(Cancelled::Over),
            State::Cancelled => return Ok(Cancelled::Already),
        }
        let row = Run::new(schedule, planned, RunState::Cancelled);
        let change = run_change(&head.strategy, &row, Expect::Absent);
        let audit = audit(by, "schedule.cancel_run", id);
        let changed = shared.store.change(app, vec![change], Some(audit), nonce.clone()).await?;
        if let Changed::Done(_) = changed {
            return Ok(Cancelled::Done);
        }
    }
    Err(Refusal::Busy)
}

fn audit(by: &By, what: &str, id: Id) -> Audit {
    Audit {
        who: by.who.clone(),
        from: by.from.clone(),
        what: what.to_owned(),
        object: id.to_string(),
        detail: None,
    }
}

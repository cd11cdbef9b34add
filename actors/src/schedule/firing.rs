//! A run, carried out: noted as begun, ordered, noted as over.
//!
//! ```text
//!  due ─▶ row `firing` ─▶ order, under a key made of the run's id ─▶ row `fired`, `failed`
//!              └── a kill in between: the row is found at start and the order given again;
//!                  the key makes that harmless, and cancelling finds the row and comes too late
//! ```

use carillon_sdk::{Timestamp, Ttl};
use metrics::{counter, histogram};
use sha2::{Digest, Sha256};

use super::calendar::Strategy;
use super::due::{Due, Then, due};
use super::object::{Head, Id, Kept, Reason, Run, RunState, State, encode, parts, row, run_of};
use crate::engine::{Outcome, Refusal, Shared};
use crate::model::App;
use crate::names;
use crate::order::{self, Order, Ordered, Recipients};
use crate::store::{Change, Changed, Expect, Idempotency, Kind, Stored};

/// Ids of messages kept with a run.
const MESSAGES_KEPT: usize = 100;

/// Looks at one schedule until nothing is to be done now. Another change that comes in between
/// starts a look over; so many in a row are no accident.
const LOOKS_MAX: usize = 16;

/// When the schedule wants to be looked at again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attended {
    At(Timestamp),
    /// Something failed that may pass.
    Later,
    Never,
}

/// A schedule as it stands in the store.
pub(super) struct Found {
    pub(super) head: Head,
    order: bytes::Bytes,
    version: u64,
}

impl Found {
    pub(super) fn in_store(shared: &Shared, app: App, id: Id) -> Option<Self> {
        let Stored { version, bytes } = shared.store.object(app, Kind::Schedule, &id.to_string())?;
        match parts(&bytes) {
            Ok((head, order)) => Some(Self { head, order, version }),
            Err(error) => {
                tracing::error!(schedule = %id, %error, "a schedule is left alone");
                None
            }
        }
    }

    /// The change that gives it this head.
    pub(super) fn with(&self, id: Id, head: &Head) -> Change {
        Change {
            kind: Kind::Schedule,
            id: id.to_string(),
            expect: Expect::Version(self.version),
            value: Some(row(head, &self.order)),
        }
    }
}

pub(super) fn run_in_store(shared: &Shared, app: App, run: Id) -> Option<Run> {
    let stored = shared.store.object(app, Kind::Run, &run.to_string())?;
    run_of(&stored.bytes).inspect_err(|error| tracing::error!(%run, %error, "a run is passed over")).ok()
}

pub(super) fn run_change(strategy: &Strategy, run: &Run, expect: Expect) -> Change {
    let id = run.schedule.run(strategy, run.planned_at).to_string();
    Change { kind: Kind::Run, id, expect, value: Some(encode(run)) }
}

/// Does what is due of a schedule.
pub(crate) async fn attend(shared: &Shared, app: App, id: Id) -> Attended {
    for _ in 0..LOOKS_MAX {
        let Some(found) = Found::in_store(shared, app, id) else { return Attended::Never };
        if found.head.state != State::Active {
            return Attended::Never;
        }
        let state_of =
            |planned| run_in_store(shared, app, id.run(&found.head.strategy, planned)).map(|run| run.state);
        let due = due(id, &found.head, shared.clock.wall(), state_of);
        match step(shared, app, id, &found, due).await {
            Ok(None) => {}
            Ok(Some(attended)) => return attended,
            Err(error) => {
                tracing::warn!(schedule = %id, %error, "a schedule's run has to wait");
                return Attended::Later;
            }
        }
    }
    Attended::Later
}

/// None: look again.
async fn step(
    shared: &Shared,
    app: App,
    id: Id,
    found: &Found,
    due: Due,
) -> Result<Option<Attended>, Refusal> {
    let Due { passed, over_until, then } = due;
    let strategy = &found.head.strategy;
    let mut changes: Vec<_> = passed.iter().map(|run| run_change(strategy, run, Expect::Absent)).collect();
    if then == Then::End {
        let head =
            Head { over_until, state: State::Done, ended_at: Some(shared.clock.now()), ..found.head.clone() };
        changes.push(found.with(id, &head));
    } else if over_until != found.head.over_until {
        changes.push(found.with(id, &Head { over_until, ..found.head.clone() }));
    }
    if let Then::Fire(planned) = then {
        let task = match Kept::read(&found.order) {
            Ok(kept) => order::open_task(shared, app, &kept.order, &mut None).await?,
            Err(_) => None,
        };
        let run = Run { task, ..Run::new(id, planned, RunState::Firing) };
        changes.push(run_change(strategy, &run, Expect::Absent));
    }
    if !changes.is_empty() {
        let changed = shared.store.change(app, changes, None, None).await?;
        if matches!(changed, Changed::Unexpected(_)) {
            return Ok(None);
        }
        passed.iter().for_each(count);
    }
    match then {
        Then::Fire(planned) | Then::FireAgain(planned) => {
            match carry_out(shared, app, id, found, planned).await {
                Some(run) => over(shared, app, id, &run).await.map(|()| None),
                None => Ok(Some(Attended::Later)),
            }
        }
        Then::GiveUp(planned) => {
            let run = Run { reason: Some(Reason::OutcomeUnknown), ..Run::new(id, planned, RunState::Failed) };
            over(shared, app, id, &run).await.map(|()| None)
        }
        Then::Wait(at) => Ok(Some(Attended::At(at))),
        Then::End => Ok(Some(Attended::Never)),
    }
}

/// The run as it ended; none when it is to be tried again.
async fn carry_out(shared: &Shared, app: App, id: Id, found: &Found, planned: Timestamp) -> Option<Run> {
    let run_id = id.run(&found.head.strategy, planned);
    let task = run_in_store(shared, app, run_id).and_then(|run| run.task);
    let run = Run { task, ..Run::new(id, planned, RunState::Fired) };
    let failed = |reason| Run { state: RunState::Failed, reason: Some(reason), ..run.clone() };
    let Ok(order) = Kept::read(&found.order).and_then(|kept| kept.at(planned)) else {
        return Some(failed(Reason::Invalid));
    };
    let order = of_run(order, &found.head.strategy, run_id);
    match order::order_under(shared, app, order, task, Some(key_of(app, run_id)), None).await {
        Ok(ordered) => {
            let run = Run { fired_at: Some(shared.clock.wall()), ..run };
            Some(ended(&run, &ordered))
        }
        Err(Refusal::ValueMissing | Refusal::IdempotencyMismatch | Refusal::DeviceUnknown) => {
            Some(failed(Reason::Invalid))
        }
        Err(refusal) => {
            tracing::warn!(run = %run_id, %refusal, "a scheduled push has to wait");
            None
        }
    }
}

/// A recipient's own key names one message, and a cyclic schedule sends many.
fn of_run(mut order: Order, strategy: &Strategy, run: Id) -> Order {
    if let (Strategy::Cyclic(_), Recipients::Each(recipients)) = (strategy, &mut order.to) {
        for key in recipients.iter_mut().filter_map(|recipient| recipient.key.as_mut()) {
            *key = format!("{key}@{run}");
        }
    }
    order
}

/// The key under which a run's order is given, however often.
fn key_of(app: App, run: Id) -> Idempotency {
    let mut digest = Sha256::new();
    digest.update(b"run of a schedule\0");
    digest.update(app.0.to_be_bytes());
    digest.update(run.bytes());
    let body: [u8; 32] = digest.finalize().into();
    let mut key = [0; 16];
    key.copy_from_slice(&body[..16]);
    Idempotency { key, body }
}

fn ended(run: &Run, ordered: &Ordered) -> Run {
    let refused = ordered.messages.iter().filter(|(_, outcome)| *outcome != Outcome::Accepted).count();
    let all_refused = refused == ordered.messages.len() && refused > 0;
    let any_full = ordered.messages.iter().any(|(_, outcome)| *outcome == Outcome::QueueFull);
    let reason = if any_full { Reason::QueueFull } else { Reason::DeviceUnknown };
    Run {
        state: if all_refused { RunState::Failed } else { RunState::Fired },
        task: ordered.task,
        messages: ordered.messages.iter().take(MESSAGES_KEPT).map(|(id, _)| *id).collect(),
        accepted: ordered.accepted,
        refused: u32::try_from(refused).unwrap_or(u32::MAX),
        reason: all_refused.then_some(reason),
        ..run.clone()
    }
}

/// Writes how a run ended, and that its schedule is past it.
async fn over(shared: &Shared, app: App, id: Id, run: &Run) -> Result<(), Refusal> {
    for _ in 0..LOOKS_MAX {
        let Some(found) = Found::in_store(shared, app, id) else { break };
        let head = past(&found.head, run.planned_at, shared.clock.now());
        let changes = vec![run_change(&head.strategy, run, Expect::Anything), found.with(id, &head)];
        if matches!(shared.store.change(app, changes, None, None).await?, Changed::Done(_)) {
            break;
        }
    }
    count(run);
    Ok(())
}

/// The head once the run planned for then is over; one cancelled meanwhile stays cancelled.
fn past(head: &Head, planned: Timestamp, now: Timestamp) -> Head {
    let is_done = head.state == State::Active && head.strategy.next_after(planned).is_none();
    Head {
        over_until: head.over_until.max(planned),
        state: if is_done { State::Done } else { head.state },
        ended_at: if is_done { Some(now) } else { head.ended_at },
        ..head.clone()
    }
}

fn count(run: &Run) {
    counter!(names::SCHEDULE_RUNS, "state" => run.state.name()).increment(1);
    if let Some(lag) = run.lag() {
        histogram!(names::SCHEDULE_LAG).record(seconds(lag));
    }
}

#[expect(clippy::cast_precision_loss, reason = "a lag in milliseconds is far below 2^52")]
fn seconds(span: Ttl) -> f64 {
    span.as_millis() as f64 / 1000.0
}

/// Every series of schedules at 0, so that a rate has a beginning.
pub(crate) fn begin_metrics() {
    for state in [RunState::Fired, RunState::Skipped, RunState::Failed] {
        counter!(names::SCHEDULE_RUNS, "state" => state.name()).increment(0);
    }
}

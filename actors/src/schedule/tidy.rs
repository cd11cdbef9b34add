//! Schedules that ended long ago are forgotten, with their runs.

use super::object::{Id, parts};
use crate::engine::Shared;
use crate::store::{Change, Error, Expect, Kind};

/// Schedules forgotten in one go, each in a commit with its runs.
const AT_ONCE: usize = 16;

/// More than a schedule has.
const RUNS_MAX: usize = 1_000;

pub(crate) async fn tidy(shared: &Shared) -> Result<(), Error> {
    if !shared.clock.settled() {
        return Ok(());
    }
    let oldest = shared.clock.now() - shared.limits.schedule_keep;
    let ended = |(app, id, stored): (_, String, crate::store::Stored)| {
        let (head, _) = parts(&stored.bytes).ok()?;
        let id: Id = id.parse().ok()?;
        head.ended_at.filter(|at| *at < oldest).map(|_| (app, id))
    };
    let all = shared.store.objects_of_all(Kind::Schedule);
    for (app, id) in all.into_iter().filter_map(ended).take(AT_ONCE) {
        let gone = |kind, id| Change { kind, id, expect: Expect::Anything, value: None };
        let runs = shared.store.family(app, Kind::Run, id, RUNS_MAX);
        let mut changes: Vec<_> = runs.into_iter().map(|(run, _)| gone(Kind::Run, run)).collect();
        changes.push(gone(Kind::Schedule, id.to_string()));
        shared.store.change(app, changes, None, None).await?;
    }
    Ok(())
}

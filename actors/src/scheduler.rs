//! What is due by the clock: scheduled pushes, each at its time; expiry and every other sweep of the
//! store, one bounded step at a time.
//!
//! ```text
//!  tokio timer ──▶ Scheduler ─┬─sweep, tidy──▶ store
//!                             └─attend───────▶ schedule/firing ──▶ order
//! ```
//!
//! It remembers nothing: one made anew goes on where the store is. At most `FIRING_MAX` schedules
//! are attended at a time, and one schedule by one alone.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};
use ahash::{AHashMap, AHashSet};
use carillon_sdk::Ttl;

use crate::engine::{Crash, Shared};
use crate::model::App;
use crate::root::{Finish, RootChild};
use crate::schedule::object::Id;
use crate::schedule::{Attended, attend, begin_metrics, tidy};
use crate::supervise::Obituary;

/// Between two looks at the agenda: what a scheduled push is late by at most, on an idle server.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Schedules attended at a time.
const FIRING_MAX: usize = 64;

/// Sweeps from one tidying of ended schedules to the next.
const TIDY_EVERY: u32 = 60;

/// What could not be carried out is tried again after this, twice as long each time.
const RETRY_AFTER_MS: u64 = 500;
const RETRY_AFTER_MAX_MS: u64 = 60_000;

const EVERY: Duration = Duration::from_secs(1);

/// Steps of one second's sweep; what is left waits for the next.
const STEPS_MAX: usize = 64;

pub(crate) struct Scheduler {
    shared: Arc<Shared>,
    sweeping: bool,
    sweeps: u32,
    /// Schedules that are being attended.
    attended: AHashSet<(App, Id)>,
    /// How often those were tried that could not be carried out.
    tries: AHashMap<(App, Id), u32>,
    _obituary: Obituary<RootChild>,
}

impl Scheduler {
    pub(crate) fn new(shared: Arc<Shared>, obituary: Obituary<RootChild>) -> Self {
        Self {
            shared,
            sweeping: false,
            sweeps: 0,
            attended: AHashSet::new(),
            tries: AHashMap::new(),
            _obituary: obituary,
        }
    }

    /// Begins what is due. The clock is looked at first: nothing fires on the word of one that jumped.
    fn look(&mut self, ctx: &mut Context<Self>) {
        self.watch_clock();
        if !self.shared.clock.settled() {
            return;
        }
        let now = self.shared.clock.wall();
        while self.attended.len() < FIRING_MAX
            && let Some((app, id)) = self.shared.agenda.take(now)
        {
            if !self.attended.insert((app, id)) {
                continue;
            }
            let shared = Arc::clone(&self.shared);
            let attended = async move { attend(&shared, app, id).await };
            let attended = attended.into_actor(self).map(move |attended, this: &mut Self, ctx| {
                this.attended(app, id, attended);
                // There is room for another now.
                this.look(ctx);
            });
            ctx.spawn(attended);
        }
    }

    fn attended(&mut self, app: App, id: Id, attended: Attended) {
        self.attended.remove(&(app, id));
        let tries = self.tries.remove(&(app, id)).unwrap_or(0);
        match attended {
            Attended::At(at) => self.shared.agenda.add(at, app, id),
            Attended::Later => {
                self.tries.insert((app, id), tries.saturating_add(1));
                let wait = RETRY_AFTER_MS.saturating_mul(1 << tries.min(10)).min(RETRY_AFTER_MAX_MS);
                self.shared.agenda.add(self.shared.clock.wall() + Ttl::from_millis(wait), app, id);
            }
            Attended::Never => {}
        }
    }

    fn watch_clock(&self) {
        if let Some(jump_ms) = self.shared.clock.watch() {
            tracing::warn!(jump_ms, "the wall clock was stepped");
            self.shared.counters.clock_jumps.increment(1);
        }
    }

    fn sweep(&mut self, ctx: &mut Context<Self>) {
        if std::mem::replace(&mut self.sweeping, true) {
            return;
        }
        // Beside the sweep: reading history takes its time.
        let store = self.shared.store.clone();
        actix_rt::spawn(async move {
            if let Err(error) = store.resume_revokes().await {
                tracing::warn!(%error, "a revoke that was cut off could not be carried on");
            }
        });
        let shared = Arc::clone(&self.shared);
        let tidies = self.sweeps.is_multiple_of(TIDY_EVERY);
        self.sweeps = self.sweeps.wrapping_add(1);
        let sweep = async move {
            if tidies && let Err(error) = tidy(&shared).await {
                tracing::warn!(%error, "ended schedules were not forgotten");
            }
            for _ in 0..STEPS_MAX {
                match shared.store.sweep(shared.clock.now()).await {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(error) => {
                        tracing::warn!(%error, "a sweep of the store was not done");
                        break;
                    }
                }
            }
        };
        ctx.spawn(sweep.into_actor(self).map(|(), this, _| this.sweeping = false));
    }
}

impl Actor for Scheduler {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        begin_metrics();
        self.shared.agenda.refill(&self.shared.store);
        ctx.run_interval(LOOK_EVERY, Self::look);
        ctx.run_interval(EVERY, Self::sweep);
    }
}

impl Handler<Crash> for Scheduler {
    type Result = ();

    fn handle(&mut self, _: Crash, _: &mut Context<Self>) {
        panic!("the Scheduler was told to crash");
    }
}

impl Handler<Finish> for Scheduler {
    type Result = ();

    fn handle(&mut self, _: Finish, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}

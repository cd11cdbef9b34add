//! What is due by the clock: expiry and every other sweep of the store, one bounded step at a time.
//!
//! ```text
//!  tokio timer ──▶ Scheduler ──sweep──▶ store
//! ```
//!
//! It remembers nothing: one made anew goes on where the store is.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};

use crate::engine::{Crash, Shared};
use crate::root::{Finish, RootChild};
use crate::supervise::Obituary;

const EVERY: Duration = Duration::from_secs(1);

/// Steps of one second's sweep; what is left waits for the next.
const STEPS_MAX: usize = 64;

pub(crate) struct Scheduler {
    shared: Arc<Shared>,
    sweeping: bool,
    _obituary: Obituary<RootChild>,
}

impl Scheduler {
    pub(crate) const fn new(shared: Arc<Shared>, obituary: Obituary<RootChild>) -> Self {
        Self { shared, sweeping: false, _obituary: obituary }
    }

    fn tick(&mut self, ctx: &mut Context<Self>) {
        if let Some(jump_ms) = self.shared.clock.watch() {
            tracing::warn!(jump_ms, "the wall clock was stepped");
            self.shared.counters.clock_jumps.increment(1);
        }
        if std::mem::replace(&mut self.sweeping, true) {
            return;
        }
        let shared = Arc::clone(&self.shared);
        let sweep = async move {
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
        ctx.run_interval(EVERY, Self::tick);
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

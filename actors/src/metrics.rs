//! Closes the minute in the statistics and gathers gauges.
//!
//! ```text
//!  tokio timer ──▶ Metrics ──close_minutes──▶ store
//!                     └──gauges──▶ the recorder
//! ```
//!
//! Hot paths count in atomics of their own; nothing is sent here for counting. One made anew goes
//! on with the same counters.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};
use carillon_sdk::Vendor;
use metrics::gauge;

use crate::engine::{Crash, Shared};
use crate::names;
use crate::root::{Finish, RootChild};
use crate::supervise::Obituary;

const GATHER_EVERY: Duration = Duration::from_secs(5);
const MINUTE_MS: u64 = 60_000;

pub(crate) struct Metrics {
    shared: Arc<Shared>,
    /// The minute that was last closed, and whether one is being closed.
    closed_minute: u64,
    closing: bool,
    _obituary: Obituary<RootChild>,
}

impl Metrics {
    pub(crate) const fn new(shared: Arc<Shared>, obituary: Obituary<RootChild>) -> Self {
        Self { shared, closed_minute: 0, closing: false, _obituary: obituary }
    }

    fn tick(&mut self, ctx: &mut Context<Self>) {
        let minute = self.shared.clock.now().as_millis() / MINUTE_MS;
        if minute <= self.closed_minute || std::mem::replace(&mut self.closing, true) {
            return;
        }
        let shared = Arc::clone(&self.shared);
        let closed = async move { shared.store.close_minutes(shared.clock.now()).await };
        ctx.spawn(closed.into_actor(self).map(move |closed, this, _| {
            this.closing = false;
            match closed {
                Ok(()) => this.closed_minute = minute,
                Err(error) => tracing::warn!(%error, "a minute of the statistics was not closed"),
            }
        }));
    }

    #[expect(clippy::cast_precision_loss, reason = "gauges are f64; these counts are far below 2^52")]
    fn gather(&mut self, ctx: &mut Context<Self>) {
        self.shared.counters.publish();
        let totals = self.shared.store.totals();
        let age = totals.oldest_pending_at.map_or(0, |at| self.shared.clock.now().since(at).as_millis());
        gauge!(names::QUEUE_MESSAGES).set(totals.pending as f64);
        gauge!(names::QUEUE_BYTES).set(totals.pending_bytes as f64);
        gauge!(names::QUEUE_OLDEST_AGE).set(age as f64 / 1000.0);
        gauge!(names::DEVICES).set(totals.devices as f64);
        for vendor in Vendor::ALL {
            let count = self.shared.store.token_count(vendor);
            gauge!(names::TOKENS, "channel" => vendor.as_str()).set(count as f64);
        }
        gauge!(names::BROADCASTS).set(totals.broadcasts as f64);
        for (state, count) in crate::campaign::states(&self.shared.store) {
            gauge!(names::CAMPAIGNS, "state" => state.as_str()).set(count as f64);
        }
        gauge!(names::STORE_BYTES).set(totals.disk_bytes as f64);
        gauge!(names::STORE_INTAKE).set(totals.intake as f64);
        let resident = actix_rt::task::spawn_blocking(resident_bytes);
        ctx.spawn(resident.into_actor(self).map(|bytes, _, _| {
            if let Ok(Some(bytes)) = bytes {
                gauge!(names::RESIDENT_BYTES).set(bytes as f64);
            }
        }));
    }
}

/// Off the arbiter: it reads a file, though one the kernel makes up.
fn resident_bytes() -> Option<u64> {
    const PAGE_BYTES: u64 = 4096;
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    statm.split_whitespace().nth(1)?.parse::<u64>().ok().map(|pages| pages * PAGE_BYTES)
}

impl Actor for Metrics {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.gather(ctx);
        ctx.run_interval(Duration::from_secs(1), Self::tick);
        ctx.run_interval(GATHER_EVERY, Self::gather);
    }
}

impl Handler<Crash> for Metrics {
    type Result = ();

    fn handle(&mut self, _: Crash, _: &mut Context<Self>) {
        panic!("the Metrics actor was told to crash");
    }
}

impl Handler<Finish> for Metrics {
    type Result = ();

    fn handle(&mut self, _: Finish, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}

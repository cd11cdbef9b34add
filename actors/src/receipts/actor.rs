//! The receipts of one app: a delivery for each of its roads, made and ended as its owner changes
//! them.
//!
//! ```text
//!  store ──objects changed──▶ Receipts ──spawns, cancels──▶ Delivery × road
//!  Root ◀──Obituary───────────┘   when nothing is left to deliver, or it panicked
//! ```
//!
//! It remembers nothing: one made anew goes on where each road's progress says. Limits: as many
//! deliveries as an app may have endpoints, twice for replays, and one for the callback.

use std::collections::HashMap;
use std::sync::Arc;

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, SpawnHandle, WrapFuture};
use futures_util::stream::{self, Stream};
use tokio::sync::watch;

use super::delivery::{Job, jobs, run};
use crate::engine::{Crash, Shared};
use crate::model::App;
use crate::root::{Finish, RootChild};
use crate::supervise::Obituary;

/// Sent by the store's word that endpoints or settings changed, of whichever app. No reply.
#[derive(actix::Message)]
#[rtype(result = "()")]
pub(crate) struct Reconcile;

/// One [`Reconcile`] now, and one whenever something changed since the last.
pub(crate) fn reconciles(mut changed: watch::Receiver<()>) -> impl Stream<Item = Reconcile> {
    changed.mark_changed();
    stream::unfold(changed, |mut changed| async {
        changed.changed().await.ok()?;
        Some((Reconcile, changed))
    })
}

/// Whether an app has something to deliver.
pub(crate) fn is_needed(shared: &Arc<Shared>, app: App) -> bool {
    !jobs(shared, app).is_empty()
}

pub(crate) struct Receipts {
    shared: Arc<Shared>,
    app: App,
    running: HashMap<String, (Job, SpawnHandle), ahash::RandomState>,
    _obituary: Obituary<RootChild>,
}

impl Receipts {
    pub(crate) fn new(shared: Arc<Shared>, app: App, obituary: Obituary<RootChild>) -> Self {
        Self { shared, app, running: HashMap::default(), _obituary: obituary }
    }

    fn reconcile(&mut self, ctx: &mut Context<Self>) {
        let wanted = jobs(&self.shared, self.app);
        self.running.retain(|_, (job, handle)| {
            let keep = wanted.contains(job);
            if !keep {
                ctx.cancel_future(*handle);
            }
            keep
        });
        for job in wanted {
            if !self.running.contains_key(&job.id) {
                self.deliver(job, ctx);
            }
        }
        if self.running.is_empty() {
            ctx.stop();
        }
    }

    fn deliver(&mut self, job: Job, ctx: &mut Context<Self>) {
        let id = job.id.clone();
        let delivery = run(Arc::clone(&self.shared), self.app, job.clone()).into_actor(self);
        let ended = id.clone();
        let handle = ctx.spawn(delivery.map(move |(), this, ctx| {
            this.running.remove(&ended);
            this.reconcile(ctx);
        }));
        self.running.insert(id, (job, handle));
    }
}

impl Actor for Receipts {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.add_message_stream(reconciles(self.shared.store.roads_changed()));
    }
}

impl Handler<Reconcile> for Receipts {
    type Result = ();

    fn handle(&mut self, _: Reconcile, ctx: &mut Context<Self>) {
        self.reconcile(ctx);
    }
}

impl Handler<Crash> for Receipts {
    type Result = ();

    fn handle(&mut self, _: Crash, _: &mut Context<Self>) {
        panic!("the Receipts were told to crash");
    }
}

impl Handler<Finish> for Receipts {
    type Result = ();

    fn handle(&mut self, _: Finish, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}

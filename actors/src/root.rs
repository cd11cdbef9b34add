//! The top of the tree: it makes the others anew, and when they die too often the process exits
//! and the init system is its supervisor.
//!
//! ```text
//!  Root ──makes──▶ Metrics, Scheduler, Campaigns, Receipts × app, Channels, Shard × core
//!    ▲───Mourn────────┘
//!    └─ over budget, or panicked: exit with status 70; nothing accepted is lost by that
//! ```

use std::sync::Arc;

use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler};
use actix_rt::ArbiterHandle;

use crate::campaign::{CrashRunner, Office};
use crate::channel;
use crate::counters::Counters;
use crate::engine::{Crash, Kind, Shared};
use crate::metrics::Metrics;
use crate::model::{App, ShardNo};
use crate::receipts::{self, Receipts, Reconcile};
use crate::scheduler::Scheduler;
use crate::shard::{CrashOne, Shard};
use crate::supervise::{Budget, Children, Death, Mourn, Notices, Obituary};

/// `EX_SOFTWARE`: the process ended because an invariant broke.
pub const EXIT_STATUS: i32 = 70;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum RootChild {
    Metrics,
    Scheduler,
    Campaigns,
    Receipts(App),
    Channels,
    Shard(ShardNo),
}

enum ChildAddress {
    Metrics(Addr<Metrics>),
    Scheduler(Addr<Scheduler>),
    Campaigns(Addr<Office>),
    Receipts(Addr<Receipts>),
    Channels(Addr<channel::Office>),
    Shard,
}

/// Sent by the engine when the way out is open. No reply: apps with receipts to deliver get their
/// actor, now and whenever one begins to have some.
#[derive(actix::Message)]
#[rtype(result = "()")]
pub(crate) struct OpenReceipts;

/// Sent by the engine when vendors may be spoken to. No reply: setups get their channels.
#[derive(actix::Message)]
#[rtype(result = "()")]
pub(crate) struct OpenChannels;

/// Sent by the engine to make one actor of a kind panic. No reply.
#[derive(actix::Message)]
#[rtype(result = "()")]
pub(crate) struct CrashKind(pub(crate) Kind);

/// Sent by the engine when it has drained: everything below ends. No reply.
#[derive(actix::Message)]
#[rtype(result = "()")]
pub(crate) struct Finish;

pub(crate) struct Root {
    shared: Arc<Shared>,
    arbiters: Vec<ArbiterHandle>,
    notices: Arc<Notices<RootChild>>,
    children: Children<RootChild, ChildAddress>,
    budget: Budget,
    finished: bool,
}

impl Root {
    /// Starts the whole tree; every shard has its place in the router when this returns.
    pub(crate) fn start(shared: Arc<Shared>, arbiters: Vec<ArbiterHandle>) -> Addr<Self> {
        Self::create(|ctx| {
            let mut root = Self {
                notices: Notices::new(ctx.address().recipient()),
                children: Children::new(),
                budget: Budget::new(shared.limits.deaths_per_minute_max),
                finished: false,
                shared,
                arbiters,
            };
            let shards: Vec<_> = root.shared.router.all().map(RootChild::Shard).collect();
            for child in
                shards.into_iter().chain([RootChild::Metrics, RootChild::Scheduler, RootChild::Campaigns])
            {
                root.make(child);
            }
            root
        })
    }

    fn make(&mut self, child: RootChild) {
        let life = self.children.next_life();
        let obituary = Obituary::new(child, life, Arc::clone(&self.notices));
        let shared = Arc::clone(&self.shared);
        let address = match child {
            RootChild::Metrics => ChildAddress::Metrics(Metrics::new(shared, obituary).start()),
            RootChild::Scheduler => ChildAddress::Scheduler(Scheduler::new(shared, obituary).start()),
            RootChild::Campaigns => {
                let office = Office::start(Arc::clone(&shared), obituary);
                shared.board.publish(office.clone());
                ChildAddress::Campaigns(office)
            }
            RootChild::Receipts(app) => ChildAddress::Receipts(Receipts::new(shared, app, obituary).start()),
            RootChild::Channels => {
                let office = channel::Office::start(Arc::clone(&shared), obituary);
                shared.channel_board.move_in(office.clone());
                ChildAddress::Channels(office)
            }
            RootChild::Shard(number) => {
                let Some(arbiter) = self.arbiters.get(usize::from(number.0)) else { return };
                let address =
                    Shard::start_in_arbiter(arbiter, move |ctx| Shard::new(number, shared, obituary, ctx));
                self.shared.router.publish(number, address);
                ChildAddress::Shard
            }
        };
        self.children.insert(child, address, life);
    }
}

impl Actor for Root {
    type Context = Context<Self>;
}

impl Drop for Root {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.shared.exit(EXIT_STATUS);
        }
    }
}

impl Handler<Mourn> for Root {
    type Result = ();

    fn handle(&mut self, _: Mourn, ctx: &mut Context<Self>) {
        for Death { key, life, panicked } in self.notices.take() {
            if self.children.bury(&key, life).is_none() || self.finished {
                continue;
            }
            if let (RootChild::Receipts(app), false) = (key, panicked) {
                // It had nothing left to deliver, which is no death; unless that changed just now.
                if receipts::is_needed(&self.shared, app) {
                    self.make(key);
                }
                continue;
            }
            if !self.budget.bear(self.shared.clock.monotonic_ms()) {
                tracing::error!("too many deaths in a minute; the process exits");
                self.shared.exit(EXIT_STATUS);
                ctx.stop();
                return;
            }
            tracing::error!(child = ?key, panicked, "an actor died and is made anew");
            Counters::restarted(match key {
                RootChild::Metrics => Kind::Metrics,
                RootChild::Scheduler => Kind::Scheduler,
                RootChild::Campaigns => Kind::Campaigns,
                RootChild::Receipts(_) => Kind::Receipts,
                RootChild::Channels => Kind::Channels,
                RootChild::Shard(_) => Kind::Shard,
            });
            self.make(key);
        }
    }
}

impl Handler<OpenReceipts> for Root {
    type Result = ();

    fn handle(&mut self, _: OpenReceipts, ctx: &mut Context<Self>) {
        ctx.add_message_stream(receipts::reconciles(self.shared.store.roads_changed()));
    }
}

impl Handler<OpenChannels> for Root {
    type Result = ();

    fn handle(&mut self, _: OpenChannels, _: &mut Context<Self>) {
        self.make(RootChild::Channels);
    }
}

impl Handler<Reconcile> for Root {
    type Result = ();

    fn handle(&mut self, _: Reconcile, _: &mut Context<Self>) {
        for info in self.shared.store.apps() {
            let child = RootChild::Receipts(info.app);
            if !self.finished
                && self.children.get_mut(&child).is_none()
                && receipts::is_needed(&self.shared, info.app)
            {
                self.make(child);
            }
        }
    }
}

impl Handler<CrashKind> for Root {
    type Result = ();

    fn handle(&mut self, CrashKind(kind): CrashKind, _: &mut Context<Self>) {
        match kind {
            Kind::Root => panic!("the Root was told to crash"),
            Kind::Store => self.shared.store.crash(),
            Kind::Metrics
            | Kind::Scheduler
            | Kind::Receipts
            | Kind::Campaigns
            | Kind::Campaign
            | Kind::Channels
            | Kind::Channel => {
                for child in self.children.values() {
                    // A child too busy to hear this is not crashed: the caller sees that it lives.
                    let _ = match (kind, child) {
                        (Kind::Metrics, ChildAddress::Metrics(address)) => address.try_send(Crash).is_ok(),
                        (Kind::Scheduler, ChildAddress::Scheduler(address)) => {
                            address.try_send(Crash).is_ok()
                        }
                        (Kind::Campaigns, ChildAddress::Campaigns(office)) => office.try_send(Crash).is_ok(),
                        (Kind::Campaign, ChildAddress::Campaigns(office)) => {
                            office.try_send(CrashRunner).is_ok()
                        }
                        (Kind::Channels, ChildAddress::Channels(office)) => office.try_send(Crash).is_ok(),
                        (Kind::Channel, ChildAddress::Channels(office)) => {
                            office.try_send(channel::CrashChannel).is_ok()
                        }
                        (Kind::Receipts, ChildAddress::Receipts(address)) => address.try_send(Crash).is_ok(),
                        _ => false,
                    };
                }
            }
            Kind::Shard | Kind::User | Kind::Connection => {
                let done = Arc::default();
                for shard in self.shared.router.all() {
                    // The same for a shard.
                    let _ = self.shared.router.tell(shard, CrashOne { kind, done: Arc::clone(&done) });
                }
            }
        }
    }
}

impl Handler<Finish> for Root {
    type Result = ();

    fn handle(&mut self, _: Finish, ctx: &mut Context<Self>) {
        self.finished = true;
        for child in self.children.values() {
            // One too busy to hear it ends with the process.
            let _ = match child {
                ChildAddress::Metrics(address) => address.try_send(Finish).is_ok(),
                ChildAddress::Scheduler(address) => address.try_send(Finish).is_ok(),
                ChildAddress::Campaigns(address) => address.try_send(Finish).is_ok(),
                ChildAddress::Receipts(address) => address.try_send(Finish).is_ok(),
                ChildAddress::Channels(office) => office.try_send(Finish).is_ok(),
                ChildAddress::Shard => true,
            };
        }
        for shard in self.shared.router.all() {
            let _ = self.shared.router.tell(shard, Finish);
        }
        ctx.stop();
    }
}

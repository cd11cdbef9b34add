//! The channels' supervisor: one for each setup that is turned on.
//!
//! ```text
//!  store ──setups changed──▶ Office ──makes, finishes──▶ Channel × (app, vendor)
//!   Root ◀──Obituary───────────┘ ▲──────Mourn─────────────┘
//! ```
//!
//! Invariants: one channel at a time for an app and a vendor. One whose setup changed comes to the
//! end of what is under way, and the next begins after that: two would both carry what was claimed.
//! One that panics again and again rests for a minute, and takes no other along. Limits: the mailbox.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, Message};
use ahash::{AHashMap, AHashSet};
use carillon_sdk::Vendor;
use tokio::sync::oneshot;

use super::actor::{Channel, Mended, Parts};
use super::desk::Legacy;
use super::setup::{self, Setups};
use super::{counted, keep};
use crate::counters::Counters;
use crate::engine::{Crash, Kind, Shared};
use crate::model::App;
use crate::receipts::{Reconcile, reconciles};
use crate::root::{Finish, RootChild};
use crate::supervise::{Budget, Children, Death, Mourn, Notices, Obituary};

/// Deaths of one channel within a minute; beyond, it rests.
const DEATHS_OF_ONE_MAX: u32 = 5;
const REST: Duration = Duration::from_secs(60);
const SEAT_AGAIN: Duration = Duration::from_secs(1);

/// How often gauges are brought up to date.
const GAUGES: Duration = Duration::from_secs(5);

pub(crate) type Key = (App, Vendor);

struct Running {
    address: Addr<Channel>,
    /// Of the setup it was made with.
    version: u64,
    finishing: bool,
}

pub(crate) struct Office {
    shared: Arc<Shared>,
    notices: Arc<Notices<Key>>,
    channels: Children<Key, Running>,
    budgets: AHashMap<Key, Budget>,
    resting: AHashSet<Key>,
    /// Setups that make no channel: turned off, or of no use. By version, so that a change is news.
    idle: AHashMap<Key, u64>,
    finished: bool,
    /// Told when the last channel has ended.
    closing: Vec<oneshot::Sender<()>>,
    _obituary: Obituary<RootChild>,
}

/// Sent by the engine when it drains: no channel begins anything more. The reply comes when all have
/// ended.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Close {
    pub(super) reply: oneshot::Sender<()>,
}

/// Sent by the engine when a trial of a channel went well. No reply.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Tried {
    pub(super) key: Key,
    pub(super) mended: Mended,
}

/// Sent by Root: one channel is to panic. No reply.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct CrashChannel;

impl Office {
    pub(crate) fn start(shared: Arc<Shared>, obituary: Obituary<RootChild>) -> Addr<Self> {
        Self::create(|ctx| Self {
            notices: Notices::new(ctx.address().recipient()),
            channels: Children::new(),
            budgets: AHashMap::new(),
            resting: AHashSet::new(),
            idle: AHashMap::new(),
            finished: false,
            closing: Vec::new(),
            shared,
            _obituary: obituary,
        })
    }

    fn reconcile(&mut self, ctx: &mut Context<Self>) {
        if self.finished {
            self.finish_all();
            return;
        }
        let wanted: AHashMap<Key, u64> = setup::all(&self.shared.store)
            .into_iter()
            .map(|(app, vendor, version)| ((app, vendor), version))
            .collect();
        self.idle.retain(|key, version| wanted.get(key) == Some(version));
        self.channels.retain(|key, running| {
            if wanted.get(key) != Some(&running.version) && !running.finishing {
                running.finishing = running.address.try_send(Finish).is_ok();
                if !running.finishing {
                    // Its mailbox is full.
                    Self::return_to(*key, SEAT_AGAIN, ctx);
                }
            }
            true
        });
        for (key, version) in wanted {
            let is_there = self.channels.get_mut(&key).is_some() || self.idle.contains_key(&key);
            if !is_there && !self.resting.contains(&key) {
                self.make(key, version, ctx);
            }
        }
    }

    fn make(&mut self, key: Key, version: u64, ctx: &mut Context<Self>) {
        let (app, vendor) = key;
        let Some(works) = self.shared.works() else { return };
        let Some(seat) = self.shared.channel_board.seat(key) else {
            // A former office's, at the end of what is under way.
            self.resting.insert(key);
            Self::return_to(key, SEAT_AGAIN, ctx);
            return;
        };
        let (gateway, opened) = match Setups::of(&self.shared, app).gateway(vendor) {
            Ok((gateway, opened)) if opened.enabled => (gateway, opened),
            found => {
                if let Err(error) = found {
                    tracing::error!(app = app.0, %vendor, %error, "a vendor's setup makes no channel");
                }
                self.shared.channel_board.forget(key);
                self.idle.insert(key, version);
                return;
            }
        };
        let generation = opened.generation;
        let parts = Parts {
            app,
            vendor,
            gateway,
            errands: works.errands(app, vendor),
            legacy: Legacy {
                access: keep::access(&self.shared, app, vendor, &generation),
                quota: keep::quota(&self.shared, app, vendor),
                quotas: opened.quotas,
            },
            home: Arc::new(keep::InStore { shared: Arc::clone(&self.shared), app, vendor, generation }),
            clock: self.shared.clock.clone(),
            dice: self.shared.throw(),
            seat,
        };
        let life = self.channels.next_life();
        let obituary = Obituary::new(key, life, Arc::clone(&self.notices));
        let address = Channel::start(parts, obituary);
        self.channels.insert(key, Running { address, version, finishing: false }, life);
    }

    fn mourn(&mut self, key: Key, panicked: bool, ctx: &mut Context<Self>) {
        if !panicked {
            if setup::all(&self.shared.store).iter().all(|(app, vendor, _)| (*app, *vendor) != key) {
                self.shared.channel_board.forget(key);
            }
            return;
        }
        tracing::error!(app = key.0.0, vendor = %key.1, "a channel panicked and is made anew");
        Counters::restarted(Kind::Channel);
        let now_ms = self.shared.clock.monotonic_ms();
        let budget = self.budgets.entry(key).or_insert_with(|| Budget::new(DEATHS_OF_ONE_MAX));
        if !budget.bear(now_ms) {
            tracing::error!(app = key.0.0, vendor = %key.1, "a channel panics again and again; it rests");
            self.resting.insert(key);
            Self::return_to(key, REST, ctx);
        }
    }

    fn return_to(key: Key, after: Duration, ctx: &mut Context<Self>) {
        ctx.run_later(after, move |this, ctx| {
            this.resting.remove(&key);
            this.reconcile(ctx);
        });
    }

    fn finish_all(&mut self) {
        self.channels.retain(|_, running| {
            running.finishing = running.address.try_send(Finish).is_ok() || running.finishing;
            true
        });
        if self.channels.values().next().is_none() {
            for reply in self.closing.drain(..) {
                // Whoever asked may wait no longer.
                let _ = reply.send(());
            }
        }
    }
}

impl Actor for Office {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.add_message_stream(reconciles(self.shared.store.channels_changed()));
        ctx.run_interval(GAUGES, |this, _| {
            let now = this.shared.clock.now();
            counted::gauges(&this.shared.channel_board.all(), now);
        });
    }
}

impl Drop for Office {
    /// A channel has streams, so it would live on, beside the one that the next office makes.
    fn drop(&mut self) {
        for running in self.channels.values() {
            // One too busy to hear it keeps its seat, and the next office waits for it.
            let _ = running.address.try_send(Finish).is_ok();
        }
    }
}

impl Handler<Reconcile> for Office {
    type Result = ();

    fn handle(&mut self, _: Reconcile, ctx: &mut Context<Self>) {
        self.reconcile(ctx);
    }
}

impl Handler<Mourn> for Office {
    type Result = ();

    fn handle(&mut self, _: Mourn, ctx: &mut Context<Self>) {
        for Death { key, life, panicked } in self.notices.take() {
            if self.channels.bury(&key, life).is_some() {
                self.mourn(key, panicked, ctx);
            }
        }
        self.reconcile(ctx);
    }
}

impl Handler<Close> for Office {
    type Result = ();

    fn handle(&mut self, Close { reply }: Close, _: &mut Context<Self>) {
        self.finished = true;
        self.closing.push(reply);
        self.finish_all();
    }
}

impl Handler<Tried> for Office {
    type Result = ();

    fn handle(&mut self, Tried { key, mended }: Tried, _: &mut Context<Self>) {
        if let Some(running) = self.channels.get_mut(&key) {
            // One too busy to hear it is at work.
            let _ = running.address.try_send(mended).is_ok();
        }
    }
}

impl Handler<Crash> for Office {
    type Result = ();

    fn handle(&mut self, _: Crash, _: &mut Context<Self>) {
        panic!("the channels' Office was told to crash");
    }
}

impl Handler<CrashChannel> for Office {
    type Result = ();

    fn handle(&mut self, _: CrashChannel, _: &mut Context<Self>) {
        if let Some(running) = self.channels.values().next() {
            // One too busy to hear this is not crashed: the caller sees that it lives.
            let _ = running.address.try_send(Crash).is_ok();
        }
    }
}

impl Handler<Finish> for Office {
    type Result = ();

    fn handle(&mut self, _: Finish, ctx: &mut Context<Self>) {
        self.finished = true;
        ctx.stop();
    }
}

//! A part of the devices and of the users, on an arbiter of its own.
//!
//! ```text
//!  edge ──Arrive, Online──▶ Shard ──▶ Connection × device
//!  store ──Due, Broadcast─▶   │  └──▶ User × active
//!  engine ──Rebound, End──▶   └─▶ registry: writes to sockets, sweeps
//!         Connection, User ──Mourn──▶ Shard ──Obituary──▶ Root
//! ```
//!
//! Invariants: one session per device; a device's hints are looked at in the order in which they
//! came; a broadcast is written in slices of at most a millisecond. Limits: the mailbox, and deaths
//! a minute, beyond which the shard ends itself.

mod arrival;
mod fanout;
mod sweep;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, Message};
use carillon_sdk::Ttl;
use carillon_sdk::wire::{BindAnswer, GoodbyeReason};
use roaring::RoaringBitmap;
use tokio::sync::oneshot;

use crate::counters::Counters;
use crate::engine::{Crash, Kind, Shared};
use crate::link::Arrival;
use crate::live::{Env, Live};
use crate::model::{App, Device, Seq, ShardNo, User};
use crate::registry::Registry;
use crate::root::{Finish, RootChild};
use crate::session::Bounds;
use crate::store::DueHint;
use crate::supervise::{Budget, Children, Death, Life, Mourn, Notices, Obituary};
use crate::user::{UserActor, UserBind, UserPush};
use fanout::Fanout;
use sweep::{Draining, SWEEP_EVERY_MS};

/// A broadcast let go to no more devices than this is written to them one by one, in less than a
/// slice; to more of them in a round over all.
const FEW: u64 = 64;

/// A child of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Child {
    Connection(Device),
    User(User),
}

/// Sent by the edge for a verified device. No reply: the device hears Welcome, or Goodbye.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Arrive(pub(crate) Arrival);

/// Sent by the store's partitions after a commit. No reply; may be lost.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Due(pub(crate) Vec<DueHint>);

/// Sent by the store when a broadcast, or a share of a campaign, was let go to these devices. No
/// reply; may be lost.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Broadcast {
    pub(crate) app: App,
    pub(crate) devices: Arc<RoaringBitmap>,
}

/// Sent by the store when a place was revoked: for these devices of the app, or for all. No reply;
/// may be lost, which costs a repeat that the device does not show.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Withdrawn {
    pub(crate) app: App,
    pub(crate) seq: Seq,
    pub(crate) devices: Option<Arc<RoaringBitmap>>,
}

/// Sent by the engine after a bind was committed. The reply says that the live session, if there
/// is one, knows. It names no user: the store's word at this moment counts, so that two binds may
/// arrive here in either order.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Rebound {
    pub(crate) device: Device,
    /// The device did not ask for it: it is told.
    pub(crate) is_news: bool,
}

/// Sent by the engine to end a device's session. No reply.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct End {
    pub(crate) device: Device,
    pub(crate) reason: GoodbyeReason,
    pub(crate) retry_after: Ttl,
}

/// Sent by the engine for a push with `ttl: 0`. Replies for each device whether its live session
/// took it.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Online {
    pub(crate) due: crate::model::Due,
    pub(crate) devices: Vec<Device>,
    pub(crate) reply: oneshot::Sender<Vec<bool>>,
}

/// Sent by the engine when the server stops. Replies when every session was told Goodbye.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Drain {
    pub(crate) window: Ttl,
    pub(crate) reply: oneshot::Sender<()>,
}

/// Sent by tests and `carillon dev`, to every shard: the first that has one of `kind` and finds
/// `done` unset makes it panic. No reply.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct CrashOne {
    pub(crate) kind: Kind,
    pub(crate) done: Arc<AtomicBool>,
}

pub(crate) struct Shard {
    env: Rc<Env>,
    notices: Arc<Notices<Child>>,
    connections: Children<Device, ()>,
    users: Children<User, ActiveUser>,
    budget: Budget,
    fanout: Fanout,
    sweeps: u64,
    draining: Option<Draining>,
    _obituary: Obituary<RootChild>,
}

struct ActiveUser {
    address: Addr<UserActor>,
    used_ms: u64,
}

impl Shard {
    pub(crate) fn new(
        number: ShardNo,
        shared: Arc<Shared>,
        obituary: Obituary<RootChild>,
        ctx: &mut Context<Self>,
    ) -> Self {
        let limits = &shared.limits;
        ctx.set_mailbox_capacity(limits.shard_mailbox_max);
        let bounds = Bounds {
            in_flight_max: limits.in_flight_max,
            window_bytes_max: limits.backlog_bytes_max / 4 * 3,
            ack_timeout_ms: limits.ack_timeout.as_millis(),
        };
        let budget = Budget::new(limits.deaths_per_minute_max);
        let registry = RefCell::new(Registry::default());
        let env = Env { shard: number, shared, bounds, registry, over: Cell::new(false) };
        Self {
            env: Rc::new(env),
            notices: Notices::new(ctx.address().recipient()),
            connections: Children::new(),
            users: Children::new(),
            budget,
            fanout: Fanout::default(),
            sweeps: 0,
            draining: None,
            _obituary: obituary,
        }
    }

    fn live(&self, device: Device) -> Option<Rc<Live>> {
        self.env.registry.borrow().get(device)
    }

    fn obituary(&self, child: Child, life: Life) -> Obituary<Child> {
        Obituary::new(child, life, Arc::clone(&self.notices))
    }
}

impl Actor for Shard {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.run_interval(Duration::from_millis(SWEEP_EVERY_MS), Self::sweep);
    }
}

/// A shard that ends takes its connections with it, in whatever way it ends: an actor with a
/// stream outlives its last address.
impl Drop for Shard {
    fn drop(&mut self) {
        self.env.over.set(true);
        let lives =
            self.env.registry.try_borrow_mut().map(|mut registry| registry.drain()).unwrap_or_default();
        for live in lives {
            live.cut();
        }
    }
}

impl Handler<Arrive> for Shard {
    type Result = ();

    fn handle(&mut self, Arrive(arrival): Arrive, _: &mut Context<Self>) {
        self.arrive(arrival);
    }
}

impl Handler<Due> for Shard {
    type Result = ();

    fn handle(&mut self, Due(mut hints): Due, _: &mut Context<Self>) {
        self.doubt_lost();
        // Stable: a device's own order stays, and its hints make one write.
        hints.sort_by_key(|hint| hint.device);
        for of_device in hints.chunk_by(|one, next| one.device == next.device) {
            if let Some(live) = self.live(of_device[0].device) {
                live.due(of_device);
            }
        }
    }
}

impl Handler<Broadcast> for Shard {
    type Result = ();

    fn handle(&mut self, Broadcast { app, devices }: Broadcast, ctx: &mut Context<Self>) {
        if devices.len() > FEW {
            return self.fan_out(app, ctx);
        }
        let log = self.env.shared.store.log(app);
        for ordinal in devices.iter() {
            if let Some(live) = self.live(Device { app, ordinal }) {
                live.broadcast(&log);
            }
        }
    }
}

impl Handler<Withdrawn> for Shard {
    type Result = ();

    fn handle(&mut self, Withdrawn { app, seq, devices }: Withdrawn, _: &mut Context<Self>) {
        let Some(devices) = devices else {
            let lives = self.env.registry.borrow().part(app, 0, 1);
            return lives.iter().for_each(|live| live.withdrawn(seq));
        };
        for ordinal in devices.iter() {
            if let Some(live) = self.live(Device { app, ordinal }) {
                live.withdrawn(seq);
            }
        }
    }
}

impl Handler<Rebound> for Shard {
    type Result = ();

    fn handle(&mut self, Rebound { device, is_news }: Rebound, _: &mut Context<Self>) {
        let Some(live) = self.live(device) else { return };
        let info = self.env.shared.store.device_info(device);
        let (user, user_id) = info.map(|info| (info.user, info.user_id)).unwrap_or_default();
        if is_news {
            // Before anything of that user's.
            live.answer(BindAnswer { request: 0, error: None, user_id });
        }
        live.rebound(user);
    }
}

impl Handler<End> for Shard {
    type Result = ();

    fn handle(&mut self, end: End, _: &mut Context<Self>) {
        if let Some(live) = self.live(end.device) {
            live.end(end.reason, end.retry_after);
        }
    }
}

impl Handler<Online> for Shard {
    type Result = ();

    fn handle(&mut self, online: Online, _: &mut Context<Self>) {
        let taken = online
            .devices
            .iter()
            .map(|device| self.live(*device).is_some_and(|live| live.online(&online.due)));
        // The engine may have given up waiting; what was handed over was.
        let _ = online.reply.send(taken.collect());
    }
}

impl Handler<Drain> for Shard {
    type Result = ();

    fn handle(&mut self, drain: Drain, _: &mut Context<Self>) {
        self.draining = Some(Draining::new(drain.window, self.env.now().mono_ms, drain.reply));
    }
}

impl Handler<UserPush> for Shard {
    type Result = ();

    /// Hands it to its User. A mailbox found full drops the reply's sender after saying so.
    fn handle(&mut self, push: UserPush, _: &mut Context<Self>) {
        if let Err(push) = self.with_user(push.user, push) {
            push.refuse();
        }
    }
}

impl Handler<UserBind> for Shard {
    type Result = ();

    fn handle(&mut self, bind: UserBind, _: &mut Context<Self>) {
        if let Err(bind) = self.with_user(bind.user, bind) {
            bind.refuse();
        }
    }
}

impl Handler<Mourn> for Shard {
    type Result = ();

    fn handle(&mut self, _: Mourn, ctx: &mut Context<Self>) {
        for Death { key, life, panicked } in self.notices.take() {
            match key {
                Child::Connection(device) => self.connection_died(device, life, panicked),
                Child::User(user) => drop(self.users.bury(&user, life)),
            }
            if panicked && !self.budget.bear(self.env.now().mono_ms) {
                tracing::error!(shard = self.env.shard.0, "too many deaths in a minute; the shard ends");
                ctx.stop();
                return;
            }
            if panicked {
                Counters::restarted(if matches!(key, Child::User(_)) {
                    Kind::User
                } else {
                    Kind::Connection
                });
            }
        }
    }
}

impl Handler<CrashOne> for Shard {
    type Result = ();

    fn handle(&mut self, crash: CrashOne, _: &mut Context<Self>) {
        if crash.done.load(Ordering::Acquire) {
            return;
        }
        let done = match crash.kind {
            Kind::Connection => self.env.registry.borrow().some(1).iter().any(|live| live.crash()),
            Kind::User => self.users.values().any(|user| user.address.try_send(Crash).is_ok()),
            _ => {
                crash.done.store(true, Ordering::Release);
                panic!("a Shard was told to crash");
            }
        };
        crash.done.fetch_or(done, Ordering::AcqRel);
    }
}

impl Handler<Finish> for Shard {
    type Result = ();

    fn handle(&mut self, _: Finish, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}

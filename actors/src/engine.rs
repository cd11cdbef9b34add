//! The engine as the edge sees it: one cheap handle.

mod apps;
mod pushes;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix::Addr;
use actix_rt::{Arbiter, ArbiterHandle};
use carillon_sdk::wire::GoodbyeReason;
use carillon_sdk::{Ttl, UserId};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::campaign::Board;
use crate::channel;
use crate::clock::Clock;
use crate::counters::Counters;
use crate::limits::Limits;
use crate::link::Arrival;
use crate::model::{App, Device, Seq, User};
use crate::order::{Order, Ordered};
use crate::receipts::{self, Gateway};
use crate::root::{CrashKind, Finish, OpenChannels, OpenReceipts, Root};
use crate::router::{Full, Router};
use crate::schedule::Agenda;
use crate::shard::{Arrive, Drain, End, Rebound};
use crate::store::{self, Hints, Idempotency, Nonce, Store};
use crate::turns::Turns;
use crate::user::UserBind;

pub use self::pushes::{Outcome, Push, Pushed, Refusal, To};

pub struct Config {
    pub store: store::Config,
    pub limits: Limits,
    /// Arbiters for devices; one a core is the default.
    pub shards: usize,
}

/// Clones share one engine.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

/// What every actor can reach.
pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) limits: Limits,
    pub(crate) router: Router,
    pub(crate) counters: Arc<Counters>,
    pub(crate) board: Board,
    root: OnceLock<Addr<Root>>,
    arbiters: Vec<ArbiterHandle>,
    hellos: Mutex<HelloBucket>,
    draining: AtomicBool,
    binds: Turns,
    online_seqs: AtomicU64,
    dice: ahash::RandomState,
    throws: AtomicU64,
    /// Set when the way out is open.
    receipts: OnceLock<(Arc<dyn Gateway>, receipts::Config)>,
    /// Set when vendors may be spoken to.
    channels: OnceLock<Channels>,
    pub(crate) channel_board: channel::Board,
    exit: Exit,
    pub(crate) agenda: Agenda,
}

/// What channels need from outside.
pub(crate) struct Channels {
    pub(crate) gateways: Arc<dyn channel::Gateways>,
    pub(crate) works: Arc<dyn channel::Works>,
    pub(crate) config: channel::Config,
}

/// What ends the process: `std::process::exit`, or a test's own.
pub type Exit = Arc<dyn Fn(i32) + Send + Sync>;

/// Sent by tests and `carillon dev` to see supervision at work. No reply: the handler panics.
#[derive(actix::Message)]
#[rtype(result = "()")]
pub(crate) struct Crash;

/// The kinds of actor, for death and for counting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Root,
    Store,
    Metrics,
    Scheduler,
    /// The campaigns' supervisor, and one of them.
    Campaigns,
    Campaign,
    Receipts,
    /// The channels' supervisor, and one of them.
    Channels,
    Channel,
    Shard,
    User,
    Connection,
}

/// Whether the node should get work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    Ready,
    Draining,
    /// The store failed and is read-only; the text says how.
    StoreFailed(String),
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("open the store")]
    Store(#[source] store::OpenError),
    #[error("start an arbiter")]
    Arbiter,
    #[error("tidy the lists")]
    Lists(#[source] std::io::Error),
}

impl Kind {
    /// As labels of metrics have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Store => "store",
            Self::Metrics => "metrics",
            Self::Scheduler => "scheduler",
            Self::Campaigns => "campaigns",
            Self::Campaign => "campaign",
            Self::Receipts => "receipts",
            Self::Channels => "channels",
            Self::Channel => "channel",
            Self::Shard => "shard",
            Self::User => "user",
            Self::Connection => "connection",
        }
    }
}

/// Online-only pushes stand in no queue; their numbers begin where no stored place will ever be,
/// and still below 2^53, which every JSON reader can hold.
const ONLINE_SEQS: u64 = 1 << 52;

/// A device sent away at the door comes back within so long.
const HELLO_RETRY: Ttl = Ttl::from_secs(30);

/// How long after its window a drain still waits for shards to say that they are done.
const DRAIN_GRACE: Duration = Duration::from_secs(3);

impl Shared {
    async fn bind(
        &self,
        device: Device,
        user: Option<UserId>,
        nonce: Option<Nonce>,
        is_news: bool,
    ) -> Result<Option<User>, Refusal> {
        let to = user.map(|id| self.store.user(device.app, &id));
        let through = match to {
            Some(user) => Some(user),
            None => self.store.device_info(device).ok_or(Refusal::DeviceUnknown)?.user,
        };
        let before = match through {
            Some(user) => {
                let (reply, answer) = oneshot::channel();
                let bind = UserBind { user, device, to, nonce, reply };
                if self.router.tell(self.router.of_user(user), bind).is_err() {
                    self.counters.pushes_refused.increment(1);
                    return Err(Refusal::Busy);
                }
                // No answer: the actor died with it in hand.
                answer.await.map_err(|_| Refusal::Unknown)??
            }
            None => self.store.bind(device, None, nonce).await?,
        };
        if before != to {
            // A shard that died has no session left to tell.
            let rebound = Rebound { device, is_news };
            let _ = self.router.ask(self.router.of_device(device), rebound).await;
        }
        Ok(before)
    }

    pub(crate) fn exit(&self, status: i32) {
        (self.exit)(status);
    }

    pub(crate) fn next_online_seq(&self) -> Seq {
        Seq(ONLINE_SEQS + self.online_seqs.fetch_add(1, Ordering::Relaxed))
    }

    /// Any span up to `window`: full jitter, so that those sent away together come back apart.
    pub(crate) fn jitter(&self, window: Ttl) -> Ttl {
        Ttl::from_millis(self.throw() % window.as_millis().max(1))
    }

    /// Any number.
    pub(crate) fn throw(&self) -> u64 {
        self.dice.hash_one(self.throws.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn gateway(&self) -> Option<&Arc<dyn Gateway>> {
        self.receipts.get().map(|(gateway, _)| gateway)
    }

    pub(crate) fn gateways(&self) -> Option<&Arc<dyn channel::Gateways>> {
        self.channels.get().map(|channels| &channels.gateways)
    }

    pub(crate) fn works(&self) -> Option<&Arc<dyn channel::Works>> {
        self.channels.get().map(|channels| &channels.works)
    }

    pub(crate) fn channels_config(&self) -> Option<&channel::Config> {
        self.channels.get().map(|channels| &channels.config)
    }

    pub(crate) fn receipts_config(&self) -> Option<&receipts::Config> {
        self.receipts.get().map(|(_, config)| config)
    }
}

/// Hellos that may still be admitted at this moment: a token bucket.
struct HelloBucket {
    left: u64,
    filled_ms: u64,
}

impl HelloBucket {
    fn take(&mut self, limits: &Limits, now_ms: u64) -> bool {
        let rate = u64::from(limits.hello_rate_per_s).max(1);
        let earned = now_ms.saturating_sub(self.filled_ms).saturating_mul(rate) / 1000;
        if earned > 0 {
            self.left = self.left.saturating_add(earned).min(u64::from(limits.hello_burst));
            self.filled_ms = now_ms;
        }
        let admitted = self.left > 0;
        self.left = self.left.saturating_sub(1);
        admitted
    }
}

impl Engine {
    /// Opens the store and starts the actors. Called once, within an actix system, after the
    /// recorder of metrics is installed: counters are registered here.
    pub fn start(config: Config, clock: Clock) -> Result<Self, StartError> {
        let Config { store, limits, shards } = config;
        let exit: Exit = Arc::new(|status| std::process::exit(status));
        let bounds = limits.clone();
        let at = clock.clone();
        Self::assemble(limits, shards, clock, exit, move |hints| Store::open(&store, &bounds, &at, hints))
    }

    /// The same over a store that `open` makes, given the way hints take to sessions. For tests:
    /// they put something between, or end the process otherwise.
    #[doc(hidden)]
    pub fn assemble(
        limits: Limits,
        shards: usize,
        clock: Clock,
        exit: Exit,
        open: impl FnOnce(Arc<dyn Hints>) -> Result<Store, store::OpenError>,
    ) -> Result<Self, StartError> {
        let shards = shards.clamp(1, usize::from(u16::MAX));
        let counters = Arc::new(Counters::register());
        let router = Router::new(shards, Arc::clone(&counters));
        let store = open(Arc::new(router.clone())).map_err(StartError::Store)?;
        crate::lists::tidy(&store).map_err(StartError::Lists)?;
        let arbiters: Vec<_> = (0..shards).map(|_| Arbiter::new().handle()).collect();
        let hellos = HelloBucket { left: u64::from(limits.hello_burst), filled_ms: clock.monotonic_ms() };
        let shared = Arc::new(Shared {
            store,
            clock,
            limits,
            router,
            counters,
            board: Board::default(),
            root: OnceLock::new(),
            arbiters: arbiters.clone(),
            hellos: Mutex::new(hellos),
            binds: Turns::default(),
            draining: AtomicBool::new(false),
            online_seqs: AtomicU64::new(0),
            dice: ahash::RandomState::new(),
            throws: AtomicU64::new(0),
            receipts: OnceLock::new(),
            channels: OnceLock::new(),
            channel_board: channel::Board::default(),
            exit,
            agenda: Agenda::default(),
        });
        // Set once, here.
        let _ = shared.root.set(Root::start(Arc::clone(&shared), arbiters));
        Ok(Self { shared })
    }

    pub(crate) fn of(shared: &Arc<Shared>) -> Self {
        Self { shared: Arc::clone(shared) }
    }

    pub(crate) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Opens the way out: from now on receipts are delivered. Once; a second way is not taken.
    pub fn open_receipts(&self, gateway: Arc<dyn Gateway>, config: receipts::Config) {
        if self.shared.receipts.set((gateway, config)).is_ok()
            && let Some(root) = self.shared.root.get()
            && root.try_send(OpenReceipts).is_err()
        {
            tracing::error!("receipts are not delivered: the root of the actors does not listen");
        }
    }

    /// Lets vendors be spoken to: from now on setups are taken and channels run. Once; a second way
    /// is not taken.
    pub fn open_channels(
        &self,
        gateways: Arc<dyn channel::Gateways>,
        works: Arc<dyn channel::Works>,
        config: channel::Config,
    ) {
        if self.shared.channels.set(Channels { gateways, works, config }).is_ok()
            && let Some(root) = self.shared.root.get()
            && root.try_send(OpenChannels).is_err()
        {
            tracing::error!("no vendor is spoken to: the root of the actors does not listen");
        }
    }

    #[must_use]
    pub fn store(&self) -> &Store {
        &self.shared.store
    }

    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    /// Answers when every accepted target is on disk (or, with `ttl: 0`, handed to live sessions).
    pub async fn push(&self, push: Push) -> Result<Pushed, Refusal> {
        self.shared.open(push.app)?;
        crate::push::push(&self.shared, push).await
    }

    /// Carries an order out: answers when every accepted recipient is on disk. It must have passed
    /// its `check`. Under an idempotency key a repeated order gets the first answer; a recipient's
    /// own key does the same for its message alone.
    pub async fn order(
        &self,
        app: App,
        order: Order,
        idempotency: Option<Idempotency>,
        nonce: Option<Nonce>,
    ) -> Result<Ordered, Refusal> {
        crate::order::order(&self.shared, app, order, idempotency, nonce).await
    }

    /// Binds `device` to `user`, or to nobody. Answers when it is on disk and the device's live
    /// session, if any, knows: the device is told of a user it did not ask for. Binds of one device
    /// are done in the order in which they came, each to its end, though its caller may be gone.
    pub async fn bind(
        &self,
        device: Device,
        user: Option<UserId>,
        nonce: Option<Nonce>,
    ) -> Result<Option<User>, Refusal> {
        self.bind_in_turn(device, user, nonce, true).await
    }

    /// The same, asked for by the device itself, whose answer tells it.
    pub(crate) async fn bind_itself(
        &self,
        device: Device,
        user: Option<UserId>,
    ) -> Result<Option<User>, Refusal> {
        self.bind_in_turn(device, user, None, false).await
    }

    async fn bind_in_turn(
        &self,
        device: Device,
        user: Option<UserId>,
        nonce: Option<Nonce>,
        is_news: bool,
    ) -> Result<Option<User>, Refusal> {
        let shared = Arc::clone(&self.shared);
        let bound = actix_rt::spawn(async move {
            let _turn = shared.binds.take(device).await;
            shared.bind(device, user, nonce, is_news).await
        });
        // It panicked, or the arbiter is ending.
        bound.await.unwrap_or(Err(Refusal::Unknown))
    }

    /// Ends the device's session and forgets the device: pending messages are verdicted rejected
    /// with the reason `device_deleted`.
    pub async fn delete_device(&self, device: Device, nonce: Option<Nonce>) -> Result<(), Refusal> {
        self.shared.store.delete_device(device, nonce).await?;
        let end = End { device, reason: GoodbyeReason::Revoked, retry_after: Ttl::ZERO };
        let _ = self.shared.router.ask(self.shared.router.of_device(device), end).await;
        Ok(())
    }

    /// Hands a verified device to its shard. Told, not asked; `Err` gives it back when the shard's
    /// mailbox is full, the server is full or stopping, and the edge says Goodbye busy.
    #[expect(clippy::result_large_err, reason = "the arrival is given back whole, and moved either way")]
    pub fn arrive(&self, arrival: Arrival) -> Result<(), Arrival> {
        let full = self.connections() >= self.shared.limits.connections_max;
        if full || self.shared.draining.load(Ordering::Relaxed) {
            self.shared.counters.arrivals_refused.increment(1);
            return Err(arrival);
        }
        let shard = self.shared.router.of_device(arrival.device);
        self.shared.router.tell(shard, Arrive(arrival)).map_err(|Full(Arrive(arrival))| {
            self.shared.counters.arrivals_refused.increment(1);
            arrival
        })
    }

    /// Registered devices may be let in at this moment: the token bucket on Hello. `Err` is how
    /// long to send the device away, jitter included.
    pub fn admit_hello(&self) -> Result<(), Ttl> {
        let now_ms = self.shared.clock.monotonic_ms();
        if self.shared.hellos.lock().take(&self.shared.limits, now_ms) {
            return Ok(());
        }
        self.shared.counters.hellos_refused.increment(1);
        Err(Ttl::from_millis(1_000 + self.shared.jitter(HELLO_RETRY).as_millis()))
    }

    /// The arbiters of the shards, on which the edge runs its accept loops.
    #[must_use]
    pub fn arbiters(&self) -> Vec<ArbiterHandle> {
        self.shared.arbiters.clone()
    }

    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.counters.connections()
    }

    #[must_use]
    pub fn readiness(&self) -> Readiness {
        if let Some(failure) = self.shared.store.failure() {
            Readiness::StoreFailed(failure)
        } else if self.shared.draining.load(Ordering::Relaxed) {
            Readiness::Draining
        } else {
            Readiness::Ready
        }
    }

    /// Says Goodbye to every session, spread over `window`, waits for what is in flight, commits
    /// what is accepted, and closes the store.
    pub async fn drain(&self, window: Ttl) {
        let shared = &self.shared;
        shared.draining.store(true, Ordering::Relaxed);
        shared.store.wake_feeds();
        let mut done = Vec::new();
        for shard in shared.router.all() {
            let (reply, drained) = oneshot::channel();
            if shared.router.ask(shard, Drain { window, reply }).await.is_ok() {
                done.push(drained);
            }
        }
        let bound = Duration::from_millis(window.as_millis()) + DRAIN_GRACE;
        let all =
            futures_util::future::join(futures_util::future::join_all(done), shared.channel_board.close());
        if tokio::time::timeout(bound, all).await.is_err() {
            tracing::warn!("sessions or calls to vendors were still open at the end of the drain");
        }
        // Goodbyes are read, and acks that were on their way come in.
        while_open(shared).await;
        if let Some(root) = shared.root.get() {
            // A Root too busy to hear it ends with the process.
            let _ = root.try_send(Finish).is_ok();
        }
        shared.store.close().await;
    }

    /// Makes one actor of a kind panic in its next handler: to see supervision at work.
    /// `carillon dev` and tests call it; nothing reaches it in `serve`.
    pub fn crash(&self, kind: Kind) {
        if let Some(root) = self.shared.root.get() {
            // A Root too busy to hear this is not crashed: the caller sees that it lives.
            let _ = root.try_send(CrashKind(kind)).is_ok();
        }
    }
}

/// Waits for connections that were told Goodbye to be gone; they linger for two seconds at most.
async fn while_open(shared: &Shared) {
    const LOOKS: u32 = 30;
    let mut looks = tokio::time::interval(Duration::from_millis(100));
    for _ in 0..LOOKS {
        if shared.counters.connections() == 0 {
            return;
        }
        looks.tick().await;
    }
}

#[cfg(test)]
mod tests;

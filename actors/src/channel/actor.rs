//! One channel: what one vendor carries for one app.
//!
//! ```text
//!  store ──News──▶ Channel ──claim, conclude──▶ Errands (store)
//!                    │ ▲ ──authorize, send───▶ Gateway (the edge: HTTP), a task a call
//!                    │ └─ their answers ◀──┘
//!                    └──how it fares──▶ board    Office ◀──Obituary
//! ```
//!
//! What it does is its [`Desk`]'s to say; here it is done. It remembers nothing that the store does
//! not know but its pace and its breaker: one made anew claims again what the last one had claimed.
//! Limits: the desk's; an answer for each task under way.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, Message, SpawnHandle};
use carillon_sdk::{Timestamp, Ttl, Vendor};
use futures_util::future::BoxFuture;
use futures_util::stream;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::counted;
use super::desk::{CallId, Desk, Effect, Event, Legacy, Now};
use super::office::Key;
use super::state::Seat;
use super::{Access, Class, Errands, Gateway, Outcome, Parcel, Refused, Scope, State};
use crate::clock::Clock;
use crate::engine::Crash;
use crate::model::App;
use crate::root::Finish;
use crate::store;
use crate::supervise::Obituary;

/// A gateway answers within a bound of its own; one that breaks its word is not waited for longer.
const CALL_MAX: Duration = Duration::from_secs(180);

/// How long before a certificate ends its owner hears of it, and how often.
const WARN_BEFORE: Ttl = Ttl::from_secs(15 * 86_400);
const WARN_AGAIN: Ttl = Ttl::from_secs(86_400);

/// Where a channel keeps what it must not forget, and says how it fares.
pub(super) trait Home: Send + Sync {
    fn keep_access(&self, access: Access) -> BoxFuture<'static, Result<(), store::Error>>;
    fn keep_quota(&self, ledger: Vec<u8>) -> BoxFuture<'static, Result<(), store::Error>>;
    fn publish(&self, state: State);
}

/// What a channel is made of.
pub(super) struct Parts {
    pub(super) app: App,
    pub(super) vendor: Vendor,
    pub(super) gateway: Arc<dyn Gateway>,
    pub(super) errands: Arc<dyn Errands>,
    pub(super) home: Arc<dyn Home>,
    pub(super) legacy: Legacy,
    pub(super) clock: Clock,
    /// Any number: it makes the jitter.
    pub(super) dice: u64,
    pub(super) seat: Seat,
}

/// Sent by the office when a trial went well. No reply: a channel that had given up goes on.
#[derive(Message, Clone)]
#[rtype(result = "()")]
pub(crate) struct Mended {
    pub(super) access: Access,
    /// The vendor took a message.
    pub(super) sent: bool,
}

/// What came of a task, or what happened at the store.
#[derive(Message)]
#[rtype(result = "()")]
struct Came(Event);

pub(super) struct Channel {
    app: App,
    vendor: Vendor,
    gateway: Arc<dyn Gateway>,
    errands: Arc<dyn Errands>,
    home: Arc<dyn Home>,
    clock: Clock,
    desk: Desk,
    answers: UnboundedSender<Came>,
    timer: Option<SpawnHandle>,
    warned_at: Option<Timestamp>,
    _seat: Seat,
    _obituary: Obituary<Key>,
}

impl Channel {
    pub(super) fn start(parts: Parts, obituary: Obituary<Key>) -> Addr<Self> {
        let Parts { app, vendor, gateway, errands, home, legacy, clock, dice, seat } = parts;
        let now = Now { at: clock.now(), ms: clock.monotonic_ms() };
        let desk = Desk::new(vendor, gateway.manners(), legacy, now, dice);
        Self::create(|ctx| {
            let (answers, come) = unbounded_channel();
            let come = stream::unfold(come, |mut come| async { Some((come.recv().await?, come)) });
            ctx.add_message_stream(come);
            let news = stream::unfold(errands.watch(), |watch| async {
                watch.notified().await;
                Some((Came(Event::News), watch))
            });
            ctx.add_message_stream(news);
            Self {
                app,
                vendor,
                gateway,
                errands,
                home,
                clock,
                desk,
                answers,
                timer: None,
                warned_at: None,
                _seat: seat,
                _obituary: obituary,
            }
        })
    }

    fn now(&self) -> Now {
        Now { at: self.clock.now(), ms: self.clock.monotonic_ms() }
    }

    fn step(&mut self, event: Event, ctx: &mut Context<Self>) {
        let now = self.now();
        for effect in self.desk.step(event, now, &|errand| self.errands.is_owed(errand)) {
            self.carry_out(effect);
        }
        let ends_at = self.gateway.ends_at();
        self.warn(ends_at, now.at);
        self.home.publish(self.desk.state(ends_at, now));
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        if self.desk.is_finished() {
            ctx.stop();
            return;
        }
        self.timer = self.desk.wait(now).map(|wait| {
            ctx.run_later(Duration::from_millis(wait.as_millis().max(1)), |this, ctx| {
                this.timer = None;
                this.step(Event::Tick, ctx);
            })
        });
    }

    fn carry_out(&self, effect: Effect) {
        match effect {
            Effect::Claim { lane, most } => {
                let claim = self.errands.claim(lane, most);
                self.spawn(async move {
                    let claimed = claim.await.inspect_err(complain("claim errands")).ok();
                    Event::Claimed { lane, asked: most, claimed }
                });
            }
            Effect::Conclude(ends) => {
                let conclude = self.errands.conclude(ends);
                self.spawn(async move {
                    let done = conclude.await.inspect_err(complain("conclude errands")).is_ok();
                    Event::Concluded { done }
                });
            }
            Effect::Authorize => self.spawn(authorize(&self.gateway)),
            Effect::KeepAccess(access) => {
                let keep = self.home.keep_access(access);
                // Lost, it costs one more request after a restart.
                actix_rt::spawn(async move { keep.await.inspect_err(complain("keep an access")).is_ok() });
            }
            Effect::KeepQuota(ledger) => {
                let keep = self.home.keep_quota(ledger);
                self.spawn(async move {
                    Event::QuotaKept { done: keep.await.inspect_err(complain("keep a quota")).is_ok() }
                });
            }
            Effect::Call { call, access, parcel } => {
                let (vendor, clock, began_ms) = (self.vendor, self.clock.clone(), self.clock.monotonic_ms());
                let sent = send(&self.gateway, call, access, parcel);
                self.spawn(async move {
                    let answered = sent.await;
                    counted::answered(vendor, clock.monotonic_ms().saturating_sub(began_ms));
                    answered
                });
            }
        }
    }

    fn spawn(&self, task: impl Future<Output = Event> + 'static) {
        let answers = self.answers.clone();
        actix_rt::spawn(async move {
            // A channel that is gone left its errands claimed: the next one claims them.
            let _ = answers.send(Came(task.await));
        });
    }

    fn warn(&mut self, ends_at: Option<Timestamp>, now: Timestamp) {
        let Some(ends_at) = ends_at.filter(|end| end.since(now) <= WARN_BEFORE) else { return };
        if self.warned_at.is_some_and(|at| now.since(at) < WARN_AGAIN) {
            return;
        }
        self.warned_at = Some(now);
        let days = ends_at.since(now).as_millis() / 86_400_000;
        tracing::warn!(app = self.app.0, vendor = %self.vendor, days, "a channel's certificate ends");
    }
}

fn complain(what: &'static str) -> impl Fn(&store::Error) {
    move |error| tracing::warn!(%error, what, "the store refused a channel")
}

/// In a task of its own: a gateway that panics takes no other call along.
fn send(
    gateway: &Arc<dyn Gateway>,
    call: CallId,
    access: Access,
    parcel: Parcel,
) -> impl Future<Output = Event> + 'static {
    let count = parcel.to.len();
    let gateway = Arc::clone(gateway);
    let sent = async move { tokio::time::timeout(CALL_MAX, gateway.send(access, parcel)).await };
    let sent = actix_rt::spawn(sent);
    async move {
        let outcomes = match sent.await {
            Ok(Ok(outcomes)) => outcomes,
            // None: what is not said of a token is that it may have been taken.
            Ok(Err(_)) => Vec::new(),
            Err(_) => {
                tracing::error!("a gateway panicked; its messages are refused");
                vec![Outcome::from(Refused::new(Class::Perm, Scope::Message, "panicked")); count]
            }
        };
        Event::Answered { call, outcomes }
    }
}

fn authorize(gateway: &Arc<dyn Gateway>) -> impl Future<Output = Event> + 'static {
    let gateway = Arc::clone(gateway);
    let asked = actix_rt::spawn(async move { tokio::time::timeout(CALL_MAX, gateway.authorize()).await });
    async move {
        Event::Authorized(match asked.await {
            Ok(Ok(access)) => access,
            Ok(Err(_)) => Err(Refused::new(Class::Retry, Scope::Connection, "timeout")),
            Err(_) => {
                tracing::error!("a gateway panicked when it was asked for access");
                Err(Refused::new(Class::Retry, Scope::App, "panicked"))
            }
        })
    }
}

impl Actor for Channel {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.step(Event::News, ctx);
    }
}

impl Handler<Came> for Channel {
    type Result = ();

    fn handle(&mut self, Came(event): Came, ctx: &mut Context<Self>) {
        self.step(event, ctx);
    }
}

impl Handler<Mended> for Channel {
    type Result = ();

    fn handle(&mut self, Mended { access, sent }: Mended, ctx: &mut Context<Self>) {
        self.step(Event::Mended { access, sent }, ctx);
    }
}

impl Handler<Crash> for Channel {
    type Result = ();

    fn handle(&mut self, _: Crash, _: &mut Context<Self>) {
        panic!("a Channel was told to crash");
    }
}

impl Handler<Finish> for Channel {
    type Result = ();

    fn handle(&mut self, _: Finish, ctx: &mut Context<Self>) {
        self.step(Event::Finish, ctx);
    }
}

#[cfg(test)]
mod tests;

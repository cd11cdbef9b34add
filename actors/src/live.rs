//! A device's connection as its shard holds it: session and socket, and how what the one decides
//! becomes bytes on the other and words to the store. Shared, on one arbiter, by the shard's
//! registry (hints, broadcasts and the sweep write straight from there) and the Connection that
//! reads it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix::Addr;
use bytes::Bytes;
use carillon_sdk::Ttl;
use carillon_sdk::wire::{BindAnswer, ErrorCode, ErrorFrame, Frame, Goodbye, GoodbyeReason, ws};
use smallvec::SmallVec;

use crate::connection::{Connection, Flush, Leave, Perform};
use crate::counters::Counters;
use crate::engine::Shared;
use crate::framed::{Batch, Broken, Inbound, Link, Out};
use crate::link::{Framing, Protocol};
use crate::model::{Device, Due, Epoch, Owner, Seq, ShardNo, User};
use crate::registry::Registry;
use crate::session::{Bounds, Effect, Effects, Now, Session};
use crate::store::{Acked, DueHint, Log, Page};
use crate::supervise::Life;

/// How long a connection that was told Goodbye is still read: acks on their way count, and a
/// socket closed over unread bytes would reset before the device reads why.
const LINGER_MS: u64 = 2_000;

/// What all connections of a shard share.
pub(crate) struct Env {
    pub(crate) shard: ShardNo,
    pub(crate) shared: Arc<Shared>,
    pub(crate) bounds: Bounds,
    pub(crate) registry: RefCell<Registry>,
    /// The shard is gone: its connections end.
    pub(crate) over: Cell<bool>,
}

impl Env {
    pub(crate) fn now(&self) -> Now {
        Now { wall: self.shared.clock.now(), mono_ms: self.shared.clock.monotonic_ms() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// Goodbye was said; read until then, in monotonic milliseconds.
    Ending(u64),
    Over,
}

pub(crate) struct Live {
    pub(crate) device: Device,
    pub(crate) life: Cell<Life>,
    /// Where the registry has it.
    pub(crate) place: Cell<u32>,
    protocol: Protocol,
    phase: Cell<Phase>,
    env: Rc<Env>,
    address: RefCell<Option<Addr<Connection>>>,
    session: RefCell<Session>,
    link: RefCell<Link>,
}

type Outs = SmallVec<[Out; 2]>;

impl Live {
    pub(crate) fn new(
        env: Rc<Env>,
        device: Device,
        protocol: Protocol,
        link: Link,
        session: Session,
    ) -> Rc<Self> {
        env.shared.counters.opened(protocol);
        Rc::new(Self {
            device,
            life: Cell::default(),
            place: Cell::new(0),
            protocol,
            phase: Cell::new(Phase::Open),
            env,
            address: RefCell::new(None),
            session: RefCell::new(session),
            link: RefCell::new(link),
        })
    }

    /// Gives this connection the actor that reads it, and a session that begins: at arrival, and
    /// again after a panic.
    pub(crate) fn begin(&self, address: Addr<Connection>, life: Life) {
        *self.address.borrow_mut() = Some(address);
        self.life.set(life);
        self.turn(|session, bounds, _, fx| session.begin(bounds, fx));
    }

    /// After a panic: what the old session knew is read from the store again.
    pub(crate) fn renew(&self, epoch: Epoch, user: Option<User>, pending: bool) {
        let heartbeat_s = self.session.borrow().heartbeat_s();
        *self.session.borrow_mut() = Session::new(epoch, user, heartbeat_s, pending, self.env.now());
    }

    pub(crate) fn is_open(&self) -> bool {
        self.phase.get() == Phase::Open
    }

    pub(crate) fn env(&self) -> &Rc<Env> {
        &self.env
    }

    /// Hints of one commit for this device, in their order: one write for all of them.
    pub(crate) fn due(&self, hints: &[DueHint]) {
        self.turn(|session, bounds, now, fx| {
            let epoch = session.epoch();
            for hint in hints.iter().filter(|hint| hint.epoch == epoch) {
                session.due(hint, bounds, now, fx);
            }
        });
    }

    /// A hint for this device was dropped on the way.
    pub(crate) fn start_over(&self) {
        self.turn(|session, bounds, _, fx| session.start_over(bounds, fx));
    }

    /// The store's queues are beyond what any hint named.
    pub(crate) fn doubt(&self) {
        self.turn(|session, bounds, _, fx| session.doubt(bounds, fx));
    }

    pub(crate) fn page(&self, turn: u32, page: Option<&Page>) {
        self.turn(|session, bounds, now, fx| match page {
            Some(page) => session.page(turn, page, bounds, now, fx),
            None => session.page_failed(turn),
        });
    }

    /// Writes what the app's log has for this device, as far as its window is open.
    pub(crate) fn walk(&self, log: &Log) {
        self.turn(|session, bounds, now, fx| {
            let seen = session.bulk_seen();
            let due = log
                .iter()
                .filter(|entry| entry.released_at() > seen && entry.is_due(self.device, now.wall))
                .map(|entry| Due::clone(&entry.due));
            session.bulk(due, log.head, bounds, now, fx);
        });
    }

    /// What was let go lately, written at once to a session that is caught up with the log.
    pub(crate) fn broadcast(&self, log: &Log) {
        if self.session.borrow().takes_bulk() {
            self.walk(log);
        }
    }

    /// True when the log has a release this session has not come to.
    pub(crate) fn lacks(&self, head: Seq) -> bool {
        let session = self.session.borrow();
        session.takes_bulk() && session.bulk_seen() < head
    }

    /// Hands over an online-only push; false when it cannot take it.
    pub(crate) fn online(&self, due: &Due) -> bool {
        let mut taken = false;
        self.turn(|session, bounds, now, fx| taken = session.online(due, bounds, now, fx));
        taken && self.is_open()
    }

    /// The store has another user bound here, or nobody.
    pub(crate) fn rebound(&self, user: Option<User>) {
        let old = self.session.borrow().user();
        let unwritten =
            old.filter(|_| old != user).map(|old| self.link.borrow_mut().withdraw(Owner::User(old)));
        self.turn(|session, bounds, _, fx| session.rebound(user, &unwritten.unwrap_or_default(), bounds, fx));
    }

    /// A place was revoked: it is sent no more.
    pub(crate) fn withdrawn(&self, seq: Seq) {
        if !self.session.borrow().holds(seq) {
            return;
        }
        let is_unwritten = self.link.borrow_mut().hold_back(seq);
        self.turn(|session, bounds, _, fx| session.withdrawn(seq, is_unwritten, bounds, fx));
    }

    /// About once a second, from the shard's sweep.
    pub(crate) fn tick(&self, now: Now) {
        let (blocked, stalled_ms) = {
            let link = self.link.borrow();
            (link.blocked(), link.stalled_ms(now.mono_ms))
        };
        if stalled_ms > self.env.shared.limits.write_stall.as_millis() {
            self.broke(&Broken::Slow);
        } else {
            self.turn_at(now, |session, bounds, now, fx| session.tick(blocked, bounds, now, fx));
        }
    }

    /// Compares with the store: true when the session may have missed something.
    pub(crate) fn missed(&self) -> bool {
        let session = self.session.borrow();
        if !session.caught_up() {
            return false;
        }
        let (device_head, user_head) = session.heads();
        let store = &self.env.shared.store;
        store.head(Owner::Device(self.device)) > device_head
            || session.user().is_some_and(|user| store.head(Owner::User(user)) > user_head)
    }

    /// What the device sent.
    pub(crate) fn received(&self, batch: Batch) {
        let mut raw = Outs::new();
        self.turn(|session, bounds, now, fx| {
            for inbound in batch {
                match inbound {
                    Inbound::Frame(frame) => session.frame(frame, bounds, now, fx),
                    Inbound::Unknown(count) => {
                        self.env.shared.counters.frames_unknown.increment(u64::from(count));
                        session.unknown(now);
                    }
                    Inbound::Malformed => session.malformed(now, fx),
                    Inbound::TooLong => session.too_long(fx),
                    Inbound::Reply(bytes) => raw.push(Out::Raw(bytes)),
                }
            }
        });
        if !raw.is_empty() {
            self.write(&raw, self.env.now());
        }
    }

    /// The bytes and frames of this connection, for the actor that reads it. Also where what the
    /// socket refused is written once it takes bytes again.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<Option<Batch>> {
        if self.env.over.get() || self.phase.get() == Phase::Over {
            return Poll::Ready(None);
        }
        let mut link = self.link.borrow_mut();
        if link.blocked() {
            let now = self.env.now();
            if let Poll::Ready(Err(_)) = link.poll_flush(cx, now.wall, now.mono_ms) {
                return Poll::Ready(None);
            }
        }
        link.poll_read(cx)
    }

    /// An answer to a Bind, Unbind or VendorToken.
    pub(crate) fn answer(&self, answer: BindAnswer) {
        if self.is_open() {
            self.write(&[Out::Control(Frame::Answer(answer))], self.env.now());
        }
    }

    pub(crate) fn error(&self, code: ErrorCode) {
        if self.is_open() {
            self.write(&[error_frame(code)], self.env.now());
        }
    }

    /// Writes the first frame of a session.
    pub(crate) fn welcome(&self, welcome: Frame) {
        self.write(&[Out::Control(welcome)], self.env.now());
    }

    /// Says Goodbye and lets the connection end: acks still count for a moment.
    pub(crate) fn end(&self, reason: GoodbyeReason, retry_after: Ttl) {
        if !self.is_open() {
            return;
        }
        let now = self.env.now();
        self.phase.set(Phase::Ending(now.mono_ms + LINGER_MS));
        self.close_session(Some(reason));
        self.env.registry.borrow_mut().retire(self);
        let goodbye = Frame::Goodbye(Goodbye { reason, retry_after_ms: retry_after.as_millis() });
        let mut outs = Outs::new();
        outs.push(Out::Control(goodbye));
        if self.link.borrow().framing() != Framing::Native {
            outs.push(Out::Raw(close_frame()));
        }
        self.write(&outs, now);
    }

    /// Ends a connection that lingered long enough.
    pub(crate) fn expire(&self, now_ms: u64) -> bool {
        let due = matches!(self.phase.get(), Phase::Ending(until) if now_ms >= until);
        if due {
            self.cut();
        }
        due
    }

    /// Closes the socket and ends the actor that reads it.
    pub(crate) fn cut(&self) {
        self.phase.set(Phase::Over);
        self.link.borrow_mut().close();
        if let Some(address) = &*self.address.borrow() {
            // A full mailbox is as good: once polled, it finds the phase over.
            let _ = address.try_send(Leave);
        }
    }

    /// The device hung up, or its network did.
    pub(crate) fn hung_up(&self) {
        if self.is_open() {
            self.phase.set(Phase::Over);
            self.close_session(None);
            self.env.registry.borrow_mut().remove(self);
        }
    }

    /// Makes the actor that reads it panic.
    pub(crate) fn crash(&self) -> bool {
        let address = self.address.borrow();
        address.as_ref().is_some_and(|address| address.try_send(crate::engine::Crash).is_ok())
    }

    fn broke(&self, broken: &Broken) {
        if !self.is_open() {
            return;
        }
        tracing::debug!(device = ?self.device, error = ?broken, "a connection broke");
        self.close_session(matches!(broken, Broken::Slow).then_some(GoodbyeReason::Slow));
        self.env.registry.borrow_mut().remove(self);
        self.cut();
    }

    fn close_session(&self, reason: Option<GoodbyeReason>) {
        self.env.shared.counters.closed(reason);
        let mut fx = Effects::new();
        {
            let mut session = self.session.borrow_mut();
            session.end(&mut fx);
            session.fence();
        }
        for effect in fx {
            if let Effect::Online(due, step) = effect {
                self.env.shared.store.note_online(self.device, &due, step);
            }
        }
    }

    fn turn(&self, step: impl FnOnce(&mut Session, &Bounds, Now, &mut Effects)) {
        self.turn_at(self.env.now(), step);
    }

    fn turn_at(&self, now: Now, step: impl FnOnce(&mut Session, &Bounds, Now, &mut Effects)) {
        let mut fx = Effects::new();
        step(&mut self.session.borrow_mut(), &self.env.bounds, now, &mut fx);
        if !fx.is_empty() {
            self.perform(fx, now);
        }
    }

    fn perform(&self, fx: Effects, now: Now) {
        let store = &self.env.shared.store;
        let mut outs = Outs::new();
        let (mut sent, mut acked) = (Vec::new(), Vec::new());
        let (mut walk, mut close) = (false, None);
        for effect in fx {
            match effect {
                Effect::Send(due) => {
                    if !due.online_only && due.revokes.is_none() {
                        sent.push(Due::clone(&due));
                    }
                    outs.push(Out::Push(due));
                }
                Effect::Ping => outs.push(Out::Control(Frame::Ping)),
                Effect::Pong => outs.push(Out::Control(Frame::Pong)),
                Effect::Error(code) => outs.push(error_frame(code)),
                Effect::Refuse { request, code } => outs.push(refusal(request, code)),
                Effect::Acked(due) => {
                    self.arrived(&due, now);
                    acked.push(Acked { owner: due.owner, seq: due.seq, id: due.id });
                }
                Effect::Online(due, step) => store.note_online(self.device, &due, step),
                Effect::Walk => walk = true,
                Effect::Close(reason) => {
                    close = Some(reason);
                    break;
                }
                later => self.later(later, &mut outs),
            }
        }
        if !acked.is_empty() {
            // A full intake costs a repeat, which the device drops.
            let _ = store.ack(self.device, acked);
        }
        self.write(&outs, now);
        if !sent.is_empty() {
            store.note_sent(self.device, sent);
        }
        if let Some(reason) = close {
            self.end(reason, Ttl::ZERO);
        } else if walk {
            self.walk(&store.log(self.device.app));
        }
    }

    fn arrived(&self, due: &Due, now: Now) {
        if due.revokes.is_none() {
            let latency = std::time::Duration::from_millis(now.wall.since(due.accepted_at).as_millis());
            self.env.shared.counters.latency.record(latency);
        }
    }

    /// What has to wait for the store is done by the Connection, so that a panic in it is one
    /// connection's.
    fn later(&self, effect: Effect, outs: &mut Outs) {
        let address = self.address.borrow();
        let Some(Err(error)) = address.as_ref().map(|address| address.try_send(Perform(effect))) else {
            return;
        };
        match error.into_inner().0 {
            Effect::Read { turn, .. } => self.session.borrow_mut().page_failed(turn),
            Effect::Bind { request, .. }
            | Effect::Unbind { request }
            | Effect::VendorToken { request, .. } => {
                outs.push(refusal(request, ErrorCode::TooMany));
            }
            _ => outs.push(error_frame(ErrorCode::TooMany)),
        }
    }

    fn write(&self, outs: &[Out], now: Now) {
        if outs.is_empty() {
            return;
        }
        let pushes = outs.iter().filter(|out| matches!(out, Out::Push(_))).count();
        self.env.shared.counters.written.increment(pushes as u64);
        let mut link = self.link.borrow_mut();
        let was_blocked = link.blocked();
        let written = link.write(outs, now.mono_ms);
        let wake = link.blocked() && !was_blocked;
        drop(link);
        match written {
            Err(broken) => self.broke(&broken),
            Ok(()) if wake => {
                if let Some(address) = &*self.address.borrow() {
                    // A full mailbox is as good: the actor is about to be polled.
                    let _ = address.try_send(Flush);
                }
            }
            Ok(()) => {}
        }
    }
}

/// The session ends with the last who held it, whatever way the connection went.
impl Drop for Live {
    fn drop(&mut self) {
        self.env.shared.counters.gone(self.protocol);
        self.env.shared.store.disconnect(self.device, self.session.get_mut().epoch());
    }
}

fn error_frame(code: ErrorCode) -> Out {
    Counters::refused_frame(code);
    Out::Control(Frame::Error(ErrorFrame { code, detail: String::new() }))
}

fn refusal(request: u32, code: ErrorCode) -> Out {
    Counters::refused_frame(code);
    Out::Control(Frame::Answer(BindAnswer { request, error: Some(code), user_id: None }))
}

/// Normal closure: the Goodbye before it says more than a code could.
fn close_frame() -> Bytes {
    ws::frame(ws::Opcode::Close, &ws::close_payload(1000, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a registry holds of one idle connection, beside its actor (about 850 bytes) and the
    /// transport's own.
    #[test]
    fn an_idle_connection_is_small() {
        assert!(size_of::<Live>() <= 416, "{} bytes", size_of::<Live>());
    }
}

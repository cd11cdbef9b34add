//! What one device's session decides: no actix, no socket, no clock, no store.
//!
//! ```text
//!  caught up ──hint that does not fit, or shows a gap──▶ behind
//!      ▲                                                  │ acks open the window: Read a page
//!      └──a page that is the last, and no hint beyond it──┘
//! ```
//!
//! Invariants: at most `in_flight_max` unacknowledged pushes of the queues and
//! [`BULK_IN_FLIGHT_MAX`] of the app's log, together no more bytes than the window; nothing at or
//! after its expiry; nothing of a user who is not bound here; after `fence` only acks count.

mod frames;
mod window;

use carillon_sdk::wire::{ErrorCode, GoodbyeReason, Lane, Report};
use carillon_sdk::{Timestamp, api::Step};
use smallvec::SmallVec;

use crate::model::{Due, Epoch, Owner, Seq, User};
use crate::store::{Cursor, DueHint, Page};
use frames::Allowance;
use window::{Flight, Window};

/// Broadcasts unacked on one connection.
pub(crate) const BULK_IN_FLIGHT_MAX: usize = 16;

/// The two queues a device reads: its own, and that of the user bound to it.
const DEVICE: usize = 0;
const USER: usize = 1;

/// The moment of an event: wall time for expiry, monotonic milliseconds for spans.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    pub(crate) wall: Timestamp,
    pub(crate) mono_ms: u64,
}

/// The bounds a session keeps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) in_flight_max: usize,
    /// Bytes of frames unacked on one connection; a single longer frame is still sent.
    pub(crate) window_bytes_max: usize,
    pub(crate) ack_timeout_ms: u64,
}

/// What the shell does for a session, in this order.
#[derive(Debug)]
pub(crate) enum Effect {
    /// Write a push to the socket.
    Send(Due),
    Ping,
    Pong,
    Error(ErrorCode),
    /// The answer to a Bind, Unbind or VendorToken that was refused here.
    Refuse {
        request: u32,
        code: ErrorCode,
    },
    /// It arrived: tell the store.
    Acked(Due),
    /// A step of a push that was never stored.
    Online(Due, Step),
    /// Read a page and give it to `page` with the same `turn`.
    Read {
        turn: u32,
        user: Option<User>,
        cursor: Cursor,
        limit: usize,
    },
    /// Give what the app's log has beyond `bulk_seen` to `bulk`.
    Walk,
    Bind {
        request: u32,
        token: String,
    },
    Unbind {
        request: u32,
    },
    VendorToken {
        request: u32,
        channel: String,
        token: String,
    },
    Report(Report),
    /// Say Goodbye and end.
    Close(GoodbyeReason),
}

pub(crate) type Effects = SmallVec<[Effect; 4]>;

/// What the two queues still owe this session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    CaughtUp,
    /// Something is due that no page brought yet.
    Behind,
    /// A page is on its way.
    Waiting,
}

pub(crate) struct Session {
    epoch: Epoch,
    user: Option<User>,
    /// Silence is borne for one and a half of these.
    heartbeat_s: u32,
    heard_ms: u64,
    /// When a Ping went out that nothing answered yet; 0 when none did.
    probed_ms: u64,
    reading: Reading,
    fenced: bool,
    bulk_behind: bool,
    offences: u8,
    allowance: Allowance,
    /// Which page is waited for: one of an earlier user is not taken.
    turn: u32,
    /// Where the last page ended. Hints do not move it: the other queue may hold earlier places
    /// that are still to be hinted.
    cursor: Cursor,
    /// Every place of a queue up to it was dealt with, by pages and hints together.
    heads: [Seq; 2],
    /// The last place of a queue that a hint named.
    noticed: [Seq; 2],
    /// Every release of the app's log up to it was dealt with.
    bulk_seen: Seq,
    window: Window,
}

impl Session {
    /// `pending`: something is stored for the device or its user, so a page is needed.
    pub(crate) fn new(epoch: Epoch, user: Option<User>, heartbeat_s: u32, pending: bool, now: Now) -> Self {
        Self {
            epoch,
            user,
            heartbeat_s,
            heard_ms: now.mono_ms,
            probed_ms: 0,
            reading: if pending { Reading::Behind } else { Reading::CaughtUp },
            fenced: false,
            bulk_behind: true,
            offences: 0,
            allowance: Allowance::full(now.mono_ms),
            turn: 0,
            cursor: Cursor::default(),
            heads: [Seq(0); 2],
            noticed: [Seq(0); 2],
            bulk_seen: Seq(0),
            window: Window::default(),
        }
    }

    pub(crate) const fn epoch(&self) -> Epoch {
        self.epoch
    }

    pub(crate) const fn heartbeat_s(&self) -> u32 {
        self.heartbeat_s
    }

    pub(crate) const fn user(&self) -> Option<User> {
        self.user
    }

    pub(crate) const fn bulk_seen(&self) -> Seq {
        self.bulk_seen
    }

    /// Caught up with the log at the last look: what is new may be written at once.
    pub(crate) const fn takes_bulk(&self) -> bool {
        !self.bulk_behind && !self.fenced
    }

    pub(crate) const fn caught_up(&self) -> bool {
        matches!(self.reading, Reading::CaughtUp)
    }

    pub(crate) const fn heads(&self) -> (Seq, Seq) {
        (self.heads[DEVICE], self.heads[USER])
    }

    /// The first thing a new session does: read what is pending, and walk the log.
    pub(crate) fn begin(&mut self, bounds: &Bounds, fx: &mut Effects) {
        self.read_on(bounds, fx);
        fx.push(Effect::Walk);
    }

    /// From now on only acks count: another session took over, or a Goodbye was said.
    pub(crate) const fn fence(&mut self) {
        self.fenced = true;
    }

    /// A message was committed for this device or its user.
    pub(crate) fn due(&mut self, hint: &DueHint, bounds: &Bounds, now: Now, fx: &mut Effects) {
        let Some(queue) = self.queue_of(&hint.due) else { return };
        let seq = hint.due.seq;
        if hint.is_again {
            return self.due_again(&hint.due, bounds, now, fx);
        }
        if self.fenced || seq <= self.heads[queue] {
            return;
        }
        // A place before this one that was never hinted is a gap: it and this one are read.
        let is_next = hint.prev <= self.heads[queue];
        if is_next && self.caught_up() && self.window.fits(&hint.due, bounds) {
            self.heads[queue] = seq;
            self.send(&hint.due, now, fx);
            return;
        }
        self.noticed[queue] = self.noticed[queue].max(seq);
        self.fall_behind();
        self.read_on(bounds, fx);
    }

    /// A place was held back for a vendor, and is ours again: behind where this session stands.
    fn due_again(&mut self, due: &Due, bounds: &Bounds, now: Now, fx: &mut Effects) {
        if self.fenced || self.window.holds(due.seq) {
            return;
        }
        if self.window.fits(due, bounds) {
            return self.send(due, now, fx);
        }
        self.start_over(bounds, fx);
    }

    /// Hints were lost, one of which may have been of a place behind where this session stands: the
    /// queues are read anew from their front, and what is in flight is passed over.
    pub(crate) fn start_over(&mut self, bounds: &Bounds, fx: &mut Effects) {
        self.heads = [Seq(0); 2];
        self.cursor = Cursor::default();
        self.turn = self.turn.wrapping_add(1);
        self.reading = Reading::Behind;
        self.read_on(bounds, fx);
    }

    /// A hint may have been lost: whatever the queues hold beyond the last page is read.
    pub(crate) fn doubt(&mut self, bounds: &Bounds, fx: &mut Effects) {
        self.fall_behind();
        self.read_on(bounds, fx);
    }

    /// The page asked for as `turn` is here.
    pub(crate) fn page(&mut self, turn: u32, page: &Page, bounds: &Bounds, now: Now, fx: &mut Effects) {
        if turn != self.turn || self.reading != Reading::Waiting {
            return;
        }
        self.reading = Reading::Behind;
        let mut whole = !page.more;
        for due in &page.due {
            // Places up to a queue's head were dealt with, by hints since the last page.
            let is_new = self.queue_of(due).is_some_and(|queue| due.seq > self.heads[queue]);
            if is_new && !self.window.holds(due.seq) && due.expires_at > now.wall {
                if self.fenced || !self.window.fits(due, bounds) {
                    whole = false;
                    break;
                }
                self.send(due, now, fx);
            }
            self.advance(due.lane, due.seq);
        }
        if whole {
            let heads = [page.device_head, page.user_head];
            self.heads = std::array::from_fn(|queue| self.heads[queue].max(heads[queue]));
            // Hints that came meanwhile may name places beyond this page.
            if (0..2).all(|queue| self.noticed[queue] <= self.heads[queue]) {
                self.reading = Reading::CaughtUp;
            }
        }
        self.read_on(bounds, fx);
    }

    /// The page could not be read; the next tick asks again.
    pub(crate) fn page_failed(&mut self, turn: u32) {
        if turn == self.turn && self.reading == Reading::Waiting {
            self.reading = Reading::Behind;
        }
    }

    /// An online-only push. False when the session cannot take it now: it then counts as offline.
    /// It stands in no queue, so it has no place in the order of one either.
    pub(crate) fn online(&mut self, due: &Due, bounds: &Bounds, now: Now, fx: &mut Effects) -> bool {
        let for_user = matches!(due.owner, Some(Owner::User(user)) if self.user != Some(user));
        if self.fenced || for_user || !self.window.fits(due, bounds) {
            return false;
        }
        fx.push(Effect::Online(due.clone(), Step::Accepted));
        self.send(due, now, fx);
        fx.push(Effect::Online(due.clone(), Step::Sent));
        true
    }

    /// What the app's log has that was let go after `bulk_seen` and is due to this device, in order;
    /// `head` is its latest release.
    pub(crate) fn bulk(
        &mut self,
        log: impl Iterator<Item = Due>,
        head: Seq,
        bounds: &Bounds,
        now: Now,
        fx: &mut Effects,
    ) {
        if self.fenced {
            return;
        }
        for due in log {
            if due.expires_at <= now.wall || self.window.holds(due.seq) {
                continue;
            }
            if !self.window.fits_bulk(&due, bounds) {
                self.bulk_behind = true;
                return;
            }
            self.send(&due, now, fx);
        }
        self.bulk_behind = false;
        self.bulk_seen = self.bulk_seen.max(head);
    }

    /// Another user is bound here, or nobody. What is on the wire may still be acked; nothing
    /// more of the old user's goes out. The shell first withdraws what its buffer still holds.
    pub(crate) fn rebound(
        &mut self,
        user: Option<User>,
        unwritten: &[Seq],
        bounds: &Bounds,
        fx: &mut Effects,
    ) {
        if user == self.user {
            return;
        }
        if let Some(old) = self.user {
            self.window.withdraw(Owner::User(old), unwritten);
        }
        self.user = user;
        self.heads[USER] = Seq(0);
        self.noticed[USER] = Seq(0);
        self.cursor = Cursor::default();
        self.turn = self.turn.wrapping_add(1);
        self.reading = Reading::Behind;
        self.read_on(bounds, fx);
    }

    /// Whether a place is in flight here.
    pub(crate) fn holds(&self, seq: Seq) -> bool {
        self.window.holds(seq)
    }

    /// A place was revoked. The shell first takes out what its buffer still holds of it.
    pub(crate) fn withdrawn(&mut self, seq: Seq, is_unwritten: bool, bounds: &Bounds, fx: &mut Effects) {
        self.window.hold_back(seq, is_unwritten);
        self.open_up(bounds, fx);
    }

    /// About once a second.
    pub(crate) fn tick(&mut self, blocked: bool, bounds: &Bounds, now: Now, fx: &mut Effects) {
        if self.fenced {
            return;
        }
        let silent_ms = now.mono_ms.saturating_sub(self.heard_ms);
        let probe_ms = if self.probed_ms == 0 { 0 } else { now.mono_ms.saturating_sub(self.probed_ms) };
        if silent_ms > u64::from(self.heartbeat_s) * 1_500 || probe_ms >= bounds.ack_timeout_ms {
            fx.push(Effect::Close(GoodbyeReason::Idle));
            return;
        }
        let overdue = self.window.overdue(blocked, bounds, now, fx);
        if overdue && self.probed_ms == 0 && silent_ms >= bounds.ack_timeout_ms {
            self.probed_ms = now.mono_ms.max(1);
            fx.push(Effect::Ping);
        }
        self.open_up(bounds, fx);
    }

    /// Online-only pushes nobody acked end with the session.
    pub(crate) fn end(&mut self, fx: &mut Effects) {
        self.window.end_online(fx);
    }

    fn queue_of(&self, due: &Due) -> Option<usize> {
        match due.owner? {
            Owner::Device(_) => Some(DEVICE),
            Owner::User(user) => (self.user == Some(user)).then_some(USER),
        }
    }

    fn send(&mut self, due: &Due, now: Now, fx: &mut Effects) {
        if due.online_only || due.expires_at > now.wall {
            self.window.open(Flight::new(due.clone(), now.mono_ms));
            fx.push(Effect::Send(due.clone()));
        }
    }

    fn fall_behind(&mut self) {
        if self.reading == Reading::CaughtUp {
            self.reading = Reading::Behind;
        }
    }

    fn advance(&mut self, lane: Lane, seq: Seq) {
        let at = if lane == Lane::High { &mut self.cursor.high } else { &mut self.cursor.normal };
        *at = seq.max(*at);
    }

    fn open_up(&mut self, bounds: &Bounds, fx: &mut Effects) {
        self.read_on(bounds, fx);
        if self.bulk_behind && !self.fenced && self.window.half_open_for_bulk() {
            fx.push(Effect::Walk);
        }
    }

    /// Asks for a page when one is wanted and half the window is open: pages, not single places.
    fn read_on(&mut self, bounds: &Bounds, fx: &mut Effects) {
        if self.reading == Reading::Behind && !self.fenced && self.window.half_open(bounds) {
            self.turn = self.turn.wrapping_add(1);
            self.reading = Reading::Waiting;
            let limit = self.window.room(bounds);
            fx.push(Effect::Read { turn: self.turn, user: self.user, cursor: self.cursor, limit });
        }
    }
}

#[cfg(test)]
mod tests;

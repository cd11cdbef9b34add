//! A session's decisions, event by event, and at random against a small oracle.

mod oracle;
mod rules;

use std::sync::Arc;

use carillon_sdk::wire::{Ack, Frame, Lane};
use carillon_sdk::{MessageId, Timestamp, Ttl, UserId};

use super::{Bounds, Effect, Effects, Now, Session};
use crate::encoded::Encoded;
use crate::model::{App, Device, Due, Epoch, Message, Owner, PushType, Seq, User};
use crate::store::{DueHint, Page};

const APP: App = App(1);
const DEVICE: Device = Device { app: APP, ordinal: 7 };
const ANNA: User = User { app: APP, ordinal: 1 };
const BEN: User = User { app: APP, ordinal: 2 };
const BOUNDS: Bounds = Bounds { in_flight_max: 4, window_bytes_max: 48 * 1024, ack_timeout_ms: 15_000 };
const START_MS: u64 = 1_000_000;

fn now(after_ms: u64) -> Now {
    Now { wall: Timestamp::from_millis(START_MS + after_ms), mono_ms: 1 + after_ms }
}

/// A message at a place, valid for `ttl_ms` from the start.
fn due(owner: Option<Owner>, seq: u64, lane: Lane, ttl_ms: u64) -> Due {
    let accepted_at = Timestamp::from_millis(START_MS);
    let message = Message {
        id: MessageId::from_bytes(u128::from(seq).to_be_bytes()),
        app: APP,
        push_type: PushType::Single,
        title: Some(format!("message {seq}")),
        body: None,
        data: None,
        lane,
        silent: false,
        collapse_key: None,
        accepted_at,
        expires_at: accepted_at + Ttl::from_millis(ttl_ms),
        uri: None,
        look: None,
        task: None,
        options: None,
        repeat_until: None,
        revokes: None,
        key: None,
    };
    let user = matches!(owner, Some(Owner::User(_))).then(|| UserId::parse("somebody").unwrap());
    Arc::new(Encoded::new(&message, owner, Seq(seq), user.as_ref()))
}

fn own(seq: u64) -> Due {
    due(Some(Owner::Device(DEVICE)), seq, Lane::Normal, 1_000_000_000)
}

fn of(user: User, seq: u64) -> Due {
    due(Some(Owner::User(user)), seq, Lane::Normal, 1_000_000_000)
}

fn broadcast(seq: u64) -> Due {
    due(None, seq, Lane::Bulk, 1_000_000_000)
}

/// A session with the verbs of a test.
struct Bench {
    session: Session,
    at_ms: u64,
}

impl Bench {
    fn caught_up() -> Self {
        let mut bench = Self::open(None, false);
        bench.bulk(&[]);
        bench
    }

    fn open(user: Option<User>, pending: bool) -> Self {
        Self { session: Session::new(Epoch(1), user, 270, pending, now(0)), at_ms: 0 }
    }

    fn step(&mut self, step: impl FnOnce(&mut Session, Now, &mut Effects)) -> Vec<Effect> {
        let mut fx = Effects::new();
        step(&mut self.session, now(self.at_ms), &mut fx);
        fx.into_vec()
    }

    fn hint(&mut self, due: &Due, prev: u64) -> Vec<Effect> {
        let hint = DueHint {
            device: DEVICE,
            epoch: Epoch(1),
            due: Due::clone(due),
            prev: Seq(prev),
            is_again: false,
        };
        self.step(|session, now, fx| session.due(&hint, &BOUNDS, now, fx))
    }

    fn page(&mut self, turn: u32, due: &[Due], more: bool, heads: (u64, u64)) -> Vec<Effect> {
        let page = Page { due: due.to_vec(), more, device_head: Seq(heads.0), user_head: Seq(heads.1) };
        self.step(|session, now, fx| session.page(turn, &page, &BOUNDS, now, fx))
    }

    fn frame(&mut self, frame: Frame) -> Vec<Effect> {
        self.step(|session, now, fx| session.frame(frame, &BOUNDS, now, fx))
    }

    fn ack(&mut self, seqs: &[u64]) -> Vec<Effect> {
        self.frame(Frame::Ack(Ack { seqs: seqs.to_vec() }))
    }

    fn rebound(&mut self, user: Option<User>, unwritten: &[u64]) -> Vec<Effect> {
        let unwritten: Vec<_> = unwritten.iter().copied().map(Seq).collect();
        self.step(|session, _, fx| session.rebound(user, &unwritten, &BOUNDS, fx))
    }

    fn bulk(&mut self, log: &[Due]) -> Vec<Effect> {
        let head = log.last().map_or(Seq(0), |due| due.seq);
        self.step(|session, now, fx| session.bulk(log.iter().cloned(), head, &BOUNDS, now, fx))
    }

    /// Moves time and sweeps once.
    fn tick_after(&mut self, ms: u64) -> Vec<Effect> {
        self.at_ms += ms;
        self.step(|session, now, fx| session.tick(false, &BOUNDS, now, fx))
    }
}

fn sent(effects: &[Effect]) -> Vec<u64> {
    effects
        .iter()
        .filter_map(|effect| if let Effect::Send(due) = effect { Some(due.seq.0) } else { None })
        .collect()
}

/// The page a session asks for: its turn, and where it begins in the normal lane.
fn read(effects: &[Effect]) -> Option<(u32, u64)> {
    effects.iter().find_map(|effect| match effect {
        Effect::Read { turn, cursor, .. } => Some((*turn, cursor.normal.0)),
        _ => None,
    })
}

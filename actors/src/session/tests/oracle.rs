//! Random histories against an oracle that knows only queues: hints are lost, repeated, late and
//! out of order, users come and go, and still everything due is sent, in order, to nobody else.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::store::Cursor;

#[derive(Debug, Clone, Copy)]
enum Event {
    Accept {
        to_user: bool,
        high: bool,
    },
    /// Hands over one of the hints under way, and forgets it or not.
    Hint {
        which: usize,
        forget: bool,
    },
    LoseHint(usize),
    AnswerPage,
    AckOldest(usize),
    Rebind(Option<User>),
    Tick(u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (any::<bool>(), any::<bool>()).prop_map(|(to_user, high)| Event::Accept { to_user, high }),
        4 => (any::<usize>(), any::<bool>()).prop_map(|(which, forget)| Event::Hint { which, forget }),
        1 => any::<usize>().prop_map(Event::LoseHint),
        3 => Just(Event::AnswerPage),
        2 => (1_usize..4).prop_map(Event::AckOldest),
        1 => prop_oneof![Just(None), Just(Some(ANNA)), Just(Some(BEN))].prop_map(Event::Rebind),
        1 => (1_u64..5_000).prop_map(Event::Tick),
    ]
}

struct World {
    bench: Bench,
    user: Option<User>,
    seq: u64,
    pending: BTreeMap<u64, Due>,
    hints: Vec<(Due, u64)>,
    asked: Option<(u32, Cursor, usize)>,
    in_flight: Vec<(u64, Option<Owner>)>,
    /// What was sent at least once, by queue and lane: the last place.
    last: BTreeMap<(Owner, Lane), u64>,
    seen: BTreeSet<u64>,
}

impl World {
    fn new() -> Self {
        Self {
            bench: Bench::open(Some(ANNA), false),
            user: Some(ANNA),
            seq: 0,
            pending: BTreeMap::new(),
            hints: Vec::new(),
            asked: None,
            in_flight: Vec::new(),
            last: BTreeMap::new(),
            seen: BTreeSet::new(),
        }
    }

    fn head(&self, owner: Owner) -> u64 {
        self.pending.values().filter(|due| due.owner == Some(owner)).map(|due| due.seq.0).max().unwrap_or(0)
    }

    fn user_head(&self) -> u64 {
        self.user.map_or(0, |user| self.head(Owner::User(user)))
    }

    fn is_mine(&self, due: &Due) -> bool {
        due.owner == Some(Owner::Device(DEVICE)) || due.owner == self.user.map(Owner::User)
    }

    fn apply(&mut self, event: Event) {
        let effects = match event {
            Event::Accept { to_user, high } => return self.accept(to_user, high),
            Event::Hint { which, forget } if !self.hints.is_empty() => {
                let which = which % self.hints.len();
                let (due, prev) = self.hints[which].clone();
                if forget {
                    self.hints.remove(which);
                }
                self.bench.hint(&due, prev)
            }
            Event::LoseHint(which) if !self.hints.is_empty() => {
                self.hints.remove(which % self.hints.len());
                return;
            }
            Event::Hint { .. } | Event::LoseHint(_) => return,
            Event::AnswerPage => self.answer_page(),
            Event::AckOldest(count) => {
                let acked: Vec<_> =
                    self.in_flight.drain(..count.min(self.in_flight.len())).map(|(seq, _)| seq).collect();
                self.pending.retain(|seq, _| !acked.contains(seq));
                self.bench.ack(&acked)
            }
            Event::Rebind(user) => {
                if user != self.user {
                    // The old user's flights stay ackable; the oracle lets them go.
                    let old = self.user.map(Owner::User);
                    self.in_flight.retain(|(_, owner)| *owner != old);
                    self.last.retain(|(owner, _), _| Some(*owner) != old);
                }
                self.user = user;
                self.bench.rebound(user, &[])
            }
            Event::Tick(ms) => {
                self.bench.session.frame(Frame::Pong, &BOUNDS, now(self.bench.at_ms), &mut Effects::new());
                self.bench.tick_after(ms)
            }
        };
        self.observe(effects);
    }

    fn accept(&mut self, to_user: bool, high: bool) {
        let owner = match self.user {
            Some(user) if to_user => Owner::User(user),
            _ => Owner::Device(DEVICE),
        };
        let prev = self.head(owner);
        self.seq += 1;
        let lane = if high { Lane::High } else { Lane::Normal };
        let due = due(Some(owner), self.seq, lane, 1_000_000_000);
        self.pending.insert(self.seq, Due::clone(&due));
        self.hints.push((due, prev));
    }

    fn answer_page(&mut self) -> Vec<Effect> {
        let Some((turn, cursor, limit)) = self.asked.take() else { return Vec::new() };
        let after = |due: &&Due| {
            let cursor = if due.lane == Lane::High { cursor.high } else { cursor.normal };
            due.seq > cursor && self.is_mine(due)
        };
        let mut places: Vec<_> = self.pending.values().filter(after).cloned().collect();
        places.sort_by_key(|due| (due.lane != Lane::High, due.seq));
        let more = places.len() > limit;
        places.truncate(limit);
        let heads = (self.head(Owner::Device(DEVICE)), self.user_head());
        self.bench.page(turn, &places, more, heads)
    }

    fn observe(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Send(due) => self.sent(&due),
                Effect::Read { turn, cursor, limit, user } => {
                    assert_eq!(user, self.user);
                    self.asked = Some((turn, cursor, limit));
                }
                Effect::Error(code) => panic!("{code:?}"),
                Effect::Close(reason) => panic!("{reason:?}"),
                _ => {}
            }
        }
        assert!(self.in_flight.len() <= BOUNDS.in_flight_max, "{:?}", self.in_flight);
    }

    fn sent(&mut self, due: &Due) {
        assert!(self.is_mine(due), "{due:?} is of another user");
        let owner = due.owner.unwrap();
        if self.seen.insert(due.seq.0) {
            let last = self.last.insert((owner, due.lane), due.seq.0).unwrap_or(0);
            assert!(last < due.seq.0, "{} came first after {last}", due.seq.0);
        }
        if !self.in_flight.contains(&(due.seq.0, due.owner)) {
            self.in_flight.push((due.seq.0, due.owner));
        }
    }

    /// No hint comes any more: comparing with the store, pages and acks alone bring the rest.
    fn settle(&mut self) {
        for _ in 0..1_000 {
            let (device_head, user_head) = self.bench.session.heads();
            let missed = self.head(Owner::Device(DEVICE)) > device_head.0 || self.user_head() > user_head.0;
            if self.bench.session.caught_up() && missed {
                let effects = self.bench.step(|session, _, fx| session.doubt(&BOUNDS, fx));
                self.observe(effects);
            }
            self.apply(Event::AnswerPage);
            self.apply(Event::AckOldest(4));
            if self.pending.values().all(|due| !self.is_mine(due)) {
                return;
            }
        }
        let left: Vec<_> =
            self.pending.values().filter(|due| self.is_mine(due)).map(|due| due.seq.0).collect();
        panic!("never sent: {left:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_to_hints_all_that_is_due_is_sent_in_order_and_to_nobody_else(
        events in prop::collection::vec(event(), 1..120),
    ) {
        let mut world = World::new();
        for event in events {
            world.apply(event);
        }
        world.settle();
    }
}

//! Answers to requests that carried an Idempotency-Key, in memory and (once given) on disk.

use std::collections::BTreeSet;
use std::sync::Arc;

use ahash::AHashMap;
use bytes::Bytes;
use carillon_sdk::Timestamp;
use parking_lot::Mutex;

use super::{Begun, Idempotency};
use crate::model::App;

pub(super) type Hash = [u8; 16];

#[derive(Default)]
pub(super) struct Answers(Mutex<AHashMap<App, OfApp>>);

#[derive(Default)]
struct OfApp {
    slots: AHashMap<Hash, Slot>,
    /// The answers given, the one soonest forgotten first.
    order: BTreeSet<(Timestamp, Hash)>,
}

enum Slot {
    InFlight { body: [u8; 32] },
    Given { body: [u8; 32], until: Timestamp, answer: Bytes },
}

/// Holds an idempotency key while its request is being answered. Dropped without an answer, it
/// lets a retry in.
pub struct IdempotencyGuard {
    answers: Arc<Answers>,
    pub(super) app: App,
    pub(super) idempotency: Idempotency,
}

impl std::fmt::Debug for IdempotencyGuard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IdempotencyGuard").field("app", &self.app).finish_non_exhaustive()
    }
}

impl Drop for IdempotencyGuard {
    fn drop(&mut self) {
        self.answers.let_go(self.app, &self.idempotency.key);
    }
}

impl Answers {
    pub(super) fn begin(self: &Arc<Self>, app: App, idempotency: &Idempotency, now: Timestamp) -> Begun {
        let mut apps = self.0.lock();
        let slots = &mut apps.entry(app).or_default().slots;
        match slots.get(&idempotency.key) {
            Some(Slot::InFlight { body } | Slot::Given { body, .. }) if *body != idempotency.body => {
                return Begun::Mismatch;
            }
            Some(Slot::InFlight { .. }) => return Begun::InFlight,
            Some(Slot::Given { until, answer, .. }) if *until > now => return Begun::Replay(answer.to_vec()),
            Some(Slot::Given { .. }) | None => {}
        }
        slots.insert(idempotency.key, Slot::InFlight { body: idempotency.body });
        Begun::New(IdempotencyGuard { answers: Arc::clone(self), app, idempotency: idempotency.clone() })
    }

    fn let_go(&self, app: App, key: &Hash) {
        if let Some(of_app) = self.0.lock().get_mut(&app)
            && matches!(of_app.slots.get(key), Some(Slot::InFlight { .. }))
        {
            of_app.slots.remove(key);
        }
    }

    pub(super) fn give(&self, app: App, idempotency: &Idempotency, answer: Bytes, until: Timestamp) {
        let mut apps = self.0.lock();
        let of_app = apps.entry(app).or_default();
        let slot = Slot::Given { body: idempotency.body, until, answer };
        if let Some(Slot::Given { until, .. }) = of_app.slots.insert(idempotency.key, slot) {
            of_app.order.remove(&(until, idempotency.key));
        }
        of_app.order.insert((until, idempotency.key));
    }

    /// Forgets the soonest due of an app's answers until fewer than `max` are left; says which.
    pub(super) fn make_room(&self, app: App, max: usize) -> Vec<Hash> {
        self.forget(app, |of_app| of_app.order.len() >= max, usize::MAX)
    }

    /// Forgets at most `limit` of an app's answers whose time is over; says which.
    pub(super) fn expire(&self, app: App, now: Timestamp, limit: usize) -> Vec<Hash> {
        self.forget(app, |of_app| of_app.order.first().is_some_and(|(until, _)| *until <= now), limit)
    }

    fn forget(&self, app: App, due: impl Fn(&OfApp) -> bool, limit: usize) -> Vec<Hash> {
        let mut gone = Vec::new();
        let mut apps = self.0.lock();
        let Some(of_app) = apps.get_mut(&app) else { return gone };
        while gone.len() < limit && due(of_app) {
            let Some((due, key)) = of_app.order.pop_first() else { break };
            // A retry after the answer's time may be under way, or answered: its place stays.
            match of_app.slots.get(&key) {
                Some(Slot::Given { until, .. }) if *until == due => drop(of_app.slots.remove(&key)),
                Some(_) => continue,
                None => {}
            }
            gone.push(key);
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const APP: App = App(1);

    fn key(key: u8, body: u8) -> Idempotency {
        Idempotency { key: [key; 16], body: [body; 32] }
    }

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    #[test]
    fn a_key_is_answered_once_and_replayed_until_its_time_is_over() {
        let answers = Arc::new(Answers::default());
        let Begun::New(guard) = answers.begin(APP, &key(1, 1), at(0)) else { panic!("first") };
        assert!(matches!(answers.begin(APP, &key(1, 1), at(0)), Begun::InFlight));
        assert!(matches!(answers.begin(APP, &key(1, 2), at(0)), Begun::Mismatch));
        answers.give(APP, &key(1, 1), Bytes::from_static(b"ok"), at(10));
        drop(guard);
        assert!(matches!(answers.begin(APP, &key(1, 1), at(9)), Begun::Replay(answer) if answer == b"ok"));
        assert!(matches!(answers.begin(APP, &key(1, 2), at(9)), Begun::Mismatch));
        assert!(matches!(answers.begin(APP, &key(1, 1), at(10)), Begun::New(_)));
    }

    #[test]
    fn a_guard_dropped_without_an_answer_lets_a_retry_in() {
        let answers = Arc::new(Answers::default());
        drop(answers.begin(APP, &key(1, 1), at(0)));
        assert!(matches!(answers.begin(APP, &key(1, 9), at(0)), Begun::New(_)));
    }

    #[test]
    fn the_soonest_due_answers_make_room() {
        let answers = Arc::new(Answers::default());
        for n in 0..4 {
            answers.give(APP, &key(n, n), Bytes::new(), at(100 - u64::from(n)));
        }
        assert_eq!(answers.make_room(APP, 3), [[3; 16], [2; 16]]);
        assert_eq!(answers.expire(APP, at(99), 10), [[1; 16]]);
    }
}

//! Supervision of our own: actix's `Supervisor` does not restart after a panic (the address is
//! dead for good), and restarts a stopped actor with its old state.
//!
//! ```text
//!  child ──Obituary (Drop, while unwinding too)──▶ Notices ──one Mourn a batch──▶ parent
//!  parent ──Children: key → address, life──▶ makes a new child within its Budget
//! ```
//!
//! Deaths come in storms (a network splits, a shard falls): the notices gather in one list, and
//! the parent is woken once for as many as there are.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use actix::{Message, Recipient};
use parking_lot::Mutex;

/// A child's incarnation under its parent: a late notice of an earlier life removes no successor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub(crate) struct Life(pub(crate) u64);

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Death<K> {
    pub(crate) key: K,
    pub(crate) life: Life,
    pub(crate) panicked: bool,
}

/// Sent by [`Notices`] to the parent when the first of a batch of deaths is noted. No reply; the
/// parent takes the batch.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Mourn;

/// Where a parent's children leave word when they end.
pub(crate) struct Notices<K> {
    deaths: Mutex<Vec<Death<K>>>,
    parent: Recipient<Mourn>,
}

impl<K> Notices<K> {
    pub(crate) fn new(parent: Recipient<Mourn>) -> Arc<Self> {
        Arc::new(Self { deaths: Mutex::new(Vec::new()), parent })
    }

    /// All deaths since the last call, in their order.
    pub(crate) fn take(&self) -> Vec<Death<K>> {
        std::mem::take(&mut *self.deaths.lock())
    }

    fn note(&self, death: Death<K>) {
        let first = {
            let mut deaths = self.deaths.lock();
            deaths.push(death);
            deaths.len() == 1
        };
        if first {
            #[expect(
                clippy::disallowed_methods,
                reason = "one a batch, and a notice may not be lost to a full mailbox"
            )]
            self.parent.do_send(Mourn);
        }
    }
}

/// A field of each supervised actor: its `Drop` tells the parent. It runs while unwinding, where a
/// second panic would abort the process, so it does nothing that can fail.
pub(crate) struct Obituary<K: Copy> {
    key: K,
    life: Life,
    notices: Arc<Notices<K>>,
}

impl<K: Copy> Obituary<K> {
    pub(crate) const fn new(key: K, life: Life, notices: Arc<Notices<K>>) -> Self {
        Self { key, life, notices }
    }
}

impl<K: Copy> Drop for Obituary<K> {
    fn drop(&mut self) {
        self.notices.note(Death { key: self.key, life: self.life, panicked: std::thread::panicking() });
    }
}

/// A parent's children by key: each one's handle and life.
pub(crate) struct Children<K, C> {
    living: HashMap<K, (C, Life), ahash::RandomState>,
    lives: u64,
}

impl<K: Eq + Hash, C> Children<K, C> {
    pub(crate) fn new() -> Self {
        Self { living: HashMap::default(), lives: 0 }
    }

    /// A life no child of this parent had before.
    pub(crate) const fn next_life(&mut self) -> Life {
        self.lives += 1;
        Life(self.lives)
    }

    pub(crate) fn insert(&mut self, key: K, child: C, life: Life) {
        self.living.insert(key, (child, life));
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut C> {
        self.living.get_mut(key).map(|(child, _)| child)
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<C> {
        self.living.remove(key).map(|(child, _)| child)
    }

    /// Removes the child a notice speaks of; none if a successor lives by now.
    pub(crate) fn bury(&mut self, key: &K, life: Life) -> Option<C> {
        match self.living.get(key) {
            Some((_, living)) if *living == life => self.remove(key),
            _ => None,
        }
    }

    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&K, &mut C) -> bool) {
        self.living.retain(|key, (child, _)| keep(key, child));
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &C> {
        self.living.values().map(|(child, _)| child)
    }
}

/// Deaths a parent bears within a minute; beyond, it ends itself and its own parent decides.
#[derive(Debug)]
pub(crate) struct Budget {
    deaths_max: u32,
    deaths: u32,
    window_began_ms: u64,
}

const WINDOW_MS: u64 = 60_000;

impl Budget {
    pub(crate) const fn new(deaths_max: u32) -> Self {
        Self { deaths_max, deaths: 0, window_began_ms: 0 }
    }

    /// Counts a death at `now_ms` of monotonic time; false when it was one too many.
    pub(crate) const fn bear(&mut self, now_ms: u64) -> bool {
        if self.deaths == 0 || now_ms.saturating_sub(self.window_began_ms) >= WINDOW_MS {
            self.window_began_ms = now_ms;
            self.deaths = 0;
        }
        self.deaths = self.deaths.saturating_add(1);
        self.deaths <= self.deaths_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_spent_within_a_minute_and_whole_again_after_it() {
        let mut budget = Budget::new(2);
        assert!(budget.bear(1_000) && budget.bear(2_000));
        assert!(!budget.bear(60_999));
        assert!(budget.bear(61_000));
    }

    #[test]
    fn a_late_notice_of_death_removes_no_successor() {
        let mut children = Children::new();
        let first = children.next_life();
        children.insert("metrics", 'a', first);
        let second = children.next_life();
        children.insert("metrics", 'b', second);
        assert_eq!(children.bury(&"metrics", first), None);
        assert_eq!(children.bury(&"metrics", second), Some('b'));
    }
}

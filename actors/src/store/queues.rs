//! How much waits for each owner: counts in memory, so that a device with nothing pending never
//! touches the disk when it connects.

use std::collections::BTreeMap;

use ahash::AHashMap;
use carillon_sdk::Timestamp;
use parking_lot::Mutex;

use super::rows::PendingRow;
use crate::model::{Owner, Seq};

/// One a partition. Its writer counts; sessions look.
#[derive(Default)]
pub(super) struct Queues(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    owners: AHashMap<Owner, Queue>,
    places: u64,
    bytes: u64,
    /// Places by the minute in which their message was accepted: the first is the oldest.
    minutes: BTreeMap<u64, u32>,
}

/// What one owner has waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Queue {
    /// Messages.
    pub count: u32,
    pub bytes: u32,
    /// Places that withdraw a message.
    pub revokes: u32,
    /// The last place given out in this queue since it was empty.
    pub head: Seq,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Sum {
    pub places: u64,
    pub bytes: u64,
    /// To the minute.
    pub oldest: Option<Timestamp>,
}

const MINUTE_MS: u64 = 60_000;

impl Queue {
    #[must_use]
    pub(super) const fn is_empty(&self) -> bool {
        self.count == 0 && self.revokes == 0
    }
}

impl Queues {
    #[must_use]
    pub(super) fn get(&self, owner: Owner) -> Queue {
        self.0.lock().owners.get(&owner).copied().unwrap_or_default()
    }

    /// Counts a place in; gives the place before it in the same queue.
    pub(super) fn enter(&self, owner: Owner, seq: Seq, row: &PendingRow) -> Seq {
        let mut inner = self.0.lock();
        if !row.revokes {
            inner.places += 1;
            inner.bytes += u64::from(row.bytes);
            *inner.minutes.entry(row.accepted_at.as_millis() / MINUTE_MS).or_default() += 1;
        }
        let queue = inner.owners.entry(owner).or_default();
        if row.revokes {
            queue.revokes += 1;
        } else {
            queue.count += 1;
            queue.bytes = queue.bytes.saturating_add(row.bytes);
        }
        let before = queue.head;
        queue.head = queue.head.max(seq);
        before
    }

    /// Counts a place out. The head is forgotten with the last one: no session has a gap then.
    pub(super) fn leave(&self, owner: Owner, row: &PendingRow) {
        let mut inner = self.0.lock();
        if !row.revokes {
            inner.places = inner.places.saturating_sub(1);
            inner.bytes = inner.bytes.saturating_sub(u64::from(row.bytes));
            inner.leave_minute(row.accepted_at);
        }
        if let Some(queue) = inner.owners.get_mut(&owner) {
            if row.revokes {
                queue.revokes -= 1;
            } else {
                queue.count -= 1;
                queue.bytes = queue.bytes.saturating_sub(row.bytes);
            }
            if queue.is_empty() {
                inner.owners.remove(&owner);
            }
        }
    }

    #[must_use]
    pub(super) fn sum(&self) -> Sum {
        let inner = self.0.lock();
        let oldest = inner.minutes.first_key_value();
        Sum {
            places: inner.places,
            bytes: inner.bytes,
            oldest: oldest.map(|(minute, _)| Timestamp::from_millis(minute * MINUTE_MS)),
        }
    }
}

impl Inner {
    fn leave_minute(&mut self, accepted_at: Timestamp) {
        let minute = accepted_at.as_millis() / MINUTE_MS;
        if let Some(count) = self.minutes.get_mut(&minute) {
            *count -= 1;
            if *count == 0 {
                self.minutes.remove(&minute);
            }
        }
    }
}

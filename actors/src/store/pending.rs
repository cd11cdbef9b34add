//! What waits in a partition's queues: the rules of acceptance (`accept`), of how a place ends
//! (`ends`) and of reading (`places`). Has no thread and no clock: rows are read, and what is to
//! change goes into the work in hand or is owed.
//!
//! A removal is owed from the moment its verdict is recorded, and written with the commit after:
//! by then the verdict is durable, so that a crash may repeat it but never lose it. Until then the
//! place is `leaving`: counted out, and shown to nobody.

mod accept;
mod carry;
mod ends;
mod places;

use std::sync::Arc;

use ahash::{AHashMap, AHashSet};
use carillon_sdk::api::Step;
use carillon_sdk::wire::Lane;
use carillon_sdk::{MessageId, Timestamp, Ttl};
use smallvec::SmallVec;

use super::directory::OfApp;
use super::disk::{Batch, Rows};
use super::history::{Reason, Whom};
use super::keys;
use super::queues::Queues;
use super::rows::{PendingRow, RepeatRow};
use super::work::{Story, Work};
use crate::model::{Owner, Seq, User};

pub(super) use self::places::{Place, Reading};

#[derive(Debug, Clone, Copy)]
pub(super) struct PendingLimits {
    pub count_max: u32,
    pub bytes_max: u64,
    /// How long a retry of a message with a derived id is recognised, at least.
    pub repeat_keep: Ttl,
    /// What expired while in flight waits this much longer for its ack.
    pub grace: Ttl,
}

pub(super) struct Pending {
    pub(super) queues: Arc<Queues>,
    pub(super) limits: PendingLimits,
    /// References per message, where there is more than one.
    refs: AHashMap<Seq, u32>,
    collapse: AHashMap<Owner, SmallVec<[Collapsible; 1]>>,
    leaving: AHashSet<(Owner, Seq)>,
    /// Users' places that differ from the disk, or are not there yet.
    touched: AHashMap<(User, Seq), (Lane, PendingRow)>,
    /// Repeatable messages of the commit under way.
    repeats: AHashMap<MessageId, RepeatRow>,
    owed: Vec<Owed>,
}

/// What a rule has in hand: rows to read, the app's people, the commit in the making.
pub(super) struct Desk<'a> {
    pub rows: &'a Rows,
    pub people: &'a OfApp,
    pub work: &'a mut Work,
}

/// A place that a later message with the same key will take.
#[derive(Clone)]
struct Collapsible {
    key: Arc<str>,
    lane: Lane,
    seq: Seq,
    row: PendingRow,
}

/// Written with the next commit.
pub(super) enum Owed {
    Remove {
        owner: Owner,
        lane: Lane,
        seq: Seq,
        expires_at: Timestamp,
    },
    /// A user's place that some device acked.
    Acked {
        user: User,
        seq: Seq,
    },
    /// A message to which nothing refers.
    Orphan {
        expires_at: Timestamp,
        seq: Seq,
    },
    Put {
        key: keys::Key,
        value: Vec<u8>,
    },
    Delete {
        key: keys::Key,
    },
}

impl Pending {
    #[must_use]
    pub(super) fn new(queues: Arc<Queues>, limits: PendingLimits) -> Self {
        Self {
            queues,
            limits,
            refs: AHashMap::new(),
            collapse: AHashMap::new(),
            leaving: AHashSet::new(),
            touched: AHashMap::new(),
            repeats: AHashMap::new(),
            owed: Vec::new(),
        }
    }

    /// Counts a place out whose verdict has just been recorded.
    fn leave(&mut self, owner: Owner, lane: Lane, seq: Seq, row: &PendingRow) {
        self.queues.leave(owner, row);
        self.leaving.insert((owner, seq));
        if let Some(places) = self.collapse.get_mut(&owner) {
            places.retain(|place| place.seq != seq);
            if places.is_empty() {
                self.collapse.remove(&owner);
            }
        }
        self.owed.push(Owed::Remove { owner, lane, seq, expires_at: row.expires_at });
    }

    pub(super) fn owe(&mut self, owed: Owed) {
        self.owed.push(owed);
    }

    #[must_use]
    pub(super) fn is_owing(&self) -> bool {
        !self.owed.is_empty()
    }

    /// Writes what is owed; its verdicts are durable by now.
    pub(super) fn pay(&mut self, batch: &mut Batch) {
        for owed in std::mem::take(&mut self.owed) {
            match owed {
                Owed::Remove { owner, lane, seq, expires_at } => {
                    batch.delete(keys::pending(owner, lane, seq));
                    if self.was_last(seq) {
                        batch.delete(keys::message(expires_at, seq));
                    }
                    if let Owner::User(user) = owner {
                        self.touched.remove(&(user, seq));
                    }
                }
                Owed::Acked { user, seq } => {
                    // Gone when the rest acked too before this was written.
                    if let Some((lane, row)) = self.touched.get(&(user, seq)) {
                        batch.put(keys::pending(Owner::User(user), *lane, seq), row.encode());
                    }
                }
                Owed::Orphan { expires_at, seq } => {
                    self.refs.remove(&seq);
                    batch.delete(keys::message(expires_at, seq));
                }
                Owed::Put { key, value } => batch.put(key, value),
                Owed::Delete { key } => batch.delete(key),
            }
        }
    }

    fn was_last(&mut self, seq: Seq) -> bool {
        let Some(refs) = self.refs.get_mut(&seq) else { return true };
        *refs -= 1;
        let last = *refs == 0;
        if last {
            self.refs.remove(&seq);
        }
        last
    }

    /// What was decided for the commit just made is on disk now: the disk tells the truth again.
    pub(super) fn committed(&mut self) {
        self.leaving.clear();
        self.touched.clear();
        self.repeats.clear();
        // Replaced in this very commit: their removal is owed still.
        for owed in &self.owed {
            if let Owed::Remove { owner, seq, .. } = owed {
                self.leaving.insert((*owner, *seq));
            }
        }
    }
}

/// Ids derived from an idempotency key (UUID version 5) come again in a retry.
#[must_use]
pub(super) fn is_repeatable(id: MessageId) -> bool {
    id.as_bytes()[6] >> 4 == 5
}

impl Desk<'_> {
    /// Records a step for whom it concerns: the device; or of a user's place each device it is
    /// listed for that has not acked it, or the user when it was never listed for one.
    fn record(&mut self, owner: Owner, row: &PendingRow, step: Step, reason: Option<Reason>) {
        let story = Story::of_row(owner.app(), row);
        let (people, work) = (self.people, &mut *self.work);
        let mut record = |device: u32| {
            work.record(story, Whom::Device(device), people.group(device), step, reason);
        };
        match owner {
            Owner::Device(device) => record(device.ordinal),
            Owner::User(user) if row.listed.is_empty() => {
                work.record(story, Whom::User(user.ordinal), None, step, reason);
            }
            Owner::User(_) => {
                row.listed
                    .iter()
                    .filter(|device| !row.acked.contains(device))
                    .for_each(|&device| record(device));
            }
        }
    }
}

//! Errands: messages that a vendor's channel is to carry, one for each device.
//!
//! ```text
//!   enqueue · bind · a new token ──road──▶ errand (due at once, or after our own road had its time)
//!                                            │ claim: due, and the place is still the device's
//!                                            ▼
//!                                          out ──▶ handed over: verdict, the place goes
//!                                            ├───▶ again: due later, one attempt more
//!                                            ├───▶ dead, refused: our own road, or rejected
//!                                            └───▶ unclaimed: as it was
//! ```
//!
//! An errand is a row beside its place, in the owner's partition. While it is *held* (`PendingRow::held`)
//! no session is given the place; so one road at a time carries it, after a crash too. What is out is
//! memory: a start, or a channel made anew, finds it due again, so at worst a call is made twice, which
//! vendors with a key for it drop.
//!
//! A place that ends otherwise (acked, expired, revoked, replaced) leaves its errand behind; whoever
//! claims it finds no place and drops it.

mod bulk;
mod claim;
mod conclude;
mod route;

pub(super) use self::route::{Chosen, Placed, send_out};

use std::sync::Arc;

use ahash::{AHashMap, AHashSet};
use carillon_sdk::api::Step;
use carillon_sdk::wire::Lane;
use carillon_sdk::{MessageId, Timestamp, Vendor};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::Error;
use super::disk::Failed;
use super::handed::Taken;
use super::history::{Channel, Whom};
use super::keys::{self, Key};
use super::partition::Partition;
use super::work::{Reply, Story, Work};
use crate::channel::{End, ErrandLane};
use crate::model::{App, Device, Message, Owner, Seq};

/// Rows looked at in one claim: those out stand before those that are not.
const LOOKED_AT_MAX: usize = 10_000;

/// What an errand's row says beyond its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ErrandRow {
    /// Of its message: by which that is found.
    pub expires_at: Timestamp,
    /// Of the place's queue.
    pub lane: Lane,
    pub attempts: u16,
    /// While a session is open it waits so long again.
    pub waits_ms: Option<u64>,
}

/// The key of an errand, read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct ErrandKey {
    pub vendor: Vendor,
    pub is_urgent: bool,
    pub due: Timestamp,
    pub seq: Seq,
    pub owner: Owner,
    pub device: u32,
}

/// What a partition is asked about errands.
pub(super) enum ErrandOp {
    Claim {
        app: App,
        vendor: Vendor,
        lane: ErrandLane,
        max: usize,
        reply: Reply<Given>,
    },
    Conclude {
        ends: Vec<(u64, End)>,
        reply: Reply<()>,
    },
    /// Whatever an earlier life of the channel had out is due again.
    Reclaim {
        app: App,
        vendor: Vendor,
        reply: Reply<()>,
    },
    /// A receipt says that it arrived.
    Confirm {
        device: Device,
        id: MessageId,
        taken: Taken,
        reply: Reply<()>,
    },
    /// What waits for an owner may have a new road to a device: nobody waits for this.
    Route {
        owner: Owner,
        device: Device,
    },
}

impl ErrandOp {
    pub(super) fn refuse(self, error: Error) {
        // Whoever asked may have gone.
        match self {
            Self::Claim { reply, .. } => drop(reply.send(Err(error))),
            Self::Conclude { reply, .. } | Self::Reclaim { reply, .. } | Self::Confirm { reply, .. } => {
                drop(reply.send(Err(error)));
            }
            Self::Route { .. } => {}
        }
    }
}

/// Errands given out.
#[derive(Debug, Default)]
pub(super) struct Given {
    pub errands: Vec<Out>,
    pub next_due: Option<Timestamp>,
}

/// One of them.
#[derive(Debug, Clone)]
pub(super) struct Out {
    /// Within the partition.
    pub number: u64,
    pub device: Device,
    pub message: Arc<Message>,
    pub attempts: u16,
    pub is_urgent: bool,
}

/// What is out.
#[derive(Default)]
pub(super) struct Outs {
    last: u64,
    claims: AHashMap<u64, Held>,
    keys: AHashSet<Key>,
    owners: AHashMap<Owner, u32>,
    pub(super) bulk: super::log::BulkOuts,
}

/// A claim, by which its end finds place and row.
struct Held {
    app: App,
    key: ErrandKey,
    row: ErrandRow,
}

impl Outs {
    fn take_out(&mut self, app: App, key: ErrandKey, row: ErrandRow) -> u64 {
        self.last += 1;
        self.keys.insert(keys::errand(app, &key));
        *self.owners.entry(key.owner).or_default() += 1;
        self.claims.insert(self.last, Held { app, key, row });
        self.last
    }

    fn put_back(&mut self, number: u64) -> Option<Held> {
        let held = self.claims.remove(&number)?;
        self.keys.remove(&keys::errand(held.app, &held.key));
        if let Some(count) = self.owners.get_mut(&held.key.owner) {
            *count -= 1;
            if *count == 0 {
                self.owners.remove(&held.key.owner);
            }
        }
        Some(held)
    }

    /// Whether a vendor may be taking something of this owner's just now.
    #[must_use]
    pub(super) fn has(&self, owner: Owner) -> bool {
        self.owners.contains_key(&owner)
    }
}

/// Who is told when a channel has something to carry.
#[derive(Default)]
pub(super) struct Bells(Mutex<AHashMap<(App, Vendor), Arc<Notify>>>);

impl Bells {
    #[must_use]
    pub(super) fn of(&self, app: App, vendor: Vendor) -> Arc<Notify> {
        Arc::clone(self.0.lock().entry((app, vendor)).or_default())
    }

    pub(super) fn ring(&self, app: App, vendor: Vendor) {
        if let Some(bell) = self.0.lock().get(&(app, vendor)) {
            bell.notify_one();
        }
    }
}

impl Partition {
    pub(super) fn errands(&mut self, op: ErrandOp, work: &mut Work) -> Result<(), Failed> {
        match op {
            ErrandOp::Claim { app, vendor, lane: ErrandLane::Bulk, max, reply } => {
                let given = self.claim_bulk(app, vendor, max, work);
                work.answer(reply, given);
            }
            ErrandOp::Claim { app, vendor, lane, max, reply } => {
                let given = self.claim(app, vendor, lane == ErrandLane::Urgent, max, work)?;
                work.answer(reply, given);
            }
            ErrandOp::Conclude { ends, reply } => {
                self.conclude_errands(ends, work)?;
                work.answer(reply, ());
            }
            ErrandOp::Reclaim { app, vendor, reply } => {
                let of_it = |held: &Held| held.app == app && held.key.vendor == vendor;
                let numbers: Vec<u64> = (self.outs.claims.iter())
                    .filter(|(_, held)| of_it(held))
                    .map(|(number, _)| *number)
                    .collect();
                for number in numbers {
                    self.outs.put_back(number);
                }
                self.outs.bulk.forget(app, vendor);
                work.answer(reply, ());
            }
            ErrandOp::Confirm { device, id, taken, reply } => {
                let Taken { vendor, push_type, task, .. } = taken;
                let story = Story { app: device.app, id, push_type, task, is_quiet: false };
                self.confirmed(device, vendor, story, work);
                work.answer(reply, ());
            }
            ErrandOp::Route { owner, device } => self.route_waiting(owner, device, work)?,
        }
        Ok(())
    }

    /// A receipt says that it arrived.
    fn confirmed(&self, device: Device, vendor: Vendor, story: Story, work: &mut Work) {
        if story.is_quiet {
            return;
        }
        let group = self.people(device.app).and_then(|people| people.group(device.ordinal));
        work.record(story, Whom::Device(device.ordinal), group, Step::Confirmed, None);
        if let Some(record) = work.records.last_mut() {
            record.channel = Channel::Vendor(vendor);
        }
        work.verdicts = true;
    }
}

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
mod outs;
mod route;
mod stranded;

use self::outs::Held;
pub(super) use self::outs::Outs;
pub(super) use self::route::{Chosen, Placed, send_out};

use std::sync::Arc;

use ahash::AHashMap;
use carillon_sdk::api::Step;
use carillon_sdk::wire::Lane;
use carillon_sdk::{MessageId, Timestamp, Vendor};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::Error;
use super::disk::Failed;
use super::handed::Taken;
use super::history::{Channel, Reason, Whom};
use super::partition::Partition;
use super::tokens::TokenInfo;
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
        /// Of the channel that asks: one that is over is given nothing.
        life: Seq,
        lane: ErrandLane,
        max: usize,
        reply: Reply<Given>,
    },
    Conclude {
        ends: Vec<(u64, End)>,
        reply: Reply<()>,
    },
    /// A channel begins: whatever an earlier life of it had out is due again.
    Begin {
        app: App,
        vendor: Vendor,
        life: Seq,
        reply: Reply<()>,
    },
    /// It is over: what it left claimed is due again. Nobody waits for this.
    Over {
        app: App,
        vendor: Vendor,
        life: Seq,
    },
    /// A receipt says that it arrived.
    Confirm {
        device: Device,
        id: MessageId,
        taken: Taken,
        reply: Reply<()>,
    },
    /// A receipt says that the device will not show what the vendor took: the vendor's code for that.
    Refuse {
        device: Device,
        id: MessageId,
        taken: Taken,
        code: String,
        reply: Reply<()>,
    },
    /// What waits for an owner may have a new road to a device: nobody waits for this.
    Route {
        owner: Owner,
        device: Device,
        because: Because,
    },
}

/// Why what waits may have another road.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Because {
    /// The device was bound to the user.
    Bound,
    /// It has a token more, or less; `carrier`: another vendor carries for it now, or none.
    Token { carrier: bool },
}

impl ErrandOp {
    pub(super) fn refuse(self, error: Error) {
        // Whoever asked may have gone.
        match self {
            Self::Claim { reply, .. } => drop(reply.send(Err(error))),
            Self::Conclude { reply, .. }
            | Self::Begin { reply, .. }
            | Self::Confirm { reply, .. }
            | Self::Refuse { reply, .. } => {
                drop(reply.send(Err(error)));
            }
            Self::Route { .. } | Self::Over { .. } => {}
        }
    }

    /// What goes to a vendor makes room, and its end is a verdict.
    #[must_use]
    pub(super) const fn needs_room(&self) -> bool {
        matches!(self, Self::Route { .. })
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
    /// Whose it is: the device's, or its user's.
    pub owner: Owner,
    pub message: Arc<Message>,
    pub attempts: u16,
    pub is_urgent: bool,
    pub token: Seen,
}

/// What the claim saw of the device's token.
#[derive(Debug, Clone)]
pub(super) enum Seen {
    Token(TokenInfo),
    Gone,
    /// The device is of another partition.
    Elsewhere,
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
            ErrandOp::Claim { app, vendor, life, lane, max, reply } => {
                let mut given = match lane {
                    _ if !self.outs.is_alive((app, vendor), life) => Given::default(),
                    ErrandLane::Bulk => self.claim_bulk(app, vendor, max, work),
                    ErrandLane::Urgent | ErrandLane::Normal => {
                        self.claim(app, vendor, lane == ErrandLane::Urgent, max, work)?
                    }
                };
                self.see_tokens(vendor, &mut given.errands)?;
                work.answer(reply, given);
            }
            ErrandOp::Conclude { ends, reply } => {
                self.conclude_errands(ends, work)?;
                work.answer(reply, ());
            }
            ErrandOp::Begin { app, vendor, life, reply } => {
                self.outs.begin((app, vendor), life);
                work.answer(reply, ());
            }
            ErrandOp::Over { app, vendor, life } => self.outs.end((app, vendor), life),
            ErrandOp::Confirm { device, id, taken, reply } => {
                self.confirmed(device, taken.vendor, taken.story(device.app, id), work);
                work.answer(reply, ());
            }
            ErrandOp::Refuse { device, id, taken, code, reply } => {
                let story = taken.story(device.app, id);
                self.told_afterwards(device, taken.vendor, story, Step::Refused, Some(code), work);
                work.answer(reply, ());
            }
            ErrandOp::Route { owner, device, because } => {
                self.route_waiting(owner, device, because, work)?;
            }
        }
        Ok(())
    }

    /// The device has what is not due to it: a vendor took it, while our own road had it too.
    pub(in crate::store) fn has_arrived(&self, device: Device, id: MessageId, work: &mut Work) {
        let Some(taken) = self.shared.handed.lock().acked(device, id) else { return };
        self.confirmed(device, taken.vendor, taken.story(device.app, id), work);
    }

    /// A receipt, or the device, says that it arrived.
    fn confirmed(&self, device: Device, vendor: Vendor, story: Story, work: &mut Work) {
        self.told_afterwards(device, vendor, story, Step::Confirmed, None, work);
    }

    fn told_afterwards(
        &self,
        device: Device,
        vendor: Vendor,
        story: Story,
        step: Step,
        code: Option<String>,
        work: &mut Work,
    ) {
        if story.is_quiet {
            return;
        }
        let group = self.people(device.app).and_then(|people| people.group(device.ordinal));
        let reason = code.is_some().then_some(Reason::ByReceipt);
        work.record(story, Whom::Device(device.ordinal), group, step, reason);
        if let Some(record) = work.records.last_mut() {
            record.channel = Channel::Vendor(vendor);
            record.detail = code.map(String::into_boxed_str);
        }
        work.verdicts = true;
    }
}

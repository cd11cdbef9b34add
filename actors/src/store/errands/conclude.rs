//! What became of what was out.

use std::sync::Arc;

use carillon_sdk::api::Step;
use carillon_sdk::{Fallback, Timestamp, Vendor};

use super::route::put;
use super::{ErrandKey, ErrandRow, Held};
use crate::channel::End;
use crate::model::Device;
use crate::store::directory::OfApp;
use crate::store::disk::Failed;
use crate::store::handed::Taken;
use crate::store::history::{Channel, Reason, Whom};
use crate::store::keys;
use crate::store::partition::Partition;
use crate::store::pending::{Desk, Place};
use crate::store::rows::{MessageRow, decode};
use crate::store::work::{Again, Story, Work};

impl Partition {
    /// All in the commit in hand: the verdict, and the errand's row with it.
    pub(super) fn conclude_errands(&mut self, ends: Vec<(u64, End)>, work: &mut Work) -> Result<(), Failed> {
        let mut bulk = Vec::new();
        for (number, end) in ends {
            let Some(held) = self.outs.put_back(number) else {
                bulk.push((number, end));
                continue;
            };
            if end == End::Unclaim {
                self.outs.find_again(&held);
            }
            let Held { app, key, row } = held;
            let Some(people) = self.people(app) else { continue };
            let stored = keys::errand(app, &key);
            let Some(place) = self.pending.carriable(&self.rows, key.owner, key.seq, key.device)? else {
                self.outs.drop_row(stored, &mut work.batch);
                continue;
            };
            match end {
                End::Unclaim => work.bells.push((app, key.vendor)),
                End::Again { at } => {
                    self.outs.drop_row(stored, &mut work.batch);
                    let attempts = row.attempts.saturating_add(1);
                    let due = at.max(work.now);
                    put(work, app, &ErrandKey { due, ..key }, &ErrandRow { attempts, ..row });
                }
                End::HandedOver { vendor_id } => {
                    self.outs.drop_row(stored, &mut work.batch);
                    let story = Story::of_row(app, &place.2);
                    let device = Device { app, ordinal: key.device };
                    let has_arrived = self.note_handed(device, key.vendor, story, vendor_id.as_deref());
                    work.handed_over(&people, &key, &place, vendor_id);
                    if has_arrived {
                        self.confirmed(device, key.vendor, story, work);
                    }
                    work.verdicts = true;
                    let mut desk = Desk { rows: &self.rows, people: &people, work };
                    self.pending.carried(&mut desk, key.owner, place, key.device);
                }
                End::Dead { code, .. } => {
                    self.outs.drop_row(stored, &mut work.batch);
                    self.refused(&people, &key, place, (code, Reason::TokenDead), row.expires_at, work)?;
                }
                End::Refused { code } => {
                    self.outs.drop_row(stored, &mut work.batch);
                    self.refused(&people, &key, place, (code, Reason::VendorRefused), row.expires_at, work)?;
                }
            }
        }
        self.conclude_bulk(bulk, work);
        Ok(())
    }

    /// For the receipts that may come of it. True when one was quicker.
    pub(super) fn note_handed(
        &self,
        device: Device,
        vendor: Vendor,
        story: Story,
        vendor_id: Option<&str>,
    ) -> bool {
        let Story { id, push_type, task, .. } = story;
        let taken = Taken { vendor, push_type, task, is_confirmed: false };
        self.shared.handed.lock().note(device, id, taken, vendor_id)
    }

    /// Our own road carries it from here, or nobody does.
    fn refused(
        &mut self,
        people: &OfApp,
        key: &ErrandKey,
        (lane, seq, mut row): Place,
        (code, reason): (String, Reason),
        expires_at: Timestamp,
        work: &mut Work,
    ) -> Result<(), Failed> {
        let message = match self.rows.get(&keys::message(expires_at, seq))? {
            Some(bytes) => Arc::new(decode::<MessageRow>(&bytes)?.message),
            None => return Ok(()),
        };
        let fallback = self.shared.roads(&message).map_or(Fallback::Own, |roads| roads.wish.fallback);
        let falls_back = fallback == Fallback::Own;
        let step = if falls_back { Step::Refused } else { Step::Rejected };
        work.told_by_vendor(people, key, Story::of_row(people.app, &row), step, Some(reason), Some(code));
        if falls_back {
            let mut desk = Desk { rows: &self.rows, people, work };
            self.pending.let_go(&mut desk, key.owner, lane, seq, &mut row, key.device);
            let story = Story::of_row(people.app, &row);
            work.routed(story, key.device, people, Channel::Own, Reason::Fallback);
            let device = Device { app: people.app, ordinal: key.device };
            work.again.push(Again { owner: key.owner, device, seq, message });
        } else {
            work.verdicts = true;
            let mut desk = Desk { rows: &self.rows, people, work };
            self.pending.rejected(&mut desk, key.owner, (lane, seq, row), key.device);
        }
        Ok(())
    }
}

impl Work {
    fn handed_over(&mut self, people: &OfApp, key: &ErrandKey, place: &Place, vendor_id: Option<String>) {
        let story = Story::of_row(people.app, &place.2);
        self.told_by_vendor(people, key, story, Step::HandedOver, None, vendor_id);
    }

    fn told_by_vendor(
        &mut self,
        people: &OfApp,
        key: &ErrandKey,
        story: Story,
        step: Step,
        reason: Option<Reason>,
        detail: Option<String>,
    ) {
        if story.is_quiet {
            return;
        }
        self.record(story, Whom::Device(key.device), people.group(key.device), step, reason);
        if let Some(record) = self.records.last_mut() {
            record.channel = Channel::Vendor(key.vendor);
            record.detail = detail.map(String::into_boxed_str);
        }
    }
}

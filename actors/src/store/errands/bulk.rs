//! Broadcasts and campaigns by vendors. Whom of an entry a vendor carries is a bitmap, `held`, as
//! everything of the log is; so a broadcast to a million phones costs no million errands.

use std::sync::Arc;

use carillon_sdk::api::Step;
use carillon_sdk::{Fallback, Ttl, Vendor};
use roaring::RoaringBitmap;

use super::{Given, Out, Seen};
use crate::channel::End;
use crate::model::{App, Device, Owner};
use crate::routing::{Road, Wait};
use crate::store::broadcasts::record_groups;
use crate::store::directory::OfApp;
use crate::store::history::{Channel, Reason, Whom};
use crate::store::keys;
use crate::store::log::{BulkClaim, LogEntry, Mark, chunks_of, encode as encode_chunk};
use crate::store::partition::Partition;
use crate::store::roads::Roads;
use crate::store::work::Work;

/// What a release comes to, by road.
#[derive(Default)]
struct Split {
    held: Vec<(Vendor, Reason, RoaringBitmap)>,
    waits: Vec<(Wait, RoaringBitmap)>,
}

impl Roads<'_> {
    fn split(&self, people: &OfApp, devices: &RoaringBitmap) -> Split {
        let mut split = Split::default();
        for vendor in Vendor::ALL.into_iter().filter(|&vendor| self.has(vendor)) {
            let carried = people.carried_by(vendor) & devices;
            if carried.is_empty() {
                continue;
            }
            // Where it does not matter who is connected, nobody is looked up.
            let (offline, online) = if self.road_of(vendor, true) == self.road_of(vendor, false) {
                (carried, RoaringBitmap::new())
            } else {
                let online: RoaringBitmap =
                    carried.iter().filter(|&ordinal| self.is_online(ordinal)).collect();
                (carried - &online, online)
            };
            for (devices, is_online) in [(offline, false), (online, true)] {
                match self.road_of(vendor, is_online) {
                    _ if devices.is_empty() => {}
                    Road::Vendor(vendor, reason) => split.held.push((vendor, reason, devices)),
                    Road::Later(_, wait, _) => split.waits.push((wait, devices)),
                    Road::Own(_) => {}
                }
            }
        }
        split
    }

    /// Who of them would wait for a vendor, were all connected: nobody knows who was.
    fn waits(&self, people: &OfApp, devices: &RoaringBitmap) -> Vec<(Wait, RoaringBitmap)> {
        let waits = Vendor::ALL.into_iter().filter(|&vendor| self.has(vendor)).filter_map(|vendor| {
            let Road::Later(_, wait, _) = self.road_of(vendor, true) else { return None };
            Some((wait, people.carried_by(vendor) & devices))
        });
        waits.filter(|(_, carried)| !carried.is_empty()).collect()
    }
}

impl Partition {
    /// Gives what a commit lets go its roads, in that commit.
    pub(in crate::store) fn route_release(
        &self,
        people: &OfApp,
        entry: &LogEntry,
        devices: &RoaringBitmap,
        work: &mut Work,
    ) {
        let Some(roads) = self.shared.roads(&entry.message) else { return };
        let split = roads.split(people, devices);
        for (wait, devices) in split.waits {
            entry.wait(work.now + wait.after, wait, devices);
        }
        for (vendor, reason, devices) in split.held {
            hold(entry, people, &devices, (vendor, reason), work);
        }
    }

    /// Who was to get it by our own road and had it long enough. After a start they wait anew.
    pub(in crate::store) fn route_waits(&mut self, people: &OfApp, entry: &LogEntry, work: &mut Work) {
        let lost = entry.take_lost_waits();
        let Some(roads) = self.shared.roads(&entry.message) else { return };
        if !lost.is_empty() {
            for (wait, devices) in roads.waits(people, &lost) {
                entry.wait(work.now + wait.after, wait, devices);
            }
        }
        for (wait, devices) in entry.take_waits(work.now) {
            let (online, due): (RoaringBitmap, RoaringBitmap) =
                devices.iter().partition(|&ordinal| wait.unless_online && roads.is_online(ordinal));
            if !online.is_empty() {
                entry.wait(work.now + wait.after.max(Ttl::from_secs(1)), wait, online);
            }
            for vendor in Vendor::ALL.into_iter().filter(|&vendor| roads.has(vendor)) {
                let carried = people.carried_by(vendor) & &due;
                if !carried.is_empty() {
                    hold(entry, people, &carried, (vendor, Reason::Waited), work);
                    work.withdrawn.push((entry.app, entry.due.seq, Some(carried)));
                }
            }
        }
    }

    /// Whom no vendor carries any more, our own road does.
    pub(in crate::store) fn free_stranded(&mut self, people: &OfApp, entry: &Arc<LogEntry>, work: &mut Work) {
        let mut stranded = entry.carriable();
        if stranded.is_empty() {
            return;
        }
        // Some vendor may be taking it for these just now: what it says comes first.
        if let Some(out) = self.outs.bulk.out(entry.due.seq) {
            stranded -= out;
        }
        if let Some(of) = self.shared.roads_of(people.app) {
            for vendor in Vendor::ALL.into_iter().filter(|&vendor| of.has(vendor)) {
                stranded -= people.carried_by(vendor);
            }
        }
        if !stranded.is_empty() {
            self.free(people, entry, &stranded, Reason::TokenGone, work);
        }
    }

    fn free(
        &mut self,
        people: &OfApp,
        entry: &Arc<LogEntry>,
        devices: &RoaringBitmap,
        reason: Reason,
        work: &mut Work,
    ) {
        entry.free(devices);
        record_groups(work, entry, &people.groups(), devices.clone(), Step::Routed, Some(reason));
        let seq = self.shared.draw();
        self.drawn = seq;
        let (entry, devices) = (Arc::clone(entry), devices.clone());
        work.freed.push(crate::store::work::Released { entry, devices, at: seq });
    }

    pub(super) fn claim_bulk(&mut self, app: App, vendor: Vendor, max: usize, work: &Work) -> Given {
        let mut given = Given::default();
        let Some(people) = self.people(app) else { return given };
        let log = self.shared.logs.of(app);
        let carried = people.carried_by(vendor);
        let (waited, next_due) = self.outs.bulk.due(app, vendor, work.now, max);
        given.next_due = next_due;
        let mut give = |outs: &mut super::Outs, entry: &Arc<LogEntry>, device: u32, attempts: u16| {
            let claim = BulkClaim { entry: Arc::clone(entry), vendor, device, attempts };
            let number = outs.bulk.take_out(claim);
            let (device, message) = (Device { app, ordinal: device }, Arc::clone(&entry.message));
            let owner = Owner::Device(device);
            let token = Seen::Elsewhere;
            given.errands.push(Out { number, device, owner, message, attempts, is_urgent: false, token });
        };
        let mut left = max;
        for (seq, device, attempts) in waited {
            let entry = log.iter().find(|entry| entry.due.seq == seq);
            if let Some(entry) = entry.filter(|entry| work.now < entry.due.expires_at)
                && carried.contains(device)
                && entry.is_carriable(device)
            {
                give(&mut self.outs, entry, device, attempts);
                left -= 1;
            }
        }
        for entry in log.iter().filter(|entry| work.now < entry.due.expires_at) {
            let ready = self.outs.bulk.idle(entry.due.seq, vendor, entry.carriable() & &carried);
            for device in ready.iter().take(left) {
                give(&mut self.outs, entry, device, 0);
                left -= 1;
            }
            if left == 0 {
                break;
            }
        }
        given
    }

    pub(super) fn conclude_bulk(&mut self, ends: Vec<(u64, End)>, work: &mut Work) {
        let mut touched: Vec<Arc<LogEntry>> = Vec::new();
        for (number, end) in ends {
            let Some(claim) = self.outs.bulk.put_back(number) else { continue };
            let Some(people) = self.people(claim.entry.app) else { continue };
            let is_new = !touched.iter().any(|entry| entry.due.seq == claim.entry.due.seq);
            match end {
                End::Unclaim => work.bells.push((claim.entry.app, claim.vendor)),
                End::Again { at } => self.outs.bulk.wait(&claim, at.max(work.now)),
                End::HandedOver { vendor_id } => {
                    if claim.entry.hand_over(claim.device) {
                        let story = claim.entry.story();
                        let device = Device { app: claim.entry.app, ordinal: claim.device };
                        let has_arrived = self.note_handed(device, claim.vendor, story, vendor_id.as_deref());
                        work.told_of_bulk(&people, &claim, Step::HandedOver, None, vendor_id);
                        if has_arrived {
                            self.confirmed(device, claim.vendor, story, work);
                        }
                    }
                }
                End::Dead { code, .. } => self.refused_bulk(&people, &claim, code, Reason::TokenDead, work),
                End::Refused { code } => {
                    self.refused_bulk(&people, &claim, code, Reason::VendorRefused, work);
                }
            }
            if is_new {
                touched.push(claim.entry);
            }
        }
        for entry in touched {
            let Some(people) = self.people(entry.app) else { continue };
            let fresh = entry.take_fresh();
            let chunks = fresh.chunks.iter().map(|(mark, chunk, value)| (*mark, *chunk, value.clone()));
            for (mark, chunk, value) in chunks.collect::<Vec<_>>() {
                work.batch.put(keys::chunk(entry.app, entry.due.seq, mark, chunk), value);
            }
            self.take_in(&entry, fresh, &people, &mut None, work);
            work.verdicts = true;
        }
    }

    fn refused_bulk(
        &mut self,
        people: &OfApp,
        claim: &BulkClaim,
        code: String,
        reason: Reason,
        work: &mut Work,
    ) {
        let entry = &claim.entry;
        if !entry.is_carriable(claim.device) {
            return;
        }
        let roads = self.shared.roads(&entry.message);
        if roads.is_none_or(|roads| roads.wish.fallback == Fallback::Own) {
            work.told_of_bulk(people, claim, Step::Refused, Some(reason), Some(code));
            self.free(people, entry, &RoaringBitmap::from_iter([claim.device]), Reason::Fallback, work);
        } else if entry.reject(claim.device) {
            work.told_of_bulk(people, claim, Step::Rejected, Some(reason), Some(code));
        }
    }
}

/// From now on only the vendor carries it to these.
fn hold(
    entry: &LogEntry,
    people: &OfApp,
    devices: &RoaringBitmap,
    (vendor, reason): (Vendor, Reason),
    work: &mut Work,
) {
    let all = entry.hold(devices);
    for chunk in chunks_of(devices) {
        let key = keys::chunk(entry.app, entry.due.seq, Mark::Held, chunk);
        work.batch.put(key, encode_chunk(&all, chunk));
    }
    let first = work.records.len();
    record_groups(work, entry, &people.groups(), devices.clone(), Step::Routed, Some(reason));
    work.records[first..].iter_mut().for_each(|record| record.channel = Channel::Vendor(vendor));
    work.bells.push((entry.app, vendor));
}

impl Work {
    fn told_of_bulk(
        &mut self,
        people: &OfApp,
        claim: &BulkClaim,
        step: Step,
        reason: Option<Reason>,
        detail: Option<String>,
    ) {
        // As a group of one, by which a start knows verdicts that the chunks do not have yet.
        let whom = Whom::Group([claim.device].into());
        self.record(claim.entry.story(), whom, people.group(claim.device), step, reason);
        if let Some(record) = self.records.last_mut() {
            record.channel = Channel::Vendor(claim.vendor);
            record.detail = detail.map(String::into_boxed_str);
        }
    }
}

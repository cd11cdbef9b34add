//! A partition's share of the logs of broadcasts: those of the apps that hash here.

use std::sync::Arc;

use carillon_sdk::api::Step;
use roaring::RoaringBitmap;

use super::Error;
use super::directory::{Group, OfApp};
use super::disk::Failed;
use super::history::{MessageHead, Reason, Whom};
use super::keys;
use super::log::LogEntry as Entry;
use super::partition::Partition;
use super::pending::{Owed, is_repeatable};
use super::rows::{BroadcastRow, Owners, RepeatRow, encode};
use super::work::{Reply, Story, Work};
use crate::audience::Audience;
use crate::encoded::Encoded;
use crate::model::{App, Device, Message};

impl Partition {
    pub(super) fn broadcast(
        &mut self,
        message: &Arc<Message>,
        _audience: &Audience,
        reply: Reply<u32>,
        work: &mut Work,
    ) -> Result<(), Failed> {
        let app = message.app;
        let Some(people) = self.people(app) else {
            work.answer(reply, 0);
            return Ok(());
        };
        if is_repeatable(message.id) {
            let repeat = self.pending.repeat(&self.rows, message.id)?;
            if !repeat.places.is_empty() {
                work.answer(reply, repeat.devices);
                return Ok(());
            }
        }
        if self.shared.logs.of(app).len() >= self.shared.limits.broadcasts_max {
            // Whoever asked may have gone.
            let _ = reply.send(Err(Error::Exists));
            return Ok(());
        }
        let seq = self.shared.draw();
        self.drawn = seq;
        let groups = people.groups();
        let devices = people.device_count();
        let row = BroadcastRow { message: message.as_ref(), devices };
        work.batch.put(keys::broadcast(app, seq), encode(&row));
        if is_repeatable(message.id) {
            let row = RepeatRow { places: vec![(seq, Owners::default())], devices, ..RepeatRow::default() };
            self.pending.remember_repeat(work, message, row);
        }
        for (group, members) in groups {
            let head = MessageHead { lane: message.lane, expires_at: message.expires_at };
            work.record(story(message), Whom::Group(members), Some(group), Step::Accepted, None);
            if let Some(record) = work.records.last_mut() {
                record.message = Some(head);
            }
        }
        let due = Arc::new(Encoded::new(message, None, seq, None));
        let entry = Arc::new(Entry::new(app, due));
        // In the log before the commit, so that a device connecting now walks it; the session may
        // write it to its socket while the commit is under way.
        self.shared.logs.push(Arc::clone(&entry));
        work.broadcasts.push(entry);
        work.answer(reply, devices);
        Ok(())
    }

    /// Records what devices said of the broadcasts here since the last time, a record a group, and
    /// owes the chunks that changed.
    pub(super) fn flush_logs(&mut self, work: &mut Work) {
        for app in self.apps_here() {
            let log = self.shared.logs.of(app);
            if log.is_empty() {
                continue;
            }
            let Some(people) = self.people(app) else { continue };
            let mut groups = None;
            for entry in log.iter() {
                let fresh = entry.take_fresh();
                for (step, devices) in [(Step::Sent, fresh.sent), (Step::Delivered, fresh.acked)] {
                    if !devices.is_empty() {
                        let groups = groups.get_or_insert_with(|| people.groups());
                        record_groups(work, entry, groups, devices, step, None);
                    }
                }
                for (chunk, bytes) in fresh.chunks {
                    self.pending.owe(Owed::Put { key: keys::chunk(app, entry.due.seq, chunk), value: bytes });
                }
            }
        }
    }

    /// Verdicts the broadcasts here that expired, and takes them out of their logs.
    pub(super) fn expire_logs(&mut self, work: &mut Work) {
        for app in self.apps_here() {
            let Some(people) = self.people(app) else { continue };
            for entry in self.shared.logs.of(app).iter() {
                if work.now < entry.due.expires_at {
                    continue;
                }
                let last = entry.close(people.last_ordinal());
                // Devices may hold it unacked: they get the time of any push in flight.
                if work.now >= entry.due.expires_at + self.pending.limits.grace {
                    self.expire_entry(&people, entry, last, work);
                }
            }
        }
    }

    fn expire_entry(&mut self, people: &OfApp, entry: &Entry, last: u32, work: &mut Work) {
        let app = entry.app;
        let groups = people.groups();
        let mut unacked = groups.iter().fold(RoaringBitmap::new(), |all, (_, members)| all | members);
        unacked -= entry.settled();
        if let Some(later) = last.checked_add(1) {
            unacked.remove_range(later..);
        }
        record_groups(work, entry, &groups, unacked, Step::Expired, None);
        self.shared.logs.remove(app, entry.due.seq);
        self.pending.owe(Owed::Delete { key: keys::broadcast(app, entry.due.seq) });
        let chunks = (people.last_ordinal() >> 16) as u16;
        for chunk in 0..=chunks {
            self.pending.owe(Owed::Delete { key: keys::chunk(app, entry.due.seq, chunk) });
        }
    }

    /// A deleted device is rejected in each broadcast it had not acked.
    pub(super) fn unlog(&self, device: Device, group: &Group, work: &mut Work) {
        for entry in self.shared.logs.of(device.app).iter() {
            if entry.settle(device.ordinal) {
                let whom = Whom::Device(device.ordinal);
                work.record(
                    entry.story(),
                    whom,
                    Some(group.clone()),
                    Step::Rejected,
                    Some(Reason::DeviceDeleted),
                );
            }
        }
    }

    pub(super) fn apps_here(&self) -> Vec<App> {
        let apps = self.shared.tenants.all();
        let here = apps.iter().map(|people| people.app);
        here.filter(|&app| self.shared.partition_of_app(app) == self.no).collect()
    }
}

fn record_groups(
    work: &mut Work,
    entry: &Entry,
    groups: &[(Group, RoaringBitmap)],
    devices: RoaringBitmap,
    step: Step,
    reason: Option<Reason>,
) {
    let mut rest = devices;
    for (group, members) in groups {
        let of_group = members & &rest;
        if !of_group.is_empty() {
            rest -= &of_group;
            work.record(entry.story(), Whom::Group(of_group), Some(group.clone()), step, reason);
        }
    }
    // Deleted since.
    if !rest.is_empty() {
        work.record(entry.story(), Whom::Group(rest), None, step, reason);
    }
}

fn story(message: &Message) -> Story {
    Story { app: message.app, id: message.id, push_type: message.push_type, task: message.task }
}

impl Entry {
    pub(super) fn story(&self) -> Story {
        Story { app: self.app, id: self.due.id, push_type: self.due.push_type, task: self.due.task }
    }
}

//! A partition's share of the logs of broadcasts and campaigns: those of the apps that hash here.
//!
//! Whatever is let go in a commit, whether at acceptance, as a campaign's share or to a device that
//! came later, is collected in the work and finished once: a record a group, a row a chunk.

use std::sync::Arc;

use carillon_sdk::api::Step;
use roaring::RoaringBitmap;

use super::directory::{Group, OfApp};
use super::disk::Failed;
use super::history::{MessageHead, Reason, Whom};
use super::keys;
use super::log::{Fresh, LogEntry as Entry, Mark, Reach, Rule, chunks_of, encode as encode_chunk};
use super::partition::Partition;
use super::pending::{Owed, is_repeatable};
use super::rows::{BroadcastRow, Owners, RepeatRow, encode};
use super::work::{Later, Released, Reply, Story, Work};
use super::{EntryView, Error, Targets};
use crate::audience::Audience;
use crate::encoded::Encoded;
use crate::model::{App, Device, Message, Seq, Task};

impl Partition {
    /// Lets a message go to its whole audience. Whoever comes to belong to it later is let go then.
    pub(super) fn broadcast(
        &mut self,
        message: &Arc<Message>,
        audience: &Audience,
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
        if self.is_log_full(app) {
            // Whoever asked may have gone.
            let _ = reply.send(Err(Error::Exists));
            return Ok(());
        }
        let judged = people.judge(audience);
        let devices = judged.fitting.len() as u32;
        let rule = Rule { audience: audience.clone(), known: judged.known, vacant: judged.vacant };
        let entry = self.open_entry(
            message,
            devices,
            |message, due| Entry::new(message, due, Reach::Rule(rule)),
            work,
        );
        if is_repeatable(message.id) {
            let places = vec![(entry.due.seq, Owners::default())];
            let row = RepeatRow { places, devices, ..RepeatRow::default() };
            self.pending.remember_repeat(work, message, row);
        }
        work.let_go(&entry, judged.fitting);
        work.answer(reply, devices);
        Ok(())
    }

    /// Opens an entry of which nothing is let go yet. A task has one: asked for again it is found.
    pub(super) fn plan(
        &mut self,
        message: &Arc<Message>,
        targets: Targets,
        reply: Reply<EntryView>,
        work: &mut Work,
    ) {
        let app = message.app;
        let planned = message.task.and_then(|task| self.shared.logs.find_task(app, task));
        if let Some(entry) = planned {
            return work.answer(reply, entry.view());
        }
        let revoked = message.task.is_some_and(|task| self.shared.revoked.has(app, task));
        let people = self.people(app).filter(|_| !revoked && !self.is_log_full(app));
        let Some(people) = people else {
            // Whoever asked may have gone.
            let _ = reply.send(Err(Error::Exists));
            return;
        };
        let targets = match targets {
            Targets::Rule(audience) => people.judge(&audience).fitting,
            Targets::Devices(devices) => devices,
        };
        let (count, chunks) = (targets.len() as u32, chunks_of(&targets));
        let frozen = targets.clone();
        let entry = self.open_entry(message, count, |message, due| Entry::paced(message, due, frozen), work);
        for chunk in chunks {
            let key = keys::chunk(app, entry.due.seq, Mark::Targets, chunk);
            work.batch.put(key, encode_chunk(&targets, chunk));
        }
        work.answer(reply, entry.view());
    }

    /// Lets a campaign go to these of its targets. None when the task has no entry that lives.
    pub(super) fn release(
        &self,
        app: App,
        task: Task,
        devices: RoaringBitmap,
        reply: Reply<Option<u64>>,
        work: &mut Work,
    ) {
        let entry = self.shared.logs.find_task(app, task);
        let entry = entry.filter(|entry| entry.reach == Reach::Paced && work.now < entry.due.expires_at);
        let released = entry.filter(|entry| !entry.is_over()).map(|entry| work.let_go(&entry, devices));
        work.answer(reply, released);
    }

    /// Lets go what devices asked for that came to belong to an audience since its acceptance.
    pub(super) fn join(&self, app: App, work: &mut Work) {
        let log = self.shared.logs.of(app);
        let Some(people) = self.people(app) else { return };
        for entry in log.iter() {
            let mut late = entry.take_wanted();
            if !late.is_empty() && work.now < entry.due.expires_at {
                late &= people.registered();
                work.let_go(entry, late);
            }
        }
    }

    pub(super) fn join_all(&self, work: &mut Work) {
        for app in self.apps_here() {
            self.join(app, work);
        }
    }

    fn is_log_full(&self, app: App) -> bool {
        let log = self.shared.logs.of(app);
        let live = log.iter().filter(|entry| entry.due.revokes.is_none() && !entry.is_revoked());
        live.count() >= self.shared.limits.broadcasts_max
    }

    /// In the log before the commit, so that a device connecting now finds it; due to nobody until
    /// the commit is made.
    pub(super) fn open_entry(
        &mut self,
        message: &Arc<Message>,
        devices: u32,
        entry: impl FnOnce(Arc<Message>, crate::model::Due) -> Entry,
        work: &mut Work,
    ) -> Arc<Entry> {
        let seq = self.shared.draw();
        self.drawn = seq;
        let due = Arc::new(Encoded::new(message, None, seq, None));
        let entry = Arc::new(entry(Arc::clone(message), due));
        let row =
            BroadcastRow { message: message.as_ref(), devices, reach: entry.reach.clone(), revoked: false };
        work.batch.put(keys::broadcast(message.app, seq), encode(&row));
        self.shared.logs.push(Arc::clone(&entry));
        entry
    }

    /// Records and writes what the commit in hand lets go.
    pub(super) fn finish_releases(&mut self, work: &mut Work) {
        for released in std::mem::take(&mut work.released) {
            let Released { entry, devices, .. } = released;
            let Some(people) = self.people(entry.app) else { continue };
            let seq = self.shared.draw();
            self.drawn = seq;
            let first = work.records.len();
            record_groups(work, &entry, &people.groups(), devices.clone(), Step::Accepted, None);
            let head = MessageHead::of(&entry.due);
            work.records[first..].iter_mut().for_each(|record| record.message = Some(head));
            let all = entry.released() | &devices;
            for chunk in chunks_of(&devices) {
                let key = keys::chunk(entry.app, entry.due.seq, Mark::Released, chunk);
                work.batch.put(key, encode_chunk(&all, chunk));
            }
            self.route_release(&people, &entry, &devices, work);
            let gone = &devices - people.registered();
            if !gone.is_empty() {
                work.later.push(Later::Reject { entry: Arc::clone(&entry), devices: gone });
            }
            work.due.push(Released { entry, devices, at: seq });
        }
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
                self.route_waits(&people, entry, work);
                self.free_stranded(&people, entry, work);
                self.take_in(entry, entry.take_fresh(), &people, &mut groups, work);
            }
        }
    }

    pub(super) fn take_in(
        &mut self,
        entry: &Entry,
        fresh: Fresh,
        people: &OfApp,
        groups: &mut Option<Vec<(Group, RoaringBitmap)>>,
        work: &mut Work,
    ) {
        for (step, devices) in [(Step::Sent, fresh.sent), (Step::Delivered, fresh.acked)] {
            if !devices.is_empty() {
                let groups = groups.get_or_insert_with(|| people.groups());
                record_groups(work, entry, groups, devices, step, None);
            }
        }
        for (mark, chunk, value) in fresh.chunks {
            let key = keys::chunk(entry.app, entry.due.seq, mark, chunk);
            self.pending.owe(Owed::Put { key, value });
        }
    }

    /// Verdicts the broadcasts here that expired, and takes them out of their logs.
    pub(super) fn expire_logs(&mut self, work: &mut Work) {
        for app in self.apps_here() {
            let Some(people) = self.people(app) else { continue };
            for entry in self.shared.logs.of(app).iter() {
                // Devices may hold it unacked: they get the time of any push in flight.
                if work.now >= entry.due.expires_at + self.pending.limits.grace {
                    self.end_entry(&people, entry, Step::Expired, work);
                    self.drop_entry(entry);
                }
            }
        }
    }

    /// Gives its verdict to whoever has none.
    fn end_entry(&mut self, people: &OfApp, entry: &Entry, verdict: Step, work: &mut Work) {
        let ended = entry.end();
        let mut groups = None;
        self.take_in(entry, ended.fresh, people, &mut groups, work);
        let groups = groups.unwrap_or_else(|| people.groups());
        record_groups(work, entry, &groups, ended.unsettled, verdict, None);
    }

    pub(super) fn drop_entry(&mut self, entry: &Entry) {
        let (app, seq) = (entry.app, entry.due.seq);
        self.shared.logs.remove(app, seq);
        self.pending.owe(Owed::Delete { key: keys::broadcast(app, seq) });
        for mark in Mark::ALL {
            for chunk in 0..=(entry.last_ordinal() >> 16) as u16 {
                self.pending.owe(Owed::Delete { key: keys::chunk(app, seq, mark, chunk) });
            }
        }
    }

    /// A deleted device is rejected in each broadcast it had not acked.
    pub(super) fn unlog(&self, device: Device, group: &Group, work: &mut Work) {
        for entry in self.shared.logs.of(device.app).iter() {
            reject(entry, device.ordinal, Some(group), work);
        }
    }

    pub(super) fn apps_here(&self) -> Vec<App> {
        let apps = self.shared.tenants.all();
        let here = apps.iter().map(|people| people.app);
        here.filter(|&app| self.shared.partition_of_app(app) == self.no).collect()
    }
}

pub(super) fn reject(entry: &Entry, ordinal: u32, group: Option<&Group>, work: &mut Work) {
    if entry.reject(ordinal) {
        // As a group, by which a start knows verdicts that the chunks do not have yet.
        let (whom, reason) = (Whom::Group([ordinal].into()), Some(Reason::DeviceDeleted));
        work.record(entry.story(), whom, group.cloned(), Step::Rejected, reason);
    }
}

impl Work {
    /// Takes in what is to be let go with this commit; how many of these were not yet.
    pub(super) fn let_go(&mut self, entry: &Arc<Entry>, devices: RoaringBitmap) -> u64 {
        let mut devices = entry.releasable(devices);
        let seq = entry.due.seq;
        let with = self.released.iter_mut().find(|released| released.entry.due.seq == seq);
        let count;
        match with {
            Some(released) => {
                devices -= &released.devices;
                count = devices.len();
                released.devices |= devices;
            }
            None => {
                count = devices.len();
                // An entry let go to nobody is told of too: there may be nobody yet.
                let (entry, at) = (Arc::clone(entry), Seq(0));
                self.released.push(Released { entry, devices, at });
            }
        }
        count
    }
}

pub(super) fn record_groups(
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

impl Entry {
    pub(super) fn story(&self) -> Story {
        Story::of_due(self.app, &self.due)
    }
}

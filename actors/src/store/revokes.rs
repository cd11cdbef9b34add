//! A partition's share of a revoke: places are withdrawn, entries end, and devices that may show
//! what was withdrawn are told.

use std::ops::ControlFlow;
use std::sync::Arc;

use ahash::AHashMap;
use carillon_sdk::api::Step;
use carillon_sdk::{MessageId, Timestamp};
use parking_lot::Mutex;
use roaring::RoaringBitmap;

use super::broadcasts::record_groups;
use super::disk::Failed;
use super::history::Whom;
use super::keys::{self, Key};
use super::log::{LogEntry, Reach};
use super::objects::Audit;
use super::partition::Partition;
use super::pending::Desk;
use super::rows::{BroadcastRow, MessageRow, PendingRow, RevokedRow, decode, encode};
use super::work::{Reply, Withdrawal, Work};
use crate::model::{App, Device, Message, Owner, Seq, Task};

/// Messages looked at in one step of a task's walk.
const WALK_MAX: usize = 1_000;

/// What a revoke came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revoked {
    /// Devices (or users without one) to whom it was due and no longer is.
    pub withdrawn: u64,
    /// Devices that may show it and are told to withdraw it.
    pub told: u64,
    /// False when a task had more deliveries than are looked up: the rest is not told.
    pub complete: bool,
}

impl Revoked {
    pub(super) const NOTHING: Self = Self { withdrawn: 0, told: 0, complete: true };
}

/// What became of asking for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevokeOutcome {
    /// There is no such message or task, or it is forgotten.
    Unknown,
    /// It was accepted longer ago than a revoke reaches.
    TooOld,
    Done(Revoked),
}

/// Tasks that were revoked, until nothing of them can be left.
#[derive(Default)]
pub(super) struct RevokedTasks(Mutex<AHashMap<(App, Task), Revoking>>);

#[derive(Debug, Clone, Copy)]
struct Revoking {
    row: RevokedRow,
    /// Somebody is walking the queues for it.
    walked: bool,
}

impl RevokedTasks {
    #[must_use]
    pub(super) fn has(&self, app: App, task: Task) -> bool {
        self.0.lock().contains_key(&(app, task))
    }

    /// `walked`: whoever revoked it walks.
    pub(super) fn insert(&self, app: App, task: Task, row: RevokedRow, walked: bool) {
        self.0.lock().insert((app, task), Revoking { row, walked });
    }

    /// Begins the walk of a task that is not done; false when it is, or somebody walks already.
    pub(super) fn begin(&self, app: App, task: Task) -> bool {
        let mut tasks = self.0.lock();
        let Some(revoking) = tasks.get_mut(&(app, task)) else { return false };
        !revoking.row.done && !std::mem::replace(&mut revoking.walked, true)
    }

    pub(super) fn end(&self, app: App, task: Task) {
        if let Some(revoking) = self.0.lock().get_mut(&(app, task)) {
            revoking.walked = false;
        }
    }

    /// One that nobody walks and that is not done.
    #[must_use]
    pub(super) fn left(&self) -> Option<(App, Task)> {
        let tasks = self.0.lock();
        tasks.iter().find(|(_, revoking)| !revoking.row.done && !revoking.walked).map(|(task, _)| *task)
    }

    /// Takes out those of an app that were revoked before.
    fn take_before(&self, app: App, at: Timestamp) -> Vec<Task> {
        let mut tasks = self.0.lock();
        let gone: Vec<Task> = (tasks.iter())
            .filter(|((of, _), revoking)| *of == app && revoking.row.at < at)
            .map(|((_, task), _)| *task)
            .collect();
        for task in &gone {
            tasks.remove(&(app, *task));
        }
        gone
    }
}

impl Partition {
    /// Everyone an entry was let go to and who has not settled it gets the verdict, and who may show
    /// it the notice, all in this commit.
    pub(super) fn revoke_entry(
        &mut self,
        id: MessageId,
        notice: &Arc<Message>,
        reply: Reply<Option<Revoked>>,
        work: &mut Work,
    ) -> Result<(), Failed> {
        let app = notice.app;
        let entry = self.shared.logs.find(app, id).filter(|entry| !entry.is_revoked());
        let (Some(entry), Some(people)) = (entry, self.people(app)) else {
            work.answer(reply, None);
            return Ok(());
        };
        let key = keys::broadcast(app, entry.due.seq);
        // Not there yet: it is accepted in this very commit, and nobody knows its id.
        let Some(row) = self.rows.get(&key)? else {
            work.answer(reply, None);
            return Ok(());
        };
        let row: BroadcastRow = decode(&row)?;
        let (ended, mut told) = entry.revoke();
        // A vendor may be showing it to these in this moment.
        told |= self.outs.bulk.out(entry.due.seq).cloned().unwrap_or_default();
        let mut unsettled = ended.unsettled;
        let in_hand = work.released.iter().find(|released| released.entry.due.seq == entry.due.seq);
        unsettled |= in_hand.map(|released| released.devices.clone()).unwrap_or_default();
        let mut groups = None;
        self.take_in(&entry, ended.fresh, &people, &mut groups, work);
        let withdrawn = unsettled.len();
        let groups = groups.unwrap_or_else(|| people.groups());
        record_groups(work, &entry, &groups, unsettled, Step::Revoked, None);
        work.verdicts = true;
        work.batch.put(key, encode(&BroadcastRow { revoked: true, ..row }));
        work.withdrawn.push((app, entry.due.seq, None));
        self.keep_few(app, LogEntry::is_revoked);
        let told = if entry.due.silent { 0 } else { self.tell(notice, told, work) };
        work.answer(reply, Some(Revoked { withdrawn, told, complete: true }));
        Ok(())
    }

    /// Opens an entry that withdraws a message from these devices, or lets it go to more. Answers
    /// how many were not told before.
    pub(super) fn tell(&mut self, notice: &Arc<Message>, devices: RoaringBitmap, work: &mut Work) -> u64 {
        let app = notice.app;
        let Some(people) = self.people(app) else { return 0 };
        let devices = devices & people.registered();
        let entry = match self.shared.logs.find(app, notice.id) {
            Some(entry) => entry,
            None if devices.is_empty() => return 0,
            None => {
                self.keep_few(app, |entry| entry.due.revokes.is_some());
                let count = devices.len() as u32;
                self.open_entry(notice, count, |notice, due| LogEntry::new(notice, due, Reach::Told), work)
            }
        };
        work.let_go(&entry, devices)
    }

    /// Makes room for one more of the entries that are kept beside the live ones: as many of a kind
    /// as an app may have broadcasts, and the oldest goes.
    fn keep_few(&mut self, app: App, is_kind: impl Fn(&LogEntry) -> bool) {
        let log = self.shared.logs.of(app);
        let kept: Vec<_> = log.iter().filter(|entry| is_kind(entry)).collect();
        if kept.len() > self.shared.limits.broadcasts_max
            && let Some(oldest) = kept.first()
        {
            self.drop_entry(oldest);
        }
    }

    /// An entry is withdrawn from one device.
    pub(super) fn withdraw_from(&self, device: Device, id: MessageId, work: &mut Work) -> u64 {
        let Some(entry) = self.shared.logs.find(device.app, id) else { return 0 };
        if !entry.reject(device.ordinal) {
            return 0;
        }
        let group = self.people(device.app).and_then(|people| people.group(device.ordinal));
        let whom = Whom::Group([device.ordinal].into());
        work.record(entry.story(), whom, group, Step::Revoked, None);
        work.withdrawn.push((device.app, entry.due.seq, Some([device.ordinal].into())));
        1
    }

    /// Withdraws a message from the queues here. Where it is found by when it expires: nothing else
    /// leads from an id to its places.
    pub(super) fn withdraw(
        &mut self,
        app: App,
        id: MessageId,
        expires_at: Timestamp,
        only: Option<Owner>,
        work: &mut Work,
    ) -> Result<Withdrawal, Failed> {
        let from = keys::message(expires_at, Seq(0));
        let to = keys::message(Timestamp::from_millis(expires_at.as_millis() + 1), Seq(0));
        let is_it = |row: &MessageRow| row.message.app == app && row.message.id == id;
        let (found, _) = self.messages_that(&from, &to, usize::MAX, is_it)?;
        let mut all = Withdrawal {
            id,
            push_type: crate::model::PushType::Single,
            withdrawn: 0,
            may_show: RoaringBitmap::new(),
        };
        for (seq, row) in found {
            let withdrawal = self.withdraw_places(app, seq, &row, only, work)?;
            all.push_type = withdrawal.push_type;
            all.withdrawn += withdrawal.withdrawn;
            all.may_show |= withdrawal.may_show;
        }
        Ok(all)
    }

    /// A stretch of a task's walk over the messages that wait here; the key from which to go on.
    pub(super) fn withdraw_task(
        &mut self,
        app: App,
        task: Task,
        from: Option<Key>,
        work: &mut Work,
    ) -> Result<(Vec<Withdrawal>, Option<Key>), Failed> {
        let (first, to) = keys::of_kind(keys::MESSAGE);
        let from = from.unwrap_or(first);
        let is_of_task = |row: &MessageRow| row.message.app == app && row.message.task == Some(task);
        let (found, next) = self.messages_that(&from, &to, WALK_MAX, is_of_task)?;
        let mut withdrawals = Vec::with_capacity(found.len());
        for (seq, row) in found {
            withdrawals.push(self.withdraw_places(app, seq, &row, None, work)?);
        }
        Ok((withdrawals, next))
    }

    fn messages_that(
        &self,
        from: &[u8],
        to: &[u8],
        looked_at_max: usize,
        wanted: impl Fn(&MessageRow) -> bool,
    ) -> Result<(Found, Option<Key>), Failed> {
        let (mut found, mut looked_at, mut next, mut failed) = (Vec::new(), 0, None, None);
        self.rows.range(from, to, &mut |key, value| {
            if looked_at == looked_at_max {
                next = Some(Key::from_slice(key));
                return ControlFlow::Break(());
            }
            looked_at += 1;
            match (keys::parse_message(key), decode::<MessageRow>(value)) {
                (Some((_, seq)), Ok(row)) if wanted(&row) => found.push((seq, row)),
                (_, Err(error)) => {
                    failed = Some(error);
                    return ControlFlow::Break(());
                }
                _ => {}
            }
            ControlFlow::Continue(())
        })?;
        failed.map_or(Ok((found, next)), Err)
    }

    fn withdraw_places(
        &mut self,
        app: App,
        seq: Seq,
        row: &MessageRow,
        only: Option<Owner>,
        work: &mut Work,
    ) -> Result<Withdrawal, Failed> {
        let message = &row.message;
        let (id, push_type) = (message.id, message.push_type);
        let mut withdrawal = Withdrawal { id, push_type, withdrawn: 0, may_show: RoaringBitmap::new() };
        let Some(people) = self.people(app) else { return Ok(withdrawal) };
        let mut desk = Desk { rows: &self.rows, people: &people, work };
        let places = self.pending.withdraw(&mut desk, seq, row, only)?;
        let mut open = RoaringBitmap::new();
        for (owner, place) in places {
            let devices = match owner {
                Owner::Device(device) => smallvec::smallvec![device.ordinal],
                Owner::User(user) => people.user_devices(user.ordinal),
            };
            // A session, or a vendor, may be showing it in this moment.
            let here = |&ordinal: &u32| {
                self.shared.sessions.get(Device { app, ordinal }).is_some()
                    || self.outs.has_place(owner, seq, ordinal)
            };
            open.extend(devices.into_iter().filter(here));
            withdrawal.withdrawn += count(owner, &place);
            // Before this process began it may have been sent, and not said so.
            if place.accepted_at < self.shared.started_at {
                match owner {
                    Owner::Device(device) => drop(withdrawal.may_show.insert(device.ordinal)),
                    Owner::User(_) => withdrawal.may_show.extend(place.listed.iter().copied()),
                }
            }
            withdrawal.may_show.extend(place.acked.iter().copied());
        }
        if !open.is_empty() {
            work.withdrawn.push((app, seq, Some(open.clone())));
            withdrawal.may_show |= open;
        }
        if message.silent {
            withdrawal.may_show.clear();
        }
        Ok(withdrawal)
    }

    pub(super) fn revoke_task(
        &mut self,
        app: App,
        task: Task,
        audit: Option<Audit>,
        reply: Reply<bool>,
        work: &mut Work,
    ) {
        let is_new = !self.shared.revoked.has(app, task);
        if is_new {
            let row = RevokedRow { at: work.now, done: false };
            self.shared.revoked.insert(app, task, row, true);
            work.batch.put(keys::revoked(app, task), encode(&row));
        }
        if let Some(audit) = audit {
            let seq = self.shared.draw();
            self.drawn = seq;
            work.batch.put(keys::audit(app, seq), super::objects::audit_row(work.now, audit));
        }
        work.answer(reply, is_new);
    }

    pub(super) fn task_revoked(&self, app: App, task: Task, reply: Reply<()>, work: &mut Work) {
        let row = RevokedRow { at: work.now, done: true };
        self.shared.revoked.insert(app, task, row, false);
        work.batch.put(keys::revoked(app, task), encode(&row));
        work.answer(reply, ());
    }

    /// Forgets the tasks of which nothing can be left.
    pub(super) fn drop_revoked(&self, now: Timestamp, work: &mut Work) {
        let before = now - self.shared.limits.revoke_keep.max(self.shared.limits.ttl_max);
        for app in self.apps_here() {
            for task in self.shared.revoked.take_before(app, before) {
                work.batch.delete(keys::revoked(app, task));
            }
        }
    }
}

/// Messages that wait, and where.
type Found = Vec<(Seq, MessageRow)>;

/// Verdicts that withdrawing a place gives.
fn count(owner: Owner, place: &PendingRow) -> u64 {
    match owner {
        Owner::User(_) if !place.listed.is_empty() => {
            place.listed.iter().filter(|device| !place.acked.contains(device)).count() as u64
        }
        _ => 1,
    }
}

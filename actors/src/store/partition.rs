//! A partition's writer: one thread, one database, one history.
//!
//! ```text
//! 1  append the batch's history records to this partition's day file
//! 2  commit: apply · flush · fdatasync                     ← the promise of a 202 rests here
//! 3  answer everybody, hint the shards, then read pages and take in acks
//! 4  write and fdatasync the verdicts; tidy memory
//! ```
//!
//! Invariants: a removal is written in the commit after the one whose step 4 made its verdict
//! durable. After a failed step nothing is written any more, here or in any partition. A panic
//! here ends the process.

use std::sync::Arc;
use std::time::Duration;

use ahash::AHashMap;
use carillon_sdk::Timestamp;
use carillon_sdk::api::Step;

use super::decided::Decided;
use super::directory::OfApp;
use super::disk::{Failed, Rows};
use super::errands::{Because, Outs};
use super::history::{History, Record};
use super::intake::Intake;
use super::keys;
use super::pending::{Desk, Pending};
use super::shared::Shared;
use super::stats::Window;
use super::work::{Again, Arrived, Later, Op, Released, Reply, Work, Write};
use super::{DueHint, Enqueued, Error};
use crate::encoded::Encoded;
use crate::model::{App, Device, Due, Message, Owner, Seq, ShardNo};

/// Places are promised to the disk in blocks of this many: a restart goes on above the block, so
/// that a place already removed is never given out again.
const SEQ_BLOCK: u64 = 1 << 20;

pub(super) struct Partition {
    pub(super) no: usize,
    pub(super) shared: Arc<Shared>,
    pub(super) rows: Rows,
    pub(super) history: History,
    pub(super) window: Window,
    pub(super) decided: Decided,
    pub(super) pending: Pending,
    /// Places up to this one are promised.
    pub(super) promised: Seq,
    /// The last place drawn here.
    pub(super) drawn: Seq,
    /// The last commit that had history to go with it.
    pub(super) commits: u64,
    /// Records never go back in time, so that a minute closes once.
    pub(super) latest: Timestamp,
    /// Whether the disk had room when it was last asked.
    pub(super) room: bool,
    pub(super) sweeping: super::sweep::Progress,
    pub(super) reported: super::reading::Reported,
    /// What vendors' channels have in hand.
    pub(super) outs: Outs,
}

/// Tells of a thread's death by panic.
struct Obituary(Arc<dyn Fn() + Send + Sync>);

impl Drop for Obituary {
    fn drop(&mut self) {
        if std::thread::panicking() {
            (self.0)();
        }
    }
}

/// However the thread ends, nobody waits for it any more.
struct Ends<'a>(&'a Intake<Op>);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

impl Partition {
    /// The thread: until the intake is closed and empty, and nothing is owed.
    pub(super) fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let _obituary = Obituary(Arc::clone(&shared.on_death));
        let intake = &shared.ports[self.no].intake;
        let _ends = Ends(intake);
        loop {
            let taken = intake.take(self.pending.is_owing());
            if taken.over && !self.pending.is_owing() {
                break;
            }
            if taken.over && shared.abandoned() {
                return;
            }
            self.step(taken.ops);
        }
        if let Err(error) = self.history.sync() {
            tracing::error!(partition = self.no, %error, "history could not be synced while closing");
        }
    }

    fn step(&mut self, ops: Vec<Op>) {
        let began = self.shared.clock.elapsed();
        self.latest = self.latest.max(self.shared.clock.now());
        let mut work = Work::new(self.latest);
        let mut writes = Vec::with_capacity(ops.len());
        for op in ops {
            match op {
                Op::Write(write) => writes.push(write),
                Op::Later(later) => work.later.push(later),
                Op::Panic => panic!("partition {} was told to panic", self.no),
            }
        }
        if self.shared.failure.is_some() {
            writes.into_iter().for_each(|write| write.refuse(Error::Unavailable));
        } else {
            let committed = self.decide(writes, &mut work).and_then(|()| self.commit(&mut work));
            self.conclude(&mut work, &committed);
        }
        let later = std::mem::take(&mut work.later);
        if let Err(failed) = self.follow(later, &mut work) {
            self.shared.fail(self.no, "read", &failed);
        }
        self.rows.settle();
        let took = self.shared.clock.elapsed().saturating_sub(began);
        metrics::histogram!("carillon_store_operation_duration_seconds", "op" => "step").record(took);
    }

    fn decide(&mut self, mut writes: Vec<Write>, work: &mut Work) -> Result<(), Failed> {
        self.pending.pay(&mut work.batch);
        self.room = self.rows.room();
        // A minute is closed before anything of this commit is in history.
        writes.sort_by_key(|write| !matches!(write, Write::CloseMinutes { .. }));
        for write in writes {
            if !self.room && write.needs_room() {
                metrics::counter!("carillon_store_errors_total", "op" => "commit", "reason" => "disk_full")
                    .increment(1);
                write.refuse(Error::DiskFull);
            } else {
                self.write(write, work)?;
            }
        }
        self.finish_releases(work);
        if self.drawn > self.promised {
            self.promised = Seq(self.drawn.0 + SEQ_BLOCK);
            work.batch.put(keys::single(keys::SEQ), self.promised.0.to_be_bytes().to_vec());
        }
        Ok(())
    }

    fn write(&mut self, write: Write, work: &mut Work) -> Result<(), Failed> {
        match write {
            Write::Enqueue { message, targets, nonce, reply } => {
                Self::note_nonce(work, nonce);
                self.enqueue(&message, &targets, reply, work)?;
            }
            Write::Broadcast { message, audience, nonce, reply } => {
                Self::note_nonce(work, nonce);
                self.broadcast(&message, &audience, reply, work)?;
            }
            Write::Plan { message, targets, nonce, reply } => {
                Self::note_nonce(work, nonce);
                self.plan(&message, targets, reply, work);
            }
            Write::Release { app, task, devices, reply } => {
                self.release(app, task, devices, reply, work);
            }
            Write::RevokeEntry { id, notice, reply } => self.revoke_entry(id, &notice, reply, work)?,
            Write::Tell { notice, devices, reply } => {
                let told = self.tell(&notice, devices, work);
                work.answer(reply, told);
            }
            Write::RevokeTask { app, task, audit, nonce, reply } => {
                Self::note_nonce(work, nonce);
                self.revoke_task(app, task, audit, reply, work);
            }
            Write::TaskRevoked { app, task, reply } => self.task_revoked(app, task, reply, work),
            // Paid for when this commit was begun.
            Write::Paid { reply } => work.answer(reply, ()),
            Write::Join { app } => self.join(app, work),
            Write::List { device, user, before, reply } => {
                if let Some(people) = self.people(device.app) {
                    let mut desk = Desk { rows: &self.rows, people: &people, work };
                    self.pending.list(&mut desk, device.ordinal, user)?;
                }
                self.route_waiting(Owner::User(user), device, Because::Bound, work)?;
                work.answer(reply, before);
            }
            Write::Errands(op) => self.errands(op, work)?,
            Write::Sweep { now, reply } => self.sweep(now, reply, work)?,
            Write::CloseMinutes { now, reply } => self.close_minutes(now, reply, work)?,
            Write::Tokens { app, tokens, by, reply } => self.keep_tokens(app, tokens, &by, reply, work)?,
            Write::TokenMoved(moved) => self.token_moved(&moved, work)?,
            Write::DropToken { device, vendor, token, dead_since, why, reply } => {
                let dropped = self.drop_token(device, vendor, token.as_deref(), dead_since, &why, work)?;
                work.answer(reply, dropped);
            }
            Write::Delete { device, nonce, reply } => {
                Self::note_nonce(work, nonce);
                self.forget_tokens(device, work)?;
                self.delete(device, reply, work);
            }
            other => self.keep(other, work),
        }
        Ok(())
    }

    fn enqueue(
        &mut self,
        message: &Arc<Message>,
        targets: &[Owner],
        reply: Reply<Vec<Enqueued>>,
        work: &mut Work,
    ) -> Result<(), Failed> {
        let Some(people) = self.shared.tenants.get(message.app) else {
            work.answer(reply, vec![Enqueued::Gone; targets.len()]);
            return Ok(());
        };
        if message.task.is_some_and(|task| self.shared.revoked.has(message.app, task)) {
            work.answer(reply, vec![Enqueued::Revoked; targets.len()]);
            return Ok(());
        }
        let (shared, drawn) = (&self.shared, &mut self.drawn);
        let draw = || {
            *drawn = shared.draw();
            *drawn
        };
        let mut desk = Desk { rows: &self.rows, people: &people, work };
        let roads = shared.roads(message);
        let outcomes = self.pending.enqueue(&mut desk, message, targets, roads.as_ref(), draw)?;
        work.answer(reply, outcomes);
        Ok(())
    }

    /// What an app's owner keeps, and tasks.
    fn keep(&mut self, write: Write, work: &mut Work) {
        match write {
            Write::Nonce { nonce, reply } => {
                Self::note_nonce(work, Some(nonce));
                work.answer(reply, ());
            }
            Write::Change { app, changes, audit, nonce, reply } => {
                Self::note_nonce(work, nonce);
                self.change(app, changes, audit, reply, work);
            }
            Write::Tenants { change, audit, nonce, reply } => {
                Self::note_nonce(work, nonce);
                self.change_tenants(*change, audit, reply, work);
            }
            Write::Task { app, info, nonce, reply } => {
                Self::note_nonce(work, nonce);
                self.open_task(app, info, reply, work);
            }
            other => self.registry(other, work),
        }
    }

    /// Writes history, then the batch. On an error nobody knows what is stored: a start does, by the
    /// number that both carry.
    fn commit(&mut self, work: &mut Work) -> Result<(), Failed> {
        self.commits += u64::from(!work.records.is_empty());
        if !work.records.is_empty() {
            self.history.begin_commit(self.commits);
            work.batch.put(keys::single(keys::COMMIT), self.commits.to_be_bytes().to_vec());
        }
        self.write_history(work)?;
        if work.verdicts {
            self.sync_history()?;
        }
        if !work.batch.is_empty() {
            let began = self.shared.clock.elapsed();
            self.rows.commit(&work.batch)?;
            let took = self.shared.clock.elapsed().saturating_sub(began);
            metrics::histogram!("carillon_store_operation_duration_seconds", "op" => "commit").record(took);
        }
        self.pending.committed();
        self.outs.committed();
        Ok(())
    }

    pub(super) fn write_history(&mut self, work: &mut Work) -> Result<(), Failed> {
        if !self.decided.is_empty() {
            let records = work.records.drain(..);
            work.records = records.filter_map(|record| self.decided.news(record)).collect();
        }
        if work.records.is_empty() {
            return Ok(());
        }
        let before = self.history.position();
        work.records.iter().for_each(|record| self.history.append(record));
        self.history.write().map_err(|error| Failed(format!("write history: {error}")))?;
        for record in work.records.drain(..) {
            count_verdict(&record);
            if !work.told.contains(&record.app) {
                work.told.push(record.app);
            }
            self.window.count(&record, before);
        }
        Ok(())
    }

    /// Lets readers of the feed see what this step concluded.
    fn publish(&self, work: &mut Work) {
        if work.told.is_empty() || self.shared.failure.is_some() {
            return;
        }
        *self.shared.ports[self.no].concluded.lock() = self.history.position();
        work.told.drain(..).for_each(|app| self.shared.feeds.wake(app));
    }

    pub(super) fn sync_history(&mut self) -> Result<(), Failed> {
        self.history.sync().map_err(|error| Failed(format!("sync history: {error}")))
    }

    fn conclude(&mut self, work: &mut Work, committed: &Result<(), Failed>) {
        let answer = match committed {
            Ok(()) => Ok(()),
            Err(failed) => {
                self.shared.fail(self.no, "commit", failed);
                Err(Error::Unknown)
            }
        };
        if committed.is_ok() {
            // Before the answers: what is answered as let go is due, and has its events.
            for Released { entry, devices, at } in &work.due {
                self.shared.logs.release(entry, devices, *at);
            }
            self.publish(work);
        }
        for tell in work.answers.drain(..) {
            tell(answer.clone());
        }
        if committed.is_err() {
            work.records.clear();
            return;
        }
        self.hint(std::mem::take(&mut work.arrived), std::mem::take(&mut work.again));
        self.ring(work);
        for Released { entry, devices, .. } in work.due.drain(..) {
            self.shared.hints.broadcast(entry, Arc::new(devices));
        }
        self.hold_back(work);
        for (partition, op) in work.follow_ups.drain(..) {
            self.shared.ports[partition].intake.follow_up(op);
        }
    }

    /// Tells sessions what they are to send no more.
    fn hold_back(&self, work: &mut Work) {
        for (app, seq, devices) in work.withdrawn.drain(..) {
            self.shared.hints.withdrawn(app, seq, devices.map(Arc::new));
        }
    }

    /// Tells channels that they have something to carry, and sessions what is theirs again.
    fn ring(&self, work: &mut Work) {
        work.bells.sort_unstable();
        work.bells.dedup();
        work.bells.drain(..).for_each(|(app, vendor)| self.shared.bells.ring(app, vendor));
        for Released { entry, devices, at } in work.freed.drain(..) {
            self.shared.logs.release(&entry, &devices, at);
            self.shared.hints.broadcast(entry, Arc::new(devices));
        }
    }

    /// Hints every session open now; one that opens from now on sees what waits for it.
    fn hint(&self, arrived: Vec<Arrived>, again: Vec<Again>) {
        let mut shards: AHashMap<ShardNo, Vec<DueHint>> = AHashMap::new();
        let mut people: Option<Arc<OfApp>> = None;
        for Arrived { owner, seq, before, message, held } in arrived {
            if people.as_ref().is_none_or(|people| people.app != owner.app()) {
                people = self.shared.tenants.get(owner.app());
            }
            let Some(people) = &people else { continue };
            let devices = match owner {
                Owner::Device(device) => smallvec::smallvec![device.ordinal],
                Owner::User(user) => people.user_devices(user.ordinal),
            };
            let mut due: Option<Due> = None;
            for ordinal in devices.into_iter().filter(|ordinal| !held.contains(ordinal)) {
                let device = Device { app: owner.app(), ordinal };
                let Some((shard, epoch)) = self.shared.sessions.get(device) else { continue };
                let due = due.get_or_insert_with(|| encode(people, owner, seq, &message));
                let hint = DueHint { device, epoch, due: Arc::clone(due), prev: before, is_again: false };
                shards.entry(shard).or_default().push(hint);
            }
        }
        for Again { owner, device, seq, message } in again {
            let Some(people) = self.people(device.app) else { continue };
            let Some((shard, epoch)) = self.shared.sessions.get(device) else { continue };
            let due = encode(&people, owner, seq, &message);
            let hint = DueHint { device, epoch, due, prev: Seq(0), is_again: true };
            shards.entry(shard).or_default().push(hint);
        }
        for (shard, hints) in shards {
            self.shared.hints.due(shard, hints);
        }
    }

    /// What waited for the commit, in the order it came; then its verdicts are made durable.
    fn follow(&mut self, later: Vec<Later>, work: &mut Work) -> Result<(), Failed> {
        let failed = self.shared.failure.is_some();
        for later in later {
            if failed && !later.only_reads() {
                later.refuse(Error::Unavailable);
            } else if !self.room && later.is_note() {
                // What is left of the disk is for verdicts.
                later.refuse(Error::DiskFull);
            } else {
                self.later(later, work)?;
            }
        }
        self.write_history(work)?;
        if self.pending.is_owing() && !failed {
            self.sync_history()?;
        }
        self.publish(work);
        self.hold_back(work);
        self.ring(work);
        for tell in work.answers.drain(..) {
            tell(Ok(()));
        }
        Ok(())
    }

    pub(super) fn people(&self, app: App) -> Option<Arc<OfApp>> {
        self.shared.tenants.get(app)
    }
}

/// The push frame for a place in a queue.
pub(super) fn encode(people: &OfApp, owner: Owner, seq: Seq, message: &Message) -> Due {
    let user = match owner {
        Owner::User(user) => people.user_id(user.ordinal),
        Owner::Device(_) => None,
    };
    Arc::new(Encoded::new(message, Some(owner), seq, user.as_ref()))
}

/// How long removals and other lazy operations wait for company.
#[must_use]
pub(super) const fn lazy_wait(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// For operators: statistics proper are the window's, which survives the process.
fn count_verdict(record: &Record) {
    let outcome = match record.step {
        Step::Delivered => "delivered",
        Step::Expired => "expired",
        Step::Revoked => "revoked",
        Step::Replaced => "replaced",
        Step::Rejected => "rejected",
        Step::HandedOver => "handed_over",
        Step::Accepted
        | Step::Sent
        | Step::Shown
        | Step::Opened
        | Step::Dismissed
        | Step::Routed
        | Step::Confirmed
        | Step::Refused
        | Step::TokenInvalidated => return,
    };
    let channel = record.channel.as_str();
    metrics::counter!("carillon_target_terminal_total", "channel" => channel, "outcome" => outcome)
        .increment(record.whom.count());
}

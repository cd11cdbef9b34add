//! A partition's housekeeping, in bounded steps: what expired is verdicted, what is old is dropped,
//! what changed quietly is written.

use std::ops::ControlFlow;
use std::sync::atomic::Ordering;

use ahash::AHashMap;
use carillon_sdk::Timestamp;
use carillon_sdk::api::Granularity;

use super::directory::OfApp;
use super::disk::Failed;
use super::keys::{self, Key};
use super::nonces::oldest_kept;
use super::partition::Partition;
use super::pending::Desk;
use super::rows::{MessageRow, RepeatRow, decode, encode};
use super::shared::Shared;
use super::stats;
use super::tenants::NO_APP;
use super::work::{Later, Reply, Work};
use crate::model::{App, Device, Owner, Seq, Task};

/// Messages verdicted in one step.
const EXPIRE_MAX: usize = 500;
/// Old rows of a kind dropped in one step.
const DROP_MAX: usize = 1_000;
/// Devices whose rows are written in one step: last seen, app version.
const SEEN_MAX: usize = 200;
/// Rows of repeatable messages looked at in one step: a slow walk round and round.
const REPEATS_MAX: usize = 500;
/// Rows of statistics read at once: two days of minutes by fifty platforms and versions take a tenth
/// of a second, in which nothing is committed.
const COUNTS_MAX: usize = 150_000;
/// Between two looks at statistics and history files whose time is over.
const RETIRE_EVERY_MS: u64 = 60_000;

/// Where the walks stand.
#[derive(Default)]
pub(super) struct Progress {
    /// The next message to look at for expiry; none: from the front.
    expiry: Option<Key>,
    repeats: Option<Key>,
    retired_at: Timestamp,
    /// The first task of each app up to which nothing is kept here any more.
    pub(super) tasks: AHashMap<App, Task>,
}

impl Partition {
    /// The part of a sweep that rides in a commit. Nothing is deleted on the word of a clock that
    /// jumped.
    pub(super) fn sweep(
        &mut self,
        now: Timestamp,
        reply: Reply<bool>,
        work: &mut Work,
    ) -> Result<(), Failed> {
        let mut more = self.write_seen(work);
        self.write_key_uses(now, work);
        if self.room {
            self.join_all(work);
            more |= self.free_stranded_errands(work)?;
        }
        if self.shared.clock.settled() {
            more |= self.drop_nonces(now, work)?;
            more |= self.drop_answers(now, work);
            more |= self.drop_tasks(now, DROP_MAX, work)?;
            self.drop_repeats(now, work)?;
            self.drop_revoked(now, work);
            self.retire(now, work)?;
        }
        self.shared.ports[self.no].disk_bytes.store(self.rows.size(), Ordering::Relaxed);
        work.later.push(Later::Expire { now, more, reply });
        Ok(())
    }

    fn write_seen(&self, work: &mut Work) -> bool {
        let mut seen = self.shared.ports[self.no].seen.lock();
        let devices: Vec<Device> = seen.iter().take(SEEN_MAX).copied().collect();
        for device in &devices {
            seen.remove(device);
        }
        let more = !seen.is_empty();
        drop(seen);
        for device in devices {
            if let Some(row) = self.people(device.app).and_then(|people| people.row(device.ordinal)) {
                work.batch.put(keys::device(device), encode(&Some(row)));
            }
        }
        more
    }

    /// Partition 0 has the keys.
    fn write_key_uses(&self, now: Timestamp, work: &mut Work) {
        if self.no == 0 {
            for row in self.shared.tenants.uses_to_write(now, SEEN_MAX) {
                work.batch.put(keys::api_key(&row.key_id), encode(&row));
            }
        }
    }

    fn drop_nonces(&self, now: Timestamp, work: &mut Work) -> Result<bool, Failed> {
        let oldest = oldest_kept(now);
        self.shared.nonces.lock().forget_before(oldest);
        let (from, _) = keys::of_kind(keys::NONCE);
        self.drop_range(&from, &keys::nonce(oldest, &[0; 16]), work)
    }

    fn drop_answers(&self, now: Timestamp, work: &mut Work) -> bool {
        let mut more = false;
        for app in self.apps_here() {
            let gone = self.shared.answers.expire(app, now, DROP_MAX);
            more |= gone.len() == DROP_MAX;
            for key in gone {
                work.batch.delete(keys::answer(app, &key));
            }
        }
        more
    }

    /// The keys are in no order of time, so the walk goes round, a stretch a step.
    fn drop_repeats(&mut self, now: Timestamp, work: &mut Work) -> Result<(), Failed> {
        let (first, to) = keys::of_kind(keys::REPEAT);
        let from = self.sweeping.repeats.take().unwrap_or(first);
        let mut looked = 0;
        self.rows.range(&from, &to, &mut |key, value| {
            if looked == REPEATS_MAX {
                self.sweeping.repeats = Some(Key::from_slice(key));
                return ControlFlow::Break(());
            }
            looked += 1;
            if decode::<RepeatRow>(value).is_ok_and(|row| row.until <= now) {
                work.batch.delete(Key::from_slice(key));
            }
            ControlFlow::Continue(())
        })
    }

    fn retire(&mut self, now: Timestamp, work: &mut Work) -> Result<(), Failed> {
        if now.since(self.sweeping.retired_at).as_millis() < RETIRE_EVERY_MS {
            return Ok(());
        }
        self.sweeping.retired_at = now;
        self.history.retire(now).map_err(|error| Failed(format!("retire history: {error}")))?;
        for people in self.shared.tenants.all() {
            for granularity in [Granularity::Minute, Granularity::Hour, Granularity::Day] {
                let range = stats::expired(granularity, people.app, now);
                self.drop_range(&range.start, &range.end, work)?;
            }
            self.drop_audits(people.app, now, DROP_MAX, work)?;
        }
        self.drop_audits(NO_APP, now, DROP_MAX, work)
    }

    /// Deletes at most `DROP_MAX` keys of a range; true when there may be more.
    pub(super) fn drop_range(&self, from: &[u8], to: &[u8], work: &mut Work) -> Result<bool, Failed> {
        let mut dropped = 0;
        self.rows.range(from, to, &mut |key, _| {
            if dropped == DROP_MAX {
                return ControlFlow::Break(());
            }
            dropped += 1;
            work.batch.delete(Key::from_slice(key));
            ControlFlow::Continue(())
        })?;
        Ok(dropped == DROP_MAX)
    }

    /// The part of a sweep that gives verdicts. What is in flight somewhere waits for its ack until
    /// twice the ack timeout after expiry: whether an owner has an open session stands for whether
    /// the message is on its way.
    pub(super) fn expire(
        &mut self,
        now: Timestamp,
        more: bool,
        reply: Reply<bool>,
        work: &mut Work,
    ) -> Result<(), Failed> {
        self.flush_logs(work);
        let mut more = more;
        if self.shared.clock.settled() {
            work.now = work.now.max(now);
            more |= self.expire_queues(work)?;
            self.expire_logs(work);
        }
        self.write_history(work)?;
        self.sync_history()?;
        work.answer(reply, more);
        Ok(())
    }

    fn expire_queues(&mut self, work: &mut Work) -> Result<bool, Failed> {
        let (first, _) = keys::of_kind(keys::MESSAGE);
        let from = self.sweeping.expiry.take().unwrap_or(first);
        let to = keys::message(Timestamp::from_millis(work.now.as_millis() + 1), Seq(0));
        let mut expired = Vec::new();
        let (mut next, mut failed) = (None, None);
        self.rows.range(&from, &to, &mut |key, value| {
            if expired.len() == EXPIRE_MAX {
                next = Some(Key::from_slice(key));
                return ControlFlow::Break(());
            }
            match (keys::parse_message(key), decode::<MessageRow>(value)) {
                (Some(place), Ok(row)) => expired.push((place, row)),
                (_, Err(error)) => failed = Some(error),
                (None, _) => failed = Some(Failed("a message under a key that is none".to_owned())),
            }
            ControlFlow::Continue(())
        })?;
        if let Some(failed) = failed {
            return Err(failed);
        }
        for (place, row) in expired {
            let Some(people) = self.people(row.message.app) else { continue };
            let shared = std::sync::Arc::clone(&self.shared);
            let outs = &self.outs;
            let in_flight = |owner| outs.has(owner) || has_session(&shared, &people, owner);
            let mut desk = Desk { rows: &self.rows, people: &people, work };
            self.pending.expire(&mut desk, place, &row, in_flight)?;
        }
        let more = next.is_some();
        self.sweeping.expiry = next;
        Ok(more)
    }

    /// In the minutes that are over nothing is counted any more: their rows are written, with the
    /// place up to which history was counted, in one commit.
    pub(super) fn close_minutes(
        &mut self,
        now: Timestamp,
        reply: Reply<()>,
        work: &mut Work,
    ) -> Result<(), Failed> {
        self.write_history(work)?;
        self.sync_history()?;
        let mut merged: std::collections::BTreeMap<Vec<u8>, stats::Counts> =
            std::collections::BTreeMap::new();
        for (key, counts) in self.window.close_before(now, self.history.position()) {
            for key in key.levels() {
                let counts = match key.dims.task {
                    // Its row would stay for good.
                    Some(task) if !self.shared.tasks.keeps(key.app, task) => continue,
                    Some(_) => counts,
                    None => stats::Counts { changed_at: 0, ..counts },
                };
                merged.entry(key.encode()).or_default().merge(&counts);
            }
        }
        for (key, mut counts) in merged {
            if let Some(bytes) = self.rows.get(&key)? {
                counts.merge(&stats::Counts::decode(&bytes).map_err(|damaged| Failed(damaged.to_string()))?);
            }
            work.batch.put(Key::from_slice(&key), counts.encode());
        }
        work.batch.put(keys::single(keys::CURSOR), encode(&self.window.cursor()));
        work.answer(reply, ());
        Ok(())
    }

    /// None when there are more than are read at once.
    pub(super) fn stored_counts(
        &self,
        from: &[u8],
        to: &[u8],
    ) -> Result<Option<Vec<(stats::Key, stats::Counts)>>, Failed> {
        let (mut rows, mut damaged, mut too_many) = (Vec::new(), None, false);
        self.rows.range(from, to, &mut |key, value| {
            if rows.len() == COUNTS_MAX {
                too_many = true;
                return ControlFlow::Break(());
            }
            match (stats::Key::decode(key), stats::Counts::decode(value)) {
                (Ok(key), Ok(counts)) => rows.push((key, counts)),
                (Err(error), _) | (_, Err(error)) => damaged = Some(Failed(error.to_string())),
            }
            ControlFlow::Continue(())
        })?;
        damaged.map_or(Ok((!too_many).then_some(rows)), Err)
    }
}

fn has_session(shared: &Shared, people: &OfApp, owner: Owner) -> bool {
    match owner {
        Owner::Device(device) => shared.sessions.get(device).is_some(),
        Owner::User(user) => {
            let devices = people.user_devices(user.ordinal);
            devices.iter().any(|&ordinal| shared.sessions.get(Device { app: user.app, ordinal }).is_some())
        }
    }
}

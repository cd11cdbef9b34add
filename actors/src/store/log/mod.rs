//! Live broadcasts and campaigns: one entry each in the app's log, whatever the number of devices.
//!
//! An entry is due to a device that it was released to, that has not settled it, while it has
//! neither expired nor been revoked; so pace, late acks and lost ones need no rule of their own.
//!
//! Acks set bits in memory, from whatever thread. A sweep takes what is fresh since the last one,
//! records it as one group, and writes the chunks of 65,536 devices that changed; so a crash may
//! lose a second of acks, which costs repeats that the SDK drops. Releases are written in the commit
//! that accepts them.

mod chunks;
mod marks;
mod vendors;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ahash::AHashMap;
use carillon_sdk::wire::ReportKind;
use carillon_sdk::{MessageId, Timestamp};
use parking_lot::{Mutex, RwLock};
use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};

pub(super) use self::chunks::{Mark, chunks_of, encode};
use self::marks::Marks;
pub(super) use self::marks::{Ended, Fresh};
pub(super) use self::vendors::{BulkClaim, BulkOuts};
use super::directory::OfApp;
use super::disk::Failed;
use crate::audience::Audience;
use crate::model::{App, Device, Due, Message, Seq, Task};
use crate::routing::Wait;

/// A broadcast or campaign in its app's log.
#[derive(Debug)]
pub struct LogEntry {
    pub app: App,
    pub due: Due,
    /// For vendors' channels, which need more of it than a device.
    pub(super) message: Arc<Message>,
    pub(super) reach: Reach,
    /// Of its latest release: a session that has come so far has nothing to look for here.
    released_at: AtomicU64,
    marks: RwLock<Marks>,
}

/// Whom an entry may ever be released to. Written with its row.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) enum Reach {
    /// As builds before releases wrote it: every device there is.
    #[default]
    Unrecorded,
    /// Whoever fits the rule: those there were at acceptance, at once, and who comes later.
    Rule(Rule),
    /// The targets, frozen and in chunks of their own, as somebody lets them go.
    Paced,
    /// Of what withdraws another: those who may show that.
    Told,
}

/// A rule, and what was already judged by it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Rule {
    pub audience: Audience,
    /// Devices below this ordinal were judged at acceptance, but for `vacant`.
    pub known: u32,
    /// Ordinals whose registration was under way then.
    pub vacant: Vec<u32>,
}

/// An entry as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryView {
    pub seq: Seq,
    pub id: MessageId,
    pub expires_at: Timestamp,
    /// True when it was revoked: nothing is released any more, and all verdicts are given.
    pub revoked: bool,
    /// Devices of a campaign, frozen when it was planned; of a broadcast those it was released to.
    pub targets: u64,
    pub released: u64,
    /// Written to a socket at least once.
    pub sent: u64,
    /// Acked.
    pub delivered: u64,
    /// Deleted before they acked, or refused by a vendor.
    pub rejected: u64,
    /// Taken by a vendor.
    pub handed_over: u64,
}

impl LogEntry {
    #[must_use]
    pub(super) fn new(message: Arc<Message>, due: Due, reach: Reach) -> Self {
        let released_at = AtomicU64::new(due.seq.0);
        Self { app: message.app, due, message, reach, released_at, marks: RwLock::default() }
    }

    /// Of a campaign: its targets, of whom none is released.
    #[must_use]
    pub(super) fn paced(message: Arc<Message>, due: Due, targets: RoaringBitmap) -> Self {
        let entry = Self::new(message, due, Reach::Paced);
        entry.marks.write().targets = targets;
        entry
    }

    /// Whether it is due to the device: released to it, not settled, not expired.
    #[must_use]
    pub fn is_due(&self, device: Device, now: Timestamp) -> bool {
        device.app == self.app && now < self.due.expires_at && self.marks.read().is_due(device.ordinal)
    }

    /// When it was released last, as a place in the store's one order.
    #[must_use]
    pub fn released_at(&self) -> Seq {
        Seq(self.released_at.load(Ordering::Acquire))
    }

    /// Devices released so far.
    #[must_use]
    pub fn released(&self) -> RoaringBitmap {
        self.marks.read().released.clone()
    }

    /// What of these was never let go, and may be.
    #[must_use]
    pub(super) fn releasable(&self, devices: RoaringBitmap) -> RoaringBitmap {
        let marks = self.marks.read();
        if marks.over {
            return RoaringBitmap::new();
        }
        let mut devices = devices;
        if self.reach == Reach::Paced {
            devices &= &marks.targets;
        }
        devices - &marks.released
    }

    /// Withdrawn: whoever was to get it has a verdict, and nobody else will get it.
    #[must_use]
    pub(super) fn is_revoked(&self) -> bool {
        self.marks.read().revoked
    }

    #[must_use]
    pub(super) fn is_over(&self) -> bool {
        self.marks.read().over
    }

    /// These are due from now on; their release is on disk.
    pub(super) fn release(&self, devices: &RoaringBitmap, at: Seq) {
        self.marks.write().released |= devices;
        self.released_at.fetch_max(at.0, Ordering::Release);
    }

    /// Whether a device that was not there at acceptance, or has been bound since, may yet be meant
    /// by the rule: it is then to be judged. Costs no more than a look when it may not.
    #[must_use]
    pub(super) fn may_join(&self, ordinal: u32, now: Timestamp) -> bool {
        let Reach::Rule(rule) = &self.reach else { return false };
        let unjudged = ordinal >= rule.known || rule.vacant.contains(&ordinal);
        (unjudged || rule.audience.depends_on_binding())
            && now < self.due.expires_at
            && self.marks.read().may_join(ordinal)
    }

    #[must_use]
    pub(super) fn is_meant_for(&self, ordinal: u32, people: &OfApp) -> bool {
        matches!(&self.reach, Reach::Rule(rule) if people.has(ordinal, &rule.audience))
    }

    /// A device the rule means: released with the next commit.
    pub(super) fn want(&self, ordinal: u32) {
        self.marks.write().wanted.insert(ordinal);
    }

    #[must_use]
    pub(super) fn take_wanted(&self) -> RoaringBitmap {
        if self.marks.read().wanted.is_empty() {
            return RoaringBitmap::new();
        }
        std::mem::take(&mut self.marks.write().wanted)
    }

    /// Only vendors carry it to these from now on; gives all of whom that holds.
    pub(super) fn hold(&self, devices: &RoaringBitmap) -> RoaringBitmap {
        self.marks.write().hold(devices)
    }

    /// Our own road carries it to these again.
    pub(super) fn free(&self, devices: &RoaringBitmap) {
        self.marks.write().free(devices);
    }

    /// Whom a vendor is to carry it to and has not.
    #[must_use]
    pub(super) fn carriable(&self) -> RoaringBitmap {
        self.marks.read().carriable()
    }

    #[must_use]
    pub(super) fn is_carriable(&self, ordinal: u32) -> bool {
        self.marks.read().is_carriable(ordinal)
    }

    /// A vendor took it for the device. False when it was not waiting for that.
    pub(super) fn hand_over(&self, ordinal: u32) -> bool {
        self.marks.write().hand_over(ordinal)
    }

    /// Our own road has it to itself until then.
    pub(super) fn wait(&self, until: Timestamp, wait: Wait, devices: RoaringBitmap) {
        self.marks.write().waits.push((until, wait, devices));
    }

    /// After a start, once: who by our own road alone is still without it.
    #[must_use]
    pub(super) fn take_lost_waits(&self) -> RoaringBitmap {
        if !self.marks.read().waits_lost {
            return RoaringBitmap::new();
        }
        self.marks.write().take_lost_waits()
    }

    /// Whose time is over, and who is still without it.
    #[must_use]
    pub(super) fn take_waits(&self, now: Timestamp) -> Vec<(Wait, RoaringBitmap)> {
        if self.marks.read().waits.is_empty() {
            return Vec::new();
        }
        self.marks.write().take_waits(now)
    }

    /// True when a vendor took it for the device.
    pub(super) fn ack(&self, ordinal: u32) -> bool {
        self.marks.write().ack(ordinal)
    }

    /// Not due any more, since the device is gone. False when it was not waiting.
    pub(super) fn reject(&self, ordinal: u32) -> bool {
        self.marks.write().reject(ordinal)
    }

    /// True when it was revoked meanwhile: then the device is to be told.
    pub(super) fn note_sent(&self, ordinal: u32) -> bool {
        let mut marks = self.marks.write();
        marks.note_sent(ordinal);
        marks.revoked
    }

    /// False when this kind was reported before.
    pub(super) fn report(&self, ordinal: u32, kind: ReportKind) -> bool {
        self.marks.write().reported.entry(kind).or_default().insert(ordinal)
    }

    /// Expired or revoked: whoever has not settled it yet is to get that verdict. From now on
    /// nothing is released and no ack counts.
    pub(super) fn end(&self) -> Ended {
        self.marks.write().end()
    }

    /// The same, when it is withdrawn; and who may show it.
    pub(super) fn revoke(&self) -> (Ended, RoaringBitmap) {
        let mut marks = self.marks.write();
        marks.revoked = true;
        (marks.end(), marks.may_show())
    }

    /// Found at a start, which does not know who was sent it just before.
    pub(super) fn found(&self, revoked: bool) {
        let mut marks = self.marks.write();
        marks.found = true;
        marks.waits_lost = true;
        marks.revoked = revoked;
        marks.over = revoked;
    }

    /// What a start found out about it: verdicts that history has and its chunks have not.
    pub(super) fn settle(&self, devices: &RoaringBitmap) {
        self.marks.write().settle(devices);
    }

    pub(super) fn take_fresh(&self) -> Fresh {
        self.marks.write().take_fresh()
    }

    /// Takes in a chunk found on disk at start.
    pub(super) fn restore(&self, mark: Mark, bytes: &[u8]) -> Result<(), Failed> {
        let chunk = RoaringBitmap::deserialize_from(bytes)
            .map_err(|error| Failed(format!("a chunk of a broadcast that cannot be read: {error}")))?;
        self.marks.write().restore(mark, chunk);
        Ok(())
    }

    /// The last device in any of its bitmaps: how many chunks it has.
    #[must_use]
    pub(super) fn last_ordinal(&self) -> u32 {
        let marks = self.marks.read();
        marks.targets.max().max(marks.released.max()).unwrap_or(0)
    }

    /// Of a campaign: targets not let go yet.
    #[must_use]
    pub(super) fn unreleased(&self) -> RoaringBitmap {
        let marks = self.marks.read();
        &marks.targets - &marks.released
    }

    #[must_use]
    pub(super) fn view(&self) -> EntryView {
        let marks = self.marks.read();
        let released = marks.released.len();
        EntryView {
            seq: self.due.seq,
            id: self.due.id,
            expires_at: self.due.expires_at,
            revoked: marks.revoked,
            targets: if self.reach == Reach::Paced { marks.targets.len() } else { released },
            released,
            sent: marks.sent.len(),
            delivered: marks.delivered.len(),
            rejected: marks.rejected.len(),
            handed_over: marks.handed.len(),
        }
    }
}

/// An app's log at one moment, oldest first: what a reader walks without a lock.
#[derive(Debug, Clone, Default)]
pub struct Log {
    entries: Arc<Vec<Arc<LogEntry>>>,
    /// Of the latest release in it.
    pub head: Seq,
}

impl std::ops::Deref for Log {
    type Target = [Arc<LogEntry>];

    fn deref(&self) -> &Self::Target {
        &self.entries
    }
}

/// The live entries of every app. Published whole.
#[derive(Default)]
pub(super) struct Logs(Mutex<AHashMap<App, Log>>);

impl Logs {
    #[must_use]
    pub(super) fn of(&self, app: App) -> Log {
        self.0.lock().get(&app).cloned().unwrap_or_default()
    }

    pub(super) fn push(&self, entry: Arc<LogEntry>) {
        let mut apps = self.0.lock();
        let log = apps.entry(entry.app).or_default();
        let mut entries = log.entries.as_ref().clone();
        let at = entries.partition_point(|earlier| earlier.due.seq < entry.due.seq);
        log.head = log.head.max(entry.released_at());
        entries.insert(at, entry);
        log.entries = Arc::new(entries);
    }

    /// Releases, and lets every session know that there is something to look for.
    pub(super) fn release(&self, entry: &LogEntry, devices: &RoaringBitmap, at: Seq) {
        entry.release(devices, at);
        // After the entry, so that who sees the head sees the release too.
        if let Some(log) = self.0.lock().get_mut(&entry.app) {
            log.head = log.head.max(at);
        }
    }

    pub(super) fn remove(&self, app: App, seq: Seq) {
        if let Some(log) = self.0.lock().get_mut(&app) {
            log.entries =
                Arc::new(log.entries.iter().filter(|entry| entry.due.seq != seq).cloned().collect());
        }
    }

    #[must_use]
    pub(super) fn find(&self, app: App, id: MessageId) -> Option<Arc<LogEntry>> {
        self.of(app).iter().find(|entry| entry.due.id == id).cloned()
    }

    #[must_use]
    pub(super) fn find_task(&self, app: App, task: Task) -> Option<Arc<LogEntry>> {
        self.of(app).iter().find(|entry| entry.due.task == Some(task)).cloned()
    }

    #[must_use]
    pub(super) fn len(&self) -> usize {
        self.0.lock().values().map(|log| log.entries.len()).sum()
    }
}

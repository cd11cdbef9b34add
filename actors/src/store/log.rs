//! Live broadcasts: one entry each, with the set of devices that acked it.
//!
//! Acks set bits in memory, from whatever thread. A sweep takes what is fresh since the last one,
//! records it as one group, and writes the chunks of 65,536 devices that changed; so a crash may
//! lose a second of acks, which costs repeats that the SDK drops.

use std::collections::BTreeSet;
use std::sync::Arc;

use ahash::AHashMap;
use carillon_sdk::wire::ReportKind;
use carillon_sdk::{MessageId, Timestamp};
use parking_lot::{Mutex, RwLock};
use roaring::RoaringBitmap;

use super::disk::Failed;
use crate::model::{App, Device, Due, Seq};

/// A broadcast in its app's log: one record, whatever the number of devices.
#[derive(Debug)]
pub struct LogEntry {
    pub app: App,
    pub due: Due,
    marks: RwLock<Marks>,
}

#[derive(Debug, Default)]
struct Marks {
    /// Acked, or settled otherwise: not due.
    settled: RoaringBitmap,
    /// Acked since the last sweep.
    acked: RoaringBitmap,
    sent: RoaringBitmap,
    /// Already recorded as sent; forgotten by a restart, after which the first record still counts.
    sent_before: RoaringBitmap,
    dirty: BTreeSet<u16>,
    reported: AHashMap<ReportKind, RoaringBitmap>,
    /// Once expired: the last device it was ever due to. Later ones have nothing to do with it.
    last: Option<u32>,
}

/// What a sweep takes out of an entry.
#[derive(Debug, Default)]
pub(super) struct Fresh {
    pub acked: RoaringBitmap,
    pub sent: RoaringBitmap,
    pub chunks: Vec<(u16, Vec<u8>)>,
}

impl LogEntry {
    #[must_use]
    pub(super) fn new(app: App, due: Due) -> Self {
        Self { app, due, marks: RwLock::default() }
    }

    /// Whether this broadcast is still due to the device: not acked, not expired.
    #[must_use]
    pub fn is_due(&self, device: Device, now: Timestamp) -> bool {
        device.app == self.app
            && now < self.due.expires_at
            && !self.marks.read().settled.contains(device.ordinal)
    }

    pub(super) fn ack(&self, ordinal: u32) {
        let mut marks = self.marks.write();
        if marks.settled.insert(ordinal) {
            marks.acked.insert(ordinal);
            marks.dirty.insert(chunk_of(ordinal));
        }
    }

    /// Not due any more, for another reason than an ack. False when it was settled before.
    pub(super) fn settle(&self, ordinal: u32) -> bool {
        let mut marks = self.marks.write();
        marks.dirty.insert(chunk_of(ordinal));
        marks.settled.insert(ordinal)
    }

    pub(super) fn note_sent(&self, ordinal: u32) {
        let mut marks = self.marks.write();
        if marks.sent_before.insert(ordinal) {
            marks.sent.insert(ordinal);
        }
    }

    /// False when this kind was reported before.
    pub(super) fn report(&self, ordinal: u32, kind: ReportKind) -> bool {
        self.marks.write().reported.entry(kind).or_default().insert(ordinal)
    }

    /// Expired, with `last` the newest device then. Gives what the first call was given.
    pub(super) fn close(&self, last: u32) -> u32 {
        *self.marks.write().last.get_or_insert(last)
    }

    #[must_use]
    pub(super) fn settled(&self) -> RoaringBitmap {
        self.marks.read().settled.clone()
    }

    pub(super) fn take_fresh(&self) -> Fresh {
        let mut marks = self.marks.write();
        let dirty = std::mem::take(&mut marks.dirty);
        let chunks = dirty.into_iter().map(|chunk| (chunk, encode(&marks.settled, chunk))).collect();
        Fresh { acked: std::mem::take(&mut marks.acked), sent: std::mem::take(&mut marks.sent), chunks }
    }

    /// Takes in a chunk found on disk at start.
    pub(super) fn restore(&self, bytes: &[u8]) -> Result<(), Failed> {
        let chunk = RoaringBitmap::deserialize_from(bytes)
            .map_err(|error| Failed(format!("a chunk of a broadcast that cannot be read: {error}")))?;
        self.marks.write().settled |= chunk;
        Ok(())
    }
}

const fn chunk_of(ordinal: u32) -> u16 {
    (ordinal >> 16) as u16
}

fn encode(settled: &RoaringBitmap, chunk: u16) -> Vec<u8> {
    let first = u32::from(chunk) << 16;
    let mut of_chunk = settled.clone();
    of_chunk.remove_range(..first);
    if let Some(next) = first.checked_add(1 << 16) {
        of_chunk.remove_range(next..);
    }
    let mut bytes = Vec::with_capacity(of_chunk.serialized_size());
    // Writing to memory does not fail.
    let _ = of_chunk.serialize_into(&mut bytes);
    bytes
}

/// The live broadcasts of every app, oldest first. Published whole, so that a reader holds no lock.
#[derive(Default)]
pub(super) struct Logs(Mutex<AHashMap<App, Arc<Vec<Arc<LogEntry>>>>>);

impl Logs {
    #[must_use]
    pub(super) fn of(&self, app: App) -> Arc<Vec<Arc<LogEntry>>> {
        self.0.lock().get(&app).cloned().unwrap_or_default()
    }

    pub(super) fn push(&self, entry: Arc<LogEntry>) {
        let mut apps = self.0.lock();
        let log = apps.entry(entry.app).or_default();
        let mut entries = log.as_ref().clone();
        let at = entries.partition_point(|earlier| earlier.due.seq < entry.due.seq);
        entries.insert(at, entry);
        *log = Arc::new(entries);
    }

    pub(super) fn remove(&self, app: App, seq: Seq) {
        if let Some(log) = self.0.lock().get_mut(&app) {
            *log = Arc::new(log.iter().filter(|entry| entry.due.seq != seq).cloned().collect());
        }
    }

    #[must_use]
    pub(super) fn find(&self, app: App, id: MessageId) -> Option<Arc<LogEntry>> {
        self.of(app).iter().find(|entry| entry.due.id == id).cloned()
    }

    #[must_use]
    pub(super) fn len(&self) -> usize {
        self.0.lock().values().map(|log| log.len()).sum()
    }
}

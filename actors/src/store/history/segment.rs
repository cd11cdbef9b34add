//! One file of history, and the list of them that writer and readers share.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};

use super::codec;
use super::days::Day;
use super::frame::{self, Scan};
use super::index::{self, Entry};
use super::record::Record;

/// A place between records. Segments are numbered in the order they were begun and no number is
/// used twice, so a place keeps its meaning over restarts, cuts and clocks put right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Position {
    pub segment: u64,
    pub offset: u64,
}

pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) day: Day,
    /// Of the log, as far as readers may go.
    bytes: AtomicU64,
    index: RwLock<Index>,
    /// Held while an index is made anew, so that one reader does it and the others wait.
    rebuild: Mutex<()>,
}

/// Where a commit's records begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Marker {
    pub(super) commit: u64,
    pub(super) offset: u64,
}

enum Index {
    /// Of the segment being written, and of one whose index file is being made.
    Memory(Vec<Entry>),
    File,
}

impl Segment {
    /// A segment to be written.
    pub(super) fn fresh(number: u64, day: Day) -> Self {
        Self::new(number, day, 0, Index::Memory(Vec::new()))
    }

    const fn new(number: u64, day: Day, bytes: u64, index: Index) -> Self {
        Self { number, day, bytes: AtomicU64::new(bytes), index: RwLock::new(index), rebuild: Mutex::new(()) }
    }

    /// The segment a log's file name and length tell of, sealed. None for other files.
    pub(super) fn of_file(name: &str, bytes: u64) -> Option<Self> {
        let (day, number) = name.strip_suffix(".log")?.split_once('-')?;
        Some(Self::new(number.parse().ok()?, Day::parse(day)?, bytes, Index::File))
    }

    pub(super) fn log(&self, dir: &Path) -> PathBuf {
        dir.join(format!("{}-{}.log", self.day, self.number))
    }

    pub(super) fn index(&self, dir: &Path) -> PathBuf {
        dir.join(format!("{}-{}.idx", self.day, self.number))
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Acquire)
    }

    /// Lets readers see what was written.
    pub(super) fn extend(&self, bytes: u64, entries: impl Iterator<Item = Entry>) {
        if let Index::Memory(index) = &mut *self.index.write() {
            index.extend(entries);
        }
        self.bytes.store(bytes, Ordering::Release);
    }

    /// Writes the index file of a segment that has grown its last, and lets go of the memory.
    pub(super) fn seal(&self, dir: &Path) -> io::Result<()> {
        let entries = match &*self.index.read() {
            Index::Memory(entries) => entries.clone(),
            Index::File => return Ok(()),
        };
        index::write(&self.index(dir), entries, self.bytes())?;
        *self.index.write() = Index::File;
        Ok(())
    }

    /// The places of the records that may be a message's, in order.
    pub(super) fn places(&self, dir: &Path, hash: u64) -> io::Result<Vec<u32>> {
        if let Index::Memory(entries) = &*self.index.read() {
            return Ok(entries.iter().filter(|entry| entry.0 == hash).map(|entry| entry.1).collect());
        }
        let path = self.index(dir);
        if let Some(places) = index::find(&path, hash, self.bytes())? {
            return Ok(places);
        }
        let _one = self.rebuild.lock();
        if let Some(places) = index::find(&path, hash, self.bytes())? {
            return Ok(places);
        }
        tracing::warn!(index = %path.display(), "history index missing or damaged, making it anew");
        let entries = self.entries(dir)?;
        let places = entries.iter().filter(|entry| entry.0 == hash).map(|entry| entry.1).collect();
        index::write(&path, entries, self.bytes())?;
        Ok(places)
    }

    /// Every record of the log, to make its index from.
    fn entries(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        self.records(dir, 0, &mut |offset, record| {
            entries.push((index::hash(record.app, record.id), offset as u32));
        })?;
        Ok(entries)
    }

    /// Every record from `offset` on, with where it begins. Holds the file in memory meanwhile.
    pub(super) fn records(
        &self,
        dir: &Path,
        offset: u64,
        each: &mut dyn FnMut(u64, Record),
    ) -> io::Result<()> {
        let path = self.log(dir);
        let mut bytes = fs::read(&path)?;
        // What lies beyond was not written when the caller asked, or not wholly.
        bytes.truncate(usize::try_from(self.bytes()).unwrap_or(usize::MAX));
        let mut scan = Scan::new(&bytes, usize::try_from(offset).unwrap_or(usize::MAX));
        let mut unknown = 0u64;
        for (at, body) in &mut scan {
            match codec::decode(body) {
                Some(record) => each(at as u64, record),
                None if codec::marker_of(body).is_some() => {}
                None => unknown += 1,
            }
        }
        if scan.lost() > 0 || unknown > 0 {
            tracing::error!(log = %path.display(), damaged_bytes = scan.lost(), unknown_records = unknown,
                "history passed over what cannot be read");
        }
        Ok(())
    }

    /// Cuts off what follows the last intact record: a crash left it. Answers the newest marker.
    pub(super) fn cut(&self, dir: &Path) -> io::Result<Option<Marker>> {
        let path = self.log(dir);
        let bytes = fs::read(&path)?;
        let mut scan = Scan::new(&bytes, 0);
        let markers = (&mut scan)
            .filter_map(|(at, body)| Some(Marker { commit: codec::marker_of(body)?, offset: at as u64 }));
        let marker = markers.last();
        let (end, torn) = (scan.end() as u64, (bytes.len() - scan.end()) as u64);
        if torn > 0 {
            tracing::warn!(log = %path.display(), torn_bytes = torn, "history cut a torn tail");
            self.cut_at(dir, end)?;
        }
        self.bytes.store(end, Ordering::Release);
        Ok(marker)
    }

    pub(super) fn cut_at(&self, dir: &Path, offset: u64) -> io::Result<()> {
        fs::OpenOptions::new().write(true).open(self.log(dir))?.set_len(offset)?;
        self.bytes.store(offset, Ordering::Release);
        Ok(())
    }

    pub(super) fn has_index(&self, dir: &Path) -> io::Result<bool> {
        Ok(index::find(&self.index(dir), 0, self.bytes())?.is_some())
    }

    /// Makes the index file from the log.
    pub(super) fn make_index(&self, dir: &Path) -> io::Result<()> {
        index::write(&self.index(dir), self.entries(dir)?, self.bytes())
    }

    /// The record at a place an index named.
    pub(super) fn record(&self, log: &fs::File, offset: u32) -> io::Result<Option<Record>> {
        let body = frame::read(log, u64::from(offset))?;
        let record = body.as_deref().and_then(codec::decode);
        if record.is_none() {
            tracing::error!(day = %self.day, segment = self.number, offset, "history record cannot be read");
        }
        Ok(record)
    }
}

/// Oldest first. The last one is being written, unless a restart has not written yet.
pub(super) struct Segments {
    pub(super) dir: PathBuf,
    pub(super) list: RwLock<Vec<Arc<Segment>>>,
}

impl Segments {
    /// The list as it is now, oldest first.
    pub(super) fn snapshot(&self) -> Vec<Arc<Segment>> {
        self.list.read().clone()
    }

    pub(super) fn holds(&self, number: u64) -> bool {
        self.list.read().iter().any(|segment| segment.number == number)
    }
}

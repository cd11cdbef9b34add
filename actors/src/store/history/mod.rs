//! What became of every message: an append-only log a partition, kept apart from what is pending,
//! so that the one can be read whole at start and the other never is.
//!
//! ```text
//! <dir>/20261124-17.log    records, framed and checksummed; 17 counts files, over all days
//! <dir>/20261124-17.idx    hash of app and message → place, once the log has grown its last
//! ```
//!
//! A log is written by one life of the process: a restart begins the next one, so a place in a log
//! never means two things. It ends at a size, or with the day (UTC), and whole files are deleted
//! when their day is older than what is kept. Opening reads the newest log, and no other.
//!
//! A record may be written before the commit that makes it true. Such a commit has a number, a marker
//! with it in front of its records, and a row with it in its batch: when the newest marker is ahead
//! of the row, a crash came between, and a start cuts the log at that marker.
//!
//! Damage costs what it hit: a torn tail is cut at the next start, a record that does not verify is
//! passed over and logged, an index that does not verify is made anew.

mod buffer;
mod codec;
mod days;
mod feed;
mod frame;
mod index;
mod reader;
mod record;
mod segment;
pub(super) mod varint;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use carillon_sdk::{Timestamp, Ttl};
use parking_lot::RwLock;

use self::buffer::Buffer;
use self::days::Day;
use self::segment::{Marker, Segment, Segments};

pub(super) use self::codec::{platform_code, platform_of, push_type_of};
pub(super) use self::feed::{Follow, Followed};
pub use self::reader::Reader;
pub use self::record::{Channel, MessageHead, Reason, Record, Whom};
pub use self::segment::Position;

#[derive(Debug, Clone, Copy)]
pub struct HistoryLimits {
    /// A log ends when the next write would take it beyond this. A write larger than this gets a
    /// log of its own. At most [`SEGMENT_BYTES_MAX`].
    pub segment_bytes: u64,
    /// A log is deleted when its whole day lies further back than this.
    pub keep: Ttl,
}

impl Default for HistoryLimits {
    fn default() -> Self {
        Self { segment_bytes: 32 << 20, keep: Ttl::from_secs(7 * 24 * 3600) }
    }
}

/// Places in a log have 32 bits; a write that follows must fit too.
pub const SEGMENT_BYTES_MAX: u64 = 1 << 30;

/// One a partition, owned by its writer thread.
pub struct History {
    segments: Arc<Segments>,
    limits: HistoryLimits,
    active: Option<Active>,
    /// The number of the next segment.
    next: u64,
    buffer: Buffer,
    /// Logs that ended since the last sync.
    unsynced: Vec<File>,
    /// A log was begun or deleted since the last sync.
    dir_changed: bool,
    /// The newest marker that opening found.
    marker: Option<Marker>,
    /// Sorting and writing half a million entries takes tens of milliseconds, which no commit
    /// should wait for.
    sealing: Option<JoinHandle<()>>,
}

struct Active {
    segment: Arc<Segment>,
    file: File,
    /// Of the file, all of it written.
    bytes: u64,
    synced: u64,
}

impl History {
    /// Opens or makes the history in `dir`. Reads the newest log only: its torn tail is cut, and
    /// it gets its index.
    pub fn open(dir: &Path, limits: HistoryLimits, now: Timestamp) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let list = list(dir)?;
        let (mut next, mut marker) = (1, None);
        if let Some(newest) = list.last() {
            next = newest.number + 1;
            marker = newest.cut(dir)?;
            if !newest.has_index(dir)? {
                newest.make_index(dir)?;
            }
            if newest.day > Day::of(now) {
                tracing::warn!(day = %newest.day, "history is dated in the future: the clock was wrong, or is");
            }
        }
        let list = RwLock::new(list.into_iter().map(Arc::new).collect());
        Ok(Self {
            segments: Arc::new(Segments { dir: dir.to_owned(), list }),
            limits: HistoryLimits { segment_bytes: limits.segment_bytes.min(SEGMENT_BYTES_MAX), ..limits },
            active: None,
            next,
            buffer: Buffer::default(),
            unsynced: Vec::new(),
            dir_changed: true,
            marker,
            sealing: None,
        })
    }

    /// The newest commit that wrote records here, when that is known: of the newest log.
    #[must_use]
    pub fn newest_commit(&self) -> Option<u64> {
        self.marker.map(|marker| marker.commit)
    }

    /// Takes back the records of a commit that did not happen: those of the newest marker, when its
    /// number is greater than that of the last commit that did. For just after opening, before
    /// anybody reads. True when there were any.
    pub fn take_back(&mut self, last_commit: u64) -> io::Result<bool> {
        let Some(marker) = self.marker.take_if(|marker| marker.commit > last_commit) else {
            return Ok(false);
        };
        let segments = self.segments.snapshot();
        let Some(newest) = segments.last() else { return Ok(false) };
        newest.cut_at(&self.segments.dir, marker.offset)?;
        newest.make_index(&self.segments.dir)?;
        Ok(true)
    }

    /// What is appended from here on, until `write`, belongs to the commit of that number: should
    /// the commit not happen, the next start takes it back.
    pub fn begin_commit(&mut self, commit: u64) {
        self.buffer.mark(commit);
    }

    /// Takes a record into the buffer. A group too large for one frame becomes several records.
    pub fn append(&mut self, record: &Record) {
        self.buffer.append(record);
    }

    /// Writes what was appended since: to the file, which is not yet to the disk. All of it goes
    /// into one log. On an error none of it is kept, neither in a file nor in the buffer: to the
    /// caller it did not happen.
    pub fn write(&mut self) -> io::Result<()> {
        if self.buffer.bytes.is_empty() {
            return Ok(());
        }
        let result = self.write_buffer();
        self.buffer.clear();
        result
    }

    fn write_buffer(&mut self) -> io::Result<()> {
        let more = self.buffer.bytes.len() as u64;
        if more > SEGMENT_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "more than a log can take in one write"));
        }
        let day = Day::of(self.buffer.latest);
        let ends = self.active.as_ref().is_some_and(|active| {
            active.bytes > 0 && (active.bytes + more > self.limits.segment_bytes || day > active.segment.day)
        });
        if ends {
            self.end_active();
        }
        if self.active.is_none() {
            self.begin(day)?;
        }
        let Some(active) = &mut self.active else { unreachable!("begun above") };
        if let Err(error) = active.file.write_all(&self.buffer.bytes) {
            // Part of it may be there. If this fails too the tail is torn, which scans pass over.
            if let Err(error) = active.file.set_len(active.bytes) {
                tracing::error!(%error, "history could not take a failed write back");
                self.end_active();
            }
            return Err(error);
        }
        let before = active.bytes;
        active.bytes += more;
        let entries = self.buffer.entries.iter().map(|&(hash, offset)| (hash, before as u32 + offset));
        active.segment.extend(active.bytes, entries);
        Ok(())
    }

    /// Brings to the disk what `write` wrote.
    pub fn sync(&mut self) -> io::Result<()> {
        while let Some(file) = self.unsynced.last() {
            file.sync_data()?;
            self.unsynced.pop();
        }
        if let Some(active) = &mut self.active
            && active.synced < active.bytes
        {
            active.file.sync_data()?;
            active.synced = active.bytes;
        }
        if self.dir_changed {
            File::open(&self.segments.dir)?.sync_all()?;
            self.dir_changed = false;
        }
        Ok(())
    }

    /// After the last record written.
    #[must_use]
    pub fn position(&self) -> Position {
        match &self.active {
            Some(active) => Position { segment: active.segment.number, offset: active.bytes },
            None => Position { segment: self.next, offset: 0 },
        }
    }

    /// Every record written at or after `from` and still kept, in order, each with where it begins.
    /// Holds one log in memory at a time.
    pub fn replay(&self, from: Position, each: &mut dyn FnMut(Position, Record)) -> io::Result<()> {
        for segment in self.segments.snapshot() {
            let number = segment.number;
            if number < from.segment {
                continue;
            }
            let offset = if number == from.segment { from.offset } else { 0 };
            segment.records(&self.segments.dir, offset, &mut |offset, record| {
                each(Position { segment: number, offset }, record);
            })?;
        }
        Ok(())
    }

    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader(Arc::clone(&self.segments))
    }

    /// Bytes of all logs; their indexes add about a quarter.
    #[must_use]
    pub fn log_bytes(&self) -> u64 {
        self.segments.list.read().iter().map(|segment| segment.bytes()).sum()
    }

    /// Deletes the files whose whole day is older than what is kept, and says how many logs went.
    /// For a clock that is trusted. The newest log is followed by an empty one before it goes: its
    /// number must be remembered.
    pub fn retire(&mut self, now: Timestamp) -> io::Result<usize> {
        let limit = now - self.limits.keep;
        let due = |segment: &Segment| segment.day.end() <= limit;
        let newest_due = self.segments.list.read().last().is_some_and(|newest| due(newest));
        if newest_due {
            self.end_active();
            self.begin(Day::of(now))?;
        }
        let gone: Vec<_> = self.segments.snapshot().into_iter().filter(|segment| due(segment)).collect();
        if gone.is_empty() {
            return Ok(0);
        }
        self.join_sealing();
        self.segments.list.write().retain(|segment| !due(segment));
        self.dir_changed = true;
        for segment in &gone {
            remove(&segment.index(&self.segments.dir))?;
            remove(&segment.log(&self.segments.dir))?;
        }
        Ok(gone.len())
    }

    fn begin(&mut self, day: Day) -> io::Result<()> {
        let segment = Arc::new(Segment::fresh(self.next, day));
        let file =
            fs::OpenOptions::new().append(true).create_new(true).open(segment.log(&self.segments.dir))?;
        self.next += 1;
        self.dir_changed = true;
        self.segments.list.write().push(Arc::clone(&segment));
        self.active = Some(Active { segment, file, bytes: 0, synced: 0 });
        Ok(())
    }

    /// The active log grows no more; its index is written by a thread of its own.
    fn end_active(&mut self) {
        let Some(active) = self.active.take() else { return };
        if active.synced < active.bytes {
            self.unsynced.push(active.file);
        }
        self.join_sealing();
        let segments = Arc::clone(&self.segments);
        let seal = move || {
            if let Err(error) = active.segment.seal(&segments.dir) {
                tracing::warn!(%error, segment = active.segment.number, "history index stays in memory");
            }
        };
        match std::thread::Builder::new().name("history-seal".to_owned()).spawn(seal) {
            Ok(thread) => self.sealing = Some(thread),
            Err(error) => tracing::warn!(%error, "history index stays in memory until a restart"),
        }
    }

    fn join_sealing(&mut self) {
        if let Some(thread) = self.sealing.take()
            && thread.join().is_err()
        {
            tracing::error!("sealing a history log panicked; its index stays in memory");
        }
    }
}

impl Drop for History {
    fn drop(&mut self) {
        self.join_sealing();
    }
}

/// The logs in a directory, oldest first. Indexes half made, and those whose log is gone, are removed.
fn list(dir: &Path) -> io::Result<Vec<Segment>> {
    let (mut list, mut indexes) = (Vec::new(), Vec::new());
    for file in fs::read_dir(dir)? {
        let file = file?;
        let name = file.file_name();
        let Some(name) = name.to_str() else { continue };
        if name.ends_with(".idx.tmp") {
            fs::remove_file(file.path())?;
        } else if let Some(segment) = Segment::of_file(name, file.metadata()?.len()) {
            list.push(segment);
        } else if name.ends_with(".idx") {
            indexes.push(file.path());
        }
    }
    for index in indexes {
        if !index.with_extension("log").exists() {
            fs::remove_file(&index)?;
        }
    }
    list.sort_by_key(|segment| segment.number);
    Ok(list)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests;

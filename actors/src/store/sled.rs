//! The only file that knows sled. Each guard here answers something sled 0.34.7 was seen to do.
//!
//! - `flush` is `sync_file_range`, which is no promise: `fdatasync` on our own handle follows it.
//! - `apply_batch` makes more garbage for crossbeam-epoch than its collector keeps up with, and
//!   memory grows without bound: the epoch is drained after each commit. That works because our
//!   crossbeam-epoch is sled's; a test says so.
//! - A leftover `snap.*.generating` keeps it from opening: removed before.
//! - A damaged snapshot keeps it from opening: set aside, and the log is scanned instead.
//! - It opens damaged files happily, or panics while opening: opened on a thread of its own, and
//!   every value is verified by its checksum before anything is believed.
//! - It meets a full disk half way and is lost: free space is looked at before each commit.
//! - It never gives space back: rewritten at start when most of the file is dead.

use std::fs::{self, File};
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::disk::{Batch, Disk, Failed, Visit};
use crate::clock::Clock;

/// Below this much free space nothing new is taken in: what remains is for removals, history, and
/// the commits under way.
const RESERVE_BYTES: u64 = 64 << 20;

/// Key operations for which the epoch is advanced once: measured flat at twice this.
const OPS_PER_DRAIN: usize = 100;

/// A file is rewritten when it is this many times what lives in it, and larger than the floor.
const REWRITE_FACTOR: u64 = 4;
const REWRITE_FLOOR_BYTES: u64 = 256 << 20;

const COPY_BATCH: usize = 500;

pub(super) struct Sled {
    db: ::sled::Db,
    /// For `fdatasync`.
    file: File,
    dir: PathBuf,
    clock: Clock,
    /// Key operations since the epoch was last drained.
    undrained: usize,
}

impl Sled {
    /// Opens or makes the database in `dir`. Does not verify its values.
    pub(super) fn open(dir: &Path, cache_bytes: u64, clock: &Clock) -> Result<Self, Failed> {
        finish_rewrite(dir).map_err(io_failed("finish the rewrite of", dir))?;
        fs::create_dir_all(dir).map_err(io_failed("make", dir))?;
        remove_generating(dir).map_err(io_failed("list", dir))?;
        let db = match open_guarded(dir, cache_bytes) {
            Err(failed) => {
                tracing::error!(dir = %dir.display(), %failed, "a database did not open; trying without its snapshots");
                set_snapshots_aside(dir).map_err(io_failed("set snapshots aside in", dir))?;
                open_guarded(dir, cache_bytes)?
            }
            Ok(db) => db,
        };
        let file = File::open(dir.join("db")).map_err(io_failed("open db in", dir))?;
        Ok(Self { db, file, dir: dir.to_owned(), clock: clock.clone(), undrained: 0 })
    }

    /// Rewrites the database when most of its file is dead. `live` is the bytes found by reading
    /// it all.
    pub(super) fn compacted(self, live: u64, cache_bytes: u64) -> Result<Self, Failed> {
        if self.size() < REWRITE_FLOOR_BYTES || self.size() < REWRITE_FACTOR * live {
            return Ok(self);
        }
        let dir = self.dir.clone();
        let fresh = beside(&dir, "new");
        tracing::info!(dir = %dir.display(), live, size = self.size(), "rewriting a database that is mostly dead");
        {
            let mut copy = Self::open(&fresh, cache_bytes, &self.clock)?;
            let mut batch = ::sled::Batch::default();
            let mut held = 0;
            for row in self.db.iter() {
                let (key, value) = row.map_err(sled_failed("read"))?;
                batch.insert(key, value);
                held += 1;
                if held == COPY_BATCH {
                    copy.write(std::mem::take(&mut batch), held)?;
                    copy.settle();
                    held = 0;
                }
            }
            copy.write(batch, held)?;
        }
        let clock = self.clock.clone();
        drop(self);
        swap(&dir).map_err(io_failed("swap", &dir))?;
        Self::open(&dir, cache_bytes, &clock)
    }

    fn write(&mut self, batch: ::sled::Batch, ops: usize) -> Result<(), Failed> {
        self.undrained += ops;
        self.db.apply_batch(batch).map_err(sled_failed("apply a batch"))?;
        self.db.flush().map_err(sled_failed("flush"))?;
        let began = self.clock.elapsed();
        self.file.sync_data().map_err(io_failed("fdatasync db in", &self.dir))?;
        metrics::histogram!("carillon_wal_fsync_duration_seconds")
            .record(self.clock.elapsed().saturating_sub(began));
        Ok(())
    }
}

impl Disk for Sled {
    fn commit(&mut self, batch: &Batch) -> Result<(), Failed> {
        let mut into = ::sled::Batch::default();
        for (key, value) in batch.iter() {
            match value {
                Some(value) => into.insert(key, value),
                None => into.remove(key),
            }
        }
        self.write(into, batch.len())
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Failed> {
        let value = self.db.get(key).map_err(sled_failed("read"))?;
        Ok(value.map(|value| value.to_vec()))
    }

    fn range(&self, from: &[u8], to: &[u8], visit: Visit<'_>) -> Result<(), Failed> {
        if from >= to {
            return Ok(());
        }
        for row in self.db.range(from..to) {
            let (key, value) = row.map_err(sled_failed("read"))?;
            if visit(&key, &value) == ControlFlow::Break(()) {
                break;
            }
        }
        Ok(())
    }

    fn room(&self) -> bool {
        rustix::fs::statvfs(&self.dir)
            .is_ok_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) > RESERVE_BYTES)
    }

    fn size(&self) -> u64 {
        self.db.size_on_disk().unwrap_or_default()
    }

    fn settle(&mut self) {
        for _ in 0..self.undrained.div_ceil(OPS_PER_DRAIN) {
            crossbeam_epoch::pin().flush();
        }
        self.undrained = 0;
    }
}

/// On a thread of its own, where a panic of sled's ends nothing.
fn open_guarded(dir: &Path, cache_bytes: u64) -> Result<::sled::Db, Failed> {
    let config = ::sled::Config::new()
        .path(dir)
        .cache_capacity(cache_bytes)
        .flush_every_ms(None)
        .use_compression(false);
    // A database that was just dropped may hold its lock for a moment more.
    for _ in 0..LOCK_TRIES {
        let config = config.clone();
        let opening = std::thread::Builder::new().name("store-open".to_owned()).spawn(move || config.open());
        let opened = opening.map_err(io_failed("start a thread for", dir))?.join();
        match opened {
            Ok(Err(::sled::Error::Io(error))) if error.to_string().contains("lock") => {
                std::thread::sleep(LOCK_WAIT);
            }
            Ok(opened) => return opened.map_err(sled_failed("open")),
            Err(_) => return Err(Failed("sled panicked while opening".to_owned())),
        }
    }
    Err(Failed("the database is locked".to_owned()))
}

const LOCK_TRIES: u32 = 50;
const LOCK_WAIT: Duration = Duration::from_millis(20);

fn remove_generating(dir: &Path) -> io::Result<()> {
    for file in snapshots(dir)? {
        if file.extension().is_some_and(|extension| extension == "generating") {
            fs::remove_file(file)?;
        }
    }
    Ok(())
}

fn set_snapshots_aside(dir: &Path) -> io::Result<()> {
    for file in snapshots(dir)? {
        if let Some(name) = file.file_name() {
            fs::rename(&file, dir.join(format!("aside-{}", name.to_string_lossy())))?;
        }
    }
    Ok(())
}

fn snapshots(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let files =
        fs::read_dir(dir)?.map(|file| file.map(|file| file.path())).collect::<io::Result<Vec<_>>>()?;
    let is_snapshot =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("snap."));
    Ok(files.into_iter().filter(is_snapshot).collect())
}

fn beside(dir: &Path, what: &str) -> PathBuf {
    let mut name = dir.as_os_str().to_owned();
    name.push(".");
    name.push(what);
    PathBuf::from(name)
}

/// Puts the rewritten database in the place of the old one.
fn swap(dir: &Path) -> io::Result<()> {
    if let Some(parent) = dir.parent() {
        File::open(parent)?.sync_all()?;
    }
    fs::rename(dir, beside(dir, "old"))?;
    fs::rename(beside(dir, "new"), dir)?;
    if let Some(parent) = dir.parent() {
        File::open(parent)?.sync_all()?;
    }
    fs::remove_dir_all(beside(dir, "old"))
}

/// Whatever a crash left of a rewrite: only when the old one was already moved is the new one whole.
fn finish_rewrite(dir: &Path) -> io::Result<()> {
    let (old, new) = (beside(dir, "old"), beside(dir, "new"));
    if !dir.exists() && old.exists() && new.exists() {
        fs::rename(&new, dir)?;
    }
    for leftover in [old, new] {
        if leftover.exists() {
            fs::remove_dir_all(leftover)?;
        }
    }
    Ok(())
}

fn sled_failed(what: &'static str) -> impl Fn(::sled::Error) -> Failed {
    move |error| Failed(format!("{what}: {error}"))
}

fn io_failed<'a>(what: &'static str, path: &'a Path) -> impl Fn(io::Error) -> Failed + 'a {
    move |error| Failed(format!("{what} {}: {error}", path.display()))
}

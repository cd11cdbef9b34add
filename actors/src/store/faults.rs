//! A disk that fails on command: for tests of what the store does then.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::disk::{Batch, Disk, Failed, Visit};

/// The switches of any number of faulty disks. Clones are the same switches.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Switches>);

#[derive(Debug, Default)]
struct Switches {
    commits: AtomicU64,
    /// The commit at which it fails, counted from 1 over all disks; 0 never.
    write_fails_at: AtomicU64,
    sync_fails_at: AtomicU64,
    full: AtomicBool,
}

impl Faults {
    /// The commit `in_commits` from now (1: the next) fails before anything is written.
    pub fn fail_write(&self, in_commits: u64) {
        self.0.write_fails_at.store(self.commits() + in_commits, Ordering::SeqCst);
    }

    /// The commit `in_commits` from now is written, and its fsync fails.
    pub fn fail_sync(&self, in_commits: u64) {
        self.0.sync_fails_at.store(self.commits() + in_commits, Ordering::SeqCst);
    }

    /// The disk is full, until it is not.
    pub fn fill(&self, full: bool) {
        self.0.full.store(full, Ordering::SeqCst);
    }

    /// Commits made so far.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.0.commits.load(Ordering::SeqCst)
    }

    #[must_use]
    pub fn over<D: Disk + 'static>(&self, disk: D) -> Box<dyn Disk> {
        Box::new(Faulty { disk, faults: self.clone() })
    }
}

struct Faulty<D> {
    disk: D,
    faults: Faults,
}

impl<D: Disk> Disk for Faulty<D> {
    fn commit(&mut self, batch: &Batch) -> Result<(), Failed> {
        let switches = &self.faults.0;
        let number = switches.commits.fetch_add(1, Ordering::SeqCst) + 1;
        if switches.write_fails_at.load(Ordering::SeqCst) == number {
            return Err(Failed("injected: write".to_owned()));
        }
        self.disk.commit(batch)?;
        if switches.sync_fails_at.load(Ordering::SeqCst) == number {
            return Err(Failed("injected: fsync".to_owned()));
        }
        Ok(())
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Failed> {
        self.disk.get(key)
    }

    fn range(&self, from: &[u8], to: &[u8], visit: Visit<'_>) -> Result<(), Failed> {
        self.disk.range(from, to, visit)
    }

    fn room(&self) -> bool {
        !self.faults.0.full.load(Ordering::SeqCst) && self.disk.room()
    }

    fn size(&self) -> u64 {
        self.disk.size()
    }

    fn settle(&mut self) {
        self.disk.settle();
    }
}

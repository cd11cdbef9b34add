//! Opening the databases of a directory, and what is done about those that cannot be read.

use std::fs::{self, File};
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::disk::{Batch, Disk, Failed, verified};
use super::keys;
use super::load::LAYOUT;
use super::open::failed;
use super::sled::Sled;
use super::{Config, OpenError};
use crate::clock::Clock;

/// Opens every partition, each verified value by value, at the same time.
pub(super) fn open_all(config: &Config, clock: &Clock) -> Result<Vec<Box<dyn Disk>>, OpenError> {
    let dir = config.dir.join("pending");
    fs::create_dir_all(&dir).map_err(failed("make", &dir))?;
    let partitions = partitions(&config.dir, config.partitions.max(1))?;
    let cache_bytes = config.cache_bytes / partitions as u64;
    let opened: Vec<Result<Sled, OpenError>> = std::thread::scope(|scope| {
        let opening: Vec<_> = (0..partitions)
            .map(|no| {
                let dir = dir.join(no.to_string());
                scope.spawn(move || open_one(&dir, no, cache_bytes, config.strict, clock))
            })
            .collect();
        opening
            .into_iter()
            .enumerate()
            .map(|(no, thread)| thread.join().unwrap_or_else(|_| Err(panicked(no))))
            .collect()
    });
    opened.into_iter().map(|sled| sled.map(|sled| Box::new(sled) as Box<dyn Disk>)).collect()
}

fn panicked(partition: usize) -> OpenError {
    OpenError::Damaged { partition, reason: "reading it panicked".to_owned() }
}

/// The number of partitions was fixed when the directory was made.
fn partitions(dir: &Path, wanted: usize) -> Result<usize, OpenError> {
    let path = dir.join("partitions");
    match fs::read_to_string(&path) {
        Ok(text) => text.trim().parse().ok().filter(|count| *count > 0).ok_or_else(|| OpenError::Damaged {
            partition: 0,
            reason: format!("{} holds no number", path.display()),
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let new = dir.join("partitions.new");
            let write = || {
                let mut file = File::create(&new)?;
                writeln!(file, "{wanted}")?;
                file.sync_all()?;
                fs::rename(&new, &path)?;
                File::open(dir)?.sync_all()
            };
            write().map_err(failed("write", &path))?;
            Ok(wanted)
        }
        Err(error) => Err(failed("read", &path)(error)),
    }
}

fn open_one(dir: &Path, no: usize, cache_bytes: u64, strict: bool, clock: &Clock) -> Result<Sled, OpenError> {
    let damaged = |failed: Failed| OpenError::Damaged { partition: no, reason: failed.0 };
    match open_verified(dir, cache_bytes, clock) {
        Ok(sled) => Ok(sled),
        Err(failed) if strict => Err(damaged(failed)),
        Err(reason) => {
            let aside = quarantine(dir, clock).map_err(failed("set aside", dir))?;
            metrics::counter!("carillon_store_errors_total", "op" => "open", "reason" => "quarantined")
                .increment(1);
            tracing::error!(partition = no, %reason, aside = %aside.display(), "a partition cannot be read and was set aside: what waited in it is not delivered");
            open_verified(dir, cache_bytes, clock).map_err(damaged)
        }
    }
}

/// Reads every value, since sled opens damaged files happily, and may panic over them later. A
/// database that fails with its snapshots may be read without them.
fn open_verified(dir: &Path, cache_bytes: u64, clock: &Clock) -> Result<Sled, Failed> {
    let sled = Sled::open(dir, cache_bytes, clock)?;
    // Nothing of it is used after a panic.
    let live = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| verify(&sled)))
        .unwrap_or_else(|_| Err(Failed("sled panicked while it was read".to_owned())))?;
    let mut sled = sled.compacted(live, cache_bytes)?;
    mark(dir, &mut sled)?;
    Ok(sled)
}

/// Sled takes a log it cannot read for one that was never written, and opens empty. So a database
/// begins with its layout, and a file beside it says that it began.
fn mark(dir: &Path, disk: &mut dyn Disk) -> Result<(), Failed> {
    let key = keys::single(keys::LAYOUT);
    let path = dir.join("carillon");
    if disk.get(&key)?.is_none() {
        if path.exists() {
            return Err(Failed("its log cannot be read: it opened empty".to_owned()));
        }
        let mut batch = Batch::default();
        batch.put(key, LAYOUT.to_be_bytes().to_vec());
        disk.commit(&batch)?;
    }
    if !path.exists() {
        let made =
            File::create(&path).and_then(|file| file.sync_all()).and_then(|()| File::open(dir)?.sync_all());
        made.map_err(|error| Failed(format!("mark {}: {error}", dir.display())))?;
    }
    Ok(())
}

/// The bytes that live in it.
fn verify(disk: &dyn Disk) -> Result<u64, Failed> {
    let (mut live, mut damaged) = (0, None);
    disk.range(&[], &[u8::MAX; 32], &mut |key, value| match verified(key, value) {
        Ok(_) => {
            live += (key.len() + value.len()) as u64;
            ControlFlow::Continue(())
        }
        Err(failed) => {
            damaged = Some(failed);
            ControlFlow::Break(())
        }
    })?;
    damaged.map_or(Ok(live), Err)
}

fn quarantine(dir: &Path, clock: &Clock) -> std::io::Result<PathBuf> {
    let mut name = dir.as_os_str().to_owned();
    name.push(format!(".quarantine-{}", clock.now().as_millis()));
    let aside = PathBuf::from(name);
    fs::rename(dir, &aside)?;
    Ok(aside)
}

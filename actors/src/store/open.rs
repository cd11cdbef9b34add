//! Opening a store: the lock, the databases, one scan of each, the threads.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use parking_lot::Mutex;
use tokio::sync::watch;

use super::credential::Keyring;
use super::disk::{Disk, Rows};
use super::history::{History, HistoryLimits};
use super::intake::{Intake, IntakeLimits};
use super::load::{self, Loaded};
use super::partition::{Partition, lazy_wait};
use super::port::Job;
use super::queues::Queues;
use super::recover;
use super::shared::{Port, Shared};
use super::{Config, Hints, OpenError, Store};
use crate::clock::Clock;
use crate::limits::Limits;

/// Look-ups in history that may wait.
const JOBS_MAX: usize = 1_024;

/// What the last clone of a store ends when it goes.
pub(super) struct Handle {
    pub shared: Arc<Shared>,
    pub jobs: SyncSender<Job>,
    /// Of each partition's thread: closed when it has ended.
    pub ended: Vec<watch::Receiver<()>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Held while the directory is ours.
    _lock: Option<File>,
}

/// What a store is made of, when a test makes it.
pub struct Parts {
    /// One a partition.
    pub disks: Vec<Box<dyn Disk>>,
    /// Where history goes.
    pub dir: PathBuf,
    pub master: [u8; 32],
    pub limits: Limits,
    pub clock: Clock,
    pub hints: Arc<dyn Hints>,
    /// Called on a partition's thread when it panics.
    pub on_death: Arc<dyn Fn() + Send + Sync>,
}

impl Store {
    /// Opens or makes the store in `config.dir` on sled, one writer thread a partition. A panic in
    /// one ends the process: what a doubtful thread held cannot be trusted.
    pub fn open(
        config: &Config,
        limits: &Limits,
        clock: &Clock,
        hints: Arc<dyn Hints>,
    ) -> Result<Self, OpenError> {
        fs::create_dir_all(&config.dir).map_err(failed("make the data directory", &config.dir))?;
        let lock = lock(&config.dir)?;
        let disks = recover::open_all(config, clock)?;
        let parts = Parts {
            disks,
            dir: config.dir.clone(),
            master: config.master,
            limits: limits.clone(),
            clock: clock.clone(),
            hints,
            on_death: Arc::new(|| {
                tracing::error!(
                    "a partition of the store died; the process ends and starts again from the disk"
                );
                std::process::exit(70);
            }),
        };
        Self::build(parts, Some(lock))
    }

    /// The same on disks of the caller's, without a lock: for tests.
    #[doc(hidden)]
    pub fn open_with(parts: Parts) -> Result<Self, OpenError> {
        Self::build(parts, None)
    }

    fn build(parts: Parts, lock: Option<File>) -> Result<Self, OpenError> {
        let Parts { disks, dir, master, limits, clock, hints, on_death } = parts;
        let now = clock.now();
        let mut histories = Vec::with_capacity(disks.len());
        for no in 0..disks.len() {
            let dir = dir.join("history").join(no.to_string());
            let keep = HistoryLimits { keep: limits.history_keep, ..HistoryLimits::default() };
            histories.push(History::open(&dir, keep, now).map_err(failed("open history", &dir))?);
        }
        let intake = IntakeLimits {
            app_max: limits.intake_app_max,
            take_max: limits.commit_ops_max,
            lazy_wait: lazy_wait(limits.removal_wait_ms),
        };
        let ports = histories.iter().map(|history| Port {
            intake: Intake::new(intake),
            queues: Arc::new(Queues::default()),
            reader: history.reader(),
            concluded: Mutex::new(history.position()),
            seen: Mutex::default(),
            disk_bytes: AtomicU64::new(0),
        });
        let shared = Arc::new(Shared {
            dir,
            ports: ports.collect(),
            limits,
            hints,
            on_death,
            keyring: Keyring::new(&master),
            tenants: Default::default(),
            sessions: Default::default(),
            nonces: Mutex::default(),
            answers: Arc::default(),
            logs: Default::default(),
            objects: Default::default(),
            roads: Default::default(),
            bells: Default::default(),
            handed: Mutex::default(),
            revoked: Default::default(),
            started_at: now,
            feeds: Default::default(),
            tasks: Default::default(),
            failure: Default::default(),
            seq: AtomicU64::new(0),
            // Greater than any number of an earlier process, whatever that one counted.
            epoch: AtomicU64::new(now.as_millis() << 20),
            abandoned: AtomicBool::new(false),
            clock,
        });
        let rows: Vec<Rows> = disks.into_iter().map(Rows::new).collect();
        let loaded = load::load(&shared, rows, histories, now)?;
        start(&shared, loaded, lock)
    }
}

fn start(shared: &Arc<Shared>, loaded: Vec<Loaded>, lock: Option<File>) -> Result<Store, OpenError> {
    let (jobs, waiting) = sync_channel(JOBS_MAX);
    let mut handle = Handle {
        shared: Arc::clone(shared),
        jobs,
        ended: Vec::new(),
        threads: Mutex::default(),
        _lock: lock,
    };
    let spawn = |name: String, body: Box<dyn FnOnce() + Send>| {
        std::thread::Builder::new()
            .name(name)
            .spawn(body)
            .map_err(failed("start a thread for", Path::new("store")))
    };
    for (no, loaded) in loaded.into_iter().enumerate() {
        let partition = Partition::new(no, Arc::clone(shared), loaded);
        let (alive, ended) = watch::channel(());
        let body = move || {
            let _alive = alive;
            partition.run();
        };
        let thread = spawn(format!("store-{no}"), Box::new(body))?;
        handle.ended.push(ended);
        handle.threads.get_mut().push(thread);
    }
    let reading = Arc::clone(shared);
    let thread = spawn("store-reader".to_owned(), Box::new(move || read(&reading, waiting)))?;
    handle.threads.get_mut().push(thread);
    Ok(Store(Arc::new(handle)))
}

/// The thread that reads history's files, which no arbiter may.
#[expect(clippy::needless_pass_by_value, reason = "the thread's end is the receiver's")]
fn read(shared: &Shared, waiting: Receiver<Job>) {
    let readers: Vec<_> = shared.ports.iter().map(|port| port.reader.clone()).collect();
    for job in waiting.iter() {
        job(&readers);
    }
}

impl Drop for Handle {
    /// As a kill would: what was not answered may be lost, and the directory is free after.
    fn drop(&mut self) {
        self.shared.abandoned.store(true, Ordering::Release);
        for port in &self.shared.ports {
            port.intake.abandon();
        }
        let (closed, _) = sync_channel(0);
        self.jobs = closed;
        let this = std::thread::current().id();
        for thread in self.threads.get_mut().drain(..) {
            if thread.thread().id() != this && thread.join().is_err() {
                tracing::error!("a thread of the store had panicked");
            }
        }
    }
}

fn lock(dir: &Path) -> Result<File, OpenError> {
    let path = dir.join("lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(failed("open the lock file", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked),
        Err(TryLockError::Error(source)) => Err(OpenError::Io { what: "take the lock file", path, source }),
    }
}

pub(super) fn failed<'a>(what: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> OpenError + 'a {
    move |source| OpenError::Io { what, path: path.to_owned(), source }
}

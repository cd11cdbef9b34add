//! One scan of everything at start: the memory of the store, made from its rows.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ahash::{AHashMap, AHashSet};
use carillon_sdk::Timestamp;

use super::decided::Decided;
use super::directory::OfApp;
use super::disk::{Failed, Rows};
use super::history::History;
use super::keys;
use super::log::{LogEntry, Mark, Reach, Rule, chunks_of, encode as encode_chunk};
use super::partition::Partition;
use super::pending::{Desk, Owed, Pending, PendingLimits};
use super::rows::{
    AnswerRow, AppRow, BroadcastRow, DeviceRow, KeyRow, MessageRow, PendingRow, decode, encode,
};
use super::shared::Shared;
use super::stats::{Cursor, Window};
use super::tokens::{Found, old_tokens};
use super::work::Work;
use super::{Idempotency, OpenError};
use crate::audience::Audience;
use crate::encoded::Encoded;
use crate::model::{Owner, Seq};

/// The layout of keys and values this build reads and writes.
pub(super) const LAYOUT: u32 = 1;

/// A partition, read.
pub(super) struct Loaded {
    pub rows: Rows,
    pub history: History,
    pub window: Window,
    pub decided: Decided,
    pub pending: Pending,
    pub promised: Seq,
    pub commits: u64,
    pub work: Work,
}

impl Partition {
    #[must_use]
    pub(super) fn new(no: usize, shared: Arc<Shared>, loaded: Loaded) -> Self {
        let Loaded { rows, history, window, decided, pending, promised, commits, work } = loaded;
        Self {
            no,
            shared,
            rows,
            history,
            window,
            decided,
            pending,
            promised,
            drawn: promised,
            commits,
            latest: work.now,
            room: true,
            sweeping: Default::default(),
            reported: Default::default(),
            outs: Default::default(),
        }
    }
}

/// Reads all partitions. Rows that name others come after them: apps, then users, then devices,
/// then what waits.
pub(super) fn load(
    shared: &Shared,
    rows: Vec<Rows>,
    histories: Vec<History>,
    now: Timestamp,
) -> Result<Vec<Loaded>, OpenError> {
    let damaged = |partition| move |failed: Failed| OpenError::Damaged { partition, reason: failed.0 };
    let mut loaded = Vec::with_capacity(rows.len());
    for (no, (mut rows, history)) in rows.into_iter().zip(histories).enumerate() {
        check_layout(&mut rows, no)?;
        apps(shared, &rows).map_err(damaged(no))?;
        loaded.push((rows, history));
    }
    for (no, (rows, _)) in loaded.iter().enumerate() {
        users(shared, rows).map_err(damaged(no))?;
    }
    for (no, (rows, _)) in loaded.iter_mut().enumerate() {
        devices(shared, rows).map_err(damaged(no))?;
    }
    let mut tokens = Found::default();
    for (no, (rows, _)) in loaded.iter().enumerate() {
        tokens.read(shared, rows).map_err(damaged(no))?;
    }
    for device in tokens.losers {
        let (rows, _) = &mut loaded[shared.partition_of_device(device.0)];
        let mut batch = super::disk::Batch::default();
        batch.delete(keys::token(device.0, device.1));
        rows.commit(&batch).map_err(damaged(shared.partition_of_device(device.0)))?;
    }
    // What waits is most of it, and each partition's its own.
    std::thread::scope(|scope| {
        let reading: Vec<_> = (loaded.into_iter().enumerate())
            .map(|(no, (rows, history))| scope.spawn(move || partition(shared, no, rows, history, now)))
            .collect();
        let panicked = |_| Err(Failed("reading it panicked".to_owned()));
        let read = reading.into_iter().map(|thread| thread.join().unwrap_or_else(panicked));
        read.enumerate().map(|(no, read)| read.map_err(damaged(no))).collect()
    })
}

fn check_layout(rows: &mut Rows, partition: usize) -> Result<(), OpenError> {
    let damaged = |failed: Failed| OpenError::Damaged { partition, reason: failed.0 };
    let key = keys::single(keys::LAYOUT);
    match rows.get(&key).map_err(damaged)? {
        Some(bytes) => {
            let found = bytes.first_chunk().map_or(0, |version| u32::from_be_bytes(*version));
            if found != LAYOUT {
                return Err(OpenError::Layout { found, expected: LAYOUT });
            }
            Ok(())
        }
        None => {
            let mut batch = super::disk::Batch::default();
            batch.put(key, LAYOUT.to_be_bytes().to_vec());
            rows.commit(&batch).map_err(damaged)
        }
    }
}

fn partition(
    shared: &Shared,
    no: usize,
    mut rows: Rows,
    mut history: History,
    now: Timestamp,
) -> Result<Loaded, Failed> {
    let promised = number(&rows, keys::SEQ)?.unwrap_or(0);
    let commits = take_back(&mut rows, &mut history, no)?;
    shared.seq.fetch_max(promised, Ordering::SeqCst);
    revoked_tasks(shared, &rows)?;
    objects(shared, &rows)?;
    tasks(shared, &rows)?;
    answers(shared, &rows)?;
    nonces(shared, &rows)?;
    let mut work = Work::new(now);
    let mut pending = Pending::new(Arc::clone(&shared.ports[no].queues), limits(shared));
    broadcasts(shared, &rows, &mut pending)?;
    let (mut window, mut decided) = window(&rows, &history)?;
    decided.groups().for_each(|(app, id, devices)| {
        if let Some(entry) = shared.logs.find(app, id) {
            entry.settle(devices);
        }
    });
    queues(shared, &rows, &mut pending, &mut decided, &mut work)?;
    let before = history.position();
    let records = work.records.drain(..);
    work.records = records.filter_map(|record| decided.news(record)).collect();
    work.records.iter().for_each(|record| history.append(record));
    let written = history.write().and_then(|()| history.sync());
    written.map_err(|error| Failed(format!("write history: {error}")))?;
    work.records.drain(..).for_each(|record| window.count(&record, before));
    shared.ports[no].disk_bytes.store(rows.size(), Ordering::Relaxed);
    Ok(Loaded { rows, history, window, decided, pending, promised: Seq(promised), commits, work })
}

fn number(rows: &Rows, kind: u8) -> Result<Option<u64>, Failed> {
    let bytes = rows.get(&keys::single(kind))?;
    Ok(bytes.and_then(|bytes| bytes.first_chunk().map(|number| u64::from_be_bytes(*number))))
}

/// Cuts off the history of a commit that did not happen, before anything reads it. Gives the number
/// of the last one that did. Rows without a number are an older build's, or new ones beside an old
/// history: then all of it counts.
fn take_back(rows: &mut Rows, history: &mut History, no: usize) -> Result<u64, Failed> {
    let Some(commits) = number(rows, keys::COMMIT)? else {
        let commits = history.newest_commit().unwrap_or(0);
        let mut batch = super::disk::Batch::default();
        batch.put(keys::single(keys::COMMIT), commits.to_be_bytes().to_vec());
        rows.commit(&batch)?;
        return Ok(commits);
    };
    let taken = history.take_back(commits).map_err(|error| Failed(format!("cut history: {error}")))?;
    if taken {
        tracing::warn!(partition = no, commits, "history of a commit that a crash cut off was taken back");
    }
    Ok(commits)
}

fn limits(shared: &Shared) -> PendingLimits {
    let limits = &shared.limits;
    PendingLimits {
        count_max: limits.pending_max,
        bytes_max: limits.pending_bytes_max,
        repeat_keep: limits.idempotency_keep,
        grace: carillon_sdk::Ttl::from_millis(2 * limits.ack_timeout.as_millis()),
    }
}

/// Visits the rows of a kind until one cannot be read.
fn each(
    rows: &Rows,
    kind: u8,
    mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), Failed>,
) -> Result<(), Failed> {
    let (from, to) = keys::of_kind(kind);
    let mut result = Ok(());
    rows.range(&from, &to, &mut |key, value| {
        result = visit(key, value);
        if result.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    result
}

fn no_key() -> Failed {
    Failed("a key that cannot be read".to_owned())
}

fn apps(shared: &Shared, rows: &Rows) -> Result<(), Failed> {
    each(rows, keys::APP, |key, value| {
        let app = key.get(1..).and_then(|app| app.first_chunk()).ok_or_else(no_key)?;
        shared.tenants.insert(crate::model::App(u32::from_be_bytes(*app)), decode::<AppRow>(value)?);
        Ok(())
    })?;
    each(rows, keys::KEY, |_, value| {
        shared.tenants.insert_key(&decode::<KeyRow>(value)?);
        Ok(())
    })
}

/// Rows of an app that is not there (partition 0 was lost) are left alone, and its number and
/// theirs stay taken.
fn users(shared: &Shared, rows: &Rows) -> Result<(), Failed> {
    each(rows, keys::USER, |key, value| {
        let user = keys::parse_user(key).ok_or_else(no_key)?;
        shared.tenants.skip(user.app);
        if let Some(people) = shared.tenants.get(user.app) {
            people.restore_user(user.ordinal, decode(value)?);
        }
        Ok(())
    })
}

fn devices(shared: &Shared, rows: &mut Rows) -> Result<(), Failed> {
    // A build before this kept a device's tokens in its row.
    let mut moved = super::disk::Batch::default();
    each(rows, keys::DEVICE, |key, value| {
        let device = keys::parse_device(key).ok_or_else(no_key)?;
        shared.tenants.skip(device.app);
        let mut row = decode::<Option<DeviceRow>>(value)?;
        if let Some(row) = &mut row
            && !row.vendor.is_empty()
        {
            for (vendor, token) in old_tokens(row) {
                moved.put(keys::token(device, vendor), encode(&token));
            }
            moved.put(keys::Key::from_slice(key), encode(&Some(&*row)));
        }
        if let Some(people) = shared.tenants.get(device.app) {
            people.restore(device.ordinal, row);
        }
        Ok(())
    })?;
    if moved.is_empty() { Ok(()) } else { rows.commit(&moved) }
}

fn broadcasts(shared: &Shared, rows: &Rows, pending: &mut Pending) -> Result<(), Failed> {
    let mut unrecorded = Vec::new();
    each(rows, keys::BROADCAST, |key, value| {
        let (app, seq) = keys::parse_broadcast(key).ok_or_else(no_key)?;
        shared.tenants.skip(app);
        let row: BroadcastRow = decode(value)?;
        let due = Arc::new(Encoded::new(&row.message, None, seq, None));
        if row.reach == Reach::Unrecorded {
            unrecorded.push((app, seq, row));
        } else {
            let entry = LogEntry::new(Arc::new(row.message), due, row.reach);
            entry.found(row.revoked);
            shared.logs.push(Arc::new(entry));
        }
        Ok(())
    })?;
    for (app, seq, row) in unrecorded {
        if let Some(people) = shared.tenants.get(app) {
            record_reach(shared, &people, seq, row, pending);
        }
    }
    for kind in [keys::SETTLED, keys::MARKS] {
        each(rows, kind, |key, value| {
            let (app, seq, mark) = keys::parse_chunk(key).ok_or_else(no_key)?;
            match shared.logs.of(app).iter().find(|entry| entry.due.seq == seq) {
                Some(entry) => entry.restore(mark, value),
                None => Ok(()),
            }
        })?;
    }
    Ok(())
}

/// A broadcast of a build that did not say whom it had been let go to: the devices there are now.
fn record_reach(shared: &Shared, people: &OfApp, seq: Seq, row: BroadcastRow, pending: &mut Pending) {
    let app = people.app;
    let judged = people.judge(&Audience::Everybody);
    let reach =
        Reach::Rule(Rule { audience: Audience::Everybody, known: judged.known, vacant: judged.vacant });
    let due = Arc::new(Encoded::new(&row.message, None, seq, None));
    let entry = Arc::new(LogEntry::new(Arc::new(row.message.clone()), due, reach.clone()));
    for chunk in chunks_of(&judged.fitting) {
        let key = keys::chunk(app, seq, Mark::Released, chunk);
        pending.owe(Owed::Put { key, value: encode_chunk(&judged.fitting, chunk) });
    }
    let value = encode(&BroadcastRow { reach, ..row });
    pending.owe(Owed::Put { key: keys::broadcast(app, seq), value });
    entry.release(&judged.fitting, seq);
    entry.found(false);
    shared.logs.push(entry);
}

fn revoked_tasks(shared: &Shared, rows: &Rows) -> Result<(), Failed> {
    each(rows, keys::REVOKED, |key, value| {
        let (app, task) = keys::parse_revoked(key).ok_or_else(no_key)?;
        shared.revoked.insert(app, task, decode(value)?, false);
        Ok(())
    })
}

fn objects(shared: &Shared, rows: &Rows) -> Result<(), Failed> {
    each(rows, keys::OBJECT, |key, value| {
        let (app, kind, id) = keys::parse_object(key).ok_or_else(no_key)?;
        shared.tenants.skip(app);
        shared.objects.restore(app, kind, id, value)
    })
}

fn tasks(shared: &Shared, rows: &Rows) -> Result<(), Failed> {
    each(rows, keys::TASK, |key, value| {
        let (app, task) = keys::parse_task(key).ok_or_else(no_key)?;
        shared.tasks.restore(app, task, value)
    })
}

fn answers(shared: &Shared, rows: &Rows) -> Result<(), Failed> {
    each(rows, keys::ANSWER, |key, value| {
        let (app, hash) = keys::parse_answer(key).ok_or_else(no_key)?;
        let row: AnswerRow = decode(value)?;
        // Those whose time is over too: a sweep then finds and drops their rows.
        shared.answers.give(app, &Idempotency { key: hash, body: row.body }, row.answer, row.until);
        Ok(())
    })
}

fn nonces(shared: &Shared, rows: &Rows) -> Result<(), Failed> {
    each(rows, keys::NONCE, |key, _| {
        let (bucket, hash) = keys::parse_nonce(key).ok_or_else(no_key)?;
        shared.nonces.lock().restore(bucket, hash);
        Ok(())
    })
}

/// What waits: the messages first, for what only they know.
fn queues(
    shared: &Shared,
    rows: &Rows,
    pending: &mut Pending,
    decided: &mut Decided,
    work: &mut Work,
) -> Result<(), Failed> {
    let mut still_pending = AHashSet::new();
    let mut collapse: AHashMap<Seq, Arc<str>> = AHashMap::new();
    each(rows, keys::MESSAGE, |key, value| {
        let (_, seq) = keys::parse_message(key).ok_or_else(no_key)?;
        let row: MessageRow = decode(value)?;
        shared.seq.fetch_max(seq.0, Ordering::SeqCst);
        pending.restore_message(seq, &row.owners);
        if let Some(key) = row.message.collapse_key {
            collapse.insert(seq, Arc::from(key));
        }
        Ok(())
    })?;
    for kind in [keys::DEVICE_PENDING, keys::USER_PENDING] {
        let mut orphaned = Vec::new();
        each(rows, kind, |key, value| {
            let (owner, lane, seq) = keys::parse_pending(key).ok_or_else(no_key)?;
            let row = PendingRow::decode(value)?;
            if decided.names(row.id) {
                still_pending.insert(row.id);
            }
            shared.tenants.skip(owner.app());
            let Some(people) = shared.tenants.get(owner.app()) else { return Ok(()) };
            match owner {
                Owner::User(user) => people.skip_users(user.ordinal),
                Owner::Device(device) if !people.is_registered(device.ordinal) => orphaned.push(device),
                Owner::Device(_) => {}
            }
            let mut desk = Desk { rows, people: &people, work };
            pending.restore(&mut desk, owner, (lane, seq, row), collapse.get(&seq));
            Ok(())
        })?;
        orphaned.dedup();
        // Deleted, and the process ended before what waited for it was rejected.
        for device in orphaned {
            if let Some(people) = shared.tenants.get(device.app) {
                people.skip_devices(device.ordinal);
                pending.forget(&mut Desk { rows, people: &people, work }, device, None)?;
            }
        }
    }
    decided.keep(&still_pending);
    Ok(())
}

/// The statistics of the minutes that no row holds, counted again from history, and the verdicts
/// found on the way.
fn window(rows: &Rows, history: &History) -> Result<(Window, Decided), Failed> {
    let cursor = match rows.get(&keys::single(keys::CURSOR))? {
        Some(bytes) => decode::<Cursor>(&bytes)?,
        None => Cursor::default(),
    };
    let (mut window, mut decided) = (Window::new(cursor), Decided::default());
    let replayed = history.replay(cursor.replay_from, &mut |place, record| {
        if let Some(record) = decided.read(record) {
            window.count(&record, place);
        }
    });
    replayed.map_err(|error| Failed(format!("read history: {error}")))?;
    Ok((window, decided))
}

use std::fs;
use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;

use super::super::disk::{Batch, Disk};
use super::super::keys::Key;
use super::super::sled::Sled;
use super::super::{Config, Hints, OpenError, Store};
use super::harness::{Heard, START, wait};
use crate::clock::Clock;
use crate::limits::Limits;

fn clock() -> Clock {
    Clock::manual(START)
}

fn filled(dir: &Path) {
    let mut sled = Sled::open(dir, 8 << 20, &clock()).unwrap();
    for commit in 0..50u32 {
        let mut batch = Batch::default();
        for n in 0..40 {
            batch.put(Key::from_slice(&(commit * 40 + n).to_be_bytes()), vec![7; 300]);
        }
        sled.commit(&batch).unwrap();
        sled.settle();
    }
}

fn count(dir: &Path) -> usize {
    let sled = Sled::open(dir, 8 << 20, &clock()).unwrap();
    let mut count = 0;
    sled.range(&[], &[255; 8], &mut |_, _| {
        count += 1;
        std::ops::ControlFlow::Continue(())
    })
    .unwrap();
    count
}

fn snapshots(dir: &Path) -> Vec<std::path::PathBuf> {
    let files = fs::read_dir(dir).unwrap().map(|file| file.unwrap().path());
    files.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("snap.")).collect()
}

#[test]
fn a_leftover_generating_snapshot_does_not_keep_it_from_opening() {
    let dir = TempDir::new().unwrap();
    filled(dir.path());
    fs::write(dir.path().join("snap.FFFFFFFFFFFFFFF0.generating"), b"half").unwrap();
    assert_eq!(count(dir.path()), 2_000);
}

#[test]
fn a_damaged_snapshot_is_set_aside_and_the_log_read_instead() {
    let dir = TempDir::new().unwrap();
    filled(dir.path());
    count(dir.path());
    let found = snapshots(dir.path());
    assert!(!found.is_empty(), "sled writes one when it opens");
    for file in found {
        let bytes = fs::read(&file).unwrap();
        fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    }
    assert_eq!(count(dir.path()), 2_000);
}

fn open(dir: &Path, strict: bool) -> Result<Store, OpenError> {
    let config = Config { dir: dir.to_owned(), partitions: 1, cache_bytes: 8 << 20, strict, master: [1; 32] };
    let hints: Arc<dyn Hints> = Arc::new(Heard::default());
    Store::open(&config, &Limits::default(), &clock(), hints)
}

fn damage(dir: &Path) {
    let db = dir.join("pending/0/db");
    let mut bytes = fs::read(&db).unwrap();
    // Here and there, since much of the file is dead.
    for byte in bytes.iter_mut().step_by(1_000) {
        *byte ^= 0x5a;
    }
    fs::write(&db, bytes).unwrap();
}

#[test]
fn a_partition_that_cannot_be_read_stops_a_strict_start_and_is_set_aside_otherwise() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path(), true).unwrap();
    for n in 0..300 {
        let body = carillon_sdk::api::CreateApp {
            app_id: carillon_sdk::AppId::parse(&format!("app{n}")).unwrap(),
            workspace_id: carillon_sdk::WorkspaceId::parse("test").unwrap(),
            name: Some("x".repeat(1_000)),
        };
        wait(store.create_app(body, None)).unwrap();
    }
    wait(store.close());
    drop(store);
    damage(dir.path());
    assert!(matches!(open(dir.path(), true), Err(OpenError::Damaged { partition: 0, .. })));
    let store = open(dir.path(), false).unwrap();
    assert!(store.apps().is_empty());
    let aside = fs::read_dir(dir.path().join("pending")).unwrap();
    let aside =
        aside.filter(|file| file.as_ref().unwrap().file_name().to_string_lossy().contains("quarantine"));
    assert_eq!(aside.count(), 1);
}

#[test]
fn another_layout_is_refused() {
    let dir = TempDir::new().unwrap();
    drop(open(dir.path(), true).unwrap());
    let mut sled = Sled::open(&dir.path().join("pending/0"), 8 << 20, &clock()).unwrap();
    let mut batch = Batch::default();
    batch.put(Key::from_slice(b"v"), 9u32.to_be_bytes().to_vec());
    sled.commit(&batch).unwrap();
    drop(sled);
    assert!(matches!(open(dir.path(), true), Err(OpenError::Layout { found: 9, expected: 1 })));
}

/// The drain after each commit reaches sled's garbage only while both use one crossbeam-epoch.
#[test]
fn there_is_one_collector_of_epochs() {
    let lock = include_str!("../../../../Cargo.lock");
    assert_eq!(lock.matches("name = \"crossbeam-epoch\"\n").count(), 1);
}

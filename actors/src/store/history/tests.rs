use std::collections::BTreeSet;
use std::path::PathBuf;

use carillon_sdk::MessageId;
use carillon_sdk::api::{Platform, Step};
use carillon_sdk::wire::Lane;
use proptest::prelude::*;
use roaring::RoaringBitmap;

use super::*;
use crate::model::{App, PushType};

mod following;

const DAY: u64 = 86_400_000;
/// 2025-11-27, midnight.
const MIDNIGHT: u64 = 1_764_201_600_000;
const NOON: u64 = MIDNIGHT + DAY / 2;

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn id(byte: u8) -> MessageId {
    MessageId::from_bytes([byte; 16])
}

fn record(message: u8, ordinal: u32, millis: u64) -> Record {
    Record {
        at: at(millis),
        app: App(1),
        id: id(message),
        push_type: PushType::Single,
        task: None,
        step: Step::Sent,
        whom: Whom::Device(ordinal),
        platform: Some(Platform::Android),
        app_version: Some("1.2.3".into()),
        channel: Channel::Own,
        reason: None,
        detail: None,
        message: None,
    }
}

fn open(dir: &Path, segment_bytes: u64) -> History {
    let limits = HistoryLimits { segment_bytes, keep: Ttl::from_millis(7 * DAY) };
    History::open(dir, limits, at(NOON)).unwrap()
}

fn write(history: &mut History, records: &[Record]) {
    records.iter().for_each(|record| history.append(record));
    history.write().unwrap();
}

fn replayed(history: &History, from: Position) -> Vec<Record> {
    let mut records = Vec::new();
    history.replay(from, &mut |_, record| records.push(record)).unwrap();
    records
}

fn found(history: &History, message: u8) -> Vec<Record> {
    history.reader().find(App(1), id(message)).unwrap()
}

fn files(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(dir).unwrap().map(|file| file.unwrap().path());
    let files: BTreeSet<_> = files.filter(|path| path.to_str().unwrap().ends_with(ending)).collect();
    files.into_iter().collect()
}

fn any_record() -> impl Strategy<Value = Record> {
    let steps = [
        Step::Accepted,
        Step::Sent,
        Step::Delivered,
        Step::Expired,
        Step::Revoked,
        Step::Replaced,
        Step::Rejected,
        Step::Shown,
        Step::Opened,
        Step::Dismissed,
    ];
    let platforms = Platform::ALL;
    let push_types = [PushType::Single, PushType::Multiple, PushType::Broadcast, PushType::Template];
    let whom = prop_oneof![
        any::<u32>().prop_map(Whom::Device),
        any::<u32>().prop_map(Whom::User),
        proptest::collection::vec(any::<u32>(), 0..20)
            .prop_map(|some| Whom::Group(some.into_iter().collect())),
    ];
    let head = (prop::sample::select(vec![Lane::High, Lane::Normal, Lane::Bulk]), any::<u64>())
        .prop_map(|(lane, expires)| MessageHead { lane, expires_at: at(expires), silent: expires % 2 == 0 });
    let what = (
        prop::sample::select(steps.to_vec()),
        prop::option::of(prop::sample::select(platforms.to_vec())),
        prop::option::of("[^\\x00]{1,20}"),
        prop::option::of(prop::sample::select(Reason::ALL.to_vec())),
        prop::option::of(head),
        prop::sample::select(push_types.to_vec()),
    );
    (MIDNIGHT..MIDNIGHT + 3 * DAY, 0u32..2, 0u8..4, whom, what).prop_map(
        |(millis, app, message, whom, (step, platform, version, reason, message_head, push_type))| Record {
            at: at(millis),
            app: App(app),
            id: id(message),
            push_type,
            task: (millis % 3 == 0).then_some(crate::model::Task(millis)),
            step,
            whom,
            platform,
            app_version: version.map(Into::into),
            channel: Channel::from_code((millis % 11) as u8).unwrap_or_default(),
            reason,
            detail: (millis % 5 == 0).then(|| format!("slm{millis}").into()),
            message: message_head,
        },
    )
}

/// Batches, each followed or not by a restart.
fn any_history() -> impl Strategy<Value = Vec<(Vec<Record>, bool)>> {
    let batch = (proptest::collection::vec(any_record(), 0..8), any::<bool>());
    proptest::collection::vec(batch, 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_record_is_replayed_and_found_in_order_across_rolls_days_and_restarts(
        batches in any_history(),
        segment_bytes in prop::sample::select(vec![1u64, 300, 1 << 20]),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut history = open(dir.path(), segment_bytes);
        let (mut all, mut places) = (Vec::new(), vec![(Position::default(), 0)]);
        for (batch, restart) in &batches {
            places.push((history.position(), all.len()));
            write(&mut history, batch);
            all.extend(batch.iter().cloned());
            if *restart {
                drop(history);
                history = open(dir.path(), segment_bytes);
            }
        }
        places.push((history.position(), all.len()));
        prop_assert!(places.is_sorted());
        for (place, written) in places {
            prop_assert_eq!(replayed(&history, place), &all[written..]);
        }
        for app in 0..2 {
            for message in 0..5 {
                let of_it = |record: &&Record| record.app == App(app) && record.id == id(message);
                let expected: Vec<_> = all.iter().filter(of_it).cloned().collect();
                prop_assert_eq!(history.reader().find(App(app), id(message)).unwrap(), expected);
            }
        }
    }

    #[test]
    fn replay_says_where_each_record_begins(batches in any_history()) {
        let dir = tempfile::tempdir().unwrap();
        let mut history = open(dir.path(), 300);
        batches.iter().for_each(|(batch, _)| write(&mut history, batch));
        let mut all = Vec::new();
        history.replay(Position::default(), &mut |place, record| all.push((place, record))).unwrap();
        for (number, (place, _)) in all.iter().enumerate() {
            let rest: Vec<_> = all[number..].iter().map(|(_, record)| record.clone()).collect();
            prop_assert_eq!(replayed(&history, *place), rest);
        }
    }

    #[test]
    fn garbage_is_neither_a_record_nor_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        drop(codec::decode(&bytes));
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("20251127-4.log"), &bytes).unwrap();
        let history = open(dir.path(), 300);
        prop_assert_eq!(replayed(&history, Position::default()), []);
        prop_assert_eq!(history.log_bytes(), 0);
    }

    #[test]
    fn a_record_with_a_changed_byte_never_panics_the_decoder(
        record in any_record(), place in any::<prop::sample::Index>(), change in 1u8..,
    ) {
        let mut body = Vec::new();
        codec::encode(&record, &mut body);
        prop_assert_eq!(codec::decode(&body), Some(record));
        let place = place.index(body.len());
        body[place] ^= change;
        drop(codec::decode(&body));
        drop(codec::decode(&body[..place]));
    }
}

#[test]
fn a_record_is_pinned_byte_for_byte() {
    let full = Record {
        step: Step::Accepted,
        reason: Some(Reason::QueueFull),
        message: Some(MessageHead { lane: Lane::Normal, expires_at: at(300), silent: false }),
        ..record(0xab, 300, 1_000)
    };
    let mut bytes = Vec::new();
    frame::put(&mut bytes, |to| codec::encode(&full, to));
    let expected = [
        "25000000d06e8c2d",                 // 37 bytes, their CRC-32
        "0101010001000202", // version, accepted, single, device, android, own, queue_full, normal
        "abababababababababababababababab", // id
        "e80701ac02",       // at 1000, app 1, expires at 300
        "05312e322e33",     // "1.2.3"
        "ac02",             // device 300
    ];
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, expected.concat());
    let mut bytes = Vec::new();
    frame::put(&mut bytes, |to| codec::encode(&record(1, 2_000_000, NOON), to));
    assert_eq!(bytes.len(), 48, "a device's record, framed, with its app version");
}

/// Two records in a sealed log, then five in the newest.
fn seven(dir: &Path) -> Vec<Record> {
    let all: Vec<_> = (0..7).map(|ordinal| record(1, ordinal, NOON)).collect();
    write(&mut open(dir, 1 << 20), &all[..2]);
    write(&mut open(dir, 1 << 20), &all[2..]);
    all
}

#[test]
fn a_cut_at_any_byte_loses_only_what_it_cut() {
    let origin = tempfile::tempdir().unwrap();
    let all = seven(origin.path());
    let logs = files(origin.path(), ".log");
    let newest = fs::read(&logs[1]).unwrap();
    let each = newest.len() / 5;
    for cut in 0..=newest.len() {
        let dir = tempfile::tempdir().unwrap();
        fs::copy(&logs[0], dir.path().join(logs[0].file_name().unwrap())).unwrap();
        fs::write(dir.path().join(logs[1].file_name().unwrap()), &newest[..cut]).unwrap();
        let mut history = open(dir.path(), 1 << 20);
        let left = 2 + cut / each;
        assert_eq!(replayed(&history, Position::default()), all[..left], "cut at {cut}");
        assert_eq!(found(&history, 1), all[..left], "cut at {cut}");
        // What follows is safe from the place that was cut, and from whoever remembers it.
        let place = history.position();
        assert!(place > Position { segment: 2, offset: newest.len() as u64 });
        write(&mut history, &all[5..]);
        assert_eq!(replayed(&history, place), all[5..]);
        assert_eq!(found(&history, 1), [&all[..left], &all[5..]].concat());
    }
}

#[test]
fn a_flipped_byte_costs_the_record_it_is_in_and_no_other() {
    let origin = tempfile::tempdir().unwrap();
    let all = seven(origin.path());
    let logs = files(origin.path(), ".log");
    let newest = fs::read(&logs[1]).unwrap();
    let each = newest.len() / 5;
    for flip in 0..newest.len() {
        let dir = tempfile::tempdir().unwrap();
        fs::copy(&logs[0], dir.path().join(logs[0].file_name().unwrap())).unwrap();
        let mut bytes = newest.clone();
        bytes[flip] ^= 0x41;
        fs::write(dir.path().join(logs[1].file_name().unwrap()), &bytes).unwrap();
        let history = open(dir.path(), 1 << 20);
        let mut left = all.clone();
        left.remove(2 + flip / each);
        assert_eq!(replayed(&history, Position::default()), left, "flipped {flip}");
        assert_eq!(found(&history, 1), left, "flipped {flip}");
    }
}

#[test]
fn a_run_of_zeros_is_no_record() {
    let dir = tempfile::tempdir().unwrap();
    let all = seven(dir.path());
    let newest = &files(dir.path(), ".log")[1];
    let mut bytes = fs::read(newest).unwrap();
    let sound = bytes.len() as u64;
    bytes.resize(bytes.len() + 5_000, 0);
    fs::write(newest, bytes).unwrap();
    let history = open(dir.path(), 1 << 20);
    assert_eq!(replayed(&history, Position::default()), all);
    assert_eq!(fs::metadata(newest).unwrap().len(), sound, "cut off");
}

#[test]
fn an_index_damaged_at_any_byte_or_missing_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let all = seven(dir.path());
    drop(open(dir.path(), 1 << 20));
    let index = files(dir.path(), ".idx").remove(1);
    let sound = fs::read(&index).unwrap();
    // All of the head; of the block, entries, filling and checksum.
    for flip in (0..28).chain([32, 40, 43, 90, 95, 1_000, sound.len() - 4, sound.len() - 1]) {
        let history = open(dir.path(), 1 << 20);
        let mut bytes = sound.clone();
        bytes[flip] ^= 1;
        fs::write(&index, bytes).unwrap();
        assert_eq!(found(&history, 1), all, "flipped {flip}");
        assert_eq!(fs::read(&index).unwrap(), sound, "flipped {flip}");
    }
    for cut in [0, 31, 32, 4_000] {
        let history = open(dir.path(), 1 << 20);
        fs::write(&index, &sound[..cut]).unwrap();
        assert_eq!(found(&history, 1), all, "cut to {cut}");
    }
    fs::remove_file(&index).unwrap();
    assert_eq!(found(&open(dir.path(), 1 << 20), 1), all);
    assert_eq!(fs::read(&index).unwrap(), sound);
}

#[test]
fn an_index_of_many_blocks_finds_every_message() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("some.idx");
    // 5,000 hashes of one record; one with 1,000 records, which fill several blocks.
    let entries: Vec<_> = (0..5_000u64)
        .map(|number| (number.wrapping_mul(0x9e37_79b9_7f4a_7c15), number as u32))
        .chain((0..1_000).map(|number| (u64::MAX / 2, 10_000 + number)))
        .collect();
    index::write(&path, entries.clone(), 77).unwrap();
    for &(hash, place) in &entries[..5_000] {
        assert_eq!(index::find(&path, hash, 77).unwrap(), Some(vec![place]));
        assert_eq!(index::find(&path, hash.wrapping_add(1), 77).unwrap(), Some(vec![]));
    }
    let many: Vec<_> = (10_000..11_000).collect();
    assert_eq!(index::find(&path, u64::MAX / 2, 77).unwrap(), Some(many));
    assert_eq!(index::find(&path, u64::MAX, 77).unwrap(), Some(vec![]));
    assert_eq!(index::find(&path, 0, 78).unwrap(), None, "of another log");
}

#[test]
fn opening_reads_no_log_but_the_newest() {
    let dir = tempfile::tempdir().unwrap();
    seven(dir.path());
    let oldest = &files(dir.path(), ".log")[0];
    fs::remove_file(oldest).unwrap();
    fs::create_dir(oldest).unwrap(); // reading it would fail
    let history = open(dir.path(), 1 << 20);
    assert_eq!(replayed(&history, Position { segment: 2, offset: 0 }).len(), 5);
}

#[test]
fn a_log_ends_with_its_day_and_at_its_size() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = open(dir.path(), 120);
    for (ordinal, millis) in [NOON, NOON, NOON, NOON + DAY, NOON, NOON + DAY].into_iter().enumerate() {
        write(&mut history, &[record(1, ordinal as u32, millis)]);
    }
    let names: Vec<_> = files(dir.path(), ".log")
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    // A record of yesterday that comes late stays in today's log.
    assert_eq!(names, ["20251127-1.log", "20251127-2.log", "20251128-3.log", "20251128-4.log"]);
    assert!(history.log_bytes() > 0);
}

#[test]
fn whole_days_are_deleted_once_all_of_them_is_too_old() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = open(dir.path(), 1 << 20);
    for day in 0..3 {
        write(&mut history, &[record(1, day as u32, NOON + day * DAY)]);
    }
    let end = MIDNIGHT + DAY;
    assert_eq!(history.retire(at(end + 7 * DAY - 1)).unwrap(), 0);
    assert_eq!(history.retire(at(end + 7 * DAY)).unwrap(), 1);
    assert_eq!(found(&history, 1), [record(1, 1, NOON + DAY), record(1, 2, NOON + 2 * DAY)]);
    assert_eq!(replayed(&history, Position::default()), found(&history, 1));
    assert_eq!(files(dir.path(), "20251127-1.idx"), [] as [PathBuf; 0]);
}

#[test]
fn a_place_keeps_its_meaning_when_all_history_was_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = open(dir.path(), 1 << 20);
    write(&mut history, &[record(1, 1, NOON)]);
    history.sync().unwrap();
    let place = history.position();
    drop(history);
    let mut history = open(dir.path(), 1 << 20);
    assert_eq!(history.retire(at(NOON + 30 * DAY)).unwrap(), 1);
    assert_eq!(replayed(&history, Position::default()), []);
    drop(history);
    let mut history = open(dir.path(), 1 << 20);
    write(&mut history, &[record(1, 2, NOON + 30 * DAY)]);
    assert_eq!(replayed(&history, place), [record(1, 2, NOON + 30 * DAY)]);
}

#[test]
fn a_failed_write_leaves_nothing_of_itself_and_the_next_one_works() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = open(dir.path(), 1 << 20);
    write(&mut history, &[record(1, 1, NOON)]);
    let place = history.position();
    let full = fs::OpenOptions::new().append(true).open("/dev/full").unwrap();
    let sound = std::mem::replace(&mut history.active.as_mut().unwrap().file, full);
    history.append(&record(1, 2, NOON));
    assert_eq!(history.write().unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!(found(&history, 1), [record(1, 1, NOON)]);
    drop(sound);
    write(&mut history, &[record(1, 3, NOON)]);
    assert_eq!(replayed(&history, place), [record(1, 3, NOON)]);
    assert_eq!(found(&history, 1), [record(1, 1, NOON), record(1, 3, NOON)]);
}

#[test]
fn a_group_too_large_for_a_frame_is_split_and_keeps_every_device() {
    let devices: RoaringBitmap = (0..400_000).step_by(3).collect();
    let parts = buffer::split(devices.clone(), 9_000);
    assert!(parts.len() > 4 && parts.iter().all(|part| part.serialized_size() <= 9_000));
    assert_eq!(parts.iter().map(RoaringBitmap::len).sum::<u64>(), devices.len());
    assert_eq!(parts.into_iter().fold(RoaringBitmap::new(), |all, part| all | part), devices);
}

#[test]
fn a_broadcast_group_takes_a_few_bytes_a_device_and_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = open(dir.path(), 1 << 20);
    let group = Record { whom: Whom::Group((5..100_005).collect()), ..record(1, 0, NOON) };
    write(&mut history, std::slice::from_ref(&group));
    assert_eq!(found(&history, 1), [group]);
    assert!(history.log_bytes() < 100_000 / 4);
}

#[test]
fn a_reader_beside_the_writer_sees_all_that_was_written_before_it_looked() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let dir = tempfile::tempdir().unwrap();
    let mut history = open(dir.path(), 2_000);
    let (reader, written) = (history.reader(), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let written = &written;
        scope.spawn(move || {
            for ordinal in 0..2_000u32 {
                history.append(&record(1, ordinal, NOON));
                history.write().unwrap();
                written.store(ordinal as usize + 1, Ordering::Release);
            }
        });
        loop {
            let before = written.load(Ordering::Acquire);
            let seen = reader.find(App(1), id(1)).unwrap();
            assert!(seen.len() >= before, "{} of {before}", seen.len());
            assert!(
                seen.iter().enumerate().all(|(number, record)| record.whom == Whom::Device(number as u32))
            );
            if before == 2_000 {
                break;
            }
        }
    });
}

#[test]
fn an_id_that_tells_its_time_is_found_without_its_older_days() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = open(dir.path(), 1 << 20);
    let mut bytes = [7; 16];
    bytes[..6].copy_from_slice(&(NOON + 5 * DAY).to_be_bytes()[2..]);
    bytes[6] = 0x70;
    let timed = MessageId::from_bytes(bytes);
    let of = |day: u64| Record { id: timed, ..record(1, day as u32, NOON + day * DAY) };
    for day in [0, 4, 5, 6] {
        write(&mut history, &[of(day)]);
    }
    // A day's grace, and no look at what must be older than the message.
    assert_eq!(history.reader().find(App(1), timed).unwrap(), [of(4), of(5), of(6)]);
}

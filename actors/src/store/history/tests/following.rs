//! Following history from a place on, as the feed does.

use proptest::prelude::*;

use super::super::feed::Followed;
use super::*;

/// The app's records from `from` on, each with its place, and where it ended; `budget` at a time.
fn followed(
    history: &History,
    app: u32,
    from: Position,
    budget: usize,
) -> (Vec<(Position, Record)>, Position, bool) {
    let (mut at, mut records, mut gap) = (from, Vec::new(), false);
    loop {
        let mut follow = history.reader().follow(at, history.position());
        let mut left = budget;
        let ended = loop {
            match follow.next(App(app), &mut left).unwrap() {
                Followed::Record(place, record) => records.push((place, *record)),
                Followed::End => break true,
                Followed::Spent => break false,
            }
        };
        gap |= follow.has_gap();
        assert!(ended || follow.at() > at, "each turn comes further");
        at = follow.at();
        if ended {
            return (records, at, gap);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_record_of_an_app_is_followed_once_however_small_the_steps(
        batches in any_history(),
        segment_bytes in prop::sample::select(vec![1u64, 300, 1 << 20]),
        budget in 1usize..20,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut history = open(dir.path(), segment_bytes);
        for (batch, restart) in &batches {
            write(&mut history, batch);
            if *restart {
                drop(history);
                history = open(dir.path(), segment_bytes);
            }
        }
        let mut all = Vec::new();
        history.replay(Position::default(), &mut |place, record| all.push((place, record))).unwrap();
        for app in 0..2 {
            let of_app: Vec<_> = all.iter().filter(|(_, record)| record.app == App(app)).cloned().collect();
            let (records, end, gap) = followed(&history, app, Position::default(), budget);
            prop_assert_eq!(&records, &of_app);
            prop_assert_eq!(end, history.position());
            prop_assert!(!gap);
            for (number, (place, _)) in of_app.iter().enumerate() {
                prop_assert_eq!(&followed(&history, app, *place, budget).0, &of_app[number..]);
            }
        }
    }
}

#[test]
fn a_follower_goes_no_further_than_it_is_let() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = open(dir.path(), 1 << 20);
    write(&mut history, &[record(1, 1, NOON)]);
    let concluded = history.position();
    write(&mut history, &[record(1, 2, NOON)]);
    let mut follow = history.reader().follow(Position::default(), concluded);
    assert!(matches!(follow.next(App(1), &mut 9).unwrap(), Followed::Record(..)));
    assert!(matches!(follow.next(App(1), &mut 9).unwrap(), Followed::End));
    assert_eq!(follow.at(), concluded);
}

#[test]
fn a_flipped_byte_costs_a_follower_the_record_it_is_in_and_no_other() {
    let origin = tempfile::tempdir().unwrap();
    let all = seven(origin.path());
    let logs = files(origin.path(), ".log");
    let newest = fs::read(&logs[1]).unwrap();
    let each = newest.len() / 5;
    for flip in 0..newest.len() {
        let dir = tempfile::tempdir().unwrap();
        fs::copy(&logs[0], dir.path().join(logs[0].file_name().unwrap())).unwrap();
        fs::write(dir.path().join(logs[1].file_name().unwrap()), &newest).unwrap();
        let history = open(dir.path(), 1 << 20);
        let mut bytes = newest.clone();
        bytes[flip] ^= 0x41;
        fs::write(dir.path().join(logs[1].file_name().unwrap()), &bytes).unwrap();
        let mut left = all.clone();
        left.remove(2 + flip / each);
        let (records, end, _) = followed(&history, 1, Position::default(), 100);
        let records: Vec<_> = records.into_iter().map(|(_, record)| record).collect();
        assert_eq!(records, left, "flipped {flip}");
        assert_eq!(end, history.position(), "flipped {flip}");
    }
}

#[test]
fn a_record_longer_than_a_piece_is_followed_whole() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = open(dir.path(), 64 << 20);
    let scattered: RoaringBitmap = (0..4_000_000).step_by(7).collect();
    let group = Record { whom: Whom::Group(scattered), ..record(1, 0, NOON) };
    let all = [record(1, 1, NOON), group, record(1, 2, NOON)];
    write(&mut history, &all);
    assert!(history.log_bytes() > 400 << 10);
    let (records, ..) = followed(&history, 1, Position::default(), 100);
    assert_eq!(records.into_iter().map(|(_, record)| record).collect::<Vec<_>>(), all);
}

#[test]
fn a_place_in_a_log_that_was_deleted_leads_to_the_oldest_kept_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = open(dir.path(), 1 << 20);
    for day in 0..3 {
        write(&mut history, &[record(1, day as u32, NOON + day * DAY)]);
    }
    let first = Position { segment: 1, offset: 0 };
    assert!(!followed(&history, 1, first, 100).2);
    history.retire(at(MIDNIGHT + 8 * DAY)).unwrap();
    let (records, _, gap) = followed(&history, 1, first, 100);
    assert_eq!(records[0].1, record(1, 1, NOON + DAY));
    assert!(gap);
    // Who had read all of the first log misses nothing, and the very beginning is where one begins.
    for place in [Position { segment: 2, offset: 0 }, Position::default()] {
        assert!(!followed(&history, 1, place, 100).2, "{place:?}");
    }
}

#[test]
fn the_place_of_a_moment_is_its_first_record_in_whatever_log() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = open(dir.path(), 120);
    let all: Vec<_> = (0..20).map(|number| record(1, number, NOON + u64::from(number / 2) * 1000)).collect();
    for (number, record) in all.iter().enumerate() {
        // A marker stands in front of what a commit makes true, and is no record.
        history.begin_commit(number as u64 + 1);
        write(&mut history, std::slice::from_ref(record));
    }
    for second in 0..=10 {
        for early in [0, 500] {
            let since = at(NOON + second * 1000 - early);
            let place = history.reader().place_of(since, history.position()).unwrap();
            let records = followed(&history, 1, place, 100).0;
            let expected: Vec<_> = all.iter().filter(|record| record.at >= since).cloned().collect();
            assert_eq!(records.into_iter().map(|(_, record)| record).collect::<Vec<_>>(), expected);
        }
    }
}

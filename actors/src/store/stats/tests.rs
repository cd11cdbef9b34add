use std::collections::BTreeMap;

use carillon_sdk::api::{Dimension, StatsRow};
use carillon_sdk::{MessageId, Ttl};
use proptest::prelude::*;

use super::*;
use crate::store::history::{History, HistoryLimits, Whom};

/// 2025-11-27, 23:58: minutes, an hour and a day end within a test.
const START: u64 = 1_764_201_600_000 + 86_400_000 - 120_000;
const MINUTE: u64 = 60_000;

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn record(millis: u64, step: Step) -> Record {
    Record {
        at: at(millis),
        app: App(1),
        id: MessageId::from_bytes([1; 16]),
        push_type: PushType::Single,
        step,
        whom: Whom::Device(1),
        platform: Some(Platform::Ios),
        app_version: Some("2.0".into()),
        channel: Channel::Own,
        reason: None,
        task: None,
        detail: None,
        message: None,
    }
}

/// The store's rows, and the cursor committed with them.
#[derive(Default)]
struct Rows {
    rows: BTreeMap<Vec<u8>, Vec<u8>>,
    cursor: Cursor,
}

impl Rows {
    fn close(&mut self, window: &mut Window, now: u64, history: &History) {
        for (key, counts) in window.close_before(at(now), history.position()) {
            for key in key.levels() {
                let row = self.rows.entry(key.encode()).or_insert_with(|| Counts::default().encode());
                let mut sum = Counts::decode(row).unwrap();
                sum.merge(&counts);
                *row = sum.encode();
            }
        }
        self.cursor = window.cursor();
    }

    fn of(&self, span: Span, app: App) -> Vec<(Key, Counts)> {
        let keys = match span {
            Span::Periods { granularity, from, to } => range(granularity, app, from, to),
            Span::Tasks { from, to } => task_range(app, from, to),
        };
        let rows = self.rows.range(keys);
        rows.map(|(key, row)| (Key::decode(key).unwrap(), Counts::decode(row).unwrap())).collect()
    }

    fn query(&self, window: &Window, asked: &Asked) -> Vec<StatsRow> {
        let mut rows = self.of(asked.span(), App(1));
        rows.extend(window.open(App(1)));
        aggregate(rows, asked)
    }
}

fn asked(from: u64, to: u64, granularity: Granularity, group_by: &[Dimension]) -> Asked {
    Asked { from: at(from), to: at(to), granularity, filter: Filter::default(), group_by: group_by.to_vec() }
}

/// The answer as it must be, from the records themselves.
fn direct(records: &[Record], asked: &Asked) -> Vec<StatsRow> {
    let of_app = records.iter().filter(|record| record.app == App(1));
    let rows = of_app.map(|record| {
        let dims = Dims {
            platform: record.platform,
            app_version: record.app_version.clone(),
            channel: record.channel,
            push_type: record.push_type,
            reason: record.reason,
            task: record.task,
        };
        let mut counts = Counts::default();
        counts.add(record.step, record.whom.count());
        (Key { granularity: Granularity::Minute, app: record.app, start: record.at, dims }, counts)
    });
    aggregate(rows, asked)
}

fn open(dir: &std::path::Path, segment_bytes: u64) -> History {
    let limits = HistoryLimits { segment_bytes, keep: Ttl::from_secs(7 * 86_400) };
    History::open(dir, limits, at(START)).unwrap()
}

#[derive(Debug, Clone)]
enum Event {
    Batch(Vec<Record>),
    /// The clock is past the start by this much: closes what is over.
    Close(u64),
    /// The process dies and another begins.
    Crash,
}

fn any_event() -> impl Strategy<Value = Event> {
    let steps =
        vec![Step::Accepted, Step::Sent, Step::Delivered, Step::Expired, Step::HandedOver, Step::Confirmed];
    let whom = prop_oneof![
        3 => Just(Whom::Device(1)),
        1 => Just(Whom::User(1)),
        1 => (1u32..50).prop_map(|devices| Whom::Group((0..devices).collect())),
    ];
    // In any order over five minutes: far worse than what a server does.
    let record = (0..5 * MINUTE, prop::sample::select(steps), whom, 0u8..16, 0u32..2).prop_map(
        |(after, step, whom, dims, app)| Record {
            app: App(app),
            whom,
            platform: [Some(Platform::Ios), None][usize::from(dims & 1)],
            app_version: (dims >> 1 & 1 == 0).then(|| "1".into()),
            reason: [Some(Reason::QueueFull), None][usize::from(dims >> 2 & 1)],
            task: [None, Some(Task(9)), None, Some(Task(10))][usize::from(dims & 3)],
            push_type: [PushType::Single, PushType::Broadcast][usize::from(dims >> 3 & 1)],
            ..record(START + after, step)
        },
    );
    prop_oneof![
        3 => proptest::collection::vec(record, 1..6).prop_map(Event::Batch),
        1 => (0..6 * MINUTE).prop_map(Event::Close),
        1 => Just(Event::Crash),
    ]
}

fn any_filter() -> impl Strategy<Value = Filter> {
    let some = |values: &[&'static str]| proptest::option::of(prop::sample::select(values.to_vec()));
    let dimensions = [Dimension::Platform, Dimension::AppVersion, Dimension::PushType, Dimension::Task];
    (some(&["ios", "unknown"]), some(&["1"]), some(&["broadcast"]), some(&["9", "10", "11"])).prop_map(
        move |(platform, version, push_type, task)| {
            let values = [platform, version, push_type, task];
            let named = dimensions.into_iter().zip(values).filter_map(|(of, value)| Some((of, value?)));
            named.fold(Filter::default(), |filter, (of, value)| filter.with(of, value))
        },
    )
}

const DIMENSIONS: [Dimension; 6] = [
    Dimension::Platform,
    Dimension::AppVersion,
    Dimension::Channel,
    Dimension::PushType,
    Dimension::Reason,
    Dimension::Task,
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn statistics_equal_a_count_of_the_records_at_every_moment_and_after_every_crash(
        events in proptest::collection::vec(any_event(), 1..25),
        segment_bytes in prop::sample::select(vec![1u64, 400, 1 << 20]),
        group_by in prop::sample::subsequence(DIMENSIONS.to_vec(), 0..=6),
        filter in any_filter(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut history = open(dir.path(), segment_bytes);
        let (mut rows, mut window, mut all) = (Rows::default(), Window::default(), Vec::new());
        for event in events {
            match event {
                Event::Batch(batch) => {
                    let place = history.position();
                    batch.iter().for_each(|record| history.append(record));
                    history.write().unwrap();
                    batch.iter().for_each(|record| window.count(record, place));
                    all.extend(batch);
                }
                Event::Close(after) => rows.close(&mut window, START + after, &history),
                Event::Crash => {
                    drop(history);
                    history = open(dir.path(), segment_bytes);
                    window = Window::new(rows.cursor);
                    let from = rows.cursor.replay_from;
                    history.replay(from, &mut |place, record| window.count(&record, place)).unwrap();
                }
            }
            for granularity in [Granularity::Minute, Granularity::Hour, Granularity::Day] {
                let asked = Asked { filter: filter.clone(), ..asked(0, u64::MAX, granularity, &group_by) };
                prop_assert_eq!(rows.query(&window, &asked), direct(&all, &asked));
            }
        }
    }

    #[test]
    fn counts_come_back_from_their_bytes(
        fields in proptest::array::uniform13(prop_oneof![Just(0), any::<u64>()]),
    ) {
        let [accepted, sent, arrived, shown, opened, dismissed, expired, replaced, revoked, failed, changed_at,
            handed_over, confirmed] = fields;
        let counts = Counts {
            accepted, sent, arrived, shown, opened, dismissed, expired, replaced, revoked, failed, changed_at,
            handed_over, confirmed,
        };
        prop_assert_eq!(Counts::decode(&counts.encode()), Ok(counts));
    }
}

#[test]
fn a_group_counts_its_members_and_a_minute_that_is_not_over_stays_open() {
    let mut window = Window::default();
    let place = Position { segment: 1, offset: 0 };
    window.count(&Record { whom: Whom::Group((0..9).collect()), ..record(START, Step::Delivered) }, place);
    window.count(&record(START + MINUTE, Step::Sent), place);
    assert_eq!(window.close_before(at(START + MINUTE - 1), place), []);
    let closed = window.close_before(at(START + MINUTE), place);
    assert_eq!(closed.len(), 1);
    assert_eq!((closed[0].0.start, closed[0].1.arrived), (at(START), 9));
    assert_eq!(window.open(App(1)).len(), 1);
    assert_eq!(window.open(App(2)), []);
}

#[test]
fn a_minute_counts_in_its_minute_its_hour_and_its_day() {
    let key = Key::minute(App(1), at(START), dims("1"));
    let starts =
        |key: &Key| key.levels().map(|key| (key.granularity, key.start.as_millis())).collect::<Vec<_>>();
    let (hour, day) = (START / 3_600_000 * 3_600_000, START / 86_400_000 * 86_400_000);
    let periods = [(Granularity::Minute, START), (Granularity::Hour, hour), (Granularity::Day, day)];
    assert_eq!(starts(&key), periods);
    let of_task = Key { dims: Dims { task: Some(Task(9)), ..dims("1") }, ..key };
    assert_eq!(starts(&of_task), [&periods[..], &[(Granularity::Day, day)]].concat());
    let tasks: Vec<_> = of_task.levels().map(|key| key.dims.task).collect();
    assert_eq!(tasks, [None, None, None, Some(Task(9))], "the app's rows know no task");
}

#[test]
fn a_tasks_rows_are_found_by_the_task_and_no_other() {
    let key = |app, task, start| {
        let dims = Dims { task: Some(Task(task)), ..dims("1.0") };
        Key { granularity: TASK_GRANULARITY, app: App(app), start: at(start), dims }
    };
    let (own, range) = (key(1, 7, 86_400_000), task_range(App(1), Task(7), Task(7)));
    assert_eq!(Key::decode(&own.encode()), Ok(own.clone()));
    assert!(range.contains(&own.encode()));
    for other in [key(1, 6, 0), key(1, 8, 0), key(2, 7, 0)] {
        assert!(!range.contains(&other.encode()), "{other:?}");
    }
    let gone = before_task(App(1), Task(7));
    assert!(gone.contains(&key(1, 6, 1 << 50).encode()) && !gone.contains(&own.encode()));
}

#[test]
fn a_task_knows_when_it_changed_last_and_reports_do_not_count() {
    let mut window = Window::default();
    for (after, step) in [(0, Step::Accepted), (5, Step::Delivered), (9, Step::Opened)] {
        window.count(&Record { task: Some(Task(9)), ..record(START + after, step) }, Position::default());
    }
    assert_eq!(window.open(App(1))[0].1.changed_at, START + 5);
}

fn dims(version: &str) -> Dims {
    let Record { platform, channel, push_type, reason, .. } = record(0, Step::Sent);
    Dims { platform, app_version: Some(version.into()), channel, push_type, reason, task: None }
}

#[test]
fn keys_sort_by_granularity_app_and_start_and_come_back() {
    let mut keys = Vec::new();
    for granularity in [Granularity::Minute, Granularity::Hour, Granularity::Day] {
        for app in [1, 300] {
            for start in [0, 60_000, 1 << 40] {
                for version in ["", "1.0", "é"] {
                    let app_version = (!version.is_empty()).then(|| version.into());
                    let dims = Dims { app_version, ..dims("") };
                    keys.push(Key { granularity, app: App(app), start: at(start), dims });
                }
            }
        }
    }
    let bytes: Vec<_> = keys.iter().map(Key::encode).collect();
    assert!(bytes.is_sorted());
    assert_eq!(bytes.iter().map(|key| Key::decode(key).unwrap()).collect::<Vec<_>>(), keys);
    for cut in 0..18 {
        assert_eq!(Key::decode(&bytes[0][..cut]), Err(Damaged));
    }
}

#[test]
fn rows_are_kept_48_hours_90_days_and_two_years() {
    let now = 2_000_000_000_000;
    let hour = 3_600_000;
    for (granularity, keep) in [
        (Granularity::Minute, 48 * hour),
        (Granularity::Hour, 90 * 24 * hour),
        (Granularity::Day, 2 * 366 * 24 * hour),
    ] {
        let gone = expired(granularity, App(1), at(now));
        let key = |start| Key { granularity, app: App(1), start: at(start), dims: dims("1") }.encode();
        assert!(gone.contains(&key(now - keep - 1)));
        assert!(!gone.contains(&key(now - keep)));
    }
}

#[test]
fn an_empty_dimension_reads_unknown() {
    let nobody = Dims { platform: None, app_version: None, ..dims("") };
    let rows = [(Key::minute(App(1), at(START), nobody), Counts { failed: 2, ..Counts::default() })];
    let dimensions = &DIMENSIONS[..5];
    let rows = aggregate(rows, &asked(START, START + 1, Granularity::Minute, dimensions));
    let group: Vec<_> = rows[0].group.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(
        group,
        [
            ("app_version", "unknown"),
            ("channel", "own"),
            ("platform", "unknown"),
            ("push_type", "single"),
            ("reason", "unknown"),
        ]
    );
    assert_eq!(rows[0].failed, 2);
}

#[test]
fn a_period_belongs_to_the_answer_by_its_start() {
    let row = |start| (Key::minute(App(1), at(start), dims("1")), Counts { sent: 1, ..Counts::default() });
    let rows: Vec<_> = (0..120).map(|minute| row(minute * MINUTE)).collect();
    let starts = |from, to, granularity| -> Vec<_> {
        let answer = aggregate(rows.clone(), &asked(from, to, granularity, &[]));
        answer.iter().map(|row| (row.start.as_millis() / MINUTE, row.sent)).collect()
    };
    assert_eq!(starts(MINUTE, 3 * MINUTE, Granularity::Minute), [(1, 1), (2, 1)]);
    assert_eq!(starts(0, 61 * MINUTE, Granularity::Hour), [(0, 60), (60, 60)]);
    assert_eq!(starts(1, 60 * MINUTE, Granularity::Hour), []);
}

#[test]
fn versions_beyond_the_bound_are_counted_together() {
    let mut window = Window::default();
    for number in 0..VERSIONS_PER_MINUTE_MAX + 50 {
        for _ in 0..2 {
            let record = Record { app_version: Some(number.to_string().into()), ..record(START, Step::Sent) };
            window.count(&record, Position::default());
        }
    }
    let asked = asked(0, u64::MAX, Granularity::Day, &[Dimension::AppVersion]);
    let rows = aggregate(window.open(App(1)), &asked);
    assert_eq!(rows.len(), VERSIONS_PER_MINUTE_MAX + 1);
    let other = rows.iter().find(|row| row.group["app_version"] == OTHER).unwrap();
    assert_eq!(other.sent, 100);
}

#[test]
fn a_later_builds_counts_are_passed_over_and_an_earlier_ones_read_as_none() {
    assert_eq!(Counts::decode(&[2, 5, 6]), Ok(Counts { accepted: 5, sent: 6, ..Counts::default() }));
    let mut later = Counts { failed: 3, ..Counts::default() }.encode();
    later[0] += 2;
    later.extend([0, 9]);
    assert_eq!(Counts::decode(&later).unwrap().failed, 3);
    assert_eq!(Counts::decode(&[]), Err(Damaged));
    assert_eq!(Counts::decode(&[3, 1]), Err(Damaged));
}

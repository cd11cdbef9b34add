use proptest::prelude::{Just, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Strategy as _;

use super::*;

fn cycle(every: Every, time: &str, zone: &str, from: &str, to: &str) -> Strategy {
    Strategy::Cyclic(Cycle {
        every,
        time: super::time(time).unwrap(),
        from: date(from).unwrap(),
        to: date(to).unwrap(),
        zone: Zone::parse(zone).unwrap(),
    })
}

fn at(text: &str) -> Timestamp {
    milliseconds(text.parse().unwrap())
}

/// Every firing of a schedule, as UTC.
fn firings(strategy: &Strategy) -> Vec<String> {
    let text = |at: Timestamp| instant(at).unwrap().to_string();
    strategy.after(Timestamp::from_millis(0)).map(text).collect()
}

/// A daily schedule over three days fires at these moments.
fn check_daily(time: &str, zone: &str, from: &str, to: &str, expected: &[&str]) {
    let strategy = cycle(Every::Day, time, zone, from, to);
    assert_eq!(firings(&strategy), expected, "{time} in {zone}");
}

#[test]
fn once_fires_at_its_moment_and_never_again() {
    let once = Strategy::Once(at("2026-12-01T09:00:00Z"));
    assert_eq!(firings(&once), ["2026-12-01T09:00:00Z"]);
    assert_eq!(once.next_after(at("2026-12-01T09:00:00Z")), None);
}

#[test]
fn a_time_that_clocks_skip_fires_at_the_first_moment_after_the_gap() {
    // 02:30 does not exist in New York on 8 March 2026: clocks go from 02:00 to 03:00.
    check_daily(
        "02:30",
        "America/New_York",
        "2026-03-07",
        "2026-03-09",
        &["2026-03-07T07:30:00Z", "2026-03-08T07:00:00Z", "2026-03-09T06:30:00Z"],
    );
    // The first minute that is skipped, and the first that is not.
    check_daily("02:00", "Europe/Berlin", "2026-03-29", "2026-03-29", &["2026-03-29T01:00:00Z"]);
    check_daily("02:59:59", "Europe/Berlin", "2026-03-29", "2026-03-29", &["2026-03-29T01:00:00Z"]);
    check_daily("03:00", "Europe/Berlin", "2026-03-29", "2026-03-29", &["2026-03-29T01:00:00Z"]);
    // Midnight itself: Beirut's clocks go from 00:00 to 01:00.
    check_daily("00:00", "Asia/Beirut", "2026-03-29", "2026-03-29", &["2026-03-28T22:00:00Z"]);
    // Half an hour: Lord Howe Island.
    check_daily("02:15", "Australia/Lord_Howe", "2026-10-04", "2026-10-04", &["2026-10-03T15:30:00Z"]);
}

#[test]
fn a_time_that_comes_twice_fires_the_first_time_only() {
    check_daily(
        "01:30",
        "America/New_York",
        "2026-10-31",
        "2026-11-02",
        &["2026-10-31T05:30:00Z", "2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"],
    );
    // Half an hour comes twice.
    check_daily("01:45", "Australia/Lord_Howe", "2026-04-05", "2026-04-05", &["2026-04-04T14:45:00Z"]);
    // Around midnight: Havana's clocks go from 01:00 back to 00:00.
    check_daily("00:30", "America/Havana", "2026-11-01", "2026-11-01", &["2026-11-01T04:30:00Z"]);
}

#[test]
fn zones_with_odd_offsets_keep_their_minutes() {
    check_daily("09:00", "Asia/Kathmandu", "2026-06-01", "2026-06-01", &["2026-06-01T03:15:00Z"]);
    check_daily("09:00", "Pacific/Chatham", "2026-06-01", "2026-06-01", &["2026-05-31T20:15:00Z"]);
    check_daily("00:30", "Pacific/Kiritimati", "2026-06-01", "2026-06-01", &["2026-05-31T10:30:00Z"]);
    check_daily("13:45:11", "Asia/Shanghai", "2026-06-01", "2026-06-01", &["2026-06-01T05:45:11Z"]);
}

#[test]
fn a_day_that_a_zone_left_out_fires_at_its_end_and_at_most_once_with_the_next() {
    // Samoa went from the end of 29 December 2011 to the 31st.
    check_daily(
        "10:00",
        "Pacific/Apia",
        "2011-12-29",
        "2011-12-31",
        &["2011-12-29T20:00:00Z", "2011-12-30T10:00:00Z", "2011-12-30T20:00:00Z"],
    );
    check_daily(
        "00:00",
        "Pacific/Apia",
        "2011-12-29",
        "2011-12-31",
        &["2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z"],
    );
}

#[test]
fn the_days_of_a_week_begin_with_monday() {
    let every = Every::week([1, 7]).unwrap();
    let strategy = cycle(every, "08:00", "UTC", "2026-11-24", "2026-12-07");
    let expected =
        ["2026-11-29T08:00:00Z", "2026-11-30T08:00:00Z", "2026-12-06T08:00:00Z", "2026-12-07T08:00:00Z"];
    assert_eq!(firings(&strategy), expected);
}

#[test]
fn a_day_that_a_month_lacks_is_skipped() {
    let check = |days: &[i64], from: &str, to: &str, expected: &[&str]| {
        let every = Every::month(days.iter().copied()).unwrap();
        let fired = firings(&cycle(every, "12:00", "UTC", from, to));
        let dates: Vec<_> = fired.iter().map(|at| &at[..10]).collect();
        assert_eq!(dates, expected, "{days:?}");
    };
    check(&[31], "2027-01-01", "2027-05-30", &["2027-01-31", "2027-03-31"]);
    check(&[30], "2027-01-31", "2027-04-30", &["2027-03-30", "2027-04-30"]);
    check(&[29], "2027-02-01", "2027-03-29", &["2027-03-29"]);
    check(&[29], "2028-02-01", "2028-03-01", &["2028-02-29"]);
    check(&[1, 31], "2026-12-31", "2027-01-01", &["2026-12-31", "2027-01-01"]);
}

#[test]
fn both_ends_are_included_and_the_year_may_end_between() {
    check_daily(
        "23:59:59",
        "Asia/Shanghai",
        "2026-12-31",
        "2027-01-01",
        &["2026-12-31T15:59:59Z", "2027-01-01T15:59:59Z"],
    );
    let strategy = cycle(Every::Day, "00:00", "UTC", "2026-12-31", "2026-12-31");
    assert_eq!(strategy.next_after(at("2026-12-30T23:59:59.999Z")), Some(at("2026-12-31T00:00:00Z")));
    assert_eq!(strategy.next_after(at("2026-12-31T00:00:00Z")), None);
}

#[test]
fn nothing_fires_when_no_wanted_day_lies_between_the_ends() {
    let every = Every::month([31]).unwrap();
    assert!(firings(&cycle(every, "12:00", "UTC", "2027-02-01", "2027-03-30")).is_empty());
    assert!(firings(&cycle(Every::Day, "12:00", "UTC", "2027-02-02", "2027-02-01")).is_empty());
}

#[test]
fn the_end_is_not_before_the_last_firing() {
    for zone in ["UTC", "Pacific/Apia", "America/Havana", "Australia/Lord_Howe"] {
        let strategy = cycle(Every::Day, "23:59:59", zone, "2026-03-01", "2026-04-30");
        assert!(strategy.after(Timestamp::from_millis(0)).all(|at| at <= strategy.end()), "{zone}");
    }
}

#[test]
fn what_is_no_time_no_date_no_zone_and_no_day_is_refused() {
    for text in ["", "9:30", "24:00", "09:60", "09:30:60", "09:30:00:00", "+9:30", "09:30:00.5", "09-30"] {
        assert!(time(text).is_err(), "{text:?}");
    }
    assert_eq!(time("09:30").unwrap(), time("09:30:00").unwrap());
    for text in ["", "2026-02-29", "2026-13-01", "20261231", "2026-12-31T00:00", "31.12.2026"] {
        assert!(date(text).is_err(), "{text:?}");
    }
    for text in ["", "Mars/Olympus", "Etc/Unknown", "+08:00", "../UTC"] {
        assert!(Zone::parse(text).is_err(), "{text:?}");
    }
    for days in [&[][..], &[0], &[8], &[1, -1]] {
        assert!(Every::week(days.iter().copied()).is_err(), "{days:?}");
    }
    for days in [&[][..], &[0], &[32], &[1 << 40]] {
        assert!(Every::month(days.iter().copied()).is_err(), "{days:?}");
    }
}

#[test]
fn a_strategy_is_read_as_it_was_written() {
    let every = Every::month([1, 15]).unwrap();
    for strategy in [
        Strategy::Once(at("2026-12-01T09:00:00Z")),
        cycle(every, "13:45:11", "Asia/Shanghai", "2026-12-01", "2027-01-31"),
        cycle(Every::Day, "00:00", "UTC", "2026-12-01", "2027-01-31"),
    ] {
        let text = serde_json::to_string(&strategy).unwrap();
        assert_eq!(serde_json::from_str::<Strategy>(&text).unwrap(), strategy, "{text}");
    }
}

const ZONES: [&str; 9] = [
    "UTC",
    "America/New_York",
    "Europe/Berlin",
    "Asia/Shanghai",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Asia/Beirut",
    "America/Havana",
    "Africa/Casablanca",
];

fn everies() -> impl proptest::strategy::Strategy<Value = Every> {
    let days = |most: i64| proptest::collection::btree_set(1..=most, 1..=5);
    prop_oneof![
        Just(Every::Day),
        days(7).prop_map(|days| Every::week(days).unwrap()),
        days(31).prop_map(|days| Every::month(days).unwrap()),
    ]
}

proptest! {
    /// Firings strictly increase; each wanted day has one, at its local time or, where that is
    /// skipped, at the first moment after the gap.
    #[test]
    fn each_wanted_day_fires_once_in_order(
        every in everies(),
        zone in proptest::sample::select(&ZONES[..]),
        seconds in 0..86_400i32,
        start in 0..20_000i32,
        days in 0..200i32,
    ) {
        let from = date("2000-01-01").unwrap().checked_add(jiff::Span::new().days(start)).unwrap();
        let to = from.checked_add(jiff::Span::new().days(days)).unwrap();
        let midnight = Time::midnight();
        let time = midnight.wrapping_add(jiff::Span::new().seconds(seconds));
        let zone = Zone::parse(zone).unwrap();
        let strategy = Strategy::Cyclic(Cycle { every: every.clone(), time, from, to, zone: zone.clone() });
        let fired: Vec<_> = strategy.after(Timestamp::from_millis(0)).collect();
        prop_assert!(fired.windows(2).all(|pair| pair[0] < pair[1]), "{fired:?}");

        let wanted: Vec<_> = from.series(jiff::Span::new().days(1))
            .take_while(|date| *date <= to)
            .filter(|date| every.wants(*date))
            .collect();
        let mut expected = Vec::new();
        for date in wanted {
            let local = date.to_datetime(time);
            let ambiguous = zone.0.to_ambiguous_timestamp(local);
            // jiff's own "earlier" of a gap lies before the change, its "later" at or after it.
            let (earlier, later) = (ambiguous.earlier().unwrap(), zone.0.to_ambiguous_timestamp(local).later().unwrap());
            let exists = zone.0.to_datetime(earlier) == local;
            let moment = if exists { earlier } else {
                let change = zone.0.preceding(later.checked_add(jiff::Span::new().nanoseconds(1)).unwrap()).next().unwrap();
                change.timestamp()
            };
            expected.push(milliseconds(moment));
        }
        expected.dedup();
        prop_assert_eq!(fired, expected);
    }

    /// Asking from any moment gives the first firing after it.
    #[test]
    fn the_next_firing_is_the_first_of_the_later_ones(
        every in everies(),
        zone in proptest::sample::select(&ZONES[..]),
        hour in 0..24i8,
        asked in 0..(400 * 86_400_000u64),
    ) {
        let strategy = Strategy::Cyclic(Cycle {
            every,
            time: Time::new(hour, 30, 0, 0).unwrap(),
            from: date("2026-03-01").unwrap(),
            to: date("2026-11-30").unwrap(),
            zone: Zone::parse(zone).unwrap(),
        });
        let now = at("2026-01-15T00:00:00Z") + carillon_sdk::Ttl::from_millis(asked);
        let all = strategy.after(Timestamp::from_millis(0));
        prop_assert_eq!(strategy.next_after(now), all.into_iter().find(|at| *at > now));
    }
}

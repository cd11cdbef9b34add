use std::collections::BTreeMap;

use carillon_sdk::Ttl;

use super::super::calendar::{Cycle, Every, Strategy, Zone, date, time};
use super::super::object::{Face, State};
use super::*;
use crate::model::PushType;

const DAY: u64 = 24 * 3600 * 1000;
const HOUR: u64 = 3600 * 1000;

/// 2026-12-01T00:00:00Z.
const START: u64 = 1_796_083_200_000;

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(START + millis)
}

/// Made at the start; fires every day at 09:00 for as many days.
fn daily(days: u64, missed: Missed, late_max: u64) -> Head {
    let zone = Zone::parse("UTC").unwrap();
    let strategy = Strategy::Cyclic(Cycle {
        every: Every::Day,
        time: time("09:00").unwrap(),
        from: date("2026-12-01").unwrap(),
        to: zone.date(at((days - 1) * DAY)),
        zone,
    });
    Head {
        name: None,
        strategy,
        push_type: PushType::Single,
        title: None,
        body: None,
        delivery_type: None,
        missed,
        late_max: Ttl::from_millis(late_max),
        face: Face::Api,
        by: "ck".to_owned(),
        created_at: at(0),
        state: State::Active,
        over_until: at(0),
        ended_at: None,
        request: None,
    }
}

fn nine(day: u64) -> Timestamp {
    at(day * DAY + 9 * HOUR)
}

fn look(head: &Head, now: Timestamp, rows: &[(Timestamp, RunState)]) -> Due {
    let rows: BTreeMap<_, _> = rows.iter().copied().collect();
    due(Id::of_schedule([7; 16]), head, now, |planned| rows.get(&planned).copied())
}

fn reasons(due: &Due) -> Vec<(Timestamp, Reason)> {
    due.passed.iter().map(|run| (run.planned_at, run.reason.unwrap())).collect()
}

#[test]
fn a_run_fires_at_its_moment_and_not_a_millisecond_before() {
    let head = daily(3, Missed::LateOnce, DAY);
    assert_eq!(look(&head, nine(0) - Ttl::from_millis(1), &[]).then, Then::Wait(nine(0)));
    assert_eq!(look(&head, nine(0), &[]).then, Then::Fire(nine(0)));
}

#[test]
fn of_several_missed_runs_the_last_fires_late() {
    let looked = look(&daily(5, Missed::LateOnce, DAY), nine(2) + Ttl::from_millis(HOUR), &[]);
    assert_eq!(looked.then, Then::Fire(nine(2)));
    assert_eq!(reasons(&looked), [(nine(0), Reason::Superseded), (nine(1), Reason::Superseded)]);
    assert_eq!(looked.over_until, nine(1));
}

#[test]
fn a_run_is_too_late_when_its_push_would_have_expired() {
    let head = daily(1, Missed::LateOnce, HOUR);
    assert_eq!(look(&head, nine(0) + Ttl::from_millis(HOUR), &[]).then, Then::Fire(nine(0)));
    let looked = look(&head, nine(0) + Ttl::from_millis(HOUR + 1), &[]);
    assert_eq!((looked.then, reasons(&looked)), (Then::End, vec![(nine(0), Reason::TooLate)]));
}

#[test]
fn who_skips_what_was_missed_waits_for_the_next() {
    let looked = look(&daily(5, Missed::Skip, 60_000), nine(1) + Ttl::from_millis(HOUR), &[]);
    assert_eq!(looked.then, Then::Wait(nine(2)));
    assert_eq!(reasons(&looked), [(nine(0), Reason::Missed), (nine(1), Reason::Missed)]);
}

#[test]
fn a_run_that_began_is_carried_out_again_before_any_later_one() {
    let head = daily(3, Missed::LateOnce, 2 * DAY);
    let looked = look(&head, nine(1), &[(nine(0), RunState::Firing)]);
    assert_eq!((looked.then, looked.passed), (Then::FireAgain(nine(0)), vec![]));
    let looked = look(&head, nine(2) + Ttl::from_millis(1), &[(nine(0), RunState::Firing)]);
    assert_eq!(looked.then, Then::GiveUp(nine(0)));
}

#[test]
fn a_cancelled_run_is_passed_over_without_a_word() {
    let looked = look(&daily(2, Missed::LateOnce, DAY), nine(0), &[(nine(0), RunState::Cancelled)]);
    assert_eq!((looked.then, looked.over_until), (Then::Wait(nine(1)), nine(0)));
    assert!(looked.passed.is_empty());
}

#[test]
fn after_its_last_run_a_schedule_ends() {
    let head = Head { over_until: nine(0), ..daily(1, Missed::LateOnce, DAY) };
    assert_eq!(look(&head, nine(0), &[(nine(0), RunState::Fired)]).then, Then::End);
}

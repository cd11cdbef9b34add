use super::super::calendar::{Cycle, Every, Zone, date, time};
use super::*;

fn daily() -> Strategy {
    Strategy::Cyclic(Cycle {
        every: Every::Day,
        time: time("09:00").unwrap(),
        from: date("2026-12-01").unwrap(),
        to: date("2026-12-31").unwrap(),
        zone: Zone::parse("Asia/Shanghai").unwrap(),
    })
}

#[test]
fn the_id_of_a_run_says_which_and_when() {
    let schedule = Id::of_schedule([0xab; 16]);
    let planned = Timestamp::from_millis(1_796_086_800_000);
    let run = schedule.run(&daily(), planned);
    assert_eq!(run.to_string(), "abababababababababab00006b0e1c10");
    assert_eq!(run.planned(), Some(planned));
    assert_eq!(run.family(), schedule.family());
    assert_eq!(schedule.planned(), None);
    assert_eq!(schedule.run(&Strategy::Once(planned), planned), schedule);
}

#[test]
fn later_runs_and_later_schedules_sort_later() {
    let schedule = Id::of_schedule([1; 16]);
    let ids =
        [1_000, 2_000, 1 << 40].map(|at| schedule.run(&daily(), Timestamp::from_millis(at)).to_string());
    assert!(ids.is_sorted(), "{ids:?}");
    // Its own id is after those of its runs.
    assert!(ids[2] < schedule.to_string());
}

#[test]
fn schedules_made_in_one_millisecond_have_nothing_in_common() {
    let families: std::collections::BTreeSet<_> = (0..10_000).map(|_| Id::fresh().family()).collect();
    assert_eq!(families.len(), 10_000);
}

#[test]
fn an_id_is_32_lower_case_digits() {
    for text in ["", "ab", &"A".repeat(32), &"g".repeat(32), &"0".repeat(33), &"é".repeat(16)] {
        assert_eq!(text.parse::<Id>(), Err(NoId), "{text:?}");
    }
    let text = "0123456789abcdef0123456789abcdef";
    assert_eq!(text.parse::<Id>().unwrap().to_string(), text);
}

#[test]
fn a_row_cut_anywhere_is_unreadable_and_no_panic() {
    let order = Bytes::from_static(b"{}");
    let head = br#"{"name":null,"strategy":{"once":5},"push_type":"Single","title":null,"body":null,
        "missed":"skip","late_max":1,"face":"api","by":"ck","created_at":1,"state":"active","over_until":1,
        "ended_at":null,"a_field_of_tomorrow":1}"#;
    let head: Head = serde_json::from_slice(head).unwrap();
    let whole = row(&head, &order);
    assert_eq!(parts(&whole).unwrap(), (head, order.clone()));
    for end in 0..whole.len() - order.len() {
        assert!(parts(&whole.slice(..end)).is_err(), "{end}");
    }
}

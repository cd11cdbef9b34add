//! The rules, one by one.

use carillon_sdk::api::Step;
use carillon_sdk::wire::{Bind, ErrorCode, GoodbyeReason, Hello, Report, ReportKind};

use super::*;
use crate::store::Cursor;

fn errors(effects: &[Effect]) -> Vec<ErrorCode> {
    effects
        .iter()
        .filter_map(|effect| if let Effect::Error(code) = effect { Some(*code) } else { None })
        .collect()
}

fn closes(effects: &[Effect]) -> Option<GoodbyeReason> {
    effects.iter().find_map(|effect| if let Effect::Close(reason) = effect { Some(*reason) } else { None })
}

fn acked(effects: &[Effect]) -> Vec<u64> {
    effects
        .iter()
        .filter_map(|effect| if let Effect::Acked(due) = effect { Some(due.seq.0) } else { None })
        .collect()
}

#[test]
fn an_idle_session_is_small() {
    assert!(size_of::<Session>() <= 232, "{} bytes", size_of::<Session>());
}

#[test]
fn a_device_with_nothing_pending_asks_the_store_for_nothing() {
    let mut bench = Bench::caught_up();
    let effects = bench.step(|session, _, fx| session.begin(&BOUNDS, fx));
    assert_eq!(read(&effects), None);
}

#[test]
fn a_hint_to_a_session_that_is_caught_up_is_written_at_once() {
    let mut bench = Bench::caught_up();
    assert_eq!(sent(&bench.hint(&own(5), 0)), [5]);
    assert_eq!(sent(&bench.hint(&own(6), 5)), [6]);
}

#[test]
fn a_repeated_hint_is_written_once() {
    let mut bench = Bench::caught_up();
    bench.hint(&own(5), 0);
    assert!(bench.hint(&own(5), 0).is_empty());
}

#[test]
fn a_gap_is_read_from_the_store_and_keeps_the_order() {
    let mut bench = Bench::caught_up();
    let effects = bench.hint(&own(6), 5);
    assert!(sent(&effects).is_empty());
    let (turn, cursor) = read(&effects).unwrap();
    assert_eq!(cursor, 0);
    assert!(sent(&bench.hint(&own(5), 0)).is_empty(), "late, and behind already");
    assert_eq!(sent(&bench.page(turn, &[own(5), own(6)], false, (6, 0))), [5, 6]);
    assert!(bench.hint(&own(5), 0).is_empty(), "the page had it");
    assert_eq!(sent(&bench.hint(&own(7), 6)), [7]);
}

#[test]
fn a_place_a_vendor_gave_back_is_sent_though_the_session_is_beyond_it() {
    let mut bench = Bench::caught_up();
    assert_eq!(sent(&bench.hint(&own(9), 0)), [9]);
    let again = DueHint { device: DEVICE, epoch: Epoch(1), due: own(5), prev: Seq(0), is_again: true };
    assert_eq!(sent(&bench.step(|session, now, fx| session.due(&again, &BOUNDS, now, fx))), [5]);
    assert!(sent(&bench.step(|session, now, fx| session.due(&again, &BOUNDS, now, fx))).is_empty());
}

#[test]
fn when_hints_were_lost_the_queues_are_read_from_their_front() {
    let mut bench = Bench::caught_up();
    assert_eq!(sent(&bench.hint(&own(9), 0)), [9]);
    let effects = bench.step(|session, _, fx| session.start_over(&BOUNDS, fx));
    let Some(Effect::Read { turn, cursor, .. }) = effects.into_iter().next() else {
        panic!("no page is read")
    };
    assert_eq!(cursor, Cursor::default());
    assert_eq!(sent(&bench.page(turn, &[own(5), own(9)], false, (9, 0))), [5], "9 is in flight");
}

#[test]
fn a_full_window_waits_for_acks_and_then_reads_a_page() {
    let mut bench = Bench::caught_up();
    for seq in 1..=4 {
        assert_eq!(sent(&bench.hint(&own(seq), seq - 1)), [seq]);
    }
    assert!(bench.hint(&own(5), 4).is_empty());
    assert!(read(&bench.ack(&[1])).is_none(), "a page for a single place is not worth it");
    let effects = bench.ack(&[2]);
    assert_eq!(acked(&effects), [2]);
    let (turn, cursor) = read(&effects).unwrap();
    assert_eq!(cursor, 0);
    assert_eq!(sent(&bench.page(turn, &[own(3), own(4), own(5)], false, (5, 0))), [5]);
}

#[test]
fn the_window_is_bounded_in_bytes_and_lets_one_long_message_through() {
    let bounds = Bounds { window_bytes_max: 10, ..BOUNDS };
    let mut bench = Bench::caught_up();
    let hint = |seq, prev| DueHint {
        device: DEVICE,
        epoch: Epoch(1),
        due: own(seq),
        prev: Seq(prev),
        is_again: false,
    };
    let first = bench.step(|session, now, fx| session.due(&hint(1, 0), &bounds, now, fx));
    let second = bench.step(|session, now, fx| session.due(&hint(2, 1), &bounds, now, fx));
    assert_eq!((sent(&first), sent(&second)), (vec![1], vec![]));
}

#[test]
fn nothing_is_sent_at_its_expiry_and_all_is_a_millisecond_before() {
    let with_ttl = |seq, ttl_ms| due(Some(Owner::Device(DEVICE)), seq, Lane::Normal, ttl_ms);
    for (at_ms, expected) in [(999, vec![1]), (1_000, vec![])] {
        let mut bench = Bench::caught_up();
        bench.at_ms = at_ms;
        assert_eq!(sent(&bench.hint(&with_ttl(1, 1_000), 0)), expected);
        let mut bench = Bench::open(None, true);
        bench.at_ms = at_ms;
        let (turn, _) = read(&bench.step(|session, _, fx| session.begin(&BOUNDS, fx))).unwrap();
        assert_eq!(sent(&bench.page(turn, &[with_ttl(1, 1_000)], false, (1, 0))), expected);
        let mut bench = Bench::caught_up();
        bench.at_ms = at_ms;
        assert_eq!(sent(&bench.bulk(&[due(None, 1, Lane::Bulk, 1_000)])), expected);
    }
}

#[test]
fn a_place_accepted_earlier_and_committed_later_is_neither_passed_over_nor_repeated() {
    // The user's partition is slower: 5 is hinted after 6 of the device's own queue.
    let mut bench = Bench::open(Some(ANNA), false);
    assert_eq!(sent(&bench.hint(&own(6), 0)), [6]);
    assert_eq!(sent(&bench.hint(&of(ANNA, 5), 0)), [5]);
    let (turn, cursor) = read(&bench.hint(&own(8), 7)).unwrap();
    assert_eq!(cursor, 0, "pages go on where the last page ended");
    bench.ack(&[6]);
    assert_eq!(sent(&bench.page(turn, &[of(ANNA, 5), own(6), own(7), own(8)], false, (8, 5))), [7, 8]);
}

#[test]
fn after_a_rebind_nothing_of_the_old_user_is_sent_and_late_acks_count() {
    let mut bench = Bench::open(Some(ANNA), false);
    assert_eq!(sent(&bench.hint(&of(ANNA, 1), 0)), [1]);
    assert_eq!(sent(&bench.hint(&of(ANNA, 2), 1)), [2]);
    let (turn, cursor) = read(&bench.rebound(Some(BEN), &[2])).unwrap();
    assert_eq!(cursor, 0, "the new user's queue is read from its beginning");
    assert!(bench.hint(&of(ANNA, 3), 2).is_empty());
    assert_eq!(sent(&bench.page(turn, &[of(ANNA, 3), of(BEN, 4)], false, (0, 4))), [4]);
    assert_eq!(acked(&bench.ack(&[1])), [1], "it was on the wire");
    assert_eq!(errors(&bench.ack(&[2])), [ErrorCode::AckUnknown], "it never was");
}

#[test]
fn a_page_read_for_the_old_user_is_not_taken() {
    let mut bench = Bench::open(Some(ANNA), true);
    let (turn, _) = read(&bench.step(|session, _, fx| session.begin(&BOUNDS, fx))).unwrap();
    bench.rebound(None, &[]);
    assert!(bench.page(turn, &[of(ANNA, 1)], false, (0, 1)).is_empty());
}

#[test]
fn what_the_old_user_had_in_flight_is_not_sent_again() {
    let mut bench = Bench::open(Some(ANNA), false);
    bench.hint(&of(ANNA, 1), 0);
    bench.rebound(None, &[]);
    bench.tick_after(15_000);
    bench.frame(Frame::Pong);
    assert!(sent(&bench.tick_after(15_000)).is_empty());
}

#[test]
fn an_unacked_push_is_probed_and_then_sent_again() {
    let mut bench = Bench::caught_up();
    bench.hint(&own(1), 0);
    assert!(bench.tick_after(14_999).is_empty());
    assert!(matches!(bench.tick_after(1)[..], [Effect::Ping]));
    bench.frame(Frame::Pong);
    assert_eq!(sent(&bench.tick_after(15_000)), [1]);
    assert_eq!(acked(&bench.ack(&[1])), [1]);
}

#[test]
fn a_probe_nobody_answers_ends_the_session() {
    let mut bench = Bench::caught_up();
    bench.hint(&own(1), 0);
    bench.tick_after(15_000);
    assert_eq!(closes(&bench.tick_after(14_999)), None);
    assert_eq!(closes(&bench.tick_after(1)), Some(GoodbyeReason::Idle));
}

#[test]
fn silence_is_borne_for_one_and_a_half_heartbeats() {
    let mut bench = Bench::caught_up();
    assert_eq!(closes(&bench.tick_after(405_000)), None);
    assert_eq!(closes(&bench.tick_after(1)), Some(GoodbyeReason::Idle));
}

#[test]
fn an_expired_push_in_flight_waits_for_its_ack_until_the_ack_timeout() {
    let mut bench = Bench::caught_up();
    bench.hint(&due(Some(Owner::Device(DEVICE)), 1, Lane::Normal, 1_000), 0);
    bench.tick_after(14_999);
    assert_eq!(acked(&bench.ack(&[1])), [1]);
    let mut bench = Bench::caught_up();
    bench.hint(&due(Some(Owner::Device(DEVICE)), 1, Lane::Normal, 1_000), 0);
    assert!(sent(&bench.tick_after(40_000)).is_empty());
    assert_eq!(errors(&bench.ack(&[1])), [ErrorCode::AckUnknown]);
}

#[test]
fn an_online_only_push_is_delivered_by_its_ack_or_expires_at_the_ack_timeout() {
    let online = |seq| due(Some(Owner::Device(DEVICE)), seq, Lane::Normal, 0);
    let steps = |effects: &[Effect]| -> Vec<Step> {
        effects
            .iter()
            .filter_map(|effect| if let Effect::Online(_, step) = effect { Some(*step) } else { None })
            .collect()
    };
    let mut bench = Bench::caught_up();
    let mut taken = false;
    let effects = bench.step(|session, now, fx| taken = session.online(&online(1), &BOUNDS, now, fx));
    assert!(taken);
    assert_eq!((sent(&effects), steps(&effects)), (vec![1], vec![Step::Accepted, Step::Sent]));
    assert_eq!(steps(&bench.ack(&[1])), [Step::Delivered]);
    bench.step(|session, now, fx| taken = session.online(&online(2), &BOUNDS, now, fx));
    assert_eq!(steps(&bench.tick_after(15_000)), [Step::Expired]);
    bench.step(|session, now, fx| taken = session.online(&online(3), &BOUNDS, now, fx));
    assert_eq!(steps(&bench.step(|session, _, fx| session.end(fx))), [Step::Expired]);
}

#[test]
fn broadcasts_have_a_window_of_their_own_and_the_log_is_walked_as_acks_open_it() {
    let log: Vec<_> = (1..=20).map(broadcast).collect();
    let mut bench = Bench::caught_up();
    assert_eq!(sent(&bench.bulk(&log)).len(), 16);
    assert!(!bench.session.takes_bulk());
    assert_eq!(sent(&bench.hint(&own(21), 0)), [21], "single pushes have room");
    let effects = bench.ack(&[1, 2, 3, 4, 5, 6, 7, 8]);
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Walk)));
    assert_eq!(sent(&bench.bulk(&log[8..])), [17, 18, 19, 20], "the rest of what is due");
    assert!(bench.session.takes_bulk());
    assert!(sent(&bench.bulk(&log[8..])).is_empty(), "once each");
}

#[test]
fn what_was_revoked_is_sent_no_more_and_its_late_ack_is_no_error() {
    for is_unwritten in [false, true] {
        let mut bench = Bench::caught_up();
        bench.hint(&own(1), 0);
        bench.bulk(&[broadcast(2)]);
        for seq in [1, 2] {
            bench.step(|session, _, fx| session.withdrawn(Seq(seq), is_unwritten, &BOUNDS, fx));
        }
        bench.step(|session, _, fx| session.withdrawn(Seq(9), false, &BOUNDS, fx));
        assert!(sent(&bench.tick_after(40_000)).is_empty());
        let mut bench = Bench::caught_up();
        bench.hint(&own(1), 0);
        bench.step(|session, _, fx| session.withdrawn(Seq(1), is_unwritten, &BOUNDS, fx));
        let unknown = if is_unwritten { vec![ErrorCode::AckUnknown] } else { Vec::new() };
        assert_eq!(errors(&bench.ack(&[1])), unknown, "it never went out, or it did");
        assert_eq!(sent(&bench.hint(&own(2), 1)), [2], "the window is open again");
    }
}

#[test]
fn a_fenced_session_hears_acks_only() {
    let mut bench = Bench::caught_up();
    bench.hint(&own(1), 0);
    bench.session.fence();
    assert_eq!(acked(&bench.ack(&[1])), [1]);
    assert!(bench.hint(&own(2), 1).is_empty());
    assert!(bench.frame(Frame::Ping).is_empty());
    assert!(bench.bulk(&[broadcast(3)]).is_empty());
    assert!(bench.tick_after(1_000_000).is_empty());
}

#[test]
fn an_ack_for_what_was_never_sent_is_an_error_and_the_connection_goes_on() {
    let mut bench = Bench::caught_up();
    let effects = bench.ack(&[99]);
    assert_eq!((errors(&effects), closes(&effects)), (vec![ErrorCode::AckUnknown], None));
}

#[test]
fn a_second_hello_ends_the_session() {
    let effects = Bench::caught_up().frame(Frame::Hello(Hello::default()));
    assert_eq!(
        (errors(&effects), closes(&effects)),
        (vec![ErrorCode::HelloTwice], Some(GoodbyeReason::Protocol))
    );
}

#[test]
fn eight_frames_that_cannot_be_obeyed_are_borne_and_the_ninth_is_not() {
    let mut bench = Bench::caught_up();
    for _ in 0..8 {
        let effects = bench.step(|session, now, fx| session.malformed(now, fx));
        assert_eq!((errors(&effects), closes(&effects)), (vec![ErrorCode::FrameMalformed], None));
    }
    assert_eq!(closes(&bench.frame(Frame::Welcome(Default::default()))), Some(GoodbyeReason::Protocol));
}

#[test]
fn requests_beyond_the_burst_are_refused_until_time_earns_more() {
    let mut bench = Bench::caught_up();
    let report =
        || Frame::Report(Report { message_id: MessageId::from_bytes([0; 16]), kind: ReportKind::Shown });
    for _ in 0..20 {
        assert!(matches!(bench.frame(report())[..], [Effect::Report(_)]));
    }
    assert_eq!(errors(&bench.frame(report())), [ErrorCode::TooMany]);
    let bind = Frame::Bind(Bind { request: 3, token: String::new() });
    assert!(matches!(bench.frame(bind)[..], [Effect::Refuse { request: 3, code: ErrorCode::TooMany }]));
    bench.at_ms += 200;
    assert!(matches!(bench.frame(report())[..], [Effect::Report(_)]));
}

#[test]
fn a_page_cut_short_before_its_first_place_is_read_again() {
    // The store holds back what another partition might still precede.
    let mut bench = Bench::open(None, true);
    let (turn, _) = read(&bench.step(|session, _, fx| session.begin(&BOUNDS, fx))).unwrap();
    let (turn, _) = read(&bench.page(turn, &[], true, (5, 0))).unwrap();
    assert_eq!(sent(&bench.page(turn, &[own(5)], false, (5, 0))), [5]);
}

#[test]
fn acks_of_a_session_that_was_told_goodbye_count() {
    let mut bench = Bench::caught_up();
    bench.hint(&own(1), 0);
    bench.step(|session, _, fx| session.end(fx));
    bench.session.fence();
    assert_eq!(acked(&bench.ack(&[1])), [1]);
}

#[test]
fn a_page_that_could_not_be_read_is_asked_for_again() {
    let mut bench = Bench::open(None, true);
    let (turn, _) = read(&bench.step(|session, _, fx| session.begin(&BOUNDS, fx))).unwrap();
    bench.session.page_failed(turn);
    assert!(read(&bench.tick_after(1_000)).is_some());
}

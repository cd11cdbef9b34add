use carillon_sdk::api::{Dimension, Granularity};
use carillon_sdk::wire::{Lane, ReportKind};
use carillon_sdk::{MessageId, Ttl};

use super::super::{Cursor, Enqueued};
use super::harness::{BOTH, Bench, HOUR, On, START, ids, wait};
use crate::limits::Limits;
use crate::model::{Epoch, Message, Owner, PushType, Seq, ShardNo};

#[test]
fn an_acked_message_is_delivered_and_leaves_the_queue() {
    for on in BOTH {
        let mut bench = Bench::new(on);
        let app = bench.app("shop");
        let phone = bench.device(app, "phone");
        let (id, _) = bench.push(Owner::Device(phone));
        assert_eq!(bench.state(phone, id).as_deref(), Some("pending"));
        let page = bench.page(phone);
        assert_eq!(ids(&page.due), [id]);
        bench.ack(phone, &page.due);
        bench.ack(phone, &page.due);
        assert!(bench.due(phone).is_empty());
        assert_eq!(bench.counts(app, id), [("delivered".to_owned(), 1)]);
        assert_eq!(bench.store().pending_count(Owner::Device(phone)), 0);
        // The removal is written with the next commit: until then a kill brings the message back.
        bench.device(app, "other");
        for n in 0..4 {
            bench.device(app, &format!("more{n}"));
        }
        bench.kill_and_reopen();
        assert!(bench.due(phone).is_empty());
        assert_eq!(bench.store().totals().pending, 0);
    }
}

#[test]
fn a_device_reads_its_lanes_in_order_three_high_to_one_normal() {
    for on in BOTH {
        let bench = Bench::new(on);
        let app = bench.app("shop");
        let phone = bench.device(app, "phone");
        let mut sent = [Vec::new(), Vec::new()];
        for n in 0..16 {
            let lane = if n % 2 == 0 { Lane::High } else { Lane::Normal };
            let message = Message { lane, ..bench.message(app) };
            sent[n % 2].push(message.id);
            bench.enqueue(message, &[Owner::Device(phone)]).unwrap();
        }
        let (mut cursor, mut seen) = (Cursor::default(), [Vec::new(), Vec::new()]);
        let mut first = None;
        loop {
            let page = bench.page_after(phone, cursor, 5);
            first.get_or_insert_with(|| page.due.iter().map(|due| due.lane).collect::<Vec<_>>());
            for due in &page.due {
                let high = due.lane == Lane::High;
                *if high { &mut cursor.high } else { &mut cursor.normal } = due.seq;
                seen[usize::from(!high)].push(due.id);
            }
            if !page.more {
                break;
            }
        }
        assert_eq!(seen, sent);
        assert_eq!(first.unwrap(), [Lane::High, Lane::High, Lane::High, Lane::Normal, Lane::High]);
    }
}

#[test]
fn a_user_push_waits_for_a_bind_and_goes_when_every_listed_device_acked() {
    for on in BOTH {
        let bench = Bench::new(on);
        let app = bench.app("shop");
        let (phone, tablet) = (bench.device(app, "phone"), bench.device(app, "tablet"));
        let anna = bench.user(app, "anna");
        let (id, _) = bench.push(Owner::User(anna));
        assert_eq!(bench.counts(app, id), [("pending".to_owned(), 1)]);
        assert!(bench.due(phone).is_empty());
        bench.bind(phone, Some(anna));
        bench.bind(tablet, Some(anna));
        assert_eq!(bench.due(phone), [id]);
        assert_eq!(bench.due(tablet), [id]);
        bench.ack_all(phone);
        assert!(bench.due(phone).is_empty());
        assert_eq!(bench.due(tablet), [id], "listed before anybody acked");
        bench.ack_all(tablet);
        assert_eq!(bench.store().pending_count(Owner::User(anna)), 0);
        assert_eq!(bench.counts(app, id), [("delivered".to_owned(), 2)]);
    }
}

#[test]
fn a_device_that_binds_after_somebody_acked_gets_nothing_old() {
    for on in BOTH {
        let bench = Bench::new(on);
        let app = bench.app("shop");
        let (phone, tablet, late) =
            (bench.device(app, "phone"), bench.device(app, "tablet"), bench.device(app, "late"));
        let anna = bench.user(app, "anna");
        bench.bind(phone, Some(anna));
        bench.bind(tablet, Some(anna));
        bench.push(Owner::User(anna));
        bench.ack_all(phone);
        bench.bind(late, Some(anna));
        assert!(bench.due(late).is_empty());
        assert_eq!(bench.due(tablet).len(), 1);
    }
}

#[test]
fn what_waits_for_a_user_is_not_shown_to_the_next_one_on_the_device() {
    for on in BOTH {
        let bench = Bench::new(on);
        let app = bench.app("shop");
        let phone = bench.device(app, "phone");
        let (anna, ben) = (bench.user(app, "anna"), bench.user(app, "ben"));
        bench.bind(phone, Some(anna));
        let (id, _) = bench.push(Owner::User(anna));
        bench.bind(phone, Some(ben));
        assert!(bench.due(phone).is_empty());
        bench.bind(phone, Some(anna));
        assert_eq!(bench.due(phone), [id]);
    }
}

#[test]
fn a_later_push_with_the_same_collapse_key_replaces_the_pending_one() {
    for on in BOTH {
        let mut bench = Bench::new(on);
        let app = bench.app("shop");
        let phone = bench.device(app, "phone");
        let push = |bench: &Bench| {
            let message = Message { collapse_key: Some("score".to_owned()), ..bench.message(app) };
            let id = message.id;
            bench.enqueue(message, &[Owner::Device(phone)]).unwrap();
            id
        };
        let first = push(&bench);
        let (other, _) = bench.push(Owner::Device(phone));
        let second = push(&bench);
        assert_eq!(bench.due(phone), [other, second]);
        assert_eq!(bench.state(phone, first).as_deref(), Some("replaced"));
        bench.kill_and_reopen();
        assert_eq!(bench.due(phone), [other, second]);
        let third = push(&bench);
        assert_eq!(bench.due(phone), [other, third]);
        assert_eq!(bench.store().pending_count(Owner::Device(phone)), 2);
    }
}

#[test]
fn a_full_queue_refuses_and_a_replacement_still_fits() {
    let limits = Limits { pending_max: 2, ..Limits::default() };
    for on in BOTH {
        let bench = Bench::with(on, limits.clone());
        let app = bench.app("shop");
        let (phone, tablet) = (bench.device(app, "phone"), bench.device(app, "tablet"));
        bench.push(Owner::Device(phone));
        let collapsing = || Message { collapse_key: Some("k".to_owned()), ..bench.message(app) };
        bench.enqueue(collapsing(), &[Owner::Device(phone)]).unwrap();
        let outcomes =
            bench.enqueue(bench.message(app), &[Owner::Device(phone), Owner::Device(tablet)]).unwrap();
        assert_eq!(outcomes[0], Enqueued::QueueFull);
        assert!(matches!(outcomes[1], Enqueued::Stored(_)));
        let outcomes = bench.enqueue(collapsing(), &[Owner::Device(phone)]).unwrap();
        assert!(matches!(outcomes[..], [Enqueued::Stored(_)]));
        assert_eq!(bench.store().pending_count(Owner::Device(phone)), 2);
    }
}

#[test]
fn a_queue_is_bounded_in_bytes() {
    let bench = Bench::with(On::Memory, Limits { pending_bytes_max: 10, ..Limits::default() });
    let app = bench.app("shop");
    let phone = Owner::Device(bench.device(app, "phone"));
    let sized = |len| Message { title: Some("x".repeat(len)), ..bench.message(app) };
    assert!(matches!(bench.enqueue(sized(6), &[phone]).unwrap()[..], [Enqueued::Stored(_)]));
    assert_eq!(bench.enqueue(sized(5), &[phone]).unwrap(), [Enqueued::QueueFull]);
    assert!(matches!(bench.enqueue(sized(4), &[phone]).unwrap()[..], [Enqueued::Stored(_)]));
}

#[test]
fn a_repeated_push_completes_what_was_missing_and_nothing_twice() {
    for on in BOTH {
        let mut bench = Bench::with(on, Limits { pending_max: 1, ..Limits::default() });
        let app = bench.app("shop");
        let devices: Vec<_> = (0..6).map(|n| bench.device(app, &format!("d{n}"))).collect();
        let owners: Vec<_> = devices.iter().map(|device| Owner::Device(*device)).collect();
        bench.push(owners[0]);
        let message = Message { id: MessageId::derived(&[1; 16], b"key"), ..bench.message(app) };
        let outcomes = bench.enqueue(message.clone(), &owners).unwrap();
        assert_eq!(outcomes[0], Enqueued::QueueFull);
        assert_eq!(outcomes.iter().filter(|outcome| matches!(outcome, Enqueued::Stored(_))).count(), 5);
        bench.ack_all(devices[0]);
        bench.ack_all(devices[5]);
        bench.kill_and_reopen();
        let outcomes = bench.enqueue(message.clone(), &owners).unwrap();
        assert!(matches!(outcomes[0], Enqueued::Stored(_)));
        assert_eq!(outcomes[1..], [Enqueued::Repeated; 5], "the one already acked too");
        assert_eq!(bench.enqueue(message.clone(), &owners).unwrap(), [Enqueued::Repeated; 6]);
        for device in &devices[..5] {
            assert_eq!(bench.due(*device), [message.id]);
        }
        assert_eq!(bench.counts(app, message.id), [("delivered".to_owned(), 1), ("pending".to_owned(), 5)]);
    }
}

#[test]
fn a_target_named_twice_gets_the_message_once() {
    let bench = Bench::new(On::Memory);
    let app = bench.app("shop");
    let phone = bench.device(app, "phone");
    let outcomes = bench.enqueue(bench.message(app), &[Owner::Device(phone); 2]).unwrap();
    assert!(matches!(outcomes[..], [Enqueued::Stored(_), Enqueued::Repeated]));
    assert_eq!(bench.due(phone).len(), 1);
}

#[test]
fn a_payload_for_many_is_stored_until_the_last_of_them_acked() {
    for on in BOTH {
        let mut bench = Bench::new(on);
        let app = bench.app("shop");
        let devices: Vec<_> = (0..10).map(|n| bench.device(app, &format!("d{n}"))).collect();
        let owners: Vec<_> = devices.iter().map(|device| Owner::Device(*device)).collect();
        let message = Message { push_type: PushType::Multiple, ..bench.message(app) };
        let id = message.id;
        bench.enqueue(message, &owners).unwrap();
        for (at, device) in devices.iter().enumerate() {
            assert_eq!(bench.due(*device), [id]);
            bench.ack_all(*device);
            if at == 4 {
                bench.kill_and_reopen();
            }
        }
        assert_eq!(bench.counts(app, id), [("delivered".to_owned(), 10)]);
    }
}

#[test]
fn an_expired_message_is_never_due_and_gets_its_verdict() {
    for on in BOTH {
        let mut bench = Bench::new(on);
        let app = bench.app("shop");
        let phone = bench.device(app, "phone");
        let anna = bench.user(app, "anna");
        let (id, _) = bench.push(Owner::Device(phone));
        let (waiting, _) = bench.push(Owner::User(anna));
        bench.advance(Ttl::from_millis(HOUR.as_millis() - 1));
        bench.sweep();
        assert_eq!(bench.due(phone), [id]);
        bench.advance(Ttl::from_millis(1));
        assert!(bench.due(phone).is_empty(), "at the boundary millisecond too");
        bench.sweep();
        bench.sweep();
        assert_eq!(bench.counts(app, id), [("expired".to_owned(), 1)]);
        assert_eq!(bench.counts(app, waiting), [("expired".to_owned(), 1)]);
        assert_eq!(bench.store().totals().pending, 0);
        bench.kill_and_reopen();
        assert_eq!(bench.store().totals().pending, 0);
    }
}

#[test]
fn what_expires_in_flight_waits_for_its_ack_until_the_ack_timeout() {
    for (acked, verdict) in [(true, "delivered"), (false, "expired")] {
        let bench = Bench::new(On::Memory);
        let app = bench.app("shop");
        let phone = bench.device(app, "phone");
        let (id, _) = bench.push(Owner::Device(phone));
        bench.store().connect(phone, Epoch(1), ShardNo(0)).unwrap();
        let page = bench.page(phone);
        bench.advance(HOUR);
        bench.sweep();
        assert_eq!(bench.state(phone, id).as_deref(), Some("pending"));
        if acked {
            bench.ack(phone, &page.due);
        }
        bench.advance(Ttl::from_secs(30));
        bench.sweep();
        assert_eq!(bench.state(phone, id).as_deref(), Some(verdict));
    }
}

#[test]
fn nothing_is_deleted_on_the_word_of_a_clock_that_jumped() {
    let bench = Bench::new(On::Memory);
    let app = bench.app("shop");
    let phone = bench.device(app, "phone");
    let (id, _) = bench.push(Owner::Device(phone));
    assert!(bench.clock.watch().is_none());
    bench.clock.step_wall(7_200_000);
    assert!(bench.clock.watch().is_some());
    bench.sweep();
    assert_eq!(bench.state(phone, id).as_deref(), Some("pending"));
    bench.advance(Ttl::from_secs(300));
    bench.sweep();
    assert_eq!(bench.state(phone, id).as_deref(), Some("expired"));
}

#[test]
fn places_a_device_says_it_holds_are_acked_from_either_queue() {
    let bench = Bench::new(On::Memory);
    let app = bench.app("shop");
    let phone = bench.device(app, "phone");
    let anna = bench.user(app, "anna");
    bench.bind(phone, Some(anna));
    let (_, own) = bench.push(Owner::Device(phone));
    let (_, of_user) = bench.push(Owner::User(anna));
    let (kept, _) = bench.push(Owner::Device(phone));
    bench.store().ack_held(phone, Some(anna), vec![own, of_user, Seq(999_999_999)]).unwrap();
    bench.settle(app);
    assert_eq!(bench.due(phone), [kept]);
}

#[test]
fn a_stranger_cannot_ack_a_devices_message() {
    let bench = Bench::new(On::Memory);
    let app = bench.app("shop");
    let (phone, stranger) = (bench.device(app, "phone"), bench.device(app, "stranger"));
    let (id, _) = bench.push(Owner::Device(phone));
    let due = bench.page(phone).due;
    bench.ack(stranger, &due);
    assert_eq!(bench.due(phone), [id]);
}

#[test]
fn hints_name_the_session_and_the_place_before() {
    for on in BOTH {
        let bench = Bench::new(on);
        let app = bench.app("shop");
        let (phone, offline) = (bench.device(app, "phone"), bench.device(app, "offline"));
        let anna = bench.user(app, "anna");
        bench.bind(phone, Some(anna));
        bench.store().connect(phone, Epoch(7), ShardNo(3)).unwrap();
        let (_, first) = bench.push(Owner::Device(phone));
        let (_, second) = bench.push(Owner::Device(phone));
        bench.push(Owner::Device(offline));
        let (_, of_user) = bench.push(Owner::User(anna));
        bench.settle(app);
        let heard = bench.heard.due.lock();
        let seen: Vec<_> =
            heard.iter().map(|(shard, hint)| (shard.0, hint.epoch.0, hint.due.seq, hint.prev)).collect();
        let expected = [(3, 7, first, Seq(0)), (3, 7, second, first), (3, 7, of_user, Seq(0))];
        assert_eq!(seen.len(), 3);
        assert!(expected.iter().all(|hint| seen.contains(hint)), "{seen:?}");
        drop(heard);
        assert_eq!(bench.store().head(Owner::Device(phone)), second);
        let page = bench.page(phone);
        assert_eq!((page.device_head, page.user_head), (second, of_user));
    }
}

#[test]
fn a_report_counts_once_and_only_for_what_was_sent() {
    for on in BOTH {
        let bench = Bench::new(on);
        let app = bench.app("shop");
        let (phone, stranger) = (bench.device(app, "phone"), bench.device(app, "stranger"));
        let (id, _) = bench.push(Owner::Device(phone));
        let report = |device, kind| wait(bench.store().report(device, id, kind)).unwrap();
        assert!(!report(phone, ReportKind::Opened), "not sent yet");
        let page = bench.page(phone);
        bench.store().note_sent(phone, page.due.clone());
        assert!(report(phone, ReportKind::Shown));
        assert!(report(phone, ReportKind::Opened));
        assert!(report(phone, ReportKind::Opened));
        assert!(!report(stranger, ReportKind::Opened));
        bench.ack(phone, &page.due);
        let view = wait(bench.store().message(app, id, None, 10)).unwrap().unwrap();
        let steps: Vec<_> = view.targets[0].steps.iter().map(|step| format!("{:?}", step.step)).collect();
        assert_eq!(steps, ["Accepted", "Sent", "Shown", "Opened", "Delivered"]);
    }
}

#[test]
fn statistics_equal_verdicts_after_a_kill() {
    for on in BOTH {
        let mut bench = Bench::new(on);
        let app = bench.app("shop");
        let phone = bench.device(app, "phone");
        let sums = |bench: &Bench| {
            let to = bench.clock.now() + HOUR;
            let rows =
                wait(bench.store().stats(app, START, to, Granularity::Hour, vec![Dimension::Platform]))
                    .unwrap();
            rows.iter()
                .map(|row| (row.accepted, row.arrived, row.expired))
                .fold((0, 0, 0), |sum, row| (sum.0 + row.0, sum.1 + row.1, sum.2 + row.2))
        };
        for round in 0..3 {
            for _ in 0..5 {
                bench.push(Owner::Device(phone));
            }
            let page = bench.page_after(phone, Cursor::default(), 2);
            bench.ack(phone, &page.due);
            bench.advance(Ttl::from_secs(61));
            if round != 1 {
                wait(bench.store().close_minutes(bench.clock.now())).unwrap();
            }
            let before = sums(&bench);
            bench.kill_and_reopen();
            assert_eq!(sums(&bench), before);
        }
        assert_eq!(sums(&bench), (15, 6, 0));
    }
}

#[test]
fn totals_tell_what_waits_and_since_when() {
    let bench = Bench::new(On::Memory);
    let app = bench.app("shop");
    let phone = bench.device(app, "phone");
    bench.push(Owner::Device(phone));
    bench.advance(Ttl::from_secs(600));
    bench.push(Owner::Device(phone));
    let totals = bench.store().totals();
    assert_eq!((totals.pending, totals.pending_bytes, totals.devices), (2, 4, 1));
    assert_eq!(totals.oldest_pending_at, Some(START));
    bench.ack(phone, &bench.page_after(phone, Cursor::default(), 1).due);
    assert_eq!(bench.store().totals().oldest_pending_at, Some(START + Ttl::from_secs(600)));
}

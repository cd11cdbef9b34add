//! The log's contract: whom an entry is let go to, who comes later, how it ends, and that the
//! books hold.

use std::sync::Arc;

use carillon_sdk::api::Platform;
use carillon_sdk::wire::{Lane, ReportKind};
use carillon_sdk::{MessageId, Ttl};
use roaring::RoaringBitmap;

use super::super::{Error, LogEntry, Targets};
use super::harness::{BOTH, Bench, HOUR, On, wait};
use crate::audience::{Audience, Fact};
use crate::limits::Limits;
use crate::model::{App, Device, Epoch, Message, PushType, ShardNo, Task};

fn broadcast(bench: &Bench, app: App, audience: Audience) -> (MessageId, u32) {
    let message = Message { push_type: PushType::Broadcast, lane: Lane::Bulk, ..bench.message(app) };
    let id = message.id;
    (id, wait(bench.store().broadcast(Arc::new(message), audience, None)).unwrap())
}

fn entry(bench: &Bench, app: App) -> Arc<LogEntry> {
    Arc::clone(&bench.store().log(app)[0])
}

fn due(bench: &Bench, device: Device) -> bool {
    entry(bench, device.app).is_due(device, bench.clock.now())
}

/// Connects, and waits until what the device joined by that is committed.
fn connect(bench: &Bench, device: Device) {
    bench.store().connect(device, bench.store().next_epoch(), ShardNo(0)).unwrap();
    bench.settle(device.app);
}

fn counts(bench: &Bench, app: App, id: MessageId) -> Vec<(String, u64)> {
    bench.sweep();
    bench.counts(app, id)
}

fn count(state: &str, number: u64) -> (String, u64) {
    (state.to_owned(), number)
}

fn devices(bench: &Bench, app: App, many: usize) -> Vec<Device> {
    (0..many).map(|n| bench.device(app, &format!("d{n}"))).collect()
}

fn set(devices: &[Device]) -> RoaringBitmap {
    devices.iter().map(|device| device.ordinal).collect()
}

const BOUND: Audience = Audience::Is(Fact::Bound);

#[test]
fn a_broadcast_is_due_to_its_audience_until_acked_or_expired() {
    for on in BOTH {
        let mut bench = Bench::new(on);
        let app = bench.app("shop");
        let devices = devices(&bench, app, 3);
        let (id, accepted) = broadcast(&bench, app, Audience::Everybody);
        assert_eq!(accepted, 3);
        bench.settle(app);
        assert_eq!(bench.heard.broadcasts.lock().len(), 1);
        bench.ack(devices[0], &[Arc::clone(&entry(&bench, app).due)]);
        assert!(!due(&bench, devices[0]));
        assert_eq!(bench.state(devices[0], id).as_deref(), Some("pending"), "a crash could take it back");
        bench.sweep();
        assert_eq!(bench.state(devices[0], id).as_deref(), Some("delivered"));
        bench.sweep();
        bench.kill_and_reopen();
        assert!(!due(&bench, devices[0]));
        assert!(due(&bench, devices[1]));
        assert!(wait(bench.store().report(devices[1], id, ReportKind::Opened)).unwrap());
        bench.advance(HOUR);
        assert!(!due(&bench, devices[1]));
        bench.sweep();
        bench.advance(Ttl::from_secs(30));
        bench.sweep();
        assert!(bench.store().log(app).is_empty());
        assert_eq!(bench.counts(app, id), [count("delivered", 1), count("expired", 2)]);
        bench.sweep();
        bench.kill_and_reopen();
        assert!(bench.store().log(app).is_empty());
    }
}

#[test]
fn a_device_that_registers_later_is_accepted_when_it_connects_and_one_that_never_does_is_not() {
    for on in BOTH {
        let mut bench = Bench::new(on);
        let app = bench.app("shop");
        bench.device(app, "early");
        let (id, accepted) = broadcast(&bench, app, Audience::Everybody);
        assert_eq!(accepted, 1);
        let (late, never) = (bench.device(app, "late"), bench.device(app, "never"));
        assert!(!due(&bench, late), "not before it is on disk that it was accepted");
        connect(&bench, late);
        assert!(due(&bench, late) && !due(&bench, never));
        assert_eq!(counts(&bench, app, id), [count("pending", 2)]);
        bench.kill_and_reopen();
        assert!(due(&bench, late) && !due(&bench, never));
        connect(&bench, late);
        assert_eq!(counts(&bench, app, id), [count("pending", 2)], "once");
        bench.advance(HOUR);
        connect(&bench, never);
        bench.advance(Ttl::from_secs(30));
        assert_eq!(counts(&bench, app, id), [count("expired", 2)]);
    }
}

#[test]
fn a_rule_is_judged_at_acceptance_and_for_those_who_come_later() {
    for on in BOTH {
        let bench = Bench::new(on);
        let app = bench.app("shop");
        bench.device(app, "android");
        let ios = Audience::Is(Fact::Platform(Platform::Ios));
        assert_eq!(broadcast(&bench, app, ios).1, 0);
        let android = bench.device(app, "another android");
        let ios = |name: &str| {
            let body = carillon_sdk::api::RegisterDevice {
                device_id: Some(carillon_sdk::DeviceId::parse(name).unwrap()),
                platform: Platform::Ios,
                ..Default::default()
            };
            wait(bench.store().register(app, body, None)).unwrap().device
        };
        let phone = ios("phone");
        [android, phone].into_iter().for_each(|device| connect(&bench, device));
        assert!(due(&bench, phone) && !due(&bench, android));
    }
}

#[test]
fn who_is_bound_later_belongs_to_an_audience_of_the_bound() {
    for on in BOTH {
        let bench = Bench::new(on);
        let app = bench.app("shop");
        let phone = bench.device(app, "phone");
        let (id, accepted) = broadcast(&bench, app, BOUND);
        assert_eq!(accepted, 0);
        connect(&bench, phone);
        assert!(!due(&bench, phone));
        bench.bind(phone, Some(bench.user(app, "anna")));
        bench.settle(app);
        assert!(due(&bench, phone));
        bench.bind(phone, None);
        assert!(due(&bench, phone), "what was let go stays so");
        assert_eq!(counts(&bench, app, id), [count("pending", 1)]);
    }
}

#[test]
fn a_registration_under_way_at_acceptance_is_judged_when_it_connects() {
    let bench = Bench::new(On::Memory);
    let app = bench.app("shop");
    let name = carillon_sdk::DeviceId::parse("slow").unwrap();
    let people = bench.store().0.shared.tenants.get(app).unwrap();
    people.reserve(&name);
    assert_eq!(broadcast(&bench, app, Audience::Everybody).1, 0);
    let slow = bench.device(app, "slow");
    connect(&bench, slow);
    assert!(due(&bench, slow));
}

#[test]
fn a_campaign_is_due_to_whom_it_is_let_go_to_and_its_targets_stay_as_planned() {
    for on in BOTH {
        let mut bench = Bench::new(on);
        let app = bench.app("shop");
        let all = devices(&bench, app, 5);
        let task = Task(7);
        let plan = |bench: &Bench| {
            let message = Message { lane: Lane::Bulk, task: Some(task), ..bench.message(app) };
            wait(bench.store().plan_entry(Arc::new(message), Targets::Rule(Audience::Everybody), None))
                .unwrap()
        };
        let release =
            |bench: &Bench, some: &[Device]| wait(bench.store().release(app, task, set(some))).unwrap();
        let planned = plan(&bench);
        assert_eq!((planned.targets, planned.released), (5, 0));
        let late = bench.device(app, "late");
        connect(&bench, late);
        assert!(all.iter().all(|&device| !due(&bench, device)));
        assert_eq!(release(&bench, &all[..2]), Some(2));
        assert_eq!(release(&bench, &[all[1], all[2], late]), Some(1), "once each, and targets only");
        assert_eq!(counts(&bench, app, planned.id), [count("pending", 3)]);
        bench.kill_and_reopen();
        assert_eq!(plan(&bench).id, planned.id, "planned again, it is found");
        assert_eq!(bench.store().unreleased(app, task), Some(set(&all[3..])));
        assert_eq!(release(&bench, &all[..3]), Some(0));
        wait(bench.store().delete_device(all[3], None)).unwrap();
        assert_eq!(release(&bench, &all[3..]), Some(2), "a deleted one too, so that a campaign ends");
        bench.ack(all[0], &[Arc::clone(&entry(&bench, app).due)]);
        let expected = [count("delivered", 1), count("pending", 3), count("rejected", 1)];
        assert_eq!(counts(&bench, app, planned.id), expected);
        let view = bench.store().entry(app, task).unwrap();
        assert_eq!((view.released, view.delivered, view.rejected), (5, 1, 1));
        bench.advance(HOUR);
        assert_eq!(release(&bench, &all), None);
        bench.advance(Ttl::from_secs(30));
        let expected = [count("delivered", 1), count("expired", 3), count("rejected", 1)];
        assert_eq!(counts(&bench, app, planned.id), expected);
        assert_eq!(bench.store().entry(app, task), None);
    }
}

#[test]
fn a_repeated_broadcast_is_one_and_a_full_log_refuses() {
    let bench = Bench::with(On::Memory, Limits { broadcasts_max: 1, ..Limits::default() });
    let app = bench.app("shop");
    bench.device(app, "phone");
    let message = Arc::new(Message { id: MessageId::derived(&[1; 16], b"b"), ..bench.message(app) });
    let push = |message| wait(bench.store().broadcast(message, Audience::Everybody, None));
    assert_eq!(push(Arc::clone(&message)), Ok(1));
    assert_eq!(push(message), Ok(1));
    assert_eq!(bench.store().log(app).len(), 1);
    assert_eq!(push(Arc::new(bench.message(app))), Err(Error::Exists));
}

#[test]
fn a_failed_commit_lets_nobody_go() {
    for on in BOTH {
        let mut bench = Bench::new(on);
        let app = bench.app("shop");
        let phone = bench.device(app, "phone");
        bench.faults.fail_write(1);
        let pushed = bench.store().broadcast(Arc::new(bench.message(app)), Audience::Everybody, None);
        assert_eq!(wait(pushed), Err(Error::Unknown));
        assert!(!due(&bench, phone));
        bench.kill_and_reopen();
        assert!(bench.store().log(app).is_empty());
    }
}

#[test]
fn a_session_is_told_of_each_release_and_of_none_it_has_seen() {
    let bench = Bench::new(On::Memory);
    let app = bench.app("shop");
    let phone = bench.device(app, "phone");
    broadcast(&bench, app, Audience::Everybody);
    bench.settle(app);
    let seen = bench.store().log(app).head;
    let late = bench.device(app, "late");
    bench.store().connect(late, Epoch(9), ShardNo(0)).unwrap();
    bench.settle(app);
    let log = bench.store().log(app);
    assert!(log.head > seen && log[0].released_at() == log.head);
    assert!(due(&bench, phone));
}

//! What a revoke withdraws, whom it tells, and that each device still has exactly one verdict.

use std::sync::Arc;

use carillon_sdk::wire::Lane;
use carillon_sdk::{MessageId, Ttl};

use super::super::{Acked, Audit, RevokeOutcome, Revoked, Targets, TaskInfo};
use super::harness::{BOTH, Bench, HOUR, On, wait};
use crate::audience::Audience;
use crate::model::{App, Device, Due, Message, Owner, PushType, ShardNo, Task};

fn done(withdrawn: u64, told: u64) -> RevokeOutcome {
    RevokeOutcome::Done(Revoked { withdrawn, told, complete: true })
}

fn revoke(bench: &Bench, app: App, id: MessageId) -> RevokeOutcome {
    wait(bench.store().revoke_message(app, id, None)).unwrap()
}

fn connect(bench: &Bench, device: Device) {
    bench.store().connect(device, bench.store().next_epoch(), ShardNo(0)).unwrap();
}

/// As a session does when it writes to a socket.
fn send(bench: &Bench, device: Device, due: &[Due]) {
    bench.store().note_sent(device, due.to_vec());
    bench.settle(device.app);
}

fn notices(due: &[Due]) -> Vec<MessageId> {
    due.iter().filter_map(|due| due.revokes).collect()
}

fn count(state: &str, number: u64) -> (String, u64) {
    (state.to_owned(), number)
}

fn task(bench: &Bench, app: App) -> Task {
    let info = TaskInfo {
        name: None,
        push_type: PushType::Multiple,
        template: None,
        expires_at: bench.clock.now() + HOUR,
    };
    wait(bench.store().open_task(app, info, None)).unwrap()
}

#[test]
fn what_waits_for_a_device_that_never_got_it_is_withdrawn_without_a_word() {
    for on in BOTH {
        let mut bench = Bench::new(on);
        let app = bench.app("shop");
        let phone = bench.device(app, "phone");
        let (id, _) = bench.push(Owner::Device(phone));
        assert_eq!(revoke(&bench, app, id), done(1, 0));
        assert!(bench.page(phone).due.is_empty());
        assert_eq!(bench.counts(app, id), [count("revoked", 1)]);
        bench.kill_and_reopen();
        assert!(bench.page(phone).due.is_empty());
        assert_eq!(revoke(&bench, app, id), done(0, 0), "nothing is left of it");
        assert_eq!(bench.counts(app, id), [count("revoked", 1)]);
    }
}

#[test]
fn a_device_that_shows_it_is_told_until_it_acks_and_nothing_counts_that() {
    for on in BOTH {
        let mut bench = Bench::new(on);
        let app = bench.app("shop");
        let (phone, tablet) = (bench.device(app, "phone"), bench.device(app, "tablet"));
        let message = bench.message(app);
        let id = message.id;
        bench.enqueue(message, &[Owner::Device(phone), Owner::Device(tablet)]).unwrap();
        let due = bench.page(phone).due;
        send(&bench, phone, &due);
        bench.ack(phone, &due);
        assert_eq!(revoke(&bench, app, id), done(1, 1));
        assert_eq!(bench.store().device_info(phone).unwrap().pending, 0);
        bench.kill_and_reopen();
        let due = bench.page(phone).due;
        assert_eq!(notices(&due), [id]);
        assert!(wait(bench.store().message(app, due[0].id, None, 1)).unwrap().is_none());
        send(&bench, phone, &due);
        bench.ack(phone, &due);
        assert!(bench.page(phone).due.is_empty() && bench.page(tablet).due.is_empty());
        assert_eq!(bench.counts(app, id), [count("delivered", 1), count("revoked", 1)]);
        assert_eq!(revoke(&bench, app, id), done(0, 0), "told once");
    }
}

#[test]
fn a_late_ack_changes_nothing_and_a_session_holds_it_back() {
    for on in BOTH {
        let bench = Bench::new(on);
        let app = bench.app("shop");
        let phone = bench.device(app, "phone");
        connect(&bench, phone);
        let (id, seq) = bench.push(Owner::Device(phone));
        let due = bench.page(phone).due;
        send(&bench, phone, &due);
        assert_eq!(revoke(&bench, app, id), done(1, 1));
        let held_back = bench.heard.withdrawn.lock().clone();
        assert_eq!(held_back, [(app, seq)]);
        bench.ack(phone, &due);
        assert_eq!(bench.counts(app, id), [count("revoked", 1)]);
        assert_eq!(notices(&bench.page(phone).due), [id]);
    }
}

#[test]
fn a_users_message_is_withdrawn_from_all_the_devices_that_have_not_acked_it() {
    for on in BOTH {
        let bench = Bench::new(on);
        let app = bench.app("shop");
        let (phone, tablet) = (bench.device(app, "phone"), bench.device(app, "tablet"));
        let (anna, ben) = (bench.user(app, "anna"), bench.user(app, "ben"));
        for device in [phone, tablet] {
            bench.bind(device, Some(anna));
        }
        let (id, _) = bench.push(Owner::User(anna));
        let due = bench.page(phone).due;
        send(&bench, phone, &due);
        bench.ack(phone, &due);
        let other = wait(bench.store().revoke_message(app, id, Some(Owner::User(ben)))).unwrap();
        assert_eq!(other, done(0, 0), "it was not for him");
        let hers = wait(bench.store().revoke_message(app, id, Some(Owner::User(anna)))).unwrap();
        assert_eq!(hers, done(1, 1));
        assert_eq!(bench.counts(app, id), [count("delivered", 1), count("revoked", 1)]);
        assert!(bench.page(tablet).due.is_empty());
        let (waiting, _) = bench.push(Owner::User(ben));
        assert_eq!(revoke(&bench, app, waiting), done(1, 0));
        assert_eq!(bench.counts(app, waiting), [count("revoked", 1)]);
    }
}

#[test]
fn one_target_is_withdrawn_and_the_others_stay() {
    for on in BOTH {
        let bench = Bench::new(on);
        let app = bench.app("shop");
        let (phone, tablet) = (bench.device(app, "phone"), bench.device(app, "tablet"));
        let message = bench.message(app);
        let id = message.id;
        bench.enqueue(message, &[Owner::Device(phone), Owner::Device(tablet)]).unwrap();
        let revoked = wait(bench.store().revoke_message(app, id, Some(Owner::Device(phone)))).unwrap();
        assert_eq!(revoked, done(1, 0));
        assert_eq!((bench.page(phone).due.len(), bench.due(tablet)), (0, vec![id]));
    }
}

#[test]
fn unknown_and_old_messages_are_said_to_be() {
    let mut bench = Bench::new(On::Memory);
    bench.limits.history_keep = Ttl::from_secs(30 * 24 * 3600);
    bench.open();
    let app = bench.app("shop");
    let phone = bench.device(app, "phone");
    assert_eq!(revoke(&bench, app, MessageId::fresh()), RevokeOutcome::Unknown);
    let task = task(&bench, app);
    let (id, _) = bench.push(Owner::Device(phone));
    let other = bench.app("bank");
    assert_eq!(revoke(&bench, other, id), RevokeOutcome::Unknown);
    bench.advance(bench.limits.revoke_keep);
    bench.advance(HOUR);
    assert_eq!(revoke(&bench, app, id), RevokeOutcome::TooOld);
    let of_task = |task| wait(bench.store().revoke_task(app, task, None, None)).unwrap();
    assert_eq!(of_task(task), RevokeOutcome::TooOld);
    assert_eq!(of_task(Task(u64::MAX)), RevokeOutcome::Unknown);
}

#[test]
fn a_broadcast_withdrawn_from_one_device_stays_so_after_a_kill() {
    for on in BOTH {
        let mut bench = Bench::new(on);
        let app = bench.app("shop");
        let (phone, tablet) = (bench.device(app, "phone"), bench.device(app, "tablet"));
        let message = Message { lane: Lane::Bulk, ..bench.message(app) };
        let id = message.id;
        wait(bench.store().broadcast(Arc::new(message), Audience::Everybody, None)).unwrap();
        let revoked = wait(bench.store().revoke_message(app, id, Some(Owner::Device(phone)))).unwrap();
        assert_eq!(revoked, done(1, 0));
        bench.kill_and_reopen();
        let log = bench.store().log(app);
        let now = bench.clock.now();
        assert!(!log[0].is_due(phone, now) && log[0].is_due(tablet, now));
        assert_eq!(bench.counts(app, id), [count("pending", 1), count("revoked", 1)]);
    }
}

#[test]
fn a_silent_message_is_withdrawn_without_a_word() {
    for on in BOTH {
        let bench = Bench::new(on);
        let app = bench.app("shop");
        let phone = bench.device(app, "phone");
        let message = Message { silent: true, ..bench.message(app) };
        let id = message.id;
        bench.enqueue(message, &[Owner::Device(phone)]).unwrap();
        let due = bench.page(phone).due;
        send(&bench, phone, &due);
        bench.ack(phone, &due);
        assert_eq!(revoke(&bench, app, id), done(0, 0));
        assert!(bench.page(phone).due.is_empty());
    }
}

#[test]
fn a_broadcast_revoked_half_way_is_delivered_to_some_and_revoked_for_the_rest() {
    for on in BOTH {
        let mut bench = Bench::new(on);
        let app = bench.app("shop");
        let devices: Vec<_> = (0..4).map(|n| bench.device(app, &format!("d{n}"))).collect();
        let message = Message { lane: Lane::Bulk, ..bench.message(app) };
        let id = message.id;
        wait(bench.store().broadcast(Arc::new(message), Audience::Everybody, None)).unwrap();
        let entry = Arc::clone(&bench.store().log(app)[0]);
        let due = [Arc::clone(&entry.due)];
        [0, 1].into_iter().for_each(|n| send(&bench, devices[n], &due));
        bench.ack(devices[0], &due);
        assert_eq!(revoke(&bench, app, id), done(3, 2));
        assert!(devices.iter().all(|&device| !entry.is_due(device, bench.clock.now())));
        bench.ack(devices[1], &due);
        bench.sweep();
        assert_eq!(bench.counts(app, id), [count("delivered", 1), count("revoked", 3)]);
        let late = bench.device(app, "late");
        connect(&bench, late);
        bench.settle(app);
        // Written to its socket as the revoke came.
        send(&bench, devices[2], &due);
        bench.sweep();
        bench.kill_and_reopen();
        let log = bench.store().log(app);
        let told = |device: Device| -> Vec<MessageId> {
            let now = bench.clock.now();
            log.iter()
                .filter(|entry| entry.is_due(device, now))
                .filter_map(|entry| entry.due.revokes)
                .collect()
        };
        assert!(devices[..3].iter().all(|&device| told(device) == [id]));
        assert!(told(devices[3]).is_empty() && told(late).is_empty());
        let notice = log.iter().find(|entry| entry.due.revokes.is_some()).unwrap();
        let acked = Acked { owner: None, seq: notice.due.seq, id: notice.due.id };
        bench.store().ack(devices[0], vec![acked]).unwrap();
        assert!(told(devices[0]).is_empty());
        assert_eq!(revoke(&bench, app, id), done(0, 0), "once");
        bench.advance(HOUR);
        bench.advance(HOUR);
        bench.sweep();
        assert_eq!(bench.counts(app, id), [count("delivered", 1), count("revoked", 3)]);
        bench.advance(bench.limits.revoke_keep);
        bench.sweep();
        assert!(bench.store().log(app).is_empty());
    }
}

#[test]
fn a_revoked_campaign_lets_nobody_go_any_more() {
    for on in BOTH {
        let mut bench = Bench::new(on);
        let app = bench.app("shop");
        let devices: Vec<_> = (0..3).map(|n| bench.device(app, &format!("d{n}"))).collect();
        let task = task(&bench, app);
        let message = Message { lane: Lane::Bulk, task: Some(task), ..bench.message(app) };
        let id = message.id;
        let targets = Targets::Rule(Audience::Everybody);
        wait(bench.store().plan_entry(Arc::new(message), targets, None)).unwrap();
        let release = |bench: &Bench, device: Device| {
            wait(bench.store().release(app, task, [device.ordinal].into())).unwrap()
        };
        assert_eq!(release(&bench, devices[0]), Some(1));
        let audit = Audit {
            who: "ck_1".to_owned(),
            from: None,
            what: "task.revoke".to_owned(),
            object: task.to_string(),
            detail: None,
        };
        let revoked = wait(bench.store().revoke_task(app, task, Some(audit), None)).unwrap();
        assert_eq!(revoked, done(1, 0));
        assert_eq!(release(&bench, devices[1]), None);
        let view = bench.store().entry(app, task).unwrap();
        assert!(view.revoked && view.released == 1 && view.targets == 3);
        bench.kill_and_reopen();
        assert!(bench.store().entry(app, task).unwrap().revoked && bench.store().is_revoked(app, task));
        assert_eq!(release(&bench, devices[1]), None);
        assert_eq!(bench.counts(app, id), [count("revoked", 1)]);
        assert_eq!(wait(bench.store().audit_log(app, None, 10)).unwrap().len(), 1);
    }
}

#[test]
fn a_revoked_task_is_withdrawn_everywhere_and_takes_nothing_in_any_more() {
    for on in BOTH {
        let mut bench = Bench::new(on);
        let app = bench.app("shop");
        let task = task(&bench, app);
        let devices: Vec<_> = (0..20).map(|n| bench.device(app, &format!("d{n}"))).collect();
        let push = |bench: &Bench, device: Device| {
            let message = Message { task: Some(task), push_type: PushType::Multiple, ..bench.message(app) };
            bench.enqueue(message, &[Owner::Device(device)]).unwrap()
        };
        devices.iter().for_each(|&device| drop(push(&bench, device)));
        for &device in &devices[..5] {
            let due = bench.page(device).due;
            send(&bench, device, &due);
            bench.ack(device, &due);
        }
        let (other, _) = bench.push(Owner::Device(devices[6]));
        let revoked = wait(bench.store().revoke_task(app, task, None, None)).unwrap();
        assert_eq!(revoked, done(15, 5));
        assert_eq!(push(&bench, devices[0]), [super::super::Enqueued::Revoked]);
        bench.kill_and_reopen();
        assert_eq!(push(&bench, devices[0]), [super::super::Enqueued::Revoked]);
        assert!(devices[..5].iter().all(|&device| notices(&bench.page(device).due).len() == 1));
        assert_eq!(bench.due(devices[6]), [other]);
        assert!(devices[7..].iter().all(|&device| bench.page(device).due.is_empty()));
        assert_eq!(wait(bench.store().revoke_task(app, task, None, None)).unwrap(), done(0, 0));
    }
}

#[test]
fn a_revoke_of_a_task_that_a_crash_cut_off_is_carried_on() {
    for on in BOTH {
        let mut bench = Bench::new(on);
        let app = bench.app("shop");
        let task = task(&bench, app);
        let phone = bench.device(app, "phone");
        let message = Message { task: Some(task), ..bench.message(app) };
        let id = message.id;
        bench.enqueue(message, &[Owner::Device(phone)]).unwrap();
        // The row is written, and then the process is killed.
        let revoke =
            |reply| super::super::work::Write::RevokeTask { app, task, audit: None, nonce: None, reply };
        let partition = bench.store().0.shared.partition_of_app(app);
        assert!(wait(bench.store().write(partition, app, revoke)).unwrap());
        bench.kill_and_reopen();
        assert_eq!(bench.due(phone), [id]);
        wait(bench.store().resume_revokes()).unwrap();
        assert_eq!(bench.counts(app, id), [count("revoked", 1)]);
        bench.kill_and_reopen();
        assert_eq!(bench.store().0.shared.revoked.left(), None);
    }
}

use std::sync::Arc;

use carillon_sdk::api::{Dimension, Granularity};

use super::super::{Enqueued, Error, Targets};
use super::harness::{BOTH, Bench, HOUR, START, wait};
use crate::audience::Audience;
use crate::model::{App, Message, Owner, Task};

fn accepted(bench: &Bench, app: App) -> u64 {
    let to = bench.clock.now() + HOUR;
    let rows = bench.store().stats(app, START, to, Granularity::Hour, vec![Dimension::Platform]);
    wait(rows).unwrap().iter().map(|row| row.accepted).sum()
}

#[test]
fn a_commit_that_did_not_happen_leaves_no_history_and_one_that_did_keeps_its_own() {
    for on in BOTH {
        for fsync in [false, true] {
            let mut bench = Bench::new(on);
            let app = bench.app("shop");
            let phone = bench.device(app, "phone");
            for round in 1..=3 {
                let (before, _) = bench.push(Owner::Device(phone));
                bench.ack_all(phone);
                let message = bench.message(app);
                let id = message.id;
                if fsync {
                    bench.faults.fail_sync(1);
                } else {
                    bench.faults.fail_write(1);
                }
                assert_eq!(bench.enqueue(message, &[Owner::Device(phone)]), Err(Error::Unknown));
                bench.kill_and_reopen();
                let happened = bench.due(phone).contains(&id);
                let story = wait(bench.store().message(app, id, None, 1)).unwrap();
                assert_eq!((happened, story.is_some()), (fsync, fsync));
                assert_eq!(bench.counts(app, before), [("delivered".to_owned(), 1)]);
                assert_eq!(accepted(&bench, app), if fsync { 2 * round } else { round });
                bench.ack_all(phone);
            }
        }
    }
}

#[test]
fn a_release_that_did_not_happen_counts_nobody_when_it_is_repeated() {
    for on in BOTH {
        let mut bench = Bench::new(on);
        let app = bench.app("shop");
        let phone = bench.device(app, "phone");
        let message = Arc::new(Message { task: Some(Task(1)), ..bench.message(app) });
        let id = message.id;
        wait(bench.store().plan_entry(message, Targets::Rule(Audience::Everybody), None)).unwrap();
        let release = |bench: &Bench| wait(bench.store().release(app, Task(1), [phone.ordinal].into()));
        bench.faults.fail_write(1);
        assert_eq!(release(&bench), Err(Error::Unknown));
        bench.kill_and_reopen();
        assert_eq!(accepted(&bench, app), 0);
        assert_eq!(release(&bench), Ok(Some(1)));
        assert_eq!(bench.counts(app, id), [("pending".to_owned(), 1)]);
        assert_eq!(accepted(&bench, app), 1);
    }
}

#[test]
fn a_failed_commit_makes_everything_read_only() {
    for on in BOTH {
        for fsync in [false, true] {
            let mut bench = Bench::new(on);
            let app = bench.app("shop");
            let phone = bench.device(app, "phone");
            let (id, _) = bench.push(Owner::Device(phone));
            if fsync {
                bench.faults.fail_sync(1);
            } else {
                bench.faults.fail_write(1);
            }
            let push = |bench: &Bench| bench.enqueue(bench.message(app), &[Owner::Device(phone)]);
            assert_eq!(push(&bench), Err(Error::Unknown), "it may or may not have happened");
            assert_eq!(push(&bench), Err(Error::Unavailable));
            assert_eq!(wait(bench.store().sweep(bench.clock.now())), Err(Error::Unavailable));
            assert!(bench.store().failure().unwrap().contains("injected"));
            assert!(bench.due(phone).contains(&id), "reading goes on");
            bench.kill_and_reopen();
            assert_eq!(bench.store().failure(), None);
            assert_eq!(bench.due(phone).len(), if fsync { 2 } else { 1 });
        }
    }
}

#[test]
fn a_full_disk_refuses_new_messages_takes_acks_and_recovers() {
    for on in BOTH {
        let bench = Bench::new(on);
        let app = bench.app("shop");
        let phone = bench.device(app, "phone");
        bench.push(Owner::Device(phone));
        bench.faults.fill(true);
        let push = || bench.enqueue(bench.message(app), &[Owner::Device(phone)]);
        assert_eq!(push(), Err(Error::DiskFull));
        assert_eq!(bench.due(phone).len(), 1, "nothing happened");
        bench.ack_all(phone);
        assert!(bench.due(phone).is_empty());
        assert_eq!(bench.store().failure(), None);
        bench.faults.fill(false);
        assert!(matches!(push().unwrap()[..], [Enqueued::Stored(_)]));
    }
}

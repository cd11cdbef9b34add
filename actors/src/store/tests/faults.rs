use super::super::{Enqueued, Error};
use super::harness::{BOTH, Bench, wait};
use crate::model::Owner;

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

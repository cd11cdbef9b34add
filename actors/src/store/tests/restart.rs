use super::super::{Error, OpenError, Store};
use super::harness::{BOTH, Bench, HOUR, On, wait};
use crate::model::Owner;

#[test]
fn nothing_accepted_is_lost_by_a_kill_and_places_go_on_rising() {
    for on in BOTH {
        let mut bench = Bench::new(on);
        let app = bench.app("shop");
        let phone = bench.device(app, "phone");
        let anna = bench.user(app, "anna");
        bench.bind(phone, Some(anna));
        let (mut expected, mut last) = (Vec::new(), 0);
        for round in 0..5 {
            let owner = if round % 2 == 0 { Owner::Device(phone) } else { Owner::User(anna) };
            let (id, seq) = bench.push(owner);
            assert!(seq.0 > last, "a place is never given out again");
            last = seq.0;
            expected.push(id);
            bench.kill_and_reopen();
            assert_eq!(bench.due(phone), expected);
        }
        bench.ack_all(phone);
        bench.advance(HOUR);
        bench.sweep();
        bench.sweep();
        bench.kill_and_reopen();
        let (_, seq) = bench.push(Owner::Device(phone));
        assert!(seq.0 > last, "after everything before it was removed too");
    }
}

#[test]
fn a_kill_may_repeat_a_verdict_but_never_lose_one() {
    for on in BOTH {
        let mut bench = Bench::new(on);
        let app = bench.app("shop");
        let phone = bench.device(app, "phone");
        let (id, _) = bench.push(Owner::Device(phone));
        bench.ack_all(phone);
        bench.kill_and_reopen();
        // Whether or not its removal was written, the verdict is there, and stays the one.
        bench.ack_all(phone);
        assert_eq!(bench.counts(app, id), [("delivered".to_owned(), 1)]);
    }
}

#[test]
fn a_closed_store_has_committed_what_it_took_and_takes_no_more() {
    for on in BOTH {
        let mut bench = Bench::new(on);
        let app = bench.app("shop");
        let phone = bench.device(app, "phone");
        bench.push(Owner::Device(phone));
        let due = bench.page(phone).due;
        bench.ack(phone, &due);
        wait(bench.store().close());
        assert_eq!(bench.enqueue(bench.message(app), &[Owner::Device(phone)]), Err(Error::Unavailable));
        bench.open();
        assert!(bench.due(phone).is_empty());
        assert_eq!(bench.store().totals().pending, 0);
    }
}

#[test]
fn a_directory_in_use_is_refused_and_its_partitions_stay_as_many() {
    let bench = Bench::new(On::Memory);
    let dir = bench.dir().join("real");
    let config =
        super::super::Config { dir, partitions: 3, cache_bytes: 8 << 20, strict: true, master: [1; 32] };
    let open = |config: &super::super::Config| {
        let hints: std::sync::Arc<dyn super::super::Hints> = bench.heard.clone();
        Store::open(config, &bench.limits, &bench.clock, hints)
    };
    let store = open(&config).unwrap();
    assert!(matches!(open(&config), Err(OpenError::Locked)));
    drop(store);
    let fewer = super::super::Config { partitions: 1, ..config };
    let store = open(&fewer).unwrap();
    assert_eq!(store.0.shared.ports.len(), 3);
}

#[test]
fn a_panic_in_a_partition_is_told() {
    let mut bench = Bench::new(On::Memory);
    let (died, told) = std::sync::mpsc::channel();
    bench.reopen_with(std::sync::Arc::new(move || died.send(()).unwrap()));
    bench.store().crash();
    told.recv_timeout(std::time::Duration::from_secs(10)).unwrap();
}

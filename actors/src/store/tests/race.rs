use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::harness::{Bench, On, wait};
use crate::model::{Owner, ShardNo};

/// A connect at any moment of an enqueue either is hinted or finds something pending.
#[test]
fn a_message_that_arrives_while_its_device_connects_is_never_missed() {
    const ROUNDS: usize = 1_500;
    let bench = Bench::new(On::Memory);
    let app = bench.app("shop");
    let phone = bench.device(app, "phone");
    let anna = bench.user(app, "anna");
    bench.bind(phone, Some(anna));
    let go = std::sync::Barrier::new(2);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..ROUNDS {
                go.wait();
                let owner = if round % 2 == 0 { Owner::Device(phone) } else { Owner::User(anna) };
                bench.push(owner);
                go.wait();
            }
        });
        for round in 0..ROUNDS {
            let epoch = bench.store().next_epoch();
            go.wait();
            for _ in 0..round % 64 {
                std::hint::spin_loop();
            }
            let found = bench.store().connect(phone, epoch, ShardNo(0)).unwrap();
            go.wait();
            bench.settle(app);
            let hinted =
                std::mem::take(&mut *bench.heard.due.lock()).iter().any(|(_, hint)| hint.epoch == epoch);
            assert!(found.pending || hinted, "round {round}: neither seen nor hinted");
            let page = bench.page(phone);
            assert_eq!(page.due.len(), 1);
            bench.ack(phone, &page.due);
            bench.store().disconnect(phone, epoch);
        }
    });
}

/// Pages read while both queues grow: each place is seen, whichever partition commits first.
#[test]
fn a_reader_of_two_queues_misses_no_place_while_both_grow() {
    const EACH: usize = 2_000;
    let bench = Bench::with(On::Memory, crate::limits::Limits { pending_max: 10_000, ..Default::default() });
    let app = bench.app("shop");
    let phone = bench.device(app, "phone");
    let names = (0..64).map(|n| bench.user(app, &format!("u{n}")));
    let partition = |owner| bench.store().0.shared.partition_of(owner);
    let anna = names
        .into_iter()
        .find(|user| partition(Owner::User(*user)) != partition(Owner::Device(phone)))
        .unwrap();
    bench.bind(phone, Some(anna));
    let over = Arc::new(AtomicBool::new(false));
    let (mut seen, mut cursor) = (0, super::super::Cursor::default());
    std::thread::scope(|scope| {
        let writers: Vec<_> = [Owner::Device(phone), Owner::User(anna)]
            .into_iter()
            .map(|owner| {
                scope.spawn({
                    let bench = &bench;
                    move || (0..EACH).for_each(|_| assert!(bench.push(owner).1.0 > 0))
                })
            })
            .collect();
        let flag = Arc::clone(&over);
        scope.spawn(move || {
            writers.into_iter().for_each(|writer| writer.join().unwrap());
            flag.store(true, Ordering::SeqCst);
        });
        loop {
            let last = over.load(Ordering::SeqCst);
            let page = wait(bench.store().page(phone, Some(anna), cursor, 64)).unwrap();
            assert!(page.due.is_sorted_by_key(|due| due.seq));
            seen += page.due.len();
            if let Some(due) = page.due.last() {
                cursor.normal = due.seq;
            }
            if last && !page.more {
                break;
            }
        }
    });
    assert_eq!(seen, 2 * EACH);
}

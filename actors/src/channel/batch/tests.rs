use carillon_sdk::Timestamp;

use super::*;
use crate::channel::fake;
use crate::model::Message;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn message(title: &str) -> Arc<Message> {
    fake::message(title, NOW)
}

fn held(number: u32, message: &Arc<Message>, lane: ErrandLane) -> Held {
    let errand = fake::errand(number, message, NOW);
    Held { errand, lane, options: Arc::default(), sort: Sort::Service, alone: false, replayed: false }
}

fn many(from: u32, count: u32, message: &Arc<Message>, lane: ErrandLane) -> Vec<Held> {
    (from..from + count).map(|number| held(number, message, lane)).collect()
}

/// The sizes of the calls that may be made at a moment.
fn sizes(batch: &mut Batch, now_ms: u64) -> Vec<usize> {
    std::iter::from_fn(|| batch.take(now_ms)).map(|held| held.len()).collect()
}

#[test]
fn one_message_to_many_goes_in_full_calls_and_the_rest_waits_for_company() {
    let mut batch = Batch::new(100);
    batch.add(many(0, 250, &message("a"), ErrandLane::Bulk), 0);
    assert_eq!(sizes(&mut batch, 0), [100, 100]);
    assert_eq!((batch.ready_at(), batch.waiting(ErrandLane::Bulk)), (Some(COALESCE_MS), 50));
    assert!(sizes(&mut batch, COALESCE_MS - 1).is_empty());
    assert_eq!(sizes(&mut batch, COALESCE_MS), [50]);
    assert_eq!((batch.ready_at(), batch.waiting_of_all()), (None, 0));
}

#[test]
fn who_waits_for_it_does_not_wait_for_company() {
    let mut batch = Batch::new(100);
    batch.add(many(0, 5, &message("code"), ErrandLane::Urgent), 0);
    assert_eq!(sizes(&mut batch, 0), [5]);
}

#[test]
fn different_messages_that_say_the_same_keep_their_ids_and_go_apart() {
    let mut batch = Batch::new(100);
    let same = (0..3).map(|number| held(number, &message("a"), ErrandLane::Normal)).collect();
    batch.add(same, 0);
    assert_eq!(sizes(&mut batch, COALESCE_MS), [1, 1, 1]);
}

#[test]
fn a_device_stands_in_a_call_once() {
    let mut batch = Batch::new(100);
    let message = message("a");
    let twice = [1, 2, 1].map(|number| held(number, &message, ErrandLane::Normal)).into();
    batch.add(twice, 0);
    assert_eq!(sizes(&mut batch, COALESCE_MS), [2, 1]);
}

#[test]
fn who_had_trouble_in_a_batch_goes_alone_and_what_is_put_back_goes_first() {
    let mut batch = Batch::new(100);
    let message = message("a");
    batch.add(many(10, 2, &message, ErrandLane::Normal), 0);
    batch.add(vec![Held { alone: true, ..held(1, &message, ErrandLane::Normal) }], 0);
    batch.put_back(many(20, 3, &message, ErrandLane::Normal));
    assert_eq!(batch.waiting_of_all(), 6);
    assert_eq!(sizes(&mut batch, COALESCE_MS), [3, 1, 2]);
}

#[test]
fn all_that_waits_is_given_up_together() {
    let mut batch = Batch::new(2);
    let message = message("a");
    batch.add(many(0, 5, &message, ErrandLane::Bulk), 0);
    batch.add(many(5, 1, &message, ErrandLane::Urgent), 0);
    assert_eq!(batch.drain().len(), 6);
    assert_eq!((batch.waiting_of_all(), batch.ready_at()), (0, None));
}

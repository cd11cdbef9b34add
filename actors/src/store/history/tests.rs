use super::*;
use crate::model::{App, PushType};
use carillon_sdk::MessageId;
use carillon_sdk::api::Step;

const NOON: u64 = 1_764_201_600_000 + 43_200_000; // 2025-11-27

fn record(id: u8, ordinal: u32, at: u64) -> Record {
    Record {
        at: Timestamp::from_millis(at),
        app: App(1),
        id: MessageId::from_bytes([id; 16]),
        push_type: PushType::Single,
        step: Step::Sent,
        whom: Whom::Device(ordinal),
        platform: None,
        app_version: None,
        channel: Channel::Own,
        reason: None,
        message: None,
    }
}

#[test]
fn what_was_written_is_found_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let open = || History::open(dir.path(), HistoryLimits::default(), Timestamp::from_millis(NOON)).unwrap();
    let mut history = open();
    history.append(&record(1, 7, NOON));
    history.append(&record(2, 8, NOON));
    history.write().unwrap();
    history.sync().unwrap();
    let found = |history: &History| history.reader().find(App(1), MessageId::from_bytes([2; 16])).unwrap();
    assert_eq!(found(&history), [record(2, 8, NOON)]);
    drop(history);
    assert_eq!(found(&open()), [record(2, 8, NOON)]);
}

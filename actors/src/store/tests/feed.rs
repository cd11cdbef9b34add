use std::sync::Arc;

use carillon_sdk::Ttl;
use carillon_sdk::api::{EventType, EventView};

use super::super::{FeedCursor, FeedFrom, FeedPage, FeedQuery};
use super::harness::{BOTH, Bench, HOUR, On, wait};
use crate::audience::Audience;
use crate::limits::Limits;
use crate::model::{App, Message, Owner, PushType};

const ALL: FeedQuery = FeedQuery { types: Vec::new(), limit: 1_000, until: None };

fn page(bench: &Bench, app: App, from: FeedFrom, query: &FeedQuery) -> FeedPage {
    wait(bench.store().events(app, from, query.clone())).unwrap()
}

/// Everything from a place on, `limit` events a page, the cursor sent through its text each time.
fn read(bench: &Bench, app: App, mut from: FeedFrom, limit: usize) -> (Vec<EventView>, FeedCursor) {
    let mut events = Vec::new();
    loop {
        let page = page(bench, app, from, &FeedQuery { limit, ..ALL });
        assert!(page.events.len() <= limit);
        events.extend(page.events);
        let cursor = bench.store().feed_cursor(app, &page.cursor.encode(app)).unwrap();
        assert_eq!(cursor, page.cursor);
        if !page.more {
            return (events, cursor);
        }
        from = FeedFrom::Cursor(cursor);
    }
}

fn kinds(events: &[EventView], device: &str) -> Vec<EventType> {
    let of_device = |event: &&EventView| event.device_id.as_ref().is_some_and(|id| id.as_str() == device);
    events.iter().filter(of_device).map(|event| event.kind).collect()
}

fn broadcast(bench: &Bench, app: App) -> carillon_sdk::MessageId {
    let message = Message { push_type: PushType::Broadcast, ..bench.message(app) };
    let id = message.id;
    wait(bench.store().broadcast(Arc::new(message), Audience::Everybody, None)).unwrap();
    id
}

#[test]
fn each_event_is_given_once_in_order_whatever_the_page_and_over_a_kill() {
    for on in BOTH {
        let mut bench = Bench::new(on);
        let app = bench.app("shop");
        let phones: Vec<_> = (0..6).map(|no| bench.device(app, &format!("phone-{no}"))).collect();
        for phone in &phones {
            bench.push(Owner::Device(*phone));
            bench.ack_all(*phone);
        }
        let (before, cursor) = read(&bench, app, FeedFrom::Oldest, 4);
        bench.kill_and_reopen();
        bench.push(Owner::Device(phones[0]));
        bench.ack_all(phones[0]);
        let (after, _) = read(&bench, app, FeedFrom::Cursor(cursor), 1);
        assert_eq!(kinds(&after, "phone-0"), [EventType::Accepted, EventType::Arrived]);
        assert_eq!(after.len(), 2, "nothing of before comes again: {after:?}");
        let (whole, _) = read(&bench, app, FeedFrom::Oldest, 3);
        assert_eq!(whole, [before, after].concat(), "with the same ids");
        for no in 0..6 {
            assert_eq!(kinds(&whole, &format!("phone-{no}"))[..2], [EventType::Accepted, EventType::Arrived]);
        }
        assert!(whole.is_sorted_by_key(|event| event.at));
        let ids: std::collections::HashSet<_> = whole.iter().map(|event| &event.id).collect();
        assert_eq!(ids.len(), whole.len());
    }
}

#[test]
fn a_broadcast_is_one_record_and_pages_as_an_event_a_device() {
    let bench = Bench::new(On::Memory);
    let app = bench.app("shop");
    for no in 0..50 {
        bench.device(app, &format!("phone-{no}"));
    }
    let id = broadcast(&bench, app);
    for limit in [1, 7, 49, 50, 51] {
        let (events, _) = read(&bench, app, FeedFrom::Oldest, limit);
        let devices: std::collections::HashSet<_> =
            events.iter().map(|event| event.device_id.clone().unwrap()).collect();
        assert_eq!((events.len(), devices.len()), (50, 50), "{limit} a page");
        assert!(events.iter().all(|event| event.message_id == Some(id) && event.kind == EventType::Accepted));
    }
}

#[test]
fn an_app_reads_its_own_events_with_its_own_cursors_alone() {
    let bench = Bench::new(On::Memory);
    let (shop, bank) = (bench.app("shop"), bench.app("bank"));
    let (phone, other) = (bench.device(shop, "phone"), bench.device(bank, "phone"));
    bench.push(Owner::Device(phone));
    let (id, _) = bench.push(Owner::Device(other));
    let (events, cursor) = read(&bench, bank, FeedFrom::Oldest, 10);
    assert_eq!(events.iter().map(|event| event.message_id).collect::<Vec<_>>(), [Some(id)]);
    let text = cursor.encode(bank);
    assert_eq!(bench.store().feed_cursor(shop, &text), None);
    for at in 0..text.len() {
        let mut bytes = text.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        assert_eq!(bench.store().feed_cursor(bank, &String::from_utf8(bytes).unwrap()), None, "byte {at}");
    }
    assert_eq!(bench.store().feed_cursor(bank, ""), None);
}

#[test]
fn a_reader_chooses_types_and_where_to_begin_and_end() {
    let bench = Bench::new(On::Memory);
    let app = bench.app("shop");
    let phone = bench.device(app, "phone");
    bench.push(Owner::Device(phone));
    bench.ack_all(phone);
    bench.advance(Ttl::from_secs(10));
    let middle = bench.store().feed_end();
    let since = bench.clock.now();
    bench.push(Owner::Device(phone));
    bench.ack_all(phone);
    let arrived = FeedQuery { types: vec![EventType::Arrived], ..ALL };
    let kinds = |page: FeedPage| page.events.into_iter().map(|event| event.kind).collect::<Vec<_>>();
    assert_eq!(kinds(page(&bench, app, FeedFrom::Oldest, &arrived)), [EventType::Arrived; 2]);
    let both = [EventType::Accepted, EventType::Arrived];
    assert_eq!(kinds(page(&bench, app, FeedFrom::Time(since), &ALL)), both);
    assert_eq!(kinds(page(&bench, app, FeedFrom::Cursor(middle.clone()), &ALL)), both);
    let before = FeedQuery { until: Some(middle), ..ALL };
    assert_eq!(kinds(page(&bench, app, FeedFrom::Oldest, &before)), both);
    assert_eq!(kinds(page(&bench, app, FeedFrom::Now, &ALL)), []);
}

#[test]
fn a_cursor_older_than_what_is_kept_goes_on_and_says_that_there_is_a_gap() {
    let limits = Limits { history_keep: HOUR, ..Limits::default() };
    let bench = Bench::with(On::Memory, limits);
    let app = bench.app("shop");
    let phone = bench.device(app, "phone");
    let begin = bench.store().feed_end();
    bench.push(Owner::Device(phone));
    bench.ack_all(phone);
    for _ in 0..3 {
        bench.advance(Ttl::from_secs(24 * 3600));
        bench.push(Owner::Device(phone));
        bench.ack_all(phone);
        bench.sweep();
    }
    let late = page(&bench, app, FeedFrom::Cursor(begin), &ALL);
    assert!(late.gap && !late.events.is_empty());
    assert!(!page(&bench, app, FeedFrom::Oldest, &ALL).gap);
}

#[test]
fn whoever_waits_is_woken_by_his_own_apps_events() {
    let bench = Bench::new(On::Memory);
    let (shop, bank) = (bench.app("shop"), bench.app("bank"));
    let (phone, other) = (bench.device(shop, "phone"), bench.device(bank, "phone"));
    let mut news = bench.store().feed_news(shop);
    wait(news.changed()).unwrap();
    bench.push(Owner::Device(other));
    bench.settle(bank);
    assert!(!news.has_changed().unwrap());
    bench.push(Owner::Device(phone));
    wait(news.changed()).unwrap();
    assert_eq!(read(&bench, shop, FeedFrom::Oldest, 10).0.len(), 1);
}

#[test]
fn events_of_a_message_sent_under_a_key_name_the_key_and_its_user_over_a_kill() {
    let mut bench = Bench::new(On::Sled);
    let app = bench.app("shop");
    let phone = bench.device(app, "phone");
    let anna = bench.user(app, "anna");
    bench.bind(phone, Some(anna));
    let id = carillon_sdk::MessageId::derived(&[7; 16], b"order-1");
    let message = Message { id, key: Some("order-1".to_owned()), ..bench.message(app) };
    bench.enqueue(message, &[Owner::User(anna)]).unwrap();
    bench.push(Owner::Device(phone));
    bench.ack_all(phone);
    bench.kill_and_reopen();
    let (events, _) = read(&bench, app, FeedFrom::Oldest, 10);
    assert_eq!(events.len(), 4);
    for event in events {
        let known = (event.key.as_deref(), event.user_id.as_ref().map(|user| user.as_str()));
        let expected =
            if event.message_id == Some(id) { (Some("order-1"), Some("anna")) } else { (None, None) };
        assert_eq!(known, expected, "{:?} of {:?}", event.kind, event.message_id);
        assert!(event.device_id.is_some_and(|device| device.as_str() == "phone"));
    }
}

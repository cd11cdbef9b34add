//! The pull feed, from outside.

use std::collections::BTreeMap;

use carillon_sdk::api::{EventType, EventView};
use carillon_sdk::client::server::EventsQuery;
use carillon_sdk::wire::ReportKind;

use crate::harness::{App, Call, Phone, Server, call, eventually, run, to_all, to_device, within};

/// Everything from a cursor on, and where it ended.
async fn read(app: &App, cursor: Option<&str>, limit: usize) -> (Vec<EventView>, String) {
    let mut query =
        EventsQuery { cursor: cursor.map(str::to_owned), limit: Some(limit), ..EventsQuery::default() };
    let mut events = Vec::new();
    loop {
        let page = app.api.events(&query).await.unwrap();
        assert!(page.events.len() <= limit && !page.gap);
        events.extend(page.events);
        query.cursor = Some(page.cursor.clone());
        if !page.more {
            return (events, page.cursor);
        }
    }
}

fn count(events: &[EventView]) -> BTreeMap<EventType, u64> {
    let mut counts = BTreeMap::new();
    events.iter().for_each(|event| *counts.entry(event.kind).or_default() += 1);
    counts
}

#[tokio::test]
async fn a_push_gives_its_events_in_order_and_a_reader_waits_for_the_next() {
    let mut server = Server::start().await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "phone").await;
    let id = app.push(to_device(phone.id()), "one").await;
    phone.receive("one").await;
    app.await_state(id, "phone", "delivered").await;
    phone.report(id, ReportKind::Opened).await;
    let events = eventually("the tap to be told", async || {
        let (events, cursor) = read(&app, None, 100).await;
        events.iter().any(|event| event.kind == EventType::Opened).then_some((events, cursor))
    });
    let (events, cursor) = events.await;
    let kinds: Vec<_> = events.iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [EventType::Accepted, EventType::Sent, EventType::Arrived, EventType::Opened]);
    assert!(events.iter().all(|event| event.message_id == Some(id) && event.push_type == "single"));

    let wait = EventsQuery {
        cursor: Some(cursor),
        types: vec![EventType::Arrived],
        wait_s: 20,
        ..EventsQuery::default()
    };
    let (page, ()) = within("the next arrival", async {
        tokio::join!(app.api.events(&wait), async {
            app.push(to_device(phone.id()), "two").await;
            phone.receive("two").await;
        })
    })
    .await;
    let page = page.unwrap();
    assert_eq!(page.events.iter().map(|event| event.kind).collect::<Vec<_>>(), [EventType::Arrived]);

    server.crash().await;
    let app = server.app();
    let (after, _) = read(&app, Some(&page.cursor), 100).await;
    assert_eq!(after, [], "what was given is not given again");
    let (whole, _) = read(&app, None, 1).await;
    assert_eq!(whole[..4], events, "and is what it was");
}

#[tokio::test]
async fn a_broadcast_pages_as_an_event_a_device_and_events_add_up_to_the_statistics() {
    let server = Server::start().await;
    let app = server.app();
    let mut phones = Vec::new();
    for number in 0..5 {
        phones.push(Phone::new(&server, &app, &format!("d{number}")).await);
    }
    let away = app.register("away").await;
    app.push(to_all(), "everybody").await;
    for phone in &mut phones {
        phone.receive("everybody").await;
    }
    app.push_for(1, to_device(&away.device_id), "too late").await;
    let whole = |events: &[EventView]| {
        let counts = count(events);
        let of = |kind| counts.get(&kind).copied().unwrap_or_default();
        (of(EventType::Accepted), of(EventType::Arrived), of(EventType::Expired)) == (7, 5, 1)
    };
    let events = eventually("all to be told", async || {
        let (events, _) = read(&app, None, 2).await;
        whole(&events).then_some(events)
    })
    .await;
    let (counts, totals) = (count(&events), app.totals().await);
    for (kind, total) in [
        (EventType::Accepted, totals.accepted),
        (EventType::Sent, totals.sent),
        (EventType::Arrived, totals.arrived),
        (EventType::Expired, totals.expired),
        (EventType::Rejected, totals.failed),
    ] {
        assert_eq!(counts.get(&kind).copied().unwrap_or_default(), total, "{kind:?}");
    }
}

#[tokio::test]
async fn a_cursor_of_another_app_and_a_query_out_of_bounds_are_refused() {
    let server = Server::start().await;
    let app = server.app();
    let other = server.another_app("other").await;
    let (_, cursor) = read(&app, None, 10).await;
    for (query, code) in [
        (format!("cursor={cursor}"), "cursor_invalid"),
        ("cursor=nonsense".to_owned(), "cursor_invalid"),
        (format!("cursor={cursor}&since=5"), "query_invalid"),
        ("limit=0".to_owned(), "query_invalid"),
        ("limit=1001".to_owned(), "query_invalid"),
        ("wait_s=31".to_owned(), "query_invalid"),
        ("types=delivered".to_owned(), "query_invalid"),
        ("shoe_size=43".to_owned(), "query_invalid"),
    ] {
        let answer =
            call(server.http(), &Call::new("GET", &format!("/v1/events?{query}"), "").signed(&other)).await;
        answer.expect_problem(400, code);
    }
}

#[tokio::test]
async fn the_command_prints_what_happened() {
    let server = Server::start().await;
    let app = server.app();
    let device = app.register("phone").await;
    app.push(to_device(&device.device_id), "hello").await;
    let output = run(&server, &["events", "--json", "--type", "accepted"]).await;
    let lines = output.json();
    assert_eq!((lines.len(), lines[0]["device_id"].as_str()), (1, Some("phone")), "{output:?}");
}

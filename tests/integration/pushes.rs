//! Pushes beyond the promises: broadcasts, limits, what a message's story says.

use carillon_sdk::api::{Lane, Look, PushRequest, Step, Style, TapAction};
use carillon_sdk::wire::ReportKind;

use crate::harness::{Phone, Server, eventually, to_all, to_device, to_devices, to_user};

#[tokio::test]
async fn a_broadcast_reaches_who_is_online_who_comes_later_and_who_registers_later() {
    let mut server = Server::start().await;
    let app = server.app();
    let mut online = Phone::new(&server, &app, "online").await;
    let later = app.register("later").await;
    let push = PushRequest { to: to_all(), title: Some("to all".to_owned()), ..PushRequest::default() };
    let answer = app.api.push(&push, None).await.unwrap();
    assert_eq!(answer.accepted, 2);
    online.receive("to all").await;
    Phone::new(&server, &app, "registered later").await.receive("to all").await;
    // The server notes acks of broadcasts about once a second; who has it may be asked before.
    eventually("two to have it", async || delivered(&server, answer.message_id, 2).await).await;
    server.crash().await;
    let mut later = Phone::connect(&server, later).await;
    later.receive("to all").await;
    eventually("three to have it", async || delivered(&server, answer.message_id, 3).await).await;
}

async fn delivered(server: &Server, id: carillon_sdk::MessageId, wanted: u64) -> Option<()> {
    (server.app().message(id).await.counts.get("delivered") == Some(&wanted)).then_some(())
}

#[tokio::test]
async fn an_acked_broadcast_does_not_come_again() {
    let server = Server::start().await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "d").await;
    let id = app.push(to_all(), "once").await;
    phone.receive("once").await;
    eventually("the ack to be noted", async || delivered(&server, id, 1).await).await;
    let mut phone = phone.reconnect(&server).await;
    app.push(to_all(), "marker").await;
    phone.receive("marker").await;
}

#[tokio::test]
async fn a_full_queue_has_room_again_as_acks_come() {
    let server = Server::start_with(&[("CARILLON_LIMITS_PENDING_MAX", "3")]).await;
    let app = server.app();
    let device = app.register("d").await;
    for number in 0..3 {
        app.push(to_device(&device.device_id), &number.to_string()).await;
    }
    let push = PushRequest {
        to: to_device(&device.device_id),
        title: Some("fits".to_owned()),
        ..PushRequest::default()
    };
    assert_eq!(app.api.push(&push, None).await.unwrap_err().code(), Some("queue_full"));
    let mut phone = Phone::connect(&server, device).await;
    for number in 0..3 {
        phone.receive(&number.to_string()).await;
    }
    eventually("room for one more", async || app.api.push(&push, None).await.ok()).await;
    phone.receive("fits").await;
}

#[tokio::test]
async fn a_story_has_a_time_for_each_step() {
    let server = Server::start().await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "d").await;
    let id = app.push(to_device(phone.id()), "read me").await;
    phone.receive("read me").await;
    app.await_state(id, "d", "delivered").await;
    phone.report(id, ReportKind::Shown).await;
    phone.report(id, ReportKind::Opened).await;
    let steps = eventually("it to be opened", async || {
        let steps = app.target(id, "d").await?.steps;
        steps.iter().any(|step| step.step == Step::Opened).then_some(steps)
    })
    .await;
    let names: Vec<_> = steps.iter().map(|step| step.step).collect();
    assert_eq!(names, [Step::Accepted, Step::Sent, Step::Delivered, Step::Shown, Step::Opened]);
    assert!(steps.is_sorted_by_key(|step| step.at), "{steps:?}");
}

#[tokio::test]
async fn many_targets_are_answered_in_the_order_given() {
    let server = Server::start().await;
    let app = server.app();
    let mut ids = Vec::new();
    for number in 0..50 {
        ids.push(app.register(&format!("device {number}")).await.device_id);
    }
    let to = to_devices(&ids.iter().collect::<Vec<_>>());
    let push = PushRequest { to, title: Some("all of you".to_owned()), ..PushRequest::default() };
    let answer = app.api.push(&push, None).await.unwrap();
    let order: Vec<_> = answer.targets.into_iter().filter_map(|target| target.device_id).collect();
    assert_eq!(order, ids);
    for id in &ids {
        assert_eq!(app.api.device(id).await.unwrap().pending, 1, "{id}");
    }
}

#[tokio::test]
async fn pushes_to_a_device_and_to_its_user_come_in_order_of_acceptance() {
    let server = Server::start().await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "d").await;
    app.bind(phone.id(), "ann").await;
    let device = phone.id().clone();
    let sending = async {
        for number in 0..60 {
            let to = if number % 2 == 0 { to_device(&device) } else { to_user("ann") };
            app.push_in(Lane::Normal, to, &number.to_string()).await;
        }
    };
    let receiving = async {
        for number in 0..60 {
            phone.receive(&number.to_string()).await;
        }
    };
    tokio::join!(sending, receiving);
}

#[tokio::test]
async fn everything_of_a_push_reaches_the_device() {
    let server = Server::start().await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "d").await;
    let push = PushRequest {
        to: to_device(phone.id()),
        title: Some("title".to_owned()),
        body: Some("body".to_owned()),
        data: Some(serde_json::json!({"deep": {"list": [1, 2.5, null, "é", true]}})),
        lane: Lane::High,
        collapse_key: Some("key".to_owned()),
        silent: true,
        uri: Some("app://orders/7".to_owned()),
        look: Some(Look { style: Style::Rich, action: TapAction::App, ..Look::default() }),
        ttl_s: Some(60),
        ..PushRequest::default()
    };
    app.send(push.clone()).await;
    let came = phone.receive("title").await;
    assert_eq!((came.body, came.data), (push.body, push.data));
    assert_eq!((came.uri, came.look.map(|look| *look)), (push.uri, push.look));
    assert_eq!((came.lane, came.collapse_key, came.silent), (Lane::High, push.collapse_key, true));
    assert_eq!(came.expires_at.since(came.sent_at).as_millis(), 60_000);
}

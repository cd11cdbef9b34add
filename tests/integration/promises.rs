//! The delivery promises, each by its number. (8, and the msgKey of 10, come with vendor channels.)

use carillon_sdk::MessageId;
use carillon_sdk::api::{Lane, PushRequest, Step};
use carillon_sdk::wire::{Frame, GoodbyeReason};

use crate::harness::{App, Call, Phone, Server, call, eventually, to_all, to_device, to_devices, to_user};

/// Unacked pushes are probed after this and sent again after twice this.
const HURRIED: &[(&str, &str)] = &[("CARILLON_LIMITS_ACK_TIMEOUT", "300ms")];

#[tokio::test]
async fn promise_1_a_202_survives_a_kill_right_after_it() {
    let mut server = Server::start().await;
    let app = server.app();
    let device = app.register("d").await;
    let id = app.push(to_device(&device.device_id), "kept").await;
    server.crash().await;
    let mut phone = Phone::connect(&server, device).await;
    assert_eq!(phone.receive("kept").await.message_id, id);
}

#[tokio::test]
async fn promise_1_a_broadcast_survives_a_kill_right_after_its_202() {
    let mut server = Server::start().await;
    let app = server.app();
    let device = app.register("d").await;
    let id = app.push(to_all(), "kept").await;
    server.crash().await;
    let mut phone = Phone::connect(&server, device).await;
    assert_eq!(phone.receive("kept").await.message_id, id);
}

#[tokio::test]
async fn promise_1_a_202_says_of_each_target_whether_it_was_accepted() {
    let server = Server::start().await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "d").await;
    let nobody = "nobody".parse().unwrap();
    let push = PushRequest {
        to: to_devices(&[&nobody, phone.id()]),
        title: Some("hello".to_owned()),
        ..PushRequest::default()
    };
    let answer = app.api.push(&push, None).await.unwrap();
    assert_eq!(answer.accepted, 1);
    let told: Vec<_> =
        answer.targets.iter().map(|target| (target.accepted, target.code.as_deref())).collect();
    assert_eq!(told, [(false, Some("device_unknown")), (true, None)]);
    phone.receive("hello").await;
}

#[tokio::test]
async fn promise_1_a_malformed_request_is_refused_whole() {
    let server = Server::start().await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "d").await;
    let body = r#"{"to":{"devices":["d"]},"title":"half","ttl_s":-1}"#;
    let answer = call(server.http(), &Call::new("POST", "/v1/pushes", body).signed(&app)).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    app.push(to_device(phone.id()), "marker").await;
    phone.receive("marker").await;
}

#[tokio::test]
async fn promise_2_delivered_means_acked_by_the_device() {
    let server = Server::start().await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "d").await;
    let id = app.push(to_device(phone.id()), "hello").await;
    let push = phone.expect_push("hello").await;
    let sent = eventually("the step sent", async || {
        app.target(id, "d").await.filter(|target| target.steps.iter().any(|step| step.step == Step::Sent))
    })
    .await;
    assert_eq!(sent.state, "pending", "written to a socket is not delivered");
    phone.ack(&push).await;
    app.await_state(id, "d", "delivered").await;
}

#[tokio::test]
async fn promise_3_what_is_unacked_comes_again_when_the_device_reconnects() {
    let server = Server::start().await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "d").await;
    app.push(to_device(phone.id()), "again").await;
    let first = phone.expect_push("again").await;
    let mut phone = phone.reconnect(&server).await;
    let second = phone.receive("again").await;
    assert_eq!((first.message_id, first.seq), (second.message_id, second.seq));
}

#[tokio::test]
async fn promise_3_what_is_unacked_comes_again_after_the_ack_timeout() {
    let server = Server::start_with(HURRIED).await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "d").await;
    app.push(to_device(phone.id()), "again").await;
    let first = phone.expect_push("again").await;
    let second = phone.receive("again").await;
    assert_eq!(first, second);
}

#[tokio::test]
async fn promise_3_what_is_unacked_comes_again_after_a_restart_under_the_same_id() {
    let mut server = Server::start().await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "d").await;
    app.push(to_device(phone.id()), "again").await;
    let first = phone.expect_push("again").await;
    server.crash().await;
    let mut phone = phone.reconnect(&server).await;
    assert_eq!(phone.receive("again").await.message_id, first.message_id);
}

#[tokio::test]
async fn promise_3_what_was_acked_does_not_come_again() {
    let server = Server::start().await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "d").await;
    let id = app.push(to_device(phone.id()), "once").await;
    phone.receive("once").await;
    app.await_state(id, "d", "delivered").await;
    let mut phone = phone.reconnect(&server).await;
    app.push(to_device(phone.id()), "marker").await;
    phone.receive("marker").await;
}

/// More than the 64 that may be unacked at once, so that pages are turned.
const MANY: usize = 150;

#[tokio::test]
async fn promise_4_a_backlog_comes_in_order_of_acceptance_within_each_lane() {
    let server = Server::start().await;
    let app = server.app();
    let device = app.register("d").await;
    for number in 0..MANY {
        let lane = if number % 3 == 0 { Lane::High } else { Lane::Normal };
        app.push_in(lane, to_device(&device.device_id), &number.to_string()).await;
    }
    let mut phone = Phone::connect(&server, device).await;
    expect_lanes_in_order(&mut phone, MANY).await;
}

#[tokio::test]
async fn promise_4_live_pushes_come_in_order_of_acceptance_within_each_lane() {
    let server = Server::start().await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "d").await;
    let to = to_device(phone.id());
    let sending = async {
        for number in 0..MANY {
            let lane = if number % 2 == 0 { Lane::High } else { Lane::Normal };
            app.push_in(lane, to.clone(), &number.to_string()).await;
        }
    };
    tokio::join!(sending, expect_lanes_in_order(&mut phone, MANY));
}

async fn expect_lanes_in_order(phone: &mut Phone, count: usize) {
    let mut last = std::collections::HashMap::new();
    for _ in 0..count {
        let push = match phone.next().await {
            Some(Frame::Push(push)) => push,
            other => panic!("expected a push, got {other:?}"),
        };
        let number: usize = push.title.as_deref().unwrap().parse().unwrap();
        let before = last.insert(push.lane, number);
        assert!(before.is_none_or(|before| before < number), "{before:?} before {number} in {:?}", push.lane);
        phone.ack(&push).await;
    }
}

#[tokio::test]
async fn promise_4_no_lane_starves() {
    let server = Server::start().await;
    let app = server.app();
    let device = app.register("d").await;
    for number in 0..60 {
        app.push_in(Lane::High, to_device(&device.device_id), &format!("high {number}")).await;
    }
    app.push_in(Lane::Normal, to_device(&device.device_id), "normal").await;
    let mut phone = Phone::connect(&server, device).await;
    let mut before = 0;
    while let Some(Frame::Push(push)) = phone.next().await {
        phone.ack(&push).await;
        if push.lane == Lane::Normal {
            break;
        }
        before += 1;
    }
    assert!(before < 60, "the normal lane waited until all {before} of the high lane were through");
}

#[tokio::test]
async fn promise_5_a_push_to_an_offline_device_waits_until_it_connects() {
    let server = Server::start().await;
    let app = server.app();
    let device = app.register("d").await;
    let id = app.push(to_device(&device.device_id), "waiting").await;
    let mut phone = Phone::connect(&server, device).await;
    let push = phone.receive("waiting").await;
    assert_eq!(push.message_id, id);
    assert!(push.expires_at > push.sent_at);
}

#[tokio::test]
async fn promise_5_an_expired_push_is_never_delivered() {
    let server = Server::start().await;
    let app = server.app();
    let device = app.register("d").await;
    let id = app.push_for(1, to_device(&device.device_id), "too late").await;
    app.await_state(id, "d", "expired").await;
    let mut phone = Phone::connect(&server, device).await;
    app.push(to_device(phone.id()), "marker").await;
    phone.receive("marker").await;
}

#[tokio::test]
async fn promise_5_an_expired_broadcast_is_never_delivered() {
    let server = Server::start_with(HURRIED).await;
    let app = server.app();
    let device = app.register("d").await;
    let id = app.push_for(1, to_all(), "too late").await;
    eventually("the broadcast to expire", async || {
        app.message(id).await.counts.get("expired").copied().filter(|count| *count == 1)
    })
    .await;
    let mut phone = Phone::connect(&server, device).await;
    app.push(to_all(), "marker").await;
    phone.receive("marker").await;
}

#[tokio::test]
async fn promise_5_ttl_0_reaches_a_device_that_is_online_and_waits_for_nobody() {
    let server = Server::start().await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "online").await;
    let away = app.register("away").await;
    let id = app.push_for(0, to_device(phone.id()), "now").await;
    phone.receive("now").await;
    app.await_state(id, "online", "delivered").await;

    let push = PushRequest {
        to: to_device(&away.device_id),
        title: Some("now or never".to_owned()),
        ttl_s: Some(0),
        ..PushRequest::default()
    };
    assert_eq!(app.api.push(&push, None).await.unwrap_err().code(), Some("offline"));
    let mut phone = Phone::connect(&server, away).await;
    app.push(to_device(phone.id()), "marker").await;
    phone.receive("marker").await;
}

#[tokio::test]
async fn promise_5_ttl_0_that_is_never_acked_expires_at_the_ack_timeout() {
    let server = Server::start_with(HURRIED).await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "d").await;
    let id = app.push_for(0, to_device(phone.id()), "now").await;
    phone.expect_push("now").await;
    app.await_state(id, "d", "expired").await;
}

#[tokio::test]
async fn promise_6_every_target_ends_in_exactly_one_verdict() {
    let mut server = Server::start().await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "here").await;
    let away = app.register("away").await;
    let gone = app.register("gone").await;
    let delivered = app.push(to_device(phone.id()), "delivered").await;
    phone.receive("delivered").await;
    let expired = app.push_for(1, to_device(&away.device_id), "expired").await;
    let collapsing = |title: &str| PushRequest {
        to: to_device(&away.device_id),
        title: Some(title.to_owned()),
        collapse_key: Some("score".to_owned()),
        ..PushRequest::default()
    };
    let replaced = app.send(collapsing("0:0")).await;
    app.send(collapsing("1:0")).await;
    let rejected = app.push(to_device(&gone.device_id), "rejected").await;
    app.api.delete_device(&gone.device_id).await.unwrap();
    let ends =
        [(delivered, "delivered"), (expired, "expired"), (replaced, "replaced"), (rejected, "rejected")];
    for (id, state) in ends {
        expect_one_verdict(&app, id, state).await;
    }
    server.crash().await;
    let app = server.app();
    for (id, state) in ends {
        expect_one_verdict(&app, id, state).await;
    }
}

/// Of the message's one target, which a deleted device no longer names.
async fn expect_one_verdict(app: &App, id: MessageId, state: &str) {
    let target = eventually(&format!("{id} to be {state}"), async || {
        app.message(id).await.targets.into_iter().find(|target| target.state == state)
    })
    .await;
    let verdicts = target.steps.iter().filter(|step| step.step.is_verdict()).count();
    assert_eq!(verdicts, 1, "{target:?}");
}

#[tokio::test]
async fn promise_6_a_collapse_key_leaves_the_latest_alone() {
    let server = Server::start().await;
    let app = server.app();
    let device = app.register("d").await;
    for title in ["0:0", "1:0", "2:0"] {
        let push = PushRequest {
            to: to_device(&device.device_id),
            title: Some(title.to_owned()),
            collapse_key: Some("score".to_owned()),
            ..PushRequest::default()
        };
        app.send(push).await;
    }
    app.push(to_device(&device.device_id), "marker").await;
    let mut phone = Phone::connect(&server, device).await;
    phone.receive("2:0").await;
    phone.receive("marker").await;
}

#[tokio::test]
async fn promise_7_a_push_to_a_user_reaches_every_device_the_user_is_logged_in_on() {
    let server = Server::start().await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "phone").await;
    let tablet = app.register("tablet").await;
    app.bind(phone.id(), "ann").await;
    app.bind(&tablet.device_id, "ann").await;
    let id = app.push(to_user("ann"), "hello").await;
    assert_eq!(phone.receive("hello").await.user_id.unwrap().as_str(), "ann");
    let mut tablet = Phone::connect(&server, tablet).await;
    assert_eq!(tablet.receive("hello").await.message_id, id);
}

#[tokio::test]
async fn promise_7_a_push_to_a_user_on_no_device_waits_for_one() {
    let mut server = Server::start().await;
    let app = server.app();
    let id = app.push(to_user("ann"), "waiting").await;
    server.crash().await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "new phone").await;
    app.bind(phone.id(), "ann").await;
    assert_eq!(phone.receive("waiting").await.message_id, id);
}

#[tokio::test]
async fn promise_7_a_message_is_never_shown_to_the_next_person_on_the_phone() {
    let server = Server::start().await;
    let app = server.app();
    let device = app.register("shared phone").await;
    app.bind(&device.device_id, "ann").await;
    app.push(to_user("ann"), "for ann").await;
    app.bind(&device.device_id, "bob").await;
    let mut phone = Phone::connect(&server, device).await;
    app.push(to_user("bob"), "for bob").await;
    phone.receive("for bob").await;
    app.bind(phone.id(), "ann").await;
    phone.receive("for ann").await;
}

#[tokio::test]
async fn promise_7_what_one_device_acked_does_not_come_to_a_device_bound_later() {
    let server = Server::start().await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "phone").await;
    app.bind(phone.id(), "ann").await;
    let id = app.push(to_user("ann"), "read already").await;
    phone.receive("read already").await;
    app.await_state(id, "phone", "delivered").await;
    let mut later = Phone::new(&server, &app, "later").await;
    app.bind(later.id(), "ann").await;
    app.push(to_user("ann"), "marker").await;
    later.receive("marker").await;
}

#[tokio::test]
async fn promise_9_a_new_session_takes_over_and_reads_what_is_unacked() {
    let server = Server::start().await;
    let app = server.app();
    let device = app.register("d").await;
    let mut old = Phone::connect(&server, device.clone()).await;
    app.push(to_device(&device.device_id), "unacked").await;
    let first = old.expect_push("unacked").await;
    let mut new = Phone::connect(&server, device).await;
    old.expect_goodbye(GoodbyeReason::Replaced).await;
    old.expect_close().await;
    assert_eq!(new.receive("unacked").await.message_id, first.message_id);
    assert!(new.welcome.session > old.welcome.session);
}

#[tokio::test]
async fn promise_10_a_retry_with_the_same_key_gets_the_first_answer_and_sends_nothing_twice() {
    let server = Server::start().await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "d").await;
    let first = app.push_once("k", to_device(phone.id()), "once").await.unwrap();
    let again = app.push_once("k", to_device(phone.id()), "once").await.unwrap();
    assert_eq!(first, again);
    phone.receive("once").await;
    app.push(to_device(phone.id()), "marker").await;
    phone.receive("marker").await;
}

#[tokio::test]
async fn promise_10_the_first_answer_survives_a_crash() {
    let mut server = Server::start().await;
    let app = server.app();
    let device = app.register("d").await;
    let first = app.push_once("k", to_device(&device.device_id), "once").await.unwrap();
    server.crash().await;
    let app = server.app();
    let again = app.push_once("k", to_device(&device.device_id), "once").await.unwrap();
    assert_eq!(first, again);
    let mut phone = Phone::connect(&server, device).await;
    phone.receive("once").await;
    app.push(to_device(phone.id()), "marker").await;
    phone.receive("marker").await;
}

//! The delivery promises, by number. Promise 8 and the msgKey of 10 come with vendor channels.

use carillon_sdk::wire::{Bind, Frame, GoodbyeReason};
use serde_json::json;

use crate::harness::{Phone, Server, until};

#[tokio::test]
async fn promise_1_what_was_answered_202_survives_a_kill() {
    let mut server = Server::start().await;
    let mut phone = Phone::register(&server, "phone").await;
    let id = server.app().push_to_device("phone", "kept").await;

    server.crash_and_restart().await;
    phone.connect(&server).await;

    assert_eq!(phone.take("kept").await.message_id.to_string(), id);
    server.app().message_is(&id, "phone", "delivered").await;
}

#[tokio::test]
async fn promise_1_a_malformed_request_is_refused_whole_and_each_target_answered_alone() {
    let server = Server::start().await;
    let mut phone = server.phone("phone").await;
    let app = server.app();

    app.push(json!({"devices": ["phone"]}), "never", json!({"ttl_s": "soon"}))
        .await
        .refused(400, "body_invalid");
    let answer = app.push(json!({"devices": ["phone", "nobody"]}), "some", json!({})).await.expect(202);
    assert_eq!(answer.body["accepted"], 1);
    assert_eq!(answer.body["targets"][0]["accepted"], true);
    assert_eq!(answer.body["targets"][1]["code"], "device_unknown");
    app.push(json!({"devices": ["nobody"]}), "none", json!({})).await.refused(404, "device_unknown");

    phone.take("some").await;
}

#[tokio::test]
async fn promise_1_ttl_0_is_delivered_on_the_ack_or_refused_when_nobody_is_online() {
    let server = Server::start().await;
    let app = server.app();
    let mut online = server.phone("online").await;
    Phone::register(&server, "offline").await;

    let now_only = json!({"ttl_s": 0});
    let id = app.push(json!({"devices": ["online"]}), "now", now_only.clone()).await.expect(202).message_id();
    online.take("now").await;
    app.message_is(&id, "online", "delivered").await;
    app.push(json!({"devices": ["offline"]}), "now", now_only).await.refused(409, "offline");
}

#[tokio::test]
async fn promise_2_delivered_means_acked_and_not_written() {
    let server = Server::start().await;
    let mut phone = server.phone("phone").await;
    let id = server.app().push_to_device("phone", "hello").await;

    let push = phone.expect_push("hello").await;
    server.app().message_is(&id, "phone", "pending").await;
    phone.ack(&push).await;
    server.app().message_is(&id, "phone", "delivered").await;
}

#[tokio::test]
async fn promise_3_what_is_unacked_goes_out_again_with_the_same_id() {
    let mut server = Server::start().await;
    let mut phone = server.phone("phone").await;
    let id = server.app().push_to_device("phone", "again").await;
    let first = phone.expect_push("again").await;

    phone.disconnect();
    phone.connect(&server).await;
    let second = phone.expect_push("again").await;
    server.crash_and_restart().await;
    phone.connect(&server).await;
    let third = phone.expect_push("again").await;

    assert_eq!([first.message_id, second.message_id].map(|id| id.to_string()), [id.clone(), id]);
    assert_eq!(third, first, "the same seq too, over a restart");
}

#[tokio::test]
async fn promise_3_an_ack_timeout_sends_it_again_on_the_same_connection() {
    let server = Server::start_with(&[("CARILLON_LIMITS_ACK_TIMEOUT", "200ms")]).await;
    let mut phone = server.phone("phone").await;
    server.app().push_to_device("phone", "again").await;

    let first = phone.expect_push("again").await;
    let second = phone.take("again").await;
    assert_eq!(first, second);
}

#[tokio::test]
async fn promise_4_each_lane_arrives_in_order_of_acceptance() {
    let server = Server::start().await;
    let app = server.app();
    let mut phone = Phone::register(&server, "phone").await;
    app.bind("phone", "ann").await;

    // To the device and to its user by turns, over both lanes: four queues, one order a lane.
    for number in 0..40 {
        let to = if number % 2 == 0 { json!({"devices": ["phone"]}) } else { json!({"users": ["ann"]}) };
        let lane = if number % 4 < 2 { "high" } else { "normal" };
        app.push(to, &format!("{lane} {number:02}"), json!({"lane": lane})).await.expect(202);
    }
    phone.connect(&server).await;
    let (mut high, mut normal) = (Vec::new(), Vec::new());
    for _ in 0..40 {
        let Some(Frame::Push(push)) = phone.next().await else { panic!("40 pushes") };
        let title = push.title.clone().unwrap_or_default();
        if title.starts_with("high") {
            high.push(title)
        } else {
            normal.push(title)
        }
        phone.ack(&push).await;
    }
    assert!(high.is_sorted() && normal.is_sorted(), "{high:?} {normal:?}");
    assert_eq!((high.len(), normal.len()), (20, 20));
}

#[tokio::test]
async fn promise_5_an_expired_push_is_never_delivered_and_its_verdict_is_expired() {
    let server = Server::start_with(&[("CARILLON_LIMITS_ACK_TIMEOUT", "200ms")]).await;
    let app = server.app();
    let mut phone = Phone::register(&server, "phone").await;

    let id = app
        .push(json!({"devices": ["phone"]}), "too late", json!({"ttl_s": 1}))
        .await
        .expect(202)
        .message_id();
    app.message_is(&id, "phone", "expired").await;
    app.push_to_device("phone", "in time").await;

    phone.connect(&server).await;
    phone.take("in time").await;
}

#[tokio::test]
async fn promise_5_it_goes_out_when_the_user_binds_within_the_validity() {
    let server = Server::start().await;
    let mut phone = server.phone("phone").await;
    let id = server.app().push_to_user("ann", "welcome").await;

    server.app().bind("phone", "ann").await;

    assert_eq!(phone.take("welcome").await.message_id.to_string(), id);
    server.app().message_is(&id, "phone", "delivered").await;
}

#[tokio::test]
async fn promise_6_every_target_ends_in_one_verdict() {
    let server = Server::start_with(&[("CARILLON_LIMITS_ACK_TIMEOUT", "200ms")]).await;
    let app = server.app();
    let mut read = server.phone("reads").await;
    Phone::register(&server, "sleeps").await;

    let to = json!({"devices": ["reads", "sleeps"]});
    let id = app.push(to, "once", json!({"ttl_s": 1})).await.expect(202).message_id();
    let unbound = app
        .push(json!({"users": ["nobody yet"]}), "once", json!({"ttl_s": 1}))
        .await
        .expect(202)
        .message_id();
    let push = read.take("once").await;
    read.ack(&push).await;
    app.message_is(&id, "sleeps", "expired").await;
    app.message_is(&unbound, "nobody yet", "expired").await;

    let story = app.message_is(&id, "reads", "delivered").await;
    let verdicts = ["delivered", "expired", "revoked", "replaced", "rejected"];
    let steps = story["steps"].as_array().expect("steps");
    let ended =
        steps.iter().filter(|step| verdicts.contains(&step["step"].as_str().unwrap_or_default())).count();
    assert_eq!(ended, 1, "{story}");
}

#[tokio::test]
async fn promise_6_a_collapse_key_replaces_what_is_still_pending() {
    let server = Server::start().await;
    let app = server.app();
    let mut phone = Phone::register(&server, "phone").await;

    let score = json!({"collapse_key": "score"});
    let old = app.push(json!({"devices": ["phone"]}), "1:0", score.clone()).await.expect(202).message_id();
    let new = app.push(json!({"devices": ["phone"]}), "1:1", score).await.expect(202).message_id();
    app.message_is(&old, "phone", "replaced").await;

    phone.connect(&server).await;
    assert_eq!(phone.take("1:1").await.message_id.to_string(), new);
}

#[tokio::test]
async fn promise_7_a_user_is_reached_on_every_device_and_a_new_one_gets_what_none_has_acked() {
    let server = Server::start().await;
    let app = server.app();
    let mut phone = server.phone("phone").await;
    let mut tablet = server.phone("tablet").await;
    app.bind("phone", "ann").await;
    app.bind("tablet", "ann").await;

    app.push_to_user("ann", "to both").await;
    phone.take("to both").await;
    tablet.take("to both").await;

    let unread = app.push_to_user("ann", "unread").await;
    phone.expect_push("unread").await;
    tablet.expect_push("unread").await;
    let mut new = server.phone("new").await;
    app.bind("new", "ann").await;
    assert_eq!(new.take("unread").await.message_id.to_string(), unread);
}

#[tokio::test]
async fn promise_7_a_message_is_never_shown_to_the_next_person_on_the_phone() {
    let server = Server::start().await;
    let app = server.app();
    let mut phone = Phone::register(&server, "phone").await;
    app.bind("phone", "ann").await;
    app.push_to_user("ann", "for ann").await;

    app.bind("phone", "bob").await;
    app.push_to_user("bob", "for bob").await;
    phone.connect(&server).await;
    phone.take("for bob").await;

    app.unbind("phone").await;
    app.push_to_device("phone", "for whoever").await;
    phone.take("for whoever").await;
    app.bind("phone", "ann").await;
    assert_eq!(phone.take("for ann").await.user_id.map(String::from).as_deref(), Some("ann"));
}

#[tokio::test]
async fn promise_9_a_new_session_ends_the_old_one_and_gets_what_is_unacked() {
    let server = Server::start().await;
    let mut old = server.phone("phone").await;
    server.app().push_to_device("phone", "unacked").await;
    old.expect_push("unacked").await;

    let mut new = Phone::known("phone", &old.credential).connected(&server).await;

    assert_eq!(old.expect_goodbye().await.reason, GoodbyeReason::Replaced);
    old.expect_closed().await;
    new.take("unacked").await;
    assert!(new.welcome.session > old.welcome.session);
}

#[tokio::test]
async fn promise_10_a_retry_returns_the_first_answer_and_delivers_once() {
    let mut server = Server::start().await;
    let mut phone = Phone::register(&server, "phone").await;
    let body = json!({"to": {"devices": ["phone"]}, "title": "once"});
    let key = [("idempotency-key", "order-17")];
    let post = reqwest::Method::POST;

    let first = server
        .app()
        .try_call(post.clone(), "/v1/pushes", &key, Some(&body))
        .await
        .expect("answered")
        .expect(202);
    assert_eq!(first.header("idempotent-replayed"), None);
    server.crash_and_restart().await;
    let again = server
        .app()
        .try_call(post.clone(), "/v1/pushes", &key, Some(&body))
        .await
        .expect("answered")
        .expect(202);
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.body, first.body);
    let other = json!({"to": {"devices": ["phone"]}, "title": "other"});
    let refused = server.app().try_call(post, "/v1/pushes", &key, Some(&other)).await.expect("answered");
    refused.refused(422, "idempotency_mismatch");

    server.app().push_to_device("phone", "marker").await;
    phone.connect(&server).await;
    phone.take("once").await;
    phone.take("marker").await;
}

#[tokio::test]
async fn a_device_binds_its_user_with_a_token_its_app_server_signed() {
    use carillon_sdk::sign::BindToken;
    use carillon_sdk::{AppId, DeviceId, Ttl, UserId, WorkspaceId};

    let server = Server::start().await;
    let app = server.app();
    let mut phone = server.phone("phone").await;
    let token = BindToken {
        app_id: AppId::parse(&server.ready.app_id).expect("an id"),
        workspace_id: WorkspaceId::parse(&server.ready.workspace_id).expect("an id"),
        device_id: DeviceId::parse("phone").expect("an id"),
        user_id: UserId::parse("ann").expect("an id"),
        expires_at: crate::harness::now() + Ttl::from_secs(60),
    };
    phone.send(&Frame::Bind(Bind { request: 7, token: token.mint(&app.key(), &app.secret) })).await;

    let Some(Frame::Answer(answer)) = phone.next().await else { panic!("an answer") };
    assert_eq!(
        (answer.request, answer.error, answer.user_id.map(String::from).as_deref()),
        (7, None, Some("ann"))
    );
    app.push_to_user("ann", "hi").await;
    phone.take("hi").await;
    until("the device shows its user", || async {
        (app.get("/v1/devices/phone").await.body["user_id"] == "ann").then_some(())
    })
    .await;
}

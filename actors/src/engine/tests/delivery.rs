//! Promises of delivery, through every actor.

use carillon_sdk::wire::{
    Bind, ErrorCode, Frame, GoodbyeReason, Hello, Report, ReportKind, Unbind, VendorToken,
};
use carillon_sdk::{Ttl, Vendor};

use super::world::{HOUR, World, name, users};
use crate::engine::{Outcome, Refusal, To};
use crate::store::Idempotency;

fn answer_error(frame: Option<Frame>) -> Option<ErrorCode> {
    match frame {
        Some(Frame::Answer(answer)) => answer.error,
        other => panic!("{other:?} instead of an answer"),
    }
}

#[actix::test]
async fn a_push_to_an_online_device_arrives_and_its_ack_makes_it_delivered() {
    let world = World::new().await;
    let mut phone = world.phone("pixel").await;
    let pushed = world.push(To::Devices(vec![phone.device]), "hello").await;
    let push = phone.take("hello").await;
    assert_eq!(push.message_id, pushed.id);
    world.expect_state(&pushed, "delivered", 1).await;
}

#[actix::test]
async fn a_push_to_an_offline_device_waits_until_it_connects() {
    let world = World::new().await;
    let device = world.register("pixel").await;
    world.push(To::Devices(vec![device]), "first").await;
    world.push(To::Devices(vec![device]), "second").await;
    let mut phone = world.connect(device).await;
    phone.take("first").await;
    phone.take("second").await;
}

#[actix::test]
async fn a_thousand_pending_messages_arrive_in_order_through_a_window_of_sixty_four() {
    let world = World::new().await;
    let device = world.register("pixel").await;
    for n in 0..300 {
        world.push(To::Devices(vec![device]), &n.to_string()).await;
    }
    let mut phone = world.connect(device).await;
    for n in 0..300 {
        phone.take(&n.to_string()).await;
    }
    phone.expect_nothing().await;
}

#[actix::test]
async fn an_unacked_push_is_sent_again_after_a_reconnect_with_the_same_id() {
    let world = World::new().await;
    let mut phone = world.phone("pixel").await;
    world.push(To::Devices(vec![phone.device]), "hello").await;
    let first = phone.expect_push().await;
    let mut again = world.connect(phone.device).await;
    assert_eq!(again.take("hello").await.message_id, first.message_id);
}

#[actix::test]
async fn a_push_to_a_user_reaches_every_device_and_waits_for_a_bind() {
    let world = World::new().await;
    let mut phone = world.phone("pixel").await;
    let mut tablet = world.phone("pad").await;
    let early = world.push(users(&["anna"]), "early").await;
    world.bind(phone.device, Some("anna")).await;
    assert_eq!(phone.take("early").await.user_id, Some(name("anna")));
    world.expect_state(&early, "delivered", 1).await;
    world.bind(tablet.device, Some("anna")).await;
    world.push(users(&["anna"]), "both").await;
    phone.take("both").await;
    tablet.take("both").await;
}

#[actix::test]
async fn a_message_is_never_shown_to_the_next_user_of_the_phone() {
    let world = World::new().await;
    let mut phone = world.phone("pixel").await;
    world.bind(phone.device, Some("anna")).await;
    world.bind(phone.device, Some("ben")).await;
    world.push(users(&["anna"]), "for anna").await;
    world.push(users(&["ben"]), "for ben").await;
    phone.take("for ben").await;
    phone.expect_nothing().await;
    world.bind(phone.device, None).await;
    world.push(users(&["ben"]), "later").await;
    phone.expect_nothing().await;
    world.bind(phone.device, Some("anna")).await;
    phone.take("for anna").await;
}

#[actix::test]
async fn nothing_is_delivered_from_its_expiry_on() {
    let world = World::new().await;
    let device = world.register("pixel").await;
    let mut short = world.message(To::Devices(vec![device]), "short");
    short.ttl = Ttl::from_secs(60);
    let short = world.engine.push(short).await.unwrap();
    world.pass(Ttl::from_secs(60)).await;
    world.connect(device).await.expect_nothing().await;
    world.expect_state(&short, "expired", 1).await;
}

#[actix::test]
async fn a_newer_session_takes_over_and_late_acks_of_the_old_one_count() {
    let world = World::new().await;
    let mut old = world.phone("pixel").await;
    let pushed = world.push(To::Devices(vec![old.device]), "hello").await;
    let push = old.expect_push().await;
    let new = world.connect(old.device).await;
    assert!(new.welcome.session > old.welcome.session);
    assert_eq!(old.expect_goodbye().await.reason, GoodbyeReason::Replaced);
    old.ack(&[push.seq]).await;
    world.expect_state(&pushed, "delivered", 1).await;
}

#[actix::test]
async fn a_hello_that_names_the_last_session_resumes_and_what_it_holds_is_acked() {
    let world = World::new().await;
    let mut phone = world.phone("pixel").await;
    let pushed = world.push(To::Devices(vec![phone.device]), "hello").await;
    let push = phone.expect_push().await;
    let resume = phone.welcome.session;
    let hello = Hello { version: 1, resume, holding: vec![push.seq], ..Hello::default() };
    let phone = world.connect_with(phone.device, hello).await;
    assert!(phone.welcome.resumed);
    world.expect_state(&pushed, "delivered", 1).await;
}

#[actix::test]
async fn a_broadcast_reaches_who_is_online_and_who_connects_later_once_each() {
    let world = World::new().await;
    let mut online = world.phone("online").await;
    let offline = world.register("offline").await;
    let pushed = world.push(To::All, "everybody").await;
    assert_eq!(pushed.accepted, 2);
    online.take("everybody").await;
    online.expect_nothing().await;
    let mut later = world.connect(offline).await;
    later.take("everybody").await;
    later.expect_nothing().await;
    world.connect(offline).await.expect_nothing().await;
}

#[actix::test]
async fn many_broadcasts_arrive_in_order_through_the_window() {
    let world = World::new().await;
    let mut phone = world.phone("pixel").await;
    for n in 0..60 {
        world.push(To::All, &n.to_string()).await;
    }
    for n in 0..60 {
        phone.take(&n.to_string()).await;
    }
}

#[actix::test]
async fn an_online_only_push_is_taken_by_who_is_online_and_stored_for_nobody() {
    let world = World::new().await;
    let mut phone = world.phone("pixel").await;
    let offline = world.register("offline").await;
    let mut now = world.message(To::Devices(vec![phone.device, offline]), "now");
    now.ttl = Ttl::ZERO;
    let pushed = world.engine.push(now).await.unwrap();
    assert_eq!((pushed.accepted, &pushed.outcomes[..]), (1, &[Outcome::Accepted, Outcome::Offline][..]));
    phone.take("now").await;
    world.expect_state(&pushed, "delivered", 1).await;
    world.connect(offline).await.expect_nothing().await;
}

#[actix::test]
async fn an_idempotent_retry_gets_the_first_answer_and_sends_nothing_more() {
    let world = World::new().await;
    let mut phone = world.phone("pixel").await;
    let mut push = world.message(To::Devices(vec![phone.device]), "once");
    push.idempotency = Some(Idempotency { key: [1; 16], body: [2; 32] });
    let first = world.engine.push(push.clone()).await.unwrap();
    let retry = world.engine.push(push.clone()).await.unwrap();
    assert!(retry.replayed && !first.replayed);
    assert_eq!((retry.id, retry.accepted, retry.outcomes), (first.id, first.accepted, first.outcomes));
    push.idempotency = Some(Idempotency { key: [1; 16], body: [3; 32] });
    assert_eq!(world.engine.push(push).await.err(), Some(Refusal::IdempotencyMismatch));
    phone.take("once").await;
    phone.expect_nothing().await;
}

#[actix::test]
async fn a_full_queue_refuses_and_says_so() {
    let limits = crate::limits::Limits { pending_max: 2, ..Default::default() };
    let world = World::with(limits, |hints| hints).await;
    let device = world.register("pixel").await;
    world.push(To::Devices(vec![device]), "1").await;
    world.push(To::Devices(vec![device]), "2").await;
    let third = world.engine.push(world.message(To::Devices(vec![device]), "3")).await.unwrap();
    assert_eq!((third.accepted, third.outcomes), (0, vec![Outcome::QueueFull]));
}

#[actix::test]
async fn a_deleted_device_is_told_and_gone() {
    let world = World::new().await;
    let mut phone = world.phone("pixel").await;
    world.engine.delete_device(phone.device, None).await.unwrap();
    assert_eq!(phone.expect_goodbye().await.reason, GoodbyeReason::Revoked);
    let pushed = world.engine.push(world.message(To::Devices(vec![phone.device]), "late")).await.unwrap();
    assert_eq!(pushed.outcomes, [Outcome::Gone]);
}

#[actix::test]
async fn a_device_binds_by_a_token_its_app_signed_and_by_no_other() {
    let world = World::new().await;
    let mut phone = world.phone("pixel").await;
    let key = world.engine.store().create_key(world.app, Default::default(), None).await.unwrap();
    let app = world.engine.store().app(world.app).unwrap();
    let content = |device: &str, valid| carillon_sdk::sign::BindToken {
        app_id: app.app_id.clone(),
        workspace_id: app.workspace_id.clone(),
        device_id: carillon_sdk::DeviceId::parse(device).unwrap(),
        user_id: name("anna"),
        expires_at: world.clock.now() + valid,
    };
    let mint = |device, valid| content(device, valid).mint(&key.view.key_id, &key.secret);
    let good = mint("pixel", Ttl::from_secs(60));
    let forged = content("pixel", Ttl::from_secs(60)).mint(&key.view.key_id, "another secret");
    for (token, expected) in [
        (mint("other", Ttl::from_secs(60)), Some(ErrorCode::BindTokenInvalid)),
        (mint("pixel", Ttl::ZERO), Some(ErrorCode::BindTokenExpired)),
        (forged, Some(ErrorCode::BindTokenInvalid)),
        ("nonsense".to_owned(), Some(ErrorCode::BindTokenInvalid)),
        (good, None),
    ] {
        phone.send(Frame::Bind(Bind { request: 1, token })).await;
        assert_eq!(answer_error(phone.next().await), expected);
    }
    world.push(users(&["anna"]), "hello anna").await;
    phone.take("hello anna").await;
    phone.send(Frame::Unbind(Unbind { request: 2 })).await;
    assert_eq!(answer_error(phone.next().await), None);
    world.push(users(&["anna"]), "waits").await;
    phone.expect_nothing().await;
}

#[actix::test]
async fn a_vendor_token_of_a_known_channel_is_kept() {
    let world = World::new().await;
    let mut phone = world.phone("pixel").await;
    let token = |channel: &str| {
        Frame::VendorToken(VendorToken { request: 1, channel: channel.to_owned(), token: "t".to_owned() })
    };
    phone.send(token("pigeon")).await;
    assert_eq!(answer_error(phone.next().await), Some(ErrorCode::VendorTokenInvalid));
    phone.send(token("xiaomi")).await;
    assert_eq!(answer_error(phone.next().await), None);
    assert_eq!(world.engine.store().device_info(phone.device).unwrap().vendors, [Vendor::Xiaomi]);
}

#[actix::test]
async fn a_report_counts_only_for_what_the_device_was_sent() {
    let world = World::new().await;
    let mut phone = world.phone("pixel").await;
    let mut other = world.phone("other").await;
    world.push(To::Devices(vec![phone.device]), "hello").await;
    let push = phone.take("hello").await;
    let report = Frame::Report(Report { message_id: push.message_id, kind: ReportKind::Opened });
    other.send(report.clone()).await;
    assert!(
        matches!(other.next().await, Some(Frame::Error(error)) if error.code == ErrorCode::ReportUnknown)
    );
    phone.send(report).await;
    phone.expect_nothing().await;
}

#[actix::test]
async fn frames_that_break_the_protocol_end_the_connection_with_a_code_and_nobody_elses() {
    let world = World::new().await;
    let mut rude = world.phone("rude").await;
    let mut polite = world.phone("polite").await;
    rude.send_raw(&[0xff; 64]).await;
    assert!(matches!(rude.next().await, Some(Frame::Error(error)) if error.code == ErrorCode::FrameTooLong));
    assert_eq!(rude.expect_goodbye().await.reason, GoodbyeReason::Protocol);
    let mut twice = world.phone("twice").await;
    twice.send(Frame::Hello(Hello::default())).await;
    assert!(matches!(twice.next().await, Some(Frame::Error(error)) if error.code == ErrorCode::HelloTwice));
    assert_eq!(twice.expect_goodbye().await.reason, GoodbyeReason::Protocol);
    world.clock.advance(std::time::Duration::from_secs(2));
    assert_eq!(twice.next().await, None, "it was read for a moment more, and then no longer");
    polite.expect_nothing().await;
}

#[actix::test]
async fn a_silent_device_is_told_goodbye_after_one_and_a_half_heartbeats() {
    let world = World::new().await;
    let mut phone = world.phone("pixel").await;
    world.clock.advance(std::time::Duration::from_secs(406));
    assert_eq!(phone.expect_goodbye().await.reason, GoodbyeReason::Idle);
}

#[actix::test]
async fn a_device_that_sends_and_never_reads_is_cut_off_and_its_messages_stay() {
    let world = World::new().await;
    let mut phone = world.phone("pixel").await;
    world.push(To::Devices(vec![phone.device]), "kept").await;
    let pings = carillon_sdk::wire::encode(&Frame::Ping).repeat(1_000);
    super::world::soon("the cut", async { while phone.try_send_raw(&pings).await {} }).await;
    world.connect(phone.device).await.take("kept").await;
}

#[actix::test]
async fn an_unacked_push_is_probed_and_then_sent_again() {
    let world = World::new().await;
    let mut phone = world.phone("pixel").await;
    world.push(To::Devices(vec![phone.device]), "hello").await;
    let first = phone.expect_push().await;
    world.clock.advance(std::time::Duration::from_secs(15));
    assert_eq!(phone.next().await, Some(Frame::Ping));
    phone.expect_nothing().await;
    world.clock.advance(std::time::Duration::from_secs(15));
    let second = loop {
        match phone.next().await {
            Some(Frame::Push(push)) => break push,
            Some(Frame::Ping) => phone.send(Frame::Pong).await,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(first, second);
}

#[actix::test]
async fn a_drain_says_goodbye_to_everyone_and_loses_nothing() {
    let world = World::new().await;
    let mut phones = Vec::new();
    for n in 0..10 {
        phones.push(world.phone(&n.to_string()).await);
    }
    let engine = world.engine.clone();
    let drained = actix::spawn(async move { engine.drain(Ttl::from_millis(300)).await });
    for phone in &mut phones {
        assert_eq!(phone.expect_goodbye().await.reason, GoodbyeReason::Draining);
    }
    drop(phones);
    super::world::soon("the end of the drain", drained).await.unwrap();
    let late = world.engine.push(world.message(To::All, "late")).await;
    assert_eq!(late.err(), Some(Refusal::Unavailable));
}

#[actix::test]
async fn hellos_beyond_the_rate_are_sent_away_with_jitter() {
    let limits = crate::limits::Limits { hello_burst: 3, hello_rate_per_s: 10, ..Default::default() };
    let world = World::with(limits, |hints| hints).await;
    for _ in 0..3 {
        world.engine.admit_hello().unwrap();
    }
    let first = world.engine.admit_hello().unwrap_err();
    let second = world.engine.admit_hello().unwrap_err();
    assert!(first >= Ttl::from_secs(1) && first != second && first < HOUR);
    world.clock.advance(std::time::Duration::from_millis(100));
    world.engine.admit_hello().unwrap();
}

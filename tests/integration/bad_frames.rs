//! What bad frames get: a coded error or a coded close, at nobody else's cost.

use carillon_sdk::MessageId;
use carillon_sdk::wire::{self, Ack, Bind, ErrorCode, Frame, GoodbyeReason, Report, ReportKind};
use serde_json::json;

use crate::harness::{Phone, Server};

/// A neighbour that must not notice anything.
async fn neighbour_is_well(server: &Server, neighbour: &mut Phone) {
    server.app().push_to_device(&neighbour.id.clone(), "all is well").await;
    neighbour.take("all is well").await;
}

#[tokio::test]
async fn a_first_frame_that_is_no_hello_is_a_coded_close() {
    let server = Server::start().await;
    let mut neighbour = server.phone("neighbour").await;
    let mut phone = Phone::register(&server, "phone").await;
    phone.open(&server).await;
    phone.send(&Frame::Ack(Ack { seqs: vec![1] })).await;
    phone.expect_error(ErrorCode::HelloExpected).await;
    assert_eq!(phone.expect_goodbye().await.reason, GoodbyeReason::Protocol);
    phone.expect_closed().await;
    neighbour_is_well(&server, &mut neighbour).await;
}

#[tokio::test]
async fn a_wild_length_is_refused_before_and_after_hello() {
    let server = Server::start().await;
    let mut phone = Phone::register(&server, "phone").await;
    phone.open(&server).await;
    phone.send_bytes(&[0xff, 0xff, 0xff, 0xff, 0x92]).await;
    phone.expect_error(ErrorCode::FrameTooLong).await;
    assert_eq!(phone.expect_goodbye().await.reason, GoodbyeReason::Protocol);

    phone.connect(&server).await;
    phone.send_bytes(&[0x7f, 0xff, 0xff, 0xff, 0x92]).await;
    phone.expect_error(ErrorCode::FrameTooLong).await;
    assert_eq!(phone.expect_goodbye().await.reason, GoodbyeReason::Protocol);
    phone.expect_closed().await;
}

#[tokio::test]
async fn a_second_hello_is_a_coded_close() {
    let server = Server::start().await;
    let mut phone = server.phone("phone").await;
    phone.send(&Frame::Hello(phone.hello())).await;
    phone.expect_error(ErrorCode::HelloTwice).await;
    assert_eq!(phone.expect_goodbye().await.reason, GoodbyeReason::Protocol);
}

#[tokio::test]
async fn an_ack_for_what_was_never_sent_is_an_error_and_acks_nothing() {
    let server = Server::start().await;
    let mut phone = server.phone("phone").await;
    let id = server.app().push_to_device("phone", "mine").await;
    let push = phone.expect_push("mine").await;
    phone.send(&Frame::Ack(Ack { seqs: vec![push.seq + 1_000_000] })).await;
    phone.expect_error(ErrorCode::AckUnknown).await;
    server.app().message_is(&id, "phone", "pending").await;
    phone.ack(&push).await;
    server.app().message_is(&id, "phone", "delivered").await;
}

#[tokio::test]
async fn a_report_for_a_message_never_sent_to_this_device_counts_for_nothing() {
    let server = Server::start().await;
    let mut phone = server.phone("phone").await;
    let mut other = server.phone("other").await;
    let id = server.app().push_to_device("other", "not yours").await;
    other.take("not yours").await;
    for message_id in [MessageId::parse(&id).expect("an id"), MessageId::fresh()] {
        phone.send(&Frame::Report(Report { message_id, kind: ReportKind::Opened })).await;
        phone.expect_error(ErrorCode::ReportUnknown).await;
    }
    assert_eq!(server.app().message(&id).await["counts"].get("opened"), None);
}

#[tokio::test]
async fn a_credential_of_another_app_or_none_is_a_coded_close() {
    let server = Server::start().await;
    let real = Phone::register(&server, "phone").await;
    let forged = {
        let mut text = real.credential.clone().into_bytes();
        let last = text.len() - 2;
        text[last] = if text[last] == b'A' { b'B' } else { b'A' };
        String::from_utf8(text).expect("ASCII")
    };
    let elsewhere = Server::start().await;
    let foreign = Phone::register(&elsewhere, "phone").await.credential;
    for credential in [String::new(), "nonsense".into(), forged, foreign] {
        let mut phone = Phone::known("phone", &credential);
        phone.open(&server).await;
        phone.send(&Frame::Hello(phone.hello())).await;
        phone.expect_error(ErrorCode::CredentialInvalid).await;
        assert_eq!(phone.expect_goodbye().await.reason, GoodbyeReason::Credential);
        phone.expect_closed().await;
    }
}

#[tokio::test]
async fn a_socket_that_sends_nothing_or_a_byte_at_a_time_is_closed_in_time() {
    let server = Server::start_with(&[("CARILLON_LIMITS_HELLO_TIMEOUT", "500ms")]).await;
    let mut neighbour = server.phone("neighbour").await;
    let mut silent = Phone::known("silent", "");
    silent.open(&server).await;
    let mut slow = Phone::known("slow", "");
    slow.open(&server).await;
    // One byte of a frame of 64 KiB, then another each time the neighbour got a push.
    slow.send_bytes(&[0, 0, 0xff]).await;
    neighbour_is_well(&server, &mut neighbour).await;
    slow.send_bytes(&[0xff]).await;
    for phone in [&mut silent, &mut slow] {
        loop {
            match phone.next().await {
                Some(Frame::Error(_) | Frame::Goodbye(_)) => {}
                Some(other) => panic!("nothing but an end, not {other:?}"),
                None => break,
            }
        }
    }
    neighbour_is_well(&server, &mut neighbour).await;
}

#[tokio::test]
async fn an_unreadable_frame_is_an_error_and_an_unknown_one_is_passed_over() {
    let server = Server::start().await;
    let mut phone = server.phone("phone").await;
    phone.send_bytes(&[0, 0, 0, 2, 0xc1, 0xc1]).await;
    phone.expect_error(ErrorCode::FrameMalformed).await;

    // Type 200 with an empty map; then a Pong with a field nobody knows.
    phone.send_bytes(&[0, 0, 0, 4, 0x92, 0xcc, 200, 0x80]).await;
    phone.send_bytes(&[0, 0, 0, 6, 0x92, 12, 0x81, 0xa1, b'x', 1]).await;
    server.app().push_to_device("phone", "still here").await;
    phone.take("still here").await;
}

#[tokio::test]
async fn a_frame_only_a_server_may_send_is_an_error() {
    let server = Server::start().await;
    let mut phone = server.phone("phone").await;
    phone.send(&Frame::Welcome(wire::Welcome::default())).await;
    phone.expect_error(ErrorCode::UnexpectedFrame).await;
}

#[tokio::test]
async fn a_bind_token_forged_expired_or_for_another_device_binds_nobody() {
    use carillon_sdk::sign::BindToken;
    use carillon_sdk::{AppId, DeviceId, Ttl, UserId, WorkspaceId};

    let server = Server::start().await;
    let app = server.app();
    let mut phone = server.phone("phone").await;
    let good = BindToken {
        app_id: AppId::parse(&server.ready.app_id).expect("an id"),
        workspace_id: WorkspaceId::parse(&server.ready.workspace_id).expect("an id"),
        device_id: DeviceId::parse("phone").expect("an id"),
        user_id: UserId::parse("ann").expect("an id"),
        expires_at: crate::harness::now() + Ttl::from_secs(60),
    };
    let other_device = BindToken { device_id: DeviceId::parse("tablet").expect("an id"), ..good.clone() };
    let other_app = BindToken { app_id: AppId::parse("other").expect("an id"), ..good.clone() };
    let expired = BindToken { expires_at: crate::harness::now() - Ttl::from_secs(1), ..good.clone() };
    let (key, secret) = (app.key(), app.secret.as_str());
    for (token, code) in [
        ("nonsense".to_owned(), ErrorCode::BindTokenInvalid),
        (good.mint(&key, "another secret"), ErrorCode::BindTokenInvalid),
        (other_device.mint(&key, secret), ErrorCode::BindTokenInvalid),
        (other_app.mint(&key, secret), ErrorCode::BindTokenInvalid),
        (expired.mint(&key, secret), ErrorCode::BindTokenExpired),
    ] {
        phone.send(&Frame::Bind(Bind { request: 1, token })).await;
        let Some(Frame::Answer(answer)) = phone.next().await else { panic!("an answer") };
        assert_eq!(answer.error, Some(code));
    }
    assert_eq!(app.get("/v1/devices/phone").await.body["user_id"], json!(null));
}

//! What bad input gets on the device listener: a coded error or a coded close, and nobody else
//! notices.

use carillon_sdk::client::Connection;
use carillon_sdk::wire::{
    self, Ack, ErrorCode, Frame, GoodbyeReason, Hello, Lane, Push, ReportKind, Welcome,
};
use carillon_sdk::{MessageId, Timestamp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{App, Phone, Server, to_device, within};

struct Scene {
    server: Server,
    app: App,
    bystander: Phone,
}

impl Scene {
    async fn set() -> Self {
        Self::set_with(&[]).await
    }

    async fn set_with(settings: &[(&str, &str)]) -> Self {
        let server = Server::start_with(settings).await;
        let app = server.app();
        let bystander = Phone::new(&server, &app, "bystander").await;
        Self { server, app, bystander }
    }

    async fn end_unharmed(mut self) {
        self.app.push(to_device(self.bystander.id()), "marker").await;
        self.bystander.receive("marker").await;
    }
}

/// The server's last words on a connection that never was welcome, then its end.
async fn last_words(connection: &mut Connection) -> (Option<ErrorCode>, Option<GoodbyeReason>) {
    let mut words = (None, None);
    while let Some(frame) = within("the end", connection.next()).await.unwrap_or(None) {
        match frame {
            Frame::Error(error) => words.0 = Some(error.code),
            Frame::Goodbye(goodbye) => words.1 = Some(goodbye.reason),
            other => panic!("expected last words, got {other:?}"),
        }
    }
    words
}

fn hello(credential: &str) -> Frame {
    Frame::Hello(Hello { version: wire::VERSION, credential: credential.to_owned(), ..Hello::default() })
}

#[tokio::test]
async fn a_wild_length_before_hello_ends_the_connection() {
    let scene = Scene::set().await;
    let mut stranger = Phone::stranger(&scene.server).await;
    stranger.send_raw(&[0xff, 0xff, 0xff, 0xff, 1, 2, 3]).await.unwrap();
    let (error, goodbye) = last_words(&mut stranger).await;
    assert_eq!((error, goodbye), (Some(ErrorCode::FrameTooLong), Some(GoodbyeReason::Protocol)));
    scene.end_unharmed().await;
}

#[tokio::test]
async fn a_wild_length_after_hello_ends_the_session_and_loses_nothing() {
    let mut scene = Scene::set().await;
    let mut phone = Phone::new(&scene.server, &scene.app, "d").await;
    scene.app.push(to_device(phone.id()), "kept").await;
    phone.expect_push("kept").await;
    phone.send_raw(&[0x7f, 0xff, 0xff, 0xff]).await;
    phone.expect_error(ErrorCode::FrameTooLong).await;
    phone.expect_goodbye(GoodbyeReason::Protocol).await;
    phone.expect_close().await;
    let mut phone = phone.reconnect(&scene.server).await;
    phone.receive("kept").await;
    scene.bystander.expect_nothing().await;
    scene.end_unharmed().await;
}

#[tokio::test]
async fn a_hello_twice_ends_the_session() {
    let scene = Scene::set().await;
    let mut phone = Phone::new(&scene.server, &scene.app, "d").await;
    let again = hello(&phone.device.credential);
    phone.send(&again).await;
    phone.expect_error(ErrorCode::HelloTwice).await;
    phone.expect_goodbye(GoodbyeReason::Protocol).await;
    phone.expect_close().await;
    scene.end_unharmed().await;
}

#[tokio::test]
async fn an_ack_for_what_was_never_sent_is_an_error_and_removes_nothing() {
    let scene = Scene::set().await;
    let mut phone = Phone::new(&scene.server, &scene.app, "d").await;
    phone.send(&Frame::Ack(Ack { seqs: vec![1, 99, u64::MAX] })).await;
    phone.expect_error(ErrorCode::AckUnknown).await;
    scene.app.push(to_device(phone.id()), "goes on").await;
    phone.receive("goes on").await;
    scene.end_unharmed().await;
}

#[tokio::test]
async fn an_ack_of_another_devices_message_removes_nothing() {
    let mut scene = Scene::set().await;
    let mut thief = Phone::new(&scene.server, &scene.app, "thief").await;
    scene.app.push(to_device(scene.bystander.id()), "mine").await;
    let push = scene.bystander.expect_push("mine").await;
    thief.ack(&push).await;
    thief.expect_error(ErrorCode::AckUnknown).await;
    let Scene { server, app, bystander } = scene;
    let mut bystander = bystander.reconnect(&server).await;
    bystander.receive("mine").await;
    Scene { server, app, bystander }.end_unharmed().await;
}

#[tokio::test]
async fn a_credential_of_another_app_opens_nothing_of_this_one() {
    let scene = Scene::set().await;
    let other = scene.server.another_app("other").await;
    let theirs = other.register("bystander").await;
    let mut stranger = Phone::connect(&scene.server, theirs).await;
    scene.app.push(to_device(scene.bystander.id()), "ours").await;
    other.push(to_device(stranger.id()), "theirs").await;
    stranger.receive("theirs").await;
    let Scene { server, app, mut bystander } = scene;
    bystander.receive("ours").await;
    Scene { server, app, bystander }.end_unharmed().await;
}

#[tokio::test]
async fn a_credential_that_was_tampered_with_is_refused() {
    let scene = Scene::set().await;
    let device = scene.app.register("d").await;
    let mut tampered = device.credential.clone();
    let last = tampered.pop().unwrap();
    tampered.push(if last == 'A' { 'B' } else { 'A' });
    for credential in [tampered.as_str(), "", "nonsense", &"x".repeat(2_000)] {
        let mut stranger = Phone::stranger(&scene.server).await;
        stranger.send(&hello(credential)).await.unwrap();
        let (error, goodbye) = last_words(&mut stranger).await;
        assert_eq!(
            (error, goodbye),
            (Some(ErrorCode::CredentialInvalid), Some(GoodbyeReason::Credential)),
            "{credential:?}"
        );
    }
    scene.end_unharmed().await;
}

#[tokio::test]
async fn a_first_frame_that_is_no_hello_is_refused() {
    let scene = Scene::set().await;
    let mut stranger = Phone::stranger(&scene.server).await;
    stranger.send(&Frame::Ack(Ack { seqs: vec![1] })).await.unwrap();
    let (error, goodbye) = last_words(&mut stranger).await;
    assert_eq!((error, goodbye), (Some(ErrorCode::HelloExpected), Some(GoodbyeReason::Protocol)));
    scene.end_unharmed().await;
}

const IMPATIENT: &[(&str, &str)] = &[("CARILLON_LIMITS_HELLO_TIMEOUT", "400ms")];

#[tokio::test]
async fn a_socket_that_sends_nothing_is_closed() {
    let scene = Scene::set_with(IMPATIENT).await;
    let mut stream = TcpStream::connect(&scene.server.ready.devices_tcp).await.unwrap();
    let mut words = Vec::new();
    within("the close", stream.read_to_end(&mut words)).await.unwrap();
    scene.end_unharmed().await;
}

#[tokio::test]
async fn a_socket_that_sends_a_byte_at_a_time_is_closed() {
    let scene = Scene::set_with(IMPATIENT).await;
    let mut stream = TcpStream::connect(&scene.server.ready.devices_tcp).await.unwrap();
    let trickle = async {
        // A length that promises more than will come in time, byte by byte.
        for byte in [0, 0, 1, 0].into_iter().chain(std::iter::repeat(0x92)) {
            if stream.write_all(&[byte]).await.is_err() {
                return;
            }
            // The slowness is what is tested: each byte is traffic, and none is a Hello.
            let mut answer = [0; 64];
            let pause = std::time::Duration::from_millis(50);
            if let Ok(Ok(0) | Err(_)) = tokio::time::timeout(pause, stream.read(&mut answer)).await {
                return;
            }
        }
    };
    within("the close", trickle).await;
    scene.end_unharmed().await;
}

#[tokio::test]
async fn a_malformed_frame_is_an_error_and_the_session_goes_on() {
    let scene = Scene::set().await;
    let mut phone = Phone::new(&scene.server, &scene.app, "d").await;
    phone.send_raw(&[0, 0, 0, 3, 0xc1, 0xc1, 0xc1]).await;
    phone.expect_error(ErrorCode::FrameMalformed).await;
    scene.app.push(to_device(phone.id()), "goes on").await;
    phone.receive("goes on").await;
    scene.end_unharmed().await;
}

#[tokio::test]
async fn a_frame_of_an_unknown_type_is_passed_over() {
    let scene = Scene::set().await;
    let mut phone = Phone::new(&scene.server, &scene.app, "d").await;
    // [99, {"new": 1}]
    phone.send_raw(b"\x00\x00\x00\x08\x92\x63\x81\xa3new\x01").await;
    phone.expect_nothing().await;
    scene.end_unharmed().await;
}

#[tokio::test]
async fn a_frame_only_a_server_may_send_is_an_error() {
    let scene = Scene::set().await;
    let mut phone = Phone::new(&scene.server, &scene.app, "d").await;
    phone.send(&Frame::Welcome(Welcome::default())).await;
    phone.expect_error(ErrorCode::UnexpectedFrame).await;
    let push = Push {
        seq: 1,
        message_id: MessageId::fresh(),
        title: Some("forged".to_owned()),
        body: None,
        data: None,
        lane: Lane::High,
        silent: false,
        uri: None,
        look: None,
        collapse_key: None,
        sent_at: Timestamp::default(),
        expires_at: Timestamp::default(),
        user_id: None,
    };
    phone.send(&Frame::Push(push)).await;
    phone.expect_error(ErrorCode::UnexpectedFrame).await;
    scene.end_unharmed().await;
}

#[tokio::test]
async fn a_report_of_a_message_this_device_was_not_sent_does_not_count() {
    let mut scene = Scene::set().await;
    let mut liar = Phone::new(&scene.server, &scene.app, "liar").await;
    let id = scene.app.push(to_device(scene.bystander.id()), "mine").await;
    scene.bystander.receive("mine").await;
    liar.report(id, ReportKind::Opened).await;
    liar.expect_error(ErrorCode::ReportUnknown).await;
    liar.report(MessageId::fresh(), ReportKind::Opened).await;
    liar.expect_error(ErrorCode::ReportUnknown).await;
    assert_eq!(scene.app.totals().await.opened, 0);
    scene.end_unharmed().await;
}

#[tokio::test]
async fn a_storm_of_garbage_costs_the_others_nothing() {
    let scene = Scene::set().await;
    for seed in 0_u8..100 {
        let mut stream = TcpStream::connect(&scene.server.ready.devices_tcp).await.unwrap();
        let garbage: Vec<u8> = (0..200).map(|at: u8| at.wrapping_mul(seed).wrapping_add(seed)).collect();
        // It may be refused before all of it is written.
        let _ = stream.write_all(&garbage).await;
    }
    scene.end_unharmed().await;
}

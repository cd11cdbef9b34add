//! What a device does within a session, and from one to the next.

use std::time::Duration;

use super::played::{Door, Peer, Played, soon};
use super::{NOW, ack, push, user};
use crate::client::device::{Acks, DeviceClient, Error, Event, Options, Status};
use crate::wire::{
    Ack, Bind, BindAnswer, ErrorCode, Frame, Goodbye, GoodbyeReason, Push, Report, ReportKind, Revoke,
    Unbind, VendorToken,
};
use crate::{Ttl, UserId};

async fn connected(server: &Played, options: Options, user: Option<UserId>) -> (DeviceClient, Peer) {
    let device = tokio::spawn(DeviceClient::connect(options));
    let (peer, _) = server.welcome(1, user).await;
    (soon(device).await.unwrap().unwrap(), peer)
}

/// A device with these options, bound to anna, and the server's end of its first session.
async fn anna(acks: Acks) -> (Played, DeviceClient, Peer) {
    let server = Played::at(Door::Tcp).await;
    let options = Options { acks, ..server.options() };
    let (device, peer) = connected(&server, options, Some(user("anna"))).await;
    (server, device, peer)
}

fn goodbye(reason: GoodbyeReason, retry_after_ms: u64) -> Frame {
    Frame::Goodbye(Goodbye { reason, retry_after_ms })
}

#[tokio::test]
async fn a_repeat_is_acked_and_counted_and_not_yielded() {
    let (_server, device, mut peer) = anna(Acks::Automatic).await;
    for seq in [1, 1, 2] {
        peer.say(&Frame::Push(push(seq))).await;
    }
    assert_eq!(soon(device.next_push()).await.unwrap(), push(1));
    assert_eq!(soon(device.next_push()).await.unwrap(), push(2));
    let acked: Vec<u64> = acks(peer.settled().await);
    assert_eq!(acked, [1, 1, 2]);
    assert_eq!(device.counts().repeats, 1);
}

#[tokio::test]
async fn what_a_vendor_brought_is_reported_and_its_copy_acked_and_not_yielded() {
    let (_server, device, mut peer) = anna(Acks::Manual).await;
    let brought = push(1).message_id;
    assert!(soon(device.brought_by_vendor(brought)).await.unwrap());
    let shown = Frame::Report(Report { message_id: brought, kind: ReportKind::Shown });
    assert_eq!(peer.settled().await, [shown]);
    peer.say(&Frame::Push(push(1))).await;
    peer.say(&Frame::Push(push(2))).await;
    assert_eq!(soon(device.next_push()).await.unwrap(), push(2));
    assert_eq!(peer.settled().await, [ack([1])], "it was shown, though not from here");
    let known = soon(device.brought_by_vendor(push(2).message_id)).await.unwrap();
    assert!(!known && peer.settled().await.is_empty(), "the app has it from here");
}

fn acks(frames: Vec<Frame>) -> Vec<u64> {
    let seqs = frames.into_iter().map(|frame| match frame {
        Frame::Ack(Ack { seqs }) => seqs,
        other => panic!("{other:?}"),
    });
    seqs.flatten().collect()
}

#[tokio::test]
async fn with_manual_acks_a_push_is_acked_when_the_app_says_so() {
    let (_server, device, mut peer) = anna(Acks::Manual).await;
    peer.say(&Frame::Push(push(1))).await;
    let got = soon(device.next_push()).await.unwrap();
    peer.say(&Frame::Push(push(1))).await;
    assert_eq!(peer.settled().await, [], "neither the push nor its repeat");
    soon(device.ack(&got)).await.unwrap();
    assert_eq!(peer.frame().await, ack([1]));
    peer.say(&Frame::Push(push(1))).await;
    assert_eq!(peer.frame().await, ack([1]), "its ack was lost, it seems");
    assert_eq!(device.counts().repeats, 2);
}

#[tokio::test]
async fn a_new_session_names_the_last_one_and_the_acks_that_may_be_lost() {
    let (server, device, mut peer) = anna(Acks::Automatic).await;
    for seq in [1, 2] {
        peer.say(&Frame::Push(push(seq))).await;
        soon(device.next_push()).await.unwrap();
    }
    drop(peer);
    let (mut peer, hello) = server.welcome(2, None).await;
    assert_eq!((hello.resume, hello.holding), (1, vec![1, 2]));
    peer.say(&Frame::Push(push(2))).await;
    assert_eq!(peer.frame().await, ack([2]), "a repeat is known across sessions");
    drop(peer);
    let (_peer, hello) = server.welcome(3, None).await;
    assert_eq!((hello.resume, hello.holding), (2, vec![2]));
    let mut status = device.status();
    let third = |status: &Status| matches!(status, Status::Connected(welcome) if welcome.session == 3);
    soon(status.wait_for(third)).await.unwrap();
    assert_eq!((device.counts().repeats, device.counts().sessions), (1, 3));
}

#[tokio::test]
async fn an_expired_push_is_neither_yielded_nor_acked() {
    let (_server, device, mut peer) = anna(Acks::Automatic).await;
    peer.say(&Frame::Push(Push { expires_at: NOW, ..push(1) })).await;
    let online_only = Push { expires_at: crate::Timestamp::default(), ..push(2) };
    peer.say(&Frame::Push(online_only.clone())).await;
    assert_eq!(soon(device.next_push()).await.unwrap(), online_only);
    assert_eq!(acks(peer.settled().await), [2]);
    assert_eq!(device.counts().expired, 1);
}

#[tokio::test]
async fn a_push_for_another_user_waits_until_a_welcome_names_that_user() {
    let (server, device, mut peer) = anna(Acks::Automatic).await;
    let for_ben = Push { user_id: Some(user("ben")), ..push(1) };
    peer.say(&Frame::Push(for_ben.clone())).await;
    assert_eq!(peer.next().await, None, "the device asks anew who it is");
    let (mut peer, hello) = server.welcome(2, Some(user("ben"))).await;
    assert_eq!(hello.holding, Vec::<u64>::new());
    peer.say(&Frame::Push(for_ben.clone())).await;
    assert_eq!(soon(device.next_push()).await.unwrap(), for_ben);
    assert_eq!(peer.frame().await, ack([1]));
    assert_eq!(device.counts().other_user, 1);
}

#[tokio::test]
async fn while_a_bind_is_under_way_no_users_push_is_shown() {
    let (_server, device, mut peer) = anna(Acks::Automatic).await;
    let for_anna = |seq| Frame::Push(Push { user_id: Some(user("anna")), ..push(seq) });
    let unbind = async { soon(device.unbind()).await };
    let server_side = async {
        assert_eq!(peer.frame().await, Frame::Unbind(Unbind { request: 1 }));
        peer.say(&for_anna(1)).await;
        peer.say(&Frame::Push(push(2))).await;
        assert_eq!(acks(peer.settled().await), [2]);
        peer.say(&Frame::Answer(BindAnswer { request: 1, ..BindAnswer::default() })).await;
    };
    let (unbound, ()) = tokio::join!(unbind, server_side);
    unbound.unwrap();
    assert_eq!(soon(device.next_push()).await.unwrap(), push(2));
    assert_eq!(device.counts().other_user, 1);
}

#[tokio::test]
async fn a_push_that_overtakes_the_answer_to_its_users_bind_is_shown_once_that_has_come() {
    let (_server, device, mut peer) = anna(Acks::Automatic).await;
    let for_ben = Push { user_id: Some(user("ben")), ..push(1) };
    let bind = async { soon(device.bind("a token")).await };
    let server_side = async {
        assert!(matches!(peer.frame().await, Frame::Bind(_)));
        peer.say(&Frame::Push(for_ben.clone())).await;
        let answer = BindAnswer { request: 1, error: None, user_id: Some(user("ben")) };
        peer.say(&Frame::Answer(answer)).await;
        assert_eq!(peer.frame().await, ack([1]));
    };
    let (bound, ()) = tokio::join!(bind, server_side);
    bound.unwrap();
    assert_eq!(soon(device.next_push()).await.unwrap(), for_ben);
}

#[tokio::test]
async fn a_change_of_user_that_the_server_tells_is_taken() {
    let (_server, device, mut peer) = anna(Acks::Automatic).await;
    peer.say(&Frame::Answer(BindAnswer { request: 0, error: None, user_id: Some(user("ben")) })).await;
    let for_ben = Push { user_id: Some(user("ben")), ..push(1) };
    peer.say(&Frame::Push(for_ben.clone())).await;
    assert_eq!(soon(device.next_push()).await.unwrap(), for_ben);
}

#[tokio::test]
async fn requests_are_answered_by_their_number() {
    let (_server, device, mut peer) = anna(Acks::Automatic).await;
    let asked = async { tokio::join!(device.bind("token"), device.vendor_token("fcm", "abc")) };
    let server_side = async {
        assert_eq!(peer.frame().await, Frame::Bind(Bind { request: 1, token: "token".to_owned() }));
        let token = VendorToken { request: 2, channel: "fcm".to_owned(), token: "abc".to_owned() };
        assert_eq!(peer.frame().await, Frame::VendorToken(token));
        let error = Some(ErrorCode::VendorTokenInvalid);
        peer.say(&Frame::Answer(BindAnswer { request: 2, error, user_id: None })).await;
        peer.say(&Frame::Answer(BindAnswer { request: 1, error: None, user_id: Some(user("ben")) })).await;
    };
    let ((bound, given), ()) = tokio::join!(asked, server_side);
    assert_eq!(bound.unwrap(), Some(user("ben")));
    assert!(matches!(given, Err(Error::Refused(ErrorCode::VendorTokenInvalid))), "{given:?}");
}

#[tokio::test]
async fn a_request_whose_connection_is_lost_is_told_so() {
    let (_server, device, mut peer) = anna(Acks::Automatic).await;
    let server_side = async move {
        assert!(matches!(peer.frame().await, Frame::Bind(_)));
        drop(peer);
    };
    let (bound, ()) = tokio::join!(device.bind("token"), server_side);
    assert!(matches!(bound, Err(Error::Lost)), "{bound:?}");
}

#[tokio::test]
async fn reports_revokes_and_errors_find_their_way() {
    let (_server, device, mut peer) = anna(Acks::Automatic).await;
    let message_id = push(1).message_id;
    soon(device.report(message_id, ReportKind::Opened)).await.unwrap();
    assert_eq!(peer.frame().await, Frame::Report(Report { message_id, kind: ReportKind::Opened }));
    peer.say(&Frame::Revoke(Revoke { message_id, seq: 0 })).await;
    assert_eq!(soon(device.next_event()).await.unwrap(), Event::Revoke(message_id));
    let error = crate::wire::ErrorFrame { code: ErrorCode::TooMany, detail: String::new() };
    peer.say(&Frame::Error(error.clone())).await;
    assert_eq!(soon(device.next_event()).await.unwrap(), Event::Error(error));
}

#[tokio::test]
async fn the_device_pings_within_its_heartbeat() {
    let server = Played::at(Door::Tcp).await;
    let device = tokio::spawn(DeviceClient::connect(server.options()));
    let (mut peer, _) = server.welcome_at(1, None, 1).await;
    assert_eq!(tokio::time::timeout(Duration::from_secs(1), peer.frame()).await, Ok(Frame::Ping));
    peer.say(&Frame::Pong).await;
    assert_eq!(peer.frame().await, Frame::Ping);
    drop(soon(device).await.unwrap());
}

#[tokio::test]
async fn a_goodbye_says_when_to_come_back() {
    let (server, device, mut peer) = anna(Acks::Automatic).await;
    let mut status = device.status();
    peer.say(&goodbye(GoodbyeReason::Draining, 20)).await;
    let waiting =
        soon(status.wait_for(|status| matches!(status, Status::Waiting { .. }))).await.unwrap().clone();
    let Status::Waiting { wait, .. } = waiting else { unreachable!() };
    assert_eq!(wait, Duration::from_millis(20));
    let (_peer, hello) = server.welcome(2, None).await;
    assert_eq!(hello.resume, 1);
}

#[tokio::test]
async fn a_goodbye_for_good_ends_the_client() {
    for reason in [GoodbyeReason::Replaced, GoodbyeReason::Revoked, GoodbyeReason::Credential] {
        let (_server, device, mut peer) = anna(Acks::Automatic).await;
        peer.say(&goodbye(reason, 0)).await;
        let error = soon(device.next_push()).await.unwrap_err();
        assert!(matches!(error, Error::Ended(_)), "{error:?}");
        assert!(matches!(soon(device.unbind()).await, Err(Error::Ended(_))));
    }
}

#[tokio::test]
async fn a_credential_that_is_refused_is_an_error_at_once() {
    let server = Played::at(Door::Tcp).await;
    let device = tokio::spawn(DeviceClient::connect(server.options()));
    let mut peer = server.accept().await;
    assert!(matches!(peer.frame().await, Frame::Hello(_)));
    peer.say(&goodbye(GoodbyeReason::Credential, 0)).await;
    let refused = soon(device).await.unwrap().map(drop);
    assert!(matches!(refused, Err(Error::Goodbye { reason: GoodbyeReason::Credential, .. })), "{refused:?}");
}

#[tokio::test]
async fn without_reconnect_the_first_loss_is_the_end() {
    let server = Played::at(Door::Tcp).await;
    let options = Options { reconnect: false, ..server.options() };
    let (device, peer) = connected(&server, options, None).await;
    drop(peer);
    assert!(matches!(soon(device.next_push()).await, Err(Error::Ended(_))));
}

#[tokio::test]
async fn pushes_that_the_app_does_not_take_stay_with_the_server() {
    let (_server, device, mut peer) = anna(Acks::Automatic).await;
    for seq in 1..=1_030 {
        peer.say(&Frame::Push(push(seq))).await;
    }
    assert_eq!(acks(peer.settled().await), (1..=1_024).collect::<Vec<u64>>());
    assert_eq!(device.counts().overflowed, 6);
    soon(device.next_push()).await.unwrap();
    peer.say(&Frame::Push(push(1_025))).await;
    assert_eq!(peer.frame().await, ack([1_025]), "sent again, it finds room");
}

#[tokio::test]
async fn what_the_app_commands_while_offline_waits_for_the_next_session() {
    let (server, device, mut peer) = anna(Acks::Manual).await;
    peer.say(&Frame::Push(push(1))).await;
    let got = soon(device.next_push()).await.unwrap();
    let mut status = device.status();
    peer.say(&goodbye(GoodbyeReason::Busy, 50)).await;
    soon(status.wait_for(|status| matches!(status, Status::Waiting { .. }))).await.unwrap();
    soon(device.ack(&got)).await.unwrap();
    soon(device.report(got.message_id, ReportKind::Shown)).await.unwrap();
    let (mut peer, hello) = server.welcome(2, None).await;
    assert_eq!(hello.holding, [1]);
    assert!(matches!(peer.frame().await, Frame::Report(_)));
}

#[tokio::test]
async fn a_frame_that_cannot_be_read_ends_the_session_and_not_the_client() {
    let (server, device, mut peer) = anna(Acks::Automatic).await;
    peer.raw(&[0xff; 8]).await;
    let (mut peer, _) = server.welcome(2, None).await;
    peer.say(&Frame::Push(push(1))).await;
    assert_eq!(soon(device.next_push()).await.unwrap(), push(1));
}

#[tokio::test]
async fn closing_writes_the_acks_first() {
    let (_server, device, mut peer) = anna(Acks::Automatic).await;
    peer.say(&Frame::Push(push(1))).await;
    soon(device.next_push()).await.unwrap();
    soon(device.close()).await;
    assert_eq!((peer.frame().await, peer.next().await), (ack([1]), None));
}

#[tokio::test]
async fn a_validity_is_measured_by_the_servers_clock() {
    let (_server, device, mut peer) = anna(Acks::Automatic).await;
    let soon_over = Push { expires_at: NOW + Ttl::from_secs(600), ..push(1) };
    peer.say(&Frame::Push(soon_over.clone())).await;
    assert_eq!(soon(device.next_push()).await.unwrap(), soon_over, "whatever this machine's clock says");
}

//! One session over each transport.

use super::played::{Door, Played, soon, tls};
use super::{ack, push};
use crate::client::device::{DeviceClient, Options};
use crate::client::{Trust, connection};
use crate::wire::Frame;
use crate::wire::ws::{self, Opcode};

async fn one_session(server: Played, options: Options, is_text: bool) {
    let device = tokio::spawn(DeviceClient::connect(options));
    let (mut peer, hello) = server.welcome(7, None).await;
    assert_eq!((hello.version, hello.credential.as_str(), hello.resume), (1, "credential", 0));
    assert_eq!(peer.text, is_text);
    let device = soon(device).await.unwrap().unwrap();
    peer.say(&Frame::Push(push(1))).await;
    assert_eq!(soon(device.next_push()).await.unwrap(), push(1));
    assert_eq!(peer.frame().await, ack([1]));
    soon(device.close()).await;
    assert_eq!(peer.next().await, None);
}

#[tokio::test]
async fn a_push_comes_over_tcp() {
    let server = Played::at(Door::Tcp).await;
    let options = server.options();
    one_session(server, options, false).await;
}

#[tokio::test]
async fn a_push_comes_over_tls_under_the_authority_given() {
    let (door, trust) = tls();
    let server = Played::at(door).await;
    let options = Options { trust, ..server.options() };
    one_session(server, options, false).await;
}

#[tokio::test]
async fn a_push_comes_over_a_websocket_in_binary() {
    let server = Played::at(Door::WebSocket).await;
    let options = server.options();
    one_session(server, options, false).await;
}

#[tokio::test]
async fn a_push_comes_over_a_websocket_in_text() {
    let server = Played::at(Door::WebSocket).await;
    let mut options = server.options();
    options.address = options.address.in_text();
    one_session(server, options, true).await;
}

#[tokio::test]
async fn a_certificate_of_an_authority_unknown_is_refused() {
    let (door, _) = tls();
    let server = Played::at(door).await;
    let (_, other) = tls();
    for trust in [other, Trust::Web] {
        let options = Options { trust, ..server.options() };
        let device = tokio::spawn(async move { DeviceClient::connect(options).await.map(drop) });
        let error = tokio::select! {
            ended = device => ended.unwrap().unwrap_err(),
            () = server.accept_and_fail() => unreachable!("it fails forever"),
        };
        assert!(
            matches!(error, crate::client::device::Error::Connection(connection::Error::Connect { .. })),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn a_websockets_ping_is_answered() {
    let server = Played::at(Door::WebSocket).await;
    let device = tokio::spawn(DeviceClient::connect(server.options()));
    let (mut peer, _) = server.welcome(1, None).await;
    let device = soon(device).await.unwrap().unwrap();
    peer.raw(&ws::frame(Opcode::Ping, b"are you there")).await;
    assert_eq!(peer.pong().await, "are you there");
    drop(device);
}

//! The same session over every transport.

use carillon_sdk::wire::Frame;

use crate::harness::{Phone, Server, Transport, to_all, to_device};

async fn check(transport: Transport) {
    let server = Server::start().await;
    let app = server.app();
    let device = app.register("d").await;
    app.push(to_device(&device.device_id), "waiting").await;
    let mut phone = Phone::connect_over(transport, &server, device).await;
    let push = phone.receive("waiting").await;
    app.await_state(push.message_id, "d", "delivered").await;
    app.push(to_device(phone.id()), "live").await;
    phone.receive("live").await;
    app.push(to_all(), "everybody").await;
    phone.receive("everybody").await;
    phone.send(&Frame::Ping).await;
    assert_eq!(phone.next().await, Some(Frame::Pong));
    let mut phone = phone.reconnect(&server).await;
    app.push(to_device(phone.id()), "again").await;
    phone.receive("again").await;
}

#[tokio::test]
async fn a_device_is_served_over_tcp() {
    check(Transport::Tcp).await;
}

#[tokio::test]
async fn a_device_is_served_over_tls() {
    check(Transport::Tls).await;
}

#[tokio::test]
async fn a_device_is_served_over_web_socket_in_binary() {
    check(Transport::WebSocket).await;
}

#[tokio::test]
async fn a_device_is_served_over_web_socket_in_json_text() {
    check(Transport::WebSocketText).await;
}

#[tokio::test]
async fn a_large_payload_passes_whole_over_every_transport() {
    let server = Server::start().await;
    let app = server.app();
    let body = "é".repeat(2_000);
    for (number, transport) in
        [Transport::Tcp, Transport::Tls, Transport::WebSocket, Transport::WebSocketText]
            .into_iter()
            .enumerate()
    {
        let device = app.register(&format!("d{number}")).await;
        let mut phone = Phone::connect_over(transport, &server, device).await;
        let push = carillon_sdk::api::PushRequest {
            to: to_device(phone.id()),
            title: Some("large".to_owned()),
            body: Some(body.clone()),
            ..carillon_sdk::api::PushRequest::default()
        };
        app.send(push).await;
        assert_eq!(phone.receive("large").await.body.as_deref(), Some(body.as_str()), "{transport:?}");
    }
}

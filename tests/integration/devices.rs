//! Registering devices, and the state one shows.

use carillon_sdk::api::{Platform, RegisterDevice};
use carillon_sdk::wire::{BindAnswer, ErrorCode, Frame, GoodbyeReason, Hello, VERSION, VendorToken};

use crate::harness::{Call, Phone, Server, call, eventually, to_device};

#[tokio::test]
async fn a_device_without_an_id_is_given_one_and_told_where_to_connect() {
    let server = Server::start().await;
    let app = server.app();
    let request = RegisterDevice { platform: Platform::Ios, ..RegisterDevice::default() };
    let made = app.api.register_device(&request).await.unwrap();
    assert!(made.created);
    assert_eq!(made.addresses.tcp.as_ref(), Some(&server.ready.devices_tcp));
    assert_eq!(made.addresses.tls.as_ref(), Some(&server.ready.devices_tls));
    assert_eq!(made.addresses.ws.as_ref(), Some(&server.ready.devices_ws));
    assert!(made.ca_pem.is_some_and(|pem| pem.contains("BEGIN CERTIFICATE")));
    assert_eq!(app.api.device(&made.device_id).await.unwrap().platform, Platform::Ios);
}

#[tokio::test]
async fn registering_again_ends_the_old_credential() {
    let server = Server::start().await;
    let app = server.app();
    let old = app.register("d").await;
    let new = app.register("d").await;
    assert!(!new.created);
    assert_ne!(old.credential, new.credential);
    let mut connection = Phone::stranger(&server).await;
    let hello = Hello { version: VERSION, credential: old.credential, ..Hello::default() };
    connection.send(&Frame::Hello(hello)).await.unwrap();
    match connection.next().await.unwrap() {
        Some(Frame::Error(error)) => assert_eq!(error.code, ErrorCode::CredentialInvalid),
        other => panic!("expected an error, got {other:?}"),
    }
    Phone::connect(&server, new).await;
}

#[tokio::test]
async fn a_client_key_registers_new_devices_and_does_nothing_else() {
    let server = Server::start().await;
    let client_key = server.operator().apps().await.unwrap().apps.remove(0).client_key;
    let as_client = |method, path: &str, body: &str| {
        Call::new(method, path, body).header("Authorization", &format!("Client {client_key}"))
    };
    let register = as_client("POST", "/v1/devices", r#"{"device_id":"by itself","platform":"android"}"#);
    let answer = call(server.http(), &register).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    Phone::connect(&server, serde_json::from_slice(&answer.body).unwrap()).await;
    call(server.http(), &register).await.expect_problem(409, "device_exists");
    for (method, path) in
        [("GET", "/v1/devices"), ("POST", "/v1/pushes"), ("DELETE", "/v1/devices/by%20itself")]
    {
        let answer = call(server.http(), &as_client(method, path, "{}")).await;
        assert_eq!(answer.status, 403, "{method} {path}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_device_shows_whether_it_is_online_and_when_it_was_last_seen() {
    let server = Server::start().await;
    let app = server.app();
    let phone = Phone::new(&server, &app, "d").await;
    let id = phone.id().clone();
    assert!(app.api.device(&id).await.unwrap().online);
    phone.disconnect();
    eventually("the device to be offline", async || {
        let view = app.api.device(&id).await.unwrap();
        (!view.online && view.last_seen_at.is_some()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_deleted_device_is_sent_away_and_its_messages_are_rejected() {
    let server = Server::start().await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "d").await;
    let id = app.push(to_device(phone.id()), "unacked").await;
    phone.expect_push("unacked").await;
    app.api.delete_device(phone.id()).await.unwrap();
    phone.expect_goodbye(GoodbyeReason::Revoked).await;
    assert_eq!(app.api.device(phone.id()).await.unwrap_err().code(), Some("device_unknown"));
    eventually("the message to be rejected", async || {
        app.message(id).await.counts.get("rejected").copied().filter(|count| *count == 1)
    })
    .await;
}

#[tokio::test]
async fn devices_are_listed_a_page_at_a_time() {
    let server = Server::start().await;
    let app = server.app();
    for number in 0..5 {
        app.register(&format!("d{number}")).await;
    }
    let (mut seen, mut path) = (Vec::new(), "/v1/devices?limit=2".to_owned());
    loop {
        let answer = call(server.http(), &Call::new("GET", &path, "").signed(&app)).await;
        let page: carillon_sdk::api::DeviceList = serde_json::from_slice(&answer.body).unwrap();
        assert!(page.devices.len() <= 2);
        seen.extend(page.devices.iter().map(|device| device.device_id.to_string()));
        let Some(next) = page.next else { break };
        path = format!("/v1/devices?limit=2&cursor={next}");
    }
    assert_eq!(seen, ["d0", "d1", "d2", "d3", "d4"]);
}

#[tokio::test]
async fn a_vendor_token_is_kept_and_withdrawn() {
    let server = Server::start().await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "d").await;
    for (token, channels) in [("abc", vec!["fcm".to_owned()]), ("", vec![])] {
        assert_eq!(vendor_token(&mut phone, "fcm", token).await.error, None);
        assert_eq!(app.api.device(phone.id()).await.unwrap().vendor_channels, channels);
    }
    let answer = vendor_token(&mut phone, "carrier pigeon", "abc").await;
    assert_eq!(answer.error, Some(ErrorCode::VendorTokenInvalid));
}

async fn vendor_token(phone: &mut Phone, channel: &str, token: &str) -> BindAnswer {
    let frame = VendorToken { request: 9, channel: channel.to_owned(), token: token.to_owned() };
    phone.send(&Frame::VendorToken(frame)).await;
    phone.expect_answer(9).await
}

//! Registering, and the state a device shows.

use carillon_sdk::wire::{ErrorCode, Frame, GoodbyeReason, VendorToken};
use reqwest::Method;
use serde_json::json;

use crate::harness::{Phone, Server, until};

#[tokio::test]
async fn a_device_without_an_id_is_given_one() {
    let server = Server::start().await;
    let made = server.app().post("/v1/devices", json!({"platform": "ios"})).await.expect(201).body;
    let id = made["device_id"].as_str().expect("an id");
    assert_eq!(server.app().get(&format!("/v1/devices/{id}")).await.expect(200).body["platform"], "ios");
    assert_eq!(made["addresses"]["tcp"], server.ready.devices_tcp.as_str());
    assert!(made["ca_pem"].as_str().is_some_and(|pem| pem.contains("BEGIN CERTIFICATE")));
}

#[tokio::test]
async fn registering_again_replaces_the_credential() {
    let server = Server::start().await;
    let old = Phone::register(&server, "phone").await;
    let new = Phone::register(&server, "phone").await;
    assert_ne!(old.credential, new.credential);

    new.connected(&server).await;
    let mut old = old;
    old.open(&server).await;
    old.send(&Frame::Hello(old.hello())).await;
    old.expect_error(ErrorCode::CredentialInvalid).await;
    assert_eq!(old.expect_goodbye().await.reason, GoodbyeReason::Credential);
}

#[tokio::test]
async fn a_client_key_registers_and_does_nothing_else() {
    let server = Server::start().await;
    let app = server.app();
    let apps = std::fs::read_to_string(server.ready.data.join("operator.key")).expect("the operator's key");
    let (id, secret) = apps.trim().split_once(' ').expect("id and secret");
    let apps = app.with_key(id, secret).get("/v1/apps").await.expect(200).body;
    let client_key = apps["apps"][0]["client_key"].as_str().expect("a client key").to_owned();
    let authorization = format!("Client {client_key}");
    let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];

    let body = json!({"device_id": "by itself", "platform": "android"}).to_string();
    let made = app
        .send(Method::POST, "/v1/devices", &headers, body.clone().into())
        .await
        .expect("answered")
        .expect(201);
    Phone::known("by itself", made.body["credential"].as_str().expect("a credential"))
        .connected(&server)
        .await;

    let again = app.send(Method::POST, "/v1/devices", &headers, body.into()).await.expect("answered");
    again.refused(409, "device_exists");
    let read = app.send(Method::GET, "/v1/devices", &headers, Vec::new()).await.expect("answered");
    assert_eq!(read.status, 403, "{}", read.text);
}

#[tokio::test]
async fn a_device_shows_whether_it_is_online_and_when_it_was_last_seen() {
    let server = Server::start().await;
    let app = server.app();
    let mut phone = server.phone("phone").await;
    assert_eq!(app.get("/v1/devices/phone").await.body["online"], true);
    phone.disconnect();
    until("it is offline", || async {
        let device = app.get("/v1/devices/phone").await.body;
        (device["online"] == false && device["last_seen_at"].is_u64()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_deleted_device_is_gone_and_its_messages_are_verdicted() {
    let server = Server::start().await;
    let app = server.app();
    let mut phone = server.phone("phone").await;
    let id = app.push_to_device("phone", "unacked").await;
    phone.expect_push("unacked").await;

    app.call(Method::DELETE, "/v1/devices/phone", None).await.expect_ok();

    assert_eq!(phone.expect_goodbye().await.reason, GoodbyeReason::Revoked);
    app.get("/v1/devices/phone").await.refused(404, "device_unknown");
    until("the message is rejected", || async {
        (app.message(&id).await["counts"]["rejected"] == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn devices_are_listed_a_page_at_a_time() {
    let server = Server::start().await;
    for number in 0..5 {
        Phone::register(&server, &format!("phone-{number}")).await;
    }
    let (mut seen, mut path) = (Vec::new(), "/v1/devices?limit=2".to_owned());
    loop {
        let page = server.app().get(&path).await.expect(200).body;
        let rows = page["devices"].as_array().expect("rows").clone();
        assert!(rows.len() <= 2);
        seen.extend(rows.into_iter().map(|row| row["device_id"].clone()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/v1/devices?limit=2&cursor={next}");
    }
    assert_eq!(serde_json::Value::from(seen), json!(["phone-0", "phone-1", "phone-2", "phone-3", "phone-4"]));
}

#[tokio::test]
async fn a_vendor_token_is_kept_and_withdrawn() {
    let server = Server::start().await;
    let app = server.app();
    let mut phone = server.phone("phone").await;
    for (token, channels) in [("abc", json!(["fcm"])), ("", json!([]))] {
        let frame = VendorToken { request: 1, channel: "fcm".into(), token: token.into() };
        phone.send(&Frame::VendorToken(frame)).await;
        let Some(Frame::Answer(answer)) = phone.next().await else { panic!("an answer") };
        assert_eq!(answer.error, None);
        assert_eq!(app.get("/v1/devices/phone").await.body["vendor_channels"], channels);
    }
    let frame = VendorToken { request: 2, channel: "carrier pigeon".into(), token: "abc".into() };
    phone.send(&Frame::VendorToken(frame)).await;
    let Some(Frame::Answer(answer)) = phone.next().await else { panic!("an answer") };
    assert_eq!(answer.error, Some(ErrorCode::VendorTokenInvalid));
}

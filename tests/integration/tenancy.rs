//! A tenant sees its own and nothing else.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Phone, Server};

#[tokio::test]
async fn another_tenants_object_is_a_404_at_every_endpoint() {
    let server = Server::start().await;
    let ours = server.app();
    Phone::register(&server, "phone").await;
    ours.bind("phone", "ann").await;
    let message = ours.push_to_device("phone", "ours").await;
    let theirs = ours.another_app(&server.ready, "other").await;

    let key = format!("/v1/keys/{}", ours.key_id);
    let message = format!("/v1/messages/{message}");
    let bind = json!({"user_id": "eve"});
    for (method, path, body, code) in [
        (Method::GET, "/v1/devices/phone", None, "device_unknown"),
        (Method::DELETE, "/v1/devices/phone", None, "device_unknown"),
        (Method::PUT, "/v1/devices/phone/user", Some(bind), "device_unknown"),
        (Method::DELETE, "/v1/devices/phone/user", None, "device_unknown"),
        (Method::GET, "/v1/users/ann", None, "user_unknown"),
        (Method::GET, message.as_str(), None, "message_unknown"),
        (Method::DELETE, key.as_str(), None, "key_unknown"),
    ] {
        theirs.call(method, path, body).await.refused(404, code);
    }
    theirs.push(json!({"devices": ["phone"]}), "theirs", json!({})).await.refused(404, "device_unknown");
    assert_eq!(theirs.get("/v1/devices").await.expect(200).body["devices"], json!([]));
    assert_eq!(ours.get("/v1/devices/phone").await.expect(200).body["pending"], 1);
}

#[tokio::test]
async fn the_same_names_in_two_apps_are_two_devices_and_two_users() {
    let server = Server::start().await;
    let ours = server.app();
    let theirs = ours.another_app(&server.ready, "other").await;
    let mut our_phone = server.phone("phone").await;
    let made =
        theirs.post("/v1/devices", json!({"device_id": "phone", "platform": "ios"})).await.expect(201).body;
    let mut their_phone =
        Phone::known("phone", made["credential"].as_str().expect("a credential")).connected(&server).await;

    theirs.push(json!({"all": true}), "to theirs", json!({})).await.expect(202);
    ours.push(json!({"all": true}), "to ours", json!({})).await.expect(202);
    ours.bind("phone", "ann").await;
    theirs.push_to_user("ann", "waits").await;

    our_phone.take("to ours").await;
    their_phone.take("to theirs").await;
    ours.push_to_device("phone", "marker").await;
    our_phone.take("marker").await;
}

#[tokio::test]
async fn a_key_does_what_its_scopes_say_and_nothing_once_revoked() {
    let server = Server::start().await;
    let app = server.app();
    Phone::register(&server, "phone").await;
    let made = app.post("/v1/keys", json!({"scopes": ["read"]})).await.expect(201).body;
    let text = |field: &str| made[field].as_str().expect("a text").to_owned();
    let reader = app.with_key(&text("key_id"), &text("secret"));

    reader.get("/v1/devices/phone").await.expect(200);
    reader.push(json!({"devices": ["phone"]}), "no", json!({})).await.refused(403, "scope_missing");
    app.post("/v1/keys", json!({})).await.refused(409, "keys_full");
    let listed = app.get("/v1/keys").await.expect(200);
    assert!(!listed.text.contains(&text("secret")), "a secret is shown once");

    app.call(Method::DELETE, &format!("/v1/keys/{}", text("key_id")), None).await.expect_ok();
    reader.get("/v1/devices/phone").await.refused(401, "signature_invalid");
}

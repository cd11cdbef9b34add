//! A tenant comes from the key. Another tenant's object does not exist.

use carillon_sdk::api::{CreateKey, Scope};

use crate::harness::{App, Call, Phone, Server, call, to_all, to_device, to_user};

/// Each endpoint that names an object, and the code of its absence.
const NAMED: &[(&str, &str, &str, &str)] = &[
    ("GET", "/v1/devices/theirs", "", "device_unknown"),
    ("DELETE", "/v1/devices/theirs", "", "device_unknown"),
    ("PUT", "/v1/devices/theirs/user", r#"{"user_id":"ann"}"#, "device_unknown"),
    ("DELETE", "/v1/devices/theirs/user", "", "device_unknown"),
    ("GET", "/v1/users/their-user", "", "user_unknown"),
    ("POST", "/v1/pushes", r#"{"to":{"devices":["theirs"]},"title":"x"}"#, "device_unknown"),
];

#[tokio::test]
async fn another_tenants_object_is_a_404_on_every_endpoint() {
    let server = Server::start().await;
    let (ours, theirs) = (server.app(), server.another_app("theirs").await);
    let mut phone = Phone::new(&server, &theirs, "theirs").await;
    theirs.bind(phone.id(), "their-user").await;
    let message = theirs.push(to_user("their-user"), "secret").await;
    phone.receive("secret").await;
    for (method, path, body, code) in NAMED {
        let answer = call(server.http(), &Call::new(method, path, body).signed(&ours)).await;
        answer.expect_problem(404, code);
    }
    let path = format!("/v1/messages/{message}");
    call(server.http(), &Call::new("GET", &path, "").signed(&ours))
        .await
        .expect_problem(404, "message_unknown");
    let path = format!("/v1/keys/{}", theirs.key_id);
    call(server.http(), &Call::new("DELETE", &path, "").signed(&ours))
        .await
        .expect_problem(404, "key_unknown");
    theirs.push(to_device(phone.id()), "still theirs").await;
    phone.receive("still theirs").await;
}

#[tokio::test]
async fn one_id_in_two_apps_is_two_devices() {
    let server = Server::start().await;
    let (ours, theirs) = (server.app(), server.another_app("theirs").await);
    let mut our_phone = Phone::new(&server, &ours, "same").await;
    let mut their_phone = Phone::new(&server, &theirs, "same").await;
    ours.push(to_device(our_phone.id()), "ours").await;
    theirs.push(to_device(their_phone.id()), "theirs").await;
    our_phone.receive("ours").await;
    their_phone.receive("theirs").await;
}

#[tokio::test]
async fn a_push_to_all_stays_in_its_app() {
    let server = Server::start().await;
    let (ours, theirs) = (server.app(), server.another_app("theirs").await);
    let mut our_phone = Phone::new(&server, &ours, "d").await;
    let mut their_phone = Phone::new(&server, &theirs, "d").await;
    ours.push(to_all(), "ours").await;
    theirs.push(to_all(), "theirs").await;
    our_phone.receive("ours").await;
    their_phone.receive("theirs").await;
}

#[tokio::test]
async fn lists_and_statistics_show_the_callers_tenant_alone() {
    let server = Server::start().await;
    let (ours, theirs) = (server.app(), server.another_app("theirs").await);
    theirs.register("d").await;
    theirs.push(to_user("ann"), "hello").await;
    assert!(ours.api.devices(None).await.unwrap().devices.is_empty());
    assert_eq!(ours.totals().await.accepted, 0);
    let keys = ours.api.keys().await.unwrap().keys;
    assert!(keys.iter().all(|key| key.key_id != theirs.key_id), "{keys:?}");
}

#[tokio::test]
async fn a_key_of_an_app_cannot_make_apps() {
    let server = Server::start().await;
    let body = r#"{"app_id":"x","workspace_id":"y"}"#;
    let answer = call(server.http(), &Call::new("POST", "/v1/apps", body).signed(&server.app())).await;
    answer.expect_problem(403, "scope_missing");
}

#[tokio::test]
async fn a_key_does_what_its_scopes_say_and_its_secret_is_shown_once() {
    let server = Server::start().await;
    let app = server.app();
    let request = CreateKey { scopes: vec![Scope::Read], ..CreateKey::default() };
    let made = app.api.create_key(&request).await.unwrap();
    let reader = App::new(&server, made.key.key_id.as_str(), &made.secret);
    reader.api.devices(None).await.unwrap();
    let error = reader.push_once("k", to_user("ann"), "no").await.unwrap_err();
    assert_eq!(error.code(), Some("scope_missing"));
    let full = app.api.create_key(&CreateKey::default()).await.unwrap_err();
    assert_eq!(full.code(), Some("keys_full"), "two live at once");
    let listed = call(server.http(), &Call::new("GET", "/v1/keys", "").signed(&app)).await;
    assert!(!listed.text().contains(&made.secret));
    assert!(listed.text().contains(made.key.key_id.as_str()));
}

//! Keys end, rotate, and are held to addresses; and each change stands in the log.

use carillon_sdk::api::{CreateKey, PushRequest, RegisterDevice, Scope, UpdateKey};
use carillon_sdk::{KeyId, Timestamp};
use serde_json::json;

use super::code;
use crate::harness::{App, Server, eventually, now, to_user};

/// The app as another of its keys sees it.
fn with_key(server: &Server, key: &carillon_sdk::api::KeyCreated) -> App {
    App::new(server, key.key.key_id.as_str(), &key.secret)
}

/// Waits until a key is refused as one that never was.
async fn refused(app: &App) {
    eventually("the key to end", async || {
        let answer = app.api.devices(None).await;
        answer.err().filter(|error| error.code() == Some("signature_invalid"))
    })
    .await;
}

#[tokio::test]
async fn a_rotated_key_is_taken_until_its_overlap_ends() {
    let server = Server::start().await;
    let app = server.app();
    let second = app.api.rotate_key(&app.key_id, 2).await.unwrap();
    let successor = with_key(&server, &second);
    successor.api.devices(None).await.unwrap();
    app.api.devices(None).await.unwrap();
    assert_eq!(second.key.scopes, app.api.keys().await.unwrap().keys[0].scopes);
    assert_eq!(code(successor.api.rotate_key(&second.key.key_id, 60)).await, "keys_full");
    refused(&app).await;

    let third = successor.api.rotate_key(&second.key.key_id, 0).await.unwrap();
    refused(&successor).await;
    with_key(&server, &third).api.devices(None).await.unwrap();
}

#[tokio::test]
async fn a_key_that_has_expired_is_as_one_that_never_was_and_makes_room() {
    let server = Server::start().await;
    let app = server.app();
    let soon = Timestamp::from_millis(now().as_millis() + 1_500);
    let made =
        app.api.create_key(&CreateKey { expires_at: Some(soon), ..CreateKey::default() }).await.unwrap();
    let short = with_key(&server, &made);
    short.api.devices(None).await.unwrap();
    assert_eq!(code(app.api.create_key(&CreateKey::default())).await, "keys_full");
    refused(&short).await;
    let later =
        UpdateKey { expires_at: Some(now() + carillon_sdk::Ttl::from_secs(60)), ..UpdateKey::default() };
    assert_eq!(code(app.api.update_key(&made.key.key_id, &later)).await, "key_unknown");
    app.api.create_key(&CreateKey::default()).await.unwrap();
    let past = CreateKey { expires_at: Some(Timestamp::from_millis(1)), ..CreateKey::default() };
    assert_eq!(code(app.api.create_key(&past)).await, "key_invalid");
}

#[tokio::test]
async fn a_key_with_an_address_list_is_taken_from_there_alone() {
    let server = Server::start().await;
    let app = server.app();
    let elsewhere = CreateKey { allow: vec!["192.0.2.0/24".to_owned()], ..CreateKey::default() };
    let made = app.api.create_key(&elsewhere).await.unwrap();
    let held = with_key(&server, &made);
    assert_eq!(code(held.api.devices(None)).await, "address_refused");
    let here = |ranges: &[&str]| UpdateKey {
        allow: Some(ranges.iter().map(|range| (*range).to_owned()).collect()),
        ..UpdateKey::default()
    };
    let updated = app.api.update_key(&made.key.key_id, &here(&["127.0.0.1", "::1"])).await.unwrap();
    assert_eq!(updated.allow, ["127.0.0.1/32", "::1/128"]);
    held.api.devices(None).await.unwrap();
    assert_eq!(code(held.api.update_key(&made.key.key_id, &elsewhere_again())).await, "key_in_use");
    held.api.devices(None).await.unwrap();
    assert_eq!(code(app.api.update_key(&made.key.key_id, &here(&["localhost"]))).await, "key_invalid");
}

fn elsewhere_again() -> UpdateKey {
    UpdateKey { allow: Some(vec!["192.0.2.0/24".to_owned()]), ..UpdateKey::default() }
}

#[tokio::test]
async fn a_key_gives_away_no_more_than_it_has() {
    let server = Server::start().await;
    let app = server.app();
    let keys_only = CreateKey { scopes: vec![Scope::Keys], ..CreateKey::default() };
    let clerk = with_key(&server, &app.api.create_key(&keys_only).await.unwrap());
    assert_eq!(code(clerk.api.rotate_key(&app.key_id, 0)).await, "scope_missing", "its secret would be told");
    app.api.devices(None).await.unwrap();
    assert_eq!(code(clerk.api.settings()).await, "scope_missing");
    clerk.api.audit_log(None).await.unwrap();
}

#[tokio::test]
async fn when_a_key_was_last_used_survives_a_crash() {
    let mut server = Server::start().await;
    let app = server.app();
    let made = app.api.create_key(&CreateKey::default()).await.unwrap();
    assert_eq!(made.key.last_used_at, None);
    let before = now();
    let second = with_key(&server, &made);
    second.api.devices(None).await.unwrap();
    // What expired is verdicted by the sweep that writes the use, or by one after it.
    let id = app.push_for(1, to_user("ann"), "short").await;
    app.await_state(id, "ann", "expired").await;
    server.crash().await;
    let listed = server.app().api.keys().await.unwrap().keys;
    let key = listed.into_iter().find(|key| key.key_id == made.key.key_id).unwrap();
    assert_eq!(key.last_used_from.as_deref(), Some("127.0.0.1"));
    assert!(key.last_used_at.unwrap() >= before, "{key:?}");
}

#[tokio::test]
async fn another_apps_key_does_not_exist() {
    let server = Server::start().await;
    let (app, other) = (server.app(), server.another_app("other").await);
    let named = UpdateKey { name: Some("mine".to_owned()), ..UpdateKey::default() };
    assert_eq!(code(other.api.update_key(&app.key_id, &named)).await, "key_unknown");
    assert_eq!(code(other.api.rotate_key(&app.key_id, 0)).await, "key_unknown");
    assert_eq!(code(other.api.revoke_key(&app.key_id)).await, "key_unknown");
    let operator: KeyId = "operator".parse().unwrap();
    assert_eq!(code(app.api.rotate_key(&operator, 0)).await, "key_unknown");
}

#[tokio::test]
async fn the_audit_log_has_exactly_what_was_done_to_keys_in_order_and_by_pages() {
    let mut server = Server::start().await;
    let app = server.app();
    let ci = CreateKey { name: Some("ci".to_owned()), scopes: vec![Scope::Read], ..CreateKey::default() };
    let made = app.api.create_key(&ci).await.unwrap().key.key_id;
    let named = UpdateKey { name: Some("build".to_owned()), ..UpdateKey::default() };
    app.api.update_key(&made, &named).await.unwrap();
    assert_eq!(code(app.api.create_key(&CreateKey::default())).await, "keys_full");
    let rotated = app.api.rotate_key(&made, 0).await.unwrap().key.key_id;
    app.api.revoke_key(&rotated).await.unwrap();
    // Neither of these changes what an owner keeps.
    app.api.register_device(&RegisterDevice::default()).await.unwrap();
    app.push(to_user("ann"), "hello").await;
    server.crash().await;
    let app = server.app();

    let log = app.api.audit_log(None).await.unwrap().entries;
    let done: Vec<_> = log.iter().rev().map(|entry| (entry.what.as_str(), entry.object.as_str())).collect();
    let (made, rotated) = (made.as_str(), rotated.as_str());
    assert_eq!(
        done,
        [("key.create", made), ("key.update", made), ("key.rotate", rotated), ("key.revoke", rotated)]
    );
    assert!(log.iter().all(|entry| entry.who == app.key_id.as_str()), "{log:?}");
    assert!(log.iter().all(|entry| entry.from.as_deref() == Some("127.0.0.1")), "{log:?}");
    assert_eq!(log[2].detail, Some(json!({ "name": { "from": "ci", "to": "build" } })));
    let older = app.api.audit_log(Some(&log[1].seq)).await.unwrap().entries;
    assert_eq!(older, log[2..]);
}

#[tokio::test]
async fn secrets_are_found_nowhere_in_the_data_directory_or_the_log() {
    use rsa::pkcs8::{EncodePrivateKey, LineEnding};
    use rsa::traits::PrivateKeyParts;

    let server = Server::start_logging().await;
    let app = server.app();
    let made = app.api.create_key(&CreateKey::default()).await.unwrap();
    let used = with_key(&server, &made);
    used.push(to_user("ann"), "a title to be found").await;
    let private = rsa::RsaPrivateKey::new(&mut rand_core::OsRng, 2_048).unwrap();
    let pem = private.to_pkcs8_pem(LineEnding::LF).unwrap();
    let key = carillon_sdk::api::settings::MakeCallbackKey { private_key: Some(pem.to_string()) };
    app.api.make_callback_key(&key).await.unwrap();
    let push = PushRequest { to: to_user("ann"), silent: true, ..PushRequest::default() };
    used.send(push).await;

    let prime = private.primes()[0].to_bytes_be();
    let line = pem.lines().nth(7).unwrap();
    let planted: [&[u8]; 3] = [made.secret.as_bytes(), line.as_bytes(), &prime[..32]];
    let mut files = vec![("the log".to_owned(), server.log().into_bytes())];
    read_all(std::path::Path::new(&server.ready.data), &mut files);
    let is_in = |text: &[u8], secret: &[u8]| text.windows(secret.len()).any(|window| window == secret);
    assert!(files[0].1.len() > 1_000, "the log says little");
    assert!(
        files.iter().any(|(_, text)| is_in(text, b"a title to be found")),
        "the search finds what is there"
    );
    for (name, text) in &files {
        for (which, secret) in planted.iter().enumerate() {
            assert!(!is_in(text, secret), "secret {which} is in {name}");
        }
    }
}

fn read_all(dir: &std::path::Path, files: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_all(&path, files);
        } else {
            files.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
}

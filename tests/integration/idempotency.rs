//! `Idempotency-Key` beyond promise 10.

use crate::harness::{Phone, Server, to_device, to_user};

#[tokio::test]
async fn the_same_key_with_another_body_is_a_mismatch() {
    let server = Server::start().await;
    let app = server.app();
    app.push_once("k", to_user("ann"), "one").await.unwrap();
    let error = app.push_once("k", to_user("ann"), "two").await.unwrap_err();
    assert_eq!(error.code(), Some("idempotency_mismatch"));
}

#[tokio::test]
async fn another_apps_same_key_is_another_key() {
    let server = Server::start().await;
    let (one, other) = (server.app(), server.another_app("other").await);
    let first = one.push_once("k", to_user("ann"), "hello").await.unwrap();
    let second = other.push_once("k", to_user("ann"), "hello").await.unwrap();
    assert_ne!(first.message_id, second.message_id);
}

#[tokio::test]
async fn two_pushes_with_one_key_at_the_same_time_are_one() {
    let server = Server::start().await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "d").await;
    let pushes = (0..8).map(|_| {
        let (app, to) = (app.clone(), to_device(phone.id()));
        tokio::spawn(async move { app.push_once("k", to, "once").await })
    });
    let mut ids = Vec::new();
    for push in pushes.collect::<Vec<_>>() {
        match push.await.unwrap() {
            Ok(answer) => ids.push(answer.message_id),
            Err(error) => assert_eq!(error.code(), Some("idempotency_in_flight")),
        }
    }
    ids.dedup();
    assert_eq!(ids.len(), 1, "{ids:?}");
    phone.receive("once").await;
    app.push(to_device(phone.id()), "marker").await;
    phone.receive("marker").await;
}

#[tokio::test]
async fn a_refused_push_does_not_spend_its_key() {
    let server = Server::start().await;
    let app = server.app();
    let error = app.push_once("k", to_device(&"nobody".parse().unwrap()), "hello").await.unwrap_err();
    assert_eq!(error.code(), Some("device_unknown"));
    // Another body under the same key: the first attempt did nothing that a retry must match, or
    // it is remembered and said so. Either way nothing is sent twice.
    match app.push_once("k", to_user("ann"), "hello").await {
        Ok(answer) => assert_eq!(answer.accepted, 1),
        Err(error) => assert_eq!(error.code(), Some("idempotency_mismatch")),
    }
}

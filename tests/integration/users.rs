//! Users and devices: binding by the app server, binding by the device, and what follows.

use carillon_sdk::wire::ErrorCode;

use crate::harness::{Phone, Server, to_user};

#[tokio::test]
async fn a_device_binds_its_user_with_a_token_that_the_app_server_signed() {
    let server = Server::start().await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "d").await;
    let answer = phone.bind(app.bind_token(phone.id(), "ann", 60_000)).await;
    assert_eq!((answer.error, answer.user_id.unwrap().as_str()), (None, "ann"));
    app.push(to_user("ann"), "hello").await;
    phone.receive("hello").await;
}

#[tokio::test]
async fn a_token_for_another_device_is_refused() {
    let server = Server::start().await;
    let app = server.app();
    let other = app.register("other").await;
    let mut phone = Phone::new(&server, &app, "d").await;
    let answer = phone.bind(app.bind_token(&other.device_id, "ann", 60_000)).await;
    assert_eq!(answer.error, Some(ErrorCode::BindTokenInvalid));
}

#[tokio::test]
async fn a_token_of_another_app_is_refused() {
    let server = Server::start().await;
    let (app, other) = (server.app(), server.another_app("other").await);
    other.register("d").await;
    let mut phone = Phone::new(&server, &app, "d").await;
    let answer = phone.bind(other.bind_token(phone.id(), "ann", 60_000)).await;
    assert_eq!(answer.error, Some(ErrorCode::BindTokenInvalid), "signed by another app for itself");
    let forged = other.named(&server.ready.app_id);
    let answer = phone.bind(forged.bind_token(phone.id(), "ann", 60_000)).await;
    assert_eq!(answer.error, Some(ErrorCode::BindTokenInvalid), "signed by another app for this one");
}

#[tokio::test]
async fn a_token_that_lives_longer_than_ten_minutes_is_refused() {
    let server = Server::start().await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "d").await;
    let answer = phone.bind(app.bind_token(phone.id(), "ann", 3_600_000)).await;
    assert!(answer.error.is_some(), "{answer:?}");
    assert!(answer.user_id.is_none());
}

#[tokio::test]
async fn an_unbound_device_gets_nothing_of_its_former_user() {
    let server = Server::start().await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "d").await;
    app.bind(phone.id(), "ann").await;
    let answer = phone.unbind().await;
    assert_eq!((answer.error, answer.user_id), (None, None));
    app.push(to_user("ann"), "for ann").await;
    app.bind(phone.id(), "bob").await;
    app.push(to_user("bob"), "for bob").await;
    phone.receive("for bob").await;
}

#[tokio::test]
async fn a_user_shows_its_devices_and_what_waits() {
    let mut server = Server::start().await;
    let app = server.app();
    let device = app.register("d").await;
    app.bind(&device.device_id, "ann").await;
    app.push(to_user("ann"), "hello").await;
    server.crash().await;
    let user = server.app().api.user(&"ann".parse().unwrap()).await.unwrap();
    assert_eq!((user.devices, user.pending), (vec![device.device_id], 1));
}

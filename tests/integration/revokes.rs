//! Taking back what was pushed: nothing of it arrives any more, and who shows it is told.

use carillon_sdk::MessageId;
use carillon_sdk::api::PushRequest;
use carillon_sdk::api::revokes::Revoked;
use carillon_sdk::client::server::{Error, RevokeFrom};

use crate::harness::{App, Phone, Server, eventually, to_all, to_device, to_devices, to_user};

async fn revoke(app: &App, id: MessageId) -> Revoked {
    app.api.revoke_message(id, RevokeFrom::Everybody).await.unwrap()
}

const fn revoked(withdrawn: u64, told: u64) -> Revoked {
    Revoked { withdrawn, told, complete: true }
}

fn code(refused: &Result<Revoked, Error>) -> Option<&str> {
    refused.as_ref().err().and_then(Error::code)
}

#[tokio::test]
async fn what_waits_for_an_offline_device_never_arrives_once_it_is_revoked() {
    let mut server = Server::start().await;
    let app = server.app();
    let device = app.register("d").await;
    let id = app.push(to_device(&device.device_id), "taken back").await;
    assert_eq!(revoke(&app, id).await, revoked(1, 0));
    server.crash().await;
    let app = server.app();
    let mut phone = Phone::connect(&server, device).await;
    phone.expect_nothing().await;
    assert_eq!(app.message(id).await.counts.get("revoked"), Some(&1));
    assert_eq!(revoke(&app, id).await, revoked(0, 0), "nothing is left to do");
}

#[tokio::test]
async fn a_device_that_shows_it_is_told_at_once_and_a_late_ack_changes_nothing() {
    let server = Server::start().await;
    let app = server.app();
    let mut shown = Phone::new(&server, &app, "shown").await;
    let mut acked = Phone::new(&server, &app, "acked").await;
    let id = app.push(to_devices(&[shown.id(), acked.id()]), "hello").await;
    let late = shown.expect_push("hello").await;
    acked.receive("hello").await;
    app.await_state(id, "acked", "delivered").await;
    assert_eq!(revoke(&app, id).await, revoked(1, 2));
    shown.expect_revoke(id).await;
    acked.expect_revoke(id).await;
    shown.ack(&late).await;
    shown.expect_nothing().await;
    let shown = shown.reconnect(&server).await;
    app.await_state(id, "shown", "revoked").await;
    app.await_state(id, "acked", "delivered").await;
    drop(shown);
    eventually("the counts to be those of the verdicts", async || {
        let row = app.totals().await;
        ((row.accepted, row.arrived, row.revoked) == (2, 1, 1)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_device_that_shows_it_is_told_when_it_comes_back_after_a_kill() {
    let mut server = Server::start().await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "d").await;
    let id = app.push(to_device(phone.id()), "hello").await;
    phone.receive("hello").await;
    app.await_state(id, "d", "delivered").await;
    let device = phone.disconnect();
    assert_eq!(revoke(&app, id).await, revoked(0, 1));
    server.crash().await;
    let mut phone = Phone::connect(&server, device).await;
    phone.expect_revoke(id).await;
    phone.expect_nothing().await;
    let mut phone = phone.reconnect(&server).await;
    phone.expect_nothing().await;
    assert_eq!(server.app().api.device(phone.id()).await.unwrap().pending, 0);
}

#[tokio::test]
async fn one_target_is_revoked_and_the_other_keeps_it() {
    let server = Server::start().await;
    let app = server.app();
    let (one, other) = (app.register("one").await, app.register("other").await);
    let id = app.push(to_devices(&[&one.device_id, &other.device_id]), "hello").await;
    let from = RevokeFrom::Device(&one.device_id);
    assert_eq!(app.api.revoke_message(id, from).await.unwrap(), revoked(1, 0));
    Phone::connect(&server, one).await.expect_nothing().await;
    Phone::connect(&server, other).await.receive("hello").await;
    let user = "anna".parse().unwrap();
    let id = app.push(to_user("anna"), "hers").await;
    assert_eq!(app.api.revoke_message(id, RevokeFrom::User(&user)).await.unwrap(), revoked(1, 0));
    let mut phone = Phone::new(&server, &app, "hers").await;
    app.bind(phone.id(), "anna").await;
    phone.expect_nothing().await;
}

#[tokio::test]
async fn a_broadcast_revoked_half_way_stops_and_who_got_it_is_told() {
    let server = Server::start().await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "online").await;
    let offline = app.register("offline").await;
    let push = PushRequest { to: to_all(), title: Some("all".to_owned()), ..PushRequest::default() };
    let id = app.api.push(&push, None).await.unwrap().message_id;
    phone.receive("all").await;
    app.await_state(id, "online", "delivered").await;
    let done = revoke(&app, id).await;
    assert!(done.withdrawn >= 1 && done.told >= 1, "{done:?}");
    phone.expect_revoke(id).await;
    Phone::connect(&server, offline).await.expect_nothing().await;
    Phone::new(&server, &app, "late").await.expect_nothing().await;
    app.await_state(id, "offline", "revoked").await;
    let counts = app.message(id).await.counts;
    assert_eq!(counts.get("pending"), None, "{counts:?}");
}

#[tokio::test]
async fn what_is_unknown_or_malformed_is_said_to_be() {
    let server = Server::start().await;
    let app = server.app();
    let nothing = app.api.revoke_message(MessageId::fresh(), RevokeFrom::Everybody).await;
    assert_eq!(code(&nothing), Some("message_unknown"));
    assert_eq!(code(&app.api.revoke_task(u64::MAX).await), Some("task_unknown"));
}

#[tokio::test]
async fn a_device_is_told_of_a_user_that_the_app_server_bound() {
    let server = Server::start().await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "d").await;
    app.bind(phone.id(), "anna").await;
    app.push(to_user("anna"), "hers").await;
    phone.receive("hers").await;
    assert_eq!(phone.told.take(), Some(Some("anna".parse().unwrap())), "before anything of that user's");
    app.api.unbind(phone.id()).await.unwrap();
    phone.expect_nothing().await;
    assert_eq!(phone.told.take(), Some(None));
}

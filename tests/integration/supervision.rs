//! A panic in each kind of actor is survived: by a new child made from the store, or, for Root and
//! Store, by a process that exits with 70 and loses nothing.

use crate::harness::{Call, Phone, Server, call, eventually, to_all, to_device, to_user};

/// The exit status of a process whose supervisor has given up.
const SOFTWARE: i32 = 70;

async fn panic(server: &Server, kind: &str) {
    let answer = call(server.operations(), &Call::new("POST", &format!("/dev/panic?kind={kind}"), "")).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
}

/// Pushes of every kind wait, the actor dies, and everything arrives all the same.
async fn survives(kind: &str) {
    let mut server = Server::start().await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "d").await;
    app.bind(phone.id(), "ann").await;
    app.push(to_device(phone.id()), "unacked").await;
    phone.expect_push("unacked").await;
    panic(&server, kind).await;
    // A request that was in the hands of what died is answered 503, and its retry, under the same
    // key, is safe.
    app.push_once("after", to_user("ann"), "after").await.unwrap();
    app.push_once("everybody", to_all(), "everybody").await.unwrap();
    let mut missing = vec!["unacked", "after", "everybody"];
    while !missing.is_empty() {
        match phone.next().await {
            Some(carillon_sdk::wire::Frame::Push(push)) => {
                phone.ack(&push).await;
                missing.retain(|title| push.title.as_deref() != Some(title));
            }
            Some(carillon_sdk::wire::Frame::Goodbye(_) | carillon_sdk::wire::Frame::Welcome(_)) => {}
            Some(other) => panic!("{other:?} after a {kind} died"),
            // A Shard that dies loses its sockets; a device comes back.
            None => phone = phone.come_back(&server).await,
        }
        if missing == ["unacked"] {
            // Sent before the death and never acked: it comes again with a new session at the latest.
            phone = phone.come_back(&server).await;
        }
    }
    assert!(server.exit_status().is_none(), "the process must live");
}

#[tokio::test]
async fn a_panic_in_a_connection_is_survived() {
    survives("connection").await;
}

#[tokio::test]
async fn a_panic_in_a_user_is_survived() {
    survives("user").await;
}

#[tokio::test]
async fn a_panic_in_a_shard_is_survived() {
    survives("shard").await;
}

#[tokio::test]
async fn a_panic_in_the_scheduler_is_survived_and_messages_still_expire() {
    let mut server = Server::start().await;
    let app = server.app();
    let device = app.register("d").await;
    panic(&server, "scheduler").await;
    let id = app.push_for(1, to_device(&device.device_id), "expires").await;
    app.await_state(id, "d", "expired").await;
    assert!(server.exit_status().is_none());
}

#[tokio::test]
async fn a_panic_in_metrics_is_survived_and_loses_no_count() {
    let mut server = Server::start().await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "d").await;
    app.push(to_device(phone.id()), "before").await;
    phone.receive("before").await;
    panic(&server, "metrics").await;
    app.push(to_device(phone.id()), "after").await;
    phone.receive("after").await;
    eventually("both to be counted", async || (app.totals().await.arrived == 2).then_some(())).await;
    assert!(server.exit_status().is_none());
}

/// The process exits with 70, and a new one has everything that was accepted.
async fn exits_and_restarts(kind: &str) {
    let mut server = Server::start().await;
    let app = server.app();
    let device = app.register("d").await;
    let id = app.push(to_device(&device.device_id), "kept").await;
    // It may be gone before it has answered.
    let address = server.operations().to_owned();
    let path = format!("/dev/panic?kind={kind}");
    let _ = tokio::spawn(async move { call(&address, &Call::new("POST", &path, "")).await }).await;
    assert_eq!(server.ended().await.code(), Some(SOFTWARE));
    server.start_again().await;
    let mut phone = Phone::connect(&server, device).await;
    assert_eq!(phone.receive("kept").await.message_id, id);
}

#[tokio::test]
async fn a_panic_in_root_ends_the_process_and_loses_nothing() {
    exits_and_restarts("root").await;
}

#[tokio::test]
async fn a_panic_in_the_store_ends_the_process_and_loses_nothing() {
    exits_and_restarts("store").await;
}

#[tokio::test]
async fn more_deaths_than_the_budget_end_the_process() {
    let mut server = Server::start_with(&[("CARILLON_LIMITS_DEATHS_PER_MINUTE_MAX", "3")]).await;
    let status = eventually("the server to give up", async || {
        let address = server.operations().to_owned();
        // Whom a death overtakes is not told again, so more are told than the budget bears. The
        // last of them find nobody at home.
        let call = async move { call(&address, &Call::new("POST", "/dev/panic?kind=scheduler", "")).await };
        let _ = tokio::task::spawn(call).await;
        server.exit_status()
    })
    .await;
    assert_eq!(status.code(), Some(SOFTWARE));
}

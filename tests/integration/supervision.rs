//! A panic in a handler of each kind of actor is survived, and nothing is lost.

use serde_json::json;

use crate::harness::{Phone, Server, until};

async fn restarted(server: &Server, kind: &str) {
    let series = format!("carillon_actor_restarts_total{{kind=\"{kind}\"}}");
    until(&format!("the {kind} is made anew"), || async {
        (server.metric(&series).await >= 1.0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_panics_is_made_anew_around_its_socket() {
    let server = Server::start().await;
    let mut phone = server.phone("phone").await;
    let id = server.app().push_to_device("phone", "unacked").await;
    phone.expect_push("unacked").await;

    server.panic("connection").await;
    restarted(&server, "connection").await;

    // Read from the store anew, so it comes again; on the same socket.
    assert_eq!(phone.take("unacked").await.message_id.to_string(), id);
    server.app().push_to_device("phone", "next").await;
    phone.take("next").await;
}

#[tokio::test]
async fn a_user_that_panics_is_made_anew_and_its_messages_wait() {
    let server = Server::start().await;
    let app = server.app();
    app.push_to_user("ann", "waits").await;
    server.panic("user").await;
    restarted(&server, "user").await;
    let mut phone = server.phone("phone").await;
    app.bind("phone", "ann").await;
    phone.take("waits").await;
    app.push_to_user("ann", "goes on").await;
    phone.take("goes on").await;
}

#[tokio::test]
async fn a_shard_that_panics_loses_its_sockets_and_no_message() {
    let server = Server::start_with(&[("CARILLON_ENGINE_SHARDS", "1")]).await;
    let mut phone = server.phone("phone").await;
    server.app().push_to_device("phone", "unacked").await;
    phone.expect_push("unacked").await;

    server.panic("shard").await;
    while phone.next().await.is_some() {}

    restarted(&server, "shard").await;
    phone.connect(&server).await;
    phone.take("unacked").await;
    server.app().push_to_device("phone", "next").await;
    phone.take("next").await;
}

#[tokio::test]
async fn metrics_and_scheduler_are_made_anew() {
    let server = Server::start_with(&[("CARILLON_LIMITS_ACK_TIMEOUT", "200ms")]).await;
    let app = server.app();
    Phone::register(&server, "phone").await;
    for kind in ["metrics", "scheduler"] {
        server.panic(kind).await;
        restarted(&server, kind).await;
    }
    let id =
        app.push(json!({"devices": ["phone"]}), "short", json!({"ttl_s": 1})).await.expect(202).message_id();
    app.message_is(&id, "phone", "expired").await;
}

#[tokio::test]
async fn root_and_store_end_the_process_which_restarts_without_loss() {
    let mut server = Server::start().await;
    let mut phone = Phone::register(&server, "phone").await;
    for kind in ["store", "root"] {
        server.app().push_to_device("phone", kind).await;
        server.panic(kind).await;
        assert_eq!(server.exit_code().await, Some(70), "{kind}");
        server.start_again().await;
        phone.connect(&server).await;
        phone.take(kind).await;
    }
}

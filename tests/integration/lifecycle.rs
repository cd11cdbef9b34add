//! Starting, stopping, starting again.

use carillon_sdk::wire::GoodbyeReason;

use crate::harness::{Phone, Server};

#[tokio::test]
async fn terminating_says_goodbye_flushes_and_exits_0() {
    let mut server = Server::start_with(&[("CARILLON_DRAIN_WINDOW", "200ms")]).await;
    let mut phone = server.phone("phone").await;
    server.app().push_to_device("phone", "unacked").await;
    phone.expect_push("unacked").await;
    let (ready, _) = server.operations(reqwest::Method::GET, "/readyz").await;
    assert_eq!(ready, 200);

    let exit = server.terminate().await;

    let goodbye = phone.expect_goodbye().await;
    assert_eq!(goodbye.reason, GoodbyeReason::Draining);
    assert!(goodbye.retry_after_ms > 0, "it says when to come back");
    phone.expect_closed().await;
    assert_eq!(exit, Some(0));
    server.start_again().await;
    phone.connect(&server).await;
    phone.take("unacked").await;
}

#[tokio::test]
async fn a_restart_keeps_app_key_devices_bindings_and_messages() {
    let mut server = Server::start().await;
    let before = server.ready.clone();
    let mut phone = Phone::register(&server, "phone").await;
    server.app().bind("phone", "ann").await;
    server.app().push_to_user("ann", "kept").await;

    server.crash_and_restart().await;

    let after = &server.ready;
    assert_eq!(
        (&before.app_id, &before.key_id, &before.key_secret),
        (&after.app_id, &after.key_id, &after.key_secret)
    );
    phone.connect(&server).await;
    assert_eq!(phone.welcome.user_id.clone().map(String::from).as_deref(), Some("ann"));
    phone.take("kept").await;
}

#[tokio::test]
async fn liveness_and_readiness_are_told() {
    let server = Server::start().await;
    for path in ["/livez", "/readyz"] {
        assert_eq!(server.operations(reqwest::Method::GET, path).await.0, 200, "{path}");
    }
}

#[tokio::test]
async fn secrets_on_disk_are_the_owners_alone() {
    use std::os::unix::fs::PermissionsExt;

    let server = Server::start().await;
    for file in ["master.key", "operator.key"] {
        let mode = std::fs::metadata(server.ready.data.join(file)).expect(file).permissions().mode();
        assert_eq!(mode & 0o077, 0, "{file} is {mode:o}");
    }
}

#[tokio::test]
async fn the_ready_line_names_addresses_that_answer() {
    let server = Server::start().await;
    let ready = &server.ready;
    for address in [&ready.devices_tcp, &ready.devices_tls] {
        tokio::net::TcpStream::connect(address).await.expect("it listens");
    }
    assert!(ready.devices_ws.starts_with("ws://127.0.0.1:") && ready.devices_ws.ends_with("/v1/socket"));
}

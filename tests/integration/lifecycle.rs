//! Start, drain, restart.

use carillon_sdk::wire::GoodbyeReason;

use crate::harness::{Call, Phone, Server, call, run, to_device, to_user};

#[tokio::test]
async fn dev_prints_exactly_one_line_with_the_members_of_the_contract() {
    let server = Server::start().await;
    let members = [
        "ready",
        "http",
        "devices_tcp",
        "devices_tls",
        "devices_ws",
        "operations",
        "app_id",
        "workspace_id",
        "key_id",
        "key_secret",
        "pid",
        "data",
    ];
    let line: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&server.line).unwrap();
    assert_eq!(line.len(), members.len());
    let mut at = 0;
    for member in members {
        // In this order, too: people read it.
        let found = server.line[at..].find(&format!("\"{member}\":"));
        at += found.unwrap_or_else(|| panic!("{member} is not where it belongs in {}", server.line));
    }
    assert!(server.ready.ready);
    assert!(
        server.ready.devices_ws.starts_with("ws://127.0.0.1:")
            && server.ready.devices_ws.ends_with("/v1/socket")
    );
    assert!(std::path::Path::new(&server.ready.data).is_dir());
    assert!(std::path::Path::new(&format!("/proc/{}", server.ready.pid)).exists());
}

#[tokio::test]
async fn dev_keeps_app_key_devices_and_messages_when_it_starts_again_on_the_same_data() {
    let mut server = Server::start().await;
    let app = server.app();
    let device = app.register("d").await;
    app.bind(&device.device_id, "ann").await;
    app.push(to_user("ann"), "kept").await;
    let before = server.ready.clone();
    server.terminate();
    assert!(server.ended().await.success());
    server.start_again().await;
    let after = &server.ready;
    assert_eq!(
        (&before.app_id, &before.key_id, &before.key_secret),
        (&after.app_id, &after.key_id, &after.key_secret)
    );
    let view = server.app().api.device(&device.device_id).await.unwrap();
    assert_eq!(view.user_id.unwrap().as_str(), "ann");
    Phone::connect(&server, device).await.receive("kept").await;
}

#[tokio::test]
async fn sigterm_says_goodbye_to_every_device_and_ends_well() {
    let mut server = Server::start().await;
    let app = server.app();
    let mut phones = Vec::new();
    for number in 0..20 {
        phones.push(Phone::new(&server, &app, &format!("d{number}")).await);
    }
    server.terminate();
    for phone in &mut phones {
        phone.expect_goodbye(GoodbyeReason::Draining).await;
        phone.expect_close().await;
    }
    assert_eq!(server.ended().await.code(), Some(0));
}

#[tokio::test]
async fn what_was_acked_before_a_drain_is_not_sent_again_after_it() {
    let mut server = Server::start().await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "d").await;
    app.push(to_device(phone.id()), "acked").await;
    phone.receive("acked").await;
    // The server has read the ack once it answers what was sent after it.
    phone.expect_nothing().await;
    server.terminate();
    assert_eq!(server.ended().await.code(), Some(0));
    server.start_again().await;
    let mut phone = phone.reconnect(&server).await;
    server.app().push(to_device(phone.id()), "marker").await;
    phone.receive("marker").await;
}

#[tokio::test]
async fn two_servers_do_not_share_a_data_directory() {
    let server = Server::start().await;
    let output =
        run(&server, &["dev", "--json", "--ephemeral-ports", "--no-samples", "--data", &server.ready.data])
            .await;
    assert_ne!(output.code, Some(0));
    assert!(output.out.is_empty(), "{output:?}");
    assert!(!output.err.is_empty(), "it must say why");
}

#[tokio::test]
async fn a_server_that_is_ready_says_so_and_one_that_drains_does_not() {
    let server = Server::start_with(&[("CARILLON_DRAIN_WINDOW", "3s")]).await;
    let app = server.app();
    let _phone = Phone::new(&server, &app, "d").await;
    assert_eq!(call(server.operations(), &Call::new("GET", "/readyz", "")).await.status, 200);
    assert_eq!(call(server.operations(), &Call::new("GET", "/livez", "")).await.status, 200);
    server.terminate();
    crate::harness::eventually("not ready", async || {
        (call(server.operations(), &Call::new("GET", "/readyz", "")).await.status == 503).then_some(())
    })
    .await;
}

#[tokio::test]
async fn secrets_on_disk_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let server = Server::start().await;
    for file in ["master.key", "operator.key"] {
        let path = std::path::Path::new(&server.ready.data).join(file);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{file} is {mode:o}");
    }
}

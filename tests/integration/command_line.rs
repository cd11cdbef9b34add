//! The command line, as a person or a script uses it.

use std::process::{Output, Stdio};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::harness::{PATIENCE, Phone, Server};

fn carillon(server: &Server, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_carillon"));
    command
        .args(args)
        .env("CARILLON_SERVER", &server.ready.http)
        .env("CARILLON_APP_ID", &server.ready.app_id)
        .env("CARILLON_KEY_ID", &server.ready.key_id)
        .env("CARILLON_KEY_SECRET", &server.ready.key_secret)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

async fn run(server: &Server, args: &[&str]) -> Output {
    tokio::time::timeout(PATIENCE, carillon(server, args).output()).await.expect("it ends").expect("it runs")
}

fn json(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(text.trim())
        .unwrap_or_else(|cause| panic!("{cause} in {text}{}", String::from_utf8_lossy(&output.stderr)))
}

#[tokio::test]
async fn a_pushed_line_arrives_on_a_device_in_the_terminal_over_every_transport() {
    let server = Server::start().await;
    for transport in ["tcp", "tls", "ws", "ws-text"] {
        let name = format!("terminal-{transport}");
        let args = [
            "device",
            "--json",
            "--device-id",
            &name,
            "--user",
            "ann",
            "--transport",
            transport,
            "--count",
            "1",
        ];
        let mut device = carillon(&server, &args).stdout(Stdio::piped()).spawn().expect("it runs");
        let mut lines = BufReader::new(device.stdout.take().expect("piped")).lines();

        let pushed = run(
            &server,
            &["push", "--json", "--user", "ann", "--title", "Hi", "--body", transport, "--data", "{\"n\":1}"],
        )
        .await;
        assert!(pushed.status.success(), "{}", String::from_utf8_lossy(&pushed.stderr));

        let line = tokio::time::timeout(PATIENCE, lines.next_line())
            .await
            .expect("in time")
            .expect("read")
            .expect("a line");
        let message: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(message["message_id"], json(&pushed)["message_id"]);
        assert_eq!((&message["title"], &message["body"]), (&"Hi".into(), &transport.into()));
        assert_eq!((&message["data"]["n"], &message["lane"]), (&1.into(), &"normal".into()));
        assert!(message["sent_at"].is_u64() || message["sent_at"].is_string());
        assert!(device.wait().await.expect("it ends").success(), "--count 1 ends it");
    }
}

#[tokio::test]
async fn a_device_without_acks_leaves_the_message_pending_and_its_credential_is_reused() {
    let server = Server::start().await;
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("phone.json");
    let file = file.to_str().expect("UTF-8");
    Phone::register(&server, "other").await;
    let args = ["device", "--json", "--credential", file, "--device-id", "phone", "--count", "1"];
    let mut first = carillon(&server, &[&args[..], &["--no-ack"]].concat())
        .stdout(Stdio::null())
        .spawn()
        .expect("it runs");
    crate::harness::until("the device is there", || async {
        (server.app().get("/v1/devices/phone").await.status == 200).then_some(())
    })
    .await;
    let id = server.app().push_to_device("phone", "twice").await;
    assert!(first.wait().await.expect("it ends").success());
    server.app().message_is(&id, "phone", "pending").await;

    let again = run(&server, &args).await;
    assert_eq!(json(&again)["message_id"], id.as_str());
    server.app().message_is(&id, "phone", "delivered").await;
}

#[tokio::test]
async fn exit_codes_say_what_went_wrong() {
    let server = Server::start().await;
    for (args, code) in [
        (&["push", "--device", "nobody", "--title", "x"][..], 4),
        (&["push", "--title", "x"][..], 2),
        (&["device", "--count", "1", "--timeout", "1s"][..], 1),
        (&["curl", "GET", "/v1/devices"][..], 0),
        (&["stats", "--json"][..], 0),
        (&["key", "list", "--json"][..], 0),
    ] {
        let output = run(&server, args).await;
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[tokio::test]
async fn serve_refuses_what_is_not_safe_each_in_a_sentence() {
    use std::os::unix::fs::PermissionsExt;

    let server = Server::start().await;
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).expect("permissions");
    let file = dir.path().join("carillon.toml");
    std::fs::write(&file, format!("[http]\nlisten = \"0.0.0.0:0\"\n[store]\ndir = {:?}\n", dir.path()))
        .expect("written");
    let output = run(&server, &["serve", "--config", file.to_str().expect("UTF-8")]).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(64), "{said}");
    assert!(said.contains("TLS") && said.contains("--behind-proxy"), "{said}");
    assert!(said.contains("others can read"), "{said}");

    std::fs::write(&file, "[http]\nlisten = 7\nlissten = \"x\"\n[limits]\nttl_max = \"soon\"\n")
        .expect("written");
    let output = run(&server, &["config", "check", file.to_str().expect("UTF-8")]).await;
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(64), "{said}");
    for mistake in ["http.listen", "lissten", "limits.ttl_max"] {
        assert!(said.contains(mistake), "all mistakes at once: {said}");
    }
}

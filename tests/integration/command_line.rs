//! The command line end to end: a push in one terminal, a device in another.

use crate::harness::{Server, run};

#[tokio::test]
async fn a_push_from_the_command_line_reaches_a_device_on_the_command_line() {
    let server = Server::start().await;
    let credential = format!("{}/credential.json", server.ready.data);
    let args = [
        "device",
        "--credential",
        &credential,
        "--device-id",
        "terminal",
        "--user",
        "ann",
        "--count",
        "2",
        "--timeout",
        "25s",
        "--json",
    ];
    let receiving = run(&server, &args);
    let sending = async {
        // To a user, so that it waits for the device to bind, whenever that is.
        let sent =
            run(&server, &["push", "--user", "ann", "--title", "one", "--body", "first", "--json"]).await;
        assert_eq!(sent.code, Some(0), "{sent:?}");
        let answer = &sent.json()[0];
        assert_eq!(answer["accepted"], 1);
        let data = r#"{"n":2}"#;
        let sent =
            run(&server, &["push", "--user", "ann", "--title", "two", "--data", data, "--lane", "high"])
                .await;
        assert_eq!(sent.code, Some(0), "{sent:?}");
    };
    let (received, ()) = tokio::join!(receiving, sending);
    assert_eq!(received.code, Some(0), "{received:?}");
    let mut messages = received.json();
    messages.sort_by_key(|message| message["title"].as_str().map(str::to_owned));
    assert_eq!(messages.len(), 2);
    assert_eq!((&messages[0]["title"], &messages[0]["body"]), (&"one".into(), &"first".into()));
    assert_eq!(messages[1]["data"]["n"], 2);
    assert_eq!(messages[1]["lane"], "high");
    for message in messages {
        assert!(message["message_id"].is_string() && message["sent_at"].is_u64(), "{message}");
    }
}

#[tokio::test]
async fn a_device_reuses_its_credential_file_on_every_transport() {
    let server = Server::start().await;
    let credential = format!("{}/credential.json", server.ready.data);
    for transport in ["tcp", "tls", "ws"] {
        let args = [
            "device",
            "--credential",
            &credential,
            "--device-id",
            "terminal",
            "--user",
            "ann",
            "--transport",
            transport,
            "--count",
            "1",
            "--timeout",
            "25s",
            "--json",
        ];
        let receiving = run(&server, &args);
        let args = ["push", "--user", "ann", "--title", transport, "--ttl", "60s"];
        let sending = run(&server, &args);
        let (received, sent) = tokio::join!(receiving, sending);
        assert_eq!(sent.code, Some(0), "{sent:?}");
        assert_eq!(received.code, Some(0), "{transport}: {received:?}");
        assert_eq!(received.json()[0]["title"], transport);
    }
    assert_eq!(server.app().api.devices(None).await.unwrap().devices.len(), 1);
}

#[tokio::test]
async fn a_device_that_does_not_ack_leaves_its_message_pending() {
    let server = Server::start().await;
    let app = server.app();
    let args = [
        "device",
        "--device-id",
        "terminal",
        "--user",
        "ann",
        "--count",
        "1",
        "--timeout",
        "25s",
        "--no-ack",
        "--json",
    ];
    let (received, id) = tokio::join!(run(&server, &args), app.push(crate::harness::to_user("ann"), "kept"));
    assert_eq!(received.code, Some(0), "{received:?}");
    assert_eq!(app.message(id).await.counts.get("pending"), Some(&1));
}

#[tokio::test]
async fn curl_signs_and_prints_what_the_api_answered() {
    let server = Server::start().await;
    server.app().register("d").await;
    let output = run(&server, &["curl", "GET", "/v1/devices"]).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(output.out.contains("\"device_id\""), "{output:?}");
}

#[tokio::test]
async fn statistics_are_read_from_the_command_line() {
    let server = Server::start().await;
    let app = server.app();
    app.push(crate::harness::to_user("ann"), "hello").await;
    let output = run(&server, &["stats", "--json"]).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(output.out.contains("\"accepted\":1") || output.out.contains("\"accepted\": 1"), "{output:?}");
}

#[tokio::test]
async fn exit_codes_say_what_went_wrong() {
    let mut server = Server::start().await;
    for (args, code) in [
        (&["push", "--device", "nobody", "--title", "x"][..], 4),
        (&["push", "--title", "x"][..], 2),
        (&["device", "--count", "1", "--timeout", "1s"][..], 1),
        (&["curl", "GET", "/v1/devices"][..], 0),
        (&["stats", "--json"][..], 0),
        (&["key", "list", "--json"][..], 0),
        (&["version", "--json"][..], 0),
    ] {
        let output = run(&server, args).await;
        assert_eq!(output.code, Some(code), "{args:?}: {output:?}");
        assert_eq!(output.err.is_empty(), code == 0, "{args:?} must say why, and only then: {output:?}");
    }
    server.kill();
    let output = run(&server, &["push", "--user", "ann", "--title", "hello"]).await;
    assert_eq!(output.code, Some(75), "{output:?}");
}

#[tokio::test]
async fn serve_refuses_what_is_not_safe_each_in_a_sentence() {
    use std::os::unix::fs::PermissionsExt;
    let server = Server::start().await;
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let file = dir.path().join("carillon.toml");
    let file = file.to_str().unwrap();
    std::fs::write(file, format!("[http]\nlisten = \"0.0.0.0:0\"\n[store]\ndir = {:?}\n", dir.path()))
        .unwrap();
    let output = run(&server, &["serve", "--config", file]).await;
    assert_eq!(output.code, Some(64), "{output:?}");
    for word in ["TLS", "--behind-proxy", "others can read"] {
        assert!(output.err.contains(word), "{word}: {output:?}");
    }
}

#[tokio::test]
async fn every_mistake_of_a_configuration_is_reported_at_once() {
    let server = Server::start().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("carillon.toml");
    let file = file.to_str().unwrap();
    std::fs::write(file, "[http]\nlisten = 7\nlissten = \"x\"\n[limits]\nttl_max = \"soon\"\n").unwrap();
    let output = run(&server, &["config", "check", file]).await;
    assert_eq!(output.code, Some(64), "{output:?}");
    for mistake in ["http.listen", "lissten", "limits.ttl_max"] {
        assert!(output.err.contains(mistake) || output.out.contains(mistake), "{mistake}: {output:?}");
    }
}

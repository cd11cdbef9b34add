//! The same from the command line.

use crate::harness::{Phone, Server, run};

/// A command that must succeed, and its one line of JSON.
async fn json(server: &Server, args: &[&str]) -> serde_json::Value {
    let output = run(server, args).await;
    assert_eq!(output.code, Some(0), "{args:?}: {output:?}");
    output.json().remove(0)
}

#[tokio::test]
async fn an_owner_works_from_the_command_line() {
    let server = Server::start().await;
    let create = ["template", "create", "hello", "--title", "Hi #name#", "--body", "x", "--json"];
    let made = json(&server, &create).await;
    assert_eq!(made["variables"][0], "name");
    let etag = made["etag"].as_str().unwrap();
    let update = ["template", "update", "hello", "--title", "Dear #name#", "--if-match", etag, "--json"];
    assert_eq!(json(&server, &update).await["version"], 2);
    assert_eq!(run(&server, &update).await.code, Some(3), "another revision is there by now");
    assert_eq!(json(&server, &["template", "list", "--json"]).await["templates"][0]["name"], "hello");
    assert_eq!(json(&server, &["template", "get", "hello"]).await["title"], "Dear #name#");
    let preview = ["template", "preview", "hello", "--value", "name=Ann", "--json"];
    assert_eq!(json(&server, &preview).await["title"], "Dear Ann");

    let mut phone = Phone::new(&server, &server.app(), "d").await;
    let push = ["push", "--device", "d", "--template", "hello", "--value", "name=Ben", "--json"];
    assert_eq!(json(&server, &push).await["accepted"], 1);
    phone.receive("Dear Ben").await;
    let file = format!("{}/batch.json", server.ready.data);
    let batch = r#"{"template":"hello","entries":[{"device":"d","values":{"name":"Cy"}}]}"#;
    std::fs::write(&file, batch).unwrap();
    assert_eq!(json(&server, &["batch", &file, "--json"]).await["accepted"], 1);
    phone.receive("Dear Cy").await;
    assert_eq!(run(&server, &["template", "delete", "hello"]).await.code, Some(0));

    let set = ["settings", "set", "--time-zone", "Europe/Berlin", "--push-api", "false", "--json"];
    assert_eq!(json(&server, &set).await["push_api"]["enabled"], false);
    assert_eq!(json(&server, &["settings", "set", "--push-api", "true", "--json"]).await["version"], 2);
    assert_eq!(json(&server, &["settings", "get", "--json"]).await["time_zone"], "Europe/Berlin");
    let key = run(&server, &["settings", "callback-key"]).await;
    assert!(key.out.starts_with("-----BEGIN PUBLIC KEY-----"), "{key:?}");

    let made = json(&server, &["key", "create", "--name", "ci", "--expires-in", "1h", "--json"]).await;
    let id = made["key_id"].as_str().unwrap();
    let held = ["key", "update", id, "--allow", "10.0.0.0/8,::1", "--json"];
    assert_eq!(json(&server, &held).await["allow"][1], "::1/128");
    assert_ne!(json(&server, &["key", "rotate", id, "--overlap", "0s", "--json"]).await["key_id"], id);
    assert!(run(&server, &["key", "list"]).await.out.contains("10.0.0.0/8"));
    let log = run(&server, &["audit", "--json"]).await.json();
    assert_eq!(log.len(), 9, "{log:?}");
}

#[tokio::test]
async fn an_operator_works_from_the_command_line() {
    let server = Server::start().await;
    let file = format!("{}/operator.key", server.ready.data);
    let operator = |args: &[&str]| {
        let mut args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        args.extend(["--operator-key-file".to_owned(), file.clone(), "--json".to_owned()]);
        args
    };
    let ask = async |args: &[&str]| {
        let args = operator(args);
        json(&server, &args.iter().map(String::as_str).collect::<Vec<_>>()).await
    };
    let app = server.ready.app_id.as_str();
    let workspace = ["--workspace-id", server.ready.workspace_id.as_str()];
    let with = |args: &[&'static str]| [args, &[app], &workspace].concat();
    assert_eq!(ask(&with(&["app", "get"])).await["enabled"], true);
    let renamed = [&with(&["app", "rename"])[..], &["--name", "Shop"]].concat();
    assert_eq!(ask(&renamed).await["name"], "Shop");
    assert_eq!(ask(&with(&["app", "disable"])).await["enabled"], false);
    assert_eq!(run(&server, &["settings", "get"]).await.code, Some(3));
    assert_eq!(ask(&with(&["app", "enable"])).await["enabled"], true);
    assert!(ask(&with(&["app", "rotate-client-key"])).await["client_key"].is_string());
    assert_eq!(ask(&["app", "list", app]).await["apps"][0]["name"], "Shop");
}

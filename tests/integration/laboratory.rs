//! The laboratory as a program: `carillon lab`.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::harness::within;

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn the_laboratory_says_where_ten_vendors_listen_is_steered_and_stops_when_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_carillon"));
    command.args(["lab", "--json", "--out"]).arg(dir.path().join("lab"));
    let mut running = Running(command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap());
    let mut out = BufReader::new(running.0.stdout.take().unwrap());
    let line = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        line
    });
    let ready: Value = serde_json::from_str(&within("the laboratory", line).await.unwrap()).unwrap();
    assert_eq!(ready["vendors"].as_array().unwrap().len(), 10);

    let credential = dir.path().join("lab/apns.credential.json");
    assert_eq!(credential.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let kept: Value = serde_json::from_str(&std::fs::read_to_string(credential).unwrap()).unwrap();
    assert_eq!(kept, ready["vendors"][0]["credential"]);

    let control = ready["control"].as_str().unwrap();
    carillon::cli::install_crypto();
    let client = reqwest::Client::new();
    let order = json!({"vendor": "vivo", "condition": "down"});
    let done = client.post(format!("{control}/conditions")).json(&order).send().await.unwrap();
    assert_eq!(done.status(), 200);
    let seen = client.get(format!("{control}/captures?vendor=vivo")).send().await.unwrap();
    assert_eq!(seen.json::<Value>().await.unwrap()["requests"], json!([]));

    let told = Command::new("sh").arg("-c").arg(format!("kill -TERM {}", running.0.id())).status();
    assert!(told.unwrap().success());
    let ended = tokio::task::spawn_blocking(move || running.0.wait().unwrap());
    assert!(within("its end", ended).await.unwrap().success());
}

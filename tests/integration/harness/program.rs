//! Client commands of the binary.

use std::process::{Command, Stdio};

use super::{Server, within};

#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Output {
    /// Each line of standard output as JSON.
    pub(crate) fn json(&self) -> Vec<serde_json::Value> {
        let read = |line: &str| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line} {self:?}"))
        };
        self.out.lines().map(read).collect()
    }
}

/// Runs `carillon ARGS` with the server and its demo key in the environment.
pub(crate) async fn run(server: &Server, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_carillon"));
    command
        .args(args)
        .env("CARILLON_SERVER", &server.ready.http)
        .env("CARILLON_APP_ID", &server.ready.app_id)
        .env("CARILLON_KEY_ID", &server.ready.key_id)
        .env("CARILLON_KEY_SECRET", &server.ready.key_secret)
        .stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    let output = within("a command", output).await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Output { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

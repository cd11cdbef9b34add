//! Client commands of the binary, and the Pythons that speak to it with other people's packages.

use std::path::Path;
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

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The Python that has these packages, made at the first time. What cannot be had fails the test.
pub(crate) fn python(requirements: &str) -> String {
    let made = Command::new(root().join("tests/venv"))
        .arg(root().join(requirements))
        .current_dir(root())
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    String::from_utf8(made.stdout).unwrap().trim().to_owned()
}

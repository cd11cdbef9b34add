//! The server under test: the built binary, in a process of its own.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::{App, PATIENCE, Phone};

/// The line `carillon dev --json` prints when it is ready.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ready {
    pub(crate) ready: bool,
    pub(crate) http: String,
    pub(crate) devices_tcp: String,
    pub(crate) devices_tls: String,
    pub(crate) devices_ws: String,
    pub(crate) operations: String,
    pub(crate) app_id: String,
    pub(crate) workspace_id: String,
    pub(crate) key_id: String,
    pub(crate) key_secret: String,
    pub(crate) pid: u32,
    pub(crate) data: PathBuf,
}

pub(crate) struct Server {
    child: Child,
    pub(crate) ready: Ready,
    data: tempfile::TempDir,
    env: Vec<(String, String)>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With settings, as environment variables: `("CARILLON_LIMITS_PENDING_MAX", "3")`.
    pub(crate) async fn start_with(env: &[(&str, &str)]) -> Self {
        let data = tempfile::tempdir().expect("a temporary directory");
        let env: Vec<_> = env.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let (child, ready) = spawn(data.path(), &env).await;
        Self { child, ready, data, env }
    }

    pub(crate) fn app(&self) -> App {
        App::new(&self.ready)
    }

    /// Registers a device and connects it.
    pub(crate) async fn phone(&self, device_id: &str) -> Phone {
        Phone::register(self, device_id).await.connected(self).await
    }

    /// SIGKILL: no flush, no goodbye.
    pub(crate) async fn kill(&mut self) {
        self.child.start_kill().expect("the server runs");
        self.child.wait().await.expect("the server can be waited for");
    }

    /// Starts a new process on the same data.
    pub(crate) async fn start_again(&mut self) {
        let (child, ready) = spawn(self.data.path(), &self.env).await;
        self.child = child;
        self.ready = ready;
    }

    pub(crate) async fn crash_and_restart(&mut self) {
        self.kill().await;
        self.start_again().await;
    }

    /// SIGTERM, and the exit code that follows.
    pub(crate) async fn terminate(&mut self) -> Option<i32> {
        let pid = self.ready.pid.to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status().await.expect("kill(1) is there");
        assert!(sent.success(), "the server runs");
        self.exit_code().await
    }

    /// Waits for the process to end by itself.
    pub(crate) async fn exit_code(&mut self) -> Option<i32> {
        tokio::time::timeout(PATIENCE, self.child.wait())
            .await
            .expect("the server ends")
            .expect("the server can be waited for")
            .code()
    }

    /// What the operations listener says: status and text.
    pub(crate) async fn operations(&self, method: reqwest::Method, path: &str) -> (u16, String) {
        let url = format!("{}{path}", self.ready.operations);
        let answer = reqwest::Client::new()
            .request(method, url)
            .send()
            .await
            .expect("the operations listener answers");
        (answer.status().as_u16(), answer.text().await.expect("a text"))
    }

    /// Makes one actor of that kind panic.
    pub(crate) async fn panic(&self, kind: &str) {
        let (status, text) = self.operations(reqwest::Method::POST, &format!("/dev/panic?kind={kind}")).await;
        assert!(status < 300, "panic in {kind}: {status} {text}");
    }

    /// The value of a metric's series, 0 when it has none yet.
    pub(crate) async fn metric(&self, series: &str) -> f64 {
        let (_, text) = self.operations(reqwest::Method::GET, "/metrics").await;
        text.lines()
            .filter_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.trim().parse::<f64>().ok())
            .sum()
    }
}

async fn spawn(data: &Path, env: &[(String, String)]) -> (Child, Ready) {
    // The HTTP client of the tests wants one too.
    carillon::cli::install_crypto();
    let mut child = Command::new(env!("CARGO_BIN_EXE_carillon"))
        .args(["dev", "--json", "--ephemeral-ports", "--no-samples", "--data"])
        .arg(data)
        .envs(env.iter().map(|(key, value)| (key, value)))
        .env("CARILLON_LOG_LEVEL", std::env::var("CARILLON_LOG_LEVEL").unwrap_or_else(|_| "error".into()))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the server starts");
    let mut lines = BufReader::new(child.stdout.take().expect("its output is piped")).lines();
    let line = tokio::time::timeout(PATIENCE, lines.next_line())
        .await
        .expect("the server gets ready")
        .expect("its output can be read")
        .expect("the server says that it is ready");
    let ready: Ready = serde_json::from_str(&line).unwrap_or_else(|cause| panic!("{cause} in {line}"));
    assert!(ready.ready);
    (child, ready)
}

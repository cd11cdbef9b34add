//! The real binary, on a data directory of its own.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};

use carillon_sdk::KeyId;
use carillon_sdk::api::{AppCreated, CreateApp};
use carillon_sdk::client::{AppServer, Trust};
use serde::Deserialize;
use tempfile::{NamedTempFile, TempDir};

use super::{App, within};

/// The line of `carillon dev --json`: these members and no others.
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
    pub(crate) data: String,
}

pub(crate) struct Server {
    pub(crate) ready: Ready,
    /// The ready line as it was printed.
    pub(crate) line: String,
    child: Child,
    data: TempDir,
    settings: Vec<(String, String)>,
    /// With the sample devices and the simulated vendors of a first evening.
    samples: bool,
    /// Where all that it logs goes, when a test wants to read it.
    log: Option<NamedTempFile>,
}

impl Server {
    /// A fresh server with the settings of `carillon dev`.
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// A fresh server of whose log, at its most talkative, nothing is lost.
    pub(crate) async fn start_logging() -> Self {
        Self::begin(&[], false, Some(NamedTempFile::new().unwrap())).await
    }

    /// All that it logged so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log.as_ref().unwrap().path()).unwrap()
    }

    /// The same with environment variables, such as `("CARILLON_LIMITS_ACK_TIMEOUT", "300ms")`.
    pub(crate) async fn start_with(settings: &[(&str, &str)]) -> Self {
        Self::begin(settings, false, None).await
    }

    /// What a newcomer starts: with sample devices, and ten vendors simulated.
    pub(crate) async fn start_with_samples() -> Self {
        Self::begin(&[], true, None).await
    }

    async fn begin(settings: &[(&str, &str)], samples: bool, log: Option<NamedTempFile>) -> Self {
        let data = TempDir::with_prefix("carillon-test-").unwrap();
        let settings: Vec<_> =
            settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let (child, line) = launch(&data, &settings, samples, log.as_ref()).await;
        let ready =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in the ready line {line}"));
        Self { ready, line, child, data, settings, samples, log }
    }

    /// The demo app with its key.
    pub(crate) fn app(&self) -> App {
        App::new(self, &self.ready.key_id, &self.ready.key_secret)
    }

    /// Another tenant, made with the operator's key.
    pub(crate) async fn another_app(&self, app_id: &str) -> App {
        let operator = self.operator();
        let request = CreateApp {
            app_id: app_id.parse().unwrap(),
            workspace_id: "default".parse().unwrap(),
            name: None,
        };
        let AppCreated { key, .. } = operator.create_app(&request).await.unwrap();
        App::new(self, key.key.key_id.as_str(), &key.secret).named(app_id)
    }

    pub(crate) fn operator(&self) -> AppServer {
        let kept = std::fs::read_to_string(self.data.path().join("operator.key")).unwrap();
        let (key_id, secret) = kept.trim().split_once(' ').unwrap();
        AppServer::new(&self.ready.http, KeyId::parse(key_id).unwrap(), secret, &Trust::Web).unwrap()
    }

    /// SIGKILL: what is in memory is gone.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts again on the same data, on other ports. It must have ended before.
    pub(crate) async fn start_again(&mut self) {
        let (child, line) = launch(&self.data, &self.settings, self.samples, self.log.as_ref()).await;
        self.ready = serde_json::from_str(&line).unwrap();
        self.line = line;
        self.child = child;
    }

    /// SIGKILL and start again.
    pub(crate) async fn crash(&mut self) {
        self.kill();
        self.start_again().await;
    }

    /// SIGTERM; the server goes on draining.
    pub(crate) fn terminate(&self) {
        let status =
            Command::new("sh").arg("-c").arg(format!("kill -TERM {}", self.child.id())).status().unwrap();
        assert!(status.success(), "send SIGTERM");
    }

    /// How the process ended by itself.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        super::eventually("the server to end", async || self.exit_status()).await
    }

    /// None while it lives.
    pub(crate) fn exit_status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// `host:port` of the operations listener.
    pub(crate) fn operations(&self) -> &str {
        self.ready.operations.strip_prefix("http://").unwrap()
    }

    /// `host:port` of the API.
    pub(crate) fn http(&self) -> &str {
        self.ready.http.strip_prefix("http://").unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn launch(
    data: &TempDir,
    settings: &[(String, String)],
    samples: bool,
    log: Option<&NamedTempFile>,
) -> (Child, String) {
    let level = std::env::var("TEST_LOG").unwrap_or_else(|_| "error".to_owned());
    let (level, errors) = match log {
        Some(log) => ("trace".to_owned(), Stdio::from(log.reopen().unwrap())),
        None => (level, Stdio::inherit()),
    };
    let mut child = Command::new(env!("CARGO_BIN_EXE_carillon"))
        .args(["dev", "--json", "--ephemeral-ports", "--data"])
        .arg(data.path())
        .args((!samples).then_some("--no-samples"))
        .envs(settings.iter().map(|(name, value)| (name, value)))
        .env("CARILLON_LOG_LEVEL", level)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(errors)
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let read = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        // Anything more would break the promise of exactly one line.
        (line, out)
    });
    let (line, mut out) = within("the server to become ready", read).await.unwrap();
    assert!(line.starts_with('{'), "the server did not become ready: {:?} {line:?}", child.try_wait());
    std::thread::spawn(move || {
        let mut more = String::new();
        while out.read_line(&mut more).is_ok_and(|count| count > 0) {
            eprintln!("the server printed more than its line: {more}");
            more.clear();
        }
    });
    (child, line)
}

//! The server under measurement: started here, attached to, or the bare floor.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use carillon_sdk::KeyId;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::http::Signer;
use crate::process::Process;

/// A store with a million messages is read within this, or not at all.
const READY_WITHIN: Duration = Duration::from_secs(120);

/// The line `carillon dev --json` prints when it is ready.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Ready {
    pub(crate) http: String,
    pub(crate) devices_tcp: String,
    #[serde(default)]
    pub(crate) devices_tls: Option<String>,
    pub(crate) key_id: KeyId,
    pub(crate) key_secret: String,
    pub(crate) pid: u32,
    #[serde(default)]
    pub(crate) data: Option<PathBuf>,
}

/// How to start one.
#[derive(Debug, Clone)]
pub(crate) enum Launch {
    /// `carillon dev` from this file, on this directory (a fresh temporary one when absent).
    Binary { path: PathBuf, data: Option<PathBuf>, pin: Option<String> },
    /// One that runs already: its ready line.
    Attach(Box<Ready>),
    /// The bare sender and receiver.
    Floor { durable: bool },
}

pub(crate) struct Server {
    pub(crate) ready: Ready,
    pub(crate) is_floor: bool,
    /// None when attached to.
    child: Option<Child>,
}

impl Server {
    pub(crate) async fn launch(launch: &Launch) -> Result<Self> {
        let mut command = match launch {
            Launch::Attach(ready) => {
                return Ok(Self { ready: (**ready).clone(), is_floor: false, child: None });
            }
            Launch::Binary { path, data, pin } => carillon(path, data.as_ref(), pin.as_deref()),
            Launch::Floor { durable } => {
                let mut command = Command::new(std::env::current_exe()?);
                command.arg("floor-server").args(durable.then_some("--durable"));
                command
            }
        };
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start {:?}", command.as_std()))?;
        let out = child.stdout.take().context("the server has a standard output")?;
        let mut lines = BufReader::new(out).lines();
        let line = tokio::time::timeout(READY_WITHIN, lines.next_line())
            .await
            .context("the server did not become ready")??
            .context("the server ended before it was ready; its words are above")?;
        let ready: Ready =
            serde_json::from_str(&line).with_context(|| format!("read the ready line {line}"))?;
        // Later lines are nobody's; the pipe must not fill up.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self { ready, is_floor: matches!(launch, Launch::Floor { .. }), child: Some(child) })
    }

    pub(crate) fn process(&self) -> Process {
        Process { pid: self.ready.pid }
    }

    /// `host:port` of the HTTP API.
    pub(crate) fn http(&self) -> &str {
        self.ready.http.trim_start_matches("http://")
    }

    pub(crate) fn signer(&self) -> Signer {
        Signer { key_id: self.ready.key_id.clone(), secret: self.ready.key_secret.clone() }
    }

    /// SIGKILL, and waits until it is gone.
    pub(crate) async fn kill(&mut self) -> Result<()> {
        match &mut self.child {
            Some(child) => child.kill().await.context("kill the server"),
            None => bail!("this scenario kills the server: it must be started here, with --server-bin"),
        }
    }
}

fn carillon(path: &PathBuf, data: Option<&PathBuf>, pin: Option<&str>) -> Command {
    let mut command = match pin {
        None => Command::new(path),
        Some(cores) => {
            let mut command = Command::new("taskset");
            command.args(["-c", cores]).arg(path);
            command
        }
    };
    command.args(["dev", "--json", "--ephemeral-ports", "--no-samples"]);
    if let Some(data) = data {
        command.arg("--data").arg(data);
    }
    command
}

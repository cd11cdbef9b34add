//! The ten vendors: `carillon lab` as a process of its own, steered over its control surface.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use carillon_sdk::api::vendors::WriteVendor;
use carillon_sdk::{Timestamp, Vendor};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::process::Process;

/// Its RSA keys are made at the start.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// What it tells of one vendor is read within this.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// Subscriptions asked for at once: their names have to fit in a request's head.
const SUBSCRIPTIONS_AT_ONCE: usize = 200;

/// The line that `carillon lab --json` prints.
#[derive(Debug, Deserialize)]
struct Ready {
    control: String,
    ca_pem: String,
    vendors: Vec<Listening>,
    pid: u32,
}

#[derive(Debug, Deserialize)]
struct Listening {
    vendor: Vendor,
    credential: Value,
    settings: Value,
    hosts: std::collections::BTreeMap<String, String>,
}

/// Ends when it is dropped.
pub(crate) struct Lab {
    ready: Ready,
    _child: Child,
}

/// A notification that a vendor took.
#[derive(Debug, Deserialize)]
pub(crate) struct Taken {
    pub(crate) at: Timestamp,
    pub(crate) token: String,
}

#[derive(Deserialize)]
struct AllTaken {
    taken: Vec<Taken>,
}

#[derive(Deserialize)]
struct Subscriptions {
    subscriptions: Vec<Value>,
}

impl Lab {
    pub(crate) async fn start(program: &Path) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(["lab", "--json"]).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("start {:?}", command.as_std()))?;
        let out = child.stdout.take().context("the laboratory has a standard output")?;
        let mut lines = BufReader::new(out).lines();
        let line = tokio::time::timeout(READY_WITHIN, lines.next_line())
            .await
            .context("the laboratory did not become ready")??
            .context("the laboratory ended before it was ready; its words are above")?;
        let ready = serde_json::from_str(&line).context("read the laboratory's ready line")?;
        Ok(Self { ready, _child: child })
    }

    pub(crate) fn process(&self) -> Process {
        Process { pid: self.ready.pid }
    }

    /// What an app's owner would write to be carried by the vendor simulated here.
    pub(crate) fn setup(&self, vendor: Vendor) -> Result<WriteVendor> {
        let of = |listening: &&Listening| listening.vendor == vendor;
        let listening = self.ready.vendors.iter().find(of).context("all ten listen")?;
        Ok(WriteVendor {
            credential: Some(listening.credential.clone()),
            settings: listening.settings.clone(),
            hosts: listening.hosts.clone(),
            ca_pem: Some(self.ready.ca_pem.clone()),
            ..WriteVendor::default()
        })
    }

    pub(crate) async fn set_condition(&self, vendor: Vendor, condition: &str) -> Result<()> {
        self.order("/conditions", &json!({"vendor": vendor, "condition": condition})).await
    }

    /// As one says it in the vendor's console.
    pub(crate) async fn set_receipts_url(&self, vendor: Vendor, url: &str) -> Result<()> {
        self.order("/receipts", &json!({"vendor": vendor, "url": url})).await
    }

    /// Receipts in one post, at most, and how long the first of them waits for company.
    pub(crate) async fn set_receipts(&self, batch: usize, delay: Duration) -> Result<()> {
        self.order("/receipts", &json!({"batch": batch, "delay_ms": delay.as_millis()})).await
    }

    pub(crate) async fn taken(&self, vendor: Vendor) -> Result<Vec<Taken>> {
        Ok(self.ask::<AllTaken>("GET", &format!("/taken?vendor={vendor}"), "").await?.taken)
    }

    /// What a browser would give the app, for each name.
    pub(crate) async fn subscriptions(&self, names: &[String]) -> Result<Vec<String>> {
        let mut made = Vec::with_capacity(names.len());
        for names in names.chunks(SUBSCRIPTIONS_AT_ONCE) {
            let query: Vec<String> = names.iter().map(|name| format!("token={name}")).collect();
            let path = format!("/subscriptions?{}", query.join("&"));
            let told: Subscriptions = self.ask("GET", &path, "").await?;
            made.extend(told.subscriptions.iter().map(Value::to_string));
        }
        Ok(made)
    }

    async fn order(&self, path: &str, body: &Value) -> Result<()> {
        self.ask::<Value>("POST", path, &body.to_string()).await.map(drop)
    }

    async fn ask<T: DeserializeOwned>(&self, method: &str, path: &str, body: &str) -> Result<T> {
        let host = self.ready.control.trim_start_matches("http://");
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let asked = async {
            let mut stream = TcpStream::connect(host).await?;
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(body.as_bytes()).await?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await?;
            Ok::<_, std::io::Error>(answer)
        };
        let answer =
            tokio::time::timeout(ANSWER_WITHIN, asked).await.context("the laboratory is silent")??;
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").context("an answer with a head")?;
        let (head, body) = (String::from_utf8_lossy(&answer[..end]), &answer[end + 4..]);
        ensure!(
            head.starts_with("HTTP/1.1 200"),
            "{method} {path}: {head} {}",
            String::from_utf8_lossy(body)
        );
        serde_json::from_slice(body).with_context(|| format!("read the answer to {method} {path}"))
    }
}

//! `carillon device`: a device in the terminal, which prints each message that arrives; and what is
//! known of other devices.

mod tokens;
mod watch;

use std::path::{Path, PathBuf};
use std::time::Duration;

use carillon_sdk::api::{DeviceAddresses, DeviceRegistered, Platform, RegisterDevice};
use carillon_sdk::client::device::{Acks, Error};
use carillon_sdk::client::{Address, DeviceClient, Options, Trust};
use carillon_sdk::wire::{GoodbyeReason, Push};
use carillon_sdk::{DeviceId, Ttl, UserId};
use clap::{Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};

use super::exit::{Code, Failure};
use super::out;
use super::server::{ServerArgs, Span, failure};
use crate::data_dir::write_secret;

/// How long the token lives that binds `--user`: it is used at once.
const TOKEN_TTL: Ttl = Ttl::from_secs(300);

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    being: Being,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// What becomes of a device's messages, as it happens
    Watch(watch::Args),
    /// The tokens phone makers' channels call a device by, and what was done to them
    Tokens(tokens::Show),
    /// Take in the tokens of a file
    Import(tokens::Import),
    /// Every token there is
    Export(tokens::Export),
}

/// How to be a device.
#[derive(Debug, clap::Args)]
struct Being {
    #[command(flatten)]
    server: ServerArgs,
    /// Register with the app's publishable client key instead of an API key
    #[arg(long, env = "CARILLON_CLIENT_KEY", value_name = "KEY")]
    client_key: Option<String>,
    /// Read the device's credential here; registers and writes it when there is no such file
    #[arg(long, value_name = "FILE")]
    credential: Option<PathBuf>,
    /// Name of the device when it registers; the server makes one when absent
    #[arg(long, value_name = "DEVICE")]
    device_id: Option<DeviceId>,
    /// Log this user in on the device
    #[arg(long, value_name = "USER")]
    user: Option<UserId>,
    /// How to connect; the best the server offers when absent
    #[arg(long, value_enum)]
    transport: Option<Transport>,
    /// End after so many messages
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// End after this span; with --count it is a failure if fewer came
    #[arg(long, value_name = "SPAN")]
    timeout: Option<Span>,
    /// Never say that a message arrived: it stays pending
    #[arg(long)]
    no_ack: bool,
    /// One JSON object a message
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Transport {
    Tcp,
    Tls,
    /// WebSocket, binary messages
    Ws,
    /// WebSocket, JSON in text messages
    WsText,
}

/// What a device must keep between two runs: the file of `--credential`.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Credential {
    device_id: DeviceId,
    credential: String,
    addresses: DeviceAddresses,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ca_pem: Option<String>,
}

/// A message as `--json` prints it.
#[derive(Debug, Serialize)]
struct Line<'a> {
    message_id: carillon_sdk::MessageId,
    title: Option<&'a str>,
    body: Option<&'a str>,
    data: Option<&'a serde_json::Value>,
    lane: carillon_sdk::wire::Lane,
    sent_at: carillon_sdk::Timestamp,
}

pub async fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Some(Command::Tokens(show)) => show.run().await,
        Some(Command::Import(import)) => import.run().await,
        Some(Command::Export(export)) => export.run().await,
        Some(Command::Watch(args)) => watch::run(args).await,
        None => be(args.being).await,
    }
}

async fn be(args: Being) -> Result<(), Failure> {
    let credential = credential(&args).await?;
    let mut options = Options::new(address(&credential.addresses, args.transport)?, &credential.credential);
    options.trust = match &credential.ca_pem {
        Some(pem) => Trust::Pem(pem.clone()),
        None => args.server.trust()?,
    };
    if args.no_ack {
        options.acks = Acks::Never;
    }
    let client = DeviceClient::connect(options).await.map_err(ended)?;
    if let Some(user) = &args.user {
        let token = args.server.bind_token(credential.device_id.clone(), user.clone(), TOKEN_TTL)?;
        client.bind(token).await.map_err(ended)?;
    }
    out::note(&format!("{} is connected", credential.device_id));
    let printing = print(&client, args.count, args.json);
    let outcome = match args.timeout {
        None => printing.await,
        Some(span) => {
            let limit = Duration::from_millis(span.0.as_millis());
            tokio::time::timeout(limit, printing).await.unwrap_or_else(|_| too_late(&args))
        }
    };
    client.close().await;
    outcome
}

fn too_late(args: &Being) -> Result<(), Failure> {
    match args.count {
        None => Ok(()),
        Some(count) => {
            Err(Failure::new(Code::Failure, format!("fewer than {count} message(s) came in time")))
        }
    }
}

async fn print(client: &DeviceClient, count: Option<u64>, json: bool) -> Result<(), Failure> {
    let mut printed = 0;
    while count.is_none_or(|count| printed < count) {
        let push = client.next_push().await.map_err(ended)?;
        if json {
            out::json(&Line::of(&push))?;
        } else {
            out::line(&text(&push))?;
        }
        printed += 1;
    }
    Ok(())
}

impl<'a> Line<'a> {
    fn of(push: &'a Push) -> Self {
        Self {
            message_id: push.message_id,
            title: push.title.as_deref(),
            body: push.body.as_deref(),
            data: push.data.as_ref(),
            lane: push.lane,
            sent_at: push.sent_at,
        }
    }
}

/// A message on one line. Control characters would let a message write over the terminal.
#[must_use]
pub fn text(push: &Push) -> String {
    let mut parts: Vec<String> = [&push.title, &push.body].into_iter().flatten().cloned().collect();
    if let Some(data) = &push.data {
        parts.push(data.to_string());
    }
    let said: String = parts.join(" · ").chars().map(|c| if c.is_control() { '␣' } else { c }).collect();
    format!("{}  {said}  [{}]", out::time(push.sent_at), push.message_id)
}

/// The one in the file, or a new registration.
async fn credential(args: &Being) -> Result<Credential, Failure> {
    if let Some(path) = &args.credential
        && let Some(credential) = read(path)?
    {
        return Ok(credential);
    }
    let request = RegisterDevice {
        device_id: args.device_id.clone(),
        platform: Platform::Other,
        app_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        ..RegisterDevice::default()
    };
    let registered = match args.client_key.as_deref().filter(|key| !key.is_empty()) {
        Some(key) => {
            let trust = args.server.trust()?;
            carillon_sdk::client::register(&args.server.server, key, &request, &trust)
                .await
                .map_err(failure)?
        }
        None => args.server.connect()?.client.register_device(&request).await.map_err(failure)?,
    };
    let DeviceRegistered { device_id, credential, addresses, ca_pem, .. } = registered;
    let credential = Credential { device_id, credential, addresses, ca_pem };
    if let Some(path) = &args.credential {
        let text = serde_json::to_string_pretty(&credential).map_err(Failure::from_error)?;
        write_secret(path, &format!("{text}\n")).map_err(Failure::from_error)?;
    }
    Ok(credential)
}

fn read(path: &Path) -> Result<Option<Credential>, Failure> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Failure::new(Code::Usage, format!("read {}: {error}", path.display()))),
    };
    let credential = serde_json::from_str(&text).map_err(|error| {
        Failure::new(Code::Usage, format!("{} is no credential file: {error}", path.display()))
    })?;
    Ok(Some(credential))
}

fn address(offered: &DeviceAddresses, transport: Option<Transport>) -> Result<Address, Failure> {
    let web_socket = || offered.ws.as_deref().and_then(|url| url.parse::<Address>().ok());
    let address = match transport {
        None => Address::best(offered),
        Some(Transport::Tcp) => offered.tcp.clone().map(Address::Tcp),
        Some(Transport::Tls) => offered.tls.clone().map(Address::Tls),
        Some(Transport::Ws) => web_socket(),
        Some(Transport::WsText) => web_socket().map(Address::in_text),
    };
    address.ok_or_else(|| Failure::new(Code::Failure, "the server does not offer that transport"))
}

#[expect(clippy::needless_pass_by_value, reason = "map_err gives it so")]
fn ended(error: Error) -> Failure {
    let code = match &error {
        Error::Connection(_) | Error::Timeout | Error::Lost => Code::Temporary,
        Error::Goodbye { reason: GoodbyeReason::Busy | GoodbyeReason::Draining, .. } => Code::Temporary,
        Error::Goodbye { .. } | Error::Refused(_) => Code::Refused,
        _ => Code::Failure,
    };
    Failure::of(code, &error)
}

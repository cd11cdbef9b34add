//! `carillon endpoint`: where an app's receipts go.

use carillon_sdk::Timestamp;
use carillon_sdk::api::endpoints::{
    ChangeEndpoint, CreateEndpoint, EndpointSecret, EndpointView, ReplayEvents, RotateSecret,
};
use carillon_sdk::api::{EventType, SignatureAlgorithm};
use clap::builder::PossibleValuesParser;
use clap::{Subcommand, ValueEnum};

use super::exit::{Code, Failure};
use super::out;
use super::server::{ServerArgs, Span, failure};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// A new one; its secret is shown once
    Add {
        url: String,
        /// Only these; all when absent
        #[arg(long = "event", value_delimiter = ',', value_name = "TYPE",
            value_parser = PossibleValuesParser::new(EventType::ALL.map(EventType::as_str)))]
        events: Vec<String>,
        #[arg(long)]
        description: Option<String>,
        #[arg(long, value_enum, default_value_t)]
        algorithm: AlgorithmArg,
        /// A secret brought along; one is made when absent
        #[arg(long, env = "CARILLON_ENDPOINT_SECRET", hide_env_values = true)]
        secret: Option<String>,
        #[command(flatten)]
        common: Common,
    },
    /// All of the app's
    List {
        #[command(flatten)]
        common: Common,
    },
    /// How one fares
    Show {
        endpoint: String,
        #[command(flatten)]
        common: Common,
    },
    /// Enables, disables or changes one
    Set {
        endpoint: String,
        #[arg(long)]
        url: Option<String>,
        #[arg(long = "event", value_delimiter = ',', value_name = "TYPE",
            value_parser = PossibleValuesParser::new(EventType::ALL.map(EventType::as_str)))]
        events: Option<Vec<String>>,
        #[arg(long)]
        description: Option<String>,
        /// Goes on from where it was
        #[arg(long, conflicts_with = "disable")]
        enable: bool,
        #[arg(long)]
        disable: bool,
        #[command(flatten)]
        common: Common,
    },
    /// Deletes one
    Remove {
        endpoint: String,
        #[command(flatten)]
        common: Common,
    },
    /// A new secret; the old one signs too for a while
    Rotate {
        endpoint: String,
        /// How long; a day when absent
        #[arg(long)]
        overlap: Option<Span>,
        #[arg(long, env = "CARILLON_ENDPOINT_SECRET", hide_env_values = true)]
        secret: Option<String>,
        #[command(flatten)]
        common: Common,
    },
    /// Sends events of the past again
    Replay {
        endpoint: String,
        /// From a cursor of `carillon events`
        #[arg(long, conflicts_with = "since", required_unless_present = "since")]
        cursor: Option<String>,
        /// From a moment, milliseconds since 1970
        #[arg(long, value_name = "MS")]
        since: Option<u64>,
        /// Before a moment
        #[arg(long, value_name = "MS")]
        until: Option<u64>,
        #[command(flatten)]
        common: Common,
    },
    /// Sends a ping
    Test {
        endpoint: String,
        #[command(flatten)]
        common: Common,
    },
}

#[derive(Debug, clap::Args)]
struct Common {
    #[command(flatten)]
    server: ServerArgs,
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum AlgorithmArg {
    #[default]
    Hmac,
    Ed25519,
}

pub async fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::Add { url, events, description, algorithm, secret, common } => {
            let algorithm = match algorithm {
                AlgorithmArg::Hmac => SignatureAlgorithm::Hmac,
                AlgorithmArg::Ed25519 => SignatureAlgorithm::Ed25519,
            };
            let asked = CreateEndpoint { url, events: types(&events), description, algorithm, secret };
            let made = common.server.connect()?.client.create_endpoint(&asked).await.map_err(failure)?;
            with_secret(&made, common.json)
        }
        Command::List { common } => {
            let list = common.server.connect()?.client.endpoints().await.map_err(failure)?;
            if common.json {
                return out::json(&list);
            }
            let rows: Vec<_> = list.endpoints.iter().map(row).collect();
            out::table(&["endpoint", "state", "taken", "url"], &rows)
        }
        Command::Show { endpoint, common } => {
            let view = common.server.connect()?.client.endpoint(&endpoint).await.map_err(failure)?;
            shown(&view, common.json)
        }
        Command::Set { endpoint, url, events, description, enable, disable, common } => {
            let enabled = if enable || disable { Some(enable) } else { None };
            let events = events.map(|events| types(&events));
            let change = ChangeEndpoint { url, events, description, enabled };
            let client = common.server.connect()?.client;
            shown(&client.change_endpoint(&endpoint, &change).await.map_err(failure)?, common.json)
        }
        Command::Remove { endpoint, common } => {
            common.server.connect()?.client.delete_endpoint(&endpoint).await.map_err(failure)?;
            out::note(&format!("{endpoint} is deleted"));
            Ok(())
        }
        Command::Rotate { endpoint, overlap, secret, common } => {
            let asked = RotateSecret { secret, overlap_s: overlap.map(Span::whole_seconds) };
            let client = common.server.connect()?.client;
            with_secret(&client.rotate_endpoint(&endpoint, &asked).await.map_err(failure)?, common.json)
        }
        Command::Replay { endpoint, cursor, since, until, common } => {
            let moment = |ms: Option<u64>| ms.map(Timestamp::from_millis);
            let asked = ReplayEvents { cursor, since: moment(since), until: moment(until) };
            let client = common.server.connect()?.client;
            shown(&client.replay_events(&endpoint, &asked).await.map_err(failure)?, common.json)
        }
        Command::Test { endpoint, common } => test(&endpoint, &common).await,
    }
}

async fn test(endpoint: &str, common: &Common) -> Result<(), Failure> {
    let tested = common.server.connect()?.client.test_endpoint(endpoint).await.map_err(failure)?;
    if common.json {
        out::json(&tested)?;
    }
    match tested.error {
        None => {
            out::note("taken");
            Ok(())
        }
        Some(error) => Err(Failure::new(Code::Failure, format!("not taken: {error}"))),
    }
}

fn types(names: &[String]) -> Vec<EventType> {
    names.iter().filter_map(|name| EventType::parse(name)).collect()
}

fn with_secret(made: &EndpointSecret, json: bool) -> Result<(), Failure> {
    if json {
        return out::json(made);
    }
    match &made.secret {
        Some(secret) => {
            out::line(&format!("{} {secret}", made.endpoint.endpoint_id))?;
            out::note("the secret is not shown again");
        }
        None => out::line(&format!("{} {}", made.endpoint.endpoint_id, made.endpoint.public_keys.join(" ")))?,
    }
    Ok(())
}

fn state(view: &EndpointView) -> String {
    match (&view.disabled_reason, view.failing_since) {
        (Some(reason), _) => format!("disabled ({reason})"),
        (None, Some(since)) => format!("failing since {}", out::time(since)),
        (None, None) => "well".to_owned(),
    }
}

fn row(view: &EndpointView) -> Vec<String> {
    let taken = view.delivered_at.map_or("-".to_owned(), out::time);
    vec![view.endpoint_id.clone(), state(view), taken, view.url.clone()]
}

fn shown(view: &EndpointView, json: bool) -> Result<(), Failure> {
    if json {
        return out::json(view);
    }
    out::line(&out::bold(&format!("{} {}", view.endpoint_id, view.url)))?;
    out::line(&format!("  {}", state(view)))?;
    if let Some(error) = &view.last_error {
        out::line(&format!("  last error: {error}"))?;
    }
    let names: Vec<_> = view.events.iter().map(|kind| kind.as_str()).collect();
    out::line(&format!("  events: {}", if names.is_empty() { "all".to_owned() } else { names.join(", ") }))?;
    for key in &view.public_keys {
        out::line(&format!("  public key: {key}"))?;
    }
    out::line(&format!("  cursor: {}{}", view.cursor, if view.replaying { ", replaying" } else { "" }))
}

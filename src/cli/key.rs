//! `carillon key`: the API keys of an app.

use carillon_actors::clock::Clock;
use carillon_sdk::api::{CreateKey, KeyCreated, KeyView, Scope, UpdateKey};
use carillon_sdk::{KeyId, Timestamp};
use clap::{Subcommand, ValueEnum};

use super::exit::Failure;
use super::out;
use super::server::{ServerArgs, Span, failure};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// A second key beside the first; its secret is shown once
    Create {
        #[command(flatten)]
        server: ServerArgs,
        /// What it is for
        #[arg(long)]
        name: Option<String>,
        /// What it may do; everything when absent
        #[arg(long, value_enum, value_delimiter = ',')]
        scope: Vec<ScopeArg>,
        /// Allow `Authorization: Bearer`, over TLS or loopback only
        #[arg(long)]
        bearer: bool,
        /// How long it lives: 90d; for ever when absent
        #[arg(long, value_name = "SPAN")]
        expires_in: Option<Span>,
        /// An address or range (192.0.2.0/24) from which it may be used; may be given several times;
        /// from any when absent
        #[arg(long, value_name = "RANGE", value_delimiter = ',')]
        allow: Vec<String>,
        #[arg(long)]
        json: bool,
    },
    /// The keys of the app, revoked and expired ones too
    List {
        #[command(flatten)]
        server: ServerArgs,
        #[arg(long)]
        json: bool,
    },
    /// Another name, other addresses, another end; what is not given stays
    Update {
        #[arg(value_name = "KEY")]
        key: KeyId,
        #[arg(long)]
        name: Option<String>,
        /// All addresses and ranges from which it may be used from now on
        #[arg(long, value_name = "RANGE", value_delimiter = ',', conflicts_with = "allow_any")]
        allow: Vec<String>,
        /// Let it be used from any address
        #[arg(long)]
        allow_any: bool,
        /// How long it lives from now on: 90d
        #[arg(long, value_name = "SPAN")]
        expires_in: Option<Span>,
        #[command(flatten)]
        server: ServerArgs,
        #[arg(long)]
        json: bool,
    },
    /// A successor with the same rights; its secret is shown once
    Rotate {
        #[arg(value_name = "KEY")]
        key: KeyId,
        /// How long the old key is still taken, at most 30d; 0s: not at all
        #[arg(long, value_name = "SPAN", default_value = "24h")]
        overlap: Span,
        #[command(flatten)]
        server: ServerArgs,
        #[arg(long)]
        json: bool,
    },
    /// From now on the key is refused
    Revoke {
        #[arg(value_name = "KEY")]
        key: KeyId,
        #[command(flatten)]
        server: ServerArgs,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ScopeArg {
    Push,
    Device,
    Read,
    Keys,
    Manage,
}

pub async fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::Create { server, name, scope, bearer, expires_in, allow, json } => {
            let scopes = scope.iter().map(|scope| of(*scope)).collect();
            let request = CreateKey { name, scopes, bearer, expires_at: expires_in.map(from_now), allow };
            created(&server.connect()?.client.create_key(&request).await.map_err(failure)?, json)
        }
        Command::List { server, json } => {
            let keys = server.connect()?.client.keys().await.map_err(failure)?;
            if json { out::json(&keys) } else { table(&keys.keys) }
        }
        Command::Update { key, name, allow, allow_any, expires_in, server, json } => {
            let allow = (allow_any || !allow.is_empty()).then_some(allow);
            let update = UpdateKey { name, allow, expires_at: expires_in.map(from_now) };
            let now = server.connect()?.client.update_key(&key, &update).await.map_err(failure)?;
            if json { out::json(&now) } else { table(&[now]) }
        }
        Command::Rotate { key, overlap, server, json } => {
            let client = server.connect()?.client;
            let made = client.rotate_key(&key, overlap.whole_seconds()).await.map_err(failure)?;
            created(&made, json)
        }
        Command::Revoke { key, server } => {
            server.connect()?.client.revoke_key(&key).await.map_err(failure)?;
            out::note(&format!("{key} is revoked"));
            Ok(())
        }
    }
}

fn from_now(span: Span) -> Timestamp {
    Clock::system().now() + span.0
}

fn created(made: &KeyCreated, json: bool) -> Result<(), Failure> {
    if json {
        return out::json(made);
    }
    out::line(&format!("{} {}", made.key.key_id, made.secret))?;
    out::note("the secret is not shown again");
    Ok(())
}

fn of(scope: ScopeArg) -> Scope {
    match scope {
        ScopeArg::Push => Scope::Push,
        ScopeArg::Device => Scope::Device,
        ScopeArg::Read => Scope::Read,
        ScopeArg::Keys => Scope::Keys,
        ScopeArg::Manage => Scope::Manage,
    }
}

fn table(keys: &[KeyView]) -> Result<(), Failure> {
    let rows: Vec<Vec<String>> = keys.iter().map(row).collect();
    let head = ["key", "name", "scopes", "bearer", "created", "expires", "allow", "last used", "revoked"];
    out::table(&head, &rows)
}

fn row(key: &KeyView) -> Vec<String> {
    let scopes: Vec<String> = key.scopes.iter().map(|scope| format!("{scope:?}").to_lowercase()).collect();
    let moment = |at: Option<Timestamp>| at.map_or("-".to_owned(), out::time);
    let used = match &key.last_used_from {
        Some(from) => format!("{} from {from}", moment(key.last_used_at)),
        None => "-".to_owned(),
    };
    vec![
        key.key_id.to_string(),
        key.name.clone().unwrap_or_else(|| "-".to_owned()),
        scopes.join(","),
        if key.bearer { "yes" } else { "no" }.to_owned(),
        out::time(key.created_at),
        moment(key.expires_at),
        if key.allow.is_empty() { "any".to_owned() } else { key.allow.join(",") },
        used,
        moment(key.revoked_at),
    ]
}

//! `carillon key`: the API keys of an app.

use carillon_sdk::KeyId;
use carillon_sdk::api::{CreateKey, KeyView, Scope};
use clap::{Subcommand, ValueEnum};

use super::exit::Failure;
use super::out;
use super::server::{ServerArgs, failure};

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
        #[arg(long)]
        json: bool,
    },
    /// The keys of the app, revoked ones too
    List {
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
        Command::Create { server, name, scope, bearer, json } => {
            let scopes = scope.iter().map(|scope| of(*scope)).collect();
            let request = CreateKey { name, scopes, bearer };
            let created = server.connect()?.client.create_key(&request).await.map_err(failure)?;
            if json {
                return out::json(&created);
            }
            out::line(&format!("{} {}", created.key.key_id, created.secret))?;
            out::note("the secret is not shown again");
            Ok(())
        }
        Command::List { server, json } => {
            let keys = server.connect()?.client.keys().await.map_err(failure)?;
            if json {
                return out::json(&keys);
            }
            let rows: Vec<Vec<String>> = keys.keys.iter().map(row).collect();
            out::table(&["key", "name", "scopes", "bearer", "created", "revoked"], &rows)
        }
        Command::Revoke { key, server } => {
            server.connect()?.client.revoke_key(&key).await.map_err(failure)?;
            out::note(&format!("{key} is revoked"));
            Ok(())
        }
    }
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

fn row(key: &KeyView) -> Vec<String> {
    let scopes: Vec<String> = key.scopes.iter().map(|scope| format!("{scope:?}").to_lowercase()).collect();
    vec![
        key.key_id.to_string(),
        key.name.clone().unwrap_or_else(|| "-".to_owned()),
        scopes.join(","),
        if key.bearer { "yes" } else { "no" }.to_owned(),
        out::time(key.created_at),
        key.revoked_at.map_or("-".to_owned(), out::time),
    ]
}

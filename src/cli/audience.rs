//! `carillon audience`: how many an expression is about.

use clap::Subcommand;

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
    /// How many devices and users an audience has now
    Count {
        /// As 'platform = android and not tag = beta'
        #[arg(value_name = "AUDIENCE")]
        audience: String,
        #[command(flatten)]
        server: ServerArgs,
        /// The server's answer as JSON
        #[arg(long)]
        json: bool,
    },
}

pub async fn run(args: Args) -> Result<(), Failure> {
    let Command::Count { audience, server, json } = args.command;
    let counted = server.connect()?.client.count_audience(&audience).await.map_err(failure)?;
    if json {
        return out::json(&counted);
    }
    out::line(&counted.audience)?;
    let mut rows = vec![row("devices", counted.devices), row("users", counted.users)];
    rows.extend(counted.by_platform.iter().map(|(platform, count)| {
        row(&format!("platform {}", format!("{platform:?}").to_lowercase()), *count)
    }));
    rows.extend(counted.by_channel.iter().map(|(channel, count)| row(&format!("channel {channel}"), *count)));
    out::table(&["what", "count"], &rows)
}

fn row(what: &str, count: u64) -> Vec<String> {
    vec![what.to_owned(), count.to_string()]
}

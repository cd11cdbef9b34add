//! `carillon task`: what goes under one number.

use clap::Subcommand;

use super::exit::Failure;
use super::message::told;
use super::server::{ServerArgs, failure};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Take back whatever went under it, and let nothing more of it go
    Revoke {
        /// Its number, as a push, a campaign or a schedule's run printed it
        #[arg(value_name = "TASK")]
        task: u64,
        #[command(flatten)]
        server: ServerArgs,
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
}

pub async fn run(args: Args) -> Result<(), Failure> {
    let Command::Revoke { task, server, json } = args.command;
    told(server.connect()?.client.revoke_task(task).await.map_err(failure)?, json)
}

//! `carillon task`: what goes under one number.

use carillon_sdk::api::analysis::TaskView;
use clap::Subcommand;

use super::exit::Failure;
use super::message::told;
use super::out;
use super::server::{ServerArgs, failure};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Multiple pushes, broadcasts and campaigns, newest first
    List {
        /// Whose name has this in it
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        server: ServerArgs,
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// What became of one
    Show {
        /// Its number
        #[arg(value_name = "TASK")]
        task: u64,
        #[command(flatten)]
        server: ServerArgs,
    },
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
    match args.command {
        Command::List { name, server, json } => {
            let client = server.connect()?.client;
            let list = client.tasks(name.as_deref(), None).await.map_err(failure)?;
            if json {
                return out::json(&list);
            }
            let rows: Vec<_> = list.tasks.iter().map(row).collect();
            out::table(
                &["task", "type", "name", "created", "accepted", "arrived", "opened", "pending"],
                &rows,
            )
        }
        Command::Show { task, server } => {
            out::json(&server.connect()?.client.task(task).await.map_err(failure)?)
        }
        Command::Revoke { task, server, json } => {
            told(server.connect()?.client.revoke_task(task).await.map_err(failure)?, json)
        }
    }
}

fn row(task: &TaskView) -> Vec<String> {
    let figures = &task.figures;
    vec![
        task.task.clone(),
        task.push_type.clone(),
        task.name.clone().unwrap_or_else(|| "-".to_owned()),
        out::time(task.created_at),
        figures.accepted.to_string(),
        figures.arrived.to_string(),
        figures.opened.to_string(),
        figures.pending.to_string(),
    ]
}

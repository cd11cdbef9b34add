//! `carillon list`: files of targets, for campaigns.

use std::path::PathBuf;

use carillon_sdk::api::lists::ListView;
use carillon_sdk::client::server::ListForm;
use clap::{Subcommand, ValueEnum};

use super::exit::{Code, Failure};
use super::out;
use super::server::{ServerArgs, failure};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Upload a file: NDJSON or CSV, a target a line
    Upload {
        #[arg(value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        server: ServerArgs,
        /// For people
        #[arg(long)]
        name: Option<String>,
        /// By the end of the file's name when absent
        #[arg(long, value_enum)]
        form: Option<FormArg>,
        /// Leave lines out that cannot be read, instead of refusing the whole
        #[arg(long)]
        skip: bool,
        /// The server's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Every list
    List {
        #[command(flatten)]
        server: ServerArgs,
        /// One JSON object a page
        #[arg(long)]
        json: bool,
    },
    /// Forget a list
    Delete {
        #[arg(value_name = "ID")]
        id: String,
        #[command(flatten)]
        server: ServerArgs,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FormArg {
    Ndjson,
    Csv,
}

pub async fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::Upload { file, server, name, form, skip, json } => {
            let form = match form {
                Some(FormArg::Csv) => ListForm::Csv,
                Some(FormArg::Ndjson) => ListForm::Ndjson,
                None if file.extension().is_some_and(|extension| extension == "csv") => ListForm::Csv,
                None => ListForm::Ndjson,
            };
            let bytes = std::fs::read(&file)
                .map_err(|error| Failure::new(Code::Usage, format!("read {}: {error}", file.display())))?;
            let client = server.connect()?.client;
            let uploaded =
                client.upload_list(form, bytes.into(), name.as_deref(), skip).await.map_err(failure)?;
            if json {
                return out::json(&uploaded);
            }
            for error in &uploaded.errors {
                out::note(&format!("line {}: {}", error.line, error.detail));
            }
            let ListView { list_id, lines, skipped, .. } = &uploaded.list;
            out::line(&format!("{list_id} with {lines} lines, {skipped} left out"))
        }
        Command::List { server, json } => list(&server, json).await,
        Command::Delete { id, server } => server.connect()?.client.delete_list(&id).await.map_err(failure),
    }
}

async fn list(server: &ServerArgs, json: bool) -> Result<(), Failure> {
    let client = server.connect()?.client;
    let (mut cursor, mut rows) = (None, Vec::new());
    loop {
        let page = client.lists(cursor.as_deref()).await.map_err(failure)?;
        if json {
            out::json(&page)?;
        }
        rows.extend(page.lists.iter().map(row));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    if json { Ok(()) } else { out::table(&["list", "name", "lines", "devices", "users", "uploaded"], &rows) }
}

fn row(list: &ListView) -> Vec<String> {
    vec![
        list.list_id.clone(),
        list.name.clone().unwrap_or_else(|| "-".to_owned()),
        list.lines.to_string(),
        list.devices.to_string(),
        list.users.to_string(),
        out::time(list.created_at),
    ]
}

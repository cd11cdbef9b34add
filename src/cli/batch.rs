//! `carillon batch`: one push to many, in each one's own words.

use std::path::PathBuf;

use carillon_sdk::api::batch::PushBatch;

use super::exit::{Code, Failure};
use super::out;
use super::server::{ServerArgs, failure};
use super::template::text_of;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A JSON object as POST /v1/pushes/batch takes it; `-` is stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    server: ServerArgs,
    /// A retry with the same key sends nothing twice
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args) -> Result<(), Failure> {
    let batch: PushBatch = serde_json::from_str(&text_of(&args.file)?).map_err(|error| {
        Failure::new(Code::Usage, format!("{} is no batch: {error}", args.file.display()))
    })?;
    let client = args.server.connect()?.client;
    let answer = client.push_batch(&batch, args.idempotency_key.as_deref()).await.map_err(failure)?;
    if args.json {
        return out::json(&answer);
    }
    out::line(&format!("task {}, {} accepted", answer.task, answer.accepted))?;
    for (at, entry) in answer.entries.iter().enumerate().filter(|(_, entry)| !entry.accepted) {
        out::note(&format!("entry {at}: {}", entry.code.as_deref().unwrap_or("refused")));
    }
    Ok(())
}

//! `carillon audit`: who changed what.

use carillon_sdk::api::audit::AuditView;

use super::exit::Failure;
use super::out;
use super::server::{ServerArgs, failure};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    server: ServerArgs,
    /// Entries, the newest first
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    limit: usize,
    /// One JSON object an entry
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args) -> Result<(), Failure> {
    let client = args.server.connect()?.client;
    let (mut before, mut entries) = (None, Vec::new());
    while entries.len() < args.limit {
        let page = client.audit_log(before.as_deref()).await.map_err(failure)?;
        entries.extend(page.entries);
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    entries.truncate(args.limit);
    if args.json {
        return entries.iter().try_for_each(out::json);
    }
    let rows: Vec<Vec<String>> = entries.iter().map(row).collect();
    out::table(&["at", "who", "from", "what", "object", "detail"], &rows)
}

fn row(entry: &AuditView) -> Vec<String> {
    vec![
        out::time(entry.at),
        entry.who.clone(),
        entry.from.clone().unwrap_or_else(|| "-".to_owned()),
        entry.what.clone(),
        entry.object.clone(),
        entry.detail.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string),
    ]
}

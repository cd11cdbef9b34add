//! `carillon events`: what happened, and what happens.

use carillon_sdk::Timestamp;
use carillon_sdk::api::{EventType, EventView};
use carillon_sdk::client::server::EventsQuery;
use clap::builder::PossibleValuesParser;

use super::exit::Failure;
use super::out;
use super::server::{ServerArgs, failure};

/// Events on a page.
const LIMIT: usize = 1_000;

/// How long one call waits for an event.
const WAIT_S: u64 = 20;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Stay, and print each event as it comes
    #[arg(long)]
    follow: bool,
    /// Go on from a cursor that was printed before
    #[arg(long)]
    cursor: Option<String>,
    /// Begin with the first event not before it, milliseconds since 1970; the oldest kept when absent
    #[arg(long, conflicts_with = "cursor", value_name = "MS")]
    since: Option<u64>,
    /// Only these
    #[arg(long = "type", value_delimiter = ',', value_name = "TYPE",
        value_parser = PossibleValuesParser::new(EventType::ALL.map(EventType::as_str)))]
    types: Vec<String>,
    #[command(flatten)]
    server: ServerArgs,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args) -> Result<(), Failure> {
    let client = args.server.connect()?.client;
    let mut query = EventsQuery {
        cursor: args.cursor,
        since: args.since.map(Timestamp::from_millis),
        limit: Some(LIMIT),
        types: args.types.iter().filter_map(|name| EventType::parse(name)).collect(),
        wait_s: if args.follow { WAIT_S } else { 0 },
    };
    loop {
        let page = client.events(&query).await.map_err(failure)?;
        if page.gap {
            out::note("there is a gap: events before these are no longer kept");
        }
        for event in &page.events {
            if args.json {
                out::json(event)?;
            } else {
                out::line(&line(event))?;
            }
        }
        if !page.more && !args.follow {
            out::note(&format!("go on with --cursor {}", page.cursor));
            return Ok(());
        }
        (query.cursor, query.since) = (Some(page.cursor), None);
    }
}

/// The message it is about; of a token its channel and digest.
fn about(event: &EventView) -> String {
    match (event.message_id, &event.token_digest) {
        (Some(id), _) => id.to_string(),
        (None, Some(digest)) => format!("{} {digest}", event.channel),
        (None, None) => "-".to_owned(),
    }
}

fn line(event: &EventView) -> String {
    let device = event.device_id.as_ref().map(|id| id.as_str());
    let whom = device.or(event.user_id.as_ref().map(|id| id.as_str())).unwrap_or("-");
    let reason = event.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    format!("{} {:<9} {} {whom}{reason}", out::time(event.at), event.kind.as_str(), about(event))
}

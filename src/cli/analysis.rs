//! `carillon analysis`: sums and rates over a window.

use carillon_sdk::api::Granularity;
use carillon_sdk::client::server::AnalysisQuery;

use super::exit::Failure;
use super::out;
use super::server::{ServerArgs, Span, failure};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    server: ServerArgs,
    /// How far back to look, to the minute up to two days, else to the hour: 15m, 24h, 7d
    #[arg(long, value_name = "SPAN", default_value = "24h")]
    last: Span,
    #[arg(long)]
    platform: Option<String>,
    #[arg(long)]
    app_version: Option<String>,
    #[arg(long)]
    channel: Option<String>,
    /// single, multiple, broadcast or template
    #[arg(long)]
    push_type: Option<String>,
    /// A task's number; it is counted by the day
    #[arg(long)]
    task: Option<u64>,
}

/// Minutes are kept this long.
const MINUTES_S: u64 = 48 * 3600;

pub async fn run(args: Args) -> Result<(), Failure> {
    let client = args.server.connect()?.client;
    let now = carillon_actors::clock::Clock::system().now();
    let granularity = match (&args.task, args.last.whole_seconds()) {
        (Some(_), _) => Granularity::Day,
        (None, seconds) if seconds <= MINUTES_S => Granularity::Minute,
        (None, _) => Granularity::Hour,
    };
    let filters = [
        ("platform", args.platform),
        ("app_version", args.app_version),
        ("channel", args.channel),
        ("push_type", args.push_type),
        ("task", args.task.map(|task| task.to_string())),
    ];
    let named = filters.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    let query =
        AnalysisQuery { from: Some(now - args.last.0), to: None, granularity, filters: named.collect() };
    out::json(&client.analysis(&query).await.map_err(failure)?)
}

//! `carillon stats`: counts by minute, hour or day.

use carillon_sdk::Timestamp;
use carillon_sdk::api::{Dimension, Granularity, StatsRow};
use carillon_sdk::client::server::StatsQuery;
use clap::ValueEnum;

use super::exit::Failure;
use super::out;
use super::server::{ServerArgs, Span, failure};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    server: ServerArgs,
    /// How far back to look: 15m, 24h, 7d
    #[arg(long, value_name = "SPAN", default_value = "1h")]
    last: Span,
    /// Start, in milliseconds since 1970; instead of --last
    #[arg(long, value_name = "MS")]
    from: Option<u64>,
    /// End, not included, in milliseconds since 1970; now when absent
    #[arg(long, value_name = "MS")]
    to: Option<u64>,
    #[arg(long, value_enum, default_value = "minute")]
    granularity: GranularityArg,
    /// A row for each value of these, separated by commas
    #[arg(long, value_enum, value_delimiter = ',')]
    group_by: Vec<DimensionArg>,
    /// The server's answer as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum GranularityArg {
    Minute,
    Hour,
    Day,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum DimensionArg {
    Platform,
    #[value(name = "app_version", alias = "app-version")]
    AppVersion,
    Channel,
    #[value(name = "push_type", alias = "push-type")]
    PushType,
    Reason,
    Task,
}

pub async fn run(args: Args) -> Result<(), Failure> {
    let server = args.server.connect()?;
    let now = carillon_actors::clock::Clock::system().now();
    let query = StatsQuery {
        from: Some(args.from.map_or(now - args.last.0, Timestamp::from_millis)),
        to: args.to.map(Timestamp::from_millis),
        granularity: match args.granularity {
            GranularityArg::Minute => Granularity::Minute,
            GranularityArg::Hour => Granularity::Hour,
            GranularityArg::Day => Granularity::Day,
        },
        group_by: args.group_by.iter().map(|by| dimension(*by)).collect(),
    };
    let stats = server.client.stats(&query).await.map_err(failure)?;
    if args.json {
        return out::json(&stats);
    }
    let head = [
        "start",
        "group",
        "accepted",
        "sent",
        "arrived",
        "handed_over",
        "shown",
        "opened",
        "dismissed",
        "expired",
        "replaced",
        "revoked",
        "failed",
    ];
    let rows: Vec<Vec<String>> = stats.rows.iter().map(row).collect();
    out::table(&head, &rows)
}

fn dimension(by: DimensionArg) -> Dimension {
    match by {
        DimensionArg::Platform => Dimension::Platform,
        DimensionArg::AppVersion => Dimension::AppVersion,
        DimensionArg::Channel => Dimension::Channel,
        DimensionArg::PushType => Dimension::PushType,
        DimensionArg::Reason => Dimension::Reason,
        DimensionArg::Task => Dimension::Task,
    }
}

fn row(row: &StatsRow) -> Vec<String> {
    let group: Vec<String> =
        row.group.iter().map(|(dimension, value)| format!("{dimension}={value}")).collect();
    let counts = [
        row.accepted,
        row.sent,
        row.arrived,
        row.handed_over,
        row.shown,
        row.opened,
        row.dismissed,
        row.expired,
        row.replaced,
        row.revoked,
        row.failed,
    ];
    let mut cells =
        vec![out::time(row.start), if group.is_empty() { "-".to_owned() } else { group.join(" ") }];
    cells.extend(counts.iter().map(u64::to_string));
    cells
}

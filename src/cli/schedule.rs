//! `carillon schedule`: pushes at a time to come.

use carillon_sdk::Timestamp;
use carillon_sdk::api::schedules::{CreateSchedule, Every, Missed, Moment, RunView, ScheduleView};
use clap::{Subcommand, ValueEnum};

use super::exit::Failure;
use super::out;
use super::push::PushArgs;
use super::server::{ServerArgs, Span, failure};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// A push, once at a moment or on days of a week or month
    Create(Box<Create>),
    /// Every schedule of the app
    List {
        #[command(flatten)]
        server: ServerArgs,
        /// One JSON object a page
        #[arg(long)]
        json: bool,
    },
    /// One schedule with its runs
    Show {
        #[arg(value_name = "SCHEDULE")]
        id: String,
        #[command(flatten)]
        server: ServerArgs,
        #[arg(long)]
        json: bool,
    },
    /// The runs of all schedules, over and to come
    Runs {
        /// Planned at this moment or later, RFC 3339; now when absent
        #[arg(long, value_name = "MOMENT", value_parser = moment)]
        from: Option<Timestamp>,
        /// Planned before this moment
        #[arg(long, value_name = "MOMENT", value_parser = moment)]
        to: Option<Timestamp>,
        #[command(flatten)]
        server: ServerArgs,
        /// One JSON object a page
        #[arg(long)]
        json: bool,
    },
    /// Cancel a schedule, or one run of it
    Cancel {
        #[arg(value_name = "SCHEDULE")]
        id: String,
        /// This run alone
        #[arg(long, value_name = "RUN")]
        run: Option<String>,
        #[command(flatten)]
        server: ServerArgs,
    },
}

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("when").required(true).args(["at", "every"]))]
struct Create {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    push: PushArgs,
    /// For people
    #[arg(long)]
    name: Option<String>,
    /// Once, at this moment: 2026-12-01T09:00:00+08:00, or milliseconds since 1970
    #[arg(long, value_name = "MOMENT")]
    at: Option<String>,
    /// Again and again
    #[arg(long, value_enum, requires = "time", requires = "to")]
    every: Option<EveryArg>,
    /// Days of the week, 1 (Monday) to 7, or of the month
    #[arg(long, value_name = "DAYS", value_delimiter = ',', requires = "every")]
    on: Vec<i64>,
    /// The time of day, as 09:30
    #[arg(long, requires = "every")]
    time: Option<String>,
    /// An IANA time zone; the app's when absent
    #[arg(long, requires = "every")]
    zone: Option<String>,
    /// The first day, as 2026-12-01; today when absent
    #[arg(long, value_name = "DATE", requires = "every")]
    from: Option<String>,
    /// The last day
    #[arg(long, value_name = "DATE", requires = "every")]
    to: Option<String>,
    /// What becomes of a run whose time passed while the server was down
    #[arg(long, value_enum)]
    missed: Option<MissedArg>,
    /// How late a run may be: 15m, 24h; as long as the push is worth delivering when absent
    #[arg(long, value_name = "SPAN")]
    late_max: Option<Span>,
    /// A retry with the same key makes no second schedule
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum EveryArg {
    Day,
    Week,
    Month,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum MissedArg {
    LateOnce,
    Skip,
}

pub async fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::Create(args) => create(*args).await,
        Command::List { server, json } => list(&server, json).await,
        Command::Show { id, server, json } => {
            let found = server.connect()?.client.schedule(&id).await.map_err(failure)?;
            if json {
                return out::json(&found);
            }
            out::table(SCHEDULE, &[row(&found.schedule)])?;
            out::table(RUN, &found.runs.iter().map(run_row).collect::<Vec<_>>())
        }
        Command::Runs { from, to, server, json } => runs(&server, from, to, json).await,
        Command::Cancel { id, run, server } => {
            let client = server.connect()?.client;
            match &run {
                Some(run) => client.cancel_run(&id, run).await.map_err(failure)?,
                None => client.cancel_schedule(&id).await.map_err(failure)?,
            }
            out::note(&format!("{} is cancelled", run.unwrap_or(id)));
            Ok(())
        }
    }
}

async fn create(args: Create) -> Result<(), Failure> {
    let schedule = CreateSchedule {
        name: args.name,
        push: Some(args.push.request()),
        // Of the push itself: whom it means is decided at each firing.
        audience: None,
        batch: None,
        at: args.at.map(|text| text.parse().map_or(Moment::Text(text), Moment::Millis)),
        every: args.every.map(|every| match every {
            EveryArg::Day => Every::Day,
            EveryArg::Week => Every::Week,
            EveryArg::Month => Every::Month,
        }),
        on: args.on,
        time: args.time,
        zone: args.zone,
        from: args.from,
        to: args.to,
        missed: args.missed.map(|missed| match missed {
            MissedArg::LateOnce => Missed::LateOnce,
            MissedArg::Skip => Missed::Skip,
        }),
        late_max_s: args.late_max.map(Span::whole_seconds),
    };
    let client = args.server.connect()?.client;
    let made = client.create_schedule(&schedule, args.idempotency_key.as_deref()).await.map_err(failure)?;
    if args.json {
        return out::json(&made);
    }
    let next = made.next_at.map_or_else(|| "never".to_owned(), out::time);
    out::line(&format!("{} fires next at {next}", made.schedule_id))
}

async fn list(server: &ServerArgs, json: bool) -> Result<(), Failure> {
    let client = server.connect()?.client;
    let (mut cursor, mut rows) = (None, Vec::new());
    loop {
        let page = client.schedules(cursor.as_deref()).await.map_err(failure)?;
        if json {
            out::json(&page)?;
        }
        rows.extend(page.schedules.iter().map(row));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    if json { Ok(()) } else { out::table(SCHEDULE, &rows) }
}

async fn runs(
    server: &ServerArgs,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    json: bool,
) -> Result<(), Failure> {
    let client = server.connect()?.client;
    let from = from.unwrap_or_else(|| carillon_actors::clock::Clock::system().now());
    let (mut cursor, mut rows) = (None, Vec::new());
    loop {
        let page = client.runs(Some(from), to, cursor.as_deref()).await.map_err(failure)?;
        if json {
            out::json(&page)?;
        }
        rows.extend(page.runs.iter().map(run_row));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    if json { Ok(()) } else { out::table(RUN, &rows) }
}

const SCHEDULE: &[&str] = &["schedule", "state", "next", "every", "type", "name", "title"];

fn row(schedule: &ScheduleView) -> Vec<String> {
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let every = schedule.every.map_or("once", |every| match every {
        Every::Day => "day",
        Every::Week => "week",
        Every::Month => "month",
    });
    vec![
        schedule.schedule_id.clone(),
        schedule.state.clone(),
        schedule.next_at.map_or_else(|| "-".to_owned(), out::time),
        every.to_owned(),
        schedule.push_type.clone(),
        text(&schedule.name),
        text(&schedule.title),
    ]
}

const RUN: &[&str] = &["run", "planned", "state", "lag", "accepted", "reason"];

fn run_row(run: &RunView) -> Vec<String> {
    vec![
        run.run_id.clone(),
        out::time(run.planned_at),
        run.state.clone(),
        run.lag_ms.map_or_else(|| "-".to_owned(), |lag| format!("{lag}ms")),
        run.accepted.to_string(),
        run.reason.clone().unwrap_or_else(|| "-".to_owned()),
    ]
}

fn moment(text: &str) -> Result<Timestamp, &'static str> {
    let at: jiff::Timestamp = text.parse().map_err(|_| "expected RFC 3339 as 2026-12-01T09:00:00+08:00")?;
    u64::try_from(at.as_millisecond()).map(Timestamp::from_millis).map_err(|_| "before 1970")
}

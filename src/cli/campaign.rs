//! `carillon campaign`: planned, applied by the plan's hash, steered, watched.

use std::collections::BTreeMap;
use std::time::Duration;

use carillon_sdk::api::campaigns::{
    CampaignBreach, CampaignPace, CampaignPlan, CampaignTarget, CampaignView, CreateCampaign,
};
use carillon_sdk::api::templates::ChannelBreach;
use carillon_sdk::api::vendors::VendorOptions;
use clap::Subcommand;

use super::exit::Failure;
use super::out;
use super::server::{ServerArgs, Span, failure};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a campaign and print its plan; nothing is sent
    Create(Box<Create>),
    /// What applying it now would do
    Plan(One),
    /// Send it, by the hash of a plan that was read
    Apply {
        #[command(flatten)]
        one: One,
        /// As `create` or `plan` printed it
        #[arg(value_name = "PLAN")]
        plan: String,
    },
    /// Let nothing more go until it is resumed
    Pause(One),
    /// Go on after a pause, or after the canary
    Resume(One),
    /// Let nothing more go, for ever; what was let go stays
    Abort(One),
    /// Let nothing more go, and withdraw what was
    Revoke(One),
    /// Every campaign
    List {
        #[command(flatten)]
        server: ServerArgs,
        /// One JSON object a page
        #[arg(long)]
        json: bool,
    },
    /// Print each progress until it is over
    Watch(One),
}

#[derive(Debug, clap::Args)]
struct One {
    /// The campaign's id
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    server: ServerArgs,
    /// The server's answer as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("to").required(true).args(["all", "audience", "list"]))]
struct Create {
    #[command(flatten)]
    server: ServerArgs,
    /// To every device of the app
    #[arg(long)]
    all: bool,
    /// To every device of an audience, such as 'platform = ios and seen since 7d'
    #[arg(long, value_name = "EXPRESSION")]
    audience: Option<String>,
    /// To each line of this list, in its own words
    #[arg(long, value_name = "LIST")]
    list: Option<String>,
    /// In this template's words
    #[arg(long, value_name = "TEMPLATE", conflicts_with_all = ["title", "body", "uri", "silent"])]
    template: Option<String>,
    /// For people
    #[arg(long)]
    name: Option<String>,
    /// With #placeholders#, like body and uri
    #[arg(long)]
    title: Option<String>,
    #[arg(long)]
    body: Option<String>,
    /// Where a tap leads: a URL or a deep link
    #[arg(long)]
    uri: Option<String>,
    /// The app's own data: a JSON object
    #[arg(long, value_name = "JSON", value_parser = super::push::object)]
    data: Option<serde_json::Value>,
    /// For the app alone: nothing is shown
    #[arg(long)]
    silent: bool,
    /// Its road, and what is for vendors alone: a JSON object
    #[arg(long, value_name = "JSON", value_parser = super::push::vendor)]
    vendor: Option<VendorOptions>,
    /// A placeholder's text, as name=text; may be given several times
    #[arg(long, value_name = "NAME=TEXT", value_parser = pair)]
    value: Vec<(String, String)>,
    /// How long the campaign is worth delivering, from apply: 15m, 24h, 7d
    #[arg(long, value_name = "SPAN")]
    ttl: Option<Span>,
    /// Targets let go a second
    #[arg(long, value_name = "COUNT")]
    per_second: Option<u32>,
    /// Targets let go a minute
    #[arg(long, value_name = "COUNT")]
    per_minute: Option<u32>,
    /// The share, above 0 and below 1, that gets it first
    #[arg(long, value_name = "SHARE")]
    canary: Option<f64>,
    /// The server's answer as JSON
    #[arg(long)]
    json: bool,
}

/// Between two watches.
const AGAIN: Duration = Duration::from_secs(1);

pub async fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::Create(create) => self::create(*create).await,
        Command::Plan(one) => {
            let plan = one.server.connect()?.client.plan_campaign(&one.id).await.map_err(failure)?;
            if one.json { out::json(&plan) } else { show_plan(&one.id, &plan) }
        }
        Command::Apply { one, plan } => {
            let client = one.server.connect()?.client;
            show(&client.apply_campaign(&one.id, &plan).await.map_err(failure)?, one.json)
        }
        Command::Pause(one) => {
            show(&one.server.connect()?.client.pause_campaign(&one.id).await.map_err(failure)?, one.json)
        }
        Command::Resume(one) => {
            show(&one.server.connect()?.client.resume_campaign(&one.id).await.map_err(failure)?, one.json)
        }
        Command::Abort(one) => {
            show(&one.server.connect()?.client.abort_campaign(&one.id).await.map_err(failure)?, one.json)
        }
        Command::Revoke(one) => {
            show(&one.server.connect()?.client.revoke_campaign(&one.id).await.map_err(failure)?, one.json)
        }
        Command::List { server, json } => list(&server, json).await,
        Command::Watch(one) => watch(&one).await,
    }
}

async fn create(create: Create) -> Result<(), Failure> {
    let pace = CampaignPace { per_second: create.per_second, per_minute: create.per_minute };
    let request = CreateCampaign {
        name: create.name,
        to: CampaignTarget { all: create.all, audience: create.audience, list: create.list },
        template: create.template,
        title: create.title,
        body: create.body,
        uri: create.uri,
        data: create.data,
        look: None,
        silent: create.silent,
        values: create.value.into_iter().collect::<BTreeMap<_, _>>(),
        ttl_s: create.ttl.map(Span::whole_seconds),
        collapse_key: None,
        vendor: create.vendor,
        pace: (pace != CampaignPace::default()).then_some(pace),
        canary: create.canary,
    };
    let made = create.server.connect()?.client.create_campaign(&request).await.map_err(failure)?;
    if create.json {
        return out::json(&made);
    }
    show_plan(&made.campaign.campaign_id, &made.planned)
}

async fn list(server: &ServerArgs, json: bool) -> Result<(), Failure> {
    let client = server.connect()?.client;
    let (mut cursor, mut rows) = (None, Vec::new());
    loop {
        let page = client.campaigns(cursor.as_deref()).await.map_err(failure)?;
        if json {
            out::json(&page)?;
        }
        rows.extend(page.campaigns.iter().map(row));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    if json {
        return Ok(());
    }
    out::table(
        &["campaign", "name", "state", "targets", "released", "delivered", "pending", "created"],
        &rows,
    )
}

fn row(campaign: &CampaignView) -> Vec<String> {
    let counts = campaign.counts;
    vec![
        campaign.campaign_id.clone(),
        campaign.name.clone().unwrap_or_else(|| "-".to_owned()),
        campaign.state.as_str().to_owned(),
        counts.targets.to_string(),
        counts.released.to_string(),
        counts.delivered.to_string(),
        counts.pending.to_string(),
        out::time(campaign.created_at),
    ]
}

async fn watch(one: &One) -> Result<(), Failure> {
    let client = one.server.connect()?.client;
    let mut heard: Option<String> = None;
    loop {
        let mut watch = client.watch_campaign(&one.id, heard.as_deref()).await.map_err(failure)?;
        while let Some(campaign) = watch.next().await.map_err(failure)? {
            show(&campaign, one.json)?;
            if campaign.state.is_terminal() {
                return Ok(());
            }
        }
        // The server stops, or a proxy ended it: on from there.
        heard = watch.id().map(str::to_owned);
        tokio::time::sleep(AGAIN).await;
    }
}

fn show(campaign: &CampaignView, json: bool) -> Result<(), Failure> {
    if json {
        return out::json(campaign);
    }
    let counts = campaign.counts;
    let mut text = format!(
        "{} {}: {} of {} let go ({} refused), {} delivered, {} opened, {} expired, {} revoked, {} rejected, {} pending",
        campaign.campaign_id,
        campaign.state.as_str(),
        counts.released,
        counts.targets,
        counts.refused,
        counts.delivered,
        counts.opened,
        counts.expired,
        counts.revoked,
        counts.rejected,
        counts.pending,
    );
    if let Some(reason) = &campaign.reason {
        text = format!("{text} ({reason})");
    }
    if let Some(at) = campaign.finishes_at {
        text = format!("{text}; {:.0}/s, all let go by {}", campaign.rate_per_s, out::time(at));
    }
    out::line(&text)
}

fn show_plan(id: &str, plan: &CampaignPlan) -> Result<(), Failure> {
    let split = |of: &BTreeMap<String, u64>| {
        of.iter().map(|(name, count)| format!("{count} {name}")).collect::<Vec<_>>().join(", ")
    };
    out::line(&out::bold(&format!("campaign {id}, plan {}", plan.plan)))?;
    out::line(&format!("targets      {}", plan.targets))?;
    for (name, of) in
        [("platforms", &plan.by_platform), ("versions", &plan.by_app_version), ("channels", &plan.by_channel)]
    {
        if !of.is_empty() {
            out::line(&format!("{name:<12} {}", split(of)))?;
        }
    }
    if plan.users + plan.unknown > 0 {
        out::line(&format!("users        {}; {} lines name no registered device", plan.users, plan.unknown))?;
    }
    if plan.canary > 0 {
        out::line(&format!("canary       {}", plan.canary))?;
    }
    out::line(&format!("all let go   by {}", out::time(plan.finishes_at)))?;
    out::line(&format!("payload      {} of {} bytes", plan.payload.bytes, plan.payload.bytes_max))?;
    for CampaignBreach { breach, targets } in &plan.breaches {
        let ChannelBreach { channel, field, most, has, unit, effect } = breach;
        out::line(&format!(
            "breach       {channel} {field}: {has} of {most} {unit}, {effect}, {targets} targets"
        ))?;
    }
    for sample in &plan.samples {
        let name = sample.device_id.as_ref().map(carillon_sdk::DeviceId::as_str);
        let name = name.or(sample.user_id.as_ref().map(carillon_sdk::UserId::as_str)).unwrap_or("?");
        let texts = [&sample.title, &sample.body].map(|text| text.as_deref().unwrap_or("-"));
        out::line(&format!("sample       {name}: {} / {}", texts[0], texts[1]))?;
    }
    for missing in &plan.missing {
        let line = missing.line.map(|line| format!("line {line}: ")).unwrap_or_default();
        out::line(&format!("no value     {line}#{}#", missing.variable))?;
    }
    if plan.late > 0 {
        out::line(&format!("too late     {} targets are not reached within the validity", plan.late))?;
    }
    out::note(&format!("carillon campaign apply {id} {}", plan.plan));
    Ok(())
}

fn pair(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("expected name=text")?;
    Ok((name.to_owned(), value.to_owned()))
}

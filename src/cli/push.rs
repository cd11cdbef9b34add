//! `carillon push`: one message, to devices, users, an audience or everybody.

use carillon_sdk::api::vendors::VendorOptions;
use carillon_sdk::api::{Lane, PushRequest, Target};
use carillon_sdk::{DeviceId, UserId};
use clap::ValueEnum;

use super::exit::Failure;
use super::out;
use super::server::{ServerArgs, Span, failure};
use super::template::variable;

/// What is pushed, and to whom.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("whom").required(true).multiple(true).args(["user", "device", "audience", "all"]))]
pub(super) struct PushArgs {
    /// To every device this user is logged in on; may be given several times
    #[arg(long, value_name = "USER", conflicts_with_all = ["device", "audience", "all"])]
    user: Vec<UserId>,
    /// To this device; may be given several times
    #[arg(long, value_name = "DEVICE", conflicts_with_all = ["audience", "all"])]
    device: Vec<DeviceId>,
    /// To the devices of an audience, as 'platform = android and tag = vip'
    #[arg(long, value_name = "AUDIENCE", conflicts_with = "all")]
    audience: Option<String>,
    /// To every device of the app
    #[arg(long)]
    all: bool,
    #[arg(long)]
    title: Option<String>,
    #[arg(long)]
    body: Option<String>,
    /// The app's own data: a JSON object
    #[arg(long, value_name = "JSON", value_parser = object)]
    data: Option<serde_json::Value>,
    /// Where a tap leads: a URL or a deep link
    #[arg(long)]
    uri: Option<String>,
    /// In the words of this template, in place of title, body and URI
    #[arg(long, value_name = "NAME", conflicts_with_all = ["title", "body", "uri", "silent"])]
    template: Option<String>,
    /// A variable of the template and its text; may be given several times
    #[arg(long, value_name = "NAME=TEXT", value_parser = variable, requires = "template")]
    value: Vec<(String, String)>,
    /// How long the message is worth delivering: 60s, 15m, 24h, 7d; 0s only reaches devices online now
    #[arg(long, value_name = "SPAN")]
    ttl: Option<Span>,
    #[arg(long, value_enum)]
    lane: Option<LaneArg>,
    /// A later push with the same key replaces this one where it is still pending
    #[arg(long, value_name = "KEY")]
    collapse_key: Option<String>,
    /// For the app alone: nothing is shown
    #[arg(long)]
    silent: bool,
    /// Its road, and what is for vendors alone: a JSON object, as '{"route": "own_only", "badge": 3}'
    #[arg(long, value_name = "JSON", value_parser = vendor)]
    vendor: Option<VendorOptions>,
}

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    push: PushArgs,
    /// A retry with the same key sends nothing twice
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LaneArg {
    High,
    Normal,
}

impl PushArgs {
    /// As the API takes it.
    pub(super) fn request(self) -> PushRequest {
        PushRequest {
            to: Target { devices: self.device, users: self.user, audience: self.audience, all: self.all },
            title: self.title,
            body: self.body,
            data: self.data,
            ttl_s: self.ttl.map(Span::whole_seconds),
            lane: match self.lane {
                Some(LaneArg::High) => Lane::High,
                Some(LaneArg::Normal) | None => Lane::Normal,
            },
            collapse_key: self.collapse_key,
            silent: self.silent,
            uri: self.uri,
            look: None,
            template: self.template,
            values: self.value.into_iter().collect(),
            vendor: self.vendor,
        }
    }
}

pub async fn run(args: Args) -> Result<(), Failure> {
    let server = args.server.connect()?;
    let request = args.push.request();
    let answer = server.client.push(&request, args.idempotency_key.as_deref()).await.map_err(failure)?;
    if args.json {
        return out::json(&answer);
    }
    out::line(&format!("{} accepted for {} target(s)", answer.message_id, answer.accepted))?;
    for target in answer.targets.iter().filter(|target| !target.accepted) {
        let name =
            target.device_id.as_ref().map(DeviceId::as_str).or(target.user_id.as_ref().map(UserId::as_str));
        out::note(&format!("{}: {}", name.unwrap_or("?"), target.code.as_deref().unwrap_or("refused")));
    }
    Ok(())
}

pub(super) fn vendor(text: &str) -> Result<VendorOptions, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

pub(super) fn object(text: &str) -> Result<serde_json::Value, String> {
    match serde_json::from_str(text) {
        Ok(value @ serde_json::Value::Object(_)) => Ok(value),
        Ok(_) => Err("not a JSON object".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

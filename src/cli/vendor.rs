//! `carillon vendor`: an app's setups for phone makers' channels. Credentials come from files or
//! stdin: what stands on a command line, others on the machine can read.

use std::path::{Path, PathBuf};

use carillon_sdk::Vendor;
use carillon_sdk::api::vendors::{
    RotateVendor, TestVendor, VendorAccess, VendorChannel, VendorError, VendorLimit, VendorTested,
    VendorView, WriteVendor,
};
use clap::Subcommand;
use serde_json::Value;

use super::exit::{Code, Failure};
use super::out;
use super::push::object;
use super::server::{ServerArgs, failure};
use super::template::text_of;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Set a vendor up, or change its setup; what is not given stays
    Add(Box<Add>),
    /// All ten, set up or not, and how each fares
    List {
        #[command(flatten)]
        common: Common,
    },
    /// A setup and how its channel fares
    Show {
        vendor: Vendor,
        #[command(flatten)]
        common: Common,
    },
    /// Ask the vendor for access; with a token, send it a notification
    Test {
        vendor: Vendor,
        /// As a device reported it
        #[arg(long)]
        token: Option<String>,
        #[command(flatten)]
        common: Common,
    },
    /// The day's limits, and what is left of them
    Quota {
        vendor: Vendor,
        #[command(flatten)]
        common: Common,
    },
    /// Another credential: tried out first, and the old one used until the vendor has taken it
    Rotate {
        vendor: Vendor,
        /// JSON, as docs/vendors.md has it; `-` is stdin
        #[arg(long, value_name = "FILE", required_unless_present = "new_receipts_url")]
        credential_file: Option<PathBuf>,
        /// Another address for receipts; the one before is nobody's from now on
        #[arg(long)]
        new_receipts_url: bool,
        /// Prove it by a notification to this token too
        #[arg(long)]
        token: Option<String>,
        #[command(flatten)]
        common: Common,
    },
    /// Forget a setup
    Remove {
        vendor: Vendor,
        #[command(flatten)]
        common: Common,
    },
}

#[derive(Debug, clap::Args)]
struct Add {
    vendor: Vendor,
    /// JSON, as docs/vendors.md has it; `-` is stdin
    #[arg(long, value_name = "FILE")]
    credential_file: Option<PathBuf>,
    /// What is no secret: a JSON object, in place of the settings that are there
    #[arg(long, value_name = "JSON", value_parser = object, conflicts_with = "settings_file")]
    settings: Option<Value>,
    /// The same from a file
    #[arg(long, value_name = "FILE")]
    settings_file: Option<PathBuf>,
    /// A base URL in place of the vendor's, as send=https://push.example; may be given several times
    #[arg(long = "host", value_name = "NAME=URL", value_parser = super::template::variable)]
    hosts: Vec<(String, String)>,
    /// Authorities believed in place of the web's, a PEM file
    #[arg(long, value_name = "FILE")]
    vendor_ca_file: Option<PathBuf>,
    /// Added to the server's clock in what the vendor compares with its own
    #[arg(long, value_name = "MS", allow_hyphen_values = true)]
    clock_offset_ms: Option<i64>,
    /// Messages a day in place of a limit, as marketing=50000, or marketing=none
    #[arg(long = "quota", value_name = "NAME=N", value_parser = quota_limit)]
    quotas: Vec<(String, Option<u64>)>,
    /// Turn it on or off
    #[arg(long, value_name = "ON")]
    enabled: Option<bool>,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, clap::Args)]
struct Common {
    #[command(flatten)]
    server: ServerArgs,
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::Add(add) => self::add(*add).await,
        Command::List { common } => {
            let list = common.server.connect()?.client.vendors().await.map_err(failure)?;
            if common.json {
                return out::json(&list);
            }
            let rows: Vec<_> = list.vendors.iter().map(row).collect();
            out::table(&["vendor", "state", "access", "waiting", "last taken", "last error"], &rows)?;
            notes(&list.vendors);
            Ok(())
        }
        Command::Show { vendor, common } => {
            let view = common.server.connect()?.client.vendor(vendor).await.map_err(failure)?;
            shown(&view, common.json)
        }
        Command::Test { vendor, token, common } => {
            let client = common.server.connect()?.client;
            let tested = client.test_vendor(vendor, &TestVendor { token }).await.map_err(failure)?;
            if common.json {
                out::json(&tested)?;
            }
            passed(vendor, &tested)
        }
        Command::Quota { vendor, common } => {
            let quota = common.server.connect()?.client.vendor_quota(vendor).await.map_err(failure)?;
            if common.json {
                return out::json(&quota);
            }
            if quota.limits.is_empty() {
                out::note(&format!("{vendor} counts no days"));
                return Ok(());
            }
            let rows: Vec<_> = quota.limits.iter().map(limit_row).collect();
            out::table(&["limit", "of", "a day", "used", "remaining", "renews", "source"], &rows)
        }
        Command::Rotate { vendor, credential_file, new_receipts_url, token, common } => {
            let credential = credential_file.as_deref().map(json_of).transpose()?;
            let rotate = RotateVendor { credential, token, new_receipts_url };
            let client = common.server.connect()?.client;
            let rotated = client.rotate_vendor(vendor, &rotate).await.map_err(failure)?;
            if common.json {
                out::json(&rotated)?;
            }
            if let Some(tested) = &rotated.tested {
                passed(vendor, tested)?;
                out::note("the new credential is used from now on");
            }
            if common.json { Ok(()) } else { shown(&rotated.vendor, false) }
        }
        Command::Remove { vendor, common } => {
            common.server.connect()?.client.delete_vendor(vendor).await.map_err(failure)?;
            out::note(&format!("{vendor} is removed"));
            Ok(())
        }
    }
}

async fn add(add: Add) -> Result<(), Failure> {
    let client = add.common.server.connect()?.client;
    let before = match client.vendor(add.vendor).await {
        Ok(view) => view.setup,
        Err(error) if error.code() == Some("vendor_unknown") => None,
        Err(error) => return Err(failure(error)),
    };
    let mut setup = before.as_ref().map_or_else(WriteVendor::default, |setup| setup.to_write());
    setup.credential = add.credential_file.as_deref().map(json_of).transpose()?;
    if let Some(settings) =
        add.settings.map_or_else(|| add.settings_file.as_deref().map(json_of), |own| Some(Ok(own)))
    {
        setup.settings = settings?;
    }
    setup.hosts.extend(add.hosts);
    if let Some(path) = &add.vendor_ca_file {
        setup.ca_pem = Some(text_of(path)?);
    }
    setup.clock_offset_ms = add.clock_offset_ms.unwrap_or(setup.clock_offset_ms);
    setup.quotas.extend(add.quotas);
    setup.enabled = add.enabled.unwrap_or(setup.enabled);
    let etag = before.map(|setup| setup.etag);
    let view = client.put_vendor(add.vendor, &setup, etag.as_deref()).await.map_err(failure)?;
    shown(&view, add.common.json)
}

fn json_of(path: &Path) -> Result<Value, Failure> {
    let text = text_of(path)?;
    // The parser's own words may quote what is there.
    serde_json::from_str(&text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Failure::new(Code::Usage, format!("{} is no JSON at line {line}, column {column}", path.display()))
    })
}

fn passed(vendor: Vendor, tested: &VendorTested) -> Result<(), Failure> {
    if let Some(refused) = &tested.refused {
        let what = if tested.access.is_some() { "the message" } else { "access" };
        let text = format!(
            "{vendor} refused {what}: {} ({} of the {}) {}",
            refused.code, refused.class, refused.scope, refused.text
        );
        return Err(Failure::new(Code::Refused, text.trim_end().to_owned()));
    }
    match &tested.vendor_id {
        Some(id) => out::note(&format!("{vendor} gives access and took the message as {id}")),
        None => out::note(&format!("{vendor} gives access")),
    }
    for field in &tested.degraded {
        out::note(&format!("  it cannot carry {field}"));
    }
    Ok(())
}

fn access(view: &VendorView) -> String {
    match view.channel.as_ref().map(|channel| &channel.access) {
        Some(VendorAccess::Held { ends_at: Some(at) }) => format!("until {}", out::time(*at)),
        Some(VendorAccess::Held { ends_at: None }) => "held".to_owned(),
        Some(VendorAccess::Failed { until }) => format!("none; asked again {}", out::time(*until)),
        Some(VendorAccess::None) | None => "-".to_owned(),
    }
}

fn row(view: &VendorView) -> Vec<String> {
    let channel = view.channel.as_ref();
    let error = channel.and_then(|channel| channel.last_error.as_ref());
    let none = || "-".to_owned();
    vec![
        view.vendor.to_string(),
        view.status.as_str().to_owned(),
        access(view),
        channel.map_or_else(none, |channel| channel.waiting.to_string()),
        channel.and_then(|channel| channel.last_accepted_at).map_or_else(none, out::time),
        error.map_or_else(none, |error| format!("{} ({})", error.refused.code, error.refused.class)),
    ]
}

/// What a person should know and no column has.
fn notes(vendors: &[VendorView]) {
    if vendors.iter().all(|view| view.setup.is_none()) {
        out::note("none is set up: carillon vendor add VENDOR --credential-file FILE; docs/vendors.md");
    }
    for view in vendors {
        let Some(channel) = &view.channel else { continue };
        if let Some(stop) = &channel.stopped {
            let since = out::time(stop.since);
            out::note(&format!("{} is stopped since {since}: {} {}", view.vendor, stop.code, stop.text));
        }
        if let Some(ends_at) = channel.credential_ends_at {
            out::note(&format!("{}: its certificate ends {}", view.vendor, out::time(ends_at)));
        }
    }
}

fn limit_row(limit: &VendorLimit) -> Vec<String> {
    let number = |number: Option<u64>, without: &str| number.map_or(without.to_owned(), |n| n.to_string());
    let left =
        if limit.spent_by_vendor { "0 (says the vendor)".to_owned() } else { number(limit.remaining, "-") };
    vec![
        limit.name.clone(),
        limit.of.clone(),
        number(limit.per_day, "no limit"),
        limit.used.to_string(),
        left,
        out::time(limit.renews_at),
        limit.source.clone(),
    ]
}

fn shown(view: &VendorView, json: bool) -> Result<(), Failure> {
    if json {
        return out::json(view);
    }
    out::line(&out::bold(&format!("{}: {}", view.vendor, view.status.as_str())))?;
    if let Some(stop) = view.channel.as_ref().and_then(|channel| channel.stopped.as_ref()) {
        let (since, probe_at) = (out::time(stop.since), out::time(stop.probe_at));
        out::line(&format!("  stopped: since {since} by {} {}", stop.code, stop.text))?;
        out::line(&format!("  looked after: {probe_at}"))?;
    }
    let Some(setup) = &view.setup else { return Ok(()) };
    out::line(&format!("  credential: given {}", out::time(setup.credential_at)))?;
    out::line(&format!("  access: {}", access(view)))?;
    if let Some(channel) = &view.channel {
        fares(channel)?;
    }
    out::line(&format!("  settings: {}", setup.settings))?;
    for (name, url) in &setup.hosts {
        out::line(&format!("  host {name}: {url}"))?;
    }
    match &setup.receipts_url {
        Some(url) => out::line(&format!("  receipts: {url}")),
        None => out::line("  receipts: none (the server has no vendors.public_url)"),
    }
}

fn fares(channel: &VendorChannel) -> Result<(), Failure> {
    if let Some(ends_at) = channel.credential_ends_at {
        out::line(&format!("  certificate: ends {}", out::time(ends_at)))?;
    }
    let VendorChannel { rate_per_s, in_flight, waiting, .. } = channel;
    out::line(&format!(
        "  pace: {rate_per_s} devices a second; {in_flight} calls under way, {waiting} waiting"
    ))?;
    if let Some(at) = channel.last_accepted_at {
        out::line(&format!("  last taken: {}", out::time(at)))?;
    }
    if let Some(VendorError { at, refused }) = &channel.last_error {
        let (at, text) = (out::time(*at), refused.text.trim_end());
        out::line(&format!(
            "  last error: {at} {} ({} of the {}) {text}",
            refused.code, refused.class, refused.scope
        ))?;
    }
    Ok(())
}

/// `name=number` or `name=none`.
fn quota_limit(text: &str) -> Result<(String, Option<u64>), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=N or NAME=none")?;
    let per_day = match value {
        "none" => None,
        number => Some(number.parse().map_err(|_| "expected a number or none".to_owned())?),
    };
    Ok((name.to_owned(), per_day))
}

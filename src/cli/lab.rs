//! `carillon lab`: the ten vendors on this machine, until it is told to stop.

use std::fs;
use std::path::{Path, PathBuf};

use carillon_actors::channel::Setup;
use carillon_actors::clock::Clock;
use carillon_sdk::Vendor;
use serde::Serialize;
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};

use super::exit::{Code, Failure};
use super::out;
use crate::data_dir::write_secret;
use crate::lab::{Lab, Options};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Let through what the vendors' documents leave unsure
    #[arg(long)]
    lenient: bool,
    /// The first of ten ports in a row, one a vendor; free ones when absent
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..=65_526))]
    base_port: Option<u16>,
    /// The control surface's port; a free one when absent
    #[arg(long, value_name = "PORT", default_value_t = 0, hide_default_value = true)]
    control_port: u16,
    /// Write credentials, settings and the authority here, as `carillon vendor add` takes them
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Authorities that receipts over HTTPS believe in place of the web's, a PEM file
    #[arg(long, value_name = "FILE")]
    receipts_ca_file: Option<PathBuf>,
    /// When ready, print one JSON object and nothing else
    #[arg(long)]
    json: bool,
}

/// The line of `--json`. Its names are part of the contract.
#[derive(Serialize)]
struct Ready<'a> {
    ready: bool,
    control: String,
    ca_pem: &'a str,
    vendors: Vec<Listening>,
    pid: u32,
}

#[derive(Serialize)]
struct Listening {
    vendor: Vendor,
    url: String,
    credential: Value,
    settings: Value,
    /// By the names that `carillon vendor add --host` takes.
    hosts: std::collections::BTreeMap<String, String>,
    /// Web Push alone: what a browser would give for a device whose messages are accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    subscription: Option<Value>,
}

pub async fn run(args: Args) -> Result<(), Failure> {
    let receipts_ca_pem = args.receipts_ca_file.as_deref().map(super::template::text_of).transpose()?;
    let options = Options {
        is_lenient: args.lenient,
        base_port: args.base_port,
        control_port: Some(args.control_port),
        receipts_ca_pem,
        ..Options::default()
    };
    let lab = Lab::start(Clock::system(), options).await.map_err(Failure::from_error)?;
    if let Some(dir) = &args.out {
        write(&lab, dir)?;
    }
    // Before it says that it is ready: who reads that may stop it at once.
    let listen = |kind| signal(kind).map_err(Failure::from_error);
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    if args.json {
        out::json(&ready(&lab))?;
    } else {
        say(&lab, args.out.as_deref())?;
    }
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

fn ready(lab: &Lab) -> Ready<'_> {
    let listening = |vendor| {
        let Setup { credential, settings, hosts, .. } = lab.setup(vendor);
        let subscription = (vendor == Vendor::WebPush).then(|| lab.subscription("ok-1"));
        Listening { vendor, url: lab.base_url(vendor), credential, settings, hosts, subscription }
    };
    Ready {
        ready: true,
        control: lab.control_url().unwrap_or_default(),
        ca_pem: lab.ca_pem(),
        vendors: Vendor::ALL.into_iter().map(listening).collect(),
        pid: std::process::id(),
    }
}

fn say(lab: &Lab, dir: Option<&Path>) -> Result<(), Failure> {
    let rows: Vec<_> =
        Vendor::ALL.into_iter().map(|vendor| vec![vendor.to_string(), lab.base_url(vendor)]).collect();
    out::table(&["vendor", "listens on"], &rows)?;
    out::line(&format!("control: {}", lab.control_url().unwrap_or_default()))?;
    match dir {
        None => out::line("credentials: none written; --out DIR writes them, --json shows them")?,
        Some(dir) => {
            out::line("set one up by")?;
            for vendor in Vendor::ALL {
                out::line(&format!("  {}", command(lab, dir, vendor)))?;
            }
        }
    }
    out::note("a token's beginning is its fate: ok-, dead-, flaky-3-, slow-500-, quota-; docs/laboratory.md");
    Ok(())
}

fn command(lab: &Lab, dir: &Path, vendor: Vendor) -> String {
    let hosts = lab.setup(vendor).hosts;
    let hosts: String = hosts.iter().map(|(name, url)| format!(" --host {name}={url}")).collect();
    let (dir, ca) = (dir.display(), dir.join(CA));
    format!(
        "carillon vendor add {vendor} --credential-file {dir}/{vendor}.credential.json \
         --settings-file {dir}/{vendor}.settings.json --vendor-ca-file {}{hosts}",
        ca.display()
    )
}

const CA: &str = "lab-ca.pem";

fn write(lab: &Lab, dir: &Path) -> Result<(), Failure> {
    let failed =
        |error: std::io::Error| Failure::new(Code::Failure, format!("make {}: {error}", dir.display()));
    fs::create_dir_all(dir).map_err(failed)?;
    let write = |name: &str, text: &str| write_secret(&dir.join(name), text).map_err(Failure::from_error);
    write(CA, lab.ca_pem())?;
    for vendor in Vendor::ALL {
        let Setup { credential, settings, .. } = lab.setup(vendor);
        write(&format!("{vendor}.credential.json"), &credential.to_string())?;
        write(&format!("{vendor}.settings.json"), &settings.to_string())?;
    }
    write("webpush.subscription.json", &lab.subscription("ok-1").to_string())
}

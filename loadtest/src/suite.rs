//! Which scenarios run, and how their reports are shown.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result};
use carillon_sdk::Vendor;

use crate::args::{Command, Common};
use crate::fleet::DEVICES_PER_PROCESS_MAX;
use crate::report::{Report, histogram, quantile_ms};
use crate::scenario::{
    broadcast, campaign, connect, durable, idle, mixed, restart, single, slow_readers, storm, vendors,
};

/// Devices over which pending messages are spread; a device holds at most 1,000.
const HOLDERS: usize = 2_000;

/// Registered devices of a campaign.
const CAMPAIGN_DEVICES: usize = 100_000;

/// Devices that each get one by their vendor.
const NOTIFICATIONS: usize = 100_000;

/// Runs `command` and prints its reports as they come.
pub(crate) async fn run(common: &Common, command: Command) -> Result<()> {
    if matches!(command, Command::All) {
        return all(common).await;
    }
    for report in one(common, command).await? {
        show(common, &report)?;
    }
    Ok(())
}

async fn one(common: &Common, command: Command) -> Result<Vec<Report>> {
    let fleet = common.setting(DEVICES_PER_PROCESS_MAX)?;
    let holders = common.setting(HOLDERS)?;
    let mut reports = Vec::new();
    let ours = match command {
        Command::Idle => idle::run(&fleet).await?,
        Command::Connect => {
            if !common.no_floor {
                reports.push(connect::run(&fleet.on_floor(false)).await?);
            }
            connect::run(&fleet).await?
        }
        Command::Single { ttl0 } => {
            if !common.no_floor {
                reports.push(single::run(&fleet.on_floor(!ttl0), !ttl0).await?);
            }
            single::run(&fleet, !ttl0).await?
        }
        Command::Broadcast { ack, rounds } => return broadcasts(common, ack, rounds).await,
        Command::Mixed { every_ms } => mixed::run(&fleet, Duration::from_millis(every_ms)).await?,
        Command::Storm => storm::run(&fleet).await?,
        Command::SlowReaders { rounds } => slow_readers::run(&fleet, rounds).await?,
        Command::Durable { live, singles } => durable::run(&holders, live, singles).await?,
        Command::Restart { pending } => restart::run(&holders, pending).await?,
        Command::Campaign { at_a_time } => {
            let setting = common.setting(CAMPAIGN_DEVICES)?;
            campaign::run(&setting, usize::try_from(at_a_time)?).await?
        }
        Command::Vendors { down, how, outage_s } => {
            let down = vendors::Down { vendor: down, how, span: Duration::from_secs(outage_s) };
            vendors::run(&common.setting(NOTIFICATIONS)?, &down).await?
        }
        Command::Floor => return floor(common).await,
        Command::All | Command::Fleet | Command::FloorServer { .. } => return Ok(reports),
    };
    Ok(vec![beside(ours, reports.pop())])
}

async fn broadcasts(common: &Common, ack: bool, rounds: u32) -> Result<Vec<Report>> {
    let fleet = common.setting(DEVICES_PER_PROCESS_MAX)?;
    let floor =
        if common.no_floor { None } else { Some(broadcast::run(&fleet.on_floor(false), rounds, ack).await?) };
    let mut ours = broadcast::run(&fleet, rounds, ack).await?;
    if let Some(floor) = &floor {
        ours.beside_floor(floor);
        if !ack {
            broadcast::hold_against_floor(&mut ours, floor);
        }
    }
    Ok(vec![ours])
}

fn beside(mut ours: Report, floor: Option<Report>) -> Report {
    if let Some(floor) = floor {
        ours.beside_floor(&floor);
    }
    ours
}

/// The bare sender and receiver, by itself.
async fn floor(common: &Common) -> Result<Vec<Report>> {
    let fleet = common.setting(DEVICES_PER_PROCESS_MAX)?;
    let mut reports = vec![
        connect::run(&fleet.on_floor(false)).await?,
        single::run(&fleet.on_floor(true), true).await?,
        single::run(&fleet.on_floor(false), false).await?,
        broadcast::run(&fleet.on_floor(false), 10, false).await?,
    ];
    for report in &mut reports {
        report.scenario.insert_str(0, "floor ");
        report.rows.iter_mut().for_each(|row| row.verdict = None);
    }
    reports.push(fdatasync()?);
    Ok(reports)
}

/// What one append and fdatasync costs on the disk where servers are started.
fn fdatasync() -> Result<Report> {
    const COUNT: usize = 1_000;
    const BYTES: usize = 256;
    let path = std::env::temp_dir().join(format!("carillon-fdatasync-{}", std::process::id()));
    let mut file = std::fs::File::create(&path).context("make a file")?;
    std::fs::remove_file(&path)?;
    let mut spans = histogram();
    for _ in 0..COUNT {
        let start = crate::clock::now_ns();
        file.write_all(&[7; BYTES])?;
        file.sync_data()?;
        spans.saturating_record(crate::clock::now_ns().saturating_sub(start).max(1));
    }
    let mut report = Report::new("floor fdatasync", format!("{COUNT} appends of {BYTES} B, each synced"));
    report.figure("append and fdatasync p50", quantile_ms(&spans, 0.5), "ms");
    report.figure("append and fdatasync p99", quantile_ms(&spans, 0.99), "ms");
    Ok(report)
}

async fn all(common: &Common) -> Result<()> {
    const MILLION: u64 = 1_000_000;
    let commands = [
        Command::Floor,
        Command::Idle,
        Command::Connect,
        Command::Single { ttl0: false },
        Command::Single { ttl0: true },
        Command::Broadcast { ack: false, rounds: 10 },
        Command::Broadcast { ack: true, rounds: 10 },
        Command::Mixed { every_ms: 1_000 },
        Command::Storm,
        Command::SlowReaders { rounds: 100 },
        Command::Durable { live: 200_000, singles: 50_000 },
        Command::Restart { pending: MILLION },
        Command::Campaign { at_a_time: 18_000 },
        Command::Vendors { down: Vendor::Huawei, how: "down".to_owned(), outage_s: 60 },
    ];
    let mut failed = Vec::new();
    for command in commands {
        let name = format!("{command:?}");
        match Box::pin(one(common, command)).await {
            Ok(reports) => reports.iter().try_for_each(|report| show(common, report))?,
            Err(error) => failed.push(format!("{name}: {error:#}")),
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(anyhow::anyhow!("not measured:\n{}", failed.join("\n"))) }
}

#[expect(clippy::print_stdout, reason = "the report is this program's answer")]
fn show(common: &Common, report: &Report) -> Result<()> {
    if common.json {
        println!("{}", serde_json::to_string(report)?);
    } else {
        println!("{}", report.table());
    }
    Ok(())
}

//! A broadcast and a list campaign over many devices that come in turns, the server killed three
//! times in the middle: do they finish, and does every count reconcile to the last device?

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use carillon_sdk::api::campaigns::{
    CampaignPace, CampaignState, CampaignTarget, CampaignView, CreateCampaign,
};
use carillon_sdk::api::{Dimension, Granularity};
use carillon_sdk::client::server::{ListForm, StatsQuery};
use carillon_sdk::client::{AppServer, Trust};
use carillon_sdk::{MessageId, Timestamp};
use tokio::sync::watch;

use super::{Setting, Stage};
use crate::clock::{Deadline, now_ns, seconds_between, seconds_since};
use crate::report::{Report, float};
use crate::server::{Launch, Server};
use crate::turns::{Ledger, Turns};

/// Targets let go a second, of each campaign: slow enough that the kills come in the middle.
const PER_SECOND: u32 = 4_000;
/// The server is killed when so much of all that is to be delivered has been, in percent.
const KILLS: [u64; 3] = [20, 45, 70];
const FINISH_WITHIN: Duration = Duration::from_secs(900);
const LOOK: Duration = Duration::from_millis(250);
/// Stories of single messages that are read and checked.
const STORIES: usize = 1_000;

pub(crate) async fn run(setting: &Setting, at_a_time: usize) -> Result<Report> {
    let Launch::Binary { path, pin, data } = &setting.launch else {
        bail!("this scenario kills the server: it must be started here, with --server-bin");
    };
    let dir = data
        .clone()
        .unwrap_or_else(|| std::env::temp_dir().join(format!("carillon-campaign-{}", std::process::id())));
    let launch = Launch::Binary { path: path.clone(), pin: pin.clone(), data: Some(dir.clone()) };
    let report = measure(&Setting { launch, ..setting.clone() }, at_a_time).await;
    if data.is_none() && Path::new(&dir).exists() {
        std::fs::remove_dir_all(&dir).with_context(|| format!("remove {}", dir.display()))?;
    }
    report
}

/// Both campaigns, by their ids.
struct Campaigns {
    broadcast: String,
    list: String,
}

async fn measure(setting: &Setting, at_a_time: usize) -> Result<Report> {
    let began = now_ns();
    let Stage { mut server, registered, fleet, .. } = Stage::registered(setting).await?;
    // These devices come in turns, which the fleet's do not.
    drop(fleet);
    let registered_s = seconds_since(began);
    let devices = registered.credentials.len();

    let began = now_ns();
    let campaigns = apply(&client(&server)?, devices).await?;
    let planned_s = seconds_since(began);
    let applied = now_ns();
    let (tell, address) = watch::channel(server.ready.devices_tcp.clone());
    let ledgers: Arc<[Ledger]> = (0..devices).map(|_| Ledger::default()).collect();
    let turns = Arc::new(Turns {
        address,
        credentials: registered.credentials,
        ledgers: Arc::clone(&ledgers),
        over: AtomicBool::new(false),
        visits: AtomicU64::new(0),
        first_source: Ipv4Addr::from_bits(0x7f40_0001),
    });
    let comers = turns.start(at_a_time.min(devices));

    let kills = kill(&mut server, setting, &campaigns, devices, &tell).await?;
    let app = client(&server)?;
    let finished = await_finished(&app, &campaigns).await?;
    let took_s = seconds_between(applied, finished);
    turns.over.store(true, Ordering::Relaxed);
    comers.join().await?;
    let cpu_s = kills.cpu_s + server.process().cpu_s()?;

    let mut report = Report::new(
        "campaign",
        format!("a broadcast and a list campaign to {devices} devices, {at_a_time} at a time, three kills"),
    );
    report.figure("registration", registered_s, "s");
    report.figure("upload, plan and apply of both", planned_s, "s");
    report.figure("apply → both finished", took_s, "s");
    report.figure("deliveries a second, wall time", float(2 * devices as u64) / took_s, "/s");
    report.figure("visits of devices", float(turns.visits.load(Ordering::Relaxed)), "");
    report.figure("kill → ready, the longest", kills.restart_s, "s");
    report.figure("server processor time, all four lives", cpu_s, "s");
    report.figure("RSS at its highest, last life", float(server.process().rss_peak_bytes()?), "B");
    let began = now_ns();
    reconcile(&app, &campaigns, &ledgers, &mut report).await?;
    report.figure("reconciliation", seconds_since(began), "s");
    report.note(
        "Every device acked one message of each campaign; the verdicts and the statistics say the same.",
    );
    report.note(super::BOTH_ENDS);
    Ok(report)
}

/// What the kills cost.
struct Kills {
    /// Kill to ready, the longest.
    restart_s: f64,
    /// Of the lives that were ended.
    cpu_s: f64,
}

async fn kill(
    server: &mut Server,
    setting: &Setting,
    campaigns: &Campaigns,
    devices: usize,
    tell: &watch::Sender<String>,
) -> Result<Kills> {
    let mut kills = Kills { restart_s: 0.0, cpu_s: 0.0 };
    for percent in KILLS {
        await_delivered(&client(server)?, campaigns, 2 * devices as u64 * percent / 100).await?;
        kills.cpu_s += server.process().cpu_s()?;
        server.kill().await?;
        let killed = now_ns();
        *server = Server::launch(&setting.launch).await?;
        kills.restart_s = kills.restart_s.max(seconds_since(killed));
        tell.send(server.ready.devices_tcp.clone())?;
    }
    Ok(kills)
}

fn client(server: &Server) -> Result<AppServer> {
    let ready = &server.ready;
    Ok(AppServer::new(&ready.http, ready.key_id.clone(), ready.key_secret.clone(), &Trust::Web)?)
}

async fn apply(app: &AppServer, devices: usize) -> Result<Campaigns> {
    let mut lines = String::with_capacity(devices * 64);
    for at in 0..devices {
        lines.push_str(&format!("{{\"device_id\":\"load-{at}\",\"values\":{{\"n\":\"{at}\"}}}}\n"));
    }
    let list = app.upload_list(ListForm::Ndjson, lines.into(), Some("load"), false).await?;
    let pace = Some(CampaignPace { per_second: Some(PER_SECOND), per_minute: None });
    let all = CampaignTarget { all: true, ..CampaignTarget::default() };
    let each = CampaignTarget { list: Some(list.list.list_id), ..CampaignTarget::default() };
    let mut ids = Vec::new();
    for (to, title) in [(all, "broadcast"), (each, "line #n#")] {
        let campaign =
            CreateCampaign { to, title: Some(title.to_owned()), pace, ..CreateCampaign::default() };
        let made = app.create_campaign(&campaign).await?;
        ensure!(made.planned.targets == devices as u64, "a plan of {} targets", made.planned.targets);
        app.apply_campaign(&made.campaign.campaign_id, &made.planned.plan).await?;
        ids.push(made.campaign.campaign_id);
    }
    let mut ids = ids.into_iter();
    let (Some(broadcast), Some(list)) = (ids.next(), ids.next()) else { bail!("two campaigns") };
    Ok(Campaigns { broadcast, list })
}

async fn both(app: &AppServer, campaigns: &Campaigns) -> Result<[CampaignView; 2]> {
    Ok([app.campaign(&campaigns.broadcast).await?, app.campaign(&campaigns.list).await?])
}

async fn await_delivered(app: &AppServer, campaigns: &Campaigns, wanted: u64) -> Result<()> {
    let deadline = Deadline::after(FINISH_WITHIN);
    loop {
        let views = both(app, campaigns).await?;
        if views.iter().map(|view| view.counts.delivered).sum::<u64>() >= wanted {
            return Ok(());
        }
        ensure!(!deadline.passed(), "{wanted} were not delivered: {views:?}");
        tokio::time::sleep(LOOK).await;
    }
}

/// When both were.
async fn await_finished(app: &AppServer, campaigns: &Campaigns) -> Result<u64> {
    let deadline = Deadline::after(FINISH_WITHIN);
    loop {
        let views = both(app, campaigns).await?;
        if views.iter().all(|view| view.state == CampaignState::Finished) {
            return Ok(now_ns());
        }
        ensure!(!deadline.passed(), "the campaigns did not finish: {views:?}");
        tokio::time::sleep(LOOK).await;
    }
}

/// What the devices acked, what the campaigns count, what statistics count and what each message's
/// story says are the same, or this fails.
async fn reconcile(
    app: &AppServer,
    campaigns: &Campaigns,
    ledgers: &[Ledger],
    report: &mut Report,
) -> Result<()> {
    let all = ledgers.len() as u64;
    let acked = |of: fn(&Ledger) -> &AtomicU32| {
        ledgers.iter().filter(|ledger| of(ledger).load(Ordering::Relaxed) > 0).count() as u64
    };
    ensure!(acked(|ledger| &ledger.broadcast) == all, "devices that never acked the broadcast");
    ensure!(acked(|ledger| &ledger.line) == all, "devices that never acked their line");
    for view in both(app, campaigns).await? {
        let counts = view.counts;
        let told = (counts.targets, counts.released, counts.accepted, counts.delivered, counts.pending);
        ensure!(told == (all, all, all, all, 0), "{view:?}");
        let counted = statistics(app, &view.campaign_id).await?;
        ensure!(counted == (all, all), "statistics of {}: {counted:?}", view.campaign_id);
    }
    let message = ledgers.first().and_then(Ledger::broadcast_message).context("a broadcast's id")?;
    ensure!(story(app, message).await? == all, "the broadcast's story has not one verdict a device");
    let step = ledgers.len().div_ceil(STORIES).max(1);
    for ledger in ledgers.iter().step_by(step) {
        let message = ledger.line_message().context("a line's id")?;
        ensure!(story(app, message).await? == 1, "a line's story has not one verdict");
    }
    let received = |of: fn(&Ledger) -> &AtomicU32| {
        ledgers.iter().map(|ledger| u64::from(of(ledger).load(Ordering::Relaxed))).sum::<u64>()
    };
    let repeats = received(|ledger| &ledger.broadcast) + received(|ledger| &ledger.line) - 2 * all;
    report.figure("repeats that devices saw", float(repeats), "");
    Ok(())
}

async fn statistics(app: &AppServer, task: &str) -> Result<(u64, u64)> {
    let day_ms = 24 * 3_600_000;
    let now_ms = now_ns() / 1_000_000;
    let query = StatsQuery {
        // A run may go over midnight.
        from: Some(Timestamp::from_millis(now_ms - 2 * day_ms)),
        to: Some(Timestamp::from_millis(now_ms + day_ms)),
        granularity: Granularity::Day,
        group_by: vec![Dimension::Task],
    };
    let rows = app.stats(&query).await?.rows;
    let of_task = rows.iter().filter(|row| row.group.get("task").is_some_and(|of| of == task));
    Ok(of_task.fold((0, 0), |(accepted, arrived), row| (accepted + row.accepted, arrived + row.arrived)))
}

/// Devices of a message's story, each of which must have been delivered to, once.
async fn story(app: &AppServer, message: MessageId) -> Result<u64> {
    let (mut devices, mut cursor) = (std::collections::HashSet::new(), None::<String>);
    loop {
        let page = app.message(message, cursor.as_deref()).await?;
        for target in page.targets {
            ensure!(target.state == "delivered", "{target:?}");
            ensure!(devices.insert(target.device_id), "two rows of one device");
        }
        cursor = page.next;
        if cursor.is_none() {
            return Ok(devices.len() as u64);
        }
    }
}

//! Notifications spread over all ten vendors, twice: while all are well, and while one is down for a
//! minute. Does every target end in one verdict, does anybody get one twice, and do the other nine
//! notice?

mod crowd;
mod round;
mod verdicts;

use std::time::Duration;

use anyhow::{Result, bail};
use carillon_sdk::Vendor;
use carillon_sdk::client::{AppServer, Trust};

use self::round::{Outage, Played, Round};
use super::Setting;
use crate::lab::Lab;
use crate::report::{Report, float, quantile_ms};
use crate::server::{Launch, Server};

/// One that is down, from the first push on.
#[derive(Debug)]
pub(crate) struct Down {
    pub(crate) vendor: Vendor,
    /// As the laboratory names it: `down`, `silent`, `unreachable`.
    pub(crate) how: String,
    pub(crate) span: Duration,
}

/// Receipts in one post, as a vendor with much to tell sends them.
const RECEIPTS_BATCH: usize = 50;
const RECEIPTS_DELAY: Duration = Duration::from_secs(1);

pub(crate) async fn run(setting: &Setting, down: &Down) -> Result<Report> {
    let Launch::Binary { path, .. } = &setting.launch else {
        bail!("this scenario starts the vendors beside the server: it needs --server-bin");
    };
    let lab = Lab::start(path).await?;
    lab.set_receipts(RECEIPTS_BATCH, RECEIPTS_DELAY).await?;
    let server = Server::launch(&setting.launch).await?;
    let ready = &server.ready;
    let app = AppServer::new(&ready.http, ready.key_id.clone(), ready.key_secret.clone(), &Trust::Web)?;
    set_up(&app, &lab).await?;

    let each = setting.devices / Vendor::ALL.len();
    let cpu =
        || Ok::<_, anyhow::Error>((server.process().cpu_with_ended_s()?, lab.process().cpu_with_ended_s()?));
    let mut rounds = Vec::new();
    for (name, outage) in [("well", None), ("down", Some(Outage { lab: &lab, down }))] {
        let round = Round::prepare(&app, &lab, name, each).await?;
        let before = cpu()?;
        let played = round.play(outage).await?;
        let after = cpu()?;
        rounds.push((played, after.0 - before.0, after.1 - before.1));
    }
    let (Some(other), Some(well)) = (rounds.pop(), rounds.pop()) else { bail!("two rounds") };

    let mut report = Report::new(
        "vendors",
        format!(
            "{} notifications over ten vendors, 5 % to dead tokens, 5 % flaky; twice, the second time with \
             {} {} for {} s",
            each * Vendor::ALL.len(),
            down.vendor,
            down.how,
            down.span.as_secs()
        ),
    );
    compare(&mut report, &well.0, &other.0, down)?;
    for (when, (_, server_s, lab_s)) in [("all well", &well), ("one down", &other)] {
        report.figure(&format!("server processor time, {when}"), *server_s, "s");
        report.figure(&format!("laboratory processor time, {when}"), *lab_s, "s");
    }
    report.figure("server RSS at its highest", float(server.process().rss_peak_bytes()?), "B");
    report.note(
        "Every target has one verdict, and each notification was taken once or, of a dead token, never.",
    );
    report.note("The laboratory's ten vendors, the server and the app server share this machine's cores.");
    Ok(report)
}

async fn set_up(app: &AppServer, lab: &Lab) -> Result<()> {
    for vendor in Vendor::ALL {
        let view = app.put_vendor(vendor, &lab.setup(vendor)?, None).await?;
        // The others are told with each message.
        let in_console = matches!(vendor, Vendor::Huawei | Vendor::HarmonyOs | Vendor::Honor);
        if let Some(url) = view.setup.and_then(|setup| setup.receipts_url).filter(|_| in_console) {
            lab.set_receipts_url(vendor, &url).await?;
        }
    }
    Ok(())
}

/// How long each vendor's took, in both rounds.
fn compare(report: &mut Report, well: &Played, other: &Played, down: &Down) -> Result<()> {
    let mut slowest: f64 = 0.0;
    for vendor in Vendor::ALL {
        let (before, during) = (well.last_taken_s(vendor)?, other.last_taken_s(vendor)?);
        report.figure(&format!("{vendor}: last taken, all well"), before, "s");
        report.figure(&format!("{vendor}: last taken, one down"), during, "s");
        if vendor != down.vendor {
            slowest = slowest.max(during / before);
        }
    }
    report.figure("the other nine: last taken, one down / all well, the worst", slowest, "×");
    for (when, played) in [("all well", well), ("one down", other)] {
        let urgent = played.urgent_latencies(&|vendor| vendor != down.vendor)?;
        report.figure(&format!("urgent push → taken, {when}: p50"), quantile_ms(&urgent, 0.5), "ms");
        report.figure(&format!("urgent push → taken, {when}: p99"), quantile_ms(&urgent, 0.99), "ms");
        report.figure(&format!("last verdict, {when}"), played.over_s, "s");
        for (state, count) in &played.states {
            report.figure(&format!("{state}, {when}"), float(*count), "");
        }
        report.figure(&format!("taken twice, {when}"), float(played.repeats), "");
    }
    Ok(())
}

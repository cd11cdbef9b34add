//! Notifications spread over all ten vendors, three times: while all are well, while one is down for a
//! minute, and while all are well again, for the store has grown meanwhile. Does every target end in one
//! verdict, does anybody get one twice, and do the other nine notice?

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

/// As the report calls the rounds.
const WHEN: [&str; 3] = ["all well", "one down", "well again"];

/// Processor time from the first push to the last verdict, and to the receipts after it.
struct Spent {
    server_s: f64,
    lab_s: f64,
}

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
    let mut played = Vec::new();
    let rounds = [("well", None), ("down", Some(Outage { lab: &lab, down })), ("again", None)];
    for (at, (name, outage)) in rounds.into_iter().enumerate() {
        let round = Round::prepare(&app, &lab, (name, at), each).await?;
        let before = cpu()?;
        let over = round.play(outage).await?;
        let after = cpu()?;
        let spent = Spent { server_s: after.0 - before.0, lab_s: after.1 - before.1 };
        played.push((WHEN[at], over.judge().await?, spent));
    }

    let mut report = Report::new(
        "vendors",
        format!(
            "{} notifications over ten vendors, 5 % to dead tokens, 5 % flaky; three times, the second with \
             {} {} for {} s",
            each * Vendor::ALL.len(),
            down.vendor,
            down.how,
            down.span.as_secs()
        ),
    );
    compare(&mut report, &played, down)?;
    for (when, _, spent) in &played {
        report.figure(&format!("server processor time, {when}"), spent.server_s, "s");
        report.figure(&format!("laboratory processor time, {when}"), spent.lab_s, "s");
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

/// How long each vendor's took, in each round.
fn compare(report: &mut Report, played: &[(&str, Played, Spent)], down: &Down) -> Result<()> {
    let mut slowest: f64 = 0.0;
    for vendor in Vendor::ALL {
        let mut spans = Vec::new();
        for (when, played, _) in played {
            let last_s = played.last_taken_s(vendor)?;
            report.figure(&format!("{vendor}: last taken, {when}"), last_s, "s");
            spans.push(last_s);
        }
        let [well, during, again] = spans[..] else { bail!("three rounds") };
        if vendor != down.vendor {
            slowest = slowest.max(2.0 * during / (well + again));
        }
    }
    report.figure("the other nine: last taken, one down / mean of all well, the worst", slowest, "×");
    for (when, played, _) in played {
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

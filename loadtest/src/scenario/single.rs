//! A push to one device among many idle ones: from the moment it was due to be sent over HTTP
//! until the device has read it. Open loop.

use anyhow::{Result, bail};

use super::{BOTH_ENDS, DELIVER_WITHIN, Setting, Stage};
use crate::fleet::protocol::Command;
use crate::fleet::whole;
use crate::goals;
use crate::report::{Report, float, quantile_ms};

/// Kept-alive connections of the app server.
const CONNECTIONS: usize = 64;

pub(crate) async fn run(setting: &Setting, durable: bool) -> Result<Report> {
    let mut stage = Stage::connected(setting, true).await?;
    let process = stage.server.process();
    let shape = setting.shape(if durable { None } else { Some(0) });
    // Once without counting: connections, caches and branch predictors are warm afterwards.
    let warm =
        stage.app.at_rate(&stage.registered.ids, 200, std::time::Duration::from_secs(1), 4, shape).await?;
    stage.fleet.wait("warmed up", warm.accepted, DELIVER_WITHIN, |told| told.singles).await?;
    stage.fleet.ask(Command::Reset).await?;
    let cpu_before = process.cpu_s()?;
    let sent = stage
        .app
        .at_rate(&stage.registered.ids, setting.rate_per_s, setting.span, CONNECTIONS, shape)
        .await?;
    if sent.accepted == 0 {
        bail!("no push was accepted; the last answer: {:?}", sent.trouble);
    }
    stage.fleet.wait("delivered", sent.accepted, DELIVER_WITHIN, |told| told.singles).await?;
    let cpu_s = process.cpu_s()? - cpu_before;
    let told = stage.fleet.ask(Command::Everything).await?;

    let latency = whole(&told.single_latency);
    let durability = if durable { "durable" } else { "ttl 0" };
    let mut report = Report::new(
        "single",
        format!(
            "{durability}, {} devices over {}, {}/s for {} s, {} B",
            setting.devices,
            setting.transport(),
            setting.rate_per_s,
            setting.span.as_secs(),
            setting.payload_bytes
        ),
    );
    let (p50, p99) = if durable {
        (&goals::G2_P50_MS, &goals::G2_P99_MS)
    } else {
        (&goals::G2V_P50_MS, &goals::G2V_P99_MS)
    };
    report.against(p50, "due → read by the device p50", quantile_ms(&latency, 0.5), "ms");
    report.against(p99, "due → read by the device p99", quantile_ms(&latency, 0.99), "ms");
    let p999 = quantile_ms(&latency, 0.999);
    if durable {
        report.against(&goals::G2_P999_MS, "due → read by the device p99.9", p999, "ms");
    } else {
        report.figure("due → read by the device p99.9", p999, "ms");
    }
    report.figure("due → read by the device max", quantile_ms(&latency, 1.0), "ms");
    report.figure("due → 202 p50", quantile_ms(&sent.accepted_after, 0.5), "ms");
    report.figure("due → 202 p99", quantile_ms(&sent.accepted_after, 0.99), "ms");
    report.figure("server processor time a push", 1e6 * cpu_s / float(sent.accepted), "µs");
    report.figure("accepted", float(sent.accepted), "");
    report.figure("read beyond that (repeats)", float(told.singles) - float(sent.accepted), "");
    report.figure("refused", float(sent.refused), "");
    report.note(BOTH_ENDS);
    if let Some(trouble) = sent.trouble {
        report.note(format!("The last refusal: {trouble}"));
    }
    Ok(report)
}

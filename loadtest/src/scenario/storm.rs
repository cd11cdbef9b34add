//! All connections cut at once: how long until everybody is back, and at what peak.

use anyhow::Result;

use super::{BOTH_ENDS, CONNECT_WITHIN, Setting, Stage};
use crate::clock::{now_ns, seconds_between};
use crate::fleet::protocol::Command;
use crate::fleet::whole;
use crate::goals;
use crate::report::{Report, float, quantile_ms};

pub(crate) async fn run(setting: &Setting) -> Result<Report> {
    let mut stage = Stage::connected(setting, true).await?;
    let process = stage.server.process();
    let before = process.rss_bytes()?;
    let cpu_before = process.cpu_s()?;
    stage.fleet.ask(Command::Reset).await?;
    let cut_ns = now_ns();
    stage.fleet.ask(Command::Cut { reconnect: true }).await?;
    stage.fleet.wait_open(setting.devices as u64, CONNECT_WITHIN).await?;
    let told = stage.fleet.ask(Command::Everything).await?;
    let cpu_s = process.cpu_s()? - cpu_before;
    let peak = process.rss_peak_bytes()?;

    let mut report =
        Report::new("storm", format!("{} devices over {} cut at once", setting.devices, setting.transport()));
    report.against(
        &goals::G11_BACK_S,
        "until all are back",
        seconds_between(cut_ns, told.last_welcome_ns),
        "s",
    );
    report.against(
        &goals::G11_PEAK_RATIO,
        "highest RSS, multiple of that before",
        float(peak) / float(before),
        "×",
    );
    report.figure("server processor time a device", 1e6 * cpu_s / float(setting.devices as u64), "µs");
    report.figure("connect → welcome p99", quantile_ms(&whole(&told.connect_latency), 0.99), "ms");
    report.figure("sent away and back later", float(told.refused), "");
    report.note(BOTH_ENDS);
    Ok(report)
}

//! One device in a hundred stops reading while 1 KB broadcasts go to all: the others must not
//! notice, the server must not grow, and the slow ones get everything once they read again.

use anyhow::Result;
use hdrhistogram::Histogram;

use super::{BOTH_ENDS, DELIVER_WITHIN, Setting, Stage};
use crate::app_server::Shape;
use crate::fleet::protocol::Command;
use crate::fleet::whole;
use crate::goals;
use crate::report::{Report, float, quantile_ms};

const SLOW_ONE_IN: usize = 100;
const SHAPE: Shape = Shape { payload_bytes: 1024, ttl_s: Some(600) };

pub(crate) async fn run(setting: &Setting, rounds: u32) -> Result<Report> {
    let mut stage = Stage::connected(setting, true).await?;
    let process = stage.server.process();
    let all = setting.devices as u64;
    let without = rounds_to(&mut stage, rounds, all).await?;
    let before = process.rss_bytes()?;

    let slow = setting.devices.div_ceil(SLOW_ONE_IN) as u64;
    stage.fleet.ask(Command::Stall(SLOW_ONE_IN)).await?;
    let with = rounds_to(&mut stage, rounds, all - slow).await?;
    let after = process.rss_bytes()?;
    stage.fleet.ask(Command::Stall(0)).await?;
    let told = stage
        .fleet
        .wait("delivered at last", u64::from(rounds) * all, DELIVER_WITHIN, |told| told.broadcasts)
        .await?;

    let (p99_without, p99_with) = (quantile_ms(&without, 0.99), quantile_ms(&with, 0.99));
    let mut report = Report::new(
        "slow-readers",
        format!(
            "{slow} of {all} devices do not read during {rounds} broadcasts of {} B",
            SHAPE.payload_bytes
        ),
    );
    report.against(
        &goals::G10_BYTES,
        "RSS growth for each slow device",
        (float(after) - float(before)).max(0.0) / float(slow),
        "B",
    );
    report.against(
        &goals::G10_RATIO,
        "the others' p99, multiple of that without",
        p99_with / p99_without,
        "×",
    );
    report.figure("p99 without slow devices", p99_without, "ms");
    report.figure("the others' p99 with them", p99_with, "ms");
    report.figure("connections closed for slowness", float(told.lost), "");
    report.note("Everything reached the slow devices once they read again, or came back.");
    report.note(BOTH_ENDS);
    Ok(report)
}

/// Broadcasts `rounds` times, each waited for until `readers` have it; answers their latencies.
async fn rounds_to(stage: &mut Stage, rounds: u32, readers: u64) -> Result<Histogram<u64>> {
    stage.fleet.ask(Command::Reset).await?;
    let mut connection = stage.app.connection().await?;
    for round in 1..=u64::from(rounds) {
        stage.app.broadcast(&mut connection, SHAPE).await?;
        stage.fleet.wait("delivered", round * readers, DELIVER_WITHIN, |told| told.broadcasts).await?;
    }
    Ok(whole(&stage.fleet.ask(Command::Everything).await?.broadcast_latency))
}

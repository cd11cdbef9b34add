//! One message to every device, again and again: what a delivery costs.

use anyhow::Result;

use super::{BOTH_ENDS, DELIVER_WITHIN, Setting, Stage};
use crate::clock::seconds_between;
use crate::fleet::protocol::Command;
use crate::fleet::whole;
use crate::goals;
use crate::report::{Report, float, quantile_ms};

/// `rounds` broadcasts, each waited for. With `ack` every device acks and both ends count.
pub(crate) async fn run(setting: &Setting, rounds: u32, ack: bool) -> Result<Report> {
    let mut stage = Stage::connected(setting, ack).await?;
    let process = stage.server.process();
    let mut connection = stage.app.connection().await?;
    let shape = setting.shape(Some(600));
    let devices = setting.devices as u64;
    let (mut wall_s, mut to_last) = (0.0, crate::report::histogram());
    let cpu_before = process.cpu_s()?;
    for round in 1..=u64::from(rounds) {
        let due = crate::clock::now_ns();
        stage.app.broadcast(&mut connection, shape).await?;
        let told =
            stage.fleet.wait("delivered", round * devices, DELIVER_WITHIN, |told| told.broadcasts).await?;
        wall_s += seconds_between(due, told.last_push_ns);
        to_last.saturating_record(told.last_push_ns.saturating_sub(due).max(1));
    }
    // Acks are still being counted when the last device has read.
    tokio::time::sleep(super::SETTLE).await;
    let cpu_s = process.cpu_s()? - cpu_before;
    let told = stage.fleet.ask(Command::Everything).await?;

    let deliveries = float(devices * u64::from(rounds));
    let kind = if ack { "acked" } else { "unacked" };
    let mut report = Report::new(
        "broadcast",
        format!(
            "{kind}, {rounds} broadcasts to {devices} devices over {}, {} B",
            setting.transport(),
            setting.payload_bytes
        ),
    );
    if ack {
        report.against(&goals::G5A_RATE, "deliveries a second, wall time", deliveries / wall_s, "/s");
    } else {
        report.figure("deliveries a second, wall time", deliveries / wall_s, "/s");
    }
    let rate = deliveries / cpu_s;
    if ack {
        report.figure("deliveries a second of server processor time", rate, "/s");
    } else {
        report.against(&goals::G5_RATE, "deliveries a second of server processor time", rate, "/s");
    }
    report.figure("server processor time a delivery", 1e6 * cpu_s / deliveries, "µs");
    report.figure("due → the last device p50", quantile_ms(&to_last, 0.5), "ms");
    report.figure("due → any device p99", quantile_ms(&whole(&told.broadcast_latency), 0.99), "ms");
    report.figure("fleet processor time a delivery", 1e6 * told.cpu_s / deliveries, "µs");
    report.figure("read beyond that (repeats)", float(told.broadcasts) - deliveries, "");
    report.note(BOTH_ENDS);
    Ok(report)
}

/// G5 asks for the ratio to the floor as well.
pub(crate) fn hold_against_floor(report: &mut Report, floor: &Report) {
    const COST: &str = "server processor time a delivery";
    report.beside_floor(floor);
    if let (Some(ours), Some(floor)) = (report.value(COST), floor.value(COST))
        && floor > 0.0
    {
        report.against(
            &goals::G5_RATIO,
            "processor time a delivery, multiple of the floor's",
            ours / floor,
            "×",
        );
    }
}

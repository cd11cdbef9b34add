//! Messages made durable a second, for devices that are offline: by one push that names many
//! devices, and by one POST each. Closed loop: capacity, not latency.

use anyhow::{Result, bail};

use super::{Setting, Stage};
use crate::clock::{now_ns, seconds_since};
use crate::goals;
use crate::report::{Report, float, quantile_ms};

/// Devices a batch names, and connections that send batches.
const BATCH: usize = 500;
const BATCH_CONNECTIONS: usize = 8;
/// Connections that send one push at a time: what waits together commits together.
const SINGLE_CONNECTIONS: usize = 128;

/// Fills the queues to `live` messages by batches, then sends `singles` more one by one, then a
/// broadcast to everybody offline.
pub(crate) async fn run(setting: &Setting, live: u64, singles: u64) -> Result<Report> {
    let stage = Stage::registered(setting).await?;
    let process = stage.server.process();
    let shape = setting.shape(Some(3600));
    let ids = &stage.registered.ids;
    let mut report = Report::new(
        "durable",
        format!(
            "{live} messages live on {} offline devices, then {singles} more; {} B",
            setting.devices, setting.payload_bytes
        ),
    );

    let (start, cpu, disk) = (now_ns(), process.cpu_s()?, process.written_bytes()?);
    let batches = stage.app.flat_out(ids, live / BATCH as u64, BATCH, BATCH_CONNECTIONS, shape).await?;
    let seconds = seconds_since(start);
    if batches.accepted == 0 {
        bail!("no batch was accepted; the last answer: {:?}", batches.trouble);
    }
    let made = float(batches.accepted);
    report.against(&goals::G7_BATCH_RATE, "by batches", made / seconds, "/s");
    report.figure("by batches: server processor time a message", 1e6 * (process.cpu_s()? - cpu) / made, "µs");
    report.figure("by batches: written a message", float(process.written_bytes()? - disk) / made, "B");

    let (start, cpu, disk) = (now_ns(), process.cpu_s()?, process.written_bytes()?);
    let ones = stage.app.flat_out(ids, singles, 1, SINGLE_CONNECTIONS, shape).await?;
    let seconds = seconds_since(start);
    let made = float(ones.accepted);
    report.against(&goals::G7_SINGLE_RATE, "one POST each", made / seconds, "/s");
    report.figure("one POST each: server processor time", 1e6 * (process.cpu_s()? - cpu) / made, "µs");
    report.figure("one POST each: written a message", float(process.written_bytes()? - disk) / made, "B");
    report.figure("one POST each: 202 after p50", quantile_ms(&ones.accepted_after, 0.5), "ms");
    report.figure("one POST each: 202 after p99", quantile_ms(&ones.accepted_after, 0.99), "ms");

    tokio::time::sleep(super::SETTLE).await;
    let disk = process.written_bytes()?;
    let mut connection = stage.app.connection().await?;
    stage.app.broadcast(&mut connection, shape).await?;
    tokio::time::sleep(super::SETTLE).await;
    let each = float(process.written_bytes()? - disk) / float(setting.devices as u64);
    report.against(&goals::G9_BYTES, "broadcast to offline devices: written a device", each, "B");

    report.figure("refused", float(batches.refused + ones.refused), "");
    report.figure("RSS", float(process.rss_bytes()?), "B");
    report.note("A 202 here is an fdatasync of this machine's disk; what that costs by itself is in `loadtest floor`.");
    if let Some(trouble) = batches.trouble.or(ones.trouble) {
        report.note(format!("The last refusal: {trouble}"));
    }
    Ok(report)
}

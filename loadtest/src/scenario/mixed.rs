//! Single pushes while broadcasts to everybody are under way: what a customer feels.

use std::time::Duration;

use anyhow::{Result, bail};

use super::{BOTH_ENDS, CONNECT_WITHIN, DELIVER_WITHIN, SETTLE, Setting, Stage};
use crate::clock::Deadline;
use crate::fleet::protocol::Command;
use crate::fleet::{Fleet, whole};
use crate::goals;
use crate::report::{Report, float, quantile_ms};

const CONNECTIONS: usize = 64;
/// Devices that get the single pushes. They are a fleet of their own, or what was measured would be
/// how long one thread takes to read a broadcast for everybody.
const PROBES: usize = 500;

pub(crate) async fn run(setting: &Setting, broadcast_every: Duration) -> Result<Report> {
    let crowd = setting.devices.saturating_sub(PROBES).max(1);
    let mut stage = Stage::registered(setting).await?;
    let way = stage.way(setting, true)?;
    let mut probes = Fleet::start(setting.devices - crowd, 1)?;
    stage.fleet = Fleet::start(crowd, setting.fleets)?;
    stage.fleet.connect(&way, &stage.registered.credentials[..crowd], CONNECT_WITHIN).await?;
    probes.connect(&way, &stage.registered.credentials[crowd..], CONNECT_WITHIN).await?;
    tokio::time::sleep(SETTLE).await;
    let broadcasting = {
        let (app, shape, deadline) =
            (stage.app.clone(), setting.shape(Some(600)), Deadline::after(setting.span));
        tokio::spawn(async move {
            let mut connection = app.connection().await?;
            let (mut ticks, mut count) = (tokio::time::interval(broadcast_every), 0_u64);
            while !deadline.passed() {
                ticks.tick().await;
                app.broadcast(&mut connection, shape).await?;
                count += 1;
            }
            anyhow::Ok(count)
        })
    };
    let sent = stage
        .app
        .at_rate(
            &stage.registered.ids[crowd..],
            setting.rate_per_s,
            setting.span,
            CONNECTIONS,
            setting.shape(None),
        )
        .await?;
    let broadcasts = broadcasting.await??;
    if sent.accepted == 0 {
        bail!("no push was accepted; the last answer: {:?}", sent.trouble);
    }
    probes.wait("delivered", sent.accepted, DELIVER_WITHIN, |told| told.singles).await?;
    let wanted = broadcasts * crowd as u64;
    stage.fleet.wait("broadcast", wanted, DELIVER_WITHIN, |told| told.broadcasts).await?;
    let told = stage.fleet.ask(Command::Everything).await?;

    let single = whole(&probes.ask(Command::Everything).await?.single_latency);
    let mut report = Report::new(
        "mixed",
        format!(
            "durable singles at {}/s during {broadcasts} acked broadcasts to {} devices, one every {broadcast_every:?}",
            setting.rate_per_s, setting.devices
        ),
    );
    report.figure("single, due → read p50", quantile_ms(&single, 0.5), "ms");
    report.against(&goals::G3_P99_MS, "single, due → read p99", quantile_ms(&single, 0.99), "ms");
    report.figure("single, due → read max", quantile_ms(&single, 1.0), "ms");
    report.figure("broadcast, due → read p99", quantile_ms(&whole(&told.broadcast_latency), 0.99), "ms");
    report.figure("singles refused", float(sent.refused), "");
    report
        .note("The single pushes go to 500 devices of a fleet process of their own, the broadcasts to all.");
    report.note(BOTH_ENDS);
    Ok(report)
}

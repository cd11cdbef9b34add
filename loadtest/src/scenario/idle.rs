//! Bytes of server memory for a device that is connected and does nothing.

use anyhow::Result;

use super::{SETTLE, Setting, Stage};
use crate::app_server::AppServer;
use crate::fleet::Fleet;
use crate::goals;
use crate::report::{Report, float};
use crate::server::Server;

pub(crate) async fn run(setting: &Setting) -> Result<Report> {
    let server = Server::launch(&setting.launch).await?;
    let process = server.process();
    let empty = process.rss_bytes()?;
    let mut app = AppServer::of(&server);
    let registered = app.register("load", setting.devices).await?;
    tokio::time::sleep(SETTLE).await;
    let offline = process.rss_bytes()?;
    let mut stage = Stage { server, app, registered, fleet: Fleet::start(setting.devices, setting.fleets)? };
    stage.connect(setting, true).await?;
    tokio::time::sleep(SETTLE).await;
    let online = process.rss_bytes()?;
    let cpu_before = process.cpu_s()?;
    tokio::time::sleep(setting.span).await;
    let cpu_idle = process.cpu_s()? - cpu_before;

    let devices = float(setting.devices as u64);
    let each = |from: u64, to: u64| (float(to) - float(from)) / devices;
    let mut report = Report::new("idle", format!("{} devices over {}", setting.devices, setting.transport()));
    let goal = if setting.tls { &goals::G4T_BYTES } else { &goals::G4_BYTES };
    report.against(goal, "RSS per idle device, its registration included", each(empty, online), "B");
    report.figure("of that: its connection", each(offline, online), "B");
    report.figure("of that: its registration", each(empty, offline), "B");
    report.figure("RSS, server without devices", float(empty), "B");
    report.figure("RSS, all devices connected", float(online), "B");
    report.figure("processor share while idle", 100.0 * cpu_idle / setting.span.as_secs_f64(), "%");
    report.note("The kernel's own memory for a connection (about 4.1 KB an end) is not the process's and comes on top.");
    report.note(
        "Registering leaves pages in the store's cache, which count as registration here and are bounded.",
    );
    Ok(report)
}

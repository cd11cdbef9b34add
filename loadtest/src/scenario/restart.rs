//! SIGKILL with many messages pending, and start again: how long until it listens, and until a
//! device that connects has its first message.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::{Setting, Stage};
use crate::clock::{now_ns, seconds_between, seconds_since};
use crate::fleet::{Fleet, Way};
use crate::goals;
use crate::report::{Report, float};
use crate::server::{Launch, Server};

const BATCH: usize = 500;
const BATCH_CONNECTIONS: usize = 8;
/// Devices that connect after the restart, and messages each has waiting at least.
const FIRST_DEVICES: usize = 1;
const DELIVER_WITHIN: Duration = Duration::from_secs(60);

pub(crate) async fn run(setting: &Setting, pending: u64) -> Result<Report> {
    let Launch::Binary { path, pin, data } = &setting.launch else {
        bail!("this scenario kills the server: it must be started here, with --server-bin");
    };
    let dir = data
        .clone()
        .unwrap_or_else(|| std::env::temp_dir().join(format!("carillon-restart-{}", std::process::id())));
    let launch = Launch::Binary { path: path.clone(), pin: pin.clone(), data: Some(dir.clone()) };
    let setting = Setting { launch, ..setting.clone() };
    let report = measure(&setting, pending, &dir).await;
    if data.is_none() {
        std::fs::remove_dir_all(&dir).with_context(|| format!("remove {}", dir.display()))?;
    }
    report
}

async fn measure(setting: &Setting, pending: u64, dir: &Path) -> Result<Report> {
    let mut stage = Stage::registered(setting).await?;
    let sent = stage
        .app
        .flat_out(
            &stage.registered.ids,
            pending / BATCH as u64,
            BATCH,
            BATCH_CONNECTIONS,
            setting.shape(Some(3600)),
        )
        .await?;
    if sent.accepted == 0 {
        bail!("no push was accepted; the last answer: {:?}", sent.trouble);
    }
    let full_rss = stage.server.process().rss_bytes()?;
    stage.server.kill().await?;

    let start = now_ns();
    let server = Server::launch(&setting.launch).await?;
    let listening_s = seconds_since(start);
    let way = Way {
        address: server.ready.devices_tcp.clone(),
        ca_pem: None,
        opening_max: FIRST_DEVICES,
        ack: true,
    };
    let mut fleet = Fleet::start(FIRST_DEVICES, 1)?;
    fleet.connect(&way, &stage.registered.credentials[..FIRST_DEVICES], DELIVER_WITHIN).await?;
    let told = fleet.wait("first delivery", 1, DELIVER_WITHIN, |told| told.singles).await?;

    let mut report =
        Report::new("restart", format!("{} messages pending on {} devices", sent.accepted, setting.devices));
    report.against(&goals::G8_LISTENING_S, "start → listening", listening_s, "s");
    let first_s = seconds_between(start, told.first_push_ns);
    report.against(&goals::G8_DELIVERY_S, "start → first delivery", first_s, "s");
    report.figure("server processor time until then", server.process().cpu_s()?, "s");
    report.figure("RSS before the kill", float(full_rss), "B");
    report.figure("RSS after the restart", float(server.process().rss_bytes()?), "B");
    report.figure("on disk", float(tree_bytes(dir)?), "B");
    report.note("Killed with SIGKILL right after the last 202. The page cache was warm: reading a cold disk comes on top.");
    Ok(report)
}

fn tree_bytes(dir: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(dir).with_context(|| format!("read {}", dir.display()))? {
        let entry = entry?;
        sum += if entry.file_type()?.is_dir() { tree_bytes(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(sum)
}

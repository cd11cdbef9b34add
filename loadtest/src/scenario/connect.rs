//! Connect, Hello, Welcome: how many a second, and what each costs the server.

use anyhow::Result;

use super::{BOTH_ENDS, Setting, Stage};
use crate::clock::seconds_between;
use crate::fleet::protocol::Command;
use crate::fleet::whole;
use crate::goals;
use crate::report::{Report, float, quantile_ms};

pub(crate) async fn run(setting: &Setting) -> Result<Report> {
    let mut stage = Stage::registered(setting).await?;
    let process = stage.server.process();
    let cpu_before = process.cpu_s()?;
    stage.connect(setting, true).await?;
    let cpu_s = process.cpu_s()? - cpu_before;
    let told = stage.fleet.ask(Command::Everything).await?;

    let devices = float(told.welcomed);
    let seconds = seconds_between(told.first_hello_ns, told.last_welcome_ns);
    let latency = whole(&told.connect_latency);
    let mut report =
        Report::new("connect", format!("{} devices over {}", setting.devices, setting.transport()));
    let goal = if setting.tls { &goals::G6T_RATE } else { &goals::G6_RATE };
    report.against(goal, "connect → welcome", devices / seconds, "/s");
    report.figure("server processor time a connection", 1e6 * cpu_s / devices, "µs");
    report.figure("connections a second of server processor time", devices / cpu_s, "/s");
    report.figure("connect → welcome p50", quantile_ms(&latency, 0.5), "ms");
    report.figure("connect → welcome p99", quantile_ms(&latency, 0.99), "ms");
    report.figure("fleet processor time a connection", 1e6 * told.cpu_s / devices, "µs");
    report.figure("refused and retried", float(told.refused), "");
    report.note(BOTH_ENDS);
    if setting.tls {
        report.note("Full TLS 1.3 handshakes; the fleet verifies certificates, on the same cores.");
    }
    Ok(report)
}

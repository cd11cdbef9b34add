//! A fleet of devices, in as many processes as their number needs.

pub(crate) mod child;
mod device;
pub(crate) mod protocol;
pub(crate) mod tag;

use std::net::Ipv4Addr;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use hdrhistogram::Histogram;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command as Program};

use crate::clock::Deadline;
use crate::progress::Progress;
use crate::report::histogram;
use protocol::{Command, Connect, Told};

/// A process may open as few as 20,000 files; the rest is for its libraries and pipes.
pub(crate) const DEVICES_PER_PROCESS_MAX: usize = 18_000;
/// Addresses of 127.64.0.0/10 that one run comes from, and runs that do not share any: ports that
/// the last run left behind are closed to the next for a minute.
const SOURCES_PER_RUN: u32 = 256;
const RUNS: u32 = 1 << 14;
/// How often counts are asked for while waiting. What is measured is timed by the fleets.
const POLL: Duration = Duration::from_millis(20);

/// How devices connect.
#[derive(Debug, Clone)]
pub(crate) struct Way {
    pub(crate) address: String,
    pub(crate) ca_pem: Option<String>,
    /// Connections under way at once in each process.
    pub(crate) opening_max: usize,
    pub(crate) ack: bool,
}

struct Ship {
    process: Child,
    commands: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

pub(crate) struct Fleet {
    ships: Vec<Ship>,
    devices: usize,
    /// Of each process.
    devices_each: usize,
    first_source: Ipv4Addr,
}

impl Fleet {
    /// Starts enough processes for `devices` devices, and at least `processes`; nothing connects yet.
    pub(crate) fn start(devices: usize, processes: usize) -> Result<Self> {
        let processes = devices.div_ceil(DEVICES_PER_PROCESS_MAX).max(processes).max(1);
        let ships = (0..processes).map(|_| Ship::launch()).collect::<Result<Vec<_>>>()?;
        // A run is known by its first process, whose number no other has.
        let run = ships.first().and_then(|ship| ship.process.id()).unwrap_or(0) % RUNS;
        let first_source = Ipv4Addr::from_bits(0x7f40_0001 + run * SOURCES_PER_RUN);
        Ok(Self { ships, devices, devices_each: devices.div_ceil(processes).max(1), first_source })
    }

    /// Connects a device for each credential and waits until all are welcome.
    pub(crate) async fn connect(
        &mut self,
        way: &Way,
        credentials: &[String],
        within: Duration,
    ) -> Result<Told> {
        for (number, (ship, credentials)) in
            self.ships.iter_mut().zip(credentials.chunks(self.devices_each)).enumerate()
        {
            let sources_before = number * self.devices_each.div_ceil(device::PER_SOURCE_MAX);
            let loopback = way.address.starts_with("127.");
            let first_source =
                loopback.then(|| device::source(self.first_source, sources_before * device::PER_SOURCE_MAX));
            let command = Command::Connect(Connect {
                address: way.address.clone(),
                ca_pem: way.ca_pem.clone(),
                first_source,
                credentials: credentials.to_vec(),
                opening_max: way.opening_max,
                ack: way.ack,
            });
            ship.say(&command).await?;
        }
        for ship in &mut self.ships {
            ship.hear().await?;
        }
        self.wait_open(self.devices as u64, within).await
    }

    /// Waits until `wanted` devices are connected at once.
    pub(crate) async fn wait_open(&mut self, wanted: u64, within: Duration) -> Result<Told> {
        self.wait("connected", wanted, within, |told| told.open).await
    }

    /// Polls until `count` reaches `wanted`.
    pub(crate) async fn wait(
        &mut self,
        what: &'static str,
        wanted: u64,
        within: Duration,
        count: impl Fn(&Told) -> u64,
    ) -> Result<Told> {
        let deadline = Deadline::after(within);
        let progress = Progress::new(what, wanted);
        loop {
            let told = self.ask(Command::Counts).await?;
            let now = count(&told);
            progress.set(now);
            if now >= wanted {
                return Ok(told);
            }
            if deadline.passed() {
                bail!("{now} of {wanted} {what} after {within:?}; last trouble: {:?}", told.trouble);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Tells every process the same and joins their answers.
    pub(crate) async fn ask(&mut self, command: Command) -> Result<Told> {
        for ship in &mut self.ships {
            ship.say(&command).await?;
        }
        let mut told = Told::default();
        for ship in &mut self.ships {
            told.join(ship.hear().await?);
        }
        Ok(told)
    }
}

impl Ship {
    fn launch() -> Result<Self> {
        let mut process = Program::new(std::env::current_exe()?)
            .arg("fleet")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("start a fleet")?;
        let commands = process.stdin.take().context("a fleet has a standard input")?;
        let answers = process.stdout.take().context("a fleet has a standard output")?;
        Ok(Self { process, commands, answers: BufReader::new(answers).lines() })
    }

    async fn say(&mut self, command: &Command) -> Result<()> {
        let mut line = serde_json::to_vec(command)?;
        line.push(b'\n');
        self.commands.write_all(&line).await.context("tell a fleet")
    }

    async fn hear(&mut self) -> Result<Told> {
        let line = self.answers.next_line().await?.context("a fleet ended; its words are above")?;
        serde_json::from_str(&line).context("read a fleet's answer")
    }
}

/// The histogram that `steps` came from.
pub(crate) fn whole(steps: &[(u64, u64)]) -> Histogram<u64> {
    let mut whole = histogram();
    for (value, count) in steps {
        whole.saturating_record_n(*value, *count);
    }
    whole
}

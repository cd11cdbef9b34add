//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use carillon_sdk::Vendor;
use clap::{Args as ClapArgs, Parser, Subcommand};

use crate::scenario::Setting;
use crate::server::Launch;

/// Measures Carillon from outside. Everything is bounded in count and time, and stays on loopback
/// unless --attach names a server elsewhere.
#[derive(Debug, Parser)]
#[command(name = "loadtest", version)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Common {
    /// The server to start: `carillon`, built with --release.
    #[arg(long, global = true, default_value = "target/release/carillon", value_name = "FILE")]
    server_bin: PathBuf,
    /// Measure a server that runs already: the line `carillon dev --json` printed.
    #[arg(long, global = true, value_name = "JSON")]
    attach: Option<String>,
    /// Where the server keeps its data; a fresh temporary directory when absent.
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Cores the server is pinned to, as taskset -c takes them.
    #[arg(long, global = true, value_name = "CORES")]
    pin: Option<String>,
    /// Devices; 18,000 are the most one process of the fleet holds.
    #[arg(long, global = true, value_parser = clap::value_parser!(u64).range(1..=2_000_000))]
    devices: Option<u64>,
    /// Processes the devices are spread over, at least: one reads with one core.
    #[arg(long, global = true, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=200))]
    fleets: u16,
    /// Devices connect over TLS.
    #[arg(long, global = true)]
    tls: bool,
    /// Pushes a second.
    #[arg(long, global = true, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// How long load lasts.
    #[arg(long, global = true, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=300))]
    seconds: u64,
    /// Title and body together.
    #[arg(long, global = true, default_value_t = 128, value_parser = clap::value_parser!(u64).range(17..=4_000))]
    payload: u64,
    /// One JSON object a scenario instead of tables.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Do not measure the floor beside it.
    #[arg(long, global = true)]
    pub(crate) no_floor: bool,
}

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Command {
    /// Bytes of server memory an idle device costs (G4, G4t).
    Idle,
    /// Connections welcomed a second (G6, G6t).
    Connect,
    /// Latency of a push to one device among idle ones (G2, G2v).
    Single {
        /// Online-only pushes, which are not stored.
        #[arg(long)]
        ttl0: bool,
    },
    /// What a delivery of a message to everybody costs (G5; with --ack G5a).
    Broadcast {
        /// Devices ack.
        #[arg(long)]
        ack: bool,
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=200))]
        rounds: u32,
    },
    /// Latency of single pushes during broadcasts (G3).
    Mixed {
        /// Milliseconds from one broadcast to the next.
        #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(50..=60_000))]
        every_ms: u64,
    },
    /// All connections cut at once (G11).
    Storm,
    /// One device in a hundred stops reading (G10).
    SlowReaders {
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=200))]
        rounds: u32,
    },
    /// Messages made durable a second (G7), and bytes a broadcast writes (G9).
    Durable {
        /// Messages live before the single ones are timed.
        #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1_000..=2_000_000))]
        live: u64,
        /// Pushes of one POST each.
        #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u64).range(100..=500_000))]
        singles: u64,
    },
    /// Restart after SIGKILL with many messages pending (G8).
    Restart {
        #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..=2_000_000))]
        pending: u64,
    },
    /// A broadcast and a list campaign over devices that come in turns, three kills in the middle;
    /// fails unless every count reconciles.
    Campaign {
        /// Devices connected at once; a process may open as few as 20,000 files.
        #[arg(long, default_value_t = 18_000, value_parser = clap::value_parser!(u32).range(1..=18_000))]
        at_a_time: u32,
    },
    /// Notifications over all ten vendors, which are simulated, with dead and flaky tokens and one
    /// vendor down for a while; fails unless every target ends in one verdict.
    Vendors {
        /// The one that is down.
        #[arg(long, default_value = "huawei")]
        down: Vendor,
        /// What it does meanwhile.
        #[arg(long, default_value = "down", value_parser = ["down", "silent", "unreachable"])]
        how: String,
        /// For so many seconds from the first push on.
        #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=600))]
        outage_s: u64,
    },
    /// A bare sender and receiver on this machine.
    Floor,
    /// Every scenario, one after another.
    All,
    /// A fleet, as this program starts it.
    #[command(hide = true)]
    Fleet,
    /// The floor's server, as this program starts it.
    #[command(hide = true)]
    FloorServer {
        #[arg(long)]
        durable: bool,
    },
}

impl Common {
    /// The setting, for a scenario that by itself wants `devices`.
    pub(crate) fn setting(&self, devices: usize) -> Result<Setting> {
        let launch = match &self.attach {
            Some(line) => Launch::Attach(Box::new(serde_json::from_str(line).context("read --attach")?)),
            None => Launch::Binary {
                path: self.server_bin.clone(),
                data: self.data.clone(),
                pin: self.pin.clone(),
            },
        };
        Ok(Setting {
            launch,
            devices: self.devices.map_or(Ok(devices), usize::try_from)?,
            tls: self.tls,
            fleets: usize::from(self.fleets),
            rate_per_s: self.rate,
            span: Duration::from_secs(self.seconds),
            payload_bytes: usize::try_from(self.payload)?,
        })
    }
}

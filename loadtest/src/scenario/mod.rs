//! The scenarios. Each starts a fresh server, does one thing to it, and reports.

pub(crate) mod broadcast;
pub(crate) mod campaign;
pub(crate) mod connect;
pub(crate) mod durable;
pub(crate) mod idle;
pub(crate) mod mixed;
pub(crate) mod restart;
pub(crate) mod single;
pub(crate) mod slow_readers;
pub(crate) mod storm;
pub(crate) mod vendors;

use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::app_server::{AppServer, Registered, Shape};
use crate::fleet::protocol::Told;
use crate::fleet::{Fleet, Way};
use crate::server::{Launch, Server};

/// All devices are connected within this, or the run fails.
pub(crate) const CONNECT_WITHIN: Duration = Duration::from_secs(120);
/// All deliveries of a run have come within this after the last push.
const DELIVER_WITHIN: Duration = Duration::from_secs(60);
/// Connections under way at once in each fleet.
const OPENING_MAX: usize = 256;
/// Memory and background work come to rest in this time.
const SETTLE: Duration = Duration::from_secs(2);

/// What the scenarios have in common.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    pub(crate) launch: Launch,
    pub(crate) devices: usize,
    pub(crate) tls: bool,
    /// Processes of the fleet, at least.
    pub(crate) fleets: usize,
    pub(crate) rate_per_s: u32,
    pub(crate) span: Duration,
    pub(crate) payload_bytes: usize,
}

impl Setting {
    /// The same against the floor. It has no TLS.
    pub(crate) fn on_floor(&self, durable: bool) -> Self {
        Self { launch: Launch::Floor { durable }, tls: false, ..self.clone() }
    }

    pub(crate) fn shape(&self, ttl_s: Option<u64>) -> Shape {
        Shape { payload_bytes: self.payload_bytes, ttl_s }
    }

    fn transport(&self) -> &'static str {
        if self.tls { "TLS 1.3" } else { "TCP" }
    }
}

/// A server, an app server, and registered devices that may be connected.
pub(crate) struct Stage {
    pub(crate) server: Server,
    pub(crate) app: AppServer,
    pub(crate) registered: Registered,
    pub(crate) fleet: Fleet,
}

impl Stage {
    /// Server up, devices registered, none connected.
    pub(crate) async fn registered(setting: &Setting) -> Result<Self> {
        let server = Server::launch(&setting.launch).await?;
        let mut app = AppServer::of(&server);
        let registered = app.register("load", setting.devices).await?;
        let fleet = Fleet::start(setting.devices, setting.fleets)?;
        Ok(Self { server, app, registered, fleet })
    }

    /// The same, and all connected.
    pub(crate) async fn connected(setting: &Setting, ack: bool) -> Result<Self> {
        let mut stage = Self::registered(setting).await?;
        stage.connect(setting, ack).await?;
        tokio::time::sleep(SETTLE).await;
        Ok(stage)
    }

    pub(crate) async fn connect(&mut self, setting: &Setting, ack: bool) -> Result<Told> {
        let way = self.way(setting, ack)?;
        self.fleet.connect(&way, &self.registered.credentials, CONNECT_WITHIN).await
    }

    pub(crate) fn way(&self, setting: &Setting, ack: bool) -> Result<Way> {
        let ready = &self.server.ready;
        let (address, ca_pem) = if setting.tls {
            let Some(ca_pem) = self.app.ca_pem.clone() else {
                bail!("the server gave no authority to trust")
            };
            (ready.devices_tls.clone().context("the server offers no TLS")?, Some(ca_pem))
        } else {
            (ready.devices_tcp.clone(), None)
        };
        Ok(Way { address, ca_pem, opening_max: OPENING_MAX, ack })
    }
}

/// Said in every report of work that both ends do on one machine.
const BOTH_ENDS: &str = "Sender, server and receivers share this machine's cores; on loopback a sender also pays \
     for its receiver's TCP input. Use ratios, do not extrapolate.";

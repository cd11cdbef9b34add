//! From settings to a running server, and from a signal to its end.
//!
//! ```text
//!  store ─▶ engine ─▶ doors bound ─▶ HTTP ─▶ operations ─▶ doors open        start
//!  not ready ─▶ doors closed, HTTP ended ─▶ Goodbyes over the window ─▶ store flushed ─▶ exit
//! ```
//!
//! The end is bounded: the drain window and ten seconds. A second signal ends it at once.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::web::Data;
use carillon_actors::clock::Clock;
use carillon_actors::engine::Engine;
use carillon_actors::link::Protocol;
use carillon_sdk::KeyId;
use carillon_sdk::api::DeviceAddresses;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::exit::{Code, Failure};
use crate::config::Config;
use crate::data_dir::{DataDir, Master};
use crate::devices::{self, Certificate, Doors, OpenDoors};
use crate::{http, operations, receipts, vendors};

/// How much longer than its drain window a stop may take.
const STOP_GRACE: Duration = Duration::from_secs(10);

/// How long answers may take to be written once the store is closed.
const HTTP_GRACE: Duration = Duration::from_secs(1);

/// Sockets of all arbiters together that may wait for their Hello. At about 20 KB in the middle of a
/// TLS handshake, 8,192 cost 160 MB at worst.
const GUESTS_MAX: usize = 8192;

/// The name the store gives the operator's key.
const OPERATOR: &str = "operator";

/// What the settings do not say.
#[derive(Debug, Default)]
pub struct Setup {
    pub http_certificate: Option<Certificate>,
    pub device_certificate: Option<Certificate>,
    /// Given to devices that register, in `dev` alone.
    pub ca_pem: Option<String>,
    /// Whether the operations listener makes actors panic on request, in `dev` alone.
    pub panics: bool,
    /// Whether vendors reach the API where it listens, in `dev` alone, whose vendors are simulators.
    pub vendors_are_here: bool,
    /// Whether a port that is taken is replaced by a free one, in `dev` alone.
    pub any_port: bool,
}

/// What came of a SIGHUP.
#[derive(Debug)]
pub enum Reload {
    Done,
    /// What was before goes on.
    Refused(String),
}

/// A running server.
pub struct Server {
    pub engine: Engine,
    pub http: SocketAddr,
    pub operations: SocketAddr,
    pub addresses: DeviceAddresses,
    doors: OpenDoors,
    http_handle: ServerHandle,
    window: carillon_sdk::Ttl,
}

/// Runs `main` within an actix system, which the engine's arbiters belong to.
pub fn in_system(main: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    actix_rt::System::new().block_on(main)
}

/// The settings' own, or the one in the data directory.
pub fn master(config: &Config, dir: &DataDir) -> Result<Master, Failure> {
    match &config.store.master {
        Some(master) => Ok(master.bytes()),
        None => dir.master().map_err(Failure::from_error),
    }
}

impl Server {
    pub async fn start(config: &Config, master: Master, setup: Setup) -> Result<Self, Failure> {
        let metrics = operations::install_recorder().map_err(Failure::from_error)?;
        let engine = Engine::start(config.engine(master), Clock::system())
            .map_err(|error| Failure::of(Code::Internal, &error))?;
        receipts::open(&engine, &config.receipts)
            .map_err(|error| Failure::of(Code::Configuration, &error))?;
        let doors = Doors::bind(&door_settings(config, &setup)?).map_err(Failure::from_error)?;
        let addresses = device_addresses(config, &doors);
        let tls = setup.http_certificate.as_ref().map(Certificate::server_config).transpose();
        let tls = tls.map_err(Failure::from_error)?;
        let (listener, http) = bind("http.listen", setup.free(config.http.listen))?;
        let here = setup.vendors_are_here.then(|| format!("http://{http}"));
        vendors::open(&engine, config.vendors.public_url.clone().or(here).as_deref());
        let state = http::State::new(
            engine.clone(),
            config.http.clone(),
            config.mpaas.clone(),
            &config.rates,
            addresses.clone(),
            setup.ca_pem.clone(),
            &config.store.dir,
        );
        let server = http::start(Data::new(state), listener, tls).map_err(Failure::from_error)?;
        let http_handle = server.handle();
        actix_rt::spawn(server);
        let (listener, operations) = bind("operations.listen", setup.free(config.operations.listen))?;
        let server = operations::start(engine.clone(), metrics, listener, setup.panics)
            .map_err(Failure::from_error)?;
        actix_rt::spawn(server);
        let doors = doors.open(&engine).map_err(Failure::from_error)?;
        Ok(Self { http, operations, engine, addresses, doors, http_handle, window: config.drain.window })
    }

    /// Writes the operator's key into `operator.key` of the data directory, where there is none.
    pub fn keep_operator_key(&self, dir: &DataDir) -> Result<(), Failure> {
        let kept = dir.read("operator.key").map_err(Failure::from_error)?;
        let key = KeyId::parse(OPERATOR).ok().and_then(|id| self.engine.store().key(&id));
        match (kept, key) {
            (None, Some(key)) => dir
                .write_secret("operator.key", &format!("{OPERATOR} {}\n", key.secret))
                .map_err(Failure::from_error),
            _ => Ok(()),
        }
    }

    /// One line a listener, for the operator.
    pub fn announce(&self) {
        let DeviceAddresses { tcp, tls, ws } = &self.addresses;
        tracing::info!(http = %self.http, operations = %self.operations, ?tcp, ?tls, ?ws, "ready");
    }

    /// Serves until SIGTERM or SIGINT, then drains. SIGHUP calls `reload`.
    pub async fn run_until_stopped(self, reload: impl Fn() -> Reload) -> Result<(), Failure> {
        let listen = |kind| signal(kind).map_err(Failure::from_error);
        let mut terminate = listen(SignalKind::terminate())?;
        let mut interrupt = listen(SignalKind::interrupt())?;
        let mut hang_up = listen(SignalKind::hangup())?;
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = hang_up.recv() => match reload() {
                    Reload::Done => tracing::info!("reloaded"),
                    Reload::Refused(why) => tracing::error!(%why, "not reloaded"),
                },
            }
        }
        tracing::info!(window_ms = self.window.as_millis(), "draining");
        let bound = Duration::from_millis(self.window.as_millis()) + STOP_GRACE;
        tokio::select! {
            stopped = tokio::time::timeout(bound, self.stop()) => stopped.map_err(|_| {
                Failure::new(Code::Failure, format!("not drained within {} s", bound.as_secs()))
            }),
            _ = terminate.recv() => Err(at_once()),
            _ = interrupt.recv() => Err(at_once()),
        }
    }

    /// Nobody is let in any more, requests under way are answered, devices are sent away, the store
    /// closes. A request cannot wait for anything after that; what still holds HTTP open is idle
    /// connections, which are not worth waiting for.
    async fn stop(self) {
        self.doors.close();
        // Accepting ends with this call, not when it is awaited.
        let answered = self.http_handle.stop(true);
        self.engine.drain(self.window).await;
        let _ = tokio::time::timeout(HTTP_GRACE, answered).await;
        tracing::info!("stopped");
    }
}

fn bind(key: &str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), Failure> {
    let fail = |error| Failure::new(Code::Failure, format!("{key}: listen on {address}: {error}"));
    let listener = TcpListener::bind(address).map_err(fail)?;
    let address = listener.local_addr().map_err(fail)?;
    Ok((listener, address))
}

fn at_once() -> Failure {
    Failure::new(Code::Failure, "stopped at once by a second signal; what was accepted is on disk")
}

fn door_settings(config: &Config, setup: &Setup) -> Result<devices::Settings, Failure> {
    let tls = setup.device_certificate.as_ref().map(Certificate::server_config).transpose();
    let wanted = |address: Option<SocketAddr>| address.map(|address| setup.free(address));
    Ok(devices::Settings {
        tcp: wanted(config.devices.tcp),
        tls: wanted(config.devices.tls),
        ws: wanted(config.devices.ws),
        wss: wanted(config.devices.wss),
        tls_config: tls.map_err(Failure::from_error)?.map(std::sync::Arc::new),
        guests_max: GUESTS_MAX,
    })
}

/// What registration tells devices: the public addresses, else where the doors are.
fn device_addresses(config: &Config, doors: &Doors) -> DeviceAddresses {
    let at = |protocol| doors.address(protocol).map(|address| address.to_string());
    let url = |scheme: &str, protocol| at(protocol).map(|address| format!("{scheme}://{address}/v1/socket"));
    let devices = &config.devices;
    DeviceAddresses {
        tcp: devices.tcp_public.clone().or_else(|| at(Protocol::Tcp)),
        tls: devices.tls_public.clone().or_else(|| at(Protocol::Tls)),
        ws: devices
            .wss_public
            .clone()
            .or_else(|| devices.ws_public.clone())
            .or_else(|| url("wss", Protocol::Wss))
            .or_else(|| url("ws", Protocol::Ws)),
    }
}

impl Setup {
    /// The address, with a free port when its own is taken and any will do.
    fn free(&self, address: SocketAddr) -> SocketAddr {
        let taken = |address| {
            TcpListener::bind(address).is_err_and(|error| error.kind() == std::io::ErrorKind::AddrInUse)
        };
        if self.any_port && taken(address) {
            tracing::warn!(%address, "taken; a free port is used instead");
            return SocketAddr::new(address.ip(), 0);
        }
        address
    }
}

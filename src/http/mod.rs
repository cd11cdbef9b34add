//! The HTTP API, `/v1`. docs/http.md is its manual, `/openapi.json` its description.
//!
//! ```text
//!  socket ─▶ manners ─▶ route ─▶ Caller (key, signature, rate, nonce) ─▶ handler ─▶ Engine, Store
//!            request id                                                    │
//!  socket ◀─ problem, log, count ◀──────────── Refused ◀───────────────────┘
//! ```
//!
//! The tenant comes from the key, never from the request: whatever is looked up is looked up in the
//! key's app, so another tenant's object does not exist.

mod analysis;
mod apps;
mod audiences;
mod audit;
mod body;
pub(crate) mod caller;
mod campaigns;
mod code;
mod csv;
mod devices;
mod endpoints;
mod events;
mod index;
mod keys;
mod lists;
pub(crate) mod manners;
mod messages;
mod openapi;
mod page;
mod problem;
mod pushes;
pub(crate) mod rate;
mod registering;
mod revokes;
mod routes;
mod schedules;
mod settings;
mod spool;
mod stats;
mod tags;
mod templates;
mod tokens;
mod users;
mod vendor_receipts;
mod vendors;
mod version;

use std::io;
use std::net::{IpAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::guard::fn_guard;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, web};
use carillon_actors::engine::Engine;
use carillon_sdk::KeyId;
use carillon_sdk::api::DeviceAddresses;
use tokio::sync::Semaphore;

use crate::vendors::Ingress;
use crate::{config, mpaas};
pub use code::Code;
pub use problem::Refused;
use rate::Buckets;
use registering::Registering;
use spool::Spool;

/// What the handlers share, over all workers.
pub struct State {
    pub(crate) engine: Engine,
    /// Where a device that registers is told to connect.
    addresses: DeviceAddresses,
    /// In dev: the certificate that signs the device listener's.
    ca_pem: Option<String>,
    pub(crate) http: config::Http,
    pub(crate) mpaas: config::Mpaas,
    pub(crate) keys: Buckets<KeyId>,
    clients: Buckets<IpAddr>,
    pub(crate) auth_failures: Buckets<IpAddr>,
    registering: Registering,
    spool: Spool,
    pub(crate) ingress: Ingress,
    /// Seats of those who watch campaigns.
    watchers: Arc<Semaphore>,
}

impl State {
    #[must_use]
    pub fn new(
        engine: Engine,
        http: config::Http,
        mpaas: config::Mpaas,
        rates: &config::Rates,
        addresses: DeviceAddresses,
        ca_pem: Option<String>,
        data_dir: &Path,
    ) -> Self {
        Self {
            watchers: Arc::new(Semaphore::new(http.watchers_max)),
            spool: Spool::new(data_dir, http.uploads_max),
            engine,
            addresses,
            ca_pem,
            http,
            mpaas,
            keys: Buckets::new(rates.key, rates.buckets_max),
            clients: Buckets::new(rates.client, rates.buckets_max),
            auth_failures: Buckets::new(rates.auth_failures, rates.buckets_max),
            registering: Registering::default(),
            ingress: Ingress::default(),
        }
    }
}

/// Every route of the API, over `state`.
pub fn configure(state: web::Data<State>) -> impl FnOnce(&mut web::ServiceConfig) {
    move |config| {
        if state.mpaas.enabled {
            let face = web::resource("/").guard(fn_guard(mpaas::is_addressed));
            config.service(face.default_service(web::to(mpaas::serve)));
        }
        config.app_data(state);
        routes::register(config);
    }
}

/// Every series of the API at 0, so that a rate has a beginning.
pub fn begin_metrics() {
    manners::begin_metrics();
    mpaas::begin_metrics();
    crate::vendors::begin_metrics();
}

/// How long an idle connection is kept for the caller's next request. Longer than what load
/// balancers keep theirs (60 s), so that it is they who close, between requests.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// From accept to the end of a request's headers, and for a TLS handshake: a caller that sends a
/// byte a second holds a socket no longer than this.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves the API on `listener`, over TLS when there is a configuration for it. The server ends when
/// its handle is told to stop: signals are the caller's business.
pub fn start(
    state: web::Data<State>,
    listener: TcpListener,
    tls: Option<rustls::ServerConfig>,
) -> io::Result<Server> {
    let http = state.http.clone();
    let server = HttpServer::new(move || {
        App::new().wrap(from_fn(manners::manners)).configure(configure(state.clone()))
    })
    .workers(http.workers)
    .max_connections(http.connections_max.div_ceil(http.workers))
    .keep_alive(KEEP_ALIVE)
    .client_request_timeout(HEAD_TIMEOUT)
    .client_disconnect_timeout(Duration::from_secs(1))
    .tls_handshake_timeout(HEAD_TIMEOUT)
    .shutdown_timeout(10)
    .disable_signals();
    let server = match tls {
        Some(tls) => server.listen_rustls_0_23(listener, tls)?,
        None => server.listen(listener)?,
    };
    Ok(server.run())
}

#[cfg(test)]
mod tests;

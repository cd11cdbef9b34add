//! The operators' listener: metrics and health, apart from the API so that no tenant reaches it.
//!
//! ```text
//!  GET /metrics        Prometheus text
//!  GET /livez          the process answers
//!  GET /readyz         the node should get work; ?verbose says why not, as JSON
//!  POST /dev/panic     in `carillon dev` alone: one actor of a kind dies
//! ```

mod help;
mod process;

use std::io;
use std::net::TcpListener;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::{App, HttpResponse, HttpServer, web};
use carillon_actors::engine::{Engine, Kind, Readiness};
use carillon_actors::names::{self, Shape};
use metrics::{describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use serde::{Deserialize, Serialize};

use help::HELP;

/// Seconds, as OpenTelemetry recommends for requests.
const REQUEST_BUCKETS: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// Seconds from acceptance to ack, for devices that were online.
const DELIVERY_BUCKETS: &[f64] =
    &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0, 86_400.0, 604_800.0];

/// Seconds of an fdatasync or a commit: from a good SSD to a disk in trouble.
const DISK_BUCKETS: &[f64] =
    &[0.000_25, 0.000_5, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.25, 0.5, 1.0, 5.0];

/// Operations in one commit, targets of one push.
const SIZE_BUCKETS: &[f64] = &[1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1_000.0, 10_000.0, 100_000.0, 1_000_000.0];

/// What the handlers share.
#[derive(Clone)]
struct Operations {
    engine: Engine,
    metrics: PrometheusHandle,
}

/// Installs the process's one recorder of metrics. Called once, before anything counts.
pub fn install_recorder() -> Result<PrometheusHandle, BuildError> {
    let handle = recorder()?.install_recorder()?;
    let engine = names::ALL.iter().map(|metric| (metric.name, metric.shape, metric.help));
    for (name, shape, help) in HELP.iter().copied().chain(engine) {
        match shape {
            Shape::Counter => describe_counter!(name, help.trim()),
            Shape::Gauge => describe_gauge!(name, help.trim()),
            Shape::Histogram => describe_histogram!(name, help.trim()),
        }
    }
    gauge!("carillon_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    help::begin_at_zero();
    crate::http::begin_metrics();
    Ok(handle)
}

/// Buckets by the end of a name. Histograms, never summaries: those cannot be added up.
fn recorder() -> Result<PrometheusBuilder, BuildError> {
    let suffix = |text: &str| Matcher::Suffix(text.to_owned());
    PrometheusBuilder::new()
        .set_buckets(REQUEST_BUCKETS)?
        .set_buckets_for_metric(suffix("delivery_latency_seconds"), DELIVERY_BUCKETS)?
        .set_buckets_for_metric(suffix("schedule_lag_seconds"), DELIVERY_BUCKETS)?
        .set_buckets_for_metric(suffix("fsync_duration_seconds"), DISK_BUCKETS)?
        .set_buckets_for_metric(suffix("operation_duration_seconds"), DISK_BUCKETS)?
        .set_buckets_for_metric(suffix("_operations"), SIZE_BUCKETS)?
        .set_buckets_for_metric(suffix("_targets"), SIZE_BUCKETS)
}

/// Between two tidyings of the recorder, which would otherwise grow while nobody scrapes.
const UPKEEP: Duration = Duration::from_secs(5);

/// Serves the operators on `listener`, one thread. `dev` adds the route that makes actors die.
pub fn start(
    engine: Engine,
    metrics: PrometheusHandle,
    listener: TcpListener,
    dev: bool,
) -> io::Result<Server> {
    let upkeep = metrics.clone();
    actix_rt::spawn(async move {
        let mut tick = tokio::time::interval(UPKEEP);
        loop {
            tick.tick().await;
            upkeep.run_upkeep();
        }
    });
    let operations = Operations { engine, metrics };
    let server = HttpServer::new(move || App::new().configure(configure(operations.clone(), dev)));
    let server = server.workers(1).max_connections(256).disable_signals().shutdown_timeout(1);
    Ok(server.listen(listener)?.run())
}

fn configure(operations: Operations, dev: bool) -> impl FnOnce(&mut web::ServiceConfig) {
    move |config| {
        config.app_data(web::Data::new(operations));
        config.route("/metrics", web::get().to(show_metrics));
        config.route("/livez", web::get().to(livez));
        config.route("/readyz", web::get().to(readyz));
        if dev {
            config.route("/dev/panic", web::post().to(panic_one));
        }
    }
}

async fn show_metrics(operations: web::Data<Operations>) -> HttpResponse {
    process::observe();
    HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(operations.metrics.render())
}

async fn livez() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain").body("ok\n")
}

#[derive(Debug, Deserialize)]
struct ReadyQuery {
    /// With any value or none.
    verbose: Option<String>,
}

#[derive(Debug, Serialize)]
struct Ready {
    ready: bool,
    /// `ready`, `draining` or `store_failed`.
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    connections: usize,
    pending: u64,
}

async fn readyz(operations: web::Data<Operations>, query: web::Query<ReadyQuery>) -> HttpResponse {
    let readiness = operations.engine.readiness();
    let (state, reason) = match readiness {
        Readiness::Ready => ("ready", None),
        Readiness::Draining => ("draining", Some("the process is stopping".to_owned())),
        Readiness::StoreFailed(how) => ("store_failed", Some(how)),
    };
    let mut response = match state {
        "ready" => HttpResponse::Ok(),
        _ => HttpResponse::ServiceUnavailable(),
    };
    if query.verbose.is_none() {
        let line = reason.map_or_else(|| state.to_owned(), |reason| format!("{state}: {reason}"));
        return response.content_type("text/plain").body(line + "\n");
    }
    response.json(Ready {
        ready: state == "ready",
        state,
        reason,
        connections: operations.engine.connections(),
        pending: operations.engine.store().totals().pending,
    })
}

#[derive(Debug, Deserialize)]
struct PanicQuery {
    kind: Kind,
}

/// Supervision at work, to be looked at.
async fn panic_one(operations: web::Data<Operations>, query: web::Query<PanicQuery>) -> HttpResponse {
    operations.engine.crash(query.kind);
    HttpResponse::Accepted().finish()
}

//! What the metrics say that the engine's own list (`carillon_actors::names`) has not: those of the
//! HTTP API, of the device listeners, of the store and of the process.

use carillon_actors::names::{self, Shape};
use carillon_sdk::Vendor;
use metrics::counter;

/// Name, shape, help. Labels are from closed lists: never a device, user, message or path.
pub(super) const HELP: &[(&str, Shape, &str)] = &[
    ("carillon_build_info", Shape::Gauge, "Always 1; the labels say what runs."),
    ("carillon_api_requests_total", Shape::Counter, "Requests answered, by route and class of status."),
    (
        "carillon_api_request_duration_seconds",
        Shape::Histogram,
        "Seconds from a request's head to its answer.",
    ),
    ("carillon_api_refusals_total", Shape::Counter, "Requests refused, by code."),
    ("carillon_api_auth_failures_total", Shape::Counter, "Requests whose caller was not proven, by code."),
    (
        "carillon_mpaas_requests_total",
        Shape::Counter,
        "Calls of the mPaaS face, by action and outcome: ok, failed (HTTP 200 and a result code), refused, error.",
    ),
    (
        "carillon_connections_refused_total",
        Shape::Counter,
        "Device connections ended before their Welcome, by why.",
    ),
    (
        "carillon_connection_handshake_duration_seconds",
        Shape::Histogram,
        "Seconds from accept to a verified Hello.",
    ),
    ("carillon_target_terminal_total", Shape::Counter, "Verdicts of targets, by channel and outcome."),
    (
        "carillon_store_operation_duration_seconds",
        Shape::Histogram,
        "Seconds of a partition's work, by operation.",
    ),
    ("carillon_store_errors_total", Shape::Counter, "Failures of the store, by operation and reason."),
    ("carillon_wal_fsync_duration_seconds", Shape::Histogram, "Seconds of an fdatasync of a database."),
    ("carillon_idempotency_evicted_total", Shape::Counter, "Idempotent answers forgotten before their time."),
    (
        "carillon_vendor_receipt_posts_total",
        Shape::Counter,
        "Posts of vendors' receipts, by vendor and result: taken, unknown, forged, unreadable, full.",
    ),
    (
        "carillon_vendor_receipts_lost_total",
        Shape::Counter,
        "Receipts of vendors that the store could not take for half a minute, by vendor.",
    ),
    ("carillon_vendor_receipts_total", Shape::Counter, "Receipts of vendors, each once, by vendor and news."),
    ("process_threads", Shape::Gauge, "Threads."),
    ("process_cpu_seconds_total", Shape::Counter, "User and system time in whole seconds."),
    ("process_open_fds", Shape::Gauge, "Open files and sockets."),
    ("process_max_fds", Shape::Gauge, "Most files and sockets that may be open."),
];

/// Series of failures at 0, so that the first is a rise and not a beginning.
pub(super) fn begin_at_zero() {
    for kind in ["shard", "user", "connection", "metrics", "scheduler", "campaigns", "campaign"] {
        counter!(names::RESTARTS, "kind" => kind).absolute(0);
    }
    for outcome in ["delivered", "expired", "revoked", "replaced", "rejected"] {
        counter!("carillon_target_terminal_total", "channel" => "own", "outcome" => outcome).absolute(0);
    }
    for (op, reason) in [("commit", "io"), ("commit", "disk_full"), ("history", "io"), ("note", "dropped")] {
        counter!("carillon_store_errors_total", "op" => op, "reason" => reason).absolute(0);
    }
    counter!("carillon_idempotency_evicted_total").absolute(0);
    for vendor in Vendor::ALL.map(Vendor::as_str) {
        for outcome in ["accepted", "retry", "throttle", "unbind", "reauth", "perm", "config"] {
            counter!(names::CHANNEL_OUTCOMES, "vendor" => vendor, "outcome" => outcome).absolute(0);
        }
        counter!(names::CHANNEL_AMBIGUOUS, "vendor" => vendor).absolute(0);
        for by in ["answer", "receipt"] {
            counter!(names::TOKENS_INVALIDATED, "channel" => vendor, "by" => by).absolute(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    fn names_in(dir: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(dir).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                names_in(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let quoted = text.split('"').filter(|text| text.starts_with("carillon_"));
                let whole = |text: &&str| text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
                found.extend(quoted.filter(whole).filter(|text| text.len() > 9).map(str::to_owned));
            }
        }
    }

    #[test]
    fn every_metric_in_the_code_has_its_help_and_every_help_its_metric() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut used = BTreeSet::new();
        for dir in ["src/http", "src/mpaas", "src/devices", "src/vendors", "actors/src"] {
            names_in(&root.join(dir), &mut used);
        }
        used.insert("carillon_build_info".to_owned());
        // A field of vendors' messages.
        used.remove("carillon_id");
        let helped = HELP.iter().map(|(name, ..)| *name).chain(names::ALL.iter().map(|metric| metric.name));
        let helped: BTreeSet<String> =
            helped.filter(|name| name.starts_with("carillon_")).map(str::to_owned).collect();
        assert_eq!(used, helped);
    }

    #[test]
    fn names_have_their_unit_and_counters_end_in_total() {
        let engine = names::ALL.iter().map(|metric| (metric.name, metric.shape));
        for (name, shape) in HELP.iter().map(|(name, shape, _)| (*name, *shape)).chain(engine) {
            assert_eq!(name.ends_with("_total"), shape == Shape::Counter, "{name}");
            assert!(shape != Shape::Histogram || name.ends_with("_seconds"), "{name}");
        }
    }
}

//! Every metric of the engine: its name, its kind, and what it says. The edge describes them from
//! here; a test fails for one that nothing touches.

/// How a metric behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Counter,
    Gauge,
    Histogram,
}

/// A metric and its help text. Labels are from closed lists: never a device, user or message.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    pub name: &'static str,
    pub shape: Shape,
    pub help: &'static str,
}

macro_rules! metrics {
    ($($(#[doc = $help:literal])+ $constant:ident: $shape:ident = $name:literal;)*) => {
        $($(#[doc = $help])+ pub const $constant: &str = $name;)*

        /// All of them.
        pub const ALL: &[Metric] = &[
            $(Metric { name: $name, shape: Shape::$shape, help: concat!($($help),+) },)*
        ];
    };
}

metrics! {
    /// Open device connections, by protocol.
    CONNECTIONS: Gauge = "carillon_connections";
    /// Devices that were welcomed.
    CONNECTIONS_OPENED: Counter = "carillon_connections_opened_total";
    /// Connections that ended, by reason.
    CONNECTIONS_CLOSED: Counter = "carillon_connections_closed_total";
    /// Hellos with a resume point, by whether it named the last session.
    SESSION_RESUMES: Counter = "carillon_session_resumes_total";
    /// Hellos sent away by the rate of admission.
    HELLOS_REFUSED: Counter = "carillon_hellos_refused_total";
    /// Pushes accepted, by how many were named.
    MESSAGES_ACCEPTED: Counter = "carillon_messages_accepted_total";
    /// Targets of accepted pushes, by push type and channel.
    TARGETS: Counter = "carillon_targets_total";
    /// Requests answered from an earlier one with the same idempotency key.
    IDEMPOTENT_REPLAYS: Counter = "carillon_idempotent_replays_total";
    /// Pushes written to device sockets, repeats included.
    PUSHES_WRITTEN: Counter = "carillon_pushes_written_total";
    /// Seconds from acceptance to the device's ack, by channel and stage.
    DELIVERY_LATENCY: Histogram = "carillon_delivery_latency_seconds";
    /// Messages pending in queues.
    QUEUE_MESSAGES: Gauge = "carillon_offline_queue_messages";
    /// Bytes of payload pending in queues.
    QUEUE_BYTES: Gauge = "carillon_offline_queue_bytes";
    /// Age of the oldest pending message in seconds.
    QUEUE_OLDEST_AGE: Gauge = "carillon_offline_queue_oldest_age_seconds";
    /// Registered devices.
    DEVICES: Gauge = "carillon_devices";
    /// Live broadcasts.
    BROADCASTS: Gauge = "carillon_broadcasts_live";
    /// Campaigns that are kept, by state.
    CAMPAIGNS: Gauge = "carillon_campaigns";
    /// Targets that campaigns let go.
    CAMPAIGN_RELEASED: Counter = "carillon_campaign_targets_released_total";
    /// Bytes the store takes on disk.
    STORE_BYTES: Gauge = "carillon_store_size_bytes";
    /// Operations waiting for a commit.
    STORE_INTAKE: Gauge = "carillon_store_intake_operations";
    /// Targets that a retry named again and that were stored before, by where it showed.
    DUPLICATES: Counter = "carillon_duplicates_suppressed_total";
    /// Actors that died and were made anew, by kind.
    RESTARTS: Counter = "carillon_actor_restarts_total";
    /// Messages that found a mailbox full, by the receiver's kind and what was done.
    MAILBOX_FULL: Counter = "carillon_actor_mailbox_full_total";
    /// Frames and fields of types this version does not know, skipped.
    FRAMES_UNKNOWN: Counter = "carillon_frames_unknown_total";
    /// Frames answered by an Error frame, by code.
    FRAMES_REFUSED: Counter = "carillon_frames_refused_total";
    /// Steps of the wall clock against the monotonic one of a second or more.
    CLOCK_JUMPS: Counter = "carillon_clock_jumps_total";
    /// Runs of schedules that are over, by how they ended.
    SCHEDULE_RUNS: Counter = "carillon_schedule_runs_total";
    /// Seconds from a scheduled push's time to its acceptance.
    SCHEDULE_LAG: Histogram = "carillon_schedule_lag_seconds";
    /// Requests that carried receipts to app servers, by kind of road and result.
    RECEIPT_POSTS: Counter = "carillon_receipt_posts_total";
    /// Events that app servers took, by kind of road.
    RECEIPT_EVENTS: Counter = "carillon_receipt_events_total";
    /// Age in seconds of the oldest event that a road still owes, by endpoint; 0 when it owes none.
    RECEIPT_LAG: Gauge = "carillon_receipt_lag_seconds";
    /// What vendors said of tokens, by vendor and class of outcome.
    CHANNEL_OUTCOMES: Counter = "carillon_channel_outcomes_total";
    /// Vendors' answers by codes in no table, by vendor and code.
    CHANNEL_UNKNOWN_CODE: Counter = "carillon_channel_unknown_code_total";
    /// Calls to vendors that were written and not answered, by device: the vendor may have taken them.
    CHANNEL_AMBIGUOUS: Counter = "carillon_channel_ambiguous_total";
    /// Fields of accepted messages that the vendor cannot carry, by vendor and field.
    CHANNEL_DEGRADED: Counter = "carillon_channel_degraded_total";
    /// Channels whose breaker is open, by vendor: nothing goes by them.
    CHANNELS_OPEN: Gauge = "carillon_channels_open";
    /// Calls to vendors under way, by vendor.
    CHANNEL_IN_FLIGHT: Gauge = "carillon_channel_in_flight";
    /// Errands claimed by channels and not under way, by vendor.
    CHANNEL_WAITING: Gauge = "carillon_channel_waiting";
    /// Seconds from a call to a vendor to its answer, by vendor.
    CHANNEL_CALL: Histogram = "carillon_channel_call_duration_seconds";
    /// Devices a second that channels may send to now, by vendor: the slowest app's.
    CHANNEL_RATE: Gauge = "carillon_channel_rate";
    /// Seconds until the first certificate of a vendor ends.
    CHANNEL_CREDENTIAL_ENDS: Gauge = "carillon_channel_credential_ends_seconds";
    /// What is left of a day's quota, by vendor and limit: the app's that has least.
    CHANNEL_QUOTA_LEFT: Gauge = "carillon_channel_quota_left";
    /// Tokens on record, by channel.
    TOKENS: Gauge = "carillon_tokens";
    /// Tokens dropped because a vendor said that they are dead, by channel and by what told it.
    TOKENS_INVALIDATED: Counter = "carillon_tokens_invalidated_total";
    /// Tasks forgotten before their time, because their app had as many as it may.
    TASKS_DROPPED: Counter = "carillon_tasks_dropped_total";
    /// Resident memory of the process in bytes.
    RESIDENT_BYTES: Gauge = "process_resident_memory_bytes";
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every source file below `dir`, in one text.
    fn sources(dir: &std::path::Path) -> String {
        let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
        entries
            .filter(|path| !path.ends_with("names.rs"))
            .map(|path| if path.is_dir() { sources(&path) } else { std::fs::read_to_string(path).unwrap() })
            .collect()
    }

    #[test]
    fn every_metric_is_touched_by_some_code() {
        let code = sources(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
        let declared = include_str!("names.rs");
        for metric in ALL {
            let at = declared.find(&format!("= \"{}\"", metric.name)).unwrap();
            let constant = declared[..at].rsplit('\n').next().unwrap().split(':').next().unwrap().trim();
            assert!(code.contains(&format!("names::{constant}")), "nothing touches {}", metric.name);
        }
    }

    #[test]
    fn counters_end_in_total_and_nothing_else_does() {
        for metric in ALL {
            assert_eq!(metric.shape == Shape::Counter, metric.name.ends_with("_total"), "{}", metric.name);
        }
    }
}

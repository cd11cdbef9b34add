//! Handles for counting on hot paths: registered once, so that an event costs an atomic addition.
//! They reach whatever recorder was installed before the engine started.

use std::sync::atomic::{AtomicUsize, Ordering};

use carillon_sdk::wire::{ErrorCode, GoodbyeReason};
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use crate::engine::Kind;
use crate::link::Protocol;
use crate::model::PushType;
use crate::names;

const PROTOCOLS: [(Protocol, &str); 4] =
    [(Protocol::Tcp, "tcp"), (Protocol::Tls, "tls"), (Protocol::Ws, "ws"), (Protocol::Wss, "wss")];

pub(crate) struct Counters {
    open: [AtomicUsize; 4],
    connections: [Gauge; 4],
    pub(crate) opened: Counter,
    closed_by_device: Counter,
    closed_for: [Counter; 9],
    pub(crate) resumed: Counter,
    pub(crate) not_resumed: Counter,
    pub(crate) hellos_refused: Counter,
    accepted: [Counter; 4],
    targets: [Counter; 4],
    pub(crate) replays: Counter,
    pub(crate) written: Counter,
    pub(crate) latency: Histogram,
    pub(crate) repeated_targets: Counter,
    pub(crate) frames_unknown: Counter,
    pub(crate) clock_jumps: Counter,
    pub(crate) hints_dropped: Counter,
    pub(crate) arrivals_refused: Counter,
    pub(crate) pushes_refused: Counter,
}

/// Reasons a server closes for, in the order of `closed_for`.
const fn reason_at(reason: GoodbyeReason) -> (usize, &'static str) {
    match reason {
        GoodbyeReason::Draining => (0, "draining"),
        GoodbyeReason::Replaced => (1, "replaced"),
        GoodbyeReason::Idle => (2, "idle"),
        GoodbyeReason::Slow => (3, "slow"),
        GoodbyeReason::Busy => (4, "busy"),
        GoodbyeReason::Credential => (5, "credential"),
        GoodbyeReason::Protocol => (6, "protocol"),
        GoodbyeReason::Revoked => (7, "revoked"),
        GoodbyeReason::Internal | GoodbyeReason::Other => (8, "internal"),
    }
}

const REASONS: [GoodbyeReason; 9] = [
    GoodbyeReason::Draining,
    GoodbyeReason::Replaced,
    GoodbyeReason::Idle,
    GoodbyeReason::Slow,
    GoodbyeReason::Busy,
    GoodbyeReason::Credential,
    GoodbyeReason::Protocol,
    GoodbyeReason::Revoked,
    GoodbyeReason::Internal,
];

impl Counters {
    pub(crate) fn register() -> Self {
        let full = |kind: &'static str, policy: &'static str| counter!(names::MAILBOX_FULL, "kind" => kind, "policy" => policy);
        Self {
            open: std::array::from_fn(|_| AtomicUsize::new(0)),
            connections: PROTOCOLS.map(|(_, name)| gauge!(names::CONNECTIONS, "protocol" => name)),
            opened: counter!(names::CONNECTIONS_OPENED),
            closed_by_device: counter!(names::CONNECTIONS_CLOSED, "reason" => "device"),
            closed_for: REASONS
                .map(|reason| counter!(names::CONNECTIONS_CLOSED, "reason" => reason_at(reason).1)),
            resumed: counter!(names::SESSION_RESUMES, "result" => "resumed"),
            not_resumed: counter!(names::SESSION_RESUMES, "result" => "new"),
            hellos_refused: counter!(names::HELLOS_REFUSED),
            accepted: PushType::ALL
                .map(|push_type| counter!(names::MESSAGES_ACCEPTED, "push_type" => push_type.as_str())),
            targets: PushType::ALL.map(
                |push_type| counter!(names::TARGETS, "push_type" => push_type.as_str(), "channel" => "own"),
            ),
            replays: counter!(names::IDEMPOTENT_REPLAYS),
            written: counter!(names::PUSHES_WRITTEN),
            latency: histogram!(names::DELIVERY_LATENCY, "channel" => "own", "stage" => "ack"),
            repeated_targets: counter!(names::DUPLICATES, "where" => "target"),
            frames_unknown: counter!(names::FRAMES_UNKNOWN),
            clock_jumps: counter!(names::CLOCK_JUMPS),
            hints_dropped: full("shard", "hint_dropped"),
            arrivals_refused: full("shard", "arrival_refused"),
            pushes_refused: full("shard", "push_refused"),
        }
    }

    pub(crate) fn opened(&self, protocol: Protocol) {
        self.open[protocol as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn gone(&self, protocol: Protocol) {
        self.open[protocol as usize].fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn connections(&self) -> usize {
        self.open.iter().map(|open| open.load(Ordering::Relaxed)).sum()
    }

    /// `None`: the device hung up, or its network did.
    pub(crate) fn closed(&self, reason: Option<GoodbyeReason>) {
        match reason {
            Some(reason) => self.closed_for[reason_at(reason).0].increment(1),
            None => self.closed_by_device.increment(1),
        }
    }

    pub(crate) fn accepted(&self, push_type: PushType, targets: u32) {
        let at = push_type as usize - 1;
        self.accepted[at].increment(1);
        self.targets[at].increment(u64::from(targets));
    }

    /// Counted as it happens: rare.
    pub(crate) fn refused_frame(code: ErrorCode) {
        counter!(names::FRAMES_REFUSED, "code" => error_label(code)).increment(1);
    }

    /// Counted as it happens: rare.
    pub(crate) fn restarted(kind: Kind) {
        counter!(names::RESTARTS, "kind" => kind.name()).increment(1);
    }

    /// Publishes what is kept in plain atomics.
    pub(crate) fn publish(&self) {
        for (gauge, open) in self.connections.iter().zip(&self.open) {
            #[expect(clippy::cast_precision_loss, reason = "a count of connections is far below 2^52")]
            gauge.set(open.load(Ordering::Relaxed) as f64);
        }
    }
}

const fn error_label(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::HelloExpected => "hello_expected",
        ErrorCode::HelloTwice => "hello_twice",
        ErrorCode::CredentialInvalid => "credential_invalid",
        ErrorCode::FrameTooLong => "frame_too_long",
        ErrorCode::FrameMalformed => "frame_malformed",
        ErrorCode::AckUnknown => "ack_unknown",
        ErrorCode::ReportUnknown => "report_unknown",
        ErrorCode::BindTokenInvalid => "bind_token_invalid",
        ErrorCode::BindTokenExpired => "bind_token_expired",
        ErrorCode::VendorTokenInvalid => "vendor_token_invalid",
        ErrorCode::TooMany => "too_many",
        ErrorCode::Unavailable => "unavailable",
        ErrorCode::UnexpectedFrame => "unexpected_frame",
        ErrorCode::Other => "other",
    }
}

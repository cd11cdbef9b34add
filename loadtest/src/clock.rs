//! The one clock of a measurement: wall time in nanoseconds, because sender, server and receivers
//! are different processes of one machine and must mean the same moment by a number.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Nanoseconds since 1970. A step of the machine's clock during a run spoils the run.
#[expect(clippy::disallowed_methods, reason = "measures from outside; several processes share this clock")]
pub(crate) fn now_ns() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

pub(crate) fn seconds_since(start_ns: u64) -> f64 {
    seconds_between(start_ns, now_ns())
}

#[expect(clippy::cast_precision_loss, reason = "spans of minutes: far below 2^53 ns")]
pub(crate) fn seconds_between(start_ns: u64, end_ns: u64) -> f64 {
    end_ns.saturating_sub(start_ns) as f64 / 1e9
}

/// A deadline against which waits are checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline(u64);

impl Deadline {
    pub(crate) fn after(span: Duration) -> Self {
        Self(now_ns().saturating_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)))
    }

    pub(crate) fn passed(self) -> bool {
        now_ns() >= self.0
    }
}

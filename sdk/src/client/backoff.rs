//! How long to wait before the next connection: full jitter, so that a fleet that fell together
//! does not rise together.

use std::time::Duration;

/// The spans between which a wait is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The longest first wait; each failure doubles it.
    pub first: Duration,
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Duration::from_secs(1), max: Duration::from_secs(120) }
    }
}

impl Backoff {
    /// The wait after `failures` connections in a row came to nothing; `random_below` draws.
    pub(super) fn wait(self, failures: u32, random_below: impl FnOnce(u64) -> u64) -> Duration {
        let longest = self.first.saturating_mul(2_u32.saturating_pow(failures.min(30))).min(self.max);
        Duration::from_millis(random_below(u64::try_from(longest.as_millis()).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_drawn_below_a_bound_that_doubles_up_to_a_limit() {
        let backoff = Backoff { first: Duration::from_secs(1), max: Duration::from_secs(60) };
        let bound = |failures| {
            let mut bound = 0;
            assert_eq!(
                backoff.wait(failures, |given| {
                    bound = given;
                    7
                }),
                Duration::from_millis(7)
            );
            bound
        };
        assert_eq!([0, 1, 5, 6, 7, u32::MAX].map(bound), [1_000, 2_000, 32_000, 60_000, 60_000, 60_000]);
    }
}

//! How fast targets are let go. Pure: time comes in.

use carillon_sdk::Ttl;
use serde::{Deserialize, Serialize};

/// Each bound holds by itself; none is as fast as it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Pace {
    /// Evenly, a slice at a time.
    pub per_second: Option<u32>,
    /// In each minute from when it began to run, as early in it as the other bound lets.
    pub per_minute: Option<u32>,
}

const SECOND_MS: u64 = 1_000;
const MINUTE_MS: u64 = 60_000;

/// Between two slices of a paced campaign: each is a commit.
pub(super) const SLICE: Ttl = Ttl::from_millis(200);

impl Pace {
    /// Targets of one minute; none when nothing bounds them.
    fn of_minute(self) -> Option<u64> {
        let seconds = self.per_second.map(|rate| u64::from(rate) * MINUTE_MS / SECOND_MS);
        match (seconds, self.per_minute.map(u64::from)) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }

    /// From the first to the last of so many targets.
    #[must_use]
    pub(super) fn takes(self, targets: u64) -> Ttl {
        let Some(of_minute) = self.of_minute().filter(|_| targets > 0) else { return Ttl::ZERO };
        let of_minute = of_minute.max(1);
        let minutes = (targets - 1) / of_minute;
        let rest = targets - minutes * of_minute;
        let rest_ms = self.per_second.map_or(0, |rate| (rest * SECOND_MS).div_ceil(u64::from(rate).max(1)));
        Ttl::from_millis(minutes.saturating_mul(MINUTE_MS).saturating_add(rest_ms))
    }

    /// How many are let go within a span; none when nothing bounds them.
    #[must_use]
    pub(super) fn within(self, span: Ttl) -> Option<u64> {
        let of_minute = self.of_minute()?;
        let (minutes, rest_ms) = (span.as_millis() / MINUTE_MS, span.as_millis() % MINUTE_MS);
        let rest = self.per_second.map_or(of_minute, |rate| rest_ms * u64::from(rate) / SECOND_MS);
        Some(minutes.saturating_mul(of_minute).saturating_add(rest.min(of_minute)))
    }
}

/// What may be let go at this moment. A restart begins a new one: at most a slice, and a minute's
/// share, come early by that.
#[derive(Debug)]
pub(super) struct Bucket {
    pace: Pace,
    /// In thousandths of a target, so that slow paces lose nothing to rounding.
    tokens: u64,
    filled_ms: u64,
    minute_began_ms: u64,
    of_minute: u64,
}

impl Bucket {
    pub(super) const fn new(pace: Pace, now_ms: u64) -> Self {
        Self { pace, tokens: 0, filled_ms: now_ms, minute_began_ms: now_ms, of_minute: 0 }
    }

    /// How many may go now.
    pub(super) fn allows(&mut self, now_ms: u64) -> u64 {
        let by_second = match self.pace.per_second {
            None => u64::MAX,
            Some(rate) => {
                let rate = u64::from(rate);
                let earned = now_ms.saturating_sub(self.filled_ms).saturating_mul(rate);
                // Never more than two slices at once, however long nothing went; but a whole one.
                let most = (2 * SLICE.as_millis() * rate).max(1_000);
                self.tokens = self.tokens.saturating_add(earned).min(most);
                self.filled_ms = now_ms;
                self.tokens / 1_000
            }
        };
        let by_minute = match self.pace.per_minute {
            None => u64::MAX,
            Some(rate) => {
                if now_ms.saturating_sub(self.minute_began_ms) >= MINUTE_MS {
                    self.minute_began_ms = now_ms;
                    self.of_minute = 0;
                }
                u64::from(rate).saturating_sub(self.of_minute)
            }
        };
        by_second.min(by_minute)
    }

    pub(super) const fn took(&mut self, count: u64) {
        self.tokens = self.tokens.saturating_sub(count.saturating_mul(1_000));
        self.of_minute = self.of_minute.saturating_add(count);
    }

    /// When to look again; none when it need not wait.
    pub(super) fn wait(&self, now_ms: u64) -> Option<Ttl> {
        if self.pace == Pace::default() {
            return None;
        }
        let minute_left = (self.minute_began_ms + MINUTE_MS).saturating_sub(now_ms);
        let spent = self.pace.per_minute.is_some_and(|rate| self.of_minute >= u64::from(rate));
        Some(if spent { Ttl::from_millis(minute_left.max(1)) } else { SLICE })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(per_second: u32, per_minute: u32) -> Pace {
        let some = |rate: u32| (rate > 0).then_some(rate);
        Pace { per_second: some(per_second), per_minute: some(per_minute) }
    }

    #[test]
    fn a_plan_says_how_long_a_pace_takes() {
        for (pace, targets, ms) in [
            (pace(0, 0), 1_000_000, 0),
            (pace(100, 0), 1_000, 10_000),
            (pace(3, 0), 1, 334),
            (pace(0, 100), 100, 0),
            (pace(0, 100), 101, 60_000),
            (pace(100, 1_000), 1_500, 65_000),
            (pace(10, 1_000_000), 601, 60_100),
            (pace(10, 10), 0, 0),
        ] {
            assert_eq!(pace.takes(targets), Ttl::from_millis(ms), "{pace:?} {targets}");
        }
    }

    #[test]
    fn what_a_pace_lets_go_within_a_span_is_what_takes_no_longer() {
        for pace in [pace(7, 0), pace(0, 100), pace(100, 1_000), pace(50, 3_000)] {
            for span in [1_000, 59_999, 60_000, 61_000, 3_600_000] {
                let span = Ttl::from_millis(span);
                let within = pace.within(span).unwrap();
                assert!(pace.takes(within) <= span, "{pace:?} {span:?}: {within}");
                assert!(pace.takes(within + 1) >= span, "{pace:?} {span:?}: {within}");
            }
        }
        assert_eq!(Pace::default().within(Ttl::ZERO), None);
    }

    /// Runs a bucket as a runner would; how many went by each moment.
    fn run(pace: Pace, for_ms: u64) -> u64 {
        let mut bucket = Bucket::new(pace, 5_000);
        let (mut now, mut gone) = (5_000, 0);
        while now <= 5_000 + for_ms {
            let allowed = bucket.allows(now);
            bucket.took(allowed);
            gone += allowed;
            now += bucket.wait(now).unwrap().as_millis();
        }
        gone
    }

    #[test]
    fn a_bucket_lets_go_what_the_pace_says() {
        assert_eq!(run(pace(1_000, 0), 10_000), 10_000);
        assert_eq!(run(pace(1, 0), 10_000), 10);
        assert_eq!(run(pace(0, 500), 59_000), 500);
        assert_eq!(run(pace(0, 500), 61_000), 1_000);
        assert_eq!(run(pace(100, 300), 59_000), 300);
    }

    #[test]
    fn a_long_wait_earns_no_burst() {
        let mut bucket = Bucket::new(pace(1_000, 0), 0);
        assert_eq!(bucket.allows(3_600_000), 400);
    }
}

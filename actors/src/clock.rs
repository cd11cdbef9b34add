//! The only place that reads a clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use carillon_sdk::Timestamp;

/// Wall time that never goes back. Clones share one reading.
///
/// After the wall clock jumped forward by more than a minute against the monotonic one, `settled`
/// is false until the jump has held for five minutes: nothing is deleted and no schedule fires on
/// the word of a clock that may be wrong. Delivery still refuses what looks expired meanwhile: a
/// wrong clock costs a delay, not messages.
#[derive(Clone)]
pub struct Clock(Arc<Inner>);

struct Inner {
    source: Source,
    /// The latest reading given out, in milliseconds: a clock stepped back stands still instead.
    latest: AtomicU64,
    /// Wall minus monotonic at the last look, and when a jump was last seen (monotonic ms, 0 none).
    offset: AtomicU64,
    jumped_at: AtomicU64,
    jumps: AtomicU64,
}

enum Source {
    System {
        start: Instant,
    },
    /// Moved by a test: wall and monotonic milliseconds.
    Manual {
        wall: AtomicU64,
        monotonic: AtomicU64,
    },
    /// Goes as tokio's does, which a test pauses: one hand moves timers and clock.
    Tokio {
        start: tokio::time::Instant,
        wall: u64,
    },
}

const JUMP_MS: u64 = 60_000;
const HOLD_MS: u64 = 300_000;

impl Clock {
    #[must_use]
    pub fn system() -> Self {
        #[expect(clippy::disallowed_methods, reason = "this is the clock")]
        let start = Instant::now();
        Self::over(Source::System { start })
    }

    /// A clock that stands at `now` until a test moves it.
    #[must_use]
    pub fn manual(now: Timestamp) -> Self {
        Self::over(Source::Manual { wall: AtomicU64::new(now.as_millis()), monotonic: AtomicU64::new(1) })
    }

    /// A clock that stands at `now` and goes as tokio's does, for tests that pause that one. Threads
    /// without a runtime see another time on it.
    #[must_use]
    pub fn with_tokio(now: Timestamp) -> Self {
        Self::over(Source::Tokio { start: tokio::time::Instant::now(), wall: now.as_millis() })
    }

    fn over(source: Source) -> Self {
        let clock = Self(Arc::new(Inner {
            source,
            latest: AtomicU64::new(0),
            offset: AtomicU64::new(0),
            jumped_at: AtomicU64::new(0),
            jumps: AtomicU64::new(0),
        }));
        let (wall, monotonic) = clock.read();
        clock.0.offset.store(wall.saturating_sub(monotonic), Ordering::Relaxed);
        clock
    }

    #[must_use]
    pub fn now(&self) -> Timestamp {
        let (wall, _) = self.read();
        let latest = self.0.latest.fetch_max(wall, Ordering::Relaxed);
        Timestamp::from_millis(wall.max(latest))
    }

    /// What the wall clock says, though it may have gone back: for what must not happen too early.
    /// After a forward step that was taken back, `now` stands still for as long as the step was.
    #[must_use]
    pub fn wall(&self) -> Timestamp {
        Timestamp::from_millis(self.read().0)
    }

    /// Milliseconds of monotonic time since the process began: for measuring spans.
    #[must_use]
    pub fn monotonic_ms(&self) -> u64 {
        self.read().1
    }

    /// Monotonic time as a span, finer than milliseconds: for histograms.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        match &self.0.source {
            Source::System { start } => start.elapsed(),
            Source::Manual { monotonic, .. } => Duration::from_millis(monotonic.load(Ordering::Relaxed)),
            Source::Tokio { start, .. } => start.elapsed(),
        }
    }

    /// Looks for a jump; called once a second. Returns the jump in milliseconds when it is new.
    pub fn watch(&self) -> Option<i64> {
        let (wall, monotonic) = self.read();
        let offset = wall.saturating_sub(monotonic);
        let before = self.0.offset.swap(offset, Ordering::Relaxed);
        let jump = i64::try_from(offset).ok()? - i64::try_from(before).ok()?;
        if jump.unsigned_abs() < 1_000 {
            return None;
        }
        self.0.jumps.fetch_add(1, Ordering::Relaxed);
        if jump > i64::try_from(JUMP_MS).ok()? {
            self.0.jumped_at.store(monotonic, Ordering::Relaxed);
        }
        Some(jump)
    }

    /// False while a forward jump of more than a minute has not yet held for five.
    #[must_use]
    pub fn settled(&self) -> bool {
        let jumped_at = self.0.jumped_at.load(Ordering::Relaxed);
        jumped_at == 0 || self.read().1.saturating_sub(jumped_at) >= HOLD_MS
    }

    /// Moves a manual clock, wall and monotonic together. Does nothing to the system's.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual { wall, monotonic } = &self.0.source {
            let by = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
            wall.fetch_add(by, Ordering::Relaxed);
            monotonic.fetch_add(by, Ordering::Relaxed);
        }
    }

    /// Steps a manual clock's wall time alone, as an operator or NTP would.
    pub fn step_wall(&self, by_ms: i64) {
        if let Source::Manual { wall, .. } = &self.0.source {
            let now = wall.load(Ordering::Relaxed);
            wall.store(now.saturating_add_signed(by_ms), Ordering::Relaxed);
        }
    }

    fn read(&self) -> (u64, u64) {
        match &self.0.source {
            Source::System { start } => {
                #[expect(clippy::disallowed_methods, reason = "this is the clock")]
                let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                (millis(wall), millis(start.elapsed()) + 1)
            }
            Source::Manual { wall, monotonic } => {
                (wall.load(Ordering::Relaxed), monotonic.load(Ordering::Relaxed))
            }
            Source::Tokio { start, wall } => {
                let ms = millis(start.elapsed());
                (wall + ms, ms + 1)
            }
        }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Clock {
        Clock::manual(Timestamp::from_millis(ms))
    }

    #[test]
    fn a_clock_stepped_back_stands_still() {
        let clock = at(1_000_000);
        let before = clock.now();
        clock.step_wall(-500_000);
        assert_eq!(clock.now(), before);
    }

    #[test]
    fn what_must_not_be_early_follows_a_clock_that_is_set_back() {
        let clock = at(1_000_000);
        clock.step_wall(70_000);
        assert_eq!(clock.now(), Timestamp::from_millis(1_070_000));
        clock.step_wall(-70_000);
        assert_eq!(clock.wall(), Timestamp::from_millis(1_000_000));
        assert_eq!(clock.now(), Timestamp::from_millis(1_070_000));
    }

    #[test]
    fn a_forward_jump_is_distrusted_until_it_has_held_for_five_minutes() {
        let clock = at(1_000_000);
        assert!(clock.watch().is_none() && clock.settled());
        clock.step_wall(61_000);
        assert_eq!(clock.watch(), Some(61_000));
        assert!(!clock.settled());
        clock.advance(Duration::from_secs(299));
        assert!(clock.watch().is_none() && !clock.settled());
        clock.advance(Duration::from_secs(1));
        assert!(clock.settled());
    }

    #[test]
    fn a_small_step_is_counted_and_trusted() {
        let clock = at(1_000_000);
        clock.step_wall(5_000);
        assert_eq!(clock.watch(), Some(5_000));
        assert!(clock.settled());
    }
}

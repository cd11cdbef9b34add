//! When an errand that was not taken is tried again. Pure: time comes in.

use carillon_sdk::{Timestamp, Ttl, Vendor};

use super::{Pause, quota};

/// The longest rest after the first failure; it doubles with each, to a bound.
const REST_FIRST: Ttl = Ttl::from_secs(1);
const REST_MAX: Ttl = Ttl::from_secs(600);

/// What waits for a vendor's day to turn, or for an hour of it, comes back over so long a span.
const SPREAD: Ttl = Ttl::from_secs(600);

/// Any span up to a bound that doubles with each attempt: full jitter, so that many who failed
/// together do not come back together.
pub(super) fn backoff(attempts: u16, thrown: u64) -> Ttl {
    let bound = REST_FIRST.as_millis() << attempts.min(20);
    Ttl::from_millis(thrown % bound.min(REST_MAX.as_millis()) + 1)
}

/// When the vendor wants the next attempt; none when it does not say.
pub(super) fn asked(vendor: Vendor, pause: Option<Pause>, now: Timestamp) -> Option<Timestamp> {
    match pause? {
        Pause::For(span) => Some(now + span),
        Pause::NextDay => Some(quota::next_hour(vendor, 0, now)),
        Pause::Hour(hour) => Some(quota::next_hour(vendor, hour, now)),
    }
}

/// After a failure. Never after the message expires: at that moment the store ends it.
pub(super) fn at(
    vendor: Vendor,
    attempts: u16,
    pause: Option<Pause>,
    expires_at: Timestamp,
    now: Timestamp,
    thrown: u64,
) -> Timestamp {
    let rest = backoff(attempts, thrown);
    let at = match (asked(vendor, pause, now), pause) {
        (Some(asked), Some(Pause::For(_))) => asked.max(now + rest),
        (Some(asked), _) => spread(asked, thrown),
        (None, _) => now + rest,
    };
    at.min(expires_at)
}

/// A while after a moment for which many wait.
pub(super) fn spread(at: Timestamp, thrown: u64) -> Timestamp {
    at + Ttl::from_millis(thrown % SPREAD.as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noon in Shanghai.
    const NOW: Timestamp = Timestamp::from_millis(1_795_622_400_000 - 43_200_000);
    const FAR: Timestamp = Timestamp::from_millis(u64::MAX);

    fn rest(attempts: u16, pause: Option<Pause>, thrown: u64) -> Ttl {
        at(Vendor::Vivo, attempts, pause, FAR, NOW, thrown).since(NOW)
    }

    #[test]
    fn rests_double_to_ten_minutes_with_full_jitter() {
        for (attempts, bound_s) in [(0, 1), (1, 2), (2, 4), (5, 32), (9, 512), (10, 600), (u16::MAX, 600)] {
            assert_eq!(rest(attempts, None, bound_s * 1000 - 1), Ttl::from_secs(bound_s));
            assert_eq!(rest(attempts, None, bound_s * 1000), Ttl::from_millis(1));
        }
    }

    #[test]
    fn a_vendor_that_says_when_is_believed() {
        let span = |s| Some(Pause::For(Ttl::from_secs(s)));
        assert_eq!(rest(0, span(60), 5), Ttl::from_secs(60));
        assert_eq!(rest(6, span(1), 59_999), Ttl::from_secs(60), "but not to hurry");
        let half_a_day = Ttl::from_secs(43_200);
        assert_eq!(rest(3, Some(Pause::NextDay), 0), half_a_day);
        assert_eq!(rest(3, Some(Pause::NextDay), 599_999), Ttl::from_millis(43_200_000 + 599_999));
        assert_eq!(rest(0, Some(Pause::Hour(18)), 0), Ttl::from_secs(6 * 3600));
        assert_eq!(rest(0, Some(Pause::Hour(7)), 0), Ttl::from_secs(19 * 3600));
    }

    #[test]
    fn nothing_is_tried_after_its_time() {
        let expires = NOW + Ttl::from_secs(30);
        for pause in [Some(Pause::For(Ttl::from_secs(31))), Some(Pause::NextDay)] {
            assert_eq!(at(Vendor::Fcm, 0, pause, expires, NOW, 7), expires);
        }
        assert_eq!(at(Vendor::Fcm, 9, None, expires, NOW, 31_000), expires);
    }
}

//! When an errand that was not taken is tried again. Pure: time comes in.

use carillon_sdk::{Timestamp, Ttl, Vendor};

use super::{Pause, Refused, Scope, quota};

/// The longest rest after the first failure; it doubles with each, to a bound.
const REST_FIRST: Ttl = Ttl::from_secs(1);
const REST_MAX: Ttl = Ttl::from_secs(600);
/// The bound where it is the vendor that ails and not the message: nobody's message shall wait for
/// minutes after the vendor is back. Meanwhile pace and breaker spare the vendor.
const OUTAGE_REST_MAX: Ttl = Ttl::from_secs(30);

/// What waits for a vendor's day to turn, or for an hour of it, comes back over so long a span.
const SPREAD: Ttl = Ttl::from_secs(600);

/// Any span up to a bound that doubles with each attempt: full jitter, so that many who failed
/// together do not come back together.
pub(super) fn backoff(attempts: u16, scope: Scope, thrown: u64) -> Ttl {
    let most = match scope {
        Scope::App | Scope::Connection | Scope::Platform => OUTAGE_REST_MAX,
        Scope::Message | Scope::Device | Scope::Category | Scope::Endpoint => REST_MAX,
    };
    let bound = REST_FIRST.as_millis() << attempts.min(20);
    Ttl::from_millis(thrown % bound.min(most.as_millis()) + 1)
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
    refused: &Refused,
    expires_at: Timestamp,
    now: Timestamp,
    thrown: u64,
) -> Timestamp {
    let (rest, pause) = (backoff(attempts, refused.scope, thrown), refused.pause);
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
    use super::super::Class;
    use super::*;

    /// Noon in Shanghai.
    const NOW: Timestamp = Timestamp::from_millis(1_795_622_400_000 - 43_200_000);
    const FAR: Timestamp = Timestamp::from_millis(u64::MAX);

    fn busy(scope: Scope, pause: Option<Pause>) -> Refused {
        Refused::new(Class::Retry, scope, "busy").pausing(pause)
    }

    fn rest(attempts: u16, pause: Option<Pause>, thrown: u64) -> Ttl {
        at(Vendor::Vivo, attempts, &busy(Scope::Message, pause), FAR, NOW, thrown).since(NOW)
    }

    #[test]
    fn rests_double_to_ten_minutes_with_full_jitter() {
        for (attempts, bound_s) in [(0, 1), (1, 2), (2, 4), (5, 32), (9, 512), (10, 600), (u16::MAX, 600)] {
            assert_eq!(rest(attempts, None, bound_s * 1000 - 1), Ttl::from_secs(bound_s));
            assert_eq!(rest(attempts, None, bound_s * 1000), Ttl::from_millis(1));
        }
    }

    #[test]
    fn when_the_vendor_itself_ails_nobody_rests_longer_than_half_a_minute() {
        for scope in [Scope::App, Scope::Connection, Scope::Platform] {
            let longest = (0..2_000).map(|at| at * 997).map(|thrown| backoff(u16::MAX, scope, thrown)).max();
            assert!(longest.is_some_and(|rest| rest > Ttl::from_secs(29) && rest <= OUTAGE_REST_MAX));
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
            assert_eq!(at(Vendor::Fcm, 0, &busy(Scope::App, pause), expires, NOW, 7), expires);
        }
        assert_eq!(at(Vendor::Fcm, 9, &busy(Scope::Device, None), expires, NOW, 31_000), expires);
    }
}

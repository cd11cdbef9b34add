//! When a channel stops calling its vendor, and when it looks whether that helped. Pure: time comes
//! in.
//!
//! ```text
//!  closed ──a fault of the setup; many of the way in a row; busy for long──▶ open ──probe_at──▶ probing
//!    ▲──────────────── a call that the vendor took, a test, a new setup ────────────────────────┘  │
//!                                                        open, twice as long ◀── it failed again ──┘
//! ```

use carillon_sdk::{Timestamp, Ttl};

use super::BreakerView;

/// A wrong setup heals by hand: it is looked at again after so long, twice that each time, to a bound.
const CONFIG_FIRST: Ttl = Ttl::from_secs(30);

const CONFIG_REST_MAX: Ttl = Ttl::from_secs(600);

/// A vendor that does not answer heals by itself, often within seconds: it is looked at more often.
const FAULT_FIRST: Ttl = Ttl::from_secs(5);
const FAULT_REST_MAX: Ttl = Ttl::from_secs(30);

/// Calls that failed on the way or by the vendor's own fault, one after the other with none between
/// that it took, and each a witness.
const FAULTS_MAX: u32 = 8;

/// A vendor that has called itself too busy for so long, and took nothing meanwhile, is not well: its
/// limits are by the second, and would have let something through.
const BUSY_MAX: Ttl = Ttl::from_secs(3);

/// Calls that may be made now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Allows {
    All,
    /// To see whether it goes again.
    One,
    /// The one is under way.
    Wait,
    NoneUntil(Timestamp),
}

#[derive(Debug, Default)]
pub(super) struct Breaker {
    faults: u32,
    /// How often it called itself too busy since it took something, and since when.
    busy: Option<(u32, Timestamp)>,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    code: String,
    text: String,
    since: Timestamp,
    probe_at: Timestamp,
    rest: Ttl,
    probing: bool,
}

impl Breaker {
    pub(super) fn allows(&self, now: Timestamp) -> Allows {
        match &self.open {
            None => Allows::All,
            Some(open) if open.probing => Allows::Wait,
            Some(open) if now >= open.probe_at => Allows::One,
            Some(open) => Allows::NoneUntil(open.probe_at),
        }
    }

    pub(super) const fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// The one call is made.
    pub(super) const fn probes(&mut self) {
        if let Some(open) = &mut self.open {
            open.probing = true;
        }
    }

    /// The one call said nothing either way; another may.
    pub(super) const fn probed_nothing(&mut self) {
        if let Some(open) = &mut self.open {
            open.probing = false;
        }
    }

    /// Nothing goes until someone mends it. `thrown` is any number: it makes the jitter. True when
    /// it was closed.
    pub(super) fn trip(&mut self, code: &str, text: &str, now: Timestamp, thrown: u64) -> bool {
        self.open(code, text, (CONFIG_FIRST, CONFIG_REST_MAX), now, thrown)
    }

    /// A call failed on the way, or by the vendor's own fault. Of a witness this tells of the vendor;
    /// of another perhaps of the token alone, and only the one call that looks is heard: else a few
    /// tokens on which a vendor stumbles, left over when all others are through, would stop the channel
    /// for everyone. True when that opens it.
    pub(super) fn fault(
        &mut self,
        code: &str,
        text: &str,
        is_witness: bool,
        now: Timestamp,
        thrown: u64,
    ) -> bool {
        self.faults = self.faults.saturating_add(u32::from(is_witness));
        // What was under way when it opened says nothing new.
        let is_news = self.open.as_ref().is_some_and(|open| open.probing);
        if is_news || (self.open.is_none() && self.faults >= FAULTS_MAX) {
            return self.open(code, text, (FAULT_FIRST, FAULT_REST_MAX), now, thrown);
        }
        false
    }

    /// The vendor took nothing of a call, since it had too much to do. True when that opens it.
    pub(super) fn busy(&mut self, code: &str, text: &str, now: Timestamp, thrown: u64) -> bool {
        let (times, since) = self.busy.unwrap_or((0, now));
        let times = times.saturating_add(1);
        self.busy = Some((times, since));
        let is_news = self.open.as_ref().is_some_and(|open| open.probing);
        let is_long = times >= FAULTS_MAX && now.since(since) >= BUSY_MAX;
        if is_news || (self.open.is_none() && is_long) {
            return self.open(code, text, (FAULT_FIRST, FAULT_REST_MAX), now, thrown);
        }
        false
    }

    /// The vendor took a call, or answered it as one that is well. True when it was open.
    pub(super) fn passed(&mut self) -> bool {
        (self.faults, self.busy) = (0, None);
        self.open.take().is_some()
    }

    fn open(
        &mut self,
        code: &str,
        text: &str,
        (first, most): (Ttl, Ttl),
        now: Timestamp,
        thrown: u64,
    ) -> bool {
        let was_closed = self.open.is_none();
        let (since, rest) = match &self.open {
            // What was under way when it opened does not open it anew.
            Some(open) if !open.probing => return false,
            Some(open) => (open.since, Ttl::from_millis(open.rest.as_millis() * 2)),
            None => (now, first),
        };
        let rest = rest.max(first).min(most);
        let jitter = Ttl::from_millis(thrown % (rest.as_millis() / 10 + 1));
        self.open = Some(Open {
            code: code.to_owned(),
            text: text.to_owned(),
            since,
            probe_at: now + rest + jitter,
            rest,
            probing: false,
        });
        was_closed
    }

    pub(super) fn view(&self) -> BreakerView {
        match &self.open {
            None => BreakerView::Closed,
            Some(Open { code, text, since, probe_at, .. }) => BreakerView::Open {
                code: code.clone(),
                text: text.clone(),
                since: *since,
                probe_at: *probe_at,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn later(s: u64) -> Timestamp {
        NOW + Ttl::from_secs(s)
    }

    #[test]
    fn a_fault_of_the_setup_stops_all_and_one_call_looks_later_and_later() {
        let mut breaker = Breaker::default();
        assert!(breaker.trip("BadTopic", "", NOW, 0));
        let mut now = NOW;
        for rest in [30, 60, 120, 240, 480, 600, 600] {
            let probe_at = now + Ttl::from_secs(rest);
            assert_eq!(breaker.allows(now), Allows::NoneUntil(probe_at));
            assert!(!breaker.trip("BadTopic", "", now, 0), "one that was under way");
            now = probe_at;
            assert_eq!(breaker.allows(now), Allows::One);
            breaker.probes();
            assert_eq!(breaker.allows(now), Allows::Wait);
            assert!(!breaker.trip("BadTopic", "", now, 0));
        }
        assert!(matches!(breaker.view(), BreakerView::Open { since: NOW, .. }));
        assert!(breaker.passed());
        assert_eq!(breaker.allows(now), Allows::All);
    }

    #[test]
    fn a_dead_vendor_costs_eight_calls_and_one_that_is_well_between_forgives() {
        let mut breaker = Breaker::default();
        for _ in 0..7 {
            assert!(!breaker.fault("connect", "", true, NOW, 0));
        }
        assert!(!breaker.passed());
        for _ in 0..7 {
            assert!(!breaker.fault("connect", "", true, NOW, 0));
        }
        assert!(breaker.fault("connect", "", true, NOW, 0));
        assert!(!breaker.fault("connect", "", true, NOW, 0), "what was under way");
        assert_eq!(breaker.allows(NOW), Allows::NoneUntil(later(5)));
        breaker.probes();
        breaker.fault("connect", "", true, later(5), 0);
        assert_eq!(breaker.allows(later(5)), Allows::NoneUntil(later(15)));
    }

    #[test]
    fn a_vendor_that_was_down_is_looked_at_each_half_minute_at_the_latest() {
        let mut breaker = Breaker::default();
        for _ in 0..8 {
            breaker.fault("connect", "", true, NOW, 0);
        }
        let mut now = NOW;
        for rest in [5, 10, 20, 30, 30] {
            assert_eq!(breaker.allows(now), Allows::NoneUntil(now + Ttl::from_secs(rest)));
            now = now + Ttl::from_secs(rest);
            breaker.probes();
            breaker.fault("connect", "", true, now, 0);
        }
    }

    #[test]
    fn tokens_on_which_a_vendor_stumbles_again_and_again_stop_nobody() {
        let mut breaker = Breaker::default();
        for _ in 0..7 {
            breaker.fault("InternalServerError", "", true, NOW, 0);
        }
        for at in 0..100 {
            assert!(!breaker.fault("InternalServerError", "", false, later(at), 0));
        }
        assert_eq!(breaker.allows(later(100)), Allows::All);
        assert!(breaker.fault("InternalServerError", "", true, later(100), 0));
        breaker.probes();
        breaker.fault("InternalServerError", "", false, later(105), 0);
        assert_eq!(breaker.allows(later(105)), Allows::NoneUntil(later(115)), "the look is heard");
    }

    #[test]
    fn a_vendor_that_is_too_busy_for_everyone_for_three_seconds_is_not_well() {
        let at = |ms| NOW + Ttl::from_millis(ms);
        let mut breaker = Breaker::default();
        for call in 0..100 {
            assert!(!breaker.busy("503", "", at(call * 29), 0), "it may be a limit by the second");
        }
        breaker.passed();
        for call in 0..7 {
            assert!(!breaker.busy("503", "", at(call * 1_000), 0), "few say little");
        }
        assert!(breaker.busy("503", "", at(7_000), 0));
        assert_eq!(breaker.allows(at(7_000)), Allows::NoneUntil(at(12_000)));
        breaker.probes();
        breaker.busy("503", "", at(12_000), 0);
        assert_eq!(breaker.allows(at(12_000)), Allows::NoneUntil(at(22_000)));
        breaker.probes();
        assert!(breaker.passed());
        assert!(!breaker.busy("503", "", at(30_000), 0), "that was before");
    }

    #[test]
    fn a_probe_that_says_nothing_leaves_the_way_to_another() {
        let mut breaker = Breaker::default();
        breaker.trip("x", "", NOW, 0);
        breaker.probes();
        breaker.probed_nothing();
        assert_eq!(breaker.allows(later(30)), Allows::One);
    }
}

//! How fast one app may send by one vendor: devices a second, more while it goes well, half at once
//! when the vendor says that it was too much; and what is left alone for a while. Pure: time comes in.

use ahash::AHashMap;
use carillon_sdk::{Timestamp, Ttl};

use super::Sort;

/// Of the rate it begins with, so much is added in each second of sending: what was halved is back
/// after ten.
const GROWTH_PERCENT: u64 = 5;

/// Answers to one burst of calls come together: they halve once.
const HALVE_AGAIN_MS: u64 = 1_000;

/// What was not used is saved for so long at most.
const SAVED_MS: u64 = 200;

/// Endpoints that may be left alone at once; beyond, the one whose pause ends first is forgotten.
const ENDPOINTS_MAX: usize = 1_024;

/// A token bucket whose rate adapts. A call may take more than is there, which the next one waits
/// for: else no batch would ever go by a slow vendor.
#[derive(Debug)]
pub(super) struct Pace {
    begin: u64,
    least: u64,
    most: u64,
    /// Thousandths of a device a second.
    rate: u64,
    /// Thousandths of a device; below zero, what was taken in advance.
    tokens: i64,
    filled_ms: u64,
    halved_ms: Option<u64>,
    /// Something was taken since it was last filled: only what is used grows.
    used: bool,
}

impl Pace {
    /// Devices a second: to begin with, never less, never more.
    pub(super) fn new((begin, least, most): (u32, u32, u32), now_ms: u64) -> Self {
        let milli = |rate: u32| u64::from(rate.max(1)) * 1_000;
        let (least, most) = (milli(least), milli(most).max(milli(least)));
        let begin = milli(begin).clamp(least, most);
        let new = Self {
            begin,
            least,
            most,
            rate: begin,
            tokens: 0,
            filled_ms: now_ms,
            halved_ms: None,
            used: false,
        };
        Self { tokens: new.saved(), ..new }
    }

    /// The most that is saved: for a while, or one device.
    fn saved(&self) -> i64 {
        let saved = (self.rate.saturating_mul(SAVED_MS) / 1_000).max(1_000);
        i64::try_from(saved).unwrap_or(i64::MAX)
    }

    pub(super) fn per_second(&self) -> u32 {
        u32::try_from(self.rate / 1_000).unwrap_or(u32::MAX)
    }

    /// Whether a call may be made now.
    pub(super) fn allows(&mut self, now_ms: u64) -> bool {
        self.fill(now_ms);
        self.tokens >= 1_000
    }

    pub(super) fn took(&mut self, devices: usize) {
        let cost = i64::try_from(devices).unwrap_or(i64::MAX).saturating_mul(1_000);
        self.tokens = self.tokens.saturating_sub(cost);
        self.used = true;
    }

    /// How long until a call may be made.
    pub(super) fn wait(&self) -> Ttl {
        let missing = u64::try_from(1_000 - self.tokens).unwrap_or(0);
        Ttl::from_millis(missing.saturating_mul(1_000).div_ceil(self.rate))
    }

    /// The vendor said that it was too much.
    pub(super) fn halve(&mut self, now_ms: u64) {
        self.fill(now_ms);
        if self.halved_ms.is_some_and(|at| now_ms.saturating_sub(at) < HALVE_AGAIN_MS) {
            return;
        }
        self.halved_ms = Some(now_ms);
        self.rate = (self.rate / 2).max(self.least);
        self.tokens = self.tokens.min(0);
    }

    fn fill(&mut self, now_ms: u64) {
        let span_ms = now_ms.saturating_sub(self.filled_ms);
        if span_ms == 0 {
            return;
        }
        self.filled_ms = now_ms;
        let earned = i64::try_from(self.rate.saturating_mul(span_ms) / 1_000).unwrap_or(i64::MAX);
        self.tokens = self.tokens.saturating_add(earned).min(self.saved());
        if std::mem::take(&mut self.used) {
            let grown = self.begin * GROWTH_PERCENT * span_ms.min(1_000) / 100_000;
            self.rate = self.rate.saturating_add(grown).min(self.most);
        }
    }
}

/// What is left alone until a moment. Devices are not among them: an errand of a device that is to
/// be left alone is given back until then.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    app: Option<Timestamp>,
    sorts: AHashMap<Sort, Timestamp>,
    endpoints: AHashMap<Box<str>, Timestamp>,
}

impl Pauses {
    /// Until when nothing goes at all.
    pub(super) fn app(&self, now: Timestamp) -> Option<Timestamp> {
        self.app.filter(|&until| now < until)
    }

    /// Until when a message of a sort to an endpoint does not go.
    pub(super) fn of(&self, sort: Sort, endpoint: Option<&str>, now: Timestamp) -> Option<Timestamp> {
        let of_sort = self.sorts.get(&sort).copied();
        let of_endpoint = endpoint.and_then(|endpoint| self.endpoints.get(endpoint)).copied();
        of_sort.max(of_endpoint).filter(|&until| now < until)
    }

    pub(super) fn pause_app(&mut self, until: Timestamp) {
        self.app = self.app.max(Some(until));
    }

    pub(super) fn pause_sort(&mut self, sort: Sort, until: Timestamp) {
        let at = self.sorts.entry(sort).or_insert(until);
        *at = until.max(*at);
    }

    pub(super) fn pause_endpoint(&mut self, endpoint: &str, until: Timestamp, now: Timestamp) {
        if self.endpoints.len() >= ENDPOINTS_MAX {
            self.endpoints.retain(|_, until| now < *until);
        }
        if self.endpoints.len() >= ENDPOINTS_MAX
            && let Some(first) = self.endpoints.iter().min_by_key(|(_, until)| **until)
        {
            let first = first.0.clone();
            self.endpoints.remove(&first);
        }
        let at = self.endpoints.entry(endpoint.into()).or_insert(until);
        *at = until.max(*at);
    }

    /// Someone mended what was wrong.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    /// Makes calls of so many devices whenever it may; how many devices in a span.
    fn run(pace: &mut Pace, batch: usize, from_ms: u64, span_ms: u64) -> usize {
        let (mut now, mut sent) = (from_ms, 0);
        while now < from_ms + span_ms {
            while pace.allows(now) {
                pace.took(batch);
                sent += batch;
            }
            now += pace.wait().as_millis().max(1);
        }
        sent
    }

    #[test]
    fn a_vendor_gets_as_many_a_second_as_it_wants_singly_or_by_the_batch() {
        for batch in [1, 100, 1_000] {
            let mut pace = Pace::new((2_000, 2_000, 2_000), 0);
            let sent = run(&mut pace, batch, 0, 10_000);
            assert!((19_900..=20_400 + batch).contains(&sent), "{batch}: {sent}");
        }
    }

    #[test]
    fn a_long_rest_earns_no_burst() {
        let mut pace = Pace::new((1_000, 10, 1_000), 0);
        let mut sent = 0;
        while pace.allows(3_600_000) {
            pace.took(1);
            sent += 1;
        }
        assert_eq!(sent, 200);
    }

    #[test]
    fn too_much_halves_once_a_second_to_the_floor_and_use_alone_grows_to_the_most() {
        let mut pace = Pace::new((1_000, 300, 1_200), 0);
        pace.halve(0);
        pace.halve(999);
        assert_eq!(pace.per_second(), 500);
        pace.halve(1_000);
        assert_eq!(pace.per_second(), 300);
        assert!(pace.allows(60_000));
        assert_eq!(pace.per_second(), 300, "idle");
        run(&mut pace, 1, 60_000, 1_000);
        assert!((348..=350).contains(&pace.per_second()), "{}", pace.per_second());
        run(&mut pace, 1, 61_000, 60_000);
        assert_eq!(pace.per_second(), 1_200);
    }

    #[test]
    fn what_is_left_alone_is_so_until_its_time_and_takes_nothing_else_along() {
        let later = |s| NOW + Ttl::from_secs(s);
        let mut pauses = Pauses::default();
        pauses.pause_sort(Sort::Marketing, later(10));
        pauses.pause_sort(Sort::Marketing, later(5));
        pauses.pause_endpoint("push.example", later(20), NOW);
        assert_eq!(pauses.of(Sort::Marketing, None, NOW), Some(later(10)));
        assert_eq!(pauses.of(Sort::Marketing, Some("push.example"), NOW), Some(later(20)));
        assert_eq!(pauses.of(Sort::Service, Some("other.example"), NOW), None);
        assert_eq!(pauses.of(Sort::Marketing, None, later(10)), None);
        pauses.pause_app(later(1));
        assert_eq!((pauses.app(NOW), pauses.app(later(1))), (Some(later(1)), None));
    }

    #[test]
    fn endpoints_that_are_left_alone_are_bounded() {
        let mut pauses = Pauses::default();
        for number in 0..2_000 {
            pauses.pause_endpoint(&number.to_string(), NOW + Ttl::from_secs(number + 1), NOW);
        }
        assert_eq!(pauses.endpoints.len(), ENDPOINTS_MAX);
        assert!(pauses.of(Sort::Service, Some("1999"), NOW).is_some());
        assert!(pauses.of(Sort::Service, Some("0"), NOW).is_none());
    }
}

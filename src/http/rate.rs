//! Token buckets by key and by address, in bounded memory. No clock: the caller says what time it is.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};

use parking_lot::Mutex;

use crate::config::Rate;

/// A bucket's state after a request, as the RateLimit headers tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowance {
    pub(crate) rate: Rate,
    /// Requests that would be let in now.
    pub(crate) left: u32,
    /// Seconds until one more is let in; 0 when one is now.
    pub(crate) retry_after_s: u64,
    /// The same in milliseconds, as the mPaaS face says it.
    pub(crate) retry_after_ms: u64,
    pub(crate) allowed: bool,
}

/// Milli-tokens, and when they were counted.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    millis: u64,
    at_ms: u64,
}

/// A bucket for each of at most `max` names. Full buckets are the ones nobody would miss: when the
/// table is full they go. If all are in use, newcomers share one bucket, so that a crowd of
/// addresses can neither grow the table nor escape the rate.
pub(crate) struct Buckets<K> {
    rate: Rate,
    max: usize,
    table: Mutex<Table<K>>,
}

struct Table<K> {
    buckets: HashMap<K, Bucket>,
    crowd: Bucket,
    swept_ms: u64,
}

/// Between two looks for idle buckets in a full table.
const SWEEP_MS: u64 = 1_000;

impl<K: Hash + Eq> Buckets<K> {
    pub(crate) fn new(rate: Rate, max: usize) -> Self {
        let crowd = Bucket { millis: full(rate), at_ms: 0 };
        Self { rate, max, table: Mutex::new(Table { buckets: HashMap::new(), crowd, swept_ms: 0 }) }
    }

    /// Takes a token, if there is one.
    pub(crate) fn take(&self, name: K, now_ms: u64) -> Allowance {
        self.at(name, now_ms, 1_000)
    }

    /// Whether there is a token, without taking it.
    pub(crate) fn peek(&self, name: K, now_ms: u64) -> Allowance {
        self.at(name, now_ms, 0)
    }

    fn at(&self, name: K, now_ms: u64, price: u64) -> Allowance {
        let mut table = self.table.lock();
        let known = table.buckets.contains_key(&name);
        if !known && price == 0 {
            return self.allowance(full(self.rate), true);
        }
        if !known && table.buckets.len() >= self.max && now_ms >= table.swept_ms + SWEEP_MS {
            table.swept_ms = now_ms;
            let rate = self.rate;
            table.buckets.retain(|_, bucket| bucket.refilled(rate, now_ms).millis < full(rate));
        }
        let bucket = if known || table.buckets.len() < self.max {
            let fresh = Bucket { millis: full(self.rate), at_ms: now_ms };
            table.buckets.entry(name).or_insert(fresh)
        } else {
            &mut table.crowd
        };
        *bucket = bucket.refilled(self.rate, now_ms);
        let allowed = bucket.millis >= 1_000;
        if allowed {
            bucket.millis -= price;
        }
        self.allowance(bucket.millis, allowed)
    }

    fn allowance(&self, millis: u64, allowed: bool) -> Allowance {
        let missing = 1_000_u64.saturating_sub(millis);
        let retry_after_ms = missing.div_ceil(u64::from(self.rate.per_s));
        Allowance {
            rate: self.rate,
            left: u32::try_from(millis / 1_000).unwrap_or(u32::MAX),
            retry_after_s: retry_after_ms.div_ceil(1_000),
            retry_after_ms,
            allowed,
        }
    }
}

impl Bucket {
    fn refilled(self, rate: Rate, now_ms: u64) -> Self {
        let gained = now_ms.saturating_sub(self.at_ms).saturating_mul(u64::from(rate.per_s));
        Self { millis: self.millis.saturating_add(gained).min(full(rate)), at_ms: now_ms }
    }
}

fn full(rate: Rate) -> u64 {
    u64::from(rate.burst) * 1_000
}

/// What one party may be expected to hold: an IPv4 address, or an IPv6 /64.
pub(crate) fn party(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(per_s: u32, burst: u32, max: usize) -> Buckets<u32> {
        Buckets::new(Rate { per_s, burst }, max)
    }

    #[test]
    fn a_burst_is_let_in_and_then_the_rate() {
        let buckets = buckets(2, 3, 10);
        let let_in = |now| buckets.take(1, now).allowed;
        assert_eq!([let_in(0), let_in(0), let_in(0), let_in(0)], [true, true, true, false]);
        assert_eq!([let_in(499), let_in(500), let_in(999), let_in(1_000)], [false, true, false, true]);
        assert!(buckets.take(2, 0).allowed, "another's bucket is another's");
    }

    #[test]
    fn the_refused_are_told_when_to_come_back() {
        let buckets = buckets(1, 1, 10);
        assert_eq!(buckets.take(1, 0).left, 0);
        let refused = buckets.take(1, 1);
        assert!(!refused.allowed && refused.retry_after_s == 1, "{refused:?}");
    }

    #[test]
    fn looking_costs_nothing() {
        let buckets = buckets(1, 1, 10);
        for _ in 0..5 {
            assert!(buckets.peek(1, 0).allowed);
        }
        assert!(buckets.take(1, 0).allowed);
        assert!(!buckets.peek(1, 0).allowed);
    }

    #[test]
    fn a_crowd_of_addresses_neither_grows_the_table_nor_escapes_the_rate() {
        let buckets = buckets(1, 2, 4);
        let let_in = (0..100).filter(|name| buckets.take(*name, 5_000).allowed).count();
        assert_eq!(let_in, 4 + 2, "four with buckets of their own, two from the crowd's");
        assert_eq!(buckets.table.lock().buckets.len(), 4);
    }

    #[test]
    fn idle_names_make_room() {
        let buckets = buckets(1, 1, 2);
        for name in 0..2 {
            buckets.take(name, 5_000);
        }
        for name in 10..12 {
            assert!(buckets.take(name, 8_000).allowed);
        }
        assert!(!buckets.table.lock().buckets.contains_key(&0));
    }

    #[test]
    fn an_ipv6_network_is_one_party() {
        let party_of = |text: &str| party(text.parse().unwrap());
        assert_eq!(party_of("2001:db8::1"), party_of("2001:db8::ffff:2"));
        assert_ne!(party_of("2001:db8:0:1::1"), party_of("2001:db8::1"));
        assert_eq!(party_of("::ffff:10.0.0.1"), party_of("10.0.0.1"));
        assert_ne!(party_of("10.0.0.1"), party_of("10.0.0.2"));
    }
}

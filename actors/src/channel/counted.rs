//! What channels count. A vendor's codes are its own words, and it may have many: as labels of a
//! metric they are bounded.

use std::collections::{BTreeMap, BTreeSet};

use carillon_sdk::{Timestamp, Vendor};
use metrics::{counter, gauge, histogram};
use parking_lot::Mutex;

use super::office::Key;
use super::{BreakerView, Refused, State};
use crate::names;

/// Codes that no table has, told apart by vendor; beyond, they are `other`.
const CODES_MAX: usize = 32;
const CODE_BYTES_MAX: usize = 32;

static UNKNOWN: Mutex<BTreeSet<(Vendor, String)>> = Mutex::new(BTreeSet::new());

pub(super) fn accepted(vendor: Vendor, degraded: &[&'static str]) {
    counter!(names::CHANNEL_OUTCOMES, "vendor" => vendor.as_str(), "outcome" => "accepted").increment(1);
    for field in degraded {
        counter!(names::CHANNEL_DEGRADED, "vendor" => vendor.as_str(), "field" => *field).increment(1);
    }
}

pub(super) fn refused(vendor: Vendor, refused: &Refused) {
    let outcome = refused.class.as_str();
    counter!(names::CHANNEL_OUTCOMES, "vendor" => vendor.as_str(), "outcome" => outcome).increment(1);
    if refused.is_ambiguous {
        counter!(names::CHANNEL_AMBIGUOUS, "vendor" => vendor.as_str()).increment(1);
    }
    if refused.is_unknown {
        let code = label(vendor, &refused.code);
        counter!(names::CHANNEL_UNKNOWN_CODE, "vendor" => vendor.as_str(), "code" => code).increment(1);
    }
}

#[expect(clippy::cast_precision_loss, reason = "a call ends within minutes")]
pub(super) fn answered(vendor: Vendor, after_ms: u64) {
    histogram!(names::CHANNEL_CALL, "vendor" => vendor.as_str()).record(after_ms as f64 / 1_000.0);
}

/// What all channels together come to.
#[expect(clippy::cast_precision_loss, reason = "gauges are f64; these counts are far below 2^52")]
pub(super) fn gauges(states: &[(Key, State)], now: Timestamp) {
    for vendor in Vendor::ALL {
        let of: Vec<_> = states.iter().filter(|((_, of), _)| *of == vendor).map(|(_, state)| state).collect();
        let name = vendor.as_str();
        let open = of.iter().filter(|state| state.breaker != BreakerView::Closed).count();
        let in_flight: usize = of.iter().map(|state| state.in_flight).sum();
        let waiting: usize = of.iter().map(|state| state.waiting).sum();
        gauge!(names::CHANNELS_OPEN, "vendor" => name).set(open as f64);
        gauge!(names::CHANNEL_IN_FLIGHT, "vendor" => name).set(in_flight as f64);
        gauge!(names::CHANNEL_WAITING, "vendor" => name).set(waiting as f64);
        if let Some(rate) = of.iter().map(|state| state.rate_per_s).min() {
            gauge!(names::CHANNEL_RATE, "vendor" => name).set(f64::from(rate));
        }
        if let Some(ends_at) = of.iter().filter_map(|state| state.ends_at).min() {
            let left_s = ends_at.since(now).as_millis() / 1_000;
            gauge!(names::CHANNEL_CREDENTIAL_ENDS, "vendor" => name).set(left_s as f64);
        }
        let mut left = BTreeMap::new();
        for quota in of.iter().flat_map(|state| &state.quotas) {
            let Some(of_app) = quota.left else { continue };
            let least = left.entry(quota.name).or_insert(of_app);
            *least = of_app.min(*least);
        }
        for (limit, left) in left {
            gauge!(names::CHANNEL_QUOTA_LEFT, "vendor" => name, "limit" => limit).set(left as f64);
        }
    }
}

fn label(vendor: Vendor, code: &str) -> String {
    let kept = |char: &char| char.is_ascii_alphanumeric() || matches!(char, '_' | '-' | '.');
    let code: String = code.chars().filter(kept).take(CODE_BYTES_MAX).collect();
    let mut unknown = UNKNOWN.lock();
    let key = (vendor, code);
    if !unknown.contains(&key) && unknown.iter().filter(|(of, _)| *of == vendor).count() >= CODES_MAX {
        return "other".to_owned();
    }
    let code = key.1.clone();
    unknown.insert(key);
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_nobody_knows_are_bounded_as_labels() {
        assert_eq!(label(Vendor::Meizu, "Bad code: \"x\"\n"), "Badcodex");
        for code in 0..100 {
            label(Vendor::Meizu, &code.to_string());
        }
        assert_eq!(label(Vendor::Meizu, "5"), "5");
        assert_eq!(label(Vendor::Meizu, "1000"), "other");
        assert_eq!(label(Vendor::Honor, "1000"), "1000");
    }
}

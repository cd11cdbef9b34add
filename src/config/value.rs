//! Texts and numbers into spans of time, sizes, counts and addresses.

use carillon_sdk::Ttl;

use super::layer::Raw;

/// A span of time. A plain number is taken only where the key's name says its unit.
pub(super) fn span(raw: &Raw, key: &str) -> Option<Ttl> {
    let unit = if key.ends_with("_ms") {
        Some(1)
    } else if key.ends_with("_s") {
        Some(1000)
    } else {
        None
    };
    if let (Some(n), Some(unit)) = (count(raw), unit) {
        return n.checked_mul(unit).map(Ttl::from_millis);
    }
    let Raw::Text(text) = raw else { return None };
    span_of(text)
}

/// A span of time as a person writes it, here and on the command line: `90s`, `1h30m`.
pub(crate) fn span_of(text: &str) -> Option<Ttl> {
    sum_of_units(text, &[("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)])
        .map(Ttl::from_millis)
}

/// A number of bytes. A plain number is taken only where the key's name says `bytes`.
pub(super) fn size(raw: &Raw, key: &str) -> Option<u64> {
    if let (Some(n), true) = (count(raw), key.contains("bytes")) {
        return Some(n);
    }
    let Raw::Text(text) = raw else { return None };
    sum_of_units(text, &[("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)])
}

/// A number of things.
pub(super) fn count(raw: &Raw) -> Option<u64> {
    match raw {
        Raw::Int(n) => u64::try_from(*n).ok(),
        Raw::Text(text) => text.parse().ok(),
        Raw::Bool(_) | Raw::Other(_) => None,
    }
}

pub(super) fn boolean(raw: &Raw) -> Option<bool> {
    match raw {
        Raw::Bool(b) => Some(*b),
        Raw::Text(text) => text.parse().ok(),
        Raw::Int(_) | Raw::Other(_) => None,
    }
}

pub(super) fn text(raw: &Raw) -> Option<String> {
    match raw {
        Raw::Text(text) => Some(text.clone()),
        Raw::Int(_) | Raw::Bool(_) | Raw::Other(_) => None,
    }
}

/// The sum of number-and-unit pairs, such as `1h30m`.
fn sum_of_units(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let mut rest = text.trim();
    let mut sum = 0_u64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at(digits);
        let tail = tail.trim_start();
        let end = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        let factor = units.iter().find(|(name, _)| *name == unit)?.1;
        sum = sum.checked_add(number.parse::<u64>().ok()?.checked_mul(factor)?)?;
        rest = tail.trim_start();
    }
    Some(sum)
}

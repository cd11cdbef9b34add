//! Versions of apps, as people number them: `2.10` is after `2.9`, and is `2.10.0`.

use std::cmp::Ordering;

/// Compares two versions part by part, a part that is missing being 0. Within a part the number
/// counts first; letters behind it come before none, as `1.0-beta` before `1.0`. A `v` in front and
/// what follows a `+` or a space do not count.
pub(crate) fn compare(one: &str, other: &str) -> Ordering {
    let (mut one, mut other) = (parts(one), parts(other));
    loop {
        let (left, right) = (one.next(), other.next());
        if left.is_none() && right.is_none() {
            return Ordering::Equal;
        }
        let order = part(left.unwrap_or_default(), right.unwrap_or_default());
        if order.is_ne() {
            return order;
        }
    }
}

fn parts(version: &str) -> impl Iterator<Item = &str> {
    let version = version.trim();
    let version = version.strip_prefix(['v', 'V']).unwrap_or(version);
    let counts = version.split(['+', ' ']).next().unwrap_or_default();
    counts.split('.')
}

fn part(one: &str, other: &str) -> Ordering {
    let ((one, after_one), (other, after_other)) = (split(one), split(other));
    by_number(one, other).then_with(|| match (after_one.is_empty(), after_other.is_empty()) {
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        _ => after_one.cmp(after_other),
    })
}

fn split(part: &str) -> (&str, &str) {
    let digits = part.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = part.split_at(digits);
    (number.trim_start_matches('0'), rest)
}

/// Digits of any number, without zeros in front.
fn by_number(one: &str, other: &str) -> Ordering {
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_number_by_number() {
        for (less, more) in [
            ("2.9", "2.10"),
            ("2.10", "2.10.1"),
            ("9", "10"),
            ("1.0-beta", "1.0"),
            ("1.0-alpha", "1.0-beta"),
            ("1.99999999999999999999", "1.100000000000000000000"),
            ("", "0.1"),
            ("v1.2", "1.3"),
        ] {
            assert_eq!(compare(less, more), Ordering::Less, "{less} {more}");
            assert_eq!(compare(more, less), Ordering::Greater, "{less} {more}");
        }
        for (one, same) in [("2.10", "2.10.0"), ("v1", "1.0"), ("1.02", "1.2"), ("1.2+77", "1.2 (78)")] {
            assert_eq!(compare(one, same), Ordering::Equal, "{one} {same}");
        }
    }
}

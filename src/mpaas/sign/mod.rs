//! How an Alibaba SDK proves who it is: ACS3 in an `Authorization` header, or the older RPC signature
//! in the query. Pure; both are pinned by vectors that the SDK's own signer made.

pub(super) mod acs3;
pub(super) mod rpc;

use std::borrow::Cow;

use carillon_sdk::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};

/// What RFC 3986 calls unreserved stays bare; everything else is `%XX`, a space too.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

pub(super) fn encode(bytes: &[u8]) -> String {
    percent_encode(bytes, ENCODED).to_string()
}

/// Decoded names and values, blank ones too, in the order sent. `+` is a space.
pub(super) fn pairs(text: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let decoded = |part: &[u8]| {
        let spaced: Cow<'_, [u8]> = if part.contains(&b'+') {
            part.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect::<Vec<_>>().into()
        } else {
            part.into()
        };
        percent_decode(&spaced).collect::<Vec<u8>>()
    };
    let parts = text.split(|byte| *byte == b'&').filter(|part| !part.is_empty());
    parts
        .map(|part| match part.iter().position(|byte| *byte == b'=') {
            Some(at) => (decoded(&part[..at]), decoded(&part[at + 1..])),
            None => (decoded(part), Vec::new()),
        })
        .collect()
}

/// `name=value` of each pair, encoded, sorted by name and joined by `&`: what both signatures are over.
pub(super) fn canonical_pairs<'a>(pairs: impl Iterator<Item = &'a (Vec<u8>, Vec<u8>)>) -> String {
    let mut pairs: Vec<_> = pairs.collect();
    pairs.sort();
    let encoded = pairs.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value)));
    encoded.collect::<Vec<_>>().join("&")
}

/// `2026-11-24T15:00:00Z`, and no other spelling of it.
pub(super) fn instant(text: &str) -> Option<Timestamp> {
    let shaped = text.len() == 20 && text.ends_with('Z') && text.as_bytes()[10] == b'T';
    let at = text.parse::<jiff::Timestamp>().ok().filter(|_| shaped)?;
    u64::try_from(at.as_millisecond()).ok().map(Timestamp::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_and_what_stays() {
        assert_eq!(encode("a-_.~Z9".as_bytes()), "a-_.~Z9");
        assert_eq!(encode("*'() +你".as_bytes()), "%2A%27%28%29%20%2B%E4%BD%A0");
    }

    #[test]
    fn a_form_keeps_blanks_order_and_bytes() {
        let pairs = pairs(b"b=1+2&a=&c&d=%2A%ff&&e=x=y");
        let pair = |name: &[u8], value: &[u8]| (name.to_vec(), value.to_vec());
        let expected =
            [pair(b"b", b"1 2"), pair(b"a", b""), pair(b"c", b""), pair(b"d", b"*\xff"), pair(b"e", b"x=y")];
        assert_eq!(pairs, expected);
        assert_eq!(canonical_pairs(pairs.iter()), "a=&b=1%202&c=&d=%2A%FF&e=x%3Dy");
    }

    #[test]
    fn an_instant_has_one_spelling() {
        assert_eq!(instant("1970-01-01T00:00:01Z"), Some(Timestamp::from_millis(1_000)));
        for wrong in ["1970-01-01T00:00:01.5Z", "1970-01-01 00:00:01Z", "1970-01-01T00:00:01", "", "now"] {
            assert_eq!(instant(wrong), None, "{wrong}");
        }
    }
}

//! Until when a certificate is good: a walk through its DER (X.509, RFC 5280 section 4.1) to
//! `notAfter`, so that no parser of certificates is needed for one date.

use carillon_sdk::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

const SEQUENCE: u8 = 0x30;
/// `[0]`, in which the version stands.
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// Of the first certificate of a PEM text: the leaf.
pub(super) fn ends_at(pem: &str) -> Option<Timestamp> {
    let leaf = CertificateDer::from_pem_slice(pem.as_bytes()).ok()?;
    let (certificate, _) = inside(SEQUENCE, &leaf)?;
    let (mut fields, _) = inside(SEQUENCE, certificate)?;
    if fields.first() == Some(&VERSION) {
        fields = element(fields)?.2;
    }
    // Serial number, algorithm, issuer.
    for _ in 0..3 {
        fields = element(fields)?.2;
    }
    let (validity, _) = inside(SEQUENCE, fields)?;
    let (_, _, after) = element(validity)?;
    let (tag, text, _) = element(after)?;
    time(tag, std::str::from_utf8(text).ok()?)
}

fn inside(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = element(der)?;
    (found == tag).then_some((content, rest))
}

/// Tag, content, and what comes after.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, der) = der.split_first()?;
    let (&first, der) = der.split_first()?;
    let (length, der) = match first {
        0..=0x7f => (usize::from(first), der),
        0x81..=0x84 => {
            let (bytes, der) = der.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0, |length, &byte| length << 8 | usize::from(byte)), der)
        }
        _ => return None,
    };
    let (content, rest) = der.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// `YYMMDDHHMMSSZ` with years from 1950 to 2049, or the same with four digits of the year.
fn time(tag: u8, text: &str) -> Option<Timestamp> {
    let text = text.strip_suffix('Z')?;
    if !text.is_ascii() {
        return None;
    }
    let (year, rest) = match tag {
        UTC_TIME => {
            let year: i16 = text.get(..2)?.parse().ok()?;
            (if year < 50 { 2_000 + year } else { 1_900 + year }, text.get(2..)?)
        }
        GENERALIZED_TIME => (text.get(..4)?.parse().ok()?, text.get(4..)?),
        _ => return None,
    };
    let two = |at: usize| rest.get(at..at + 2)?.parse::<i8>().ok();
    let day = Date::new(year, two(0)?, two(2)?).ok()?;
    let time = Time::new(two(4)?, two(6)?, two(8)?, 0).ok()?;
    let millis = day.to_datetime(time).to_zoned(TimeZone::UTC).ok()?.timestamp().as_millisecond();
    // What ended before 1970 has ended.
    Some(Timestamp::from_millis(u64::try_from(millis).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(year: i32) -> String {
        let mut params = rcgen::CertificateParams::new(vec!["push.example.com".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(year, 3, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().pem()
    }

    #[test]
    fn both_forms_of_a_date_are_read() {
        // 2030 is written with two digits of the year, 2051 with four.
        assert_eq!(ends_at(&certificate(2030)), Some(Timestamp::from_millis(1_898_553_600_000)));
        assert_eq!(ends_at(&certificate(2051)), Some(Timestamp::from_millis(2_561_241_600_000)));
    }

    #[test]
    fn a_cut_certificate_is_none_and_no_panic() {
        let pem = certificate(2030);
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        for length in 0..der.len() {
            let mut rest = &der[..length];
            while let Some((_, _, after)) = element(rest) {
                rest = after;
            }
        }
        assert_eq!(ends_at("no certificate"), None);
    }
}

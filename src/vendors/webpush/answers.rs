//! A push service's words in ours: the status is all that they have in common (RFC 8030, and Mozilla's
//! and Apple's pages for what is beside it).

use carillon_actors::channel::{Accepted, Class, Outcome, Refused, Scope};
use serde_json::Value;

use crate::vendors::{Answer, given};

pub(super) const STATUSES: &[(u16, Class, Scope)] = &[
    // A redirect is not followed: whoever may name an endpoint could name a second.
    (301, Class::Perm, Scope::Device),
    (302, Class::Perm, Scope::Device),
    (307, Class::Perm, Scope::Device),
    (308, Class::Perm, Scope::Device),
    (400, Class::Perm, Scope::Message),
    // Our token, or the key the page subscribed with. Said of one host: others go on.
    (401, Class::Config, Scope::Endpoint),
    (403, Class::Config, Scope::Endpoint),
    (404, Class::Unbind, Scope::Device),
    // Microsoft's word for too much.
    (406, Class::Throttle, Scope::Device),
    (410, Class::Unbind, Scope::Device),
    // Microsoft's for dropped.
    (412, Class::Perm, Scope::Message),
    (413, Class::Perm, Scope::Message),
    // Of one subscription, and not of its host.
    (429, Class::Throttle, Scope::Device),
    (500, Class::Retry, Scope::Endpoint),
    (502, Class::Retry, Scope::Endpoint),
    (503, Class::Retry, Scope::Endpoint),
    (504, Class::Retry, Scope::Endpoint),
];

pub(super) fn read(answer: &Answer, degraded: Vec<&'static str>) -> Outcome {
    if (200..300).contains(&answer.status) {
        let vendor_id = answer.header("location").map(str::to_owned);
        return Outcome::Accepted(Accepted { vendor_id, degraded });
    }
    let (word, text) = words(&answer.body);
    let code = word.unwrap_or_else(|| format!("http_{}", answer.status));
    let known = STATUSES.iter().find(|(status, ..)| *status == answer.status);
    let refused = match known {
        Some(&(_, class, scope)) => Refused::new(class, scope, code),
        None if answer.status >= 500 => given::bare(answer.status),
        None => Refused::unknown(answer.status, code),
    };
    refused.because(text).pausing(answer.retry_after()).into()
}

/// Apple's `reason`, Mozilla's `errno` and `message`.
fn words(body: &[u8]) -> (Option<String>, String) {
    let Ok(body) = serde_json::from_slice::<Value>(body) else { return (None, String::new()) };
    let reason = body["reason"].as_str().map(str::to_owned);
    let word = reason.or_else(|| body["errno"].as_u64().map(|number| format!("errno_{number}")));
    let text = body["message"].as_str().or_else(|| body["error"].as_str()).unwrap_or_default();
    (word, text.to_owned())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use carillon_actors::channel::Pause;
    use carillon_sdk::Ttl;

    use super::*;

    fn refused(status: u16, body: &str, headers: &[(&str, &str)]) -> Refused {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        match read(&Answer { status, headers, body: Bytes::copy_from_slice(body.as_bytes()) }, vec![]) {
            Outcome::Refused(refused) => refused,
            Outcome::Accepted(_) => panic!("accepted"),
        }
    }

    #[test]
    fn every_status_has_its_class() {
        let expected = [
            (301, Class::Perm, Scope::Device),
            (302, Class::Perm, Scope::Device),
            (307, Class::Perm, Scope::Device),
            (308, Class::Perm, Scope::Device),
            (400, Class::Perm, Scope::Message),
            (401, Class::Config, Scope::Endpoint),
            (403, Class::Config, Scope::Endpoint),
            (404, Class::Unbind, Scope::Device),
            (406, Class::Throttle, Scope::Device),
            (410, Class::Unbind, Scope::Device),
            (412, Class::Perm, Scope::Message),
            (413, Class::Perm, Scope::Message),
            (429, Class::Throttle, Scope::Device),
            (500, Class::Retry, Scope::Endpoint),
            (502, Class::Retry, Scope::Endpoint),
            (503, Class::Retry, Scope::Endpoint),
            (504, Class::Retry, Scope::Endpoint),
        ];
        assert_eq!(expected.len(), STATUSES.len());
        for (status, class, scope) in expected {
            let refused = refused(status, "", &[]);
            assert_eq!((refused.class, refused.scope), (class, scope), "{status}");
            assert_eq!((refused.code, refused.is_unknown), (format!("http_{status}"), false));
        }
        assert!(refused(418, "", &[]).is_unknown);
        assert_eq!(refused(599, "", &[]).class, Class::Retry);
    }

    /// mozilla-services/autopush-rs, docs/src/errors.md.
    #[test]
    fn mozillas_numbers_go_by_their_status() {
        for (status, errno, class) in [
            (400, 101, Class::Perm),
            (404, 102, Class::Unbind),
            (410, 103, Class::Unbind),
            (413, 104, Class::Perm),
            (410, 105, Class::Unbind),
            (410, 106, Class::Unbind),
            (401, 109, Class::Config),
            (400, 110, Class::Perm),
            (400, 111, Class::Perm),
            (400, 112, Class::Perm),
            (400, 113, Class::Perm),
            // Back off, and at once: what the service has for it is Retry-After.
            (503, 201, Class::Retry),
            (503, 202, Class::Retry),
            (502, 900, Class::Retry),
            (502, 902, Class::Retry),
            (502, 903, Class::Retry),
        ] {
            let body = format!(r#"{{"code":{status},"errno":{errno},"error":"x","message":"why"}}"#);
            let refused = refused(status, &body, &[]);
            assert_eq!((refused.class, refused.code), (class, format!("errno_{errno}")), "{status}");
            assert_eq!(refused.text, "why");
        }
    }

    #[test]
    fn a_services_own_words_are_kept() {
        let mozilla = r#"{"code":410,"errno":106,"error":"Gone","message":"no longer subscribed"}"#;
        let mozilla = refused(410, mozilla, &[]);
        assert_eq!((&*mozilla.code, &*mozilla.text), ("errno_106", "no longer subscribed"));
        let apple = refused(403, r#"{"reason":"BadJwtToken"}"#, &[]);
        assert_eq!((&*apple.code, apple.class), ("BadJwtToken", Class::Config));
    }

    #[test]
    fn a_subscription_that_gets_too_much_waits_alone() {
        let refused = refused(429, "", &[("retry-after", "30")]);
        assert_eq!((refused.scope, refused.pause), (Scope::Device, Some(Pause::For(Ttl::from_secs(30)))));
        let busy = self::refused(503, r#"{"errno":201}"#, &[("retry-after", "20")]);
        assert_eq!((busy.scope, busy.pause), (Scope::Endpoint, Some(Pause::For(Ttl::from_secs(20)))));
    }

    #[test]
    fn what_was_taken_bears_the_services_address_for_it() {
        let headers = vec![("location".to_owned(), "https://push.example.com/m/1".to_owned())];
        let answer = Answer { status: 201, headers, body: Bytes::new() };
        let expected = Outcome::accepted(Some("https://push.example.com/m/1".to_owned()));
        assert_eq!(read(&answer, vec![]), expected);
    }
}

//! Apple's words in ours. "Handling notification responses from APNs" lists the reasons.

use carillon_actors::channel::{Accepted, Class, Outcome, Refused, Scope};
use carillon_sdk::Timestamp;
use serde::Deserialize;

use crate::vendors::{Answer, given};

const fn of(reason: &'static str, class: Class, scope: Scope) -> (&'static str, Class, Scope) {
    (reason, class, scope)
}

/// Each reason means one thing, whatever its status.
pub(super) const REASONS: &[(&str, Class, Scope)] = &[
    // A wrong environment or a wrong bundle makes every token look dead: whoever unbinds is careful.
    of("BadDeviceToken", Class::Unbind, Scope::Device),
    of("DeviceTokenNotForTopic", Class::Unbind, Scope::Device),
    of("Unregistered", Class::Unbind, Scope::Device),
    of("ExpiredToken", Class::Unbind, Scope::Device),
    of("MissingDeviceToken", Class::Perm, Scope::Message),
    of("PayloadEmpty", Class::Perm, Scope::Message),
    of("BadCollapseId", Class::Perm, Scope::Message),
    of("BadExpirationDate", Class::Perm, Scope::Message),
    of("BadMessageId", Class::Perm, Scope::Message),
    of("BadPriority", Class::Perm, Scope::Message),
    of("DuplicateHeaders", Class::Perm, Scope::Message),
    of("InvalidPushType", Class::Perm, Scope::Message),
    of("MissingPushType", Class::Perm, Scope::Message),
    of("BadPath", Class::Perm, Scope::Message),
    of("MethodNotAllowed", Class::Perm, Scope::Message),
    of("PayloadTooLarge", Class::Perm, Scope::Message),
    of("BadTopic", Class::Config, Scope::App),
    of("MissingTopic", Class::Config, Scope::App),
    of("TopicDisallowed", Class::Config, Scope::App),
    of("InvalidProviderToken", Class::Config, Scope::App),
    of("MissingProviderToken", Class::Config, Scope::App),
    of("UnrelatedKeyIdInToken", Class::Config, Scope::App),
    of("BadEnvironmentKeyIdInToken", Class::Config, Scope::App),
    of("BadCertificate", Class::Config, Scope::App),
    of("BadCertificateEnvironment", Class::Config, Scope::App),
    of("Forbidden", Class::Config, Scope::App),
    of("ExpiredProviderToken", Class::Reauth, Scope::App),
    // The token before this one is still good.
    of("TooManyProviderTokenUpdates", Class::Retry, Scope::App),
    // To this one token; others go on.
    of("TooManyRequests", Class::Throttle, Scope::Device),
    of("IdleTimeout", Class::Retry, Scope::Connection),
    of("Shutdown", Class::Retry, Scope::Connection),
    of("InternalServerError", Class::Retry, Scope::Platform),
    of("ServiceUnavailable", Class::Retry, Scope::Platform),
];

/// The key of this connection is another: a new connection will do, once.
pub(super) const OTHER_KEY: &str = "UnrelatedKeyIdInToken";

#[derive(Deserialize)]
struct Body {
    reason: String,
    /// Since when the token has been dead, in milliseconds.
    timestamp: Option<u64>,
}

pub(super) fn read(answer: &Answer, degraded: Vec<&'static str>) -> Outcome {
    if answer.status == 200 {
        // Who stands between and answers in Apple's place does not know this name.
        return match answer.header("apns-id") {
            Some(id) => Outcome::Accepted(Accepted { vendor_id: Some(id.to_owned()), degraded }),
            None => given::bare(200).into(),
        };
    }
    let Ok(body) = serde_json::from_slice::<Body>(&answer.body) else {
        return given::bare(answer.status).pausing(answer.retry_after()).into();
    };
    let known = REASONS.iter().find(|(reason, ..)| *reason == body.reason);
    let mut refused = match known {
        Some(&(reason, class, scope)) => Refused::new(class, scope, reason),
        // Whatever the reason is called: this status is kept for dead tokens.
        None if answer.status == 410 => {
            let refused = Refused::new(Class::Unbind, Scope::Device, body.reason);
            Refused { is_unknown: true, ..refused }
        }
        None => Refused::unknown(answer.status, body.reason),
    };
    if refused.class == Class::Unbind {
        refused.dead_since = body.timestamp.map(Timestamp::from_millis);
    }
    refused.pausing(answer.retry_after()).into()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn answer(status: u16, body: &str) -> Outcome {
        let headers = vec![("apns-id".to_owned(), "id-1".to_owned())];
        read(&Answer { status, headers, body: Bytes::copy_from_slice(body.as_bytes()) }, vec![])
    }

    fn refused(status: u16, body: &str) -> Refused {
        match answer(status, body) {
            Outcome::Refused(refused) => refused,
            Outcome::Accepted(_) => panic!("accepted"),
        }
    }

    #[test]
    fn every_reason_has_its_class() {
        let expected = [
            (400, "BadDeviceToken", Class::Unbind),
            (400, "DeviceTokenNotForTopic", Class::Unbind),
            (400, "MissingDeviceToken", Class::Perm),
            (400, "PayloadEmpty", Class::Perm),
            (400, "BadCollapseId", Class::Perm),
            (400, "BadExpirationDate", Class::Perm),
            (400, "BadMessageId", Class::Perm),
            (400, "BadPriority", Class::Perm),
            (400, "DuplicateHeaders", Class::Perm),
            (400, "InvalidPushType", Class::Perm),
            (400, "MissingPushType", Class::Perm),
            (400, "BadTopic", Class::Config),
            (400, "MissingTopic", Class::Config),
            (400, "TopicDisallowed", Class::Config),
            (400, "IdleTimeout", Class::Retry),
            (403, "ExpiredProviderToken", Class::Reauth),
            (403, "InvalidProviderToken", Class::Config),
            (403, "MissingProviderToken", Class::Config),
            (403, "UnrelatedKeyIdInToken", Class::Config),
            (403, "BadEnvironmentKeyIdInToken", Class::Config),
            (403, "BadCertificate", Class::Config),
            (403, "BadCertificateEnvironment", Class::Config),
            (403, "Forbidden", Class::Config),
            (404, "BadPath", Class::Perm),
            (405, "MethodNotAllowed", Class::Perm),
            (410, "Unregistered", Class::Unbind),
            (410, "ExpiredToken", Class::Unbind),
            (413, "PayloadTooLarge", Class::Perm),
            (429, "TooManyRequests", Class::Throttle),
            (429, "TooManyProviderTokenUpdates", Class::Retry),
            (500, "InternalServerError", Class::Retry),
            (503, "ServiceUnavailable", Class::Retry),
            (503, "Shutdown", Class::Retry),
        ];
        assert_eq!(expected.len(), REASONS.len());
        for (status, reason, class) in expected {
            let refused = refused(status, &format!(r#"{{"reason":"{reason}"}}"#));
            assert_eq!((refused.class, &*refused.code), (class, reason));
            assert!(!refused.is_unknown);
        }
    }

    #[test]
    fn a_dead_token_says_since_when() {
        let refused = refused(410, r#"{"reason":"Unregistered","timestamp":1764000000123}"#);
        assert_eq!(refused.dead_since, Some(Timestamp::from_millis(1_764_000_000_123)));
        assert_eq!(refused.scope, Scope::Device);
    }

    #[test]
    fn a_new_reason_is_kept_and_classed_by_its_status() {
        for (status, class) in
            [(400, Class::Perm), (410, Class::Unbind), (429, Class::Throttle), (500, Class::Retry)]
        {
            let refused = refused(status, r#"{"reason":"NeverHeard"}"#);
            assert_eq!((refused.class, &*refused.code, refused.is_unknown), (class, "NeverHeard", true));
        }
    }

    #[test]
    fn no_reason_at_all_is_classed_by_its_status() {
        let refused = refused(502, "<html>");
        assert_eq!((refused.class, &*refused.code), (Class::Retry, "http_502"));
    }

    #[test]
    fn what_was_taken_bears_its_id() {
        assert_eq!(answer(200, ""), Outcome::accepted(Some("id-1".to_owned())));
        let portal = Answer { status: 200, headers: vec![], body: Bytes::from_static(b"<html>") };
        let Outcome::Refused(refused) = read(&portal, vec![]) else { panic!("accepted") };
        assert_eq!((refused.class, &*refused.code), (Class::Retry, "garbage"));
    }
}

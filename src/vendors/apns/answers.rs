//! Apple's words in ours. "Handling notification responses from APNs" lists the reasons.

use carillon_actors::channel::{Accepted, Class, Outcome, Refused, Scope};
use carillon_sdk::Timestamp;
use serde::Deserialize;

use super::mapping::Kind;
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

/// That the token is of another kind than the push: of a call sent to a device's, or an activity's
/// update. It lives, for what it is good for.
const OTHER_KIND: [&str; 2] = ["DeviceTokenNotForTopic", "BadDeviceToken"];

pub(super) fn read(answer: &Answer, kind: Kind, degraded: Vec<&'static str>) -> Outcome {
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
        Some(&(reason, ..)) if !kind.is_of_devices() && OTHER_KIND.contains(&reason) => {
            Refused::new(Class::Perm, Scope::Device, reason)
        }
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
        let answer = Answer { status, headers, body: Bytes::copy_from_slice(body.as_bytes()) };
        read(&answer, Kind::Alert, vec![])
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
            (400, "BadDeviceToken", Class::Unbind, Scope::Device),
            (400, "DeviceTokenNotForTopic", Class::Unbind, Scope::Device),
            (400, "MissingDeviceToken", Class::Perm, Scope::Message),
            (400, "PayloadEmpty", Class::Perm, Scope::Message),
            (400, "BadCollapseId", Class::Perm, Scope::Message),
            (400, "BadExpirationDate", Class::Perm, Scope::Message),
            (400, "BadMessageId", Class::Perm, Scope::Message),
            (400, "BadPriority", Class::Perm, Scope::Message),
            (400, "DuplicateHeaders", Class::Perm, Scope::Message),
            (400, "InvalidPushType", Class::Perm, Scope::Message),
            (400, "MissingPushType", Class::Perm, Scope::Message),
            (400, "BadTopic", Class::Config, Scope::App),
            (400, "MissingTopic", Class::Config, Scope::App),
            (400, "TopicDisallowed", Class::Config, Scope::App),
            (400, "IdleTimeout", Class::Retry, Scope::Connection),
            (403, "ExpiredProviderToken", Class::Reauth, Scope::App),
            (403, "InvalidProviderToken", Class::Config, Scope::App),
            (403, "MissingProviderToken", Class::Config, Scope::App),
            (403, "UnrelatedKeyIdInToken", Class::Config, Scope::App),
            (403, "BadEnvironmentKeyIdInToken", Class::Config, Scope::App),
            (403, "BadCertificate", Class::Config, Scope::App),
            (403, "BadCertificateEnvironment", Class::Config, Scope::App),
            (403, "Forbidden", Class::Config, Scope::App),
            (404, "BadPath", Class::Perm, Scope::Message),
            (405, "MethodNotAllowed", Class::Perm, Scope::Message),
            (410, "Unregistered", Class::Unbind, Scope::Device),
            (410, "ExpiredToken", Class::Unbind, Scope::Device),
            (413, "PayloadTooLarge", Class::Perm, Scope::Message),
            (429, "TooManyRequests", Class::Throttle, Scope::Device),
            (429, "TooManyProviderTokenUpdates", Class::Retry, Scope::App),
            (500, "InternalServerError", Class::Retry, Scope::Platform),
            (503, "ServiceUnavailable", Class::Retry, Scope::Platform),
            (503, "Shutdown", Class::Retry, Scope::Connection),
        ];
        assert_eq!(expected.len(), REASONS.len());
        for (status, reason, class, scope) in expected {
            let refused = refused(status, &format!(r#"{{"reason":"{reason}"}}"#));
            assert_eq!((refused.class, refused.scope, &*refused.code), (class, scope, reason));
            assert!(!refused.is_unknown);
        }
    }

    /// A device's token is not dead because an activity, or a call, was sent to it by mistake.
    #[test]
    fn a_token_of_another_kind_than_the_push_lives() {
        let class = |kind, status, reason: &str| {
            let body = Bytes::from(format!(r#"{{"reason":"{reason}"}}"#));
            match read(&Answer { status, headers: vec![], body }, kind, vec![]) {
                Outcome::Refused(refused) => (refused.class, refused.scope),
                Outcome::Accepted(_) => panic!("accepted"),
            }
        };
        for reason in ["DeviceTokenNotForTopic", "BadDeviceToken"] {
            for kind in [Kind::LiveActivity, Kind::Call] {
                assert_eq!(class(kind, 400, reason), (Class::Perm, Scope::Device), "{kind:?} {reason}");
            }
            for kind in [Kind::Alert, Kind::Background] {
                assert_eq!(class(kind, 400, reason), (Class::Unbind, Scope::Device), "{kind:?} {reason}");
            }
        }
        // An activity that is over has a dead token of its own.
        assert_eq!(class(Kind::LiveActivity, 410, "Unregistered"), (Class::Unbind, Scope::Device));
        assert_eq!(class(Kind::LiveActivity, 410, "ExpiredToken"), (Class::Unbind, Scope::Device));
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
        let Outcome::Refused(refused) = read(&portal, Kind::Alert, vec![]) else { panic!("accepted") };
        assert_eq!((refused.class, &*refused.code), (Class::Retry, "garbage"));
    }
}

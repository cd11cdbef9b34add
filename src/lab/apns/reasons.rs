//! What APNs says no with.

use serde_json::json;

use super::super::Reply;

/// Apple's "Handling notification responses from APNs", and four that newer servers send.
pub(super) const REASONS: [(&str, u16); 33] = [
    ("BadCollapseId", 400),
    ("BadDeviceToken", 400),
    ("BadExpirationDate", 400),
    ("BadMessageId", 400),
    ("BadPriority", 400),
    ("BadTopic", 400),
    ("DeviceTokenNotForTopic", 400),
    ("DuplicateHeaders", 400),
    ("IdleTimeout", 400),
    ("InvalidPushType", 400),
    ("MissingDeviceToken", 400),
    ("MissingTopic", 400),
    ("PayloadEmpty", 400),
    ("TopicDisallowed", 400),
    ("BadCertificate", 403),
    ("BadCertificateEnvironment", 403),
    ("BadEnvironmentKeyIdInToken", 403),
    ("ExpiredProviderToken", 403),
    ("Forbidden", 403),
    ("InvalidProviderToken", 403),
    ("MissingProviderToken", 403),
    ("UnrelatedKeyIdInToken", 403),
    ("BadPath", 404),
    ("MethodNotAllowed", 405),
    ("ExpiredToken", 410),
    ("Unregistered", 410),
    ("PayloadTooLarge", 413),
    ("TooManyProviderTokenUpdates", 429),
    ("TooManyRequests", 429),
    ("InternalServerError", 500),
    ("ServiceUnavailable", 503),
    ("Shutdown", 503),
    // Not one of Apple's: how a reason that is invented tomorrow looks.
    ("NeverHeardOf", 400),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reason {
    pub word: &'static str,
    status: u16,
    /// With 410: milliseconds.
    since: Option<u64>,
}

impl Reason {
    /// A word that is not in the table is an internal error, as it would be at the vendor.
    pub(super) fn of(word: &str) -> Self {
        Self::known(word).unwrap_or(Self { word: "InternalServerError", status: 500, since: None })
    }

    pub(super) fn known(word: &str) -> Option<Self> {
        let (word, status) = REASONS.into_iter().find(|(known, _)| *known == word)?;
        Some(Self { word, status, since: None })
    }

    pub(super) fn since(self, ms: u64) -> Self {
        Self { since: Some(ms), ..self }
    }

    pub(super) fn reply(self, id: &str) -> Reply {
        let body = match (self.status, self.since) {
            (410, since) => json!({"reason": self.word, "timestamp": since.unwrap_or(0)}),
            _ => json!({"reason": self.word}),
        };
        Reply::json(self.status, &body).with("apns-id", id)
    }
}

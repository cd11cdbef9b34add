//! How Google says no: `google.rpc.Status`, with FCM's own code among the details.

use serde_json::{Value, json};

use super::super::Reply;

const FCM_ERROR: &str = "type.googleapis.com/google.firebase.fcm.v1.FcmError";
const APNS_ERROR: &str = "type.googleapis.com/google.firebase.fcm.v1.ApnsError";
const BAD_REQUEST: &str = "type.googleapis.com/google.rpc.BadRequest";

/// FCM's codes, with the HTTP status and `status` they come with.
const CODES: [(&str, u16, &str); 8] = [
    ("UNREGISTERED", 404, "NOT_FOUND"),
    ("INVALID_ARGUMENT", 400, "INVALID_ARGUMENT"),
    ("SENDER_ID_MISMATCH", 403, "PERMISSION_DENIED"),
    ("THIRD_PARTY_AUTH_ERROR", 401, "UNAUTHENTICATED"),
    ("QUOTA_EXCEEDED", 429, "RESOURCE_EXHAUSTED"),
    ("INTERNAL", 500, "INTERNAL"),
    ("UNAVAILABLE", 503, "UNAVAILABLE"),
    ("UNSPECIFIED_ERROR", 500, "UNKNOWN"),
];

#[derive(Debug, Clone, PartialEq)]
pub(super) struct No {
    pub http: u16,
    status: &'static str,
    message: String,
    details: Vec<Value>,
}

/// One of FCM's codes; a word that is none of them is internal.
pub(super) fn code(word: &str, message: &str) -> No {
    let known = CODES.into_iter().find(|(code, ..)| *code == word);
    let (code, http, status) = known.unwrap_or(("INTERNAL", 500, "INTERNAL"));
    let mut no = No::plain(http, status, message);
    no.details.push(json!({"@type": FCM_ERROR, "errorCode": code}));
    if code == "THIRD_PARTY_AUTH_ERROR" {
        let reason = "InvalidProviderToken";
        no.details.push(json!({"@type": APNS_ERROR, "statusCode": 403, "reason": reason}));
    }
    no
}

impl No {
    /// Without a code of FCM's: from what stands before it.
    pub(super) fn plain(http: u16, status: &'static str, message: impl Into<String>) -> Self {
        Self { http, status, message: message.into(), details: Vec::new() }
    }

    pub(super) fn unavailable() -> Self {
        code("UNAVAILABLE", "unavailable")
    }

    /// A field of the request is wrong.
    pub(super) fn field(field: &str, description: &str) -> Self {
        let mut no = code("INVALID_ARGUMENT", &format!("invalid value at '{field}': {description}"));
        let violation = json!({"field": field, "description": description});
        no.details.push(json!({"@type": BAD_REQUEST, "fieldViolations": [violation]}));
        no
    }

    pub(super) fn reply(self) -> Reply {
        let Self { http, status, message, details } = self;
        let mut error = json!({"code": http, "message": message, "status": status});
        if !details.is_empty() {
            error["details"] = details.into();
        }
        Reply::json(http, &json!({"error": error}))
    }
}

//! Google's words in ours. "FCM error codes" of firebase.google.com, and bodies captured by
//! bloomberg/pushiko: the code in the details goes before the status, which goes before HTTP's.

use carillon_actors::channel::{Accepted, Class, Outcome, Pause, Refused, Scope};
use carillon_sdk::Ttl;
use serde_json::Value;

use crate::vendors::{Answer, given};

/// Google's advice where it names no time.
const QUOTA_PAUSE: Ttl = Ttl::from_secs(60);

/// `details[].errorCode` of an `FcmError`. `INVALID_ARGUMENT` is looked at more closely.
pub(super) const CODES: &[(&str, Class, Scope)] = &[
    ("UNREGISTERED", Class::Unbind, Scope::Device),
    // Many at once are a wrong project: whoever unbinds is careful.
    ("SENDER_ID_MISMATCH", Class::Unbind, Scope::Device),
    ("INVALID_ARGUMENT", Class::Perm, Scope::Message),
    // Apple's key, or the browsers', is missing in the Firebase project.
    ("THIRD_PARTY_AUTH_ERROR", Class::Config, Scope::App),
    ("QUOTA_EXCEEDED", Class::Throttle, Scope::App),
    ("UNAVAILABLE", Class::Retry, Scope::Platform),
    ("INTERNAL", Class::Retry, Scope::Platform),
    ("UNSPECIFIED_ERROR", Class::Retry, Scope::Platform),
];

/// `error.status` where there is no such detail.
pub(super) const STATUSES: &[(&str, Class, Scope)] = &[
    // The project or the path is wrong: no token is to blame.
    ("NOT_FOUND", Class::Config, Scope::App),
    ("INVALID_ARGUMENT", Class::Perm, Scope::Message),
    // The API is off, or the account has no right.
    ("PERMISSION_DENIED", Class::Config, Scope::App),
    ("UNAUTHENTICATED", Class::Reauth, Scope::App),
    ("RESOURCE_EXHAUSTED", Class::Throttle, Scope::App),
    ("INTERNAL", Class::Retry, Scope::Platform),
    ("UNAVAILABLE", Class::Retry, Scope::Platform),
];

pub(super) fn read(answer: &Answer, degraded: Vec<&'static str>) -> Outcome {
    let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
    if answer.status == 200 {
        let name = body.as_ref().and_then(|body| body["name"].as_str());
        return match name {
            Some(name) => Outcome::Accepted(Accepted { vendor_id: Some(name.to_owned()), degraded }),
            None => given::bare(200).into(),
        };
    }
    let Some(error) = body.as_ref().and_then(|body| body.get("error")) else {
        return given::bare(answer.status).pausing(answer.retry_after()).into();
    };
    let refused = refused(answer.status, error);
    let pause = answer
        .retry_after()
        .or_else(|| (refused.class == Class::Throttle).then_some(Pause::For(QUOTA_PAUSE)));
    let waits = matches!(refused.class, Class::Throttle | Class::Retry);
    refused.pausing(pause.filter(|_| waits)).into()
}

fn refused(status: u16, error: &Value) -> Refused {
    let text = error["message"].as_str().unwrap_or_default();
    let name = error["status"].as_str();
    let code = details(error).find_map(|detail| {
        let is_fcm = detail["@type"].as_str().is_some_and(|kind| kind.ends_with("FcmError"));
        detail["errorCode"].as_str().filter(|_| is_fcm)
    });
    let known = |table: &[(&'static str, Class, Scope)], word: Option<&str>| {
        table.iter().find(|(known, ..)| Some(*known) == word).copied()
    };
    let found = match code {
        Some(_) => known(CODES, code),
        None => known(STATUSES, name),
    };
    let Some((word, class, scope)) = found else {
        let word = code.or(name).map_or_else(|| format!("http_{status}"), str::to_owned);
        return Refused::unknown(status, word).because(text);
    };
    if word == "INVALID_ARGUMENT" && is_of_the_token(error, text) {
        return Refused::new(Class::Unbind, Scope::Device, word).because(text);
    }
    Refused::new(class, scope, word).because(text)
}

/// Only a token that is named wrong is dead: a message that is too long is answered with the same
/// word, and a gateway that did not look has unbound good devices for it.
fn is_of_the_token(error: &Value, text: &str) -> bool {
    let mut violations = details(error).filter_map(|detail| detail["fieldViolations"].as_array()).flatten();
    violations.any(|violation| violation["field"] == "message.token")
        || text.contains("registration token is not a valid FCM registration token")
}

fn details(error: &Value) -> impl Iterator<Item = &Value> {
    error["details"].as_array().into_iter().flatten()
}

#[cfg(test)]
#[path = "answers_tests.rs"]
mod tests;

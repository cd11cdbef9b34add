//! Client credentials (RFC 6749, section 4.4), as Huawei and Honor ask for them.

use carillon_actors::channel::{Access, Class, Invalid, Refused, Scope, Setup};
use carillon_sdk::{Timestamp, Ttl};
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

use super::{Answer, Call, given};

const RENEW_BEFORE: Ttl = Ttl::from_secs(300);

pub(super) struct Client {
    url: String,
    id: String,
    secret: String,
}

#[derive(Deserialize)]
struct Given {
    access_token: String,
    expires_in: u64,
}

/// Huawei's `error` is a number.
#[derive(Deserialize)]
struct Denied {
    error: Value,
    #[serde(default)]
    sub_error: Value,
    #[serde(default)]
    error_description: String,
}

impl Client {
    pub(super) fn read(setup: &Setup, url: String) -> Result<Self, Invalid> {
        let id = given::text(setup, "credential", "client_id")?.to_owned();
        let secret = given::text(setup, "credential", "client_secret")?.to_owned();
        Ok(Self { url, id, secret })
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn asking(&self) -> Call {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        form.append_pair("client_id", &self.id).append_pair("client_secret", &self.secret);
        Call {
            method: Method::POST,
            url: self.url.clone(),
            headers: vec![("content-type", "application/x-www-form-urlencoded".to_owned())],
            body: form.finish().into(),
        }
    }
}

/// A token of such a life, renewed five minutes before its end; one that does not live so long, halfway.
pub(super) fn access_of(token: String, life: Ttl, now: Timestamp) -> Access {
    let before = RENEW_BEFORE.min(Ttl::from_millis(life.as_millis() / 2));
    let mut access = Access::new(token);
    access.ends_at = Some(now + life);
    access.renew_at = Some(now + life - before);
    access
}

/// `expires_in` is in seconds, from `now` by our clock: a client that took it for milliseconds asked
/// for a new one at nearly every call.
pub(super) fn access(answer: &Answer, now: Timestamp) -> Result<Access, Refused> {
    if (200..300).contains(&answer.status) {
        let given = serde_json::from_slice::<Given>(&answer.body);
        // Nothing was sent yet that could have been taken twice.
        let given = given.map_err(|_| Refused { is_ambiguous: false, ..given::bare(answer.status) })?;
        return Ok(access_of(given.access_token, Ttl::from_secs(given.expires_in), now));
    }
    let Ok(denied) = serde_json::from_slice::<Denied>(&answer.body) else {
        return Err(given::bare(answer.status).pausing(answer.retry_after()));
    };
    let class = match answer.status {
        400 | 401 | 403 => Class::Config,
        status => Class::of_status(status),
    };
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let code = match denied.sub_error {
        Value::Null => word(&denied.error),
        sub => format!("{}/{}", word(&denied.error), word(&sub)),
    };
    let refused = Refused::new(class, Scope::App, code).because(denied.error_description);
    Err(refused.pausing(answer.retry_after()))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn read(status: u16, body: &str) -> Result<Access, Refused> {
        let body = Bytes::copy_from_slice(body.as_bytes());
        access(&Answer { status, headers: vec![], body }, NOW)
    }

    #[test]
    fn a_token_is_renewed_before_it_ends() {
        for (expires_in, renew_s) in [(3_600, 3_300), (400, 200)] {
            let body = format!(r#"{{"access_token":"t","expires_in":{expires_in},"token_type":"Bearer"}}"#);
            let access = read(200, &body).unwrap();
            assert_eq!(access.ends_at, Some(NOW + Ttl::from_secs(expires_in)));
            assert_eq!(access.renew_at, Some(NOW + Ttl::from_secs(renew_s)));
        }
    }

    #[test]
    fn a_refusal_is_a_matter_of_the_setup_and_a_fault_is_not() {
        for (status, body, class, code) in [
            (400, r#"{"error":1101,"sub_error":20001,"error_description":"x"}"#, Class::Config, "1101/20001"),
            (401, r#"{"error":"invalid_client","error_description":"x"}"#, Class::Config, "invalid_client"),
            (429, r#"{"error":"slow_down"}"#, Class::Throttle, "slow_down"),
            (500, "oops", Class::Retry, "http_500"),
            (502, "<html>", Class::Retry, "http_502"),
            (503, "", Class::Throttle, "http_503"),
            (200, "{", Class::Retry, "garbage"),
        ] {
            let refused = read(status, body).unwrap_err();
            assert_eq!((refused.class, refused.code.as_str()), (class, code), "{status} {body}");
            assert!(!refused.is_ambiguous);
        }
    }
}

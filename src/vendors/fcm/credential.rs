//! What Google wants to be shown: an access token, given for a statement the service account signed.

use carillon_actors::channel::{Access, Class, Invalid, Refused, Scope, Setup};
use carillon_sdk::{Timestamp, Ttl};
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use crate::vendors::jws::Signer;
use crate::vendors::{Answer, Call, given, oauth};

const SEND: &str = "https://fcm.googleapis.com";
const TOKENS: &str = "https://oauth2.googleapis.com/token";
const SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// An hour is the longest Google takes.
const ASSERTION_S: u64 = 3_600;

pub(super) struct Credential {
    pub(super) send_url: String,
    pub(super) package: Option<String>,
    signer: Signer,
    key_id: String,
    email: String,
    /// To whom the statement is addressed, and where it goes: not the same when a host stands in.
    audience: String,
    token_url: String,
    offset_ms: i64,
}

impl Credential {
    /// The service account's file as Google gives it.
    pub(super) fn read(setup: &Setup) -> Result<Self, Invalid> {
        let project = given::text(setup, "credential", "project_id")?;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b':' | b'.' | b'_');
        if !project.bytes().all(is_plain) {
            return Err(Invalid::new("/credential/project_id", "letters, digits and hyphens"));
        }
        let audience = given::maybe(setup, "credential", "token_uri")?.unwrap_or(TOKENS).to_owned();
        let uri = reqwest::Url::parse(&audience);
        let uri = uri.map_err(|_| Invalid::new("/credential/token_uri", "a URL is needed"))?;
        let token_url = match given::host(setup, "auth", "")? {
            host if host.is_empty() => audience.clone(),
            host => format!("{host}{}", uri.path()),
        };
        let host = given::host(setup, "send", SEND)?;
        let key = given::text(setup, "credential", "private_key")?;
        Ok(Self {
            send_url: format!("{host}/v1/projects/{project}/messages:send"),
            package: given::maybe(setup, "settings", "package")?.map(str::to_owned),
            signer: Signer::rsa(key, "/credential/private_key")?,
            key_id: given::text(setup, "credential", "private_key_id")?.to_owned(),
            email: given::text(setup, "credential", "client_email")?.to_owned(),
            audience,
            token_url,
            offset_ms: setup.clock_offset_ms,
        })
    }

    pub(super) fn asking(&self, now: Timestamp) -> Result<Call, Refused> {
        let issued = given::theirs(now, self.offset_ms).as_secs();
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": self.key_id});
        let claims = json!({"iss": self.email, "scope": SCOPE, "aud": self.audience, "iat": issued,
            "exp": issued + ASSERTION_S});
        let assertion = self.signer.sign(&header, &claims).map_err(|unsigned| {
            Refused::new(Class::Retry, Scope::App, "unsigned").because(unsigned.to_string())
        })?;
        let mut form = form_urlencoded::Serializer::new(String::new());
        let body = form.append_pair("grant_type", GRANT).append_pair("assertion", &assertion).finish();
        Ok(Call {
            method: Method::POST,
            url: self.token_url.clone(),
            headers: vec![("content-type", "application/x-www-form-urlencoded".to_owned())],
            body: body.into(),
        })
    }
}

#[derive(Deserialize)]
struct Given {
    access_token: String,
    expires_in: u64,
}

#[derive(Deserialize)]
struct Denied {
    error: String,
    #[serde(default)]
    error_description: String,
}

/// What Google answered to the statement.
pub(super) fn access(answer: &Answer, now: Timestamp) -> Result<Access, Refused> {
    if answer.status == 200 {
        let given = serde_json::from_slice::<Given>(&answer.body).map_err(|_| given::bare(200))?;
        return Ok(oauth::access_of(given.access_token, Ttl::from_secs(given.expires_in), now));
    }
    let Ok(denied) = serde_json::from_slice::<Denied>(&answer.body) else {
        return Err(given::bare(answer.status).pausing(answer.retry_after()));
    };
    // A statement that Google does not take is a wrong key, or a clock that goes wrong.
    let class = match answer.status {
        400 | 401 | 403 => Class::Config,
        status => Class::of_status(status),
    };
    let refused = Refused::new(class, Scope::App, denied.error).because(denied.error_description);
    Err(refused.pausing(answer.retry_after()))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn answer(status: u16, body: &str) -> Result<Access, Refused> {
        let body = Bytes::copy_from_slice(body.as_bytes());
        access(&Answer { status, headers: vec![], body }, Timestamp::from_millis(1_000_000))
    }

    #[test]
    fn a_token_is_renewed_five_minutes_before_its_end() {
        let access = answer(200, r#"{"access_token":"ya29.x","expires_in":3599,"token_type":"Bearer"}"#);
        let access = access.unwrap();
        assert_eq!(access.token(), "ya29.x");
        assert_eq!(access.ends_at, Some(Timestamp::from_millis(4_599_000)));
        assert_eq!(access.renew_at, Some(Timestamp::from_millis(4_299_000)));
    }

    #[test]
    fn a_statement_that_is_not_taken_is_a_matter_of_the_setup() {
        for (status, body, class, code) in [
            (
                400,
                r#"{"error":"invalid_grant","error_description":"Invalid JWT"}"#,
                Class::Config,
                "invalid_grant",
            ),
            (401, r#"{"error":"invalid_client"}"#, Class::Config, "invalid_client"),
            (429, r#"{"error":"rate"}"#, Class::Throttle, "rate"),
            (500, "oops", Class::Retry, "http_500"),
            (502, "<html>", Class::Retry, "http_502"),
            (503, "", Class::Throttle, "http_503"),
            (200, "{", Class::Retry, "garbage"),
        ] {
            let refused = answer(status, body).unwrap_err();
            assert_eq!((refused.class, &*refused.code), (class, code), "{status} {body}");
        }
    }
}

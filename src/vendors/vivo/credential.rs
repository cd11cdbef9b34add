//! A token of a day for a signature. vivo counts how often one is asked for.

use std::collections::BTreeMap;

use carillon_actors::channel::{Access, Invalid, Refused, Setup};
use carillon_sdk::{Timestamp, Ttl};
use md5::{Digest as _, Md5};
use reqwest::Method;
use serde_json::{Value, json};

use super::answers;
use crate::vendors::{Answer, Call, given, shown};

pub(super) struct Credential {
    pub(super) app_id: u64,
    app_key: String,
    app_secret: String,
    auth: String,
    send: String,
    /// vivo's category, by ours.
    pub(super) categories: BTreeMap<String, String>,
    /// The older document counts a Han character as two.
    pub(super) counts_wide_twice: bool,
    pub(super) receipts_url: Option<String>,
    offset_ms: i64,
}

const HOST: &str = "https://api-push.vivo.com.cn";

/// A day; vivo asks for a new one every hour or two, and for one cache of them.
const LIFE: Ttl = Ttl::from_secs(86_400);
const RENEWED_AFTER: Ttl = Ttl::from_secs(5_400);

impl Credential {
    pub(super) fn read(setup: &Setup) -> Result<Self, Invalid> {
        let id = match &setup.credential["app_id"] {
            Value::String(text) => text.trim().parse().ok(),
            other => other.as_u64(),
        };
        let app_id = id.ok_or_else(|| Invalid::new("/credential/app_id", "a number is needed"))?;
        let counts_wide_twice = match &setup.settings["counts_wide_twice"] {
            Value::Null => false,
            Value::Bool(flag) => *flag,
            _ => return Err(Invalid::new("/settings/counts_wide_twice", "true or false")),
        };
        let send = given::host(setup, "send", HOST)?;
        Ok(Self {
            app_id,
            // vivo signs them trimmed.
            app_key: given::text(setup, "credential", "app_key")?.trim().to_owned(),
            app_secret: given::text(setup, "credential", "app_secret")?.trim().to_owned(),
            auth: given::host(setup, "auth", &send)?,
            send,
            categories: shown::words(setup, "categories")?,
            counts_wide_twice,
            receipts_url: setup.receipts_url.clone(),
            offset_ms: setup.clock_offset_ms,
        })
    }

    pub(super) fn asking(&self, now: Timestamp) -> Call {
        let timestamp = given::theirs(now, self.offset_ms).as_millis();
        let signed = format!("{}{}{timestamp}{}", self.app_id, self.app_key, self.app_secret);
        let body = json!({
            "appId": self.app_id, "appKey": self.app_key, "timestamp": timestamp,
            "sign": hex::encode(Md5::digest(signed)),
        });
        post(format!("{}/message/auth", self.auth), &body, None)
    }

    pub(super) fn call(&self, what: &str, body: &Value, access: &Access) -> Call {
        post(format!("{}/message/{what}", self.send), body, Some(access))
    }
}

fn post(url: String, body: &Value, access: Option<&Access>) -> Call {
    let mut headers = vec![("content-type", "application/json".to_owned())];
    headers.extend(access.map(|access| ("authtoken", access.token().to_owned())));
    Call { method: Method::POST, url, headers, body: body.to_string().into() }
}

/// What vivo answered to the signature.
pub(super) fn access(answer: &Answer, now: Timestamp) -> Result<Access, Refused> {
    let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let Some((body, code)) = body.as_ref().and_then(|body| Some((body, answers::code(body)?))) else {
        return Err(given::bare(answer.status).pausing(answer.retry_after()));
    };
    if code != 0 {
        return Err(answers::refused(answer.status, code, body["desc"].as_str()));
    }
    let token = body["authToken"].as_str().ok_or_else(|| given::bare(200))?;
    let mut access = Access::new(token);
    access.renew_at = Some(now + RENEWED_AFTER);
    access.ends_at = Some(now + LIFE);
    Ok(access)
}

#[cfg(test)]
mod tests {
    use carillon_actors::channel::Class;

    use super::*;

    fn setup(credential: Value) -> Setup {
        Setup {
            credential,
            settings: Value::Null,
            hosts: [("send".to_owned(), "http://127.0.0.1:1/".to_owned())].into(),
            ca_pem: None,
            clock_offset_ms: 5_000,
            receipts_url: None,
        }
    }

    #[test]
    fn the_signature_is_over_id_key_time_and_secret_by_vivos_clock() {
        let given = json!({"app_id": "10004", "app_key": " k ", "app_secret": "s"});
        let credential = Credential::read(&setup(given)).unwrap();
        let call = credential.asking(Timestamp::from_millis(1_000_000));
        assert_eq!(call.url, "http://127.0.0.1:1/message/auth");
        let body: Value = serde_json::from_slice(&call.body).unwrap();
        let sign = hex::encode(Md5::digest("10004k1005000s"));
        assert_eq!(body, json!({"appId": 10004, "appKey": "k", "timestamp": 1_005_000, "sign": sign}));
        let given = json!({"app_id": "ten", "app_key": "k", "app_secret": "s"});
        assert_eq!(Credential::read(&setup(given)).err().unwrap().pointer, "/credential/app_id");
    }

    #[test]
    fn a_signature_that_is_not_taken_is_a_matter_of_the_setup() {
        let now = Timestamp::from_millis(1_000_000);
        let answer = |body: &str| Answer { status: 200, headers: vec![], body: body.to_owned().into() };
        let given = access(&answer(r#"{"result":0,"authToken":"a"}"#), now).unwrap();
        assert_eq!((given.renew_at, given.ends_at), (Some(now + RENEWED_AFTER), Some(now + LIFE)));
        for (body, class, code) in [
            (r#"{"result":10205,"desc":"sign"}"#, Class::Config, "10205"),
            (r#"{"result":10207}"#, Class::Config, "10207"),
            (r#"{"result":10072}"#, Class::Throttle, "10072"),
            (r#"{"result":0}"#, Class::Retry, "garbage"),
        ] {
            let refused = access(&answer(body), now).unwrap_err();
            assert_eq!((refused.class, refused.code.as_str()), (class, code), "{body}");
        }
    }
}

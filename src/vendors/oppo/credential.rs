//! A token of a day for a signature with the master secret, which is not the app secret of clients.

use std::collections::BTreeMap;

use carillon_actors::channel::{Access, Invalid, Refused, Setup};
use carillon_sdk::{Timestamp, Ttl};
use reqwest::Method;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::answers;
use crate::vendors::{Answer, Call, given, shown};

pub(super) struct Credential {
    app_key: String,
    master_secret: String,
    /// Where tokens are got and messages sent, in China and elsewhere.
    auth: [String; 2],
    send: [String; 2],
    pub(super) channel_id: Option<String>,
    /// OPPO's category, by ours.
    pub(super) categories: BTreeMap<String, String>,
    pub(super) receipts_url: Option<String>,
    offset_ms: i64,
}

/// One of the two worlds OPPO is split into; each has its own tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Realm {
    China,
    Overseas,
}

const CHINA: &str = "https://api.push.oppomobile.com";
const OVERSEAS: &str = "https://api-intl.push.oppomobile.com";

/// It lives for a day; OPPO asks for a new one every hour or two.
const LIFE: Ttl = Ttl::from_secs(86_400);
const RENEWED_AFTER: Ttl = Ttl::from_secs(3_600);

impl Realm {
    /// `[[maker_]region_]digits`: China's when it names none.
    pub(super) fn of(registration_id: &str) -> Self {
        let parts: Vec<&str> = registration_id.split('_').collect();
        let region = match parts[..] {
            [region, _] | [_, region, _] => region,
            _ => "CN",
        };
        if region == "CN" { Self::China } else { Self::Overseas }
    }

    const fn index(self) -> usize {
        match self {
            Self::China => 0,
            Self::Overseas => 1,
        }
    }
}

impl Credential {
    pub(super) fn read(setup: &Setup) -> Result<Self, Invalid> {
        let send = [given::host(setup, "send", CHINA)?, given::host(setup, "send_intl", OVERSEAS)?];
        let auth = [given::host(setup, "auth", &send[0])?, given::host(setup, "auth_intl", &send[1])?];
        Ok(Self {
            app_key: given::text(setup, "credential", "app_key")?.to_owned(),
            master_secret: given::text(setup, "credential", "master_secret")?.to_owned(),
            auth,
            send,
            channel_id: given::maybe(setup, "settings", "channel_id")?.map(str::to_owned),
            categories: shown::words(setup, "categories")?,
            receipts_url: setup.receipts_url.clone(),
            offset_ms: setup.clock_offset_ms,
        })
    }

    pub(super) fn send_url(&self, realm: Realm, what: &str) -> String {
        format!("{}/server/v1/message/notification/{what}", self.send[realm.index()])
    }

    pub(super) fn asking(&self, realm: Realm, now: Timestamp) -> Call {
        let timestamp = given::theirs(now, self.offset_ms).as_millis().to_string();
        let signed = format!("{}{timestamp}{}", self.app_key, self.master_secret);
        let sign = hex::encode(Sha256::digest(signed));
        let fields = [("app_key", self.app_key.as_str()), ("timestamp", &timestamp), ("sign", &sign)];
        form(format!("{}/server/v1/auth", self.auth[realm.index()]), &fields)
    }
}

pub(super) fn form(url: String, fields: &[(&str, &str)]) -> Call {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let kind = "application/x-www-form-urlencoded;charset=UTF-8".to_owned();
    Call { method: Method::POST, url, headers: vec![("content-type", kind)], body: body.into() }
}

/// What OPPO answered to the signature.
pub(super) fn access(answer: &Answer, now: Timestamp) -> Result<Access, Refused> {
    let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let Some((body, code)) = body.as_ref().and_then(|body| Some((body, answers::code(body)?))) else {
        return Err(given::bare(answer.status).pausing(answer.retry_after()));
    };
    if code != 0 {
        return Err(answers::refused(answer.status, code, body["message"].as_str()));
    }
    let token = body["data"]["auth_token"].as_str().ok_or_else(|| given::bare(200))?;
    let mut access = Access::new(token);
    access.renew_at = Some(now + RENEWED_AFTER);
    access.ends_at = Some(now + LIFE);
    Ok(access)
}

#[cfg(test)]
mod tests {
    use carillon_actors::channel::Class;

    use super::*;

    #[test]
    fn a_registration_id_tells_its_realm() {
        let digits = "0123456789abcdef0123456789abcdef";
        for (id, realm) in [
            (digits.to_owned(), Realm::China),
            (format!("CN_{digits}"), Realm::China),
            (format!("OPPO_CN_{digits}"), Realm::China),
            (format!("realme_CN_{digits}"), Realm::China),
            (format!("IN_{digits}"), Realm::Overseas),
            (format!("OPPO_EUEX_{digits}"), Realm::Overseas),
            ("ok-1".to_owned(), Realm::China),
        ] {
            assert_eq!(Realm::of(&id), realm, "{id}");
        }
    }

    #[test]
    fn a_token_is_renewed_after_an_hour_of_its_day() {
        let now = Timestamp::from_millis(1_000_000);
        let answer = |body: &str| Answer { status: 200, headers: vec![], body: body.to_owned().into() };
        let given = access(&answer(r#"{"code":0,"data":{"auth_token":"a","create_time":1}}"#), now).unwrap();
        assert_eq!((given.renew_at, given.ends_at), (Some(now + RENEWED_AFTER), Some(now + LIFE)));
        for (body, class, code) in [
            (r#"{"code":14,"message":"Invalid App Key"}"#, Class::Config, "14"),
            (r#"{"code":19}"#, Class::Config, "19"),
            (r#"{"code":-1}"#, Class::Retry, "-1"),
            (r#"{"code":0}"#, Class::Retry, "garbage"),
            ("<html>", Class::Retry, "garbage"),
        ] {
            let refused = access(&answer(body), now).unwrap_err();
            assert_eq!((refused.class, refused.code.as_str()), (class, code), "{body}");
        }
    }
}

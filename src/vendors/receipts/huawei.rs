//! Huawei's receipts: HMS (`status` beside the token) and HarmonyOS (`deliveryStatus.result`). The
//! numbers are the same: developer.huawei.com, msg-receipt-guide-0000001050040176.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carillon_actors::channel::{BadPost, News, Receipt, Setup};
use carillon_sdk::{Timestamp, Ttl};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value};
use sha2::Sha256;

use super::{at, noted, object, of_each, refused, text};

/// How far from ours the time of a signature may be.
const SKEW_MAX: Ttl = Ttl::from_secs(300);

pub(super) fn read(body: &[u8]) -> Option<Vec<Receipt>> {
    of_each(statuses(body)?, |one| of(one.as_object()?, one.as_object()?, "status", news))
}

pub(super) fn read_v2(body: &[u8]) -> Option<Vec<Receipt>> {
    of_each(statuses(body)?, |one| {
        let whole = one.as_object()?;
        let told = ["deliveryStatus", "formStatus"].into_iter().find_map(|name| whole.get(name)?.as_object());
        // A project that kept the older form sends that.
        let told = told.unwrap_or(whole);
        let code = if told.contains_key("result") { "result" } else { "status" };
        of(whole, told, code, news)
    })
}

pub(super) fn statuses(body: &[u8]) -> Option<Vec<Value>> {
    match object(body)?.remove("statuses")? {
        Value::Array(statuses) => Some(statuses),
        _ => None,
    }
}

/// One entry: whom it is about from `whole`, what from `told`.
pub(super) fn of(
    whole: &Map<String, Value>,
    told: &Map<String, Value>,
    code: &str,
    news: impl Fn(u64, Option<Timestamp>) -> News,
) -> Option<Vec<Receipt>> {
    let at = at(told, "timestamp");
    Some(vec![Receipt {
        param: text(whole, "biTag"),
        vendor_id: text(whole, "requestId"),
        token: text(whole, "token"),
        news: news(text(told, code)?.parse().ok()?, at),
        at,
    }])
}

fn news(status: u64, at: Option<Timestamp>) -> News {
    match status {
        0 => News::Delivered,
        // The app is gone; the device does not know the token.
        2 | 5 => News::Dead { since: at },
        // The process was away and has the data now; the device was locked; held back for later.
        27 | 51 | 201 => noted(&status),
        // Notifications off, inactive for 30 days, internal, replaced, another user, unsupported,
        // too many for the device, no such profile, the day's marketing.
        other => refused(&other),
    }
}

/// Nothing, when the setup names no user and secret: then the address alone is the proof. The
/// signature is Base64(HMAC-SHA256(secret, timestamp + nonce + user)).
pub(super) fn proven(setup: &Setup, signature: Option<&str>, now: Timestamp) -> Result<(), BadPost> {
    let given = |name| setup.credential.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let (Some(user), Some(secret)) = (given("receipts_user"), given("receipts_secret")) else {
        return Ok(());
    };
    let signature = signature.and_then(Signature::parse).ok_or(BadPost::Forged)?;
    let at = Timestamp::from_millis(signature.timestamp.parse().map_err(|_| BadPost::Forged)?);
    if now.since(at).max(at.since(now)) > SKEW_MAX {
        return Err(BadPost::Forged);
    }
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return Err(BadPost::Forged) };
    for part in [signature.timestamp, signature.nonce, user] {
        mac.update(part.as_bytes());
    }
    let given = STANDARD.decode(signature.value).map_err(|_| BadPost::Forged)?;
    mac.verify_slice(&given).map_err(|_| BadPost::Forged)
}

/// `timestamp=<ms>; nonce=<uuid>; value=<base64>`.
struct Signature<'a> {
    timestamp: &'a str,
    nonce: &'a str,
    value: &'a str,
}

impl<'a> Signature<'a> {
    fn parse(header: &'a str) -> Option<Self> {
        let field = |name: &str| {
            let mut parts = header.split(';').filter_map(|part| part.trim().split_once('='));
            parts.find(|(given, _)| given.trim() == name).map(|(_, value)| value.trim())
        };
        Some(Self { timestamp: field("timestamp")?, nonce: field("nonce")?, value: field("value")? })
    }
}

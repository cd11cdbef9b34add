//! What vendors POST back, in our words. Pure, and written for hostile input: whoever learns the
//! address may send anything, so nothing here panics, and all that is kept is bounded.
//!
//! | vendor | body | correlates by | a dead token |
//! |---|---|---|---|
//! | Huawei | `{"statuses": […]}` | `biTag`, `requestId` | status 2, 5 |
//! | HarmonyOS | the same, `deliveryStatus.result` | `biTag`, `requestId` | result 2, 5 |
//! | Honor | the same, status 4000 00xx | `biTag`, `requestId` | …03, …04 |
//! | Xiaomi | form `data={"<id>": {…}}`, or that as JSON | `param`, the id | type 16 |
//! | OPPO | `[…]` | `param`, `messageId` | `regid_invalid` |
//! | vivo | `{"<task>": {…}}` | `param`, the task | 2183, 20002 |
//! | Meizu | form `cb={"<id>-<type>": {…}}` | `param`, the id | none |
//!
//! Apple, Google and the browsers send none.

mod honor;
mod huawei;
mod meizu;
mod oppo;
mod vivo;
mod xiaomi;

use carillon_actors::channel::{BadPost, News, Receipt, ReceiptPost, Setup};
use carillon_sdk::{Timestamp, Vendor};
use serde_json::{Map, Value};

/// Receipts in one post; vendors send at most 100, or 1,000 tokens for one message.
const RECEIPTS_MAX: usize = 10_000;
/// Longest token or name that is kept, in bytes: none of ours or theirs is longer.
const TEXT_BYTES_MAX: usize = 4_096;

/// `now` is the vendor's time, for signatures that end.
pub(super) fn read(
    vendor: Vendor,
    setup: &Setup,
    post: &ReceiptPost,
    now: Timestamp,
) -> Result<Vec<Receipt>, BadPost> {
    if let Vendor::Huawei | Vendor::HarmonyOs | Vendor::Honor = vendor {
        huawei::proven(setup, post.signature.as_deref(), now)?;
    }
    let receipts = match vendor {
        Vendor::Huawei => huawei::read(&post.body),
        Vendor::HarmonyOs => huawei::read_v2(&post.body),
        Vendor::Honor => honor::read(&post.body),
        Vendor::Xiaomi => xiaomi::read(&post.body),
        Vendor::Oppo => oppo::read(&post.body),
        Vendor::Vivo => vivo::read(&post.body),
        Vendor::Meizu => meizu::read(&post.body),
        Vendor::Apns | Vendor::Fcm | Vendor::WebPush => None,
    };
    receipts.filter(|receipts| receipts.len() <= RECEIPTS_MAX).ok_or(BadPost::Unreadable)
}

/// What a vendor is answered, so that it does not send the same again.
#[must_use]
pub fn thanks(vendor: Vendor) -> &'static str {
    match vendor {
        Vendor::Huawei | Vendor::HarmonyOs | Vendor::Honor => r#"{"code":"0","message":"success"}"#,
        _ => r#"{"code":0}"#,
    }
}

fn object(body: &[u8]) -> Option<Map<String, Value>> {
    serde_json::from_slice(body).ok()
}

/// The field of a form that holds JSON, or the body itself where it is JSON: what documents say and
/// what is seen differ. The header that should tell them apart is not asked.
fn form_or_json(field: &str, body: &[u8]) -> Option<Map<String, Value>> {
    if body.trim_ascii_start().starts_with(b"{") {
        return object(body);
    }
    let (_, value) = form_urlencoded::parse(body).find(|(name, _)| name == field)?;
    object(value.as_bytes())
}

/// A text, or a number as one.
fn text(of: &Map<String, Value>, name: &str) -> Option<String> {
    let text = match of.get(name)? {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    (!text.is_empty() && text.len() <= TEXT_BYTES_MAX).then_some(text)
}

/// Milliseconds since 1970, as a number or a text.
fn at(of: &Map<String, Value>, name: &str) -> Option<Timestamp> {
    text(of, name)?.parse().ok().map(Timestamp::from_millis)
}

/// Tokens in an array, or in one text with commas between them.
fn tokens(of: &Map<String, Value>, name: &str) -> Vec<String> {
    let fits = |token: &str| !token.is_empty() && token.len() <= TEXT_BYTES_MAX;
    match of.get(name) {
        Some(Value::String(text)) => {
            let tokens = text.split(',').map(str::trim).filter(|token| fits(token));
            tokens.take(RECEIPTS_MAX + 1).map(str::to_owned).collect()
        }
        Some(Value::Array(all)) => {
            let tokens = all.iter().filter_map(Value::as_str).filter(|token| fits(token));
            tokens.take(RECEIPTS_MAX + 1).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}

/// What every entry of a post says. One that is none of the vendor's words costs none of its neighbours;
/// a post of nothing else is unreadable.
fn of_each<T>(entries: Vec<T>, read: impl Fn(T) -> Option<Vec<Receipt>>) -> Option<Vec<Receipt>> {
    let is_empty = entries.is_empty();
    let read: Vec<_> = entries.into_iter().filter_map(read).collect();
    (is_empty || !read.is_empty()).then(|| read.into_iter().flatten().collect())
}

/// The same news of each token; of none it is still news of the message.
fn for_each(tokens: Vec<String>, told: &Receipt) -> Vec<Receipt> {
    if tokens.is_empty() {
        return vec![told.clone()];
    }
    tokens.into_iter().map(|token| Receipt { token: Some(token), ..told.clone() }).collect()
}

fn refused(code: &(impl ToString + ?Sized)) -> News {
    News::Refused { code: code.to_string() }
}

fn noted(code: &(impl ToString + ?Sized)) -> News {
    News::Noted { code: code.to_string() }
}

#[cfg(test)]
mod tests;

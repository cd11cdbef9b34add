//! Xiaomi's receipts: `extra.callback` of dev.mi.com pId=1559.

use carillon_actors::channel::{News, Receipt};
use carillon_sdk::Timestamp;
use serde_json::Value;

use super::{at, for_each, form_or_json, noted, refused, text, tokens};

pub(super) fn read(content_type: &str, body: &[u8]) -> Option<Vec<Receipt>> {
    let mut receipts = Vec::new();
    for (id, told) in form_or_json(content_type, "data", body)? {
        let Value::Object(told) = told else { return None };
        let at = at(&told, "timestamp");
        let news = news(text(&told, "type")?.parse().ok()?, at);
        let receipt = Receipt { param: text(&told, "param"), vendor_id: Some(id), token: None, news, at };
        receipts.extend(for_each(tokens(&told, "targets"), &receipt));
    }
    Some(receipts)
}

/// The type is a bit each; one receipt has one.
fn news(kind: u64, at: Option<Timestamp>) -> News {
    match kind {
        1 => News::Delivered,
        2 => News::Clicked,
        16 => News::Dead { since: at },
        // Notifications off, filtered, the day's quota, expired.
        32 | 64 | 128 | 1024 => refused(&kind),
        other => noted(&other),
    }
}

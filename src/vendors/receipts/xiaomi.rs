//! Xiaomi's receipts: `extra.callback` of dev.mi.com pId=1559.

use carillon_actors::channel::{News, Receipt};
use carillon_sdk::Timestamp;
use serde_json::Value;

use super::{at, for_each, form_or_json, noted, of_each, refused, text, tokens};

pub(super) fn read(body: &[u8]) -> Option<Vec<Receipt>> {
    of_each(form_or_json("data", body)?.into_iter().collect(), |(id, told)| {
        let Value::Object(told) = told else { return None };
        let at = at(&told, "timestamp");
        let news = news(text(&told, "type")?.parse().ok()?, at);
        let receipt = Receipt { param: text(&told, "param"), vendor_id: Some(id), token: None, news, at };
        Some(for_each(tokens(&told, "targets"), &receipt))
    })
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

//! OPPO's receipts: the document "message receipt" of open.oppomobile.com.

use carillon_actors::channel::{News, Receipt};
use carillon_sdk::Timestamp;
use serde_json::Value;

use super::{at, for_each, noted, of_each, refused, text, tokens};

pub(super) fn read(body: &[u8]) -> Option<Vec<Receipt>> {
    let all: Vec<Value> = serde_json::from_slice(body).ok()?;
    of_each(all, |told| {
        let Value::Object(told) = told else { return None };
        let at = at(&told, "eventTime");
        let news = news(&text(&told, "eventType")?, at);
        let vendor_id = text(&told, "messageId").or_else(|| text(&told, "taskId"));
        let receipt = Receipt { param: text(&told, "param"), vendor_id, token: None, news, at };
        Some(for_each(tokens(&told, "registrationIds"), &receipt))
    })
}

fn news(event: &str, at: Option<Timestamp>) -> News {
    match event {
        "push_arrive" => News::Delivered,
        // Uninstalled, unregistered, flashed, or offline for 30 days.
        "regid_invalid" => News::Dead { since: at },
        limit if limit.contains("limit") => refused(limit),
        other => noted(other),
    }
}

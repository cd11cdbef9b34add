//! vivo's receipts: `extra.callback` of the server API 2.9. Which field carries the finer number is
//! in no public document: it is looked for in `subType` and `code`, then in `ackType` itself.

use carillon_actors::channel::{News, Receipt};
use carillon_sdk::Timestamp;
use serde_json::Value;

use super::{at, for_each, noted, object, of_each, refused, text, tokens};

pub(super) fn read(body: &[u8]) -> Option<Vec<Receipt>> {
    of_each(object(body)?.into_iter().collect(), |(id, told)| {
        let Value::Object(told) = told else { return None };
        let at = at(&told, "ackTime");
        let kind = text(&told, "ackType")?;
        let finer = ["subType", "code"].into_iter().find_map(|name| text(&told, name));
        let news = news(finer.as_ref().unwrap_or(&kind), at);
        let receipt = Receipt { param: text(&told, "param"), vendor_id: Some(id), token: None, news, at };
        Some(for_each(tokens(&told, "targets"), &receipt))
    })
}

fn news(kind: &str, at: Option<Timestamp>) -> News {
    match kind {
        "0" => News::Delivered,
        // The regId is invalid; its user is unknown.
        "2183" | "20002" => News::Dead { since: at },
        // Review, replaced, not shown, hours, quota, the user's most, unsubscribed, offline 14 days.
        "101" | "103" | "104" | "1000" | "1017" | "11001" | "12000" | "20001" | "20006" => refused(kind),
        other => noted(other),
    }
}

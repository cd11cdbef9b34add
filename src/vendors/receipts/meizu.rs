//! Meizu's receipts: MEIZUPUSH/PushAPI, "callback".

use carillon_actors::channel::{News, Receipt};
use serde_json::Value;

use super::{at, for_each, form_or_json, noted, text, tokens};

pub(super) fn read(content_type: &str, body: &[u8]) -> Option<Vec<Receipt>> {
    let mut receipts = Vec::new();
    for (name, told) in form_or_json(content_type, "cb", body)? {
        let Value::Object(told) = told else { return None };
        // The key is the message's id and the type, so that both fit into one object.
        let id = name.rsplit_once('-').map_or(name.as_str(), |(id, _)| id).to_owned();
        let news = match text(&told, "type")?.as_str() {
            "1" => News::Delivered,
            "2" => News::Clicked,
            other => noted(&other),
        };
        let at = at(&told, "timestamp");
        let receipt = Receipt { param: text(&told, "param"), vendor_id: Some(id), token: None, news, at };
        receipts.extend(for_each(tokens(&told, "targets"), &receipt));
    }
    Some(receipts)
}

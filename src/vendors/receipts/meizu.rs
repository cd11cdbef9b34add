//! Meizu's receipts: MEIZUPUSH/PushAPI, "callback".

use carillon_actors::channel::{News, Receipt};
use serde_json::Value;

use super::{at, for_each, form_or_json, noted, of_each, text, tokens};

pub(super) fn read(body: &[u8]) -> Option<Vec<Receipt>> {
    of_each(form_or_json("cb", body)?.into_iter().collect(), |(name, told)| {
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
        Some(for_each(tokens(&told, "targets"), &receipt))
    })
}

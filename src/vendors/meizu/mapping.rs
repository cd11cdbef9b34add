//! Our message in Meizu's words. Lengths are in characters.

use carillon_actors::channel::{Parcel, Refused};
use carillon_sdk::Vendor;
use carillon_sdk::vendor::{Category, Level};
use carillon_sdk::wire::Lane;
use serde_json::{Map, Value, json};

use crate::vendors::texts::{self, Room};
use crate::vendors::{content, shown};

const ROOM: Room = Room { title: 32, body: 100 };
const KEY_MAX: usize = 8;
/// So long it is kept, in hours.
const KEPT_H: (u64, u64) = (1, 72);

/// Arrived, and clicked.
const RECEIPTS: &str = "3";

#[derive(Debug)]
pub(super) struct Content {
    /// `messageJson`.
    pub(super) json: String,
    pub(super) degraded: Vec<&'static str>,
}

pub(super) fn content(parcel: &Parcel, receipts_url: Option<&str>) -> Result<Content, Refused> {
    let (message, options) = (&*parcel.message, &*parcel.options);
    let mut degraded = shown::lost(parcel, Vendor::Meizu, &[]);
    let (title, body) = texts::shown(parcel, Vendor::Meizu, ROOM, texts::scalars, &mut degraded)?;
    let is_quiet = options.level == Some(Level::Passive);
    let mut advance = json!({
        "suspend": 1,
        "clearNoticeBar": 1,
        "notificationType": {"vibrate": u8::from(!is_quiet), "lights": 1, "sound": u8::from(!is_quiet)},
    });
    if let Some(key) = message.collapse_key.as_deref().filter(|key| !key.is_empty()) {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let fits = key.len() <= KEY_MAX && key.bytes().all(is_plain);
        advance["notifyKey"] = json!(if fits { key.to_owned() } else { content::digest(key, KEY_MAX) });
    }
    let expand = match options.big_text {
        true => json!({"noticeExpandType": 1, "noticeExpandContent": body}),
        false => json!({"noticeExpandType": 0}),
    };
    let mut json = json!({
        "noticeBarInfo": {"noticeMsgType": kind(parcel), "noticeBarType": 0, "title": title, "content": body},
        "noticeExpandInfo": expand,
        "clickTypeInfo": click(parcel),
        "pushTimeInfo": time(parcel),
        "advanceInfo": advance,
    });
    if let Some(url) = receipts_url {
        // One call has one word for all its tokens; with the token it names the device again.
        let param = match &parcel.to[..] {
            [alone] => alone.receipt.clone(),
            _ => message.id.to_string(),
        };
        json["extra"] = json!({"callback": url, "callback.param": param, "callback.type": RECEIPTS});
    }
    Ok(Content { json: json.to_string(), degraded })
}

/// 0 public, of which a device gets few a day; 1 private. By the caller's own word, else what the
/// message is.
fn kind(parcel: &Parcel) -> u8 {
    match content::word(&parcel.options, Vendor::Meizu) {
        Some("0") => return 0,
        Some("1") => return 1,
        _ => {}
    }
    match parcel.options.category {
        Some(Category::Marketing) => 0,
        Some(_) => 1,
        None => u8::from(parcel.message.lane != Lane::Bulk),
    }
}

fn click(parcel: &Parcel) -> Value {
    let message = &parcel.message;
    let mut parameters = content::data(message);
    // Texts alone: Android's bundle of extras.
    for value in parameters.values_mut() {
        if !value.is_string() {
            *value = Value::String(value.to_string());
        }
    }
    parameters.insert(content::ID.to_owned(), json!(message.id.to_string()));
    let mut click = Map::new();
    click.insert("clickType".to_owned(), json!(if message.uri.is_some() { 2 } else { 0 }));
    if let Some(uri) = &message.uri {
        click.insert("url".to_owned(), json!(uri));
    }
    click.insert("parameters".to_owned(), Value::Object(parameters));
    Value::Object(click)
}

fn time(parcel: &Parcel) -> Value {
    match content::left_s(parcel) {
        0 => json!({"offLine": 0}),
        left => json!({"offLine": 1, "validTime": left.div_ceil(3_600).clamp(KEPT_H.0, KEPT_H.1)}),
    }
}

#[cfg(test)]
mod tests {
    use carillon_actors::channel::Address;
    use carillon_actors::model::Message;
    use carillon_sdk::Ttl;

    use super::*;
    use crate::vendors::content::tests::parcel;

    fn mapped(options: &Value, change: impl FnOnce(&mut Message)) -> (Value, Vec<&'static str>) {
        let content = content(&parcel("p1", options, change), Some("https://push.example.com/r")).unwrap();
        (serde_json::from_str(&content.json).unwrap(), content.degraded)
    }

    #[test]
    fn a_notification_has_all_that_meizu_has_a_word_for() {
        let (json, degraded) = mapped(&json!({"subtitle": "s", "badge": 1, "big_text": true}), |message| {
            message.data = Some(r#"{"oid":7781}"#.to_owned());
            message.collapse_key = Some("o7781".to_owned());
        });
        let id = parcel("t", &Value::Null, |_| {}).message.id.to_string();
        assert_eq!(
            json,
            json!({
                "noticeBarInfo": {"noticeMsgType": 1, "noticeBarType": 0, "title": "Paid", "content": "Order 7781"},
                "noticeExpandInfo": {"noticeExpandType": 1, "noticeExpandContent": "Order 7781"},
                "clickTypeInfo": {"clickType": 0, "parameters": {"oid": "7781", "carillon_id": id}},
                "pushTimeInfo": {"offLine": 1, "validTime": 1},
                "advanceInfo": {"suspend": 1, "clearNoticeBar": 1, "notifyKey": "o7781",
                    "notificationType": {"vibrate": 1, "lights": 1, "sound": 1}},
                "extra": {"callback": "https://push.example.com/r", "callback.param": "r-1",
                    "callback.type": "3"},
            })
        );
        assert_eq!(degraded, ["subtitle", "badge"]);
    }

    #[test]
    fn time_is_in_hours_rounded_up_within_three_days() {
        let time = |left: Ttl| {
            let (json, _) = mapped(&Value::Null, |message| message.expires_at = message.accepted_at + left);
            json["pushTimeInfo"].clone()
        };
        assert_eq!(time(Ttl::ZERO), json!({"offLine": 0}));
        assert_eq!(time(Ttl::from_secs(3_601))["validTime"], 2);
        assert_eq!(time(Ttl::from_secs(30 * 86_400))["validTime"], 72);
    }

    #[test]
    fn marketing_is_public_and_the_callers_word_goes_before() {
        let kind = |options: &Value, lane| {
            let (json, _) = mapped(options, |message| message.lane = lane);
            json["noticeBarInfo"]["noticeMsgType"].as_u64().unwrap()
        };
        assert_eq!(kind(&Value::Null, Lane::Normal), 1);
        assert_eq!(kind(&Value::Null, Lane::Bulk), 0);
        assert_eq!(kind(&json!({"category": "marketing"}), Lane::High), 0);
        assert_eq!(kind(&json!({"category": "express"}), Lane::Bulk), 1);
        let word = json!({"category": "express", "third_channel_category": {"meizu": "0"}});
        assert_eq!(kind(&word, Lane::High), 0);
    }

    #[test]
    fn a_tap_leads_where_the_message_says() {
        let (json, _) = mapped(&Value::Null, |message| message.uri = Some("app://o".to_owned()));
        assert_eq!(
            (&json["clickTypeInfo"]["clickType"], &json["clickTypeInfo"]["url"]),
            (&json!(2), &json!("app://o"))
        );
    }

    #[test]
    fn several_tokens_share_the_messages_own_name_in_receipts() {
        let mut parcel = parcel("p1", &Value::Null, |_| {});
        parcel.to.push(Address { token: "p2".to_owned(), receipt: "r-2".to_owned() });
        let content = content(&parcel, Some("https://push.example.com/r")).unwrap();
        let json: Value = serde_json::from_str(&content.json).unwrap();
        assert_eq!(json["extra"]["callback.param"], parcel.message.id.to_string());
    }

    #[test]
    fn what_is_too_long_is_cut_and_what_meizu_cannot_show_is_not_sent() {
        for (name, lost, max) in [("title", "title", 32), ("content", "body", 100)] {
            let of = |chars: usize| {
                let (json, degraded) = mapped(&Value::Null, |message| {
                    let text = if lost == "title" { &mut message.title } else { &mut message.body };
                    *text = Some("字".repeat(chars));
                });
                (json["noticeBarInfo"][name].as_str().unwrap().to_owned(), degraded)
            };
            assert_eq!(of(max), ("字".repeat(max), vec![]));
            assert_eq!(of(max + 1), (format!("{}…", "字".repeat(max - 1)), vec![lost]));
        }
        let code =
            |change: fn(&mut Message)| content(&parcel("t", &Value::Null, change), None).unwrap_err().code;
        assert_eq!(code(|message| message.title = None), "title_missing");
        assert_eq!(code(|message| message.body = Some(" ".to_owned())), "body_missing");
        assert_eq!(code(|message| message.silent = true), "silent_unsupported");
    }

    #[test]
    fn what_meizu_cannot_carry_is_said() {
        let options = json!({"sound": "ping", "badge_add": 1, "is_test": true,
            "transparent_payload": {"meizu": {"k": 1}}});
        let (_, degraded) = mapped(&options, |_| {});
        assert_eq!(degraded, ["badge_add", "sound", "transparent_payload", "is_test"]);
    }
}

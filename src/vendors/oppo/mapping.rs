//! Our message in OPPO's words: a notification's object, in snake_case, whatever the document's sample
//! says. Lengths are counted in code points: an emoji is one.

use carillon_actors::channel::{Parcel, Refused};
use carillon_sdk::Vendor;
use serde_json::{Map, Value, json};

use super::credential::Credential;
use crate::vendors::shown::{self, Tap};
use crate::vendors::texts::{self, Room};
use crate::vendors::{content, given};

const ROOM: Room = Room { title: 50, body: 200 };
const SUBTITLE_MAX: usize = 10;
const URL_MAX: usize = 2_000;
const DATA_MAX: usize = 4_000;
const CALL_BACK_URL_MAX: usize = 200;
/// Ten days, in seconds.
const KEPT_S_MAX: u64 = 864_000;

/// A notification without its target and its receipt.
#[derive(Debug, Clone)]
pub(super) struct Content {
    pub(super) notification: Map<String, Value>,
    pub(super) degraded: Vec<&'static str>,
}

pub(super) fn content(parcel: &Parcel, credential: &Credential) -> Result<Content, Refused> {
    let (message, options) = (&*parcel.message, &*parcel.options);
    let carried = ["subtitle", "badge", "badge_add"];
    let mut degraded = shown::lost(parcel, Vendor::Oppo, &carried);
    let (title, body) = texts::shown(parcel, Vendor::Oppo, ROOM, texts::scalars, &mut degraded)?;
    let data = Value::Object(shown::data(message)).to_string();
    if data.chars().count() > DATA_MAX {
        return Err(given::unfit("data_too_long", "the data is longer than 4000 characters"));
    }
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| _ = fields.insert(name.to_owned(), value);
    // OPPO drops a second one for the same device.
    put("app_message_id", json!(message.id.to_string()));
    put("style", json!(1));
    put("title", json!(title));
    put("content", json!(body));
    put("action_parameters", json!(data));
    if let Some(subtitle) = options.subtitle.as_deref() {
        let fitted = texts::fit(subtitle, SUBTITLE_MAX, texts::scalars);
        if fitted != subtitle {
            degraded.push("subtitle");
        }
        put("sub_title", json!(fitted));
    }
    let (kind, url) = match shown::tap(message) {
        Tap::App => (0, None),
        Tap::Web(url) => (2, Some(url)),
        Tap::Page(url) => (5, Some(url)),
    };
    put("click_action_type", json!(kind));
    if let Some(url) = url {
        if url.chars().count() > URL_MAX {
            return Err(given::unfit("uri_too_long", "the link is longer than 2000 characters"));
        }
        put("click_action_url", json!(url));
    }
    let left_s = content::left_s(parcel);
    put("off_line", json!(left_s > 0));
    if left_s > 0 {
        put("off_line_ttl", json!(left_s.min(KEPT_S_MAX)));
    }
    if left_s > KEPT_S_MAX {
        degraded.push("ttl");
    }
    if let Some(key) = &message.collapse_key {
        put("notify_id", json!(shown::number(key)));
    }
    if let Some(badge) = options.badge {
        put("badge_operation_type", json!(0));
        put("badge_message_count", json!(badge));
    } else if let Some(add) = options.badge_add {
        put("badge_operation_type", json!(1));
        put("badge_message_count", json!(add));
    }
    fields.extend(sort(parcel, credential, &mut degraded));
    Ok(Content { notification: fields, degraded })
}

/// Channel, category and how much it may disturb: the last only beside a category.
fn sort(parcel: &Parcel, credential: &Credential, degraded: &mut Vec<&'static str>) -> Vec<(String, Value)> {
    let (options, look) = (&*parcel.options, parcel.message.look.as_ref());
    let mut fields = Vec::new();
    let of_message = look.and_then(|look| look.channel_id.as_ref());
    if let Some(channel) = of_message.or(credential.channel_id.as_ref()) {
        fields.push(("channel_id".to_owned(), json!(channel)));
    }
    let of_ours = || credential.categories.get(options.category?.as_str()).map(String::as_str);
    let category = content::word(options, Vendor::Oppo).or_else(of_ours);
    if let Some(category) = category {
        fields.push(("category".to_owned(), json!(category)));
    }
    let level = options.notify_level.get("oppo").and_then(|level| match level {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64(),
    });
    match level {
        Some(level @ (1 | 2 | 16)) if category.is_some() => {
            fields.push(("notify_level".to_owned(), json!(level)));
        }
        Some(_) => degraded.push("notify_level"),
        None => {}
    }
    fields
}

impl Content {
    /// Without the category, and the level that goes beside one; none when it names none.
    pub(super) fn uncategorised(&self) -> Option<Self> {
        let Self { mut notification, mut degraded } = self.clone();
        notification.remove("category")?;
        notification.remove("notify_level");
        degraded.push("category");
        Some(Self { notification, degraded })
    }
}

/// The message for one device.
pub(super) fn message(content: &Content, credential: &Credential, token: &str, receipt: &str) -> Value {
    let mut notification = content.notification.clone();
    let url = credential.receipts_url.as_deref().filter(|url| url.chars().count() <= CALL_BACK_URL_MAX);
    if let Some(url) = url {
        notification.insert("call_back_url".to_owned(), json!(url));
        notification.insert("call_back_parameter".to_owned(), json!(receipt));
    }
    json!({
        "target_type": 2, "target_value": token, "verify_registration_id": false, "notification": notification,
    })
}

#[cfg(test)]
mod tests {
    use carillon_actors::channel::Setup;
    use carillon_actors::model::Message;

    use super::*;
    use crate::vendors::content::tests::parcel;

    fn credential() -> Credential {
        let setup = Setup {
            credential: json!({"app_key": "k", "master_secret": "s"}),
            settings: json!({"channel_id": "orders", "categories": {"express": "ORDER"}}),
            hosts: [].into(),
            ca_pem: None,
            clock_offset_ms: 0,
            receipts_url: Some("https://push.example.com/r/1".to_owned()),
        };
        Credential::read(&setup).unwrap()
    }

    fn mapped(options: &Value, change: impl FnOnce(&mut Message)) -> Result<Content, String> {
        content(&parcel("t", options, change), &credential()).map_err(|refused| refused.code)
    }

    #[test]
    fn a_notification_in_oppos_words() {
        let options =
            json!({"category": "express", "notify_level": {"oppo": 16}, "badge": 3, "subtitle": "now"});
        let content = mapped(&options, |message| {
            message.uri = Some("app://order/7781".to_owned());
            message.collapse_key = Some("orders".to_owned());
        });
        let content = content.unwrap();
        let whole = message(&content, &credential(), "OPPO_CN_1", "r-1");
        let expected = json!({
            "target_type": 2, "target_value": "OPPO_CN_1", "verify_registration_id": false,
            "notification": {
                "app_message_id": "07070707-0707-0707-0707-070707070707", "style": 1, "title": "Paid",
                "content": "Order 7781", "sub_title": "now",
                "action_parameters": r#"{"carillon_id":"07070707-0707-0707-0707-070707070707"}"#,
                "click_action_type": 5, "click_action_url": "app://order/7781",
                "off_line": true, "off_line_ttl": 3600, "notify_id": shown::number("orders"),
                "badge_operation_type": 0, "badge_message_count": 3,
                "channel_id": "orders", "category": "ORDER", "notify_level": 16,
                "call_back_url": "https://push.example.com/r/1", "call_back_parameter": "r-1",
            },
        });
        assert_eq!(whole, expected);
        assert!(content.degraded.is_empty());
    }

    #[test]
    fn limits_are_counted_in_code_points_and_what_is_longer_is_cut() {
        for (field, lost, max) in [("title", "title", 50), ("content", "body", 200)] {
            let of = |chars: usize| {
                let content = mapped(&Value::Null, |message| {
                    let text = if lost == "title" { &mut message.title } else { &mut message.body };
                    *text = Some("😀".repeat(chars));
                });
                let content = content.unwrap();
                (content.notification[field].as_str().unwrap().to_owned(), content.degraded)
            };
            assert_eq!(of(max), ("😀".repeat(max), vec![]));
            assert_eq!(of(max + 1), (format!("{}…", "😀".repeat(max - 1)), vec![lost]));
        }
        let long = mapped(&Value::Null, |message| message.uri = Some(format!("app://{}", "x".repeat(2_000))));
        assert_eq!(long.unwrap_err(), "uri_too_long");
        let long = mapped(&Value::Null, |message| {
            message.data = Some(format!(r#"{{"k":"{}"}}"#, "x".repeat(4_000)));
        });
        assert_eq!(long.unwrap_err(), "data_too_long");
    }

    #[test]
    fn what_oppo_cannot_carry_is_said() {
        let options = json!({
            "sound": "ping", "subtitle": "longer than ten", "notify_level": {"oppo": "2"}, "is_test": true,
        });
        let content = mapped(&options, |_| {}).unwrap();
        assert_eq!(content.degraded, ["sound", "is_test", "subtitle", "notify_level"]);
        assert_eq!(content.notification["sub_title"], "longer th…");
        let content = mapped(&Value::Null, |message| message.expires_at = message.accepted_at).unwrap();
        assert_eq!(content.notification["off_line"], false);
        assert!(!content.notification.contains_key("off_line_ttl"));
    }
}

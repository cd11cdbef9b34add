//! Our message in the words of Push Kit v3: a shape for each `push-type`.

use carillon_actors::channel::{Parcel, Refused};
use carillon_sdk::Vendor;
use carillon_sdk::vendor::Category;
use serde_json::{Value, json};

use super::credential::Settings;
use crate::vendors::{content, pushkit, shown};

const NAMES: [&str; 3] = ["harmonyos", "huawei", "hms"];
/// For which no right is needed.
const MARKETING: &str = "MARKETING";
const PLAY_VOICE: &str = "PLAY_VOICE";
/// Tokens of one test message (80300030).
const TEST_TOKENS_MAX: usize = 10;

const ALERT: u8 = 0;
const VOICE: u8 = 2;
const BACKGROUND: u8 = 6;
const CALL: u8 = 10;

#[derive(Debug)]
pub(super) struct Content {
    pub(super) push_type: u8,
    /// Without its tokens.
    body: Value,
    pub(super) degraded: Vec<&'static str>,
    /// Tokens in one call.
    pub(super) batch_max: usize,
}

impl Content {
    pub(super) fn body(&self, tokens: &[&str]) -> String {
        let mut body = self.body.clone();
        body["target"] = json!({"token": tokens});
        body.to_string()
    }
}

pub(super) fn content(parcel: &Parcel, settings: &Settings) -> Result<Content, Refused> {
    let options = &*parcel.options;
    let carried = ["image_url", "badge", "badge_add", "sound", "transparent_payload", "is_test"];
    let mut degraded = shown::lost(parcel, Vendor::HarmonyOs, &carried);
    let mut push = json!({
        "ttl": pushkit::ttl_s(parcel),
        "biTag": pushkit::tag(parcel),
        "testMessage": options.is_test,
    });
    if let Some(id) = &settings.receipt_id {
        push["receiptId"] = json!(id);
    }
    let category = pushkit::category(options, &NAMES).or_else(|| settings.category.clone());
    let category = category.unwrap_or_else(|| MARKETING.to_owned());
    let (push_type, payload) = if let Some(data) =
        pushkit::silent(parcel, &[Vendor::HarmonyOs, Vendor::Huawei])
    {
        let is_call = options.category == Some(Category::Voip);
        (if is_call { CALL } else { BACKGROUND }, json!({"extraData": data}))
    } else if category == PLAY_VOICE {
        let extra = Value::Object(pushkit::data(parcel)).to_string();
        (VOICE, json!({"extraData": extra, "notification": notification(parcel, &category, &mut degraded)?}))
    } else {
        (ALERT, json!({"notification": notification(parcel, &category, &mut degraded)?}))
    };
    let has_channel = parcel.message.look.as_ref().is_some_and(|look| look.channel_id.is_some());
    for (name, is_lost) in [
        ("channel_id", has_channel),
        ("thread_id", options.thread_id.is_some()),
        ("transparent_urgency", options.transparent_urgency.is_some()),
    ] {
        if is_lost {
            degraded.push(name);
        }
    }
    let body = json!({"payload": payload, "pushOptions": push, "target": {"token": []}});
    pushkit::fits(&body)?;
    let batch_max = if options.is_test { TEST_TOKENS_MAX } else { usize::MAX };
    Ok(Content { push_type, body, degraded, batch_max })
}

fn notification(parcel: &Parcel, category: &str, degraded: &mut Vec<&'static str>) -> Result<Value, Refused> {
    let (message, options) = (&*parcel.message, &*parcel.options);
    let (title, body) = pushkit::texts(parcel, Vendor::HarmonyOs)?;
    let mut shown = json!({
        "category": category,
        "title": title,
        "body": body,
        "clickAction": click(parcel),
        "foregroundShow": true,
        // By which a repeat is dropped. Data alone has none: its repeat is the SDK's to know, by our id.
        "appMessageId": message.id.to_string(),
    });
    if pushkit::is_big(parcel) {
        (shown["style"], shown["bigTitle"], shown["bigBody"]) = (json!(1), json!(title), json!(body));
    }
    if let Some(key) = message.collapse_key.as_deref().filter(|key| !key.is_empty()) {
        // Not `collapseKey`, which has a hundred groups: two keys would share one.
        shown["notifyId"] = json!(shown::number(key));
    }
    match content::image(parcel, Vendor::HarmonyOs) {
        Some(url) if url.starts_with("https://") => shown["image"] = json!(url),
        Some(_) => degraded.push("image_url"),
        None => {}
    }
    if let Some(sound) = options.sound.as_deref().filter(|sound| *sound != "default") {
        shown["sound"] = json!(sound);
    }
    let (added, set) = pushkit::badge(options);
    for (name, number) in [("addNum", added), ("setNum", set)] {
        if let Some(number) = number {
            shown["badge"][name] = json!(number);
        }
    }
    Ok(shown)
}

/// Home, or where the URI leads: a deep link, which a page of the web is too.
fn click(parcel: &Parcel) -> Value {
    let data = pushkit::data(parcel);
    match parcel.message.uri.as_deref().filter(|uri| !uri.is_empty()) {
        Some(uri) => json!({"actionType": 1, "uri": uri, "data": data}),
        None => json!({"actionType": 0, "data": data}),
    }
}

#[cfg(test)]
mod tests {
    use carillon_actors::model::Message;
    use carillon_sdk::Ttl;
    use carillon_sdk::wire::Look;

    use super::*;
    use crate::vendors::content::tests::parcel;

    fn mapped(options: &Value, change: impl FnOnce(&mut Message)) -> (u8, Value, Vec<&'static str>) {
        let content = content(&parcel("t1", options, change), &Settings::default()).unwrap();
        (content.push_type, serde_json::from_str(&content.body(&["t1"])).unwrap(), content.degraded)
    }

    #[test]
    fn an_alert_has_all_that_push_kit_has_a_word_for() {
        let options = json!({"category": "express", "sound": "ping.mp3", "badge": 3, "badge_add": 100,
            "big_text": true});
        let (push_type, body, degraded) = mapped(&options, |message| {
            message.data = Some(r#"{"oid":7781}"#.to_owned());
            message.collapse_key = Some("o7781".to_owned());
            message.uri = Some("app://order/7781".to_owned());
            message.look =
                Some(Look { image_url: Some("https://example.com/i".to_owned()), ..Look::default() });
        });
        let id = parcel("t", &Value::Null, |_| {}).message.id.to_string();
        assert_eq!(
            body,
            json!({
                "payload": {"notification": {
                    "category": "EXPRESS", "title": "Paid", "body": "Order 7781", "foregroundShow": true,
                    "clickAction": {"actionType": 1, "uri": "app://order/7781",
                        "data": {"oid": 7781, "carillon_id": id}},
                    "appMessageId": id, "style": 1, "bigTitle": "Paid", "bigBody": "Order 7781",
                    "notifyId": shown::number("o7781"), "image": "https://example.com/i",
                    "sound": "ping.mp3", "badge": {"addNum": 99, "setNum": 3},
                }},
                "pushOptions": {"ttl": 3600, "biTag": "r-1", "testMessage": false},
                "target": {"token": ["t1"]},
            })
        );
        assert_eq!((push_type, degraded), (0, vec![]));
    }

    #[test]
    fn each_kind_has_its_push_type() {
        let silent = |message: &mut Message| message.silent = true;
        let (push_type, body, _) = mapped(&json!({}), silent);
        assert_eq!((push_type, body["payload"]["extraData"].is_string()), (6, true));
        assert_eq!(mapped(&json!({"category": "voip"}), silent).0, 10);
        assert_eq!(mapped(&json!({"transparent_payload": {"harmonyos": {"k": 1}}}), |_| {}).0, 6);
        let (push_type, body, _) = mapped(&json!({"category": "play_voice"}), |_| {});
        assert_eq!((push_type, body["payload"]["extraData"].is_string()), (2, true));
    }

    #[test]
    fn a_message_without_a_category_is_marketing_unless_the_app_says_otherwise() {
        let category = |settings: &Settings| {
            let content = content(&parcel("t", &Value::Null, |_| {}), settings).unwrap();
            content.body["payload"]["notification"]["category"].as_str().unwrap().to_owned()
        };
        assert_eq!(category(&Settings::default()), "MARKETING");
        let settings = Settings { category: Some("WORK".to_owned()), ..Settings::default() };
        assert_eq!(category(&settings), "WORK");
    }

    #[test]
    fn time_is_a_number_of_seconds_and_a_test_goes_to_ten_at_most() {
        let (_, body, _) = mapped(&json!({}), |message| {
            message.expires_at = message.accepted_at + Ttl::from_secs(30 * 86_400);
        });
        assert_eq!(body["pushOptions"]["ttl"], 1_296_000);
        let content = content(&parcel("t", &json!({"is_test": true}), |_| {}), &Settings::default());
        assert_eq!(content.unwrap().batch_max, 10);
    }

    #[test]
    fn what_push_kit_cannot_carry_is_said() {
        let options = json!({"subtitle": "s", "thread_id": "x", "live_activity": {}});
        let (_, _, degraded) = mapped(&options, |message| {
            message.look = Some(Look { channel_id: Some("c".to_owned()), ..Look::default() });
        });
        assert_eq!(degraded, ["subtitle", "live_activity", "channel_id", "thread_id"]);
    }
}

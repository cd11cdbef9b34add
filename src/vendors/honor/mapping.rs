//! Our message in Honor's words.

use carillon_actors::channel::{Parcel, Refused};
use carillon_sdk::Vendor;
use serde_json::{Value, json};

use super::credential::Settings;
use crate::vendors::content;
use crate::vendors::pushkit::{self, Click};
use crate::vendors::shown;

const NAMES: [&str; 1] = ["honor"];

#[derive(Debug)]
pub(super) struct Content {
    /// Without its tokens.
    body: Value,
    pub(super) degraded: Vec<&'static str>,
}

impl Content {
    pub(super) fn body(&self, tokens: &[&str]) -> String {
        let mut body = self.body.clone();
        body["token"] = json!(tokens);
        body.to_string()
    }
}

pub(super) fn content(parcel: &Parcel, settings: &Settings) -> Result<Content, Refused> {
    let options = &*parcel.options;
    let carried = ["image_url", "badge", "badge_add", "transparent_payload", "is_test"];
    let mut degraded = shown::lost(parcel, Vendor::Honor, &carried);
    let mut android = json!({
        "ttl": format!("{}s", pushkit::ttl_s(parcel)),
        "biTag": pushkit::tag(parcel),
        "targetUserType": u8::from(options.is_test),
    });
    let data = if let Some(data) = pushkit::silent(parcel, &[Vendor::Honor]) {
        data
    } else {
        android["notification"] = notification(parcel, settings, &mut degraded)?;
        Value::Object(pushkit::data(parcel)).to_string()
    };
    let has_channel = parcel.message.look.as_ref().is_some_and(|look| look.channel_id.is_some());
    for (name, is_lost) in
        [("channel_id", has_channel), ("transparent_urgency", options.transparent_urgency.is_some())]
    {
        if is_lost {
            degraded.push(name);
        }
    }
    let body = json!({"data": data, "android": android});
    pushkit::fits(&body)?;
    Ok(Content { body, degraded })
}

fn notification(
    parcel: &Parcel,
    settings: &Settings,
    degraded: &mut Vec<&'static str>,
) -> Result<Value, Refused> {
    let (message, options) = (&*parcel.message, &*parcel.options);
    let (title, body) = pushkit::texts(parcel, Vendor::Honor)?;
    let importance = pushkit::importance(parcel, &NAMES);
    let mut shown = json!({
        "title": title,
        "body": body,
        "clickAction": click(parcel, settings, degraded),
        "importance": importance,
    });
    if pushkit::is_big(parcel) {
        (shown["style"], shown["bigTitle"], shown["bigBody"]) = (json!(1), json!(title), json!(body));
    }
    if let Some(key) = message.collapse_key.as_deref().filter(|key| !key.is_empty()) {
        shown["notifyId"] = json!(shown::number(key));
    }
    if let Some(group) = &options.thread_id {
        shown["group"] = json!(group);
    }
    match content::image(parcel, Vendor::Honor) {
        // A marketing message with one is refused (80200050).
        Some(url) if url.starts_with("https://") && importance != "LOW" => shown["image"] = json!(url),
        Some(_) => degraded.push("image_url"),
        None => {}
    }
    let (added, set) = pushkit::badge(options);
    if added.is_some() || set.is_some() {
        match options.badge_class.as_deref().or(settings.badge_class.as_deref()) {
            Some(class) => {
                let mut badge = json!({"badgeClass": class});
                if let Some(added) = added {
                    badge["addNum"] = json!(added);
                }
                if let Some(set) = set {
                    badge["setNum"] = json!(set);
                }
                shown["badge"] = badge;
            }
            None => degraded.push("badge"),
        }
    }
    Ok(shown)
}

fn click(parcel: &Parcel, settings: &Settings, degraded: &mut Vec<&'static str>) -> Value {
    match pushkit::click(parcel, settings.package.as_deref()) {
        Click::Page(url) => json!({"type": 2, "url": url}),
        Click::Intent(intent) => json!({"type": 1, "intent": intent}),
        Click::App => {
            if parcel.message.uri.as_deref().is_some_and(|uri| !uri.is_empty()) {
                degraded.push("uri");
            }
            json!({"type": 3})
        }
    }
}

#[cfg(test)]
mod tests {
    use carillon_actors::model::Message;
    use carillon_sdk::wire::{Lane, Look};

    use super::*;
    use crate::vendors::content::tests::parcel;

    fn mapped(options: &Value, change: impl FnOnce(&mut Message)) -> (Value, Vec<&'static str>) {
        let settings = Settings { package: None, badge_class: Some("com.example.Main".to_owned()) };
        let content = content(&parcel("t1", options, change), &settings).unwrap();
        (serde_json::from_str(&content.body(&["t1"])).unwrap(), content.degraded)
    }

    #[test]
    fn a_notification_has_all_that_honor_has_a_word_for() {
        let options = json!({"category": "express", "thread_id": "g", "badge_add": 1, "big_text": true});
        let (body, degraded) = mapped(&options, |message| {
            message.collapse_key = Some("o7781".to_owned());
            message.uri = Some("https://example.com/o".to_owned());
            message.look =
                Some(Look { image_url: Some("https://example.com/i".to_owned()), ..Look::default() });
        });
        assert_eq!(
            body["android"],
            json!({
                "ttl": "3600s", "biTag": "r-1", "targetUserType": 0,
                "notification": {
                    "title": "Paid", "body": "Order 7781", "importance": "NORMAL", "group": "g",
                    "clickAction": {"type": 2, "url": "https://example.com/o"},
                    "style": 1, "bigTitle": "Paid", "bigBody": "Order 7781", "image": "https://example.com/i",
                    "notifyId": shown::number("o7781"),
                    "badge": {"badgeClass": "com.example.Main", "addNum": 1},
                },
            })
        );
        assert!(body["data"].as_str().unwrap().contains("carillon_id"));
        assert_eq!((body["token"].clone(), degraded), (json!(["t1"]), vec![]));
    }

    #[test]
    fn marketing_goes_without_its_image_and_what_is_lost_is_said() {
        let options = json!({"subtitle": "s", "sound": "x", "live_activity": {}});
        let (body, degraded) = mapped(&options, |message| {
            message.lane = Lane::Bulk;
            message.look = Some(Look {
                image_url: Some("https://example.com/i".to_owned()),
                channel_id: Some("c".to_owned()),
                ..Look::default()
            });
        });
        assert!(body["android"]["notification"]["image"].is_null());
        assert_eq!(degraded, ["subtitle", "sound", "live_activity", "image_url", "channel_id"]);
    }

    #[test]
    fn data_alone_has_no_notification() {
        let (body, _) = mapped(&json!({"transparent_payload": {"honor": "plain"}, "is_test": true}), |_| {});
        assert_eq!((&body["data"], &body["android"]["targetUserType"]), (&json!("plain"), &json!(1)));
        assert!(body["android"]["notification"].is_null());
    }
}

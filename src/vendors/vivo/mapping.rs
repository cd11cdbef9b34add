//! Our message in vivo's words.

use carillon_actors::channel::{Category, Level, Options, Parcel, Refused};
use carillon_sdk::Vendor;
use serde_json::{Map, Value, json};

use super::credential::Credential;
use crate::vendors::shown::{self, Tap};
use crate::vendors::texts::{self, Room};
use crate::vendors::{content, given, limits};

const ROOM: Room = Room { title: 40, body: 100 };
const LINK_MAX: usize = 1_024;
/// Bytes of names and values together.
const CUSTOM_MAX: usize = 1_024;
const CALLBACK_MAX: usize = 128;
const KEPT_S_MIN: u64 = 60;
const KEPT_S_MAX: u64 = 86_400;

/// System messages' and operation messages' categories; each goes with its classification alone.
const SYSTEM: [&str; 6] = ["IM", "ACCOUNT", "TODO", "DEVICE_REMINDER", "ORDER", "SUBSCRIPTION"];
const OPERATION: [&str; 4] = ["NEWS", "CONTENT", "MARKETING", "SOCIAL"];

/// A message without its target, request id and receipt.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) fields: Map<String, Value>,
    pub(super) degraded: Vec<&'static str>,
}

pub(super) fn content(parcel: &Parcel, credential: &Credential) -> Result<Content, Refused> {
    let (message, options) = (&*parcel.message, &*parcel.options);
    let mut degraded = shown::lost(parcel, Vendor::Vivo, &["is_test", "badge_add"]);
    let length = |text: &str| limits::length(text, credential.counts_wide_twice);
    let (title, body) = texts::shown(parcel, Vendor::Vivo, ROOM, length, &mut degraded)?;
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| _ = fields.insert(name.to_owned(), value);
    put("appId", json!(credential.app_id));
    put("title", json!(title));
    put("content", json!(body));
    // Rings and vibrates, unless it is to come quietly.
    put("notifyType", json!(if options.level == Some(Level::Passive) { 1 } else { 4 }));
    put("networkType", json!(-1));
    let (kind, link) = match shown::tap(message) {
        Tap::App => (1, None),
        Tap::Web(link) => (2, Some(link)),
        Tap::Page(link) => (4, Some(link)),
    };
    put("skipType", json!(kind));
    if let Some(link) = link {
        if link.chars().count() > LINK_MAX {
            return Err(given::unfit("uri_too_long", "the link is longer than 1024 characters"));
        }
        put("skipContent", json!(link));
    }
    put("clientCustomMap", custom(parcel)?);
    let left_s = content::left_s(parcel);
    put("timeToLive", json!(left_s.clamp(KEPT_S_MIN, KEPT_S_MAX)));
    if left_s < KEPT_S_MIN {
        // Kept for a minute it might come too late: who is not there now does not get it.
        put("sendOnline", json!(true));
    }
    if left_s > 0 && !(KEPT_S_MIN..=KEPT_S_MAX).contains(&left_s) {
        degraded.push("ttl");
    }
    if let Some(key) = &message.collapse_key {
        put("notifyId", json!(shown::number(key)));
    }
    put("pushMode", json!(u8::from(options.is_test)));
    match options.badge_add {
        Some(0) | None => {}
        Some(add) => {
            put("addBadge", json!(true));
            if add > 1 {
                degraded.push("badge_add");
            }
        }
    }
    let (classification, category) = sort(options, credential, &mut degraded)?;
    put("classification", json!(classification));
    if let Some(category) = category {
        put("category", json!(category));
    }
    Ok(Content { fields, degraded })
}

/// Data as texts, small as it has to be.
fn custom(parcel: &Parcel) -> Result<Value, Refused> {
    let text = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    let data = shown::data(&parcel.message).into_iter().map(|(name, value)| (name, text(value)));
    let data: Vec<(String, String)> = data.collect();
    let bytes: usize = data.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > CUSTOM_MAX {
        return Err(given::unfit("data_too_long", "the data is longer than 1024 bytes"));
    }
    Ok(Value::Object(data.into_iter().map(|(name, value)| (name, value.into())).collect()))
}

/// 0 operation, 1 system, and the category that agrees with it. The caller's own words go before our
/// category, and two of the caller's that do not agree would be refused.
fn sort<'a>(
    options: &'a Options,
    credential: &'a Credential,
    degraded: &mut Vec<&'static str>,
) -> Result<(u8, Option<&'a str>), Refused> {
    let class_of = |category: &str| match category {
        _ if SYSTEM.contains(&category) => Some(1),
        _ if OPERATION.contains(&category) => Some(0),
        _ => None,
    };
    let asked = match options.classification.as_deref() {
        Some("1") => Some(1),
        Some("0") => Some(0),
        _ => None,
    };
    if let Some(word) = content::word(options, Vendor::Vivo) {
        let class = class_of(word);
        if asked.is_some() && class.is_some() && asked != class {
            return Err(given::unfit("category_mismatch", "the category is not of that classification"));
        }
        // One that we do not know is vivo's to judge.
        return Ok((asked.or(class).unwrap_or(0), Some(word)));
    }
    let Some(category) = options.category else { return Ok((asked.unwrap_or(0), None)) };
    let own = credential.categories.get(category.as_str()).map(String::as_str);
    let word = own.unwrap_or_else(|| usual(category));
    match (asked, class_of(word)) {
        (Some(asked), Some(class)) if asked != class => {
            degraded.push("category");
            Ok((asked, None))
        }
        (asked, class) => Ok((asked.or(class).unwrap_or(0), Some(word))),
    }
}

/// What comes nearest.
const fn usual(category: Category) -> &'static str {
    match category {
        Category::Im | Category::Voip | Category::Mail => "IM",
        Category::Account | Category::Finance => "ACCOUNT",
        Category::Work => "TODO",
        Category::DeviceReminder | Category::SystemReminder => "DEVICE_REMINDER",
        Category::Express | Category::Travel | Category::PlayVoice => "ORDER",
        Category::Subscription | Category::Health => "SUBSCRIPTION",
        Category::Marketing => "MARKETING",
    }
}

/// Where receipts go, if vivo takes so long an address; with what they are to say when there is one.
pub(super) fn extra(credential: &Credential, receipt: Option<&str>) -> Option<Value> {
    let url = credential.receipts_url.as_deref().filter(|url| url.len() <= CALLBACK_MAX)?;
    let mut extra = json!({"callback": url});
    if let Some(receipt) = receipt {
        extra["callback.param"] = json!(receipt);
    }
    Some(extra)
}

#[cfg(test)]
mod tests {
    use carillon_actors::channel::Setup;
    use carillon_actors::model::Message;
    use carillon_sdk::Ttl;

    use super::*;
    use crate::vendors::content::tests::parcel;

    fn credential(settings: Value) -> Credential {
        let setup = Setup {
            credential: json!({"app_id": 10004, "app_key": "k", "app_secret": "s"}),
            settings,
            hosts: [].into(),
            ca_pem: None,
            clock_offset_ms: 0,
            receipts_url: Some("https://push.example.com/r/1".to_owned()),
        };
        Credential::read(&setup).unwrap()
    }

    fn mapped(options: &Value, change: impl FnOnce(&mut Message)) -> Result<Content, String> {
        content(&parcel("t", options, change), &credential(Value::Null)).map_err(|refused| refused.code)
    }

    #[test]
    fn a_notification_in_vivos_words() {
        let options = json!({"category": "express", "badge_add": 1, "is_test": true});
        let content = mapped(&options, |message| {
            message.uri = Some("intent://order#Intent;end".to_owned());
            message.data = Some(r#"{"oid":7781}"#.to_owned());
            message.collapse_key = Some("orders".to_owned());
        });
        let content = content.unwrap();
        let expected = json!({
            "appId": 10004, "title": "Paid", "content": "Order 7781", "notifyType": 4, "networkType": -1,
            "skipType": 4, "skipContent": "intent://order#Intent;end", "timeToLive": 3600,
            "clientCustomMap": {"oid": "7781", "carillon_id": "07070707-0707-0707-0707-070707070707"},
            "notifyId": shown::number("orders"), "pushMode": 1, "addBadge": true,
            "classification": 1, "category": "ORDER",
        });
        assert_eq!(Value::Object(content.fields), expected);
        assert!(content.degraded.is_empty());
        let extra = extra(&credential(Value::Null), Some("r-1")).unwrap();
        assert_eq!(extra, json!({"callback": "https://push.example.com/r/1", "callback.param": "r-1"}));
    }

    #[test]
    fn a_validity_beyond_vivos_bounds_is_clamped_and_said() {
        let kept = |seconds: u64| {
            let content = mapped(&Value::Null, |message| {
                message.expires_at = message.accepted_at + Ttl::from_secs(seconds);
            });
            let content = content.unwrap();
            let is_online = content.fields.get("sendOnline").is_some();
            (content.fields["timeToLive"].as_u64().unwrap(), is_online, content.degraded)
        };
        assert_eq!(kept(0), (60, true, vec![]), "online-only is what it is");
        assert_eq!(kept(59), (60, true, vec!["ttl"]));
        assert_eq!(kept(60), (60, false, vec![]));
        assert_eq!(kept(86_400), (86_400, false, vec![]));
        assert_eq!(kept(86_401), (86_400, false, vec!["ttl"]));
    }

    #[test]
    fn category_and_classification_agree() {
        for (options, expected) in [
            (json!({}), Ok((0, None))),
            (json!({"classification": "1"}), Ok((1, None))),
            (json!({"category": "im"}), Ok((1, Some("IM")))),
            (json!({"category": "marketing"}), Ok((0, Some("MARKETING")))),
            (json!({"category": "im", "classification": "0"}), Ok((0, None))),
            (json!({"third_channel_category": {"vivo": "NEWS"}, "category": "im"}), Ok((0, Some("NEWS")))),
            (json!({"third_channel_category": {"vivo": "TODO"}}), Ok((1, Some("TODO")))),
            (
                json!({"third_channel_category": {"vivo": "NEWS"}, "classification": "1"}),
                Err("category_mismatch".to_owned()),
            ),
        ] {
            let content = mapped(&options, |_| {}).map(|content| content.fields);
            let got = content.map(|fields| {
                let class = fields["classification"].as_u64().unwrap();
                (class, fields.get("category").map(|word| word.as_str().unwrap().to_owned()))
            });
            let expected =
                expected.map(|(class, word): (u64, Option<&str>)| (class, word.map(str::to_owned)));
            assert_eq!(got, expected, "{options}");
        }
        let own = credential(json!({"categories": {"marketing": "CONTENT"}}));
        let parcel = parcel("t", &json!({"category": "marketing"}), |_| {});
        assert_eq!(content(&parcel, &own).unwrap().fields["category"], "CONTENT");
    }

    #[test]
    fn limits_are_counted_in_characters_or_as_the_older_document_does() {
        let (newer, older) = (credential(Value::Null), credential(json!({"counts_wide_twice": true})));
        for (document, field, lost, max) in [
            (&newer, "title", "title", 40),
            (&newer, "content", "body", 100),
            (&older, "title", "title", 20),
            (&older, "content", "body", 50),
        ] {
            let of = |chars: usize| {
                let parcel = parcel("t", &Value::Null, |message| {
                    let text = if lost == "title" { &mut message.title } else { &mut message.body };
                    *text = Some("汉".repeat(chars));
                });
                let content = content(&parcel, document).unwrap();
                (content.fields[field].as_str().unwrap().to_owned(), content.degraded)
            };
            assert_eq!(of(max), ("汉".repeat(max), vec![]));
            assert_eq!(of(max + 1), (format!("{}…", "汉".repeat(max - 1)), vec![lost]));
        }
        let long = mapped(&Value::Null, |message| {
            message.data = Some(format!(r#"{{"k":"{}"}}"#, "x".repeat(1_000)));
        });
        assert_eq!(long.unwrap_err(), "data_too_long");
    }
}

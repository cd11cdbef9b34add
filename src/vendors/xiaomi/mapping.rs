//! Our message in Xiaomi's words: the fields of a form.

use carillon_actors::channel::{Category, Options, Parcel, Refused};
use carillon_sdk::Vendor;
use serde_json::{Map, Value};

use super::credential::Credential;
use crate::vendors::shown::{self, Tap};
use crate::vendors::texts::{self, Room};
use crate::vendors::{content, given};

/// Characters: fewer than 50, fewer than 128.
const ROOM: Room = Room { title: 49, body: 127 };
/// Characters of the payload.
const PAYLOAD_MAX: usize = 4_096;
/// What a private message is kept at most, and what a public one: 10 days, a day. In milliseconds.
const KEPT_MS_MAX: u64 = 864_000_000;
const KEPT_PUBLIC_MS_MAX: u64 = 86_400_000;
const EXTRAS_MAX: usize = 10;
const EXTRAS_CHARS_MAX: usize = 1_024;
const JOBKEY_CHARS: usize = 20;
const TEMPLATE_PARAMS_MAX: usize = 9;
const TEMPLATE_PARAM_CHARS_MAX: usize = 128;
/// Arrived, clicked, device invalid, notifications off, filtered, the day's quota, expired. 3 is no
/// bit of its own.
const RECEIPTS: u32 = 1 | 2 | 16 | 32 | 64 | 128 | 1_024;

/// A form without its regids.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) fields: Vec<(&'static str, String)>,
    pub(super) degraded: Vec<&'static str>,
}

pub(super) fn content(parcel: &Parcel, credential: &Credential) -> Result<Content, Refused> {
    let (message, options) = (&*parcel.message, &*parcel.options);
    let mut degraded = shown::lost(parcel, Vendor::Xiaomi, &["sound", "vendor_template"]);
    let (title, body) = texts::shown(parcel, Vendor::Xiaomi, ROOM, texts::scalars, &mut degraded)?;
    let data = shown::data(message);
    let payload = Value::Object(data.clone()).to_string();
    if payload.chars().count() > PAYLOAD_MAX {
        return Err(given::unfit("data_too_long", "the data is longer than 4096 characters"));
    }
    // Without a number, any notification replaces the last one.
    let replaced = message.collapse_key.clone().unwrap_or_else(|| message.id.to_string());
    let mut fields = vec![
        ("restricted_package_name", credential.package.clone()),
        ("pass_through", "0".to_owned()),
        ("title", title.into_owned()),
        ("description", body.into_owned()),
        ("payload", payload),
        ("notify_type", "-1".to_owned()),
        ("notify_id", shown::number(&replaced).to_string()),
    ];
    let left_ms = content::left_s(parcel) * 1_000;
    if left_ms > 0 {
        let is_private = options.category.is_some_and(|category| category != Category::Marketing);
        let kept_max = if is_private { KEPT_MS_MAX } else { KEPT_PUBLIC_MS_MAX };
        if left_ms > kept_max {
            degraded.push("ttl");
        }
        fields.push(("time_to_live", left_ms.min(kept_max).to_string()));
    }
    fields.extend(extras(parcel, credential, &data, &mut degraded)?);
    Ok(Content { fields, degraded })
}

/// The channel: the caller's, or the setting for the category.
fn channel<'a>(options: &'a Options, credential: &'a Credential) -> Option<&'a str> {
    let named = |name: &str| options.third_channel_category.get(name).map(String::as_str);
    let of_category = || credential.channels.get(options.category?.as_str()).map(String::as_str);
    let own = options.mi_channel_id.as_deref();
    own.or_else(|| named("xiaomi")).or_else(|| named("mi")).or_else(of_category)
}

fn extras(
    parcel: &Parcel,
    credential: &Credential,
    data: &Map<String, Value>,
    degraded: &mut Vec<&'static str>,
) -> Result<Vec<(&'static str, String)>, Refused> {
    let (message, options) = (&*parcel.message, &*parcel.options);
    // The phone shows one of the same key: a repeat of a call is no second notification.
    let mut extras = vec![("extra.jobkey", content::digest(&message.id.to_string(), JOBKEY_CHARS))];
    match shown::tap(message) {
        Tap::App => extras.push(("extra.notify_effect", "1".to_owned())),
        Tap::Page(uri) => {
            extras.extend([("extra.notify_effect", "2".to_owned()), ("extra.intent_uri", uri.to_owned())]);
        }
        Tap::Web(uri) => {
            extras.extend([("extra.notify_effect", "3".to_owned()), ("extra.web_uri", uri.to_owned())]);
        }
    }
    if let Some(channel) = channel(options, credential) {
        extras.push(("extra.channel_id", channel.to_owned()));
    }
    if let Some(template) = &options.vendor_template {
        extras.push(("extra.template_id", template.clone()));
        extras.push(("extra.template_param", template_params(data)?));
    }
    if content::left_s(parcel) == 0 {
        extras.push(("extra.only_send_once", "1".to_owned()));
    }
    if let Some(url) = &credential.receipts_url {
        extras.push(("extra.callback", url.clone()));
        extras.push(("extra.callback.type", RECEIPTS.to_string()));
        // One for the whole call: where it would have to be several, receipts go by id and token.
        if let Some(param) = one_receipt(parcel).filter(|_| extras.len() < EXTRAS_MAX) {
            extras.push(("extra.callback.param", param.to_owned()));
        }
    }
    if let Some(sound) = &options.sound {
        if extras.len() < EXTRAS_MAX {
            extras.push(("extra.sound_uri", sound.clone()));
        } else {
            degraded.push("sound");
        }
    }
    let chars: usize = extras.iter().map(|(name, value)| name.len() + value.chars().count()).sum();
    if chars > EXTRAS_CHARS_MAX {
        return Err(given::unfit("extra_too_long", "link, template and receipt together are too long"));
    }
    Ok(extras)
}

fn one_receipt(parcel: &Parcel) -> Option<&str> {
    let (first, others) = parcel.to.split_first()?;
    others.iter().all(|other| other.receipt == first.receipt).then_some(first.receipt.as_str())
}

/// The message's own data fills the template's blanks: one to 128 characters each, none but texts.
fn template_params(data: &Map<String, Value>) -> Result<String, Refused> {
    let own = data.iter().filter(|(name, _)| *name != content::ID);
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let fits = |text: &String| {
        !text.trim().is_empty()
            && text.chars().count() <= TEMPLATE_PARAM_CHARS_MAX
            && !text.chars().any(is_symbol)
    };
    let params: Option<Map<String, Value>> =
        own.map(|(name, value)| Some((name.clone(), text(value).filter(fits)?.into()))).collect();
    let params = params.filter(|params| params.len() <= TEMPLATE_PARAMS_MAX);
    let why = "a template takes at most 9 texts of 1 to 128 characters and no emoji from the data";
    params.map(|params| Value::Object(params).to_string()).ok_or_else(|| given::unfit("template_unfit", why))
}

/// An emoji, or what else Unicode calls a symbol that is no letter, no money and no mathematics (`So`):
/// the blocks that hold them, since one letter too many costs less than a message refused.
fn is_symbol(letter: char) -> bool {
    matches!(
        letter,
        '\u{a6}' | '\u{a9}' | '\u{ae}' | '\u{b0}' | '\u{200d}' | '\u{20e3}' | '\u{fe0f}'
            | '\u{2100}'..='\u{214f}' | '\u{2190}'..='\u{21ff}' | '\u{2300}'..='\u{23ff}'
            | '\u{2400}'..='\u{27bf}' | '\u{2900}'..='\u{297f}' | '\u{2b00}'..='\u{2bff}'
            | '\u{1f000}'..='\u{1faff}'
    )
}

#[cfg(test)]
mod tests {
    use carillon_actors::channel::Address;
    use carillon_actors::model::Message;
    use serde_json::json;

    use super::*;
    use crate::vendors::content::tests::parcel;

    fn credential() -> Credential {
        Credential {
            key: "key=s".to_owned(),
            send_url: String::new(),
            package: "com.example".to_owned(),
            channels: [("im".to_owned(), "110001".to_owned())].into(),
            receipts_url: Some("https://push.example.com/r/1".to_owned()),
        }
    }

    fn mapped(options: &Value, change: impl FnOnce(&mut Message)) -> Result<Content, String> {
        content(&parcel("t", options, change), &credential()).map_err(|refused| refused.code)
    }

    fn field(content: &Content, name: &str) -> Option<String> {
        content.fields.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
    }

    #[test]
    fn a_notification_in_xiaomis_words() {
        let options = json!({"category": "im"});
        let content = mapped(&options, |message| {
            message.data = Some(r#"{"oid":7781}"#.to_owned());
            message.uri = Some("https://example.com/7781".to_owned());
        });
        let content = content.unwrap();
        for (name, value) in [
            ("restricted_package_name", "com.example"),
            ("pass_through", "0"),
            ("title", "Paid"),
            ("description", "Order 7781"),
            ("payload", r#"{"carillon_id":"07070707-0707-0707-0707-070707070707","oid":7781}"#),
            ("time_to_live", "3600000"),
            ("extra.channel_id", "110001"),
            ("extra.notify_effect", "3"),
            ("extra.web_uri", "https://example.com/7781"),
            ("extra.callback", "https://push.example.com/r/1"),
            ("extra.callback.type", "1267"),
            ("extra.callback.param", "r-1"),
        ] {
            assert_eq!(field(&content, name).as_deref(), Some(value), "{name}");
        }
        assert_eq!(field(&content, "extra.jobkey").unwrap().len(), 20);
        assert!(content.degraded.is_empty());
    }

    #[test]
    fn a_notification_replaces_another_only_under_the_same_collapse_key() {
        let id =
            |change: fn(&mut Message)| field(&mapped(&Value::Null, change).unwrap(), "notify_id").unwrap();
        let other: fn(&mut Message) = |message| message.id = carillon_sdk::MessageId::from_bytes([8; 16]);
        assert_ne!(id(|_| {}), id(other));
        let keyed: fn(&mut Message) = |message| message.collapse_key = Some("orders".to_owned());
        let other_keyed: fn(&mut Message) = |message| {
            message.id = carillon_sdk::MessageId::from_bytes([8; 16]);
            message.collapse_key = Some("orders".to_owned());
        };
        assert_eq!(id(keyed), id(other_keyed));
    }

    #[test]
    fn a_batch_has_no_receipt_of_its_own_unless_all_have_the_same() {
        let mut parcel = parcel("t", &Value::Null, |_| {});
        parcel.to.push(Address { token: "u".to_owned(), receipt: "r-2".to_owned() });
        let content = content(&parcel, &credential()).unwrap();
        assert_eq!(field(&content, "extra.callback.param"), None);
        assert!(field(&content, "extra.callback").is_some());
    }

    #[test]
    fn limits_are_counted_in_characters_and_what_is_longer_is_cut() {
        for (field, lost, max) in [("title", "title", 49), ("description", "body", 127)] {
            let of = |chars: usize| {
                let content = mapped(&Value::Null, |message| {
                    let text = if lost == "title" { &mut message.title } else { &mut message.body };
                    *text = Some("汉".repeat(chars));
                });
                let content = content.unwrap();
                (self::field(&content, field).unwrap(), content.degraded)
            };
            assert_eq!(of(max), ("汉".repeat(max), vec![]));
            assert_eq!(of(max + 1), (format!("{}…", "汉".repeat(max - 1)), vec![lost]));
        }
    }

    #[test]
    fn what_xiaomi_cannot_carry_is_said() {
        let options = json!({"subtitle": "s", "badge": 1, "transparent_payload": {"mi": {"k": "v"}}});
        let content = mapped(&options, |message| {
            message.expires_at = message.accepted_at + carillon_sdk::Ttl::from_secs(172_800);
        });
        let content = content.unwrap();
        assert_eq!(content.degraded, ["subtitle", "badge", "transparent_payload", "ttl"]);
        assert_eq!(field(&content, "time_to_live").as_deref(), Some("86400000"), "a public one lives a day");
    }

    #[test]
    fn an_online_only_push_is_not_kept() {
        let content = mapped(&Value::Null, |message| message.expires_at = message.accepted_at).unwrap();
        assert_eq!(field(&content, "extra.only_send_once").as_deref(), Some("1"));
        assert_eq!(field(&content, "time_to_live"), None);
    }

    #[test]
    fn a_private_message_fills_its_template_from_the_data() {
        let options = json!({"vendor_template": "T1", "mi_channel_id": "130001"});
        let with = |data: &str| mapped(&options, |message| message.data = Some(data.to_owned()));
        let content = with(r#"{"name":"An","sum":12}"#).unwrap();
        assert_eq!(field(&content, "extra.template_id").as_deref(), Some("T1"));
        assert_eq!(field(&content, "extra.template_param").as_deref(), Some(r#"{"name":"An","sum":"12"}"#));
        assert_eq!(field(&content, "extra.channel_id").as_deref(), Some("130001"));
        assert_eq!(with(r#"{"name":" "}"#).unwrap_err(), "template_unfit");
        assert_eq!(with(r#"{"list":[1]}"#).unwrap_err(), "template_unfit");
        for symbol in ["好👍", "★", "©", "🇨🇳", "☎\u{fe0f}"] {
            let data = json!({"name": symbol}).to_string();
            assert_eq!(with(&data).unwrap_err(), "template_unfit", "{symbol}");
        }
        for plain in ["￥12.50", "张三（VIP）", "a+b=c", "50%"] {
            assert!(with(&json!({"name": plain}).to_string()).is_ok(), "{plain}");
        }
    }
}

//! What FCM checks of a message: the shape of its JSON, its one target, its limits.

use serde_json::{Map, Value, json};

use super::super::Asked;
use super::answers::No;

/// Of notification and data together.
const PAYLOAD_BYTES_MAX: usize = 4_096;
const TTL_S_MAX: u64 = 2_419_200;

const MESSAGE: [&str; 10] = [
    "name",
    "data",
    "notification",
    "android",
    "webpush",
    "apns",
    "fcm_options",
    "token",
    "topic",
    "condition",
];
const NOTIFICATION: [&str; 3] = ["title", "body", "image"];
const ANDROID: [&str; 9] = [
    "collapse_key",
    "priority",
    "ttl",
    "restricted_package_name",
    "data",
    "notification",
    "fcm_options",
    "direct_boot_ok",
    "bandwidth_constrained_ok",
];
const ANDROID_NOTIFICATION: [&str; 27] = [
    "title",
    "body",
    "icon",
    "color",
    "sound",
    "tag",
    "click_action",
    "body_loc_key",
    "body_loc_args",
    "title_loc_key",
    "title_loc_args",
    "channel_id",
    "ticker",
    "sticky",
    "event_time",
    "local_only",
    "notification_priority",
    "default_sound",
    "default_vibrate_timings",
    "default_light_settings",
    "vibrate_timings",
    "visibility",
    "notification_count",
    "light_settings",
    "image",
    "bypass_proxy_notification",
    "proxy",
];

pub(super) struct Message {
    /// The registration token; else `/topics/…` or the condition.
    pub target: String,
    /// `validate_only`.
    pub is_dry: bool,
    message: Value,
}

impl Message {
    pub(super) fn read(asked: &Asked, is_lenient: bool) -> Result<Self, No> {
        let body = asked.json().ok_or_else(|| bare("the body is not JSON"))?;
        let fields = snake(&body).filter(|fields| fields.contains_key("message"));
        let fields = fields.ok_or_else(|| bare("no message"))?;
        known(&fields, &["validate_only", "message"], "")?;
        let message = snake(&fields["message"]).ok_or_else(|| bare("the message is no object"))?;
        known(&message, &MESSAGE, "message")?;
        if let Some(notification) = part(&message, "notification", "message.notification")? {
            known(&notification, &NOTIFICATION, "message.notification")?;
            texts(&notification, "message.notification")?;
        }
        if let Some(entries) = message.get("data") {
            data(entries, "message.data")?;
        }
        if let Some(config) = part(&message, "android", "message.android")? {
            android(&config, is_lenient)?;
        }
        let target = target(&message)?;
        let parts = json!([message.get("notification"), message.get("data"), message.get("android")]);
        // The brackets, commas and what is null are no part of it.
        if parts.to_string().len() > PAYLOAD_BYTES_MAX + 16 {
            return Err(bare("the message is too big"));
        }
        let is_dry = fields.get("validate_only") == Some(&Value::Bool(true));
        Ok(Self { target, is_dry, message: Value::Object(message) })
    }

    pub(super) fn content(&self) -> Value {
        let part = |name: &str| {
            let android = format!("/android/notification/{name}");
            let common = format!("/notification/{name}");
            let found = self.message.pointer(&android).or_else(|| self.message.pointer(&common));
            found.cloned().unwrap_or_default()
        };
        json!({"title": part("title"), "body": part("body"), "message": self.message})
    }
}

/// Without FCM's code: the request did not come so far.
fn bare(message: &str) -> No {
    No::plain(400, "INVALID_ARGUMENT", message)
}

/// Google reads both spellings of a name.
fn snake(value: &Value) -> Option<Map<String, Value>> {
    let spelt = |name: &str| {
        name.chars().fold(String::new(), |mut spelt, letter| {
            if letter.is_ascii_uppercase() {
                spelt.push('_');
            }
            spelt.push(letter.to_ascii_lowercase());
            spelt
        })
    };
    Some(value.as_object()?.iter().map(|(name, value)| (spelt(name), value.clone())).collect())
}

fn part(of: &Map<String, Value>, name: &str, path: &str) -> Result<Option<Map<String, Value>>, No> {
    match of.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => snake(value).map(Some).ok_or_else(|| No::field(path, "not an object")),
    }
}

fn known(of: &Map<String, Value>, names: &[&str], path: &str) -> Result<(), No> {
    match of.keys().find(|name| !names.contains(&name.as_str())) {
        Some(name) => Err(bare(&format!("unknown name \"{name}\" at '{path}'"))),
        None => Ok(()),
    }
}

fn texts(of: &Map<String, Value>, path: &str) -> Result<(), No> {
    match of.iter().find(|(_, value)| !value.is_string()) {
        Some((name, _)) => Err(No::field(&format!("{path}.{name}"), "not a text")),
        None => Ok(()),
    }
}

fn data(entries: &Value, path: &str) -> Result<(), No> {
    let entries = entries.as_object().ok_or_else(|| No::field(path, "not a map"))?;
    for (key, value) in entries {
        let field = format!("{path}[{key}]");
        let is_reserved = key == "from" || key == "message_type";
        if key.is_empty() || is_reserved || key.starts_with("google") || key.starts_with("gcm") {
            return Err(No::field(&field, "a reserved key"));
        }
        if !value.is_string() {
            return Err(No::field(&field, "not a text"));
        }
    }
    Ok(())
}

fn android(config: &Map<String, Value>, is_lenient: bool) -> Result<(), No> {
    known(config, &ANDROID, "message.android")?;
    if let Some(priority) = config.get("priority") {
        let word = priority.as_str().unwrap_or_default();
        let is_known = ["HIGH", "NORMAL"].contains(&word) || is_lenient && ["high", "normal"].contains(&word);
        if !is_known {
            return Err(No::field("message.android.priority", "no such priority"));
        }
    }
    if let Some(ttl) = config.get("ttl") {
        let seconds = ttl.as_str().and_then(|text| text.strip_suffix('s'));
        let seconds = seconds.and_then(|text| text.split('.').next()).and_then(|text| text.parse().ok());
        if seconds.is_none_or(|seconds: u64| seconds > TTL_S_MAX) {
            return Err(No::field("message.android.ttl", "not a duration of 0 to 28 days"));
        }
    }
    if let Some(entries) = config.get("data") {
        data(entries, "message.android.data")?;
    }
    let path = "message.android.notification";
    let Some(shown) = part(config, "notification", path)? else { return Ok(()) };
    known(&shown, &ANDROID_NOTIFICATION, path)?;
    let among = |name: &str, words: &[&str]| match shown.get(name) {
        Some(value) if !value.as_str().is_some_and(|word| words.contains(&word)) => {
            Err(No::field(&format!("{path}.{name}"), "no such word"))
        }
        _ => Ok(()),
    };
    among("visibility", &["VISIBILITY_UNSPECIFIED", "PRIVATE", "PUBLIC", "SECRET"])?;
    among(
        "notification_priority",
        &[
            "PRIORITY_UNSPECIFIED",
            "PRIORITY_MIN",
            "PRIORITY_LOW",
            "PRIORITY_DEFAULT",
            "PRIORITY_HIGH",
            "PRIORITY_MAX",
        ],
    )?;
    if shown.get("notification_count").is_some_and(|count| !count.is_u64()) {
        return Err(No::field("message.android.notification.notification_count", "not a number"));
    }
    let text = |name: &&&str| shown.get(**name).is_some_and(|value| !value.is_string());
    match ["title", "body", "sound", "tag", "click_action", "channel_id", "image"].iter().find(text) {
        Some(name) => Err(No::field(&format!("{path}.{name}"), "not a text")),
        None => Ok(()),
    }
}

fn target(message: &Map<String, Value>) -> Result<String, No> {
    let text = |name: &str| message.get(name).and_then(Value::as_str).map(str::to_owned);
    match (text("token"), text("topic"), text("condition")) {
        (Some(token), None, None) => {
            let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b':');
            let is_token =
                !token.is_empty() && token.bytes().all(is_letter) && !token.starts_with("malformed-");
            if is_token { Ok(token) } else { Err(No::field("message.token", "no registration token")) }
        }
        (None, Some(topic), None) => Ok(format!("/topics/{topic}")),
        (None, None, Some(condition)) => Ok(condition),
        _ => Err(No::field("message", "exactly one of token, topic and condition")),
    }
}

//! What Huawei takes for a message, and with which code it refuses what it does not.

use serde_json::Value;

use crate::lab::Asked;
use crate::lab::shape::{Shape, bytes_without, repeated};

/// Bytes of the body without its tokens.
const BODY_BYTES_MAX: usize = 4_096;
const TOKENS_MAX: usize = 1_000;
/// 15 days.
const TTL_S_MAX: u64 = 1_296_000;

const CATEGORIES: [&str; 14] = [
    "IM",
    "VOIP",
    "SUBSCRIPTION",
    "TRAVEL",
    "HEALTH",
    "WORK",
    "ACCOUNT",
    "EXPRESS",
    "FINANCE",
    "DEVICE_REMINDER",
    "SYSTEM_REMINDER",
    "MAIL",
    "PLAY_VOICE",
    "MARKETING",
];

pub(super) struct Content {
    pub(super) tokens: Vec<String>,
    pub(super) validate_only: bool,
    /// Without tokens.
    pub(super) message: Value,
}

pub(super) struct Wrong {
    pub(super) code: &'static str,
    pub(super) why: String,
}

/// A malformed message, unless a field has a code of its own.
impl From<String> for Wrong {
    fn from(why: String) -> Self {
        Self { code: "80100003", why }
    }
}

fn wrong(code: &'static str, why: impl Into<String>) -> Wrong {
    Wrong { code, why: why.into() }
}

impl Content {
    pub(super) fn devices(&self) -> u32 {
        u32::try_from(self.tokens.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn read(asked: &Asked, is_lenient: bool) -> Result<Self, Wrong> {
        let body = asked.json().ok_or_else(|| wrong("80100003", "the body is no JSON"))?;
        if !is_lenient && !asked.header("content-type").is_some_and(|kind| kind.contains("application/json"))
        {
            return Err(wrong("80100003", "content-type: not application/json"));
        }
        let root = Shape::of(&body, "")?;
        // A misspelt `message` is told as a lack of tokens.
        let message = root.object("message")?.ok_or_else(|| wrong("80300010", "no message, no tokens"))?;
        let tokens = tokens(&message)?;
        if bytes_without(&body, "/message/token") > BODY_BYTES_MAX {
            return Err(wrong("80300008", "the message body is longer than 4096 bytes"));
        }
        if !is_lenient {
            only_known(&root, &message)?;
        }
        check(&message, is_lenient)?;
        let mut content = body.get("message").cloned().unwrap_or_default();
        if let Some(fields) = content.as_object_mut() {
            fields.remove("token");
        }
        let validate_only = root.flag("validate_only")?.unwrap_or_default();
        Ok(Self { tokens, validate_only, message: content })
    }
}

/// The laboratory knows no topics: tokens it must be.
fn tokens(message: &Shape<'_>) -> Result<Vec<String>, Wrong> {
    let ways = ["token", "topic", "condition"].into_iter().filter(|name| message.has(name)).count();
    if ways > 1 {
        return Err(wrong("80100003", "exactly one of token, topic and condition"));
    }
    let tokens = message.texts("token").map_err(|why| wrong("80100001", why))?;
    if tokens.is_empty() || tokens.len() > TOKENS_MAX {
        return Err(wrong("80300010", "the number of tokens is not 1 to 1000"));
    }
    if let Some(token) = repeated(&tokens) {
        return Err(wrong("80300006", format!("duplicate token {token}")));
    }
    if tokens.iter().any(String::is_empty) {
        return Err(wrong("80100001", "an empty token"));
    }
    Ok(tokens)
}

fn check(message: &Shape<'_>, is_lenient: bool) -> Result<(), Wrong> {
    message.text("data", 0..=BODY_BYTES_MAX)?;
    let android = message.object("android")?;
    let shown = message.object("notification")?;
    let own = android.as_ref().map(|android| android.object("notification")).transpose()?.flatten();
    if !message.has("data") && shown.is_none() && own.is_none() {
        return Err(wrong("80100003", "neither data nor a notification"));
    }
    if let Some(android) = &android {
        delivery(android, is_lenient)?;
        let is_notification = shown.is_some() || own.is_some();
        if android.get("category").is_some_and(|category| category == "PLAY_VOICE") && is_notification {
            return Err(wrong("80100003", "PLAY_VOICE is for data messages"));
        }
    }
    if shown.is_some() && own.is_none() {
        return Err(wrong("80100003", "android.notification.click_action: missing"));
    }
    let Some(own) = own else { return Ok(()) };
    for name in ["title", "body"] {
        let here = own.text(name, 1..=BODY_BYTES_MAX)?;
        let there = shown.as_ref().map(|shown| shown.text(name, 1..=BODY_BYTES_MAX)).transpose()?.flatten();
        if here.or(there).is_none() {
            return Err(own.wrong(name, "missing").into());
        }
    }
    notification(&own)?;
    Ok(())
}

fn delivery(android: &Shape<'_>, is_lenient: bool) -> Result<(), Wrong> {
    android.integer("collapse_key", -1..=100).map_err(|why| wrong("80100013", why))?;
    android.word("urgency", &["HIGH", "NORMAL"])?;
    android.word("category", &CATEGORIES)?;
    android.integer("target_user_type", 0..=1)?;
    android.text("bi_tag", 0..=64)?;
    android.text("receipt_id", 1..=128)?;
    let Some(ttl) = android.text("ttl", 2..=16)? else { return Ok(()) };
    let seconds = ttl.strip_suffix('s').and_then(|number| number.parse::<u64>().ok());
    match seconds {
        // Whether "0s" means now or never is written nowhere.
        Some(0) if !is_lenient => Err(wrong("80100004", "ttl: already over")),
        Some(0..=TTL_S_MAX) => Ok(()),
        Some(_) => Err(android.wrong("ttl", "more than 1296000s").into()),
        None => Err(android.wrong("ttl", "not seconds with an s").into()),
    }
}

fn notification(own: &Shape<'_>) -> Result<(), String> {
    own.need(&["click_action"])?;
    if let Some(click) = own.object("click_action")? {
        click.need(&["type"])?;
        match click.integer("type", 1..=3)? {
            Some(1) if !click.has("intent") && !click.has("action") => click.need(&["intent"])?,
            Some(2) if !click.text("url", 1..=2_048)?.is_some_and(|url| url.starts_with("https://")) => {
                return Err(click.wrong("url", "not https"));
            }
            _ => {}
        }
    }
    own.word("importance", &["LOW", "NORMAL", "HIGH"])?;
    own.word("visibility", &["VISIBILITY_UNSPECIFIED", "PRIVATE", "PUBLIC", "SECRET"])?;
    own.integer("notify_id", 0..=i64::from(i32::MAX))?;
    for name in ["tag", "group", "channel_id", "sound", "notify_summary"] {
        own.text(name, 0..=256)?;
    }
    if own.text("image", 1..=2_048)?.is_some_and(|url| !url.starts_with("https://")) {
        return Err(own.wrong("image", "not https"));
    }
    if own.integer("style", 0..=3)? == Some(1) {
        own.need(&["big_title", "big_body"])?;
    }
    own.flag("foreground_show")?;
    own.list("buttons", 3)?;
    own.list("inbox_content", 5)?;
    own.list("vibrate_config", 10)?;
    if let Some(badge) = own.object("badge")? {
        badge.need(&["class"])?;
        badge.integer("add_num", 1..=99)?;
        badge.integer("set_num", 0..=99)?;
    }
    Ok(())
}

/// Every field there is.
const ANDROID: &[&str] = &[
    "collapse_key",
    "urgency",
    "category",
    "ttl",
    "bi_tag",
    "receipt_id",
    "target_user_type",
    "fast_app_target",
    "data",
    "notification",
];

const NOTIFICATION: &[&str] = &["title", "body", "image"];

fn only_known(root: &Shape<'_>, message: &Shape<'_>) -> Result<(), String> {
    root.only(&["validate_only", "message"])?;
    message.only(&["data", "notification", "android", "token"])?;
    if let Some(shown) = message.object("notification")? {
        shown.only(NOTIFICATION)?;
    }
    let Some(android) = message.object("android")? else { return Ok(()) };
    android.only(ANDROID)?;
    let Some(own) = android.object("notification")? else { return Ok(()) };
    own.only(&[
        "title",
        "body",
        "icon",
        "color",
        "sound",
        "default_sound",
        "tag",
        "click_action",
        "body_loc_key",
        "body_loc_args",
        "title_loc_key",
        "title_loc_args",
        "multi_lang_key",
        "channel_id",
        "notify_summary",
        "image",
        "style",
        "big_title",
        "big_body",
        "auto_clear",
        "notify_id",
        "group",
        "badge",
        "ticker",
        "auto_cancel",
        "when",
        "importance",
        "use_default_vibrate",
        "use_default_light",
        "vibrate_config",
        "visibility",
        "light_settings",
        "foreground_show",
        "profile_id",
        "inbox_content",
        "buttons",
    ])?;
    if let Some(click) = own.object("click_action")? {
        click.only(&["type", "intent", "url", "action", "rich_resource"])?;
    }
    if let Some(badge) = own.object("badge")? {
        badge.only(&["add_num", "set_num", "class"])?;
    }
    Ok(())
}

//! What Push Kit v3 takes for a message of each `push-type`, and with which code it refuses.

use serde_json::Value;

use crate::lab::Asked;
use crate::lab::shape::{Shape, bytes_without, repeated};

/// Bytes of the body without its tokens.
const BODY_BYTES_MAX: usize = 4_096;
const TOKENS_MAX: usize = 1_000;
const TEST_TOKENS_MAX: usize = 10;
/// 15 days.
const TTL_S_MAX: i64 = 1_296_000;
const BI_TAG_BYTES_MAX: usize = 64;

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
    /// By which a repeat is dropped.
    pub(super) message_id: Option<String>,
    /// Payload, options and push type.
    pub(super) shown: Value,
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
    pub(super) fn read(asked: &Asked, is_lenient: bool) -> Result<Self, Wrong> {
        if !asked.header("content-type").is_some_and(|kind| kind.contains("application/json")) {
            return Err(wrong("80100001", "content-type: not application/json"));
        }
        let push_type = asked.header("push-type").and_then(|text| text.parse::<u8>().ok());
        let push_type = push_type.ok_or_else(|| wrong("80100001", "push-type: missing or no number"))?;
        let body = asked.json().ok_or_else(|| wrong("80100003", "the body is no JSON"))?;
        let root = Shape::of(&body, "")?;
        root.need(&["payload", "target"])?;
        if !is_lenient {
            root.only(&["payload", "pushOptions", "target"])?;
        }
        let options = root.object("pushOptions")?;
        let is_test = options.as_ref().map(|options| push_options(options, is_lenient)).transpose()?;
        let tokens = tokens(&root, push_type, is_test.unwrap_or_default())?;
        if bytes_without(&body, "/target/token") > BODY_BYTES_MAX {
            return Err(wrong("80300008", "the message body is longer than 4096 bytes"));
        }
        let payload = root.object("payload")?.ok_or_else(|| "payload: missing".to_owned())?;
        check(&payload, push_type, is_lenient)?;
        let message_id = body.pointer("/payload/notification/appMessageId").and_then(Value::as_str);
        let message_id = message_id.map(str::to_owned);
        let shown = serde_json::json!({
            "pushType": push_type, "payload": body["payload"], "pushOptions": body["pushOptions"],
        });
        Ok(Self { tokens, message_id, shown })
    }
}

fn tokens(root: &Shape<'_>, push_type: u8, is_test: bool) -> Result<Vec<String>, Wrong> {
    let target = root.object("target")?.ok_or_else(|| "target: missing".to_owned())?;
    let tokens = target.texts("token").map_err(|why| wrong("80100001", why))?;
    // A widget is one device's.
    let tokens_max = if push_type == 1 { 1 } else { TOKENS_MAX };
    if tokens.is_empty() || tokens.len() > tokens_max {
        return Err(wrong("80300010", format!("the number of tokens is not 1 to {tokens_max}")));
    }
    if is_test && tokens.len() > TEST_TOKENS_MAX {
        return Err(wrong("80300030", "a test message has at most 10 tokens"));
    }
    match repeated(&tokens) {
        Some(token) => Err(wrong("80100001", format!("duplicate token {token}"))),
        None => Ok(tokens),
    }
}

/// Whether it is a test message.
fn push_options(options: &Shape<'_>, is_lenient: bool) -> Result<bool, Wrong> {
    if !is_lenient {
        options.only(&["testMessage", "ttl", "biTag", "receiptId", "collapseKey", "backgroundMode"])?;
    }
    options.integer("ttl", 1..=TTL_S_MAX).map_err(|why| {
        let is_past = options.get("ttl").and_then(Value::as_i64).is_some_and(|ttl| ttl < 1);
        wrong(if is_past { "80100004" } else { "80100003" }, why)
    })?;
    if options.text("biTag", 0..=BI_TAG_BYTES_MAX)?.is_some_and(|tag| tag.len() > BI_TAG_BYTES_MAX) {
        return Err(options.wrong("biTag", "more than 64 bytes").into());
    }
    options.text("receiptId", 1..=128)?;
    options.integer("collapseKey", -1..=i64::from(i32::MAX))?;
    options.integer("backgroundMode", 0..=i64::from(i32::MAX))?;
    Ok(options.flag("testMessage")?.unwrap_or_default())
}

fn check(payload: &Shape<'_>, push_type: u8, is_lenient: bool) -> Result<(), Wrong> {
    match push_type {
        0 | 2 => {
            let notification = payload.object("notification")?;
            let Some(notification) = notification else {
                // A badge alone is a message too.
                let badge =
                    payload.object("badge")?.ok_or_else(|| payload.wrong("notification", "missing"))?;
                return Ok(self::badge(&badge)?);
            };
            if !is_lenient {
                payload.only(&["notification", "extraData", "badge"])?;
            }
            payload.text("extraData", 0..=BODY_BYTES_MAX)?;
            alert(&notification, is_lenient)?;
            let is_voice = notification.get("category").is_some_and(|category| category == "PLAY_VOICE");
            if (push_type == 2) != is_voice {
                return Err(notification.wrong("category", "PLAY_VOICE goes with push-type 2").into());
            }
            if push_type == 2 {
                payload.need(&["extraData"])?;
            }
        }
        1 => {
            payload.need(&["formId", "moduleName", "formName", "abilityName", "version", "formData"])?;
            payload.object("formData")?;
            payload.list("images", 10)?;
        }
        6 | 10 => {
            payload.need(&["extraData"])?;
            payload.text("extraData", 1..=BODY_BYTES_MAX)?;
        }
        7 => {
            payload.need(&["activityId", "operation", "event", "status", "version", "activityData"])?;
            payload.integer("operation", 0..=2)?;
            payload.object("activityData")?;
        }
        _ => return Err(wrong("80100001", "push-type: none of 0, 1, 2, 6, 7, 10")),
    }
    Ok(())
}

fn alert(notification: &Shape<'_>, is_lenient: bool) -> Result<(), String> {
    if !is_lenient {
        notification.only(&[
            "category",
            "title",
            "body",
            "clickAction",
            "image",
            "style",
            "bigTitle",
            "bigBody",
            "inboxContent",
            "notifyId",
            "appMessageId",
            "profileId",
            "badge",
            "sound",
            "soundDuration",
            "foregroundShow",
        ])?;
    }
    notification.need(&["category", "title", "body", "clickAction"])?;
    notification.word("category", &CATEGORIES)?;
    for name in ["title", "body"] {
        notification.text(name, 1..=BODY_BYTES_MAX)?;
    }
    if let Some(click) = notification.object("clickAction")? {
        click.need(&["actionType"])?;
        let action = click.integer("actionType", 0..=5)?;
        if action == Some(1) && !click.has("action") && !click.has("uri") {
            return Err(click.wrong("uri", "missing"));
        }
        click.object("data")?;
    }
    if notification.text("image", 1..=2_048)?.is_some_and(|url| !url.starts_with("https://")) {
        return Err(notification.wrong("image", "not https"));
    }
    match notification.integer("style", 0..=3)? {
        Some(1) => notification.need(&["bigTitle", "bigBody"])?,
        Some(3) => notification.need(&["inboxContent"])?,
        _ => {}
    }
    notification.integer("notifyId", 0..=i64::from(i32::MAX))?;
    notification.text("appMessageId", 1..=64)?;
    notification.flag("foregroundShow")?;
    notification.object("badge")?.as_ref().map_or(Ok(()), badge)
}

fn badge(badge: &Shape<'_>) -> Result<(), String> {
    badge.only(&["addNum", "setNum"])?;
    badge.integer("addNum", 1..=99)?;
    badge.integer("setNum", 0..=99)?;
    Ok(())
}

//! What Honor takes for a message, and with which code it refuses what it does not.

use serde_json::Value;

use crate::lab::Asked;
use crate::lab::shape::{Shape, bytes_without, repeated};

/// Bytes of the body without its tokens.
const BODY_BYTES_MAX: usize = 4_096;
const TOKENS_MAX: usize = 1_000;
/// 15 days.
const TTL_S_MAX: u64 = 1_296_000;

pub(super) struct Content {
    pub(super) tokens: Vec<String>,
    /// Without tokens.
    pub(super) shown: Value,
}

pub(super) struct Wrong {
    pub(super) code: u32,
    pub(super) why: String,
}

/// A malformed message, unless a field has a code of its own.
impl From<String> for Wrong {
    fn from(why: String) -> Self {
        Self { code: 80_100_003, why }
    }
}

fn wrong(code: u32, why: impl Into<String>) -> Wrong {
    Wrong { code, why: why.into() }
}

impl Content {
    pub(super) fn read(asked: &Asked, is_lenient: bool) -> Result<Self, Wrong> {
        let body = asked.json().ok_or_else(|| wrong(80_100_003, "the body is no JSON"))?;
        if !is_lenient && !asked.header("content-type").is_some_and(|kind| kind.contains("application/json"))
        {
            return Err(wrong(400, "content-type: not application/json"));
        }
        let root = Shape::of(&body, "")?;
        let tokens = root.texts("token")?;
        if tokens.is_empty() {
            return Err(wrong(10_300, "the token list is empty"));
        }
        if tokens.len() > TOKENS_MAX {
            return Err(wrong(80_300_010, "more than 1000 tokens"));
        }
        if let Some(token) = repeated(&tokens) {
            return Err(wrong(80_300_006, format!("duplicate token {token}")));
        }
        if bytes_without(&body, "/token") > BODY_BYTES_MAX {
            return Err(wrong(80_300_008, "the message body is longer than 4096 bytes"));
        }
        check(&root, is_lenient)?;
        let mut shown = body.clone();
        if let Some(fields) = shown.as_object_mut() {
            fields.remove("token");
        }
        Ok(Self { tokens, shown })
    }
}

fn check(root: &Shape<'_>, is_lenient: bool) -> Result<(), Wrong> {
    if !is_lenient {
        root.only(&["data", "notification", "android", "token"])?;
    }
    root.text("data", 0..=BODY_BYTES_MAX)?;
    let shown = root.object("notification")?;
    let android = root.object("android")?;
    let own = android.as_ref().map(|android| android.object("notification")).transpose()?.flatten();
    if !root.has("data") && shown.is_none() && own.is_none() {
        return Err(wrong(80_100_003, "neither data nor a notification"));
    }
    if let Some(shown) = &shown {
        shown.only(&["title", "body", "image"])?;
    }
    if let Some(android) = &android {
        delivery(android, is_lenient)?;
    }
    let Some(own) = own else {
        let is_bare = shown.is_some();
        return if is_bare { Err(wrong(80_100_003, "clickAction: missing")) } else { Ok(()) };
    };
    for name in ["title", "body"] {
        let here = own.text(name, 1..=BODY_BYTES_MAX)?;
        let there = shown.as_ref().map(|shown| shown.text(name, 1..=BODY_BYTES_MAX)).transpose()?.flatten();
        if here.or(there).is_none() {
            return Err(own.wrong(name, "missing").into());
        }
    }
    notification(&own, is_lenient)?;
    let is_marketing = own.get("importance").is_some_and(|importance| importance == "LOW");
    let has_image = own.has("image") || shown.is_some_and(|shown| shown.has("image"));
    if is_marketing && has_image {
        return Err(wrong(80_200_050, "a marketing message has no image"));
    }
    Ok(())
}

fn delivery(android: &Shape<'_>, is_lenient: bool) -> Result<(), String> {
    if !is_lenient {
        android.only(&["ttl", "biTag", "targetUserType", "data", "notification"])?;
    }
    android.integer("targetUserType", 0..=1)?;
    android.text("biTag", 0..=64)?;
    let Some(ttl) = android.text("ttl", 2..=16)? else { return Ok(()) };
    let seconds = ttl.strip_suffix('s').and_then(|number| number.parse::<u64>().ok());
    match seconds {
        Some(1..=TTL_S_MAX) => Ok(()),
        Some(0) if is_lenient => Ok(()),
        _ => Err(android.wrong("ttl", "not 1s to 1296000s")),
    }
}

fn notification(own: &Shape<'_>, is_lenient: bool) -> Result<(), String> {
    if !is_lenient {
        own.only(&[
            "title",
            "body",
            "clickAction",
            "importance",
            "notifyId",
            "tag",
            "group",
            "style",
            "bigTitle",
            "bigBody",
            "when",
            "badge",
            "buttons",
            "image",
        ])?;
    }
    own.need(&["clickAction"])?;
    if let Some(click) = own.object("clickAction")? {
        click.only(&["type", "intent", "action", "url"])?;
        click.need(&["type"])?;
        match click.integer("type", 1..=3)? {
            Some(1) if !click.has("intent") && !click.has("action") => click.need(&["intent"])?,
            Some(2) => click.need(&["url"])?,
            _ => {}
        }
    }
    own.word("importance", &["LOW", "NORMAL"])?;
    own.integer("notifyId", 0..=i64::from(i32::MAX))?;
    for name in ["tag", "group"] {
        own.text(name, 0..=256)?;
    }
    if own.text("image", 1..=2_048)?.is_some_and(|url| !url.starts_with("https://")) {
        return Err(own.wrong("image", "not https"));
    }
    if own.integer("style", 0..=1)? == Some(1) {
        own.need(&["bigTitle", "bigBody"])?;
    }
    own.list("buttons", 3)?;
    if let Some(badge) = own.object("badge")? {
        badge.only(&["addNum", "setNum", "badgeClass"])?;
        badge.need(&["badgeClass"])?;
        badge.integer("addNum", 1..=99)?;
        badge.integer("setNum", 0..=99)?;
    }
    Ok(())
}

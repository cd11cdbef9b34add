//! The fields of a notification and the form of a registration id, held to the document. Lengths are
//! counted in code points: an emoji is one.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::lab::{Fate, fate_of};

/// Ten days, in seconds.
const KEPT_S_MAX: i64 = 864_000;

/// Every field there is; another, or one in camelCase, is a mistake.
const KNOWN: &[&str] = &[
    "action_parameters",
    "app_message_id",
    "badge_message_count",
    "badge_operation_type",
    "big_picture_id",
    "call_back_parameter",
    "call_back_url",
    "category",
    "channel_id",
    "click_action_activity",
    "click_action_type",
    "click_action_url",
    "content",
    "fix_speed",
    "fix_speed_rate",
    "network_type",
    "notify_id",
    "notify_level",
    "off_line",
    "off_line_ttl",
    "private_content_parameters",
    "private_msg_template_id",
    "private_title_parameters",
    "push_start_time",
    "push_time_type",
    "show_end_time",
    "show_start_time",
    "show_time_type",
    "show_ttl",
    "small_picture_id",
    "style",
    "sub_title",
    "time_zone",
    "title",
];

/// A refusal.
pub(super) struct Wrong {
    pub(super) code: i32,
    pub(super) why: Cow<'static, str>,
}

impl Wrong {
    pub(super) fn new(code: i32, why: impl Into<Cow<'static, str>>) -> Self {
        Self { code, why: why.into() }
    }

    pub(super) fn missing(name: &str) -> Self {
        Self::new(40, format!("Missing Required Arguments: {name}"))
    }

    pub(super) fn value(name: &str) -> Self {
        Self::new(41, format!("Invalid Arguments: {name}"))
    }
}

/// A field as text: in a form all are.
pub(super) fn text(fields: &Map<String, Value>, name: &str) -> Option<String> {
    match fields.get(name)? {
        Value::String(text) => Some(text.clone()),
        Value::Null => None,
        other => Some(other.to_string()),
    }
}

pub(super) fn check(fields: &Map<String, Value>, is_broadcast: bool, is_lenient: bool) -> Result<(), Wrong> {
    let is_unknown = |name: &&String| !KNOWN.contains(&name.as_str());
    if let Some(name) = fields.keys().find(is_unknown).filter(|_| !is_lenient) {
        return Err(Wrong::value(name));
    }
    let style = number(fields, "style", |style| matches!(style, 1..=3))?.unwrap_or(1);
    let content_max = match style {
        2 => 128,
        3 if is_broadcast => 50,
        3 => return Err(Wrong::value("style 3 is for broadcasts")),
        _ => 200,
    };
    length(fields, "title", 50, true)?;
    length(fields, "sub_title", 10, false)?;
    length(fields, "content", content_max, true)?;
    length(fields, "action_parameters", 4_000, false)?;
    length(fields, "click_action_url", 2_000, false)?;
    length(fields, "call_back_url", 200, false)?;
    length(fields, "call_back_parameter", 100, false)?;
    if let Some(parameters) = text(fields, "action_parameters") {
        let is_object = matches!(serde_json::from_str(&parameters), Ok(Value::Object(_)));
        is_object.then_some(()).ok_or_else(|| Wrong::value("action_parameters is no JSON object"))?;
    }
    tap(fields)?;
    if let Some(flag) = text(fields, "off_line") {
        matches!(&*flag, "true" | "false").then_some(()).ok_or_else(|| Wrong::value("off_line"))?;
    }
    number(fields, "off_line_ttl", |ttl| (1..=KEPT_S_MAX).contains(&ttl))?;
    number(fields, "notify_id", |id| (0..=i64::from(i32::MAX)).contains(&id))?;
    number(fields, "network_type", |kind| matches!(kind, 0 | 1))?;
    number(fields, "show_ttl", |ttl| ttl >= 0)?;
    number(fields, "badge_operation_type", |kind| matches!(kind, 0 | 1))?;
    number(fields, "badge_message_count", |count| count >= 0)?;
    let level = number(fields, "notify_level", |level| matches!(level, 1 | 2 | 16))?;
    if level.is_some() && !fields.contains_key("category") {
        return Err(Wrong::new(67, "notify_level goes with a category"));
    }
    Ok(())
}

fn tap(fields: &Map<String, Value>) -> Result<(), Wrong> {
    let needed = match number(fields, "click_action_type", |kind| matches!(kind, 0 | 1 | 2 | 4 | 5))? {
        Some(1 | 4) => "click_action_activity",
        Some(2 | 5) => "click_action_url",
        _ => return Ok(()),
    };
    let is_there = text(fields, needed).is_some_and(|text| !text.is_empty());
    is_there.then_some(()).ok_or_else(|| Wrong::missing(needed))
}

fn length(fields: &Map<String, Value>, name: &str, max: usize, is_required: bool) -> Result<(), Wrong> {
    let Some(text) = text(fields, name) else {
        return if is_required { Err(Wrong::missing(name)) } else { Ok(()) };
    };
    if text.is_empty() && is_required {
        return Err(Wrong::missing(name));
    }
    if text.chars().count() > max { Err(Wrong::value(name)) } else { Ok(()) }
}

fn number(
    fields: &Map<String, Value>,
    name: &str,
    is_good: impl Fn(i64) -> bool,
) -> Result<Option<i64>, Wrong> {
    let Some(text) = text(fields, name) else { return Ok(None) };
    let number = text.parse().ok().filter(|number| is_good(*number));
    number.map(Some).ok_or_else(|| Wrong::value(name))
}

/// `[[maker_]region_]32 hex`, of the region this host serves; or one whose fate is scripted.
pub(super) fn is_registration_id(id: &str) -> bool {
    if id.starts_with("ok-") || id.starts_with("uncategorised-") || fate_of(id) != Fate::Accepted {
        return true;
    }
    let parts: Vec<&str> = id.split('_').collect();
    let (maker, region, digits) = match parts[..] {
        [digits] => (None, "CN", digits),
        [region, digits] => (None, region, digits),
        [maker, region, digits] => (Some(maker), region, digits),
        _ => return false,
    };
    let is_maker = maker.is_none_or(|maker| {
        (2..=10).contains(&maker.len()) && maker.bytes().all(|byte| byte.is_ascii_alphanumeric())
    });
    let is_hex = digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_maker && region == "CN" && is_hex
}

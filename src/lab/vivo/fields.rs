//! The fields of a notification, held to the document. Lengths are counted in characters, as the
//! newest one does.

use serde_json::Value;

const TITLE_MAX: usize = 40;
const CONTENT_MAX: usize = 100;
const KEPT_S: std::ops::RangeInclusive<i64> = 60..=86_400;
/// Bytes in this laboratory, as for all that is ASCII they are the same.
const CUSTOM_MAX: usize = 1_024;
const REQUEST_MAX: usize = 64;
const CALLBACK_MAX: usize = 128;
const CALLBACK_PARAM_MAX: usize = 192;

const SYSTEM: [&str; 6] = ["IM", "ACCOUNT", "TODO", "DEVICE_REMINDER", "ORDER", "SUBSCRIPTION"];
const OPERATION: [&str; 4] = ["NEWS", "CONTENT", "MARKETING", "SOCIAL"];

/// A refusal.
pub(super) struct Wrong {
    pub(super) code: u32,
    pub(super) why: &'static str,
}

impl Wrong {
    pub(super) const fn new(code: u32, why: &'static str) -> Self {
        Self { code, why }
    }
}

pub(super) fn request_id(body: &Value) -> Result<&str, Wrong> {
    let id = body["requestId"].as_str().filter(|id| !id.is_empty() && id.len() <= REQUEST_MAX);
    id.ok_or(Wrong::new(10_067, "requestId: 1 to 64"))
}

pub(super) fn check(body: &Value) -> Result<(), Wrong> {
    request_id(body)?;
    number(body, "notifyType", Wrong::new(10_054, "notifyType: 1 to 4"), true, |kind| {
        (1..=4).contains(&kind)
    })?;
    length(&body["title"], TITLE_MAX, Wrong::new(10_055, "title"), Wrong::new(10_056, "title"))?;
    length(&body["content"], CONTENT_MAX, Wrong::new(10_057, "content"), Wrong::new(10_058, "content"))?;
    tap(body)?;
    let kept = Wrong::new(10_065, "timeToLive: 60 to 86400");
    number(body, "timeToLive", kept, false, |ttl| KEPT_S.contains(&ttl))?;
    let notify_id = Wrong::new(10_095, "notifyId: 1 to 2147483647");
    number(body, "notifyId", notify_id, false, |id| (1..=i64::from(i32::MAX)).contains(&id))?;
    number(body, "pushMode", Wrong::new(10_800, "pushMode: 0, 1"), false, |mode| matches!(mode, 0 | 1))?;
    let network = Wrong::new(10_801, "networkType: -1, 1");
    number(body, "networkType", network, false, |kind| matches!(kind, -1 | 1))?;
    for flag in ["foregroundShow", "sendOnline", "addBadge"] {
        let is_flag = body.get(flag).is_none_or(Value::is_boolean);
        is_flag.then_some(()).ok_or(Wrong::new(10_085, "a flag is true or false"))?;
    }
    category(body)?;
    custom(body)?;
    callback(body)
}

fn tap(body: &Value) -> Result<(), Wrong> {
    let wrong = Wrong::new(10_059, "skipType: 1 to 4");
    let kind = number(body, "skipType", wrong, true, |kind| (1..=4).contains(&kind))?;
    if kind == Some(1) {
        return Ok(());
    }
    let content = body["skipContent"].as_str().unwrap_or_default();
    let is_good = !content.is_empty() && content.chars().count() <= 1_024;
    is_good.then_some(()).ok_or(Wrong::new(10_060, "skipContent: 1 to 1024"))
}

/// A category belongs to one classification, and goes with no other.
fn category(body: &Value) -> Result<(), Wrong> {
    let wrong = Wrong::new(10_096, "classification: 0, 1");
    let class = number(body, "classification", wrong, false, |class| matches!(class, 0 | 1))?.unwrap_or(0);
    let category = match &body["category"] {
        Value::Null => return Ok(()),
        Value::String(category) => category.as_str(),
        _ => return Err(Wrong::new(10_096, "category")),
    };
    if !SYSTEM.contains(&category) && !OPERATION.contains(&category) {
        return Err(Wrong::new(10_096, "no such category"));
    }
    let is_right = SYSTEM.contains(&category) == (class == 1);
    is_right.then_some(()).ok_or(Wrong::new(10_097, "category and classification do not agree"))
}

fn custom(body: &Value) -> Result<(), Wrong> {
    let wrong = Wrong::new(10_352, "clientCustomMap: texts, 1024 in all");
    let map = match &body["clientCustomMap"] {
        Value::Null => return Ok(()),
        Value::Object(map) => map,
        _ => return Err(wrong),
    };
    let size = map.iter().try_fold(0, |size, (name, value)| Some(size + name.len() + value.as_str()?.len()));
    size.filter(|size| *size <= CUSTOM_MAX).map(|_| ()).ok_or(wrong)
}

fn callback(body: &Value) -> Result<(), Wrong> {
    let fits = |name: &str, max| body["extra"][name].as_str().is_none_or(|text| text.len() <= max);
    let is_good = fits("callback", CALLBACK_MAX) && fits("callback.param", CALLBACK_PARAM_MAX);
    is_good.then_some(()).ok_or(Wrong::new(10_353, "callback: 128, callback.param: 192"))
}

fn length(text: &Value, max: usize, empty: Wrong, long: Wrong) -> Result<(), Wrong> {
    let text = text.as_str().unwrap_or_default();
    if text.trim().is_empty() {
        return Err(empty);
    }
    if text.chars().count() > max { Err(long) } else { Ok(()) }
}

fn number(
    body: &Value,
    name: &str,
    wrong: Wrong,
    is_required: bool,
    is_good: impl Fn(i64) -> bool,
) -> Result<Option<i64>, Wrong> {
    match body.get(name) {
        None | Some(Value::Null) if !is_required => Ok(None),
        value => match value.and_then(Value::as_i64).filter(|number| is_good(*number)) {
            Some(number) => Ok(Some(number)),
            None => Err(wrong),
        },
    }
}

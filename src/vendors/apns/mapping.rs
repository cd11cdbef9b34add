//! Our message in Apple's words: headers and payload of one request. "Generating a remote
//! notification" and "Starting and updating Live Activities" are the documents.

use carillon_actors::channel::{Activity, Parcel, Refused};
use carillon_actors::model::Message;
use carillon_sdk::vendor::{Category, Level};
use carillon_sdk::wire::Lane;
use carillon_sdk::{Timestamp, Vendor};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::vendors::{content, given};

/// Bytes.
const PAYLOAD_MAX: usize = 4_096;
const PAYLOAD_MAX_VOIP: usize = 5_120;
const COLLAPSE_MAX: usize = 64;
/// Thirty days: so long Apple keeps one for a device that is away.
const KEPT_S_MAX: u64 = 2_592_000;

/// What all tokens of a parcel get, but for the path and `apns-id`.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) payload: Vec<u8>,
    pub(super) degraded: Vec<&'static str>,
    pub(super) kind: Kind,
}

/// What is sent, each under a topic of its own. Tokens are of a kind too: a device's, PushKit's for
/// calls, an activity's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Alert,
    Background,
    Call,
    LiveActivity,
}

impl Kind {
    /// To the token that a device registered with, and to no other.
    pub(super) const fn is_of_devices(self) -> bool {
        matches!(self, Self::Alert | Self::Background)
    }
}

pub(super) fn content(parcel: &Parcel, bundle_id: &str, offset_ms: i64) -> Result<Content, Refused> {
    let (message, options) = (&*parcel.message, &*parcel.options);
    let transparent = content::transparent(options, Vendor::Apns);
    let is_silent = message.silent || transparent.is_some();
    let kind = match &options.live_activity {
        Some(_) => Kind::LiveActivity,
        // The app shows the call itself.
        None if is_silent && options.category == Some(Category::Voip) => Kind::Call,
        None if is_silent => Kind::Background,
        None => Kind::Alert,
    };
    let mut degraded = lost(parcel);
    let mut root = custom(parcel, transparent, &mut degraded);
    let aps = match &options.live_activity {
        Some(activity) => {
            let accepted_at = given::theirs(message.accepted_at, offset_ms);
            self::activity(message, activity, accepted_at, &mut degraded)?
        }
        None if kind == Kind::Alert => notification(parcel)?,
        None if kind == Kind::Background => json!({"content-available": 1}),
        None => json!({}),
    };
    root.insert("aps".to_owned(), aps);
    let payload = Value::Object(root).to_string().into_bytes();
    let max = if kind == Kind::Call { PAYLOAD_MAX_VOIP } else { PAYLOAD_MAX };
    if payload.len() > max {
        return Err(given::unfit("payload_too_large", &format!("Apple takes {max} bytes")));
    }
    Ok(Content { headers: headers(parcel, kind, bundle_id, offset_ms), payload, degraded, kind })
}

/// What Apple has no word for.
fn lost(parcel: &Parcel) -> Vec<&'static str> {
    let (look, options) = (parcel.message.look.as_ref(), &parcel.options);
    let lost = [
        ("icon_url", look.is_some_and(|look| look.icon_url.is_some())),
        ("channel_id", look.is_some_and(|look| look.channel_id.is_some())),
        ("badge_add", options.badge_add.is_some()),
    ];
    lost.into_iter().filter(|(_, is_there)| *is_there).map(|(name, _)| name).collect()
}

/// The same each time for a message and a token: Apple drops the repeat.
pub(super) fn id(message: &Message, token: &str) -> String {
    Uuid::new_v5(&Uuid::from_bytes(*message.id.as_bytes()), token.as_bytes()).hyphenated().to_string()
}

fn headers(parcel: &Parcel, kind: Kind, bundle_id: &str, offset_ms: i64) -> Vec<(&'static str, String)> {
    let message = &parcel.message;
    let (name, suffix) = match kind {
        Kind::Alert => ("alert", ""),
        Kind::Background => ("background", ""),
        Kind::Call => ("voip", ".voip"),
        Kind::LiveActivity => ("liveactivity", ".push-type.liveactivity"),
    };
    // 5 lets the phone wait for a good moment. A Live Activity has a budget for 10, and none for 5.
    let is_urgent = match kind {
        Kind::Background => false,
        Kind::Call => true,
        Kind::LiveActivity => message.lane == Lane::High,
        Kind::Alert => message.lane != Lane::Bulk && parcel.options.level != Some(Level::Passive),
    };
    let left_s = content::left_s(parcel);
    let expires_s = match left_s {
        // Once, and not kept.
        0 => 0,
        left => given::theirs(parcel.now, offset_ms).as_secs() + left.min(KEPT_S_MAX),
    };
    let mut headers = vec![
        ("apns-topic", format!("{bundle_id}{suffix}")),
        ("apns-push-type", name.to_owned()),
        ("apns-priority", if is_urgent { "10" } else { "5" }.to_owned()),
        ("apns-expiration", expires_s.to_string()),
    ];
    if let Some(key) = message.collapse_key.as_deref().filter(|key| !key.is_empty()) {
        let is_plain = key.len() <= COLLAPSE_MAX && key.bytes().all(|byte| byte.is_ascii_graphic());
        let id = if is_plain { key.to_owned() } else { content::digest(key, 43) };
        headers.push(("apns-collapse-id", id));
    }
    headers
}

/// What stands at the root beside `aps`.
fn custom(
    parcel: &Parcel,
    transparent: Option<&Value>,
    degraded: &mut Vec<&'static str>,
) -> Map<String, Value> {
    let message = &*parcel.message;
    let mut root = content::data(message);
    match transparent {
        None => {}
        Some(Value::Object(fields)) => root.extend(fields.clone()),
        Some(other) => _ = root.insert("payload".to_owned(), other.clone()),
    }
    // That name is Apple's.
    if root.remove("aps").is_some() {
        degraded.push("data");
    }
    if let Some(uri) = &message.uri {
        root.entry("uri").or_insert_with(|| json!(uri));
    }
    if let Some(image) = content::image(parcel, Vendor::Apns) {
        root.entry("image_url").or_insert_with(|| json!(image));
    }
    root.insert(content::ID.to_owned(), json!(message.id.to_string()));
    root
}

fn notification(parcel: &Parcel) -> Result<Value, Refused> {
    let (message, options) = (&*parcel.message, &*parcel.options);
    let alert = alert(message, options.subtitle.as_deref());
    if alert.is_empty() && options.badge.is_none() && options.sound.is_none() {
        return Err(given::unfit("nothing_to_show", "an alert needs a title, a body, a badge or a sound"));
    }
    let mut aps = Map::new();
    if !alert.is_empty() {
        aps.insert("alert".to_owned(), Value::Object(alert));
    }
    let has_image = content::image(parcel, Vendor::Apns).is_some();
    let level = options.level.map(|level| serde_json::to_value(level).unwrap_or_default());
    let fields = [
        ("badge", options.badge.map(|badge| json!(badge))),
        ("sound", options.sound.as_ref().map(|sound| json!(sound))),
        ("thread-id", options.thread_id.as_ref().map(|id| json!(id))),
        ("category", content::word(options, Vendor::Apns).map(|word| json!(word))),
        ("interruption-level", level),
        // An image is fetched by the app's extension.
        ("mutable-content", (options.mutable_content || has_image).then(|| json!(1))),
    ];
    aps.extend(fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    Ok(Value::Object(aps))
}

fn alert(message: &Message, subtitle: Option<&str>) -> Map<String, Value> {
    let fields =
        [("title", message.title.as_deref()), ("subtitle", subtitle), ("body", message.body.as_deref())];
    let fields = fields.into_iter().filter_map(|(name, text)| Some((name.to_owned(), json!(text?))));
    fields.collect()
}

fn activity(
    message: &Message,
    activity: &Activity,
    accepted_at: Timestamp,
    degraded: &mut Vec<&'static str>,
) -> Result<Value, Refused> {
    let event = activity.event.as_deref().unwrap_or("update");
    let alert = alert(message, None);
    let is_start = event == "start";
    match event {
        "update" | "end" => {}
        "start" if activity.attributes.is_none() || activity.attributes_type.is_none() => {
            return Err(given::unfit("activity_attributes", "a start needs attributes and their type"));
        }
        "start" if alert.is_empty() => {
            return Err(given::unfit("activity_alert", "a start needs a title or a body"));
        }
        "start" => {}
        _ => return Err(given::unfit("activity_event", "an activity is started, updated or ended")),
    }
    let state = activity.content_state.clone();
    if state.is_none() && event == "update" {
        return Err(given::unfit("activity_state", "an update needs a content state"));
    }
    // An activity that was ended is not stale, and one that goes on is not dismissed.
    if event != "end" && activity.dismissal_date_s.is_some() {
        degraded.push("live_activity");
    }
    let fields = [
        // Apple drops what is older than what it has: the order of acceptance, not of sending.
        ("timestamp", Some(json!(accepted_at.as_secs()))),
        ("event", Some(json!(event))),
        ("content-state", Some(state.unwrap_or_else(|| json!({})))),
        ("stale-date", activity.stale_date_s.map(|date| json!(date))),
        ("dismissal-date", activity.dismissal_date_s.filter(|_| event == "end").map(|date| json!(date))),
        ("attributes-type", activity.attributes_type.as_ref().filter(|_| is_start).map(|name| json!(name))),
        ("attributes", activity.attributes.clone().filter(|_| is_start)),
        // Since iOS 18 the phone gives no token for updates unless it is asked for one.
        ("input-push-token", is_start.then(|| json!(1))),
        ("alert", (!alert.is_empty()).then_some(Value::Object(alert))),
    ];
    let fields = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Ok(Value::Object(fields.collect()))
}

#[cfg(test)]
#[path = "mapping_tests.rs"]
mod tests;

//! What APNs checks of a request, in its order: path, headers, topic, payload.

use serde_json::{Value, json};

use super::super::Asked;
use super::BUNDLE_ID;
use super::auth::Topics;
use super::reasons::Reason;

/// Of a payload, by Apple's "Generating a remote notification".
const PAYLOAD_BYTES_MAX: usize = 4_096;
const PAYLOAD_BYTES_MAX_VOIP: usize = 5_120;
const COLLAPSE_ID_BYTES_MAX: usize = 64;

/// Push types and what each adds to the bundle id. `mdm` has a topic of its own.
const TOPICS: [(&str, Option<&str>); 11] = [
    ("alert", Some("")),
    ("background", Some("")),
    ("location", Some(".location-query")),
    ("voip", Some(".voip")),
    ("complication", Some(".complication")),
    ("fileprovider", Some(".pushkit.fileprovider")),
    ("mdm", None),
    ("liveactivity", Some(".push-type.liveactivity")),
    ("pushtotalk", Some(".voip-ptt")),
    ("widgets", Some(".push-type.widgets")),
    ("controls", Some(".push-type.controls")),
];

#[derive(Debug)]
pub(super) struct Push {
    pub token: String,
    topic: String,
    push_type: String,
    priority: u8,
    /// Seconds; 0 is now or never.
    expiration_s: Option<u64>,
    collapse_id: Option<String>,
    payload: Value,
}

impl Push {
    /// The device a request is for.
    pub(super) fn target(asked: &Asked) -> Result<&str, Reason> {
        let token = asked.path.strip_prefix("/3/device/").ok_or(Reason::of("BadPath"));
        let token = token.or_else(|bad| if asked.path == "/3/device" { Ok("") } else { Err(bad) })?;
        match () {
            () if asked.method != "POST" => Err(Reason::of("MethodNotAllowed")),
            () if token.is_empty() => Err(Reason::of("MissingDeviceToken")),
            () if !is_token(token) => Err(Reason::of("BadDeviceToken")),
            () => Ok(token),
        }
    }

    pub(super) fn read(asked: &Asked, token: &str, topics: Topics, is_lenient: bool) -> Result<Self, Reason> {
        let ours = |name: &String| name.starts_with("apns-");
        let mut names: Vec<_> =
            asked.headers.iter().map(|(name, _)| name).filter(|name| ours(name)).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Reason::of("DuplicateHeaders"));
        }
        if asked.header("apns-id").is_some_and(|id| !is_canonical_uuid(id)) {
            return Err(Reason::of("BadMessageId"));
        }
        let push_type = match asked.header("apns-push-type") {
            Some(known) if TOPICS.iter().any(|(name, _)| *name == known) => known,
            None if is_lenient => "alert",
            _ => return Err(Reason::of("InvalidPushType")),
        };
        let push = Self {
            token: token.to_owned(),
            topic: topic(asked.header("apns-topic"), push_type, topics)?,
            push_type: push_type.to_owned(),
            priority: priority(asked.header("apns-priority"), push_type)?,
            expiration_s: expiration(asked.header("apns-expiration"))?,
            collapse_id: collapse_id(asked.header("apns-collapse-id"))?,
            payload: payload(asked, push_type)?,
        };
        Ok(push)
    }

    /// Of a Live Activity: seconds.
    pub(super) fn activity_timestamp(&self) -> Option<u64> {
        if self.push_type != "liveactivity" {
            return None;
        }
        self.payload.pointer("/aps/timestamp")?.as_u64()
    }

    /// As the phone would have it. `dropped` says why it would show nothing.
    pub(super) fn content(&self) -> Value {
        let alert = self.payload.pointer("/aps/alert").cloned().unwrap_or_default();
        let (title, body) = match &alert {
            Value::String(body) => (Value::Null, Value::String(body.clone())),
            other => (other["title"].clone(), other["body"].clone()),
        };
        json!({
            "title": title,
            "body": body,
            "topic": self.topic,
            "push_type": self.push_type,
            "priority": self.priority,
            "expiration": self.expiration_s,
            "collapse_id": self.collapse_id,
            "payload": self.payload,
            "dropped": self.dropped(),
        })
    }

    /// APNs answers 200 to a Live Activity that no phone will understand.
    fn dropped(&self) -> Option<&'static str> {
        let aps = self.payload.get("aps").unwrap_or(&Value::Null);
        if self.push_type == "background" && aps["content-available"] != 1 {
            return Some("background without content-available");
        }
        if self.push_type != "liveactivity" {
            return None;
        }
        let is_start = aps["event"] == "start";
        match () {
            () if !aps["timestamp"].is_u64() => Some("no timestamp in seconds"),
            () if !["start", "update", "end"].iter().any(|event| aps["event"] == *event) => Some("no event"),
            () if !aps["content-state"].is_object() => Some("no content-state"),
            () if is_start && !aps["attributes-type"].is_string() => Some("no attributes-type"),
            () if is_start && !aps["attributes"].is_object() => Some("no attributes"),
            () if is_start && aps["alert"].is_null() => Some("a start without an alert"),
            () => None,
        }
    }
}

/// Hex, or a scripted name, which has a hyphen.
fn is_token(token: &str) -> bool {
    let is_hex = token.len().is_multiple_of(2) && token.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_scripted = token.contains('-')
        && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    is_hex || is_scripted
}

fn is_canonical_uuid(id: &str) -> bool {
    uuid::Uuid::try_parse(id).is_ok_and(|parsed| parsed.hyphenated().to_string() == id)
}

fn topic(named: Option<&str>, push_type: &str, topics: Topics) -> Result<String, Reason> {
    let suffix = TOPICS.iter().find(|(name, _)| *name == push_type).and_then(|(_, suffix)| *suffix);
    let Some(named) = named else {
        return match topics {
            Topics::OfKey => Err(Reason::of("MissingTopic")),
            Topics::OfCertificate => Ok(BUNDLE_ID.to_owned()),
        };
    };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    if named.is_empty() || !named.bytes().all(is_name) {
        return Err(Reason::of("BadTopic"));
    }
    match (named.strip_prefix(BUNDLE_ID), suffix) {
        (_, None) => Ok(named.to_owned()),
        (Some(rest), Some(suffix)) if rest == suffix => Ok(named.to_owned()),
        (Some(rest), _) if rest.is_empty() || rest.starts_with('.') => Err(Reason::of("TopicDisallowed")),
        _ => match topics {
            Topics::OfKey => Err(Reason::of("DeviceTokenNotForTopic")),
            Topics::OfCertificate => Err(Reason::of("TopicDisallowed")),
        },
    }
}

fn priority(named: Option<&str>, push_type: &str) -> Result<u8, Reason> {
    let priority = match named {
        None | Some("10") => 10,
        Some("5") => 5,
        Some("1") => 1,
        Some(_) => return Err(Reason::of("BadPriority")),
    };
    if push_type == "background" && priority == 10 {
        return Err(Reason::of("BadPriority"));
    }
    Ok(priority)
}

fn expiration(named: Option<&str>) -> Result<Option<u64>, Reason> {
    let Some(text) = named else { return Ok(None) };
    match text.parse::<u64>() {
        // Beyond the year 5000: milliseconds where seconds belong.
        Ok(seconds) if seconds < 100_000_000_000 => Ok(Some(seconds)),
        _ => Err(Reason::of("BadExpirationDate")),
    }
}

fn collapse_id(named: Option<&str>) -> Result<Option<String>, Reason> {
    match named {
        Some(id) if id.is_empty() || id.len() > COLLAPSE_ID_BYTES_MAX => Err(Reason::of("BadCollapseId")),
        other => Ok(other.map(str::to_owned)),
    }
}

fn payload(asked: &Asked, push_type: &str) -> Result<Value, Reason> {
    let bytes_max = if push_type == "voip" { PAYLOAD_BYTES_MAX_VOIP } else { PAYLOAD_BYTES_MAX };
    if asked.body.len() > bytes_max {
        return Err(Reason::of("PayloadTooLarge"));
    }
    let payload = asked.json().filter(|payload| payload.as_object().is_some_and(|fields| !fields.is_empty()));
    payload.ok_or(Reason::of("PayloadEmpty"))
}

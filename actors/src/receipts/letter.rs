//! What is written into a receipt, and how it is signed.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use carillon_sdk::api::{EventType, EventView, Platform};
use carillon_sdk::{AppId, Timestamp, WorkspaceId};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::Post;
use super::sign::Secret;
use crate::settings::Signer;
use crate::store::{AppInfo, Origin};

/// The longest body of a batch; an event that is longer by itself goes alone.
const BODY_BYTES_MAX: usize = 256 << 10;

#[derive(Serialize)]
struct Envelope<'a, T: Serialize> {
    #[serde(rename = "type")]
    kind: &'static str,
    timestamp: String,
    data: &'a T,
}

#[derive(Serialize)]
struct Batch<'a> {
    endpoint_id: &'a str,
    replay: bool,
    events: &'a [EventView],
}

#[derive(Serialize)]
struct Ping<'a> {
    endpoint_id: &'a str,
}

/// As many events from the front as one body may hold, as that body.
pub(super) fn batch(endpoint_id: &str, replay: bool, events: &[EventView]) -> (usize, Bytes) {
    let mut count = events.len();
    loop {
        let data = Batch { endpoint_id, replay, events: &events[..count] };
        let newest = events[..count].last().map_or_else(Timestamp::default, |event| event.at);
        let body = json(&Envelope { kind: "receipts", timestamp: rfc3339(newest), data: &data });
        if body.len() <= BODY_BYTES_MAX || count <= 1 {
            return (count, body);
        }
        count /= 2;
    }
}

pub(super) fn ping(endpoint_id: &str, now: Timestamp) -> Bytes {
    json(&Envelope { kind: "ping", timestamp: rfc3339(now), data: &Ping { endpoint_id } })
}

/// The same for the same events at the same endpoint, however often it is sent.
pub(super) fn batch_id(endpoint_id: &str, events: &[EventView]) -> String {
    let mut digest = Sha256::new();
    digest.update(endpoint_id);
    for event in events {
        digest.update([0]);
        digest.update(&event.id);
    }
    format!("msg_{}", URL_SAFE_NO_PAD.encode(&digest.finalize()[..15]))
}

/// With the headers of Standard Webhooks: a signature by each secret that is valid.
pub(super) fn signed(url: &str, id: &str, now: Timestamp, secrets: &[Secret], body: Bytes) -> Post {
    let signatures: Vec<_> = secrets.iter().map(|secret| secret.sign(id, now.as_secs(), &body)).collect();
    Post {
        url: url.to_owned(),
        headers: vec![
            ("webhook-id", id.to_owned()),
            ("webhook-timestamp", now.as_secs().to_string()),
            ("webhook-signature", signatures.join(" ")),
        ],
        body,
    }
}

/// One event as the mPaaS callback tells it. Fields are added, never changed, within a version.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Callback<'a> {
    version: u32,
    event_id: &'a str,
    event: EventType,
    app_id: &'a AppId,
    workspace_id: &'a WorkspaceId,
    msg_id: String,
    msg_key: Option<&'a str>,
    task_id: Option<&'a str>,
    target: Option<&'a str>,
    delivery_type: u32,
    user_id: Option<&'a str>,
    device_id: Option<&'a str>,
    channel: &'a str,
    status: u32,
    status_name: &'static str,
    reason: Option<&'a str>,
    push_time: Option<u64>,
    event_time: u64,
}

/// What the callback tells of: how a message ended at a target.
pub(super) const CALLBACK_EVENTS: [EventType; 5] =
    [EventType::Arrived, EventType::Expired, EventType::Rejected, EventType::Revoked, EventType::Replaced];

pub(super) fn callback(app: &AppInfo, event: &EventView, origin: Option<&Origin>) -> Bytes {
    let user_id = event.user_id.as_ref().map(|id| id.as_str());
    let device_id = event.device_id.as_ref().map(|id| id.as_str());
    let (status, status_name) = status(event);
    json(&Callback {
        version: 1,
        event_id: &event.id,
        event: event.kind,
        app_id: &app.app_id,
        workspace_id: &app.workspace_id,
        msg_id: event.message_id.to_string(),
        msg_key: event.key.as_deref(),
        task_id: event.task.as_deref(),
        target: user_id.or(device_id),
        delivery_type: delivery_type(event),
        user_id,
        device_id,
        channel: &event.channel,
        status,
        status_name,
        reason: event.reason.as_deref(),
        push_time: origin
            .map(|origin| origin.accepted_at.as_millis())
            .or_else(|| event.message_id.made_at().map(Timestamp::as_millis)),
        event_time: event.at.as_millis(),
    })
}

/// The states of a message in the mPaaS contract.
fn status(event: &EventView) -> (u32, &'static str) {
    match event.kind {
        EventType::Arrived => (2, "Acked"),
        EventType::Expired if event.device_id.is_none() => (1, "NoBindInfo"),
        EventType::Expired | EventType::Rejected => (0, "DeviceNotOnlineOrNoResponse"),
        _ => (99_999_999, "NONE"),
    }
}

/// What kind of id the target is: 3 a user's, else a device's of that platform.
fn delivery_type(event: &EventView) -> u32 {
    match event.platform {
        _ if event.user_id.is_some() => 3,
        Some(Platform::Ios) => 2,
        Some(Platform::HarmonyOs) => 7,
        _ => 1,
    }
}

/// `sign` in the query: RSA-SHA256 over the body, in base64 with `-` and `_`, as mPaaS signs.
pub(super) fn signed_callback(url: &str, signer: &Signer, body: Bytes) -> Option<Post> {
    let sign = STANDARD.encode(signer.sign(&body)?).replace('+', "-").replace('/', "_");
    let (front, fragment) = url.split_once('#').map_or((url, None), |(front, back)| (front, Some(back)));
    let joint = if front.contains('?') { '&' } else { '?' };
    let fragment = fragment.map(|fragment| format!("#{fragment}")).unwrap_or_default();
    Some(Post { url: format!("{front}{joint}sign={sign}{fragment}"), headers: Vec::new(), body })
}

fn json(value: &impl Serialize) -> Bytes {
    // Texts, numbers and lists always serialize.
    serde_json::to_vec(value).unwrap_or_default().into()
}

fn rfc3339(at: Timestamp) -> String {
    let millis = i64::try_from(at.as_millis()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(millis).map(|at| at.to_string()).unwrap_or_default()
}

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
    detail: Option<&'a str>,
    push_time: Option<u64>,
    event_time: u64,
}

/// What the callback tells of: how a message ended at a target.
pub(super) const CALLBACK_EVENTS: [EventType; 6] = [
    EventType::Arrived,
    EventType::HandedOver,
    EventType::Expired,
    EventType::Rejected,
    EventType::Revoked,
    EventType::Replaced,
];

/// The contract's numbers of Apple's reasons, and of ours for what Apple was not asked.
const APNS: [(u32, &str); 15] = [
    (2001, "PayloadEmpty"),
    (2002, "PayloadTooLarge"),
    (2003, "BadTopic"),
    (2004, "TopicDisallowed"),
    (2005, "BadMessageId"),
    (2006, "BadExpirationDate"),
    (2007, "BadPriority"),
    (2008, "MissingDeviceToken"),
    (2009, "BadDeviceToken"),
    (2010, "DeviceTokenNotForTopic"),
    (2011, "Unregistered"),
    (2013, "BadCertificateEnvironment"),
    (2014, "BadCertificate"),
    (2023, "MissingTopic"),
    (2002, "payload_too_large"),
];

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
        msg_id: event.message_id.map(|id| id.to_string()).unwrap_or_default(),
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
        detail: event.detail.as_deref(),
        push_time: origin
            .map(|origin| origin.accepted_at.as_millis())
            .or_else(|| event.message_id.and_then(|id| id.made_at()).map(Timestamp::as_millis)),
        event_time: event.at.as_millis(),
    })
}

/// The states of a message in the mPaaS contract.
fn status(event: &EventView) -> (u32, &'static str) {
    let of_vendor = vendors_status(event).filter(|_| event.kind == EventType::Rejected);
    match event.kind {
        // What a vendor took has arrived, says the contract.
        EventType::Arrived | EventType::HandedOver => (2, "Acked"),
        EventType::Expired if event.device_id.is_none() => (1, "NoBindInfo"),
        EventType::Expired | EventType::Rejected => of_vendor.unwrap_or((0, "DeviceNotOnlineOrNoResponse")),
        _ => (99_999_999, "NONE"),
    }
}

/// Of what a vendor refused, where the contract has its numbers: Apple's, and Huawei's as Huawei gives
/// them.
fn vendors_status(event: &EventView) -> Option<(u32, &'static str)> {
    let code = event.detail.as_deref()?;
    match &*event.channel {
        "apns" => APNS.iter().find(|(_, reason)| *reason == code).copied(),
        "huawei" | "harmonyos" => Some((code.parse().ok()?, "VendorRefused")),
        _ => None,
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

#[cfg(test)]
mod tests {
    use carillon_sdk::{DeviceId, MessageId, UserId};

    use super::*;

    fn event(kind: EventType) -> EventView {
        EventView {
            id: "evt-0-1-0-7".to_owned(),
            kind,
            at: Timestamp::from_millis(1_760_000_000_055),
            message_id: Some(MessageId::from_bytes([7; 16])),
            task: None,
            device_id: Some(DeviceId::parse("phone").unwrap()),
            user_id: None,
            platform: Some(Platform::Android),
            key: None,
            push_type: "single".to_owned(),
            channel: "own".to_owned(),
            reason: None,
            detail: None,
            token_digest: None,
        }
    }

    fn body(bytes: &[u8]) -> serde_json::Value {
        serde_json::from_slice(bytes).unwrap()
    }

    #[test]
    fn a_batch_says_what_it_is_and_holds_as_many_events_as_fit() {
        let events = vec![event(EventType::Arrived); 100];
        let (count, bytes) = batch("ep_1", false, &events);
        let json = body(&bytes);
        assert_eq!(count, 100);
        assert_eq!(
            (&json["type"], &json["timestamp"]),
            (&"receipts".into(), &"2025-10-09T08:53:20.055Z".into())
        );
        assert_eq!((&json["data"]["endpoint_id"], &json["data"]["replay"]), (&"ep_1".into(), &false.into()));
        let long = EventView { key: Some("k".repeat(8 << 10)), ..event(EventType::Arrived) };
        let (count, bytes) = batch("ep_1", false, &vec![long; 100]);
        assert!((1..100).contains(&count) && bytes.len() <= BODY_BYTES_MAX, "{count} in {}", bytes.len());
        assert_eq!(body(&bytes)["data"]["events"].as_array().unwrap().len(), count);
        let huge = EventView { key: Some("k".repeat(BODY_BYTES_MAX)), ..event(EventType::Arrived) };
        assert_eq!(batch("ep_1", false, &vec![huge; 3]).0, 1, "alone, or it would never go");
    }

    #[test]
    fn a_batch_has_the_same_id_whenever_it_is_sent_and_another_batch_another() {
        let one = vec![event(EventType::Arrived)];
        let other = EventView { id: "evt-0-1-0-8".to_owned(), ..event(EventType::Arrived) };
        let both = [one.clone(), vec![other]].concat();
        assert_eq!(batch_id("ep_1", &one), batch_id("ep_1", &one));
        assert_ne!(batch_id("ep_1", &one), batch_id("ep_1", &both));
        assert_ne!(batch_id("ep_1", &one), batch_id("ep_2", &one));
    }

    #[test]
    fn the_callback_speaks_in_the_states_and_kinds_of_target_of_its_contract() {
        let waiting = |kind| EventView {
            device_id: None,
            user_id: Some(UserId::parse("anna").unwrap()),
            platform: None,
            ..event(kind)
        };
        for (event, code, kind) in [
            (event(EventType::Arrived), 2, 1),
            (event(EventType::HandedOver), 2, 1),
            (event(EventType::Expired), 0, 1),
            (event(EventType::Rejected), 0, 1),
            (event(EventType::Revoked), 99_999_999, 1),
            (event(EventType::Replaced), 99_999_999, 1),
            (waiting(EventType::Expired), 1, 3),
            (EventView { platform: Some(Platform::Ios), ..event(EventType::Arrived) }, 2, 2),
            (EventView { platform: Some(Platform::HarmonyOs), ..event(EventType::Arrived) }, 2, 7),
        ] {
            assert_eq!((status(&event).0, delivery_type(&event)), (code, kind), "{event:?}");
        }
    }

    #[test]
    fn what_a_vendor_refused_has_the_contracts_number_where_there_is_one() {
        for (channel, detail, code) in [
            ("apns", Some("BadDeviceToken"), 2009),
            ("apns", Some("Unregistered"), 2011),
            ("apns", Some("payload_too_large"), 2002),
            ("apns", Some("IdleTimeout"), 0),
            ("huawei", Some("80300007"), 80_300_007),
            ("huawei", Some("title_too_long"), 0),
            ("xiaomi", Some("20301"), 0),
            ("own", None, 0),
        ] {
            let (channel, detail) = (channel.to_owned(), detail.map(str::to_owned));
            let event = EventView { channel, detail, ..event(EventType::Rejected) };
            assert_eq!(status(&event).0, code, "{event:?}");
        }
    }
}

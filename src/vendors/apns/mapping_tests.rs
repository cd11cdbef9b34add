use carillon_sdk::Ttl;

use super::*;
use crate::vendors::content::tests::{NOW, parcel};

const BUNDLE: &str = "com.example.bank";

fn mapped(options: &Value, change: impl FnOnce(&mut Message)) -> Content {
    content(&parcel("t", options, change), BUNDLE, 0).unwrap()
}

fn refused(options: &Value, change: impl FnOnce(&mut Message)) -> String {
    content(&parcel("t", options, change), BUNDLE, 0).unwrap_err().code
}

impl Content {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.payload).unwrap()
    }
}

#[test]
fn an_alert_has_all_that_apple_has_a_word_for() {
    let options = json!({"badge": 3, "sound": "default", "thread_id": "orders", "level": "time-sensitive",
        "subtitle": "Shop", "mutable_content": true, "third_channel_category": {"apns": "ORDER"}});
    let mapped = mapped(&options, |message| {
        message.data = Some(r#"{"oid":7781,"aps":{"badge":9}}"#.to_owned());
        message.uri = Some("app://order/7781".to_owned());
        message.collapse_key = Some("order-7781".to_owned());
    });
    assert_eq!(
        mapped.json(),
        json!({
            "aps": {
                "alert": {"title": "Paid", "subtitle": "Shop", "body": "Order 7781"},
                "badge": 3, "sound": "default", "thread-id": "orders", "category": "ORDER",
                "interruption-level": "time-sensitive", "mutable-content": 1,
            },
            "oid": 7781,
            "uri": "app://order/7781",
            "carillon_id": parcel("t", &Value::Null, |_| {}).message.id.to_string(),
        })
    );
    assert_eq!(mapped.degraded, ["data"], "a key of the caller's that is Apple's");
    for (name, value) in [
        ("apns-topic", BUNDLE),
        ("apns-push-type", "alert"),
        ("apns-priority", "10"),
        ("apns-expiration", "1764003600"),
        ("apns-collapse-id", "order-7781"),
    ] {
        assert_eq!(mapped.header(name), Some(value), "{name}");
    }
}

#[test]
fn a_silent_message_is_in_the_background_and_waits() {
    let silent = mapped(&json!({"badge": 3}), |message| {
        message.silent = true;
        message.lane = Lane::High;
    });
    assert_eq!(silent.json()["aps"], json!({"content-available": 1}));
    assert_eq!(
        (silent.header("apns-push-type"), silent.header("apns-priority")),
        (Some("background"), Some("5"))
    );
    let transparent = mapped(&json!({"transparent_payload": {"apns": {"k": "v"}}}), |_| {});
    assert_eq!(transparent.json()["k"], "v");
    assert_eq!(transparent.header("apns-push-type"), Some("background"));
}

#[test]
fn the_lane_and_the_level_decide_what_may_wait() {
    for (lane, level, priority) in [
        (Lane::High, "active", "10"),
        (Lane::Normal, "active", "10"),
        (Lane::Normal, "passive", "5"),
        (Lane::Bulk, "active", "5"),
    ] {
        let mapped = mapped(&json!({"level": level}), |message| message.lane = lane);
        assert_eq!(mapped.header("apns-priority"), Some(priority), "{lane:?} {level}");
    }
}

#[test]
fn the_end_is_absolute_by_apples_clock_and_within_thirty_days() {
    let expiration = |offset_ms, left: Option<Ttl>| {
        let parcel = parcel("t", &Value::Null, |message| {
            message.expires_at = left.map_or(message.accepted_at, |left| message.accepted_at + left);
        });
        let content = content(&parcel, BUNDLE, offset_ms).unwrap();
        content.header("apns-expiration").unwrap().parse::<u64>().unwrap()
    };
    let now = NOW.as_secs();
    assert_eq!(expiration(0, None), 0, "online only");
    assert_eq!(expiration(60_000, Some(Ttl::from_secs(10))), now + 70);
    assert_eq!(expiration(0, Some(Ttl::from_secs(90 * 86_400))), now + 30 * 86_400);
}

#[test]
fn a_collapse_key_that_does_not_fit_becomes_one_that_does() {
    let id = |key: &str| {
        let mapped = mapped(&Value::Null, |message| message.collapse_key = Some(key.to_owned()));
        mapped.header("apns-collapse-id").unwrap().to_owned()
    };
    assert_eq!(id(&"k".repeat(64)).len(), 64);
    assert_eq!(id(&"k".repeat(65)).len(), 43);
    assert_ne!(id("订单一"), id("订单二"));
    assert!(id("订单一").is_ascii());
}

#[test]
fn a_live_activity_is_updated_ended_and_started() {
    let update = json!({"live_activity": {"event": "update", "content_state": {"eta": 5},
        "stale_date_s": 1_764_000_600_u64, "attributes_type": "Ride", "attributes": {"id": 1}}});
    let update = mapped(&update, |message| (message.title, message.body) = (None, None));
    assert_eq!(
        update.json()["aps"],
        json!({"timestamp": NOW.as_secs(), "event": "update", "content-state": {"eta": 5},
            "stale-date": 1_764_000_600_u64})
    );
    assert_eq!(update.header("apns-topic"), Some("com.example.bank.push-type.liveactivity"));
    assert_eq!(
        (update.header("apns-push-type"), update.header("apns-priority")),
        (Some("liveactivity"), Some("5"))
    );
    let end = json!({"live_activity": {"event": "end", "dismissal_date_s": 1_764_000_700_u64}});
    let end = mapped(&end, |message| message.lane = Lane::High);
    assert_eq!(end.json()["aps"]["dismissal-date"], 1_764_000_700_u64);
    assert_eq!(end.header("apns-priority"), Some("10"));
    let start = json!({"live_activity": {"event": "start", "content_state": {"eta": 9},
        "attributes_type": "Ride", "attributes": {"id": 1}}});
    let aps = mapped(&start, |_| {}).json()["aps"].take();
    assert_eq!((&aps["attributes-type"], &aps["attributes"]), (&json!("Ride"), &json!({"id": 1})));
    assert_eq!((&aps["alert"]["title"], &aps["input-push-token"]), (&json!("Paid"), &json!(1)));
    // Of two updates the phone shows the one with the later time: Apple's, since another's is ahead of it.
    let options = json!({"live_activity": {"event": "end"}});
    let ahead = content(&parcel("t", &options, |_| {}), BUNDLE, 60_000).unwrap();
    assert_eq!(ahead.json()["aps"]["timestamp"], NOW.as_secs() + 60);
}

#[test]
fn a_silent_message_of_a_call_goes_to_pushkit_at_once() {
    let long = "x".repeat(4_500);
    let call = mapped(&json!({"category": "voip"}), |message| {
        message.silent = true;
        message.data = Some(json!({"caller": long}).to_string());
    });
    assert_eq!((&call.json()["aps"], &call.json()["caller"]), (&json!({}), &json!(long)));
    for (name, value) in
        [("apns-topic", "com.example.bank.voip"), ("apns-push-type", "voip"), ("apns-priority", "10")]
    {
        assert_eq!(call.header(name), Some(value), "{name}");
    }
    // With something to show, it is a notification like another.
    let shown = mapped(&json!({"category": "voip"}), |_| {});
    assert_eq!(shown.header("apns-push-type"), Some("alert"));
    let longer = |message: &mut Message| {
        message.silent = true;
        message.data = Some(json!({"caller": "x".repeat(5_120)}).to_string());
    };
    assert_eq!(refused(&json!({"category": "voip"}), longer), "payload_too_large");
}

#[test]
fn what_apple_has_no_word_for_is_said() {
    let mapped = mapped(&json!({"badge_add": 1}), |message| {
        message.look = Some(carillon_sdk::wire::Look {
            icon_url: Some("https://example.com/i.png".to_owned()),
            channel_id: Some("orders".to_owned()),
            ..Default::default()
        });
    });
    assert_eq!(mapped.degraded, ["icon_url", "channel_id", "badge_add"]);
}

#[test]
fn what_apple_would_refuse_is_not_sent() {
    let long = |message: &mut Message| message.body = Some("x".repeat(4_096));
    assert_eq!(refused(&Value::Null, long), "payload_too_large");
    let empty = |message: &mut Message| (message.title, message.body) = (None, None);
    assert_eq!(refused(&Value::Null, empty), "nothing_to_show");
    let start = json!({"live_activity": {"event": "start", "attributes_type": "Ride", "attributes": {}}});
    assert_eq!(refused(&start, empty), "activity_alert");
    for (activity, code) in [
        (json!({"event": "start"}), "activity_attributes"),
        (json!({"event": "update"}), "activity_state"),
        (json!({"event": "pause"}), "activity_event"),
    ] {
        assert_eq!(refused(&json!({"live_activity": activity}), |_| {}), code);
    }
}

#[test]
fn an_id_is_the_same_for_a_message_and_a_token_and_differs_by_either() {
    let message = |byte| {
        let id = carillon_sdk::MessageId::from_bytes([byte; 16]);
        parcel("t", &Value::Null, |message| message.id = id).message
    };
    assert_eq!(id(&message(1), "a"), id(&message(1), "a"));
    assert_ne!(id(&message(1), "a"), id(&message(1), "b"));
    assert_ne!(id(&message(1), "a"), id(&message(2), "a"));
    assert_eq!(id(&message(1), "a"), id(&message(1), "a").to_lowercase());
}

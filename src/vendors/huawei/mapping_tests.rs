use carillon_actors::channel::Address;
use carillon_actors::model::Message;
use carillon_sdk::wire::{Lane, Look};
use carillon_sdk::{Timestamp, Ttl};

use super::*;
use crate::vendors::content::tests::parcel;

fn settings() -> Settings {
    Settings {
        package: Some("com.example".to_owned()),
        receipt_id: Some("rid1".to_owned()),
        badge_class: None,
    }
}

fn mapped(options: &Value, change: impl FnOnce(&mut Message)) -> (Value, Vec<&'static str>) {
    let content = content(&parcel("t1", options, change), &settings()).unwrap();
    let body: Value = serde_json::from_str(&content.body(&["t1"])).unwrap();
    (body["message"].clone(), content.degraded)
}

#[test]
fn a_notification_has_all_that_huawei_has_a_word_for() {
    let options = json!({
        "category": "express", "notify_level": {"hms": "2"}, "subtitle": "s", "thread_id": "orders",
        "sound": "/raw/ping", "badge": 3, "badge_add": 1, "badge_class": "com.example.Main",
        "big_text": true, "is_test": true,
    });
    let (message, degraded) = mapped(&options, |message| {
        message.data = Some(r#"{"oid":7781}"#.to_owned());
        message.collapse_key = Some("o7781".to_owned());
        message.uri = Some("https://example.com/o".to_owned());
        message.look = Some(Look {
            image_url: Some("https://example.com/i.png".to_owned()),
            channel_id: Some("orders".to_owned()),
            ..Look::default()
        });
    });
    let id = parcel("t", &Value::Null, |_| {}).message.id.to_string();
    let data: Value = serde_json::from_str(message["data"].as_str().unwrap()).unwrap();
    assert_eq!(data, json!({"oid": 7781, "carillon_id": id}));
    assert_eq!(
        message["android"],
        json!({
            "collapse_key": -1, "ttl": "3600s", "bi_tag": "r-1", "receipt_id": "rid1", "category": "EXPRESS",
            "target_user_type": 1,
            "notification": {
                "title": "Paid", "body": "Order 7781", "importance": "NORMAL", "foreground_show": true,
                "click_action": {"type": 2, "url": "https://example.com/o"},
                "style": 1, "big_title": "Paid", "big_body": "Order 7781",
                "notify_id": shown::number("o7781"), "image": "https://example.com/i.png",
                "notify_summary": "s", "group": "orders", "sound": "/raw/ping", "channel_id": "orders",
                "badge": {"class": "com.example.Main", "add_num": 1, "set_num": 3},
            },
        })
    );
    assert_eq!((message["token"].clone(), degraded), (json!(["t1"]), vec![]));
}

#[test]
fn data_alone_has_no_notification() {
    let (message, _) = mapped(&json!({"transparent_urgency": "HIGH"}), |message| message.silent = true);
    assert!(message["android"]["notification"].is_null());
    assert_eq!(message["android"]["urgency"], "HIGH");
    let (message, _) = mapped(&json!({"transparent_payload": {"hms": "plain"}}), |_| {});
    assert_eq!((&message["data"], &message["android"]["urgency"]), (&json!("plain"), &json!("NORMAL")));
    let (message, _) = mapped(&json!({"transparent_payload": {"huawei": {"k": 1}}}), |_| {});
    let data: Value = serde_json::from_str(message["data"].as_str().unwrap()).unwrap();
    assert_eq!((&data["k"], data["carillon_id"].is_string()), (&json!(1), true));
}

#[test]
fn time_is_text_in_seconds_up_to_fifteen_days() {
    let ttl = |left: Ttl| {
        let (message, _) = mapped(&Value::Null, |message| message.expires_at = message.accepted_at + left);
        message["android"]["ttl"].as_str().unwrap().to_owned()
    };
    assert_eq!(ttl(Ttl::ZERO), "1s");
    assert_eq!(ttl(Ttl::from_secs(60)), "60s");
    assert_eq!(ttl(Ttl::from_secs(30 * 86_400)), "1296000s");
}

#[test]
fn what_huawei_cannot_carry_is_said() {
    let (message, degraded) = mapped(
        &json!({"badge": 1, "live_activity": {"event": "start"}, "category": "play_voice"}),
        |message| {
            message.uri = Some("nonsense".to_owned());
            message.look = Some(Look { image_url: Some("http://e.com/i".to_owned()), ..Look::default() });
        },
    );
    assert_eq!(degraded, ["live_activity", "category", "uri", "image_url", "badge"]);
    assert_eq!(message["android"]["notification"]["click_action"], json!({"type": 3}));
}

#[test]
fn marketing_is_of_low_importance() {
    let importance = |options: Value, lane| {
        let (message, _) = mapped(&options, |message| message.lane = lane);
        message["android"]["notification"]["importance"].as_str().unwrap().to_owned()
    };
    assert_eq!(importance(json!({}), Lane::Bulk), "LOW");
    assert_eq!(importance(json!({}), Lane::High), "NORMAL");
    assert_eq!(importance(json!({"category": "marketing"}), Lane::High), "LOW");
    assert_eq!(importance(json!({"notify_level": {"hms": 1}}), Lane::High), "LOW");
}

#[test]
fn what_huawei_would_refuse_is_not_sent() {
    let code = |change: fn(&mut Message)| {
        let content = content(&parcel("t", &Value::Null, change), &settings());
        content.err().map_or_else(String::new, |refused| refused.code)
    };
    assert_eq!(code(|message| message.title = None), "title_missing");
    assert_eq!(code(|message| message.body = Some(" ".to_owned())), "body_missing");
    assert_eq!(code(|message| message.body = Some("x".repeat(4_096))), "payload_too_large");
    assert_eq!(code(|message| message.expires_at = Timestamp::from_millis(0)), "");
}

#[test]
fn several_tokens_share_the_messages_own_name_in_receipts() {
    let mut parcel = parcel("t1", &Value::Null, |_| {});
    parcel.to.push(Address { token: "t2".to_owned(), receipt: "r-2".to_owned() });
    let content = content(&parcel, &settings()).unwrap();
    let body: Value = serde_json::from_str(&content.body(&["t1", "t2"])).unwrap();
    assert_eq!(body["message"]["android"]["bi_tag"], parcel.message.id.to_string());
}

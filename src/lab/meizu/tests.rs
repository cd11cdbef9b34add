use super::*;
use crate::lab::Quotas;
use crate::lab::asking::{post, read, with, world};

fn form(fields: &[(&str, &str)], secret: &str) -> String {
    let sorted: BTreeMap<&str, &str> = fields.iter().copied().collect();
    let mut text: String = sorted.iter().map(|(name, value)| format!("{name}={value}")).collect();
    text.push_str(secret);
    let sign = hex::encode(Md5::digest(text.as_bytes()));
    form_urlencoded::Serializer::new(String::new()).extend_pairs(sorted).append_pair("sign", &sign).finish()
}

fn message() -> Value {
    json!({
        "noticeBarInfo": {"noticeMsgType": 1, "title": "已付款", "content": "Order 7781"},
        "clickTypeInfo": {"clickType": 0, "parameters": {"oid": "7781"}},
        "pushTimeInfo": {"offLine": 1, "validTime": 24},
        "advanceInfo": {"notifyKey": "o7781"},
    })
}

async fn send(meizu: &Meizu, world: &World, ids: &[&str], message: &Value) -> (u16, Value) {
    let (ids, message) = (ids.join(","), message.to_string());
    let form = form(&[("appId", APP_ID), ("pushIds", &ids), ("messageJson", &message)], APP_SECRET);
    read(&meizu.answer(world, post(SEND, &[("host", "127.0.0.1:1")], form)).await)
}

#[tokio::test]
async fn success_is_a_text_and_ids_stand_under_their_codes() {
    let (meizu, world) = (Meizu::default(), world());
    let ids = ["ok-1", "dead-1", "dead-illegal-1", "off-1", "quota-1", "flaky-1", "throttle-1", "config-1"];
    let (_, body) = send(&meizu, &world, &ids, &message()).await;
    assert_eq!(body["code"], json!("200"));
    let expected = json!({
        "110002": ["dead-1"], "110003": ["dead-illegal-1"], "110010": ["off-1"], "110011": ["quota-1"],
        "201": ["config-1"], "501": ["flaky-1"], "520": ["throttle-1"],
    });
    assert_eq!(body["value"], expected);
    let taken = world.capture.taken(VENDOR);
    assert_eq!((taken.len(), taken[0].token.as_str()), (1, "ok-1"));
    assert_eq!(taken[0].vendor_id, body["msgId"].as_str().unwrap());
    assert_eq!(send(&meizu, &world, &["flaky-1"], &message()).await.1["value"], json!({}));
}

#[tokio::test]
async fn the_signature_covers_every_field() {
    let (meizu, world) = (Meizu::default(), world());
    let json = message().to_string();
    let fields = [("appId", APP_ID), ("pushIds", "ok-1"), ("messageJson", json.as_str())];
    let (_, body) = read(&meizu.answer(&world, post(SEND, &[], form(&fields, "wrong"))).await);
    assert_eq!(body["code"], "1006");
    let changed = format!("{}&extra=1", form(&fields, APP_SECRET));
    assert_eq!(read(&meizu.answer(&world, post(SEND, &[], changed)).await).1["code"], "1006");
    let stranger = [("appId", "1"), ("pushIds", "ok-1"), ("messageJson", json.as_str())];
    let (_, body) = read(&meizu.answer(&world, post(SEND, &[], form(&stranger, APP_SECRET))).await);
    assert_eq!(body["code"], "110000");
    world.set_condition(VENDOR, Condition::CredentialRefused);
    assert_eq!(send(&meizu, &world, &["ok-1"], &message()).await.1["code"], "1006");
    assert_eq!(world.capture.taken_count(), 0);
}

#[tokio::test]
async fn what_the_documents_forbid_is_refused() {
    let (meizu, world) = (Meizu::default(), world());
    let good = message();
    for (body, code) in [
        (with(&good, "/noticeBarInfo/title", "汉".repeat(32)), "200"),
        (with(&good, "/noticeBarInfo/title", "汉".repeat(33)), "1005"),
        (with(&good, "/noticeBarInfo/content", "汉".repeat(100)), "200"),
        (with(&good, "/noticeBarInfo/content", "汉".repeat(101)), "1005"),
        (with(&good, "/noticeBarInfo/content", Value::Null), "1005"),
        (with(&good, "/pushTimeInfo/validTime", 72), "200"),
        (with(&good, "/pushTimeInfo/validTime", 73), "1005"),
        (with(&good, "/pushTimeInfo/validTime", 0), "1005"),
        (with(&good, "/advanceInfo/notifyKey", "123456789"), "1005"),
        (with(&good, "/advanceInfo/notifyKey", "a b"), "1005"),
        (with(&good, "/clickTypeInfo/clickType", 3), "1005"),
        (with(&good, "/clickTypeInfo/clickType", 1), "1005"),
    ] {
        assert_eq!(send(&meizu, &world, &["ok-1"], &body).await.1["code"], code, "{body}");
    }
    let many: Vec<String> = (0..101).map(|number| format!("ok-{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(send(&meizu, &world, &many, &good).await.1["code"], "1005");
    assert_eq!(send(&meizu, &world, &many[..100], &good).await.1["code"], "200");
}

#[tokio::test]
async fn the_same_number_on_top_means_too_fast() {
    let (meizu, world) = (Meizu::default(), world());
    world.set_quotas(VENDOR, Quotas { rate: Some(1), day: None });
    let (_, body) = send(&meizu, &world, &["ok-1", "ok-2"], &message()).await;
    assert_eq!((&body["code"], &body["value"]), (&json!("110010"), &json!("")));
    world.set_quotas(VENDOR, Quotas { rate: None, day: Some(0) });
    assert_eq!(send(&meizu, &world, &["ok-1"], &message()).await.1["code"], "110019");
}

#[tokio::test]
async fn a_call_may_be_pointed_elsewhere() {
    let (meizu, world) = (Meizu::default(), world());
    let (_, body) = send(&meizu, &world, &["moved-1"], &message()).await;
    assert_eq!(body["code"], "300");
    let redirect = body["redirect"].as_str().unwrap();
    let path = redirect.strip_prefix("https://127.0.0.1:1").unwrap();
    let json = message().to_string();
    let form = form(&[("appId", APP_ID), ("pushIds", "moved-1"), ("messageJson", &json)], APP_SECRET);
    let (_, body) = read(&meizu.answer(&world, post(path, &[], form)).await);
    assert_eq!((body["code"].as_str(), world.capture.taken_count()), (Some("200"), 1));
}

#[tokio::test]
async fn the_lenient_one_lets_through_what_the_documents_leave_unsure() {
    for (is_lenient, code) in [(false, "1005"), (true, "200")] {
        let (meizu, mut world) = (Meizu::default(), world());
        world.is_lenient = is_lenient;
        // The app's own kind of tap, and a part of a newer document.
        for body in [with(&message(), "/clickTypeInfo/clickType", 3), with(&message(), "/newer", 1)] {
            assert_eq!(send(&meizu, &world, &["ok-1"], &body).await.1["code"], code, "{body}");
        }
    }
}

use std::time::Duration;

use super::*;
use crate::lab::Quotas;
use crate::lab::asking::{post, read, with, world};

async fn token(huawei: &Huawei, world: &World) -> String {
    let form = format!(
        "grant_type=client_credentials&client_id={CLIENT_ID}&client_secret=lab-huawei-secret%2F%2B%3D"
    );
    let (status, body) = read(&huawei.answer(world, post("/oauth2/v3/token", &[], form)).await);
    assert_eq!((status, &body["expires_in"]), (200, &json!(3_600)));
    body["access_token"].as_str().unwrap().to_owned()
}

async fn send_as(huawei: &Huawei, world: &World, bearer: &str, body: &Value) -> Reply {
    let bearer = format!("Bearer {bearer}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    huawei.answer(world, post("/v1/100000001/messages:send", &headers, body.to_string())).await
}

async fn send(huawei: &Huawei, world: &World, body: &Value) -> (u16, Value) {
    let bearer = token(huawei, world).await;
    read(&send_as(huawei, world, &bearer, body).await)
}

fn message(tokens: &[&str]) -> Value {
    json!({"message": {
        "android": {"ttl": "3600s", "category": "EXPRESS", "collapse_key": -1, "notification": {
            "title": "Paid", "body": "Order 7781", "click_action": {"type": 3}, "importance": "NORMAL",
        }},
        "token": tokens,
    }})
}

#[tokio::test]
async fn a_wrong_secret_gets_no_token() {
    let (huawei, world) = (Huawei::default(), world());
    let form = format!("grant_type=client_credentials&client_id={CLIENT_ID}&client_secret=wrong");
    let (status, body) = read(&huawei.answer(&world, post("/oauth2/v3/token", &[], form)).await);
    assert_eq!((status, &body["error"], &body["sub_error"]), (400, &json!(1101), &json!(20001)));
}

#[tokio::test]
async fn a_dead_token_takes_no_other_along_and_is_told_inside_a_string() {
    let (huawei, world) = (Huawei::default(), world());
    let (status, body) = send(&huawei, &world, &message(&["ok-1", "dead-1", "ok-2"])).await;
    assert_eq!((status, &body["code"]), (200, &json!("80100000")));
    let inside: Value = serde_json::from_str(body["msg"].as_str().unwrap()).unwrap();
    assert_eq!(inside, json!({"success": 2, "failure": 1, "illegal_tokens": ["dead-1"]}));
    let taken: Vec<_> = world.capture.taken(VENDOR).into_iter().map(|taken| taken.token).collect();
    assert_eq!(taken, ["ok-1", "ok-2"]);
    let (_, body) = send(&huawei, &world, &message(&["dead-1", "dead-2"])).await;
    assert_eq!(body["code"], "80300007");
}

#[tokio::test]
async fn an_access_token_ends_by_the_worlds_clock() {
    let (huawei, world) = (Huawei::default(), world());
    let bearer = token(&huawei, &world).await;
    world.clock.advance(Duration::from_secs(3_599));
    assert_eq!(read(&send_as(&huawei, &world, &bearer, &message(&["ok-1"])).await).1["code"], "80000000");
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(read(&send_as(&huawei, &world, &bearer, &message(&["ok-1"])).await).1["code"], "80200003");
    assert_eq!(read(&send_as(&huawei, &world, "made-up", &message(&["ok-1"])).await).1["code"], "80200001");
}

#[tokio::test]
async fn what_the_documents_forbid_is_refused_with_their_code() {
    let (huawei, world) = (Huawei::default(), world());
    let changed = |pointer: &str, value: Value| with(&message(&["ok-1"]), pointer, value);
    let own = "/message/android/notification";
    let many: Vec<String> = (0..1_001).map(|number| format!("ok-{number}")).collect();
    for (body, code) in [
        (changed("/message/android/ttl", json!(3600)), "80100003"),
        (changed("/message/android/ttl", json!("3600")), "80100003"),
        (changed("/message/android/ttl", json!("1296001s")), "80100003"),
        (changed("/message/android/collapse_key", json!(101)), "80100013"),
        (changed("/message/android/urgency", json!("high")), "80100003"),
        (changed("/message/android/category", json!("express")), "80100003"),
        (changed("/message/android/category", json!("PLAY_VOICE")), "80100003"),
        (changed(&format!("{own}/importance"), json!("MAX")), "80100003"),
        (changed(&format!("{own}/clickAction"), json!({"type": 3})), "80100003"),
        (changed(&format!("{own}/click_action"), json!({"type": 1})), "80100003"),
        (changed(&format!("{own}/click_action"), json!({"type": 2, "url": "http://x"})), "80100003"),
        (changed(&format!("{own}/click_action"), Value::Null), "80100003"),
        (changed(&format!("{own}/badge"), json!({"add_num": 1})), "80100003"),
        (changed(&format!("{own}/body"), json!("x".repeat(4_096))), "80300008"),
        (changed("/message/token", json!(many)), "80300010"),
        (changed("/message/token", json!([])), "80300010"),
        (changed("/message/token", json!(["a", "a"])), "80300006"),
        (changed("/message/data", json!({"k": "v"})), "80100003"),
        (json!({"mesage": {}}), "80300010"),
    ] {
        assert_eq!(send(&huawei, &world, &body).await.1["code"], code, "{body}");
    }
    assert_eq!(world.capture.taken_count(), 0);
    let many = changed("/message/token", json!(&many[..1_000]));
    assert_eq!(send(&huawei, &world, &many).await.1["code"], "80000000", "tokens count for no bytes");
}

#[tokio::test]
async fn fates_and_conditions_are_told_in_huaweis_words() {
    let (huawei, world) = (Huawei::default(), world());
    for (token, status, code) in [
        ("throttle-1-x", 503, "80300503"),
        ("throttle-1-x", 200, "80000000"),
        ("flaky-1-x", 200, "81000001"),
        ("flaky-1-x", 200, "80000000"),
        ("config-x", 200, "80300002"),
        ("bad-x", 200, "80100003"),
    ] {
        let (got, body) = send(&huawei, &world, &message(&[token])).await;
        assert_eq!((got, body["code"].as_str()), (status, Some(code)), "{token}");
    }
    let bearer = token(&huawei, &world).await;
    let silent = send_as(&huawei, &world, &bearer, &message(&["silent-1-x", "ok-9"])).await;
    assert!(matches!(silent, Reply::Silence));
    assert_eq!(world.capture.taken(VENDOR).len(), 4, "taken, though never answered");
    world.set_quotas(VENDOR, Quotas { rate: Some(1), day: None });
    assert_eq!(send(&huawei, &world, &message(&["ok-1", "ok-2"])).await.0, 503);
    world.set_condition(VENDOR, Condition::TokensRevoked);
    assert_eq!(read(&send_as(&huawei, &world, &bearer, &message(&["ok-1"])).await).1["code"], "80200001");
    assert_eq!(send(&huawei, &world, &message(&["ok-1"])).await.1["code"], "80000000");
}

#[tokio::test]
async fn receipts_go_to_the_consoles_address_signed_a_hundred_in_a_post() {
    use base64::Engine as _;
    use hmac::{Hmac, KeyInit as _, Mac as _};

    let (huawei, world) = (Huawei::default(), world());
    send(&huawei, &world, &message(&["ok-1"])).await;
    assert!(world.outbox.take().is_empty(), "nobody asked for receipts");
    world.set_receipts_url(VENDOR, "http://127.0.0.1:9/r");
    let many: Vec<String> = (0..101).map(|number| format!("ok-{number}")).collect();
    let body = with(&with(&message(&[]), "/message/token", json!(many)), "/message/android/bi_tag", "job42");
    send(&huawei, &world, &body).await;
    let letters = world.outbox.take();
    let first: Value = serde_json::from_str(&letters[0].body).unwrap();
    assert_eq!((letters.len(), first["statuses"].as_array().unwrap().len()), (2, 100));
    assert_eq!(
        (&first["statuses"][0]["biTag"], &first["statuses"][0]["status"]),
        (&json!("job42"), &json!(0))
    );
    let (_, header) = letters[0].headers.iter().find(|(name, _)| name == "x-huawei-callback-id").unwrap();
    let part = |name: &str| {
        let mut parts = header.split("; ").filter_map(|part| part.split_once('='));
        parts.find(|(known, _)| *known == name).unwrap().1
    };
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(b"lab-receipts-secret").unwrap();
    mac.update(format!("{}{}lab", part("timestamp"), part("nonce")).as_bytes());
    let expected = base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes());
    assert_eq!(part("value"), expected);
}

#[tokio::test]
async fn the_lenient_one_lets_through_what_the_documents_leave_unsure() {
    for (is_lenient, codes) in [(false, ["80100004", "80100003"]), (true, ["80000000"; 2])] {
        let (huawei, mut world) = (Huawei::default(), world());
        world.is_lenient = is_lenient;
        // Whether it is now or never, and a field of a newer document.
        let bodies = [("/message/android/ttl", "0s"), ("/message/android/newer", "x")];
        for ((pointer, value), code) in bodies.into_iter().zip(codes) {
            let body = with(&message(&["ok-1"]), pointer, value);
            assert_eq!(send(&huawei, &world, &body).await.1["code"], code, "{pointer}");
        }
    }
}

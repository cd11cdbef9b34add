use std::time::Duration;

use super::*;
use crate::lab::Quotas;
use crate::lab::asking::{post, read, with, world};

async fn token(honor: &Honor, world: &World) -> String {
    let form = format!(
        "grant_type=client_credentials&client_id={CLIENT_ID}&client_secret=lab-honor-secret%2F%2B%3D"
    );
    let (status, body) = read(&honor.answer(world, post("/auth/token", &[], form)).await);
    assert_eq!((status, &body["expires_in"]), (200, &json!(3_600)));
    body["access_token"].as_str().unwrap().to_owned()
}

async fn send_as(honor: &Honor, world: &World, bearer: &str, timestamp: &str, body: &Value) -> Reply {
    let bearer = format!("Bearer {bearer}");
    let headers =
        [("authorization", bearer.as_str()), ("content-type", "application/json"), ("timestamp", timestamp)];
    honor.answer(world, post(&format!("/api/v1/{APP_ID}/sendMessage"), &headers, body.to_string())).await
}

async fn send(honor: &Honor, world: &World, body: &Value) -> (u16, Value) {
    let bearer = token(honor, world).await;
    let now = world.clock.now().as_millis().to_string();
    read(&send_as(honor, world, &bearer, &now, body).await)
}

fn message(tokens: &[&str]) -> Value {
    json!({
        "notification": {"title": "Paid", "body": "Order 7781"},
        "android": {"ttl": "3600s", "notification": {
            "clickAction": {"type": 3}, "importance": "NORMAL", "notifyId": 7781,
        }},
        "token": tokens,
    })
}

#[tokio::test]
async fn success_is_the_number_200_and_dead_tokens_stand_in_two_lists() {
    let (honor, world) = (Honor::default(), world());
    let (_, body) = send(&honor, &world, &message(&["ok-1", "dead-1"])).await;
    assert_eq!((&body["code"], &body["data"]["sendResult"]), (&json!(200), &json!(true)));
    assert_eq!(body["data"]["expireTokens"], json!(["dead-1"]));
    let (_, body) = send(&honor, &world, &message(&["ok-2", "dead-fail-1"])).await;
    assert_eq!((&body["code"], &body["data"]["failTokens"]), (&json!(80_100_000), &json!(["dead-fail-1"])));
    assert_eq!(send(&honor, &world, &message(&["dead-1"])).await.1["code"], 80_300_007);
    assert_eq!(world.capture.taken(VENDOR).len(), 2);
}

#[tokio::test]
async fn a_call_shows_a_token_and_the_time() {
    let (honor, world) = (Honor::default(), world());
    let form = format!("grant_type=client_credentials&client_id={CLIENT_ID}&client_secret=wrong");
    let (status, body) = read(&honor.answer(&world, post("/auth/token", &[], form)).await);
    assert_eq!((status, body["error"].as_str()), (401, Some("invalid_client")));

    let bearer = token(&honor, &world).await;
    let now = world.clock.now().as_millis();
    for (timestamp, code) in [
        (String::new(), 10_001),
        ("soon".to_owned(), 10_207),
        ((now / 1000).to_string(), 10_207),
        ((now - 600_001).to_string(), 10_207),
        ((now + 600_000).to_string(), 200),
    ] {
        let (_, body) = read(&send_as(&honor, &world, &bearer, &timestamp, &message(&["ok-1"])).await);
        assert_eq!(body["code"], code, "{timestamp:?}");
    }
    world.clock.advance(Duration::from_secs(3_600));
    let now = world.clock.now().as_millis().to_string();
    assert_eq!(read(&send_as(&honor, &world, &bearer, &now, &message(&["ok-1"])).await).0, 401);
}

#[tokio::test]
async fn what_the_documents_forbid_is_refused_with_their_code() {
    let (honor, world) = (Honor::default(), world());
    let good = message(&["ok-1"]);
    let own = |name: &str, value: Value| with(&good, &format!("/android/notification/{name}"), value);
    let many: Vec<String> = (0..1_001).map(|number| format!("ok-{number}")).collect();
    let image = own("image", json!("https://example.com/a.png"));
    for (body, code) in [
        (image.clone(), 200),
        (with(&image, "/android/notification/importance", "LOW"), 80_200_050),
        (own("importance", json!("HIGH")), 80_100_003),
        (own("click_action", json!({"type": 3})), 80_100_003),
        (own("clickAction", Value::Null), 80_100_003),
        (own("channelId", json!("orders")), 80_100_003),
        (own("badge", json!({"addNum": 1})), 80_100_003),
        (own("badge", json!({"addNum": 1, "badgeClass": "com.example.Main"})), 200),
        (own("bigBody", json!("x".repeat(4_096))), 80_300_008),
        (with(&good, "/android/ttl", 3600), 80_100_003),
        (with(&good, "/android/ttl", "1296001s"), 80_100_003),
        (with(&good, "/data", json!({"k": 1})), 80_100_003),
        (with(&good, "/token", json!([])), 10_300),
        (with(&good, "/token", json!(many)), 80_300_010),
        (with(&good, "/token", json!(["a", "a"])), 80_300_006),
    ] {
        assert_eq!(send(&honor, &world, &body).await.1["code"], code, "{body}");
    }
}

#[tokio::test]
async fn fates_and_quotas_are_told_in_honors_words() {
    let (honor, world) = (Honor::default(), world());
    for (token, status, code) in [
        ("throttle-x", 503, 503),
        ("flaky-x", 200, 502),
        ("flaky-x", 200, 200),
        ("quota-x", 200, 80_200_047),
        ("config-x", 200, 80_200_022),
        ("bad-x", 200, 80_100_003),
    ] {
        let (got, body) = send(&honor, &world, &message(&[token])).await;
        assert_eq!((got, body["code"].as_u64()), (status, Some(code)), "{token}");
    }
    world.set_quotas(VENDOR, Quotas { rate: None, day: Some(1) });
    assert_eq!(send(&honor, &world, &message(&["ok-1"])).await.1["code"], 200);
    assert_eq!(send(&honor, &world, &message(&["ok-2"])).await.1["code"], 80_200_047);
}

#[tokio::test]
async fn the_lenient_one_lets_through_what_the_documents_leave_unsure() {
    for (is_lenient, codes) in [(false, [80_100_003; 2]), (true, [200; 2])] {
        let (honor, mut world) = (Honor::default(), world());
        world.is_lenient = is_lenient;
        for ((pointer, value), code) in
            [("/android/ttl", "0s"), ("/android/newer", "x")].into_iter().zip(codes)
        {
            let body = with(&message(&["ok-1"]), pointer, value);
            assert_eq!(send(&honor, &world, &body).await.1["code"], code, "{pointer}");
        }
    }
}

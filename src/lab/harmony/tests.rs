use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PSS_SHA256, RsaKeyPair};
use rsa::pkcs8::{DecodePrivateKey, EncodePrivateKey};

use super::*;
use crate::lab::asking::{post, read, with, world};
use crate::lab::{Condition, Quotas};

/// Claims to change, by their names.
fn signed(harmony: &Harmony, header: Value, claims: Value) -> String {
    let (credential, _) = harmony.setup();
    let key = rsa::RsaPrivateKey::from_pkcs8_pem(credential["private_key"].as_str().unwrap()).unwrap();
    let pair = RsaKeyPair::from_pkcs8(key.to_pkcs8_der().unwrap().as_bytes()).unwrap();
    let part = |json: Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let text = format!("{}.{}", part(header), part(claims));
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(&RSA_PSS_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).unwrap();
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn header() -> Value {
    json!({"kid": "lab-key-1", "typ": "JWT", "alg": "PS256"})
}

fn claims(world: &World) -> Value {
    let now = world.clock.now().as_secs();
    json!({"iss": "110001", "aud": jwt::AUDIENCE, "iat": now, "exp": now + 3_600})
}

async fn send_as(harmony: &Harmony, world: &World, jwt: &str, kind: &str, body: &Value) -> Reply {
    let bearer = format!("Bearer {jwt}");
    let headers =
        [("authorization", bearer.as_str()), ("content-type", "application/json"), ("push-type", kind)];
    harmony.answer(world, post(&format!("/v3/{PROJECT_ID}/messages:send"), &headers, body.to_string())).await
}

async fn code(harmony: &Harmony, world: &World, kind: &str, body: &Value) -> String {
    let jwt = signed(harmony, header(), claims(world));
    read(&send_as(harmony, world, &jwt, kind, body).await).1["code"].as_str().unwrap().to_owned()
}

fn message(tokens: &[&str]) -> Value {
    json!({
        "payload": {"notification": {
            "category": "EXPRESS", "title": "Paid", "body": "Order 7781", "clickAction": {"actionType": 0},
            "appMessageId": "m-42",
        }},
        "pushOptions": {"ttl": 3600, "biTag": "job42"},
        "target": {"token": tokens},
    })
}

#[tokio::test]
async fn a_jwt_is_held_to_key_signature_claims_and_clock() {
    let (harmony, world) = (Harmony::default(), world());
    let good = claims(&world);
    let now = world.clock.now().as_secs();
    for (head, claims, status, code) in [
        (header(), good.clone(), 200, "80000000"),
        (with(&header(), "/alg", "RS256"), good.clone(), 401, "80200001"),
        (with(&header(), "/kid", "another"), good.clone(), 401, "80200001"),
        (header(), with(&good, "/iss", "another"), 401, "80200001"),
        (header(), with(&good, "/aud", "https://example.com"), 401, "80200001"),
        (header(), with(&good, "/iat", now + 301), 401, "80200001"),
        (header(), with(&good, "/exp", now), 401, "80200005"),
        (header(), with(&good, "/exp", now + 86_401), 401, "80300036"),
    ] {
        let jwt = signed(&harmony, head.clone(), claims.clone());
        let (got, body) = read(&send_as(&harmony, &world, &jwt, "0", &message(&["ok-1"])).await);
        assert_eq!((got, body["code"].as_str()), (status, Some(code)), "{head} {claims}");
    }
    let forged = format!("{}x", signed(&harmony, header(), good));
    let (_, body) = read(&send_as(&harmony, &world, &forged, "0", &message(&["ok-1"])).await);
    assert_eq!(body["code"], "80200001");
}

#[tokio::test]
async fn an_expired_jwt_is_told_from_a_wrong_one() {
    let (harmony, world) = (Harmony::default(), world());
    let jwt = signed(&harmony, header(), claims(&world));
    world.clock.advance(Duration::from_secs(3_600));
    let (status, body) = read(&send_as(&harmony, &world, &jwt, "0", &message(&["ok-1"])).await);
    assert_eq!((status, &body["code"]), (401, &json!("80200005")));
}

#[tokio::test]
async fn tokens_that_were_not_sent_to_are_grouped_by_reason() {
    let (harmony, world) = (Harmony::default(), world());
    let jwt = signed(&harmony, header(), claims(&world));
    let body = message(&["ok-1", "dead-1", "config-1", "dead-2"]);
    let (_, body) = read(&send_as(&harmony, &world, &jwt, "0", &body).await);
    assert_eq!(body["code"], "80100000");
    let inside: Value = serde_json::from_str(body["msg"].as_str().unwrap()).unwrap();
    let reasons = json!({"tokenFormatError": ["dead-1", "dead-2"], "noPushTypeRight": ["config-1"]});
    assert_eq!(inside, json!({"success": 1, "failure": 3, "illegalTokens": reasons}));
    assert_eq!(code(&harmony, &world, "0", &message(&["dead-1"])).await, "80300007");
}

#[tokio::test]
async fn a_repeat_with_the_same_app_message_id_is_dropped() {
    let (harmony, world) = (Harmony::default(), world());
    for _ in 0..2 {
        assert_eq!(code(&harmony, &world, "0", &message(&["ok-1"])).await, "80000000");
    }
    let taken = world.capture.taken(VENDOR);
    assert_eq!(taken.len(), 1);
    assert_eq!(
        (taken[0].key.as_deref(), taken[0].content["pushOptions"]["biTag"].as_str()),
        (Some("m-42"), Some("job42"))
    );
}

#[tokio::test]
async fn each_push_type_has_its_payload() {
    let (harmony, world) = (Harmony::default(), world());
    let alert = message(&["ok-1"]);
    let background = with(&alert, "/payload", json!({"extraData": "{\"k\":1}"}));
    let badge = with(&alert, "/payload", json!({"badge": {"setNum": 3}}));
    let many: Vec<String> = (0..1_001).map(|number| format!("ok-{number}")).collect();
    for (kind, body, expected) in [
        ("0", alert.clone(), "80000000"),
        ("6", background.clone(), "80000000"),
        ("0", badge, "80000000"),
        ("", alert.clone(), "80100001"),
        ("6", alert.clone(), "80100003"),
        ("0", background, "80100003"),
        ("2", alert.clone(), "80100003"),
        ("3", alert.clone(), "80100001"),
        ("0", with(&alert, "/payload/notification/category", Value::Null), "80100003"),
        ("0", with(&alert, "/payload/notification/click_action", json!({})), "80100003"),
        ("0", with(&alert, "/payload/notification/clickAction", json!({"actionType": 1})), "80100003"),
        ("0", with(&alert, "/payload/notification/body", "x".repeat(4_096)), "80300008"),
        ("0", with(&alert, "/pushOptions/ttl", "3600s"), "80100003"),
        ("0", with(&alert, "/pushOptions/ttl", 0), "80100004"),
        ("0", with(&alert, "/pushOptions/ttl", 1_296_001), "80100003"),
        ("0", with(&alert, "/pushOptions/biTag", "x".repeat(65)), "80100003"),
        ("0", with(&alert, "/target/token", json!(many)), "80300010"),
        (
            "0",
            with(&with(&alert, "/pushOptions/testMessage", true), "/target/token", json!(many[..11])),
            "80300030",
        ),
    ] {
        assert_eq!(code(&harmony, &world, kind, &body).await, expected, "{kind} {body}");
    }
}

#[tokio::test]
async fn fates_and_conditions_are_told_in_the_vendors_words() {
    let (harmony, world) = (Harmony::default(), world());
    let jwt = signed(&harmony, header(), claims(&world));
    for (token, status, code) in [
        ("throttle-x", 503, "80300503"),
        ("flaky-x", 200, "81000001"),
        ("flaky-x", 200, "80000000"),
        ("quota-x", 200, "80300029"),
        ("bad-x", 400, "80100003"),
    ] {
        let (got, body) = read(&send_as(&harmony, &world, &jwt, "0", &message(&[token])).await);
        assert_eq!((got, body["code"].as_str()), (status, Some(code)), "{token}");
    }
    world.set_condition(VENDOR, Condition::TokensRevoked);
    let (_, body) = read(&send_as(&harmony, &world, &jwt, "0", &message(&["ok-1"])).await);
    assert_eq!(body["code"], "80200001");
    assert_eq!(code(&harmony, &world, "0", &message(&["ok-1"])).await, "80000000", "a new one is good");
    world.set_quotas(VENDOR, Quotas { rate: Some(0), day: None });
    let (status, _) = read(
        &send_as(&harmony, &world, &signed(&harmony, header(), claims(&world)), "0", &message(&["ok-1"]))
            .await,
    );
    assert_eq!(status, 503);
}

#[tokio::test]
async fn the_lenient_one_lets_through_what_the_documents_leave_unsure() {
    for (is_lenient, expected) in [(false, "80100003"), (true, "80000000")] {
        let (harmony, mut world) = (Harmony::default(), world());
        world.is_lenient = is_lenient;
        let newer = with(&message(&["ok-1"]), "/pushOptions/newer", 1);
        assert_eq!(code(&harmony, &world, "0", &newer).await, expected);
    }
}

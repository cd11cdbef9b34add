use std::sync::LazyLock;
use std::time::Duration;

use carillon_actors::clock::Clock;
use carillon_sdk::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;

use super::super::{asking, jwt};
use super::*;
use crate::lab::Quotas;

const NOW_S: u64 = 1_764_000_000;
const SEND: &str = "/v1/projects/example-project/messages:send";

/// One for all tests: it takes a second to make.
static KEY: LazyLock<Arc<RsaKey>> = LazyLock::new(|| Arc::new(RsaKey::generate()));

struct Bench {
    fcm: Fcm,
    world: World,
    clock: Clock,
}

fn bench() -> Bench {
    let clock = Clock::manual(Timestamp::from_millis(NOW_S * 1_000));
    let fcm = Fcm { oauth: OAuth::new(Arc::clone(&KEY)) };
    Bench { fcm, world: World::new(clock.clone(), false), clock }
}

fn claims() -> Value {
    json!({
        "iss": "push@example-project.iam.gserviceaccount.com",
        "scope": "https://www.googleapis.com/auth/firebase.messaging",
        "aud": "https://oauth2.googleapis.com/token",
        "iat": NOW_S,
        "exp": NOW_S + 3_600,
    })
}

fn grant(claims: &Value) -> Asked {
    let credential = OAuth::new(Arc::clone(&KEY)).credential();
    let der =
        PrivatePkcs8KeyDer::from_pem_slice(credential["private_key"].as_str().unwrap().as_bytes()).unwrap();
    let pair = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).unwrap();
    let header = json!({"alg": "RS256", "typ": "JWT", "kid": credential["private_key_id"]});
    let assertion = jwt::write(&header, claims, |signed| {
        let mut signature = vec![0; pair.public().modulus_len()];
        pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed, &mut signature).unwrap();
        signature
    });
    form(&assertion)
}

fn form(assertion: &str) -> Asked {
    let body = form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer")
        .append_pair("assertion", assertion)
        .finish();
    asking::post("/token", &[("content-type", "application/x-www-form-urlencoded")], body)
}

impl Bench {
    async fn ask(&self, asked: Asked) -> (u16, Value) {
        let reply = self.fcm.answer(&self.world, asked).await;
        (reply.status(), serde_json::from_slice(reply.body()).unwrap_or_default())
    }

    async fn access(&self) -> String {
        let (status, body) = self.ask(grant(&claims())).await;
        assert_eq!((status, &body["expires_in"]), (200, &json!(3_599)), "{body}");
        body["access_token"].as_str().unwrap().to_owned()
    }

    async fn send(&self, access: &str, message: Value) -> (u16, Value) {
        let bearer = format!("Bearer {access}");
        let body = json!({"message": message}).to_string();
        self.ask(asking::post(SEND, &[("authorization", &bearer)], body)).await
    }
}

fn code_of(body: &Value) -> &str {
    body["error"]["details"][0]["errorCode"].as_str().unwrap_or("-")
}

#[tokio::test]
async fn an_access_token_is_given_for_an_assertion_that_is_right_in_all_its_parts() {
    let bench = bench();
    bench.access().await;
    for (claim, value, error) in [
        ("iss", json!("nobody@example.com"), "invalid_grant"),
        ("aud", json!("https://example.com/token"), "invalid_grant"),
        ("scope", json!("https://www.googleapis.com/auth/drive"), "invalid_scope"),
        ("exp", json!(NOW_S + 3_601), "invalid_grant"),
        ("exp", json!(NOW_S), "invalid_grant"),
        ("iat", json!("now"), "invalid_grant"),
    ] {
        let mut wrong = claims();
        wrong[claim] = value;
        let (status, body) = bench.ask(grant(&wrong)).await;
        assert_eq!((status, &body["error"]), (400, &json!(error)), "{claim}");
    }
    let mut old = claims();
    (old["iat"], old["exp"]) = (json!(NOW_S - 7_200), json!(NOW_S - 3_600));
    assert_eq!(bench.ask(grant(&old)).await.1["error"], "invalid_grant");
    assert_eq!(bench.ask(form("a.b.c")).await.1["error"], "invalid_grant");
    bench.world.set_condition(VENDOR, Condition::CredentialRefused);
    assert_eq!(bench.ask(grant(&claims())).await.0, 401);
}

#[tokio::test]
async fn an_access_token_ends_and_can_be_revoked() {
    let bench = bench();
    let message = json!({"token": "ok-1", "data": {"k": "v"}});
    assert_eq!(bench.send("nonsense", message.clone()).await.0, 401);
    let access = bench.access().await;
    let (status, body) = bench.send(&access, message.clone()).await;
    assert_eq!(status, 200);
    assert!(body["name"].as_str().unwrap().starts_with("projects/example-project/messages/"));
    bench.world.set_condition(VENDOR, Condition::TokensRevoked);
    let (status, body) = bench.send(&access, message.clone()).await;
    assert_eq!((status, &body["error"]["status"]), (401, &json!("UNAUTHENTICATED")));
    let access = bench.access().await;
    assert_eq!(bench.send(&access, message.clone()).await.0, 200);
    bench.clock.advance(Duration::from_secs(3_599));
    assert_eq!(bench.send(&access, message).await.0, 401);
}

#[tokio::test]
async fn a_message_is_held_to_its_shape() {
    let bench = bench();
    let access = bench.access().await;
    let android = |config: Value| json!({"token": "ok-1", "android": config});
    for (message, status) in [
        (json!({"token": "ok-1"}), 200),
        (
            json!({"token": "ok-1", "notification": {"title": "t", "body": "b", "image": "https://e.com/i"}}),
            200,
        ),
        (json!({"token": "ok-1", "notification": {"title": 1}}), 400),
        (json!({"token": "ok-1", "topic": "news"}), 400),
        (json!({"notification": {"title": "t"}}), 400),
        (json!({"token": "ok-1", "colour": "red"}), 400),
        (json!({"token": "ok-1", "data": {"n": 1}}), 400),
        (json!({"token": "ok-1", "data": {"from": "x"}}), 400),
        (json!({"token": "ok-1", "data": {"google.x": "x"}}), 400),
        (json!({"token": "ok-1", "data": {"gcm": "x"}}), 400),
        (json!({"token": "ok-1", "data": {"big": "x".repeat(4_096)}}), 400),
        (android(json!({"ttl": "2419200s", "priority": "HIGH", "collapseKey": "order"})), 200),
        (android(json!({"ttl": "2419201s"})), 400),
        (android(json!({"ttl": 60})), 400),
        (android(json!({"priority": "urgent"})), 400),
        (android(json!({"notification": {"channel_id": "orders", "notification_count": 3}})), 200),
        (android(json!({"notification": {"badge": 3}})), 400),
        (android(json!({"notification": {"notification_count": "3"}})), 400),
        (android(json!({"notification": {"visibility": "HIDDEN"}})), 400),
    ] {
        assert_eq!(bench.send(&access, message.clone()).await.0, status, "{message}");
    }
}

#[tokio::test]
async fn too_big_is_not_said_in_fcms_own_words_and_a_wrong_token_names_its_field() {
    let bench = bench();
    let access = bench.access().await;
    let (_, big) = bench.send(&access, json!({"token": "ok-1", "data": {"k": "x".repeat(5_000)}})).await;
    assert_eq!((code_of(&big), &big["error"]["status"]), ("-", &json!("INVALID_ARGUMENT")));
    let (_, wrong) = bench.send(&access, json!({"token": "malformed-1"})).await;
    assert_eq!(code_of(&wrong), "INVALID_ARGUMENT");
    assert_eq!(wrong["error"]["details"][1]["fieldViolations"][0]["field"], "message.token");
}

#[tokio::test]
async fn another_project_is_not_found_and_says_nothing_of_the_token() {
    let bench = bench();
    let bearer = format!("Bearer {}", bench.access().await);
    let body = json!({"message": {"token": "ok-1"}}).to_string();
    let asked = asking::post("/v1/projects/other/messages:send", &[("authorization", &bearer)], body);
    let (status, body) = bench.ask(asked).await;
    assert_eq!((status, code_of(&body)), (404, "-"));
}

#[tokio::test]
async fn a_scripted_token_meets_its_fate() {
    let bench = bench();
    let access = bench.access().await;
    for (token, answers) in [
        ("dead-1", vec![(404, "UNREGISTERED"); 2]),
        ("flaky-2-a", vec![(500, "INTERNAL"), (500, "INTERNAL"), (200, "-")]),
        ("throttle-a", vec![(429, "QUOTA_EXCEEDED"), (200, "-")]),
        ("quota-a", vec![(429, "QUOTA_EXCEEDED"); 2]),
        ("bad-a", vec![(400, "INVALID_ARGUMENT")]),
        ("config-a", vec![(403, "-")]),
        ("down-a", vec![(503, "UNAVAILABLE"), (200, "-")]),
        ("html-a", vec![(502, "-"), (200, "-")]),
        ("garbage-a", vec![(200, "-"), (200, "-")]),
        ("silent-a", vec![(0, "-"), (200, "-")]),
        ("cut-a", vec![(0, "-"), (200, "-")]),
        ("say-SENDER_ID_MISMATCH-a", vec![(403, "SENDER_ID_MISMATCH")]),
        ("say-THIRD_PARTY_AUTH_ERROR-a", vec![(401, "THIRD_PARTY_AUTH_ERROR")]),
    ] {
        for answer in answers {
            let (status, body) = bench.send(&access, json!({"token": token})).await;
            assert_eq!((status, code_of(&body)), answer, "{token}");
        }
    }
    // Flaky, throttled, down, html and garbage are taken once; silent and cut each time.
    assert_eq!(bench.world.capture.taken(VENDOR).len(), 5 + 2 * 2);
}

#[tokio::test]
async fn the_world_is_obeyed() {
    let bench = bench();
    let access = bench.access().await;
    bench.world.set_quotas(VENDOR, Quotas { rate: None, day: Some(1) });
    assert_eq!(bench.send(&access, json!({"token": "ok-1"})).await.0, 200);
    assert_eq!(bench.send(&access, json!({"token": "ok-1"})).await.0, 429);
    bench.world.set_condition(VENDOR, Condition::Down);
    assert_eq!(bench.send(&access, json!({"token": "ok-1"})).await.0, 503);
    bench.world.set_condition(VENDOR, Condition::Silent);
    assert_eq!(bench.send(&access, json!({"token": "ok-1"})).await.0, 0);
}

#[tokio::test]
async fn what_is_only_validated_is_not_taken() {
    let bench = bench();
    let bearer = format!("Bearer {}", bench.access().await);
    let body = json!({"validate_only": true, "message": {"token": "ok-1"}}).to_string();
    assert_eq!(bench.ask(asking::post(SEND, &[("authorization", &bearer)], body)).await.0, 200);
    assert!(bench.world.capture.taken(VENDOR).is_empty());
}

#[tokio::test]
async fn the_lenient_one_lets_through_what_the_documents_leave_unsure() {
    for (is_lenient, status) in [(false, 400), (true, 200)] {
        let mut bench = bench();
        bench.world.is_lenient = is_lenient;
        let access = bench.access().await;
        let message = json!({"token": "ok-1", "android": {"priority": "high"}});
        assert_eq!(bench.send(&access, message).await.0, status);
    }
}

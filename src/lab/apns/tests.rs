use std::time::Duration;

use carillon_actors::clock::Clock;
use carillon_sdk::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;

use super::super::{asking, jwt};
use super::*;
use crate::lab::Quotas;

const NOW_S: u64 = 1_764_000_000;
const ALERT: &str = r#"{"aps":{"alert":{"title":"Paid","body":"Order 7781"}},"k":"v"}"#;

type Headers<'a> = &'a [(&'a str, &'a str)];

struct Bench {
    apns: Apns,
    world: World,
    clock: Clock,
}

fn bench(is_lenient: bool) -> Bench {
    let clock = Clock::manual(Timestamp::from_millis(NOW_S * 1_000));
    Bench { apns: Apns::new(), world: World::new(clock.clone(), is_lenient), clock }
}

fn provider_token(setup: &Value, iat_s: u64, algorithm: &'static EcdsaSigningAlgorithm) -> String {
    let pem = setup["key_p8"].as_str().unwrap();
    let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).unwrap();
    let random = SystemRandom::new();
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, der.secret_pkcs8_der(), &random).unwrap();
    let header = json!({"alg": "ES256", "kid": setup["key_id"]});
    let claims = json!({"iss": setup["team_id"], "iat": iat_s});
    jwt::write(&header, &claims, |signed| pair.sign(&random, signed).unwrap().as_ref().to_vec())
}

impl Bench {
    fn now_s(&self) -> u64 {
        self.clock.now().as_secs()
    }

    fn token(&self) -> String {
        provider_token(&self.apns.setup().0, self.now_s(), &ECDSA_P256_SHA256_FIXED_SIGNING)
    }

    async fn ask(&self, asked: Asked) -> (u16, Value) {
        let reply = self.apns.answer(&self.world, asked).await;
        (reply.status(), serde_json::from_slice(reply.body()).unwrap_or_default())
    }

    async fn reason(&self, asked: Asked) -> String {
        self.ask(asked).await.1["reason"].as_str().unwrap_or("taken").to_owned()
    }
}

fn push(token: &str, authorization: &str, with: &[(&str, &str)], body: &str) -> Asked {
    let bearer = format!("bearer {authorization}");
    let mut headers = vec![("authorization", bearer.as_str())];
    for default in [("apns-topic", BUNDLE_ID), ("apns-push-type", "alert"), ("apns-priority", "10")] {
        if !with.iter().any(|(name, _)| *name == default.0) {
            headers.push(default);
        }
    }
    headers.extend(with.iter().filter(|(_, value)| *value != "-"));
    let asked = asking::post(&format!("/3/device/{token}"), &headers, body.to_owned());
    Asked { is_http2: true, ..asked }
}

#[tokio::test]
async fn what_is_taken_is_named_as_asked_and_shown_once() {
    let bench = bench(false);
    let token = bench.token();
    let id = "7a1d4b0e-2c11-4a8b-9a30-3c1f0b6f2c55";
    for _ in 0..2 {
        let reply =
            bench.apns.answer(&bench.world, push("00fc13ad", &token, &[("apns-id", id)], ALERT)).await;
        assert_eq!((reply.status(), reply.header("apns-id")), (200, Some(id)));
    }
    let taken = bench.world.capture.taken(VENDOR);
    assert_eq!(taken.len(), 1);
    assert_eq!((&taken[0].content["title"], taken[0].key.as_deref()), (&json!("Paid"), Some(id)));
    let requests = bench.world.capture.requests(VENDOR);
    assert_eq!(requests.len(), 2);
    assert!(!format!("{requests:?}").contains(&token));
}

#[tokio::test]
async fn every_header_and_the_payload_are_checked() {
    let bench = bench(false);
    let token = bench.token();
    let long = "c".repeat(65);
    let big = format!(r#"{{"aps":{{"alert":"{}"}}}}"#, "x".repeat(4_096));
    let topic = "com.example.app.voip";
    let rows: [(Headers, &str, &str); 17] = [
        (&[("apns-topic", "-")], ALERT, "MissingTopic"),
        (&[("apns-topic", "com/example")], ALERT, "BadTopic"),
        (&[("apns-topic", "com.example.other")], ALERT, "DeviceTokenNotForTopic"),
        (&[("apns-topic", topic)], ALERT, "TopicDisallowed"),
        (&[("apns-topic", topic), ("apns-push-type", "voip")], ALERT, "taken"),
        (&[("apns-topic", topic), ("apns-push-type", "voip")], &big, "taken"),
        (&[("apns-push-type", "shout")], ALERT, "InvalidPushType"),
        (&[("apns-push-type", "-")], ALERT, "InvalidPushType"),
        (&[("apns-priority", "7")], ALERT, "BadPriority"),
        (&[("apns-push-type", "background")], ALERT, "BadPriority"),
        (&[("apns-id", "7A1D4B0E-2C11-4A8B-9A30-3C1F0B6F2C55")], ALERT, "BadMessageId"),
        (&[("apns-expiration", "1764000000000")], ALERT, "BadExpirationDate"),
        (&[("apns-collapse-id", &long)], ALERT, "BadCollapseId"),
        (&[("apns-expiration", "0"), ("apns-expiration", "1")], ALERT, "DuplicateHeaders"),
        (&[], &big, "PayloadTooLarge"),
        (&[], "", "PayloadEmpty"),
        (&[], "{\"aps\":", "PayloadEmpty"),
    ];
    for (headers, body, reason) in rows {
        assert_eq!(bench.reason(push("ok-1", &token, headers, body)).await, reason, "{headers:?}");
    }
    for (path, method, status, reason) in [
        ("/3/device/xyz", "POST", 400, "BadDeviceToken"),
        ("/3/device/", "POST", 400, "MissingDeviceToken"),
        ("/4/device/ok-1", "POST", 404, "BadPath"),
        ("/3/device/ok-1", "GET", 405, "MethodNotAllowed"),
    ] {
        let asked =
            Asked { path: path.to_owned(), method: method.to_owned(), ..push("", &token, &[], ALERT) };
        assert_eq!(bench.ask(asked).await, (status, json!({"reason": reason})));
    }
}

#[tokio::test]
async fn a_token_of_the_provider_is_verified() {
    let bench = bench(false);
    let setup = bench.apns.setup().0;
    let fixed = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let good = bench.token();
    let mut forged = good.clone();
    forged.replace_range(..6, &good[..6].to_lowercase());
    let stranger = json!({"key_p8": setup["key_p8"], "key_id": "NOBODYS123", "team_id": setup["team_id"]});
    let other = Apns::new().setup().0;
    for (token, reason) in [
        (forged.as_str(), "InvalidProviderToken"),
        ("nonsense", "InvalidProviderToken"),
        (&provider_token(&stranger, NOW_S, fixed), "InvalidProviderToken"),
        (&provider_token(&other, NOW_S, fixed), "InvalidProviderToken"),
        (&provider_token(&setup, NOW_S + 600, fixed), "InvalidProviderToken"),
        (&provider_token(&setup, NOW_S - 3_601, fixed), "ExpiredProviderToken"),
        (&provider_token(&setup, NOW_S, &ECDSA_P256_SHA256_ASN1_SIGNING), "InvalidProviderToken"),
        (&good, "taken"),
    ] {
        assert_eq!(bench.reason(push("ok-1", token, &[], ALERT)).await, reason);
    }
    let bare = Asked { headers: Vec::new(), ..push("ok-1", "", &[], ALERT) };
    assert_eq!(bench.reason(bare).await, "MissingProviderToken");
}

#[tokio::test]
async fn the_lenient_one_takes_the_signatures_that_widespread_clients_send() {
    let bench = bench(true);
    let token = provider_token(&bench.apns.setup().0, NOW_S, &ECDSA_P256_SHA256_ASN1_SIGNING);
    let mut parts = token.split('.').map(|part| part.replace('-', "+").replace('_', "/"));
    let mut padded = parts.next().unwrap();
    for part in parts {
        padded.push('.');
        padded.push_str(&part);
        padded.push_str(&"=".repeat((4 - part.len() % 4) % 4));
    }
    // Signed over other letters, the token would be another: only its signature is respelt.
    let (signed, _) = token.rsplit_once('.').unwrap();
    let (_, signature) = padded.rsplit_once('.').unwrap();
    assert_eq!(bench.reason(push("ok-1", &format!("{signed}.{signature}"), &[], ALERT)).await, "taken");
}

#[tokio::test]
async fn a_second_token_within_twenty_minutes_is_refused_and_the_first_goes_on() {
    let bench = bench(false);
    let first = bench.token();
    assert_eq!(bench.reason(push("ok-1", &first, &[], ALERT)).await, "taken");
    bench.clock.advance(Duration::from_secs(19 * 60));
    let second = bench.token();
    assert_eq!(bench.reason(push("ok-1", &second, &[], ALERT)).await, "TooManyProviderTokenUpdates");
    assert_eq!(bench.reason(push("ok-1", &first, &[], ALERT)).await, "taken");
    bench.clock.advance(Duration::from_secs(60));
    assert_eq!(bench.reason(push("ok-1", &second, &[], ALERT)).await, "taken");
    bench.clock.advance(Duration::from_secs(41 * 60));
    assert_eq!(bench.reason(push("ok-1", &first, &[], ALERT)).await, "ExpiredProviderToken");
}

#[tokio::test]
async fn a_connection_is_bound_to_the_key_of_its_first_push() {
    let bench = bench(false);
    let first = bench.token();
    let other = bench.apns.setup_with_other_key().0;
    let other = provider_token(&other, NOW_S, &ECDSA_P256_SHA256_FIXED_SIGNING);
    assert_eq!(bench.reason(push("ok-1", &first, &[], ALERT)).await, "taken");
    assert_eq!(bench.reason(push("ok-1", &other, &[], ALERT)).await, "UnrelatedKeyIdInToken");
    let elsewhere = Asked { connection: 2, ..push("ok-1", &other, &[], ALERT) };
    assert_eq!(bench.reason(elsewhere).await, "taken");
}

#[tokio::test]
async fn a_certificate_names_the_topic_by_itself() {
    let bench = bench(false);
    let pem = bench.apns.setup_with_certificate().0["certificate_pem"].as_str().unwrap().to_owned();
    let der = rustls_pki_types::CertificateDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec();
    let shown = |der: Vec<u8>| {
        let mut asked = push("ok-1", "", &[("apns-topic", "-")], ALERT);
        asked.headers.retain(|(name, _)| name != "authorization");
        asked.certificate = Some(der);
        asked
    };
    assert_eq!(bench.reason(shown(der)).await, "taken");
    assert_eq!(bench.reason(shown(vec![48, 0])).await, "BadCertificate");
}

#[tokio::test]
async fn a_scripted_token_meets_its_fate() {
    let bench = bench(false);
    let token = bench.token();
    for (device, statuses) in [
        ("dead-1", vec![410, 410]),
        ("flaky-2-a", vec![500, 500, 200]),
        ("throttle-a", vec![429, 200]),
        ("quota-a", vec![429, 429]),
        ("bad-a", vec![400, 400]),
        ("config-a", vec![400]),
        ("down-a", vec![503, 200]),
        ("html-a", vec![502, 200]),
        ("silent-a", vec![0, 200]),
        ("cut-a", vec![0, 200]),
        ("goaway-a", vec![503, 200]),
        ("say-ExpiredToken-a", vec![410, 410]),
    ] {
        for status in statuses {
            assert_eq!(bench.ask(push(device, &token, &[], ALERT)).await.0, status, "{device}");
        }
    }
    let gone = bench.ask(push("dead-ago60-a", &token, &[], ALERT)).await.1;
    assert_eq!(gone, json!({"reason": "Unregistered", "timestamp": (NOW_S - 60) * 1_000}));
    let cut = bench.apns.answer(&bench.world, push("goaway-b", &token, &[], ALERT)).await;
    assert!(matches!(cut, Reply::Goaway { status: 503, .. }));
}

#[tokio::test]
async fn the_world_is_obeyed() {
    let bench = bench(false);
    let token = bench.token();
    bench.world.set_quotas(VENDOR, Quotas { rate: Some(1), day: None });
    assert_eq!(bench.reason(push("ok-1", &token, &[], ALERT)).await, "taken");
    assert_eq!(bench.reason(push("ok-2", &token, &[], ALERT)).await, "TooManyRequests");
    bench.world.set_quotas(VENDOR, Quotas::default());
    for (condition, reason) in [
        (Condition::Down, "ServiceUnavailable"),
        (Condition::CredentialRefused, "InvalidProviderToken"),
        (Condition::TokensRevoked, "ExpiredProviderToken"),
    ] {
        bench.world.set_condition(VENDOR, condition);
        assert_eq!(bench.reason(push("ok-1", &token, &[], ALERT)).await, reason);
    }
    let fresh = bench.token();
    assert_eq!(bench.reason(push("ok-1", &fresh, &[], ALERT)).await, "taken");
    bench.world.set_offset_ms(VENDOR, 7_200_000);
    assert_eq!(bench.reason(push("ok-1", &fresh, &[], ALERT)).await, "ExpiredProviderToken");
    let old = Asked { is_http2: false, ..push("ok-1", &fresh, &[], ALERT) };
    assert!(matches!(bench.apns.answer(&bench.world, old).await, Reply::Cut));
}

#[tokio::test]
async fn a_live_activity_that_no_phone_understands_is_taken_and_dropped() {
    let bench = bench(false);
    let token = bench.token();
    let headers =
        [("apns-push-type", "liveactivity"), ("apns-topic", "com.example.app.push-type.liveactivity")];
    for (aps, dropped) in [
        (json!({"timestamp": 20, "event": "update", "content-state": {}}), Value::Null),
        (json!({"timestamp": 10, "event": "end", "content-state": {}}), json!("older than what is shown")),
        (json!({"event": "update", "content-state": {}}), json!("no timestamp in seconds")),
        (json!({"timestamp": 30, "event": "start", "content-state": {}}), json!("no attributes-type")),
    ] {
        let body = json!({"aps": aps}).to_string();
        assert_eq!(bench.reason(push("ok-live", &token, &headers, &body)).await, "taken");
        let taken = bench.world.capture.taken(VENDOR);
        assert_eq!(taken.last().unwrap().content["dropped"], dropped);
    }
}

use carillon_actors::clock::Clock;
use carillon_sdk::Timestamp;
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral};
use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};

use super::super::{asking, jwt};
use super::*;
use crate::lab::Quotas;

const NOW_S: u64 = 1_764_000_000;
const HOST: &str = "push.example.net:8443";

struct Bench {
    push: WebPush,
    world: World,
}

fn bench() -> Bench {
    let clock = Clock::manual(Timestamp::from_millis(NOW_S * 1_000));
    Bench { push: WebPush::new(), world: World::new(clock, false) }
}

fn authorization(setup: &Value, claims: &Value) -> String {
    let decode = |name: &str| URL_SAFE_NO_PAD.decode(setup[name].as_str().unwrap()).unwrap();
    let (secret, public) = (decode("private_key"), decode("public_key"));
    let random = SystemRandom::new();
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let pair = EcdsaKeyPair::from_private_key_and_public_key(algorithm, &secret, &public, &random).unwrap();
    let header = json!({"alg": "ES256", "typ": "JWT"});
    let token = jwt::write(&header, claims, |signed| pair.sign(&random, signed).unwrap().as_ref().to_vec());
    format!("vapid t={token}, k={}", setup["public_key"].as_str().unwrap())
}

fn claims() -> Value {
    json!({"aud": format!("https://{HOST}"), "exp": NOW_S + 43_200, "sub": "mailto:push@example.com"})
}

struct Bytes(usize);

impl KeyType for Bytes {
    fn len(&self) -> usize {
        self.0
    }
}

fn derive(salt: &[u8], secret: &[u8], info: &[u8], bytes: usize) -> Vec<u8> {
    let mut out = vec![0; bytes];
    Salt::new(HKDF_SHA256, salt)
        .extract(secret)
        .expand(&[info], Bytes(bytes))
        .unwrap()
        .fill(&mut out)
        .unwrap();
    out
}

/// As an app server encrypts: RFC 8291, section 3.
fn encrypted(subscription: &Value, plain: &[u8]) -> Vec<u8> {
    let decode = |name: &str| URL_SAFE_NO_PAD.decode(subscription["keys"][name].as_str().unwrap()).unwrap();
    let (theirs, auth) = (decode("p256dh"), decode("auth"));
    let ours = EphemeralPrivateKey::generate(&ECDH_P256, &SystemRandom::new()).unwrap();
    let public = ours.compute_public_key().unwrap().as_ref().to_vec();
    let peer = UnparsedPublicKey::new(&ECDH_P256, &theirs);
    let shared = agree_ephemeral(ours, &peer, <[u8]>::to_vec).unwrap();
    let context = [b"WebPush: info\0".as_slice(), &theirs, &public].concat();
    let ikm = derive(&auth, &shared, &context, 32);
    let salt = [7; 16];
    let key = derive(&salt, &ikm, b"Content-Encoding: aes128gcm\0", 16);
    let nonce = derive(&salt, &ikm, b"Content-Encoding: nonce\0", 12);
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).unwrap());
    let mut record = [plain, &[2]].concat();
    let nonce = Nonce::try_assume_unique_for_key(&nonce).unwrap();
    key.seal_in_place_append_tag(nonce, Aad::empty(), &mut record).unwrap();
    [salt.as_slice(), &4_096_u32.to_be_bytes(), &[65], &public, &record].concat()
}

impl Bench {
    fn asked(&self, token: &str, with: &[(&str, &str)], body: Vec<u8>) -> Asked {
        let vapid = authorization(&self.push.setup().0, &claims());
        let mut headers = vec![
            ("host", HOST),
            ("authorization", vapid.as_str()),
            ("ttl", "60"),
            ("content-encoding", "aes128gcm"),
        ];
        headers.retain(|(name, _)| !with.iter().any(|(other, _)| name == other));
        headers.extend(with.iter().filter(|(_, value)| *value != "-"));
        asking::post(&format!("{PATH}{token}"), &headers, body)
    }

    async fn status(&self, asked: Asked) -> u16 {
        self.push.answer(&self.world, asked).await.status()
    }
}

#[tokio::test]
async fn what_was_encrypted_to_a_subscription_is_captured_in_clear() {
    let bench = bench();
    let subscription = bench.push.subscription("https://push.example.net:8443/", "ok-1");
    assert_eq!(subscription["endpoint"], "https://push.example.net:8443/wpush/v2/ok-1");
    let body = encrypted(&subscription, br#"{"title":"Paid","body":"Order 7781"}"#);
    let asked = bench.asked("ok-1", &[("urgency", "high"), ("topic", "order-7781")], body);
    let reply = bench.push.answer(&bench.world, asked).await;
    assert_eq!(reply.status(), 201);
    assert!(reply.header("location").unwrap().starts_with("https://push.example.net:8443/m/"));
    let taken = bench.world.capture.taken(VENDOR);
    assert_eq!(
        (&taken[0].content["title"], &taken[0].content["topic"]),
        (&json!("Paid"), &json!("order-7781"))
    );
}

#[tokio::test]
async fn what_was_encrypted_to_another_is_refused() {
    let bench = bench();
    let other = bench.push.subscription("https://push.example.net", "ok-2");
    assert_eq!(bench.status(bench.asked("ok-1", &[], encrypted(&other, b"hi"))).await, 400);
    assert!(bench.world.capture.taken(VENDOR).is_empty());
}

#[tokio::test]
async fn headers_are_held_to_the_rfc() {
    let bench = bench();
    let body = encrypted(&bench.push.subscription("https://x", "ok-1"), b"hi");
    let long = "t".repeat(33);
    let rows: [(&[(&str, &str)], u16); 11] = [
        (&[], 201),
        (&[("ttl", "-")], 400),
        (&[("ttl", "soon")], 400),
        (&[("ttl", "0")], 201),
        (&[("urgency", "very-low")], 201),
        (&[("urgency", "urgent")], 400),
        (&[("topic", "with space")], 400),
        (&[("topic", &long)], 400),
        (&[("content-encoding", "aesgcm")], 400),
        (&[("content-encoding", "-")], 400),
        (&[("authorization", "-")], 401),
    ];
    for (headers, status) in rows {
        assert_eq!(bench.status(bench.asked("ok-1", headers, body.clone())).await, status, "{headers:?}");
    }
    assert_eq!(bench.status(bench.asked("ok-1", &[], vec![0; 4_097])).await, 413);
    assert_eq!(bench.status(bench.asked("ok-1", &[("content-encoding", "-")], Vec::new())).await, 201);
    let elsewhere = Asked { path: "/wpush/v1/ok-1".to_owned(), ..bench.asked("ok-1", &[], Vec::new()) };
    assert_eq!(bench.status(elsewhere).await, 404);
}

#[tokio::test]
async fn who_sends_is_verified() {
    let bench = bench();
    let setup = bench.push.setup().0;
    for (claim, value, status) in [
        ("aud", json!(format!("https://{HOST}")), 201),
        ("aud", json!("https://elsewhere.example.net"), 401),
        ("aud", json!(format!("https://{HOST}/wpush/v2/ok-1")), 401),
        ("exp", json!(NOW_S - 61), 401),
        ("exp", json!(NOW_S + 86_400), 201),
        ("exp", json!(NOW_S + 2 * 86_400), 401),
        ("sub", json!("push@example.com"), 401),
        ("sub", json!("https://example.com/contact"), 201),
    ] {
        let mut wrong = claims();
        wrong[claim] = value;
        let vapid = authorization(&setup, &wrong);
        let asked = bench.asked("ok-1", &[("authorization", &vapid)], Vec::new());
        assert_eq!(bench.status(asked).await, status, "{wrong}");
    }
    let mut forged = authorization(&setup, &claims());
    forged = forged.replacen("vapid t=e", "vapid t=f", 1);
    assert_eq!(bench.status(bench.asked("ok-1", &[("authorization", &forged)], Vec::new())).await, 401);
    let stranger = authorization(&WebPush::new().setup().0, &claims());
    assert_eq!(bench.status(bench.asked("ok-1", &[("authorization", &stranger)], Vec::new())).await, 403);
}

#[tokio::test]
async fn a_scripted_endpoint_meets_its_fate() {
    let bench = bench();
    for (token, statuses) in [
        ("dead-1", vec![410, 410]),
        ("flaky-2-a", vec![503, 503, 201]),
        ("throttle-a", vec![429, 201]),
        ("quota-a", vec![429, 429]),
        ("bad-a", vec![400]),
        ("config-a", vec![403]),
        ("down-a", vec![500, 201]),
        ("html-a", vec![502, 201]),
        ("silent-a", vec![0, 201]),
        ("cut-a", vec![0, 201]),
        ("say-404-a", vec![404, 404]),
        ("say-301-a", vec![301]),
    ] {
        for status in statuses {
            assert_eq!(bench.status(bench.asked(token, &[], Vec::new())).await, status, "{token}");
        }
    }
    let asked = bench.asked("throttle-b", &[], Vec::new());
    assert_eq!(bench.push.answer(&bench.world, asked).await.header("retry-after"), Some("1"));
}

#[tokio::test]
async fn the_world_is_obeyed() {
    let bench = bench();
    bench.world.set_quotas(VENDOR, Quotas { rate: Some(1), day: None });
    assert_eq!(bench.status(bench.asked("ok-1", &[], Vec::new())).await, 201);
    assert_eq!(bench.status(bench.asked("ok-1", &[], Vec::new())).await, 429);
    bench.world.set_quotas(VENDOR, Quotas::default());
    let known = bench.asked("ok-1", &[], Vec::new());
    assert_eq!(bench.status(known.clone()).await, 201);
    for (condition, status) in
        [(Condition::Down, 503), (Condition::CredentialRefused, 403), (Condition::TokensRevoked, 401)]
    {
        bench.world.set_condition(VENDOR, condition);
        assert_eq!(bench.status(known.clone()).await, status);
    }
    assert_eq!(bench.status(bench.asked("ok-1", &[], Vec::new())).await, 201);
}

#[tokio::test]
async fn the_lenient_one_lets_through_what_the_documents_leave_unsure() {
    for (is_lenient, status) in [(false, 401), (true, 201)] {
        let mut bench = bench();
        bench.world.is_lenient = is_lenient;
        // A key with padding, as some libraries print it.
        let vapid = authorization(&bench.push.setup().0, &claims()) + "=";
        let body = encrypted(&bench.push.subscription("https://x", "ok-1"), b"hi");
        assert_eq!(bench.status(bench.asked("ok-1", &[("authorization", &vapid)], body)).await, status);
    }
}

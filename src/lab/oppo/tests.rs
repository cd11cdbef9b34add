use std::time::Duration;

use carillon_actors::clock::Clock;
use carillon_sdk::Timestamp;

use super::*;
use crate::lab::Quotas;

struct Lab {
    world: World,
    oppo: Oppo,
}

const SEND: &str = "/server/v1/message/notification/";

impl Lab {
    fn new() -> Self {
        let clock = Clock::manual(Timestamp::from_millis(1_764_000_000_000));
        Self { world: World::new(clock, false), oppo: Oppo::default() }
    }

    async fn raw(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let asked = Asked {
            method: "POST".to_owned(),
            path: path.to_owned(),
            query: String::new(),
            headers: vec![("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned())],
            body: body.into(),
            is_http2: false,
            connection: 1,
            certificate: None,
        };
        self.oppo.answer(&self.world, asked).await
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Value {
        let reply = self.raw(path, fields).await;
        let Reply::Answer { status: 200, body, .. } = reply else { panic!("{reply:?}") };
        serde_json::from_slice(&body).unwrap()
    }

    async fn authorize(&self, late_ms: i64, secret: &str) -> Value {
        let at = self.world.clock.now().as_millis().saturating_add_signed(late_ms).to_string();
        let sign = hex::encode(Sha256::digest(format!("{APP_KEY}{at}{secret}")));
        self.post("/server/v1/auth", &[("app_key", APP_KEY), ("timestamp", &at), ("sign", &sign)]).await
    }

    async fn token(&self) -> String {
        self.authorize(0, MASTER_SECRET).await["data"]["auth_token"].as_str().unwrap().to_owned()
    }

    async fn unicast(&self, id: &str, changes: &Value) -> Value {
        let token = self.token().await;
        let message = message(id, changes).to_string();
        self.post(&format!("{SEND}unicast"), &[("auth_token", &token), ("message", &message)]).await
    }

    fn taken(&self) -> Vec<String> {
        self.world.capture.taken(VENDOR).into_iter().map(|taken| taken.token).collect()
    }
}

/// A good one with changes: null takes a field away.
fn message(id: &str, changes: &Value) -> Value {
    let mut fields = json!({"title": "Paid", "content": "Order 7781", "style": 1, "click_action_type": 0,
        "off_line": true, "off_line_ttl": 3600});
    for (name, value) in changes.as_object().unwrap() {
        fields[name] = value.clone();
    }
    json!({"target_type": 2, "target_value": id, "notification": fields})
}

#[tokio::test]
async fn a_token_is_given_for_a_signature_of_the_master_secret_within_ten_minutes() {
    let lab = Lab::new();
    assert_eq!(lab.authorize(0, MASTER_SECRET).await["code"], 0);
    assert_eq!(lab.authorize(600_000, MASTER_SECRET).await["code"], 0);
    assert_eq!(lab.authorize(600_001, MASTER_SECRET).await["code"], 19);
    assert_eq!(lab.authorize(-600_001, MASTER_SECRET).await["code"], 19);
    assert_eq!(lab.authorize(0, "app-secret").await["code"], 16);
    assert_eq!(lab.post("/server/v1/auth", &[("app_key", "x")]).await["code"], 17);
    lab.world.set_condition(VENDOR, Condition::CredentialRefused);
    assert_eq!(lab.authorize(0, MASTER_SECRET).await["code"], 16);
}

#[tokio::test]
async fn a_token_lives_a_day_and_dies_when_all_are_revoked() {
    let lab = Lab::new();
    let token = lab.token().await;
    let message = message("ok-1", &json!({})).to_string();
    let path = format!("{SEND}unicast");
    let fields = [("auth_token", &*token), ("message", &*message)];
    let send = || lab.post(&path, &fields);
    assert_eq!(send().await["code"], 0);
    assert_eq!(lab.post(&path, &[("message", &message)]).await["code"], 29);
    lab.world.set_condition(VENDOR, Condition::TokensRevoked);
    assert_eq!(send().await["code"], 11);
    let new = lab.token().await;
    assert_eq!(lab.post(&path, &[("auth_token", &new), ("message", &message)]).await["code"], 0);
    lab.world.clock.advance(Duration::from_secs(86_400));
    assert_eq!(lab.post(&path, &[("auth_token", &new), ("message", &message)]).await["code"], 11);
}

#[tokio::test]
async fn each_fate_of_a_registration_id_has_its_code() {
    for (id, code) in [
        ("ok-1", 0),
        ("OPPO_CN_0123456789abcdef0123456789abcdef", 0),
        ("CN_0123456789abcdef0123456789abcdef", 0),
        ("0123456789abcdef0123456789abcdef", 0),
        ("OPPO_IN_0123456789abcdef0123456789abcdef", 10_000),
        ("something", 10_000),
        ("dead-1", 10_000),
        ("bad-1", 10_001),
        ("quota-1", 33),
        ("throttle-1", 13),
        ("flaky-1", -1),
        ("config-1", 28),
    ] {
        assert_eq!(Lab::new().unicast(id, &json!({})).await["code"], code, "{id}");
    }
}

#[tokio::test]
async fn every_field_is_held_to_its_rule() {
    let emoji = "😀".repeat(50);
    for (changes, code) in [
        (json!({"title": emoji}), 0),
        (json!({"title": format!("{emoji}x")}), 41),
        (json!({"title": null}), 40),
        (json!({"content": "字".repeat(200)}), 0),
        (json!({"content": "字".repeat(201)}), 41),
        (json!({"content": "字".repeat(129), "style": 2}), 41),
        (json!({"style": 3}), 41),
        (json!({"sub_title": "12345678901"}), 41),
        (json!({"click_action_type": 3}), 41),
        (json!({"click_action_type": 2}), 40),
        (json!({"click_action_type": 2, "click_action_url": "https://example.com"}), 0),
        (json!({"action_parameters": {"k": "v"}}), 0),
        (json!({"action_parameters": "k=v"}), 41),
        (json!({"off_line_ttl": 864_001}), 41),
        (json!({"notify_level": 2}), 67),
        (json!({"notify_level": 2, "category": "ORDER"}), 0),
        (json!({"notify_level": 3, "category": "ORDER"}), 41),
        (json!({"offLineTtl": 3600}), 41),
        (json!({"call_back_url": "u".repeat(201)}), 41),
    ] {
        let answer = Lab::new().unicast("ok-1", &changes).await;
        assert_eq!(answer["code"], code, "{changes}");
    }
}

#[tokio::test]
async fn each_of_a_batch_has_its_own_code() {
    let lab = Lab::new();
    let token = lab.token().await;
    let messages: Vec<_> = ["ok-1", "dead-2", "flaky-1-x"].iter().map(|id| message(id, &json!({}))).collect();
    let messages = json!(messages).to_string();
    let path = format!("{SEND}unicast_batch");
    let answer = lab.post(&path, &[("auth_token", &token), ("messages", &messages)]).await;
    let codes: Vec<_> =
        answer["data"].as_array().unwrap().iter().map(|one| one["errorCode"].as_i64()).collect();
    assert_eq!(codes, [None, Some(10_000), Some(-1)]);
    assert_eq!(lab.taken(), ["ok-1"]);
    let many = json!(vec![message("ok-1", &json!({})); 1_001]).to_string();
    assert_eq!(lab.post(&path, &[("auth_token", &token), ("messages", &many)]).await["code"], 41);
}

#[tokio::test]
async fn a_broadcast_lists_its_bad_ids_under_their_codes() {
    let lab = Lab::new();
    let token = lab.token().await;
    let saved = [
        ("auth_token", &*token),
        ("title", "Paid"),
        ("content", "Order"),
        ("off_line", "true"),
        ("call_back_url", "https://push.example.com/cb"),
        ("call_back_parameter", "job42"),
    ];
    let saved = lab.post(&format!("{SEND}save_message_content"), &saved).await;
    let id = saved["data"]["message_id"].as_str().unwrap();
    assert_eq!(id.len(), 24);
    let path = format!("{SEND}broadcast");
    let fields =
        |value| [("auth_token", &*token), ("message_id", id), ("target_type", "2"), ("target_value", value)];
    let answer = lab.post(&path, &fields("ok-1;dead-2;dead-3;bad-4;ok-5")).await;
    assert_eq!(answer["data"]["10000"], "dead-2;dead-3");
    assert_eq!(answer["data"]["10001"], "bad-4");
    assert_eq!(lab.taken(), ["ok-1", "ok-5"]);
    assert_eq!(lab.post(&path, &fields("ok-1;flaky-1-x")).await["code"], -1);
    assert_eq!(lab.post(&path, &fields("ok-6;flaky-1-x")).await["code"], 0);
    let letters = lab.world.outbox.take();
    let receipt: Value = serde_json::from_str(&letters[0].body).unwrap();
    assert_eq!(receipt[0]["eventType"], "push_arrive");
    assert_eq!(receipt[0]["param"], "job42");
    let nobody = [("auth_token", &*token), ("message_id", "x"), ("target_type", "2"), ("target_value", "a")];
    assert_eq!(lab.post(&path, &nobody).await["code"], 31);
}

#[tokio::test]
async fn a_repeat_with_the_same_id_is_not_taken_again() {
    let lab = Lab::new();
    let first = lab.unicast("ok-1", &json!({"app_message_id": "m-42"})).await;
    let again = lab.unicast("ok-1", &json!({"app_message_id": "m-42"})).await;
    assert_eq!(first["data"]["messageId"], again["data"]["messageId"]);
    lab.unicast("ok-2", &json!({"app_message_id": "m-42"})).await;
    assert_eq!(lab.taken(), ["ok-1", "ok-2"]);
}

#[tokio::test]
async fn rate_and_quota_have_codes_of_their_own() {
    let lab = Lab::new();
    lab.world.set_quotas(VENDOR, Quotas { rate: Some(1), day: Some(1) });
    assert_eq!(lab.unicast("ok-1", &json!({})).await["code"], 0);
    assert_eq!(lab.unicast("ok-2", &json!({})).await["code"], 13);
    lab.world.clock.advance(Duration::from_secs(1));
    assert_eq!(lab.unicast("ok-2", &json!({})).await["code"], 33);
}

#[tokio::test]
async fn an_answer_that_never_comes_was_taken() {
    let lab = Lab::new();
    let token = lab.token().await;
    let silent = message("silent-1-x", &json!({"app_message_id": "m-1"})).to_string();
    let path = format!("{SEND}unicast");
    let fields = [("auth_token", &*token), ("message", &*silent)];
    assert!(matches!(lab.raw(&path, &fields).await, Reply::Silence));
    assert!(matches!(lab.raw(&path, &fields).await, Reply::Answer { status: 200, .. }));
    assert_eq!(lab.taken(), ["silent-1-x"]);
}

#[tokio::test]
async fn the_lenient_one_lets_through_what_the_documents_leave_unsure() {
    for (is_lenient, is_taken) in [(false, false), (true, true)] {
        let mut lab = Lab::new();
        lab.world.is_lenient = is_lenient;
        // The document's sample is in camelCase, and ids of other makers are seen.
        for (id, changes) in [("ok-1", json!({"clickActionType": 0})), ("somebody", json!({}))] {
            assert_eq!(lab.unicast(id, &changes).await["code"] == 0, is_taken, "{id} {changes}");
        }
    }
}

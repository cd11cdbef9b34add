use std::time::Duration;

use carillon_actors::clock::Clock;
use carillon_sdk::Timestamp;

use super::*;
use crate::lab::Quotas;

struct Lab {
    world: World,
    vivo: Vivo,
}

impl Lab {
    fn new() -> Self {
        let clock = Clock::manual(Timestamp::from_millis(1_764_000_000_000));
        Self { world: World::new(clock, false), vivo: Vivo::default() }
    }

    async fn raw(&self, path: &str, token: &str, body: &Value) -> Reply {
        let asked = Asked {
            method: "POST".to_owned(),
            path: path.to_owned(),
            query: String::new(),
            headers: vec![
                ("content-type".to_owned(), "application/json".to_owned()),
                ("authtoken".to_owned(), token.to_owned()),
            ],
            body: body.to_string().into(),
            is_http2: false,
            connection: 1,
            certificate: None,
        };
        self.vivo.answer(&self.world, asked).await
    }

    async fn post(&self, path: &str, token: &str, body: &Value) -> Value {
        let reply = self.raw(path, token, body).await;
        let Reply::Answer { status: 200, body, .. } = reply else { panic!("{reply:?}") };
        serde_json::from_slice(&body).unwrap()
    }

    async fn authorize(&self, late_ms: i64, secret: &str) -> Value {
        let at = self.world.clock.now().as_millis().saturating_add_signed(late_ms);
        let sign = hex::encode(Md5::digest(format!("{APP_ID}{APP_KEY}{at}{secret}")));
        let body = json!({"appId": APP_ID, "appKey": APP_KEY, "timestamp": at, "sign": sign});
        self.post("/message/auth", "", &body).await
    }

    async fn token(&self) -> String {
        self.authorize(0, APP_SECRET).await["authToken"].as_str().unwrap().to_owned()
    }

    async fn send(&self, id: &str, changes: &Value) -> Value {
        let token = self.token().await;
        let mut body = content(changes);
        body["regId"] = json!(id);
        self.post("/message/send", &token, &body).await
    }

    async fn list(&self, token: &str, task: &str, ids: &[&str]) -> Value {
        let body = json!({"appId": APP_ID, "taskId": task, "requestId": "m-42", "regIds": ids});
        self.post("/message/pushToList", token, &body).await
    }

    fn taken(&self) -> Vec<String> {
        self.world.capture.taken(VENDOR).into_iter().map(|taken| taken.token).collect()
    }
}

/// A good one with changes: null takes a field away.
fn content(changes: &Value) -> Value {
    let mut body = json!({"appId": APP_ID, "notifyType": 4, "title": "Paid", "content": "Order 7781",
        "timeToLive": 3600, "skipType": 1, "classification": 1, "category": "ORDER", "requestId": "m-42",
        "extra": {"callback": "https://push.example.com/cb", "callback.param": "job42"}});
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

#[tokio::test]
async fn a_token_is_given_for_a_signature_within_ten_minutes_ten_times_a_second() {
    let lab = Lab::new();
    for (late_ms, secret, result) in [
        (0, APP_SECRET, 0),
        (600_000, APP_SECRET, 0),
        (600_001, APP_SECRET, 10_207),
        (-600_001, APP_SECRET, 10_207),
        (0, "another", 10_205),
    ] {
        assert_eq!(lab.authorize(late_ms, secret).await["result"], result, "{late_ms}");
    }
    for _ in 0..5 {
        assert_eq!(lab.authorize(0, APP_SECRET).await["result"], 0);
    }
    assert_eq!(lab.authorize(0, APP_SECRET).await["result"], 10_072);
    lab.world.clock.advance(Duration::from_secs(1));
    assert_eq!(lab.authorize(0, APP_SECRET).await["result"], 0);
}

#[tokio::test]
async fn a_token_lives_a_day() {
    let lab = Lab::new();
    let token = lab.token().await;
    let mut body = content(&json!({"regId": "ok-1"}));
    assert_eq!(lab.post("/message/send", &token, &body).await["result"], 0);
    assert_eq!(lab.post("/message/send", "", &body).await["result"], 10_000);
    body["appId"] = json!(7);
    assert_eq!(lab.post("/message/send", &token, &body).await["result"], 10_094);
    lab.world.clock.advance(Duration::from_secs(86_400));
    assert_eq!(lab.post("/message/send", &token, &body).await["result"], 10_000);
}

#[tokio::test]
async fn each_fate_of_a_single_target_has_its_result() {
    for (id, result) in [
        ("ok-1", 0),
        ("dead-1", 10_302),
        ("bad-1", 10_103),
        ("quota-1", 10_073),
        ("throttle-1", 10_072),
        ("flaky-1", 10_040),
        ("config-1", 10_043),
    ] {
        assert_eq!(Lab::new().send(id, &json!({})).await["result"], result, "{id}");
    }
    let dead = Lab::new().send("dead-2-x", &json!({})).await;
    assert_eq!(dead["invalidUser"], json!({"status": 2, "userid": "dead-2-x"}));
}

#[tokio::test]
async fn every_field_is_held_to_its_rule() {
    for (changes, result) in [
        (json!({"title": "字".repeat(40)}), 0),
        (json!({"title": "字".repeat(41)}), 10_056),
        (json!({"title": null}), 10_055),
        (json!({"content": "字".repeat(101)}), 10_058),
        (json!({"notifyType": 5}), 10_054),
        (json!({"skipType": 2}), 10_060),
        (json!({"skipType": 2, "skipContent": "https://example.com"}), 0),
        (json!({"timeToLive": 59}), 10_065),
        (json!({"timeToLive": 86_401}), 10_065),
        (json!({"timeToLive": "3600"}), 10_065),
        (json!({"requestId": "x".repeat(65)}), 10_067),
        (json!({"classification": 0}), 10_097),
        (json!({"category": "MARKETING"}), 10_097),
        (json!({"category": "order"}), 10_096),
        (json!({"classification": 0, "category": "MARKETING"}), 0),
        (json!({"notifyId": 0}), 10_095),
        (json!({"clientCustomMap": {"k": 1}}), 10_352),
        (json!({"clientCustomMap": {"k": "v".repeat(1_024)}}), 10_352),
        (json!({"extra": {"callback": "u".repeat(129)}}), 10_353),
    ] {
        let answer = Lab::new().send("ok-1", &changes).await;
        assert_eq!(answer["result"], result, "{changes}");
    }
}

#[tokio::test]
async fn a_list_names_its_bad_and_takes_two_to_a_thousand() {
    let lab = Lab::new();
    let token = lab.token().await;
    let saved = lab.post("/message/saveListPayload", &token, &content(&json!({}))).await;
    let task = saved["taskId"].as_str().unwrap();
    let answer = lab.list(&token, task, &["ok-1", "dead-2-x", "dead-y", "ok-4"]).await;
    assert_eq!(answer["result"], 0);
    let invalid = json!([{"userid": "dead-2-x", "status": 2}, {"userid": "dead-y", "status": 1}]);
    assert_eq!(answer["invalidUsers"], invalid);
    assert_eq!(lab.taken(), ["ok-1", "ok-4"]);
    assert_eq!(lab.list(&token, task, &["ok-1"]).await["result"], 10_153);
    assert_eq!(lab.list(&token, task, &["x"; 1_001]).await["result"], 10_152);
    assert_eq!(lab.list(&token, "none", &["a", "b"]).await["result"], 10_155);
    assert_eq!(lab.list(&token, task, &["ok-1", "ok-5"]).await["result"], 0, "a repeat for one of them");
    assert_eq!(lab.taken(), ["ok-1", "ok-4", "ok-5"]);
    let receipt: Value = serde_json::from_str(&lab.world.outbox.take()[0].body).unwrap();
    assert_eq!(receipt[task]["param"], "job42");
}

#[tokio::test]
async fn the_quota_spent_is_that_of_the_messages_class() {
    let lab = Lab::new();
    lab.world.set_quotas(VENDOR, Quotas { rate: None, day: Some(1) });
    assert_eq!(lab.send("ok-1", &json!({})).await["result"], 0);
    assert_eq!(lab.send("ok-2", &json!({})).await["result"], 10_073);
    let operation = json!({"classification": 0, "category": "NEWS"});
    assert_eq!(lab.send("ok-2", &operation).await["result"], 10_070);
    lab.world.clock.advance(Duration::from_secs(86_400));
    assert_eq!(lab.send("ok-2", &json!({})).await["result"], 0);
}

#[tokio::test]
async fn what_was_taken_and_not_answered_is_not_taken_twice() {
    let lab = Lab::new();
    let token = lab.token().await;
    let body = content(&json!({"regId": "cut-1-x"}));
    assert!(matches!(lab.raw("/message/send", &token, &body).await, Reply::Cut));
    assert_eq!(lab.post("/message/send", &token, &body).await["result"], 0);
    assert_eq!(lab.taken(), ["cut-1-x"]);
}

#[tokio::test]
async fn the_lenient_one_lets_through_what_the_documents_leave_unsure() {
    for (is_lenient, result) in [(false, 10_150), (true, 0)] {
        let mut lab = Lab::new();
        lab.world.is_lenient = is_lenient;
        let token = lab.token().await;
        let targeted = content(&json!({"regId": "ok-1"}));
        assert_eq!(lab.post("/message/saveListPayload", &token, &targeted).await["result"], result);
    }
}

use std::collections::BTreeMap;
use std::time::Duration;

use carillon_actors::clock::Clock;
use carillon_sdk::Timestamp;

use super::*;
use crate::lab::Quotas;

struct Lab {
    world: World,
    xiaomi: Xiaomi,
}

impl Lab {
    fn new() -> Self {
        let clock = Clock::manual(Timestamp::from_millis(1_764_000_000_000));
        Self { world: World::new(clock, false), xiaomi: Xiaomi::default() }
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let asked = Asked {
            method: "POST".to_owned(),
            path: path.to_owned(),
            query: String::new(),
            headers: vec![
                ("authorization".to_owned(), format!("key={SECRET}")),
                ("content-type".to_owned(), "application/x-www-form-urlencoded;charset=UTF-8".to_owned()),
            ],
            body: body.into(),
            is_http2: false,
            connection: 1,
            certificate: None,
        };
        self.xiaomi.answer(&self.world, asked).await
    }

    /// A good notification with changes: an empty value takes a field away.
    async fn push(&self, regids: &str, changes: &[(&str, &str)]) -> Value {
        let mut fields = BTreeMap::from(GOOD);
        fields.insert("registration_id", regids);
        fields.extend(changes.iter().copied());
        fields.retain(|_, value| !value.is_empty());
        let fields: Vec<_> = fields.into_iter().collect();
        json_of(self.post("/v3/message/regid", &fields).await)
    }

    fn taken(&self) -> Vec<String> {
        self.world.capture.taken(VENDOR).into_iter().map(|taken| taken.token).collect()
    }
}

const GOOD: [(&str, &str); 5] = [
    ("restricted_package_name", PACKAGE),
    ("title", "Paid"),
    ("description", "Order 7781"),
    ("notify_id", "7781"),
    ("time_to_live", "86400000"),
];

fn json_of(reply: Reply) -> Value {
    let Reply::Answer { status: 200, body, .. } = reply else { panic!("{reply:?}") };
    serde_json::from_slice(&body).unwrap()
}

#[tokio::test]
async fn a_batch_is_answered_with_one_id_and_its_dead_come_by_receipt() {
    let lab = Lab::new();
    let answer = lab
        .push(
            "ok-1,dead-2,ok-3",
            &[("extra.callback", "https://push.example.com/cb"), ("extra.callback.type", "17")],
        )
        .await;
    assert_eq!((answer["code"].as_u64(), answer["result"].as_str()), (Some(0), Some("ok")));
    assert!(!answer.to_string().contains("dead-2"));
    assert_eq!(lab.taken(), ["ok-1", "ok-3"]);
    let letters = lab.world.outbox.take();
    assert_eq!(letters.len(), 3);
    let (_, data) = form_urlencoded::parse(letters[1].body.as_bytes()).next().unwrap();
    let data: Value = serde_json::from_str(&data).unwrap();
    let receipt = &data[answer["data"]["id"].as_str().unwrap()];
    assert_eq!((receipt["type"].as_u64(), receipt["targets"].as_str()), (Some(16), Some("dead-2")));
}

#[tokio::test]
async fn each_fate_of_a_single_regid_has_its_code() {
    for (regid, code) in [
        ("ok-1", 0),
        ("dead-1", 66_007),
        ("bad-1", 10_041),
        ("quota-1", 200_001),
        ("throttle-1-x", 200_002),
        ("flaky-1-x", 10_002),
        ("config-1", 22_022),
        ("dead-1,dead-2", 20_301),
    ] {
        assert_eq!(Lab::new().push(regid, &[]).await["code"], code, "{regid}");
    }
}

#[tokio::test]
async fn every_field_is_held_to_its_rule() {
    let long = "字".repeat(128);
    for (field, value, code) in [
        ("restricted_package_name", "com.other", 22_022),
        ("restricted_package_name", "", 10_016),
        ("title", "", 10_016),
        ("title", " ", 10_041),
        ("title", &long[..150], 10_017),
        ("title", &long[..147], 0),
        ("description", &long, 10_017),
        ("description", &long[..381], 0),
        ("pass_through", "1", 10_017),
        ("pass_through", "0", 0),
        ("time_to_live", "864000001", 10_017),
        ("time_to_live", "1h", 10_017),
        ("notify_id", "2147483648", 10_017),
        ("notify_type", "8", 10_017),
        ("notify_type", "-1", 0),
        ("extra.notify_effect", "2", 10_016),
        ("extra.notify_effect", "4", 10_017),
        ("extra.jobkey", "123456789012345678901", 10_017),
        ("extra.callback", "push.example.com", 65_036),
        ("extra.x", &"y".repeat(1_025), 10_017),
        ("extra.flow_control", "2999", 10_017),
        ("extra.template_id", "P1", 10_016),
    ] {
        assert_eq!(Lab::new().push("ok-1", &[(field, value)]).await["code"], code, "{field}={value}");
    }
}

#[tokio::test]
async fn a_repeat_with_the_same_jobkey_is_not_shown_again() {
    let lab = Lab::new();
    for _ in 0..2 {
        assert_eq!(lab.push("ok-1", &[("extra.jobkey", "m-42")]).await["code"], 0);
    }
    lab.push("ok-1", &[("extra.jobkey", "m-43")]).await;
    assert_eq!(lab.taken().len(), 2);
}

#[tokio::test]
async fn each_of_many_has_its_own_words_and_the_quota_is_no_code() {
    let lab = Lab::new();
    let one = |target: &str, title: &str| {
        json!({"target": target, "message": {"restricted_package_name": PACKAGE, "title": title,
            "description": "d", "notify_id": 1, "extra": {"channel_id": "110001"}}})
    };
    let messages = json!([one("ok-1", "a"), one("ok-2", "b"), one("dead-3", "c")]).to_string();
    let path = "/v2/multi_messages/regids";
    assert_eq!(json_of(lab.post(path, &[("messages", &messages)]).await)["code"], 0);
    let titles: Vec<_> =
        lab.world.capture.taken(VENDOR).iter().map(|taken| taken.content["title"].clone()).collect();
    assert_eq!(titles, ["a", "b"]);
    lab.world.set_quotas(VENDOR, Quotas { day: Some(1), ..Quotas::default() });
    let answer = json_of(lab.post(path, &[("messages", &messages)]).await);
    assert_eq!(answer["code"], 0);
    assert_eq!(answer["data"]["channel_exceed_quota"][0], "110001");
    assert_eq!(lab.taken().len(), 2);
}

#[tokio::test]
async fn rate_and_quota_refuse_the_whole_call_and_turn_with_the_clock() {
    let lab = Lab::new();
    lab.world.set_quotas(VENDOR, Quotas { rate: Some(2), day: Some(3) });
    assert_eq!(lab.push("a,b,c", &[]).await["code"], 200_002);
    assert_eq!(lab.push("a,b", &[]).await["code"], 0);
    lab.world.clock.advance(Duration::from_secs(1));
    assert_eq!(lab.push("a,b", &[]).await["code"], 200_001);
    assert_eq!(lab.taken().len(), 2);
    lab.world.clock.advance(Duration::from_secs(86_400));
    assert_eq!(lab.push("a,b", &[]).await["code"], 0);
}

#[tokio::test]
async fn another_key_is_refused_and_so_is_a_vendor_that_forgot_it() {
    let lab = Lab::new();
    lab.world.set_condition(VENDOR, Condition::CredentialRefused);
    assert_eq!(lab.push("ok-1", &[]).await["code"], 21_301);
    lab.world.set_condition(VENDOR, Condition::Down);
    assert!(matches!(lab.post("/v3/message/regid", &[]).await, Reply::Answer { status: 503, .. }));
    assert!(lab.taken().is_empty());
}

#[tokio::test]
async fn an_answer_that_never_comes_was_taken_and_a_page_of_html_was_not() {
    let lab = Lab::new();
    let fields: Vec<_> = GOOD.into_iter().chain([("registration_id", "silent-1-x,ok-1")]).collect();
    assert!(matches!(lab.post("/v3/message/regid", &fields).await, Reply::Silence));
    assert_eq!(lab.taken(), ["silent-1-x", "ok-1"]);
    let fields: Vec<_> = GOOD.into_iter().chain([("registration_id", "html-1-x")]).collect();
    assert!(matches!(lab.post("/v3/message/regid", &fields).await, Reply::Answer { status: 502, .. }));
    assert_eq!(lab.taken().len(), 2);
}

#[tokio::test]
async fn the_lenient_one_lets_through_what_the_documents_leave_unsure() {
    let title = "汉".repeat(50);
    for (is_lenient, code) in [(false, 10_017), (true, 0)] {
        let mut lab = Lab::new();
        lab.world.is_lenient = is_lenient;
        // "Below 50" or "at most", and the older document's two weeks.
        for change in [("title", title.as_str()), ("time_to_live", "1209600000")] {
            assert_eq!(lab.push("ok-1", &[change]).await["code"], code, "{change:?}");
        }
    }
}

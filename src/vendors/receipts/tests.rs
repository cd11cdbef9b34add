use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use proptest::prelude::*;
use serde_json::json;
use sha2::Sha256;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_764_000_000_000);

fn setup(credential: Value) -> Setup {
    Setup {
        credential,
        settings: Value::Null,
        hosts: BTreeMap::new(),
        ca_pem: None,
        clock_offset_ms: 0,
        receipts_url: None,
    }
}

fn post(body: impl Into<bytes::Bytes>) -> ReceiptPost {
    ReceiptPost { signature: None, body: body.into() }
}

fn of(vendor: Vendor, body: &str) -> Result<Vec<Receipt>, BadPost> {
    read(vendor, &setup(Value::Null), &post(body.to_owned()), NOW)
}

/// The news of one receipt in a vendor's usual shape.
fn news(vendor: Vendor, body: &Value) -> News {
    of(vendor, &body.to_string()).unwrap().remove(0).news
}

#[test]
fn every_number_of_huawei_and_harmonyos_means_one_thing() {
    for (status, means) in [
        (0, News::Delivered),
        (2, News::Dead { since: Some(NOW) }),
        (5, News::Dead { since: Some(NOW) }),
        (6, refused(&6)),
        (10, refused(&10)),
        (14, refused(&14)),
        (15, refused(&15)),
        (22, refused(&22)),
        (27, noted(&27)),
        (31, refused(&31)),
        (51, noted(&51)),
        (102, refused(&102)),
        (144, refused(&144)),
        (201, noted(&201)),
        (256, refused(&256)),
    ] {
        let v1 = json!({"statuses": [{"status": status, "timestamp": NOW.as_millis(), "token": "t"}]});
        assert_eq!(news(Vendor::Huawei, &v1), means, "{status}");
        let told = json!({"result": status, "timestamp": NOW.as_millis()});
        for name in ["deliveryStatus", "formStatus"] {
            let v2 = json!({"statuses": [{"token": "t", name: told}]});
            assert_eq!(news(Vendor::HarmonyOs, &v2), means, "{name} {status}");
        }
    }
}

#[test]
fn every_number_of_honor_means_one_thing() {
    for (status, means) in [
        (40_000_000, noted(&40_000_000)),
        (40_000_001, News::Delivered),
        (40_000_002, News::Delivered),
        (40_000_003, News::Dead { since: None }),
        (40_000_004, News::Dead { since: None }),
        (40_000_005, refused(&40_000_005)),
        (40_000_006, refused(&40_000_006)),
        (40_000_008, refused(&40_000_008)),
        (40_000_009, refused(&40_000_009)),
        (40_000_011, refused(&40_000_011)),
        (40_000_013, noted(&40_000_013)),
        (40_000_014, refused(&40_000_014)),
        (40_000_015, refused(&40_000_015)),
        (77, noted(&77)),
    ] {
        assert_eq!(news(Vendor::Honor, &json!({"statuses": [{"status": status}]})), means, "{status}");
    }
}

#[test]
fn every_type_of_the_others_means_one_thing() {
    let dead = || News::Dead { since: None };
    for (kind, means) in [
        (1, News::Delivered),
        (2, News::Clicked),
        (16, dead()),
        (32, refused(&32)),
        (64, refused(&64)),
        (128, refused(&128)),
        (1024, refused(&1024)),
        (4, noted(&4)),
    ] {
        assert_eq!(news(Vendor::Xiaomi, &json!({"m1": {"type": kind, "targets": "r"}})), means, "{kind}");
    }
    for (kind, means) in [
        ("push_arrive", News::Delivered),
        ("regid_invalid", dead()),
        ("user_daily_limit", refused(&"user_daily_limit")),
        ("app_daily_limit", refused(&"app_daily_limit")),
        ("something_new", noted(&"something_new")),
    ] {
        let body = json!([{"messageId": "m", "registrationIds": "r", "eventType": kind}]);
        assert_eq!(news(Vendor::Oppo, &body), means, "{kind}");
    }
    for (kind, means) in [
        ("0", News::Delivered),
        ("101", refused(&"101")),
        ("103", refused(&"103")),
        ("104", refused(&"104")),
        ("1000", refused(&"1000")),
        ("1017", refused(&"1017")),
        ("11001", refused(&"11001")),
        ("12000", refused(&"12000")),
        ("2183", dead()),
        ("20001", refused(&"20001")),
        ("20002", dead()),
        ("20006", refused(&"20006")),
    ] {
        for told in [json!({"ackType": kind}), json!({"ackType": "9", "subType": kind})] {
            assert_eq!(news(Vendor::Vivo, &json!({ "t": told })), means, "{kind}");
        }
    }
    for (kind, means) in [(1, News::Delivered), (2, News::Clicked), (3, noted(&3))] {
        assert_eq!(news(Vendor::Meizu, &json!({"m-1": {"type": kind}})), means, "{kind}");
    }
}

#[test]
fn a_post_names_its_messages_and_each_of_its_tokens() {
    let data = json!({"slm7": {"param": "p-1", "type": 1, "targets": "r1,r2", "timestamp": NOW.as_millis()}});
    let form =
        form_urlencoded::Serializer::new(String::new()).append_pair("data", &data.to_string()).finish();
    let expected = |token: &str| Receipt {
        param: Some("p-1".to_owned()),
        vendor_id: Some("slm7".to_owned()),
        token: Some(token.to_owned()),
        news: News::Delivered,
        at: Some(NOW),
    };
    let both = Ok(vec![expected("r1"), expected("r2")]);
    assert_eq!(of(Vendor::Xiaomi, &form), both);
    assert_eq!(of(Vendor::Xiaomi, &data.to_string()), both);
    let cb = json!({"NS2025-1-1": {"param": "p", "type": 1, "targets": ["a", "b"]}});
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("access_token", "x")
        .append_pair("cb", &cb.to_string())
        .finish();
    let meizu = of(Vendor::Meizu, &form).unwrap();
    let ids: Vec<_> = meizu.iter().map(|one| (one.vendor_id.as_deref(), one.token.as_deref())).collect();
    assert_eq!(ids, [(Some("NS2025-1"), Some("a")), (Some("NS2025-1"), Some("b"))]);
}

#[test]
fn one_entry_that_cannot_be_read_costs_none_of_its_neighbours() {
    let good = json!({"token": "t", "status": 0, "param": "p", "type": 1, "targets": "t", "ackType": "0",
        "registrationIds": "t", "eventType": "push_arrive", "deliveryStatus": {"result": 0}});
    let one = |vendor, bad: &Value| match vendor {
        Vendor::Huawei | Vendor::HarmonyOs | Vendor::Honor => json!({"statuses": [bad, good]}),
        Vendor::Oppo => json!([bad, good]),
        _ => json!({"a-1": bad, "b-1": good}),
    };
    for vendor in Vendor::ALL
        .into_iter()
        .filter(|vendor| !matches!(vendor, Vendor::Apns | Vendor::Fcm | Vendor::WebPush))
    {
        for bad in [json!(null), json!([]), json!({}), json!({"type": {}, "status": -1, "ackType": []})] {
            let read = of(vendor, &one(vendor, &bad).to_string()).unwrap();
            assert_eq!(
                read.iter().map(|one| &one.news).collect::<Vec<_>>(),
                [&News::Delivered],
                "{vendor} {bad}"
            );
        }
    }
}

fn signed(secret: &str, at: Timestamp) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{}n-1us-er", at.as_millis()).as_bytes());
    let value = STANDARD.encode(mac.finalize().into_bytes());
    format!("timestamp={}; nonce=n-1; value={value}", at.as_millis())
}

#[test]
fn a_signature_is_asked_for_once_the_setup_has_its_secret_and_for_five_minutes() {
    let guarded = setup(json!({"receipts_user": "us-er", "receipts_secret": "s3"}));
    let with = |signature: Option<String>| {
        let post = ReceiptPost { signature, ..post(r#"{"statuses":[]}"#) };
        read(Vendor::Huawei, &guarded, &post, NOW)
    };
    let ago = |seconds: u64| Timestamp::from_millis(NOW.as_millis() - seconds * 1_000);
    assert_eq!(with(Some(signed("s3", NOW))), Ok(Vec::new()));
    assert_eq!(with(Some(signed("s3", ago(300)))), Ok(Vec::new()));
    for forged in [
        None,
        Some(signed("s4", NOW)),
        Some(signed("s3", ago(301))),
        Some("timestamp=x; nonce=; value=".to_owned()),
        Some(String::new()),
    ] {
        assert_eq!(with(forged.clone()), Err(BadPost::Forged), "{forged:?}");
    }
}

#[test]
fn what_is_none_of_a_vendors_words_is_refused_whole() {
    for vendor in Vendor::ALL {
        for body in ["", "{", "null", "7", "\"x\"", "[[]]", r#"{"statuses":{}}"#, r#"{"a":1}"#, "\u{0}"] {
            assert_eq!(of(vendor, body), Err(BadPost::Unreadable), "{vendor} {body}");
        }
    }
    let many = vec!["r"; RECEIPTS_MAX + 1].join(",");
    let body = json!({"m": {"type": 1, "targets": many}}).to_string();
    assert_eq!(of(Vendor::Xiaomi, &body), Err(BadPost::Unreadable));
}

fn any_json() -> impl Strategy<Value = Value> {
    let name = prop::sample::select(vec![
        "statuses",
        "status",
        "token",
        "type",
        "targets",
        "param",
        "ackType",
        "eventType",
        "deliveryStatus",
        "result",
        "timestamp",
        "x-1",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..4)
                .prop_map(|pairs| Value::Object(pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())),
        ]
    })
}

proptest! {
    #[test]
    fn nothing_that_is_posted_makes_a_parser_panic(
        json in any_json(),
        bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let form = |name: &str| form_urlencoded::Serializer::new(String::new())
            .append_pair(name, &json.to_string())
            .finish();
        for body in [json.to_string(), form("data"), form("cb"), String::from_utf8_lossy(&bytes).into_owned()] {
            for vendor in Vendor::ALL {
                let _ = of(vendor, &body);
            }
        }
        for vendor in Vendor::ALL {
            let _ = read(vendor, &setup(Value::Null), &post(bytes.clone()), NOW);
        }
    }
}

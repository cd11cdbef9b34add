//! Against the laboratory's Xiaomi.

use carillon_actors::channel::Class;
use carillon_sdk::Vendor;
use serde_json::{Value, json};

use super::*;
use crate::lab;
use crate::vendors::content::tests::parcel;
use crate::vendors::transport::line::{Line, fate};

fn xiaomi() -> (Line, Xiaomi) {
    let line = Line::to(Arc::new(lab::Xiaomi::default()));
    let xiaomi = Xiaomi::over(&line.setup(), line.open()).unwrap();
    (line, xiaomi)
}

fn batch(tokens: &[&str]) -> Parcel {
    let mut parcel = parcel(tokens[0], &json!({"category": "im"}), |message| {
        message.data = Some(r#"{"oid":7781}"#.to_owned());
        message.uri = Some("https://example.com/o".to_owned());
    });
    let address = |token: &&str| Address { token: (*token).to_owned(), receipt: format!("r-{token}") };
    parcel.to = tokens.iter().map(address).collect();
    parcel
}

fn classes(outcomes: &[Outcome]) -> Vec<Option<Class>> {
    let class = |outcome: &Outcome| match outcome {
        Outcome::Accepted(_) => None,
        Outcome::Refused(refused) => Some(refused.class),
    };
    outcomes.iter().map(class).collect()
}

#[tokio::test]
async fn each_fate_of_a_token_has_its_class() {
    let (line, xiaomi) = xiaomi();
    for (token, class, code, is_ambiguous) in [
        ("ok-1", None, "", false),
        ("dead-1", Some(Class::Unbind), "66007", false),
        ("bad-1", Some(Class::Perm), "10041", false),
        ("config-1", Some(Class::Config), "22022", false),
        ("throttle-1-x", Some(Class::Throttle), "200002", false),
        ("quota-1", Some(Class::Throttle), "200001", false),
        ("flaky-1-x", Some(Class::Retry), "10002", false),
        ("down-1-x", Some(Class::Retry), "http_500", false),
        ("html-1-x", Some(Class::Retry), "http_502", false),
        ("garbage-1-x", Some(Class::Retry), "garbage", true),
        ("silent-1-x", Some(Class::Retry), "timeout", true),
        ("cut-1-x", Some(Class::Retry), "broken", true),
    ] {
        let came = fate(&xiaomi, &Access::none(), token).await;
        assert_eq!(came, (class, code.to_owned(), is_ambiguous), "{token}");
    }
    line.world().set_condition(Vendor::Xiaomi, lab::Condition::CredentialRefused);
    assert_eq!(fate(&xiaomi, &Access::none(), "ok-2").await.0, Some(Class::Config));
}

#[tokio::test]
async fn a_repeat_after_no_answer_is_shown_once() {
    let (line, xiaomi) = xiaomi();
    for _ in 0..2 {
        fate(&xiaomi, &Access::none(), "silent-1-x").await;
    }
    assert_eq!(line.world().capture.taken(Vendor::Xiaomi).len(), 1);
}

#[tokio::test]
async fn a_dead_regid_of_a_batch_comes_by_receipt_and_takes_no_other_along() {
    let (line, xiaomi) = xiaomi();
    let outcomes = xiaomi.send(Access::none(), batch(&["ok-1", "dead-1", "a,b", "ok-2"])).await;
    assert_eq!(classes(&outcomes), [None, None, Some(Class::Unbind), None]);
    let invalid: Vec<Value> = line
        .world()
        .outbox
        .take()
        .iter()
        .filter_map(|letter| {
            let (_, data) = form_urlencoded::parse(letter.body.as_bytes()).next()?;
            let told: Value = serde_json::from_str(&data).ok()?;
            told.as_object()?.values().find(|told| told["type"] == 16).cloned()
        })
        .collect();
    assert_eq!((invalid.len(), &invalid[0]["targets"]), (1, &json!("dead-1")));
}

#[tokio::test]
async fn a_batch_of_dead_ones_is_told_one_by_one() {
    let (_line, xiaomi) = xiaomi();
    let outcomes = xiaomi.send(Access::none(), batch(&["dead-1", "dead-2", "dead-3"])).await;
    assert_eq!(classes(&outcomes), [Some(Class::Unbind); 3]);
}

#[tokio::test]
async fn what_is_too_long_is_cut_to_what_xiaomi_takes_and_what_it_cannot_show_is_not_sent() {
    let (line, xiaomi) = xiaomi();
    let long = parcel("ok-1", &Value::Null, |message| {
        (message.title, message.body) = (Some("汉".repeat(50)), Some("👨‍👩‍👧‍👦".repeat(40)));
    });
    assert_eq!(classes(&xiaomi.send(Access::none(), long).await), [None]);
    line.world().capture.clear();
    let silent = parcel("ok-1", &Value::Null, |message| message.silent = true);
    assert_eq!(classes(&xiaomi.send(Access::none(), silent).await), [Some(Class::Perm)]);
    assert!(line.world().capture.requests(Vendor::Xiaomi).is_empty());
    line.world().set_quotas(Vendor::Xiaomi, lab::Quotas { rate: None, day: Some(0) });
    assert_eq!(fate(&xiaomi, &Access::none(), "ok-1").await.1, "200001");
}

//! Against the laboratory's Meizu.

use carillon_actors::channel::Address;
use carillon_sdk::Vendor;
use serde_json::json;

use super::*;
use crate::lab;
use crate::vendors::content::tests::parcel;
use crate::vendors::transport::line::{Line, fate};

fn meizu(line: &Line) -> Meizu {
    Meizu::over(&line.setup(), line.open()).unwrap()
}

#[tokio::test]
async fn each_fate_of_a_token_has_its_class() {
    let line = Line::to(Arc::new(lab::Meizu::default()));
    let meizu = meizu(&line);
    for (token, class, code, is_ambiguous) in [
        ("ok-1", None, "", false),
        ("dead-1", Some(Class::Unbind), "110002", false),
        ("dead-illegal-1", Some(Class::Unbind), "110003", false),
        ("off-1", Some(Class::Perm), "110010", false),
        ("bad-1", Some(Class::Perm), "1005", false),
        ("config-1", Some(Class::Config), "201", false),
        ("throttle-1-x", Some(Class::Throttle), "520", false),
        ("quota-1", Some(Class::Throttle), "110011", false),
        ("flaky-1-x", Some(Class::Retry), "501", false),
        ("down-1-x", Some(Class::Retry), "http_500", false),
        ("html-1-x", Some(Class::Retry), "http_502", false),
        ("garbage-1-x", Some(Class::Retry), "garbage", true),
        ("silent-1-x", Some(Class::Retry), "timeout", true),
        ("cut-1-x", Some(Class::Retry), "broken", true),
    ] {
        let came = fate(&meizu, &Access::none(), token).await;
        assert_eq!(came, (class, code.to_owned(), is_ambiguous), "{token}");
    }
    line.world().set_condition(Vendor::Meizu, lab::Condition::CredentialRefused);
    assert_eq!(fate(&meizu, &Access::none(), "ok-2").await.0, Some(Class::Config));
}

#[tokio::test]
async fn a_bad_token_in_a_batch_takes_no_other_along() {
    let line = Line::to(Arc::new(lab::Meizu::default()));
    let options = json!({"big_text": true, "category": "express"});
    let mut parcel = parcel("ok-1", &options, |message| {
        message.data = Some(r#"{"oid":7781}"#.to_owned());
        message.collapse_key = Some("order-7781".to_owned());
        message.uri = Some("https://example.com/o".to_owned());
    });
    for token in ["dead-2", "a,b", "ok-3", "flaky-1-x"] {
        parcel.to.push(Address { token: token.to_owned(), receipt: "r".to_owned() });
    }
    let outcomes = meizu(&line).send(Access::none(), parcel).await;
    let classes: Vec<_> = outcomes
        .iter()
        .map(|outcome| match outcome {
            Outcome::Accepted(_) => None,
            Outcome::Refused(refused) => Some(refused.class),
        })
        .collect();
    assert_eq!(classes, [None, Some(Class::Unbind), Some(Class::Unbind), None, Some(Class::Retry)]);
    let taken: Vec<_> = line.world().capture.taken(Vendor::Meizu).into_iter().map(|one| one.token).collect();
    assert_eq!(taken, ["ok-1", "ok-3"]);
}

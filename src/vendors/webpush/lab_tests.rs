//! Against the laboratory's push service, and the browsers behind it.

use carillon_sdk::Vendor;
use serde_json::json;

use super::*;
use crate::lab;
use crate::vendors::content::tests::parcel;
use crate::vendors::transport::line::{Line, fate};

const SERVICE: &str = "https://push.example.com";

fn webpush(line: &Line) -> WebPush {
    WebPush::over(line.world().clock.clone(), &line.setup(), line.open(), false).unwrap()
}

#[tokio::test]
async fn each_fate_of_a_subscription_has_its_class() {
    let simulator = Arc::new(lab::WebPush::new());
    let line = Line::to(simulator.clone());
    let webpush = webpush(&line);
    for (token, class, code, is_ambiguous) in [
        ("ok-1", None, "", false),
        ("dead-1", Some(Class::Unbind), "errno_106", false),
        ("bad-1", Some(Class::Perm), "errno_110", false),
        ("config-1", Some(Class::Config), "errno_109", false),
        ("throttle-1-x", Some(Class::Throttle), "errno_201", false),
        ("quota-1", Some(Class::Throttle), "errno_201", false),
        ("flaky-1-x", Some(Class::Retry), "errno_202", false),
        ("down-1-x", Some(Class::Retry), "errno_999", false),
        ("html-1-x", Some(Class::Retry), "http_502", false),
        ("garbage-1-x", None, "", false),
        ("silent-1-x", Some(Class::Retry), "timeout", true),
        ("cut-1-x", Some(Class::Retry), "broken", true),
        ("say-404-x", Some(Class::Unbind), "errno_999", false),
        ("say-413-x", Some(Class::Perm), "errno_999", false),
    ] {
        let subscription = simulator.subscription(SERVICE, token).to_string();
        let came = fate(&webpush, &Access::none(), &subscription).await;
        assert_eq!(came, (class, code.to_owned(), is_ambiguous), "{token}");
    }
}

#[tokio::test]
async fn the_browser_reads_what_was_sealed_for_it() {
    let simulator = Arc::new(lab::WebPush::new());
    let line = Line::to(simulator.clone());
    let subscription = simulator.subscription(SERVICE, "ok-1").to_string();
    let parcel = parcel(&subscription, &json!({"subtitle": "Shop"}), |message| {
        message.collapse_key = Some("order-7781".to_owned());
    });
    let outcomes = webpush(&line).send(Access::none(), parcel).await;
    assert!(matches!(outcomes[0], Outcome::Accepted(_)), "{outcomes:?}");
    let taken = line.world().capture.taken(Vendor::WebPush);
    assert!(taken[0].content.to_string().contains("Order 7781"), "{:?}", taken[0].content);
}

#[tokio::test]
async fn a_token_the_service_gave_up_is_made_anew_once() {
    let simulator = Arc::new(lab::WebPush::new());
    let line = Line::to(simulator.clone());
    let webpush = webpush(&line);
    let subscription = |token| simulator.subscription(SERVICE, token).to_string();
    assert_eq!(fate(&webpush, &Access::none(), &subscription("ok-1")).await.0, None);
    line.world().set_condition(Vendor::WebPush, lab::Condition::TokensRevoked);
    assert_eq!(fate(&webpush, &Access::none(), &subscription("ok-2")).await.0, None);
    line.world().set_condition(Vendor::WebPush, lab::Condition::CredentialRefused);
    let refused = fate(&webpush, &Access::none(), &subscription("ok-3")).await;
    assert_eq!(refused.0, Some(Class::Config));
    let count = line.world().capture.requests(Vendor::WebPush).len();
    assert_eq!(count, 5, "one, then two, then two: no more than one repeat each");
}

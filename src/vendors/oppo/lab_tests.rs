//! Against the laboratory's OPPO.

use carillon_actors::channel::Class;
use carillon_sdk::Vendor;
use serde_json::json;

use super::*;
use crate::lab;
use crate::vendors::content::tests::{NOW, parcel};
use crate::vendors::transport::line::{Line, fate};

async fn oppo() -> (Line, Oppo, Access) {
    let line = Line::to(Arc::new(lab::Oppo::default()));
    let oppo = Oppo::over(Clock::manual(NOW), &line.setup(), line.open()).unwrap();
    let access = oppo.authorize().await.unwrap();
    (line, oppo, access)
}

fn batch(tokens: &[&str]) -> Parcel {
    let options = json!({
        "third_channel_category": {"oppo": "ORDER"}, "notify_level": {"oppo": 16}, "badge": 2,
    });
    let mut parcel = parcel(tokens[0], &options, |message| {
        message.data = Some(r#"{"oid":7781}"#.to_owned());
        message.uri = Some("app://order/7781".to_owned());
        message.collapse_key = Some("orders".to_owned());
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
    let (_line, oppo, access) = oppo().await;
    for (token, class, code, is_ambiguous) in [
        ("ok-1", None, "", false),
        ("dead-1", Some(Class::Unbind), "10000", false),
        ("bad-1", Some(Class::Perm), "10001", false),
        ("config-1", Some(Class::Config), "28", false),
        ("throttle-1-x", Some(Class::Throttle), "13", false),
        ("quota-1", Some(Class::Throttle), "33", false),
        ("flaky-1-x", Some(Class::Retry), "-1", false),
        ("down-1-x", Some(Class::Retry), "http_500", false),
        ("html-1-x", Some(Class::Retry), "http_502", false),
        ("garbage-1-x", Some(Class::Retry), "garbage", true),
        ("silent-1-x", Some(Class::Retry), "timeout", true),
        ("cut-1-x", Some(Class::Retry), "broken", true),
    ] {
        assert_eq!(fate(&oppo, &access, token).await, (class, code.to_owned(), is_ambiguous), "{token}");
    }
}

#[tokio::test]
async fn a_revoked_token_is_got_anew_and_a_wrong_secret_is_a_matter_of_the_setup() {
    let (line, oppo, access) = oppo().await;
    line.world().set_condition(Vendor::Oppo, lab::Condition::TokensRevoked);
    assert_eq!(fate(&oppo, &access, "ok-1").await.0, Some(Class::Reauth));
    let access = oppo.authorize().await.unwrap();
    assert_eq!(fate(&oppo, &access, "ok-1").await.0, None);
    line.world().set_condition(Vendor::Oppo, lab::Condition::CredentialRefused);
    assert_eq!(oppo.authorize().await.unwrap_err().class, Class::Config);
}

#[tokio::test]
async fn each_device_of_a_batch_has_its_own_outcome_and_receipt() {
    let (line, oppo, access) = oppo().await;
    let parcel = batch(&["ok-1", "dead-1", "ok-2", "throttle-1-x", "quota-1"]);
    let expected = [None, Some(Class::Unbind), None, Some(Class::Throttle), Some(Class::Throttle)];
    assert_eq!(classes(&oppo.send(access.clone(), parcel.clone()).await), expected);
    assert_eq!(classes(&oppo.send(access, parcel).await)[..3], expected[..3]);
    let taken = line.world().capture.taken(Vendor::Oppo);
    let taken: Vec<_> =
        taken.iter().map(|one| (one.token.as_str(), &one.content["call_back_parameter"])).collect();
    // The second time only the one that had been too fast is new.
    assert_eq!(
        taken,
        [("ok-1", &json!("r-ok-1")), ("ok-2", &json!("r-ok-2")), ("throttle-1-x", &json!("r-throttle-1-x")),]
    );
}

#[tokio::test]
async fn devices_of_another_realm_are_another_hosts_with_a_token_of_its_own() {
    let (line, oppo, access) = oppo().await;
    let digits = "0123456789abcdef0123456789abcdef";
    let (china, india) = (format!("OPPO_CN_{digits}"), format!("OPPO_IN_{digits}"));
    let outcomes = oppo.send(access.clone(), batch(&[&india, &china, &india])).await;
    // On this line both hosts are the same one, in China.
    assert_eq!(classes(&outcomes), [Some(Class::Unbind), None, Some(Class::Unbind)]);
    let requests = line.world().capture.requests(Vendor::Oppo);
    let auths = requests.iter().filter(|request| request.path.ends_with("/auth")).count();
    assert_eq!(auths, 2);
    line.world().set_condition(Vendor::Oppo, lab::Condition::TokensRevoked);
    let first = oppo.send(access.clone(), batch(&[&india])).await;
    assert_eq!(classes(&first), [Some(Class::Reauth)]);
    let second = oppo.send(access, batch(&[&india])).await;
    assert_eq!(classes(&second), [Some(Class::Unbind)], "with a new token overseas");
}

//! Against the laboratory's vivo.

use carillon_actors::channel::{Class, Pause};
use carillon_sdk::Vendor;

use super::*;
use crate::lab;
use crate::vendors::content::tests::{NOW, parcel};
use crate::vendors::transport::line::{Line, fate};

async fn vivo() -> (Line, Vivo, Access) {
    let line = Line::to(Arc::new(lab::Vivo::default()));
    let vivo = Vivo::over(Clock::manual(NOW), &line.setup(), line.open()).unwrap();
    let access = vivo.authorize().await.unwrap();
    (line, vivo, access)
}

fn batch(tokens: &[&str]) -> Parcel {
    let mut parcel = parcel(tokens[0], &json!({"category": "express", "badge_add": 1}), |message| {
        message.data = Some(r#"{"oid":7781}"#.to_owned());
        message.uri = Some("intent://order#Intent;end".to_owned());
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

fn asked(line: &Line, path: &str) -> usize {
    line.world().capture.requests(Vendor::Vivo).iter().filter(|request| request.path.ends_with(path)).count()
}

#[tokio::test]
async fn each_fate_of_a_token_has_its_class() {
    let (_line, vivo, access) = vivo().await;
    for (token, class, code, is_ambiguous) in [
        ("ok-1", None, "", false),
        ("dead-1", Some(Class::Unbind), "10302", false),
        ("dead-4-x", Some(Class::Config), "10302", false),
        ("bad-1", Some(Class::Perm), "10103", false),
        ("config-1", Some(Class::Config), "10043", false),
        ("throttle-1-x", Some(Class::Throttle), "10072", false),
        ("quota-1", Some(Class::Throttle), "10070", false),
        ("flaky-1-x", Some(Class::Retry), "10040", false),
        ("down-1-x", Some(Class::Retry), "http_500", false),
        ("html-1-x", Some(Class::Retry), "http_502", false),
        ("garbage-1-x", Some(Class::Retry), "garbage", true),
        ("silent-1-x", Some(Class::Retry), "timeout", true),
        ("cut-1-x", Some(Class::Retry), "broken", true),
    ] {
        assert_eq!(fate(&vivo, &access, token).await, (class, code.to_owned(), is_ambiguous), "{token}");
    }
}

#[tokio::test]
async fn a_list_takes_no_other_along_and_is_saved_once() {
    let (line, vivo, access) = vivo().await;
    let tokens = ["ok-1", "dead-1", "dead-3-x", "ok-2"];
    let expected = [None, Some(Class::Unbind), Some(Class::Perm), None];
    assert_eq!(classes(&vivo.send(access.clone(), batch(&tokens)).await), expected);
    assert_eq!(classes(&vivo.send(access.clone(), batch(&tokens)).await), expected);
    assert_eq!(line.world().capture.taken(Vendor::Vivo).len(), 2, "the repeat was dropped by its request id");
    assert_eq!((asked(&line, "saveListPayload"), asked(&line, "pushToList")), (1, 2));
    // One alone is no list.
    assert_eq!(classes(&vivo.send(access, batch(&["ok-3"])).await), [None]);
    assert_eq!(asked(&line, "/message/send"), 1);
}

#[tokio::test]
async fn a_list_without_an_answer_is_asked_again_at_once_and_shown_once() {
    let (line, vivo, access) = vivo().await;
    let outcomes = vivo.send(access, batch(&["ok-1", "silent-1-x"])).await;
    assert_eq!(classes(&outcomes), [None, None]);
    assert_eq!(line.world().capture.taken(Vendor::Vivo).len(), 2);
}

#[tokio::test]
async fn a_spent_quota_parks_its_class_until_tomorrow() {
    let (line, vivo, access) = vivo().await;
    line.world().set_quotas(Vendor::Vivo, lab::Quotas { rate: None, day: Some(0) });
    let outcomes = vivo.send(access, batch(&["ok-1", "ok-2"])).await;
    for outcome in outcomes {
        let Outcome::Refused(refused) = outcome else { panic!("{outcome:?}") };
        assert_eq!((refused.code.as_str(), refused.pause), ("10073", Some(Pause::NextDay)));
    }
}

#[tokio::test]
async fn a_revoked_token_is_got_anew_and_a_wrong_secret_is_a_matter_of_the_setup() {
    let (line, vivo, access) = vivo().await;
    line.world().set_condition(Vendor::Vivo, lab::Condition::TokensRevoked);
    assert_eq!(fate(&vivo, &access, "ok-1").await.0, Some(Class::Reauth));
    let access = vivo.authorize().await.unwrap();
    assert_eq!(fate(&vivo, &access, "ok-1").await.0, None);
    line.world().set_condition(Vendor::Vivo, lab::Condition::CredentialRefused);
    assert_eq!(vivo.authorize().await.unwrap_err().class, Class::Config);
}

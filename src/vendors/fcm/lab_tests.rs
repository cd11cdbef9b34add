//! Against the laboratory's Google.

use carillon_actors::channel::Class;
use carillon_sdk::Vendor;
use serde_json::json;

use super::*;
use crate::lab;
use crate::vendors::content::tests::parcel;
use crate::vendors::transport::line::{Line, fate};

fn fcm(line: &Line) -> Fcm {
    Fcm::over(line.world().clock.clone(), &line.setup(), line.open()).unwrap()
}

#[tokio::test]
async fn each_fate_of_a_token_has_its_class() {
    let line = Line::to(Arc::new(lab::Fcm::new()));
    let fcm = fcm(&line);
    let access = fcm.authorize().await.unwrap();
    for (token, class, code, is_ambiguous) in [
        ("ok-1", None, "", false),
        ("dead-1", Some(Class::Unbind), "UNREGISTERED", false),
        ("bad-1", Some(Class::Perm), "INVALID_ARGUMENT", false),
        ("config-1", Some(Class::Config), "PERMISSION_DENIED", false),
        ("throttle-1-x", Some(Class::Throttle), "QUOTA_EXCEEDED", false),
        ("quota-1", Some(Class::Throttle), "QUOTA_EXCEEDED", false),
        ("flaky-1-x", Some(Class::Retry), "INTERNAL", false),
        ("down-1-x", Some(Class::Retry), "UNAVAILABLE", false),
        ("html-1-x", Some(Class::Retry), "http_502", false),
        ("garbage-1-x", Some(Class::Retry), "garbage", true),
        ("silent-1-x", Some(Class::Retry), "timeout", true),
        ("cut-1-x", Some(Class::Retry), "broken", true),
        ("say-SENDER_ID_MISMATCH-1", Some(Class::Unbind), "SENDER_ID_MISMATCH", false),
        ("say-THIRD_PARTY_AUTH_ERROR-1", Some(Class::Config), "THIRD_PARTY_AUTH_ERROR", false),
    ] {
        let came = fate(&fcm, &access, token).await;
        assert_eq!(came, (class, code.to_owned(), is_ambiguous), "{token}");
    }
}

#[tokio::test]
async fn an_access_token_ends_is_revoked_and_is_given_anew() {
    let line = Line::to(Arc::new(lab::Fcm::new()));
    let fcm = fcm(&line);
    let access = fcm.authorize().await.unwrap();
    line.world().set_condition(Vendor::Fcm, lab::Condition::TokensRevoked);
    let came = fate(&fcm, &access, "ok-1").await;
    assert_eq!(came, (Some(Class::Reauth), "UNAUTHENTICATED".to_owned(), false));
    let access = fcm.authorize().await.unwrap();
    assert_eq!(fate(&fcm, &access, "ok-1").await.0, None);
    line.world().set_condition(Vendor::Fcm, lab::Condition::CredentialRefused);
    assert_eq!(fcm.authorize().await.unwrap_err().class, Class::Config);
}

#[tokio::test]
async fn another_project_is_a_matter_of_the_setup_and_unbinds_nobody() {
    let line = Line::to(Arc::new(lab::Fcm::new()));
    let mut setup = line.setup();
    setup.credential["project_id"] = json!("another-project");
    let fcm = Fcm::over(line.world().clock.clone(), &setup, line.open()).unwrap();
    let access = fcm.authorize().await.unwrap();
    assert_eq!(fate(&fcm, &access, "ok-1").await.0, Some(Class::Config));
}

#[tokio::test]
async fn the_laboratory_takes_all_kinds_as_google_documents_them() {
    let line = Line::to(Arc::new(lab::Fcm::new()));
    let fcm = fcm(&line);
    let access = fcm.authorize().await.unwrap();
    for is_silent in [false, true] {
        let options = json!({"badge": 3, "sound": "ping", "level": "passive"});
        let parcel = parcel("ok-1", &options, |message| {
            message.silent = is_silent;
            message.data = Some(r#"{"n":1,"from":"x","google.y":{"z":[]}}"#.to_owned());
            message.collapse_key = Some("order".to_owned());
            message.task = Some(carillon_actors::model::Task(7));
            message.uri = Some("app://x".to_owned());
        });
        let outcomes = fcm.send(access.clone(), parcel).await;
        assert!(
            matches!(&outcomes[0], Outcome::Accepted(accepted) if accepted.degraded == ["data"]),
            "{outcomes:?}"
        );
    }
}

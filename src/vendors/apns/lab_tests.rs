//! Against the laboratory's Apple.

use carillon_actors::channel::Class;
use serde_json::{Value, json};

use super::*;
use crate::lab;
use crate::vendors::content::tests::{NOW, parcel};
use crate::vendors::transport::line::{Line, fate};

fn apns(line: &Line) -> Apns {
    let (clock, lines) = (line.world().clock.clone(), line.clone());
    Apns::over(clock, Tokens::default(), &line.setup(), Box::new(move || Ok(lines.open()))).unwrap()
}

#[tokio::test]
async fn each_fate_of_a_token_has_its_class() {
    let line = Line::to(Arc::new(lab::Apns::new()));
    let apns = apns(&line);
    let access = apns.authorize().await.unwrap();
    for (token, class, code, is_ambiguous) in [
        ("ok-1", None, "", false),
        ("dead-1", Some(Class::Unbind), "Unregistered", false),
        ("bad-1", Some(Class::Perm), "PayloadEmpty", false),
        ("config-1", Some(Class::Config), "TopicDisallowed", false),
        ("throttle-1-x", Some(Class::Throttle), "TooManyRequests", false),
        ("quota-1", Some(Class::Throttle), "TooManyRequests", false),
        ("flaky-1-x", Some(Class::Retry), "InternalServerError", false),
        ("down-1-x", Some(Class::Retry), "ServiceUnavailable", false),
        ("html-1-x", Some(Class::Retry), "http_502", false),
        ("garbage-1-x", Some(Class::Retry), "garbage", true),
        ("silent-1-x", Some(Class::Retry), "timeout", true),
        ("cut-1-x", Some(Class::Retry), "broken", true),
        ("say-UnrelatedKeyIdInToken", Some(Class::Config), "UnrelatedKeyIdInToken", false),
    ] {
        let came = fate(&apns, &access, token).await;
        assert_eq!(came, (class, code.to_owned(), is_ambiguous), "{token}");
    }
    // What may have been taken is sent again under its id, and shown once.
    for token in ["garbage-1-x", "silent-1-x", "cut-1-x"] {
        assert_eq!(fate(&apns, &access, token).await.0, None, "{token}");
    }
    let taken = line.world().capture.taken(carillon_sdk::Vendor::Apns);
    assert_eq!(taken.len(), 4, "one of each that was taken");
}

#[tokio::test]
async fn a_token_that_is_worth_nothing_is_made_anew() {
    let line = Line::to(Arc::new(lab::Apns::new()));
    let apns = apns(&line);
    let access = apns.authorize().await.unwrap();
    assert_eq!(fate(&apns, &access, "ok-1").await.0, None);
    line.world().clock.advance(std::time::Duration::from_secs(3_601));
    let late = fate(&apns, &access, "ok-2").await;
    assert_eq!(late, (Some(Class::Reauth), "ExpiredProviderToken".to_owned(), false));
    let access = apns.authorize().await.unwrap();
    assert_eq!(fate(&apns, &access, "ok-2").await.0, None);
    line.world().set_condition(carillon_sdk::Vendor::Apns, lab::Condition::CredentialRefused);
    assert_eq!(fate(&apns, &access, "ok-3").await.0, Some(Class::Config));
}

/// Apple binds a connection to the key of its first push.
#[tokio::test]
async fn a_connection_of_another_key_is_left_for_a_new_one() {
    let simulator = Arc::new(lab::Apns::new());
    let line = Line::to(simulator.clone());
    let first = apns(&line);
    let access = first.authorize().await.unwrap();
    assert_eq!(fate(&first, &access, "ok-1").await.0, None);

    let setup = Setup { credential: simulator.setup_with_other_key().0, ..line.setup() };
    let taken_over = Mutex::new(Some(first.0.transport.lock().1.clone()));
    let lines = line.clone();
    let connect = move || Ok(taken_over.lock().take().unwrap_or_else(|| lines.open()));
    let second =
        Apns::over(line.world().clock.clone(), Tokens::default(), &setup, Box::new(connect)).unwrap();
    let access = second.authorize().await.unwrap();
    assert_eq!(fate(&second, &access, "ok-2").await.0, None);
    assert_eq!(second.0.transport.lock().0, 1, "one new connection");
}

#[tokio::test]
async fn the_laboratory_takes_all_kinds_as_apple_documents_them() {
    let line = Line::to(Arc::new(lab::Apns::new()));
    let apns = apns(&line);
    let access = apns.authorize().await.unwrap();
    let activity = |event: &str| {
        json!({"live_activity": {"event": event, "content_state": {"eta": 5}, "attributes_type": "Ride",
            "attributes": {"id": 1}, "dismissal_date_s": NOW.as_secs() + 60}})
    };
    let full = json!({"badge": 3, "sound": "default", "thread_id": "t", "level": "time-sensitive",
        "subtitle": "s", "mutable_content": true});
    for options in [Value::Null, full, activity("start"), activity("update"), activity("end")] {
        let parcel = parcel("ok-1", &options, |message| message.collapse_key = Some("k".repeat(200)));
        let outcomes = apns.send(access.clone(), parcel).await;
        assert!(matches!(outcomes[0], Outcome::Accepted(_)), "{options}: {outcomes:?}");
    }
    let silent = parcel("ok-2", &Value::Null, |message| message.silent = true);
    let outcomes = apns.send(access, silent).await;
    assert!(matches!(outcomes[0], Outcome::Accepted(_)), "{outcomes:?}");
}

#[tokio::test]
async fn a_certificate_stands_in_for_a_token_and_says_when_it_ends() {
    use rustls_pki_types::pem::PemObject as _;
    let simulator = Arc::new(lab::Apns::new());
    let (credential, settings) = simulator.setup_with_certificate();
    let pem = credential["certificate_pem"].as_str().unwrap();
    let leaf = rustls_pki_types::CertificateDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec();
    let line = Line::to(simulator).showing(leaf);
    let setup = Setup { credential, settings, ..line.setup() };
    Apns::open(line.world().clock.clone(), Tokens::default(), &setup).unwrap();
    let lines = line.clone();
    let apns =
        Apns::over(line.world().clock.clone(), Tokens::default(), &setup, Box::new(move || Ok(lines.open())))
            .unwrap();
    let access = apns.authorize().await.unwrap();
    assert_eq!(access, Access::none());
    assert_eq!(fate(&apns, &access, "ok-1").await.0, None);
    assert!(apns.ends_at().is_some_and(|end| end > NOW));
}

//! Receipts, as the app servers that take them see it.

mod receiver;

use std::collections::HashSet;

use carillon_sdk::api::endpoints::{
    ChangeEndpoint, CreateEndpoint, EndpointSecret, ReplayEvents, RotateSecret,
};
use carillon_sdk::api::settings::{Callback, MakeCallbackKey, WriteSettings};
use carillon_sdk::api::{EventType, EventView};
use carillon_sdk::client::server::EventsQuery;

use crate::harness::{App, Call, Phone, Server, call, eventually, run, to_device};
use receiver::{OK, Receiver};

/// Rests that a test can wait for.
const SETTINGS: [(&str, &str); 3] = [
    ("CARILLON_RECEIPTS_RETRY_FIRST", "20ms"),
    ("CARILLON_RECEIPTS_RETRY_MAX", "50ms"),
    ("CARILLON_RECEIPTS_TIMEOUT", "2s"),
];

async fn endpoint(app: &App, url: &str) -> EndpointSecret {
    let asked = CreateEndpoint { url: url.to_owned(), ..CreateEndpoint::default() };
    app.api.create_endpoint(&asked).await.unwrap()
}

/// Pushes to the device so many times, and acks each.
async fn deliver(app: &App, phone: &mut Phone, count: usize) {
    for _ in 0..count {
        let id = app.push(to_device(phone.id()), "hello").await;
        // After a kill what was acked just before it comes again.
        while phone.receive("hello").await.message_id != id {}
        app.await_state(id, phone.id().as_str(), "delivered").await;
    }
}

fn of(events: &[EventView], kind: EventType) -> usize {
    events.iter().filter(|event| event.kind == kind).map(|event| &event.id).collect::<HashSet<_>>().len()
}

/// The events without repeats, in the order in which they first came.
fn first(events: &[EventView]) -> Vec<EventView> {
    let mut seen = HashSet::new();
    events.iter().filter(|event| seen.insert(event.id.clone())).cloned().collect()
}

/// What the feed has from the beginning on.
async fn feed(app: &App) -> Vec<EventView> {
    app.api.events(&EventsQuery { limit: Some(1_000), ..EventsQuery::default() }).await.unwrap().events
}

#[tokio::test]
async fn an_endpoint_hears_of_each_event_in_order_signed_and_a_changed_body_does_not_verify() {
    let server = Server::start_with(&SETTINGS).await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "phone").await;
    deliver(&app, &mut phone, 1).await;
    eventually("the first arrival", async || {
        feed(&app).await.iter().any(|event| event.kind == EventType::Arrived).then_some(())
    })
    .await;
    let before = feed(&app).await;
    let receiver = Receiver::start().await;
    let made = endpoint(&app, &receiver.url()).await;
    deliver(&app, &mut phone, 5).await;
    let taken = receiver.until("five arrivals", |events| of(events, EventType::Arrived) == 5).await;
    assert_eq!([before, taken].concat(), feed(&app).await, "from its making on, all of it, in order");
    let secret = made.secret.unwrap();
    for request in receiver.received() {
        assert!(request.verifies(&secret, &request.body));
        let mut tampered = request.body.clone();
        tampered[5] ^= 1;
        assert!(!request.verifies(&secret, &tampered));
        assert_eq!(request.json()["type"], "receipts");
        assert_eq!(request.header("content-type"), "application/json");
    }
}

#[tokio::test]
async fn a_receiver_that_fails_gets_everything_later_over_a_kill_in_order_and_repeats_keep_their_ids() {
    let mut server = Server::start_with(&SETTINGS).await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "phone").await;
    let receiver = Receiver::start().await;
    let id = endpoint(&app, &receiver.url()).await.endpoint.endpoint_id;
    receiver.answer_with(|_| Some((500, "")));
    deliver(&app, &mut phone, 3).await;
    let failing = eventually("failures to be told", async || {
        let view = app.api.endpoint(&id).await.unwrap();
        view.last_error.is_some().then_some(view)
    })
    .await;
    assert_eq!(failing.last_error.as_deref(), Some("it answered 500"));
    assert!(failing.enabled && failing.failing_since.is_some() && failing.delivered_at.is_none());
    for round in 0..3 {
        server.crash().await;
        let app = server.app();
        phone = phone.reconnect(&server).await;
        // Now and then one is taken, and the server dies before or after it noted that.
        let mut count = 0;
        receiver.answer_with(move |_| {
            count += 1;
            if (count + round) % 2 == 0 { OK } else { Some((503, "Retry-After: 0\r\n")) }
        });
        deliver(&app, &mut phone, 3).await;
    }
    receiver.answer_with(|_| OK);
    let app = server.app();
    let taken = receiver.until("twelve arrivals", |events| of(events, EventType::Arrived) == 12).await;
    assert_eq!(first(&taken), feed(&app).await, "nothing lost, and in order");
    let view = app.api.endpoint(&id).await.unwrap();
    assert!(view.failing_since.is_none() && view.last_error.is_none(), "{view:?}");
}

#[tokio::test]
async fn a_dead_endpoint_delays_no_other() {
    let server = Server::start_with(&SETTINGS).await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "phone").await;
    let (dead, alive) = (Receiver::start().await, Receiver::start().await);
    dead.answer_with(|_| None);
    endpoint(&app, &dead.url()).await;
    // Nobody listens there any more.
    let gone = Receiver::start().await.url();
    endpoint(&app, &gone).await;
    endpoint(&app, &alive.url()).await;
    deliver(&app, &mut phone, 5).await;
    alive.until("five arrivals", |events| of(events, EventType::Arrived) == 5).await;
    assert!(dead.taken().is_empty());
}

#[tokio::test]
async fn who_answers_410_is_disabled_and_goes_on_where_it_was_when_enabled_again() {
    let server = Server::start_with(&SETTINGS).await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "phone").await;
    let receiver = Receiver::start().await;
    let id = endpoint(&app, &receiver.url()).await.endpoint.endpoint_id;
    receiver.answer_with(|_| Some((410, "")));
    deliver(&app, &mut phone, 2).await;
    let view = eventually("it to be disabled", async || {
        Some(app.api.endpoint(&id).await.unwrap()).filter(|view| !view.enabled)
    })
    .await;
    assert_eq!(view.disabled_reason.as_deref(), Some("gone"));
    let audit = call(server.http(), &Call::new("GET", "/v1/audit?limit=1", "").signed(&app)).await;
    let newest = serde_json::from_slice::<serde_json::Value>(&audit.body).unwrap()["entries"][0].clone();
    assert_eq!((newest["what"].as_str(), newest["who"].as_str()), (Some("endpoint.disable"), Some("server")));
    receiver.answer_with(|_| OK);
    let enable = ChangeEndpoint { enabled: Some(true), ..ChangeEndpoint::default() };
    app.api.change_endpoint(&id, &enable).await.unwrap();
    let taken = receiver.until("two arrivals", |events| of(events, EventType::Arrived) == 2).await;
    assert_eq!(taken, feed(&app).await);
}

#[tokio::test]
async fn a_secret_that_is_rotated_signs_beside_the_new_one_until_the_overlap_ends() {
    let server = Server::start_with(&SETTINGS).await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "phone").await;
    let receiver = Receiver::start().await;
    let made = endpoint(&app, &receiver.url()).await;
    let (id, old) = (made.endpoint.endpoint_id, made.secret.unwrap());
    let rotate = RotateSecret { overlap_s: Some(3_600), ..RotateSecret::default() };
    let new = app.api.rotate_endpoint(&id, &rotate).await.unwrap().secret.unwrap();
    deliver(&app, &mut phone, 1).await;
    receiver.until("an arrival", |events| of(events, EventType::Arrived) == 1).await;
    for request in receiver.received() {
        assert!(request.verifies(&old, &request.body) && request.verifies(&new, &request.body));
    }
    let before = receiver.received().len();
    let at_once = RotateSecret { overlap_s: Some(0), ..RotateSecret::default() };
    let newest = app.api.rotate_endpoint(&id, &at_once).await.unwrap().secret.unwrap();
    deliver(&app, &mut phone, 1).await;
    receiver.until("another", |events| of(events, EventType::Arrived) == 2).await;
    for request in &receiver.received()[before..] {
        let verifies = [&old, &new, &newest].map(|secret| request.verifies(secret, &request.body));
        assert_eq!(verifies, [false, false, true]);
    }
}

#[tokio::test]
async fn a_replay_sends_the_past_again_with_the_same_ids_and_a_test_sends_a_ping() {
    let server = Server::start_with(&SETTINGS).await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "phone").await;
    let receiver = Receiver::start().await;
    let id = endpoint(&app, &receiver.url()).await.endpoint.endpoint_id;
    deliver(&app, &mut phone, 3).await;
    let live = receiver.until("three arrivals", |events| of(events, EventType::Arrived) == 3).await;
    let since = ReplayEvents { since: Some(live[0].at), ..ReplayEvents::default() };
    app.api.replay_events(&id, &since).await.unwrap();
    let both = receiver.until("all of it again", |events| events.len() == 2 * live.len()).await;
    assert_eq!(both[live.len()..], live);
    assert!(receiver.received().iter().any(|request| request.json()["data"]["replay"] == true));
    eventually("the replay to end", async || (!app.api.endpoint(&id).await.unwrap().replaying).then_some(()))
        .await;
    assert!(app.api.test_endpoint(&id).await.unwrap().taken);
    assert_eq!(receiver.received().last().unwrap().json()["type"], "ping");
}

#[tokio::test]
async fn what_is_not_public_is_not_called_unless_it_is_allowed_and_no_redirect_is_followed() {
    // Something is allowed, but not loopback.
    let settings = [SETTINGS.as_slice(), &[("CARILLON_RECEIPTS_ALLOW", "203.0.113.0/24")]].concat();
    let server = Server::start_with(&settings).await;
    let app = server.app();
    let inside = Receiver::start().await;
    let port = inside.port();
    for host in [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "2130706433",
        "0x7f.1",
        "169.254.169.254",
        "[fd00:ec2::254]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
    ] {
        let id = endpoint(&app, &format!("http://{host}:{port}/")).await.endpoint.endpoint_id;
        let tested = app.api.test_endpoint(&id).await.unwrap();
        let error = tested.error.unwrap_or_default();
        assert!(error.contains("is not called"), "{host}: {error}");
        app.api.delete_endpoint(&id).await.unwrap();
    }
    assert!(inside.received().is_empty());
    for wrong in ["ftp://example.com/", "http://user:pw@example.com/", "example.com", ""] {
        let body = format!(r#"{{"url":"{wrong}"}}"#);
        let answer = call(server.http(), &Call::new("POST", "/v1/endpoints", &body).signed(&app)).await;
        assert_eq!(answer.expect_problem(400, "endpoint_invalid").errors[0].pointer, "/url");
    }

    let server = Server::start_with(&SETTINGS).await;
    let app = server.app();
    let outside = Receiver::start().await;
    outside.answer_with(move |_| {
        let location = format!("Location: http://127.0.0.1:{port}/\r\n");
        Some((302, location.leak()))
    });
    let id = endpoint(&app, &outside.url()).await.endpoint.endpoint_id;
    let tested = app.api.test_endpoint(&id).await.unwrap();
    assert_eq!(tested.error.as_deref(), Some("it answered 302, and redirects are not followed"));
    assert_eq!((outside.received().len(), inside.received().len()), (1, 0));
}

#[tokio::test]
async fn an_endpoint_of_another_app_does_not_exist_and_there_are_only_so_many() {
    let settings = [SETTINGS.as_slice(), &[("CARILLON_RECEIPTS_ENDPOINTS_MAX", "2")]].concat();
    let server = Server::start_with(&settings).await;
    let app = server.app();
    let other = server.another_app("other").await;
    let id = endpoint(&app, "http://127.0.0.1:1/").await.endpoint.endpoint_id;
    for (method, rest, body) in [
        ("GET", "", ""),
        ("PATCH", "", "{}"),
        ("DELETE", "", ""),
        ("POST", "/rotate", "{}"),
        ("POST", "/replay", r#"{"since":0}"#),
        ("POST", "/test", ""),
    ] {
        let request = Call::new(method, &format!("/v1/endpoints/{id}{rest}"), body).signed(&other);
        call(server.http(), &request).await.expect_problem(404, "endpoint_unknown");
    }
    endpoint(&app, "http://127.0.0.1:1/").await;
    let third = Call::new("POST", "/v1/endpoints", r#"{"url":"http://127.0.0.1:1/"}"#).signed(&app);
    call(server.http(), &third).await.expect_problem(409, "endpoints_full");
    assert_eq!(app.api.endpoints().await.unwrap().endpoints.len(), 2);
}

#[tokio::test]
async fn the_callback_verifies_with_the_published_key_and_survives_a_kill() {
    let mut server = Server::start_with(&SETTINGS).await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "phone").await;
    let receiver = Receiver::start().await;
    let key = app.api.make_callback_key(&MakeCallbackKey::default()).await.unwrap();
    let callback = Callback { enabled: true, url: Some(receiver.url()) };
    let settings = WriteSettings { callback, ..WriteSettings::default() };
    app.api.replace_settings(&settings, None).await.unwrap();
    // It tells of what happens from when it was turned on, which is shortly after.
    let mut first = Vec::new();
    eventually("the first callback", async || {
        deliver(&app, &mut phone, 1).await;
        first = receiver.received();
        (!first.is_empty()).then_some(())
    })
    .await;
    let body = first[0].json();
    assert_eq!((body["event"].as_str(), body["deviceId"].as_str()), (Some("arrived"), Some("phone")));
    let sign = first[0].target.strip_prefix("/hook?sign=").unwrap();
    let published = app.api.callback_key().await.unwrap().public_key;
    assert_eq!(published, key.public_key);
    assert!(rsa_verifies(&published, &first[0].body, sign));
    let mut tampered = first[0].body.clone();
    tampered[20] ^= 1;
    assert!(!rsa_verifies(&published, &tampered, sign), "a changed body");

    receiver.answer_with(|_| Some((500, "")));
    deliver(&app, &mut phone, 3).await;
    server.crash().await;
    receiver.answer_with(|_| OK);
    let told = eventually("all to be told", async || {
        let received = receiver.received();
        let taken = received.iter().filter(|request| request.taken);
        let told: HashSet<_> = taken.map(|request| request.json()["eventId"].to_string()).collect();
        let arrived =
            feed(&server.app()).await.iter().filter(|event| event.kind == EventType::Arrived).count();
        // Those before it was turned on are not told.
        (told.len() >= 4 && told.len() <= arrived).then_some(told)
    })
    .await;
    assert!(told.contains(&body["eventId"].to_string()));
}

fn rsa_verifies(public_pem: &str, body: &[u8], sign: &str) -> bool {
    use base64::Engine as _;
    use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
    use rsa::pkcs1::EncodeRsaPublicKey;
    use rsa::pkcs8::DecodePublicKey;
    let sign = base64::engine::general_purpose::URL_SAFE.decode(sign).unwrap();
    let key = rsa::RsaPublicKey::from_public_key_pem(public_pem).unwrap();
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.to_pkcs1_der().unwrap());
    key.verify(body, &sign).is_ok()
}

#[tokio::test]
async fn the_command_line_does_all_of_it() {
    let server = Server::start_with(&SETTINGS).await;
    let receiver = Receiver::start().await;
    let url = receiver.url();
    let added = run(&server, &["endpoint", "add", &url, "--event", "arrived,opened", "--json"]).await;
    assert_eq!(added.code, Some(0), "{added:?}");
    let added = &added.json()[0];
    let id = added["endpoint_id"].as_str().unwrap().to_owned();
    assert!(added["secret"].as_str().unwrap().starts_with("whsec_"));
    let rotated = run(&server, &["endpoint", "rotate", &id, "--overlap", "1h", "--json"]).await;
    assert_ne!(rotated.json()[0]["secret"], added["secret"]);
    for (args, shows) in [
        (vec!["endpoint", "list"], &*url),
        (vec!["endpoint", "show", &id], "arrived, opened"),
        (vec!["endpoint", "set", &id, "--disable"], "disabled (by_owner)"),
        (vec!["endpoint", "set", &id, "--enable"], "well"),
        (vec!["endpoint", "replay", &id, "--since", "0"], &*id),
        (vec!["endpoint", "test", &id, "--json"], r#"{"taken":true}"#),
        (vec!["endpoint", "remove", &id], ""),
    ] {
        let output = run(&server, &args).await;
        assert!(output.code == Some(0) && output.out.contains(shows), "{args:?}: {output:?}");
    }
    let gone = run(&server, &["endpoint", "show", &id]).await;
    assert!(gone.code != Some(0) && gone.err.contains("endpoint_unknown"), "{gone:?}");
    assert_eq!(receiver.received().len(), 1, "the ping");
}

//! What the HTTP API owes every caller, whatever is asked.

use carillon_sdk::sign;
use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{App, PATIENCE, Phone, Server, now};

/// The app's publishable key, which the operator can read.
async fn client_key(server: &Server) -> String {
    let operator =
        std::fs::read_to_string(server.ready.data.join("operator.key")).expect("the operator's key");
    let (id, secret) = operator.trim().split_once(' ').expect("id and secret");
    let apps = server.app().with_key(id, secret).get("/v1/apps").await.expect(200).body;
    apps["apps"][0]["client_key"].as_str().expect("a client key").to_owned()
}

/// Registers with the client key and further headers.
async fn register_itself(
    app: &App,
    key: &str,
    device: &str,
    more: &[(&str, &str)],
) -> (u16, serde_json::Value) {
    let authorization = format!("Client {key}");
    let mut headers = vec![("authorization", authorization.as_str()), ("content-type", "application/json")];
    headers.extend_from_slice(more);
    let body = json!({"device_id": device, "platform": "web"}).to_string().into_bytes();
    let answer = app.send(Method::POST, "/v1/devices", &headers, body).await.expect("answered");
    (answer.status, answer.body)
}

#[tokio::test]
async fn a_request_id_is_kept_when_it_is_harmless_and_made_when_not() {
    let server = Server::start().await;
    let app = server.app();
    for (given, kept) in [("mine-1", true), ("a b", false), (&"x".repeat(65), false)] {
        let answer = app.send(Method::GET, "/v1/nothing", &[("x-request-id", given)], Vec::new()).await;
        let answer = answer.expect("answered");
        answer.refused(404, "route_unknown");
        assert_eq!(answer.header("x-request-id") == Some(given), kept, "{given}");
    }
    let fine = app.get("/v1/devices").await.expect(200);
    assert!(fine.header("x-request-id").is_some_and(|id| !id.is_empty()));
}

#[tokio::test]
async fn a_problems_type_leads_to_its_explanation() {
    let server = Server::start().await;
    let app = server.app();
    let problem = app.get("/v1/devices/nobody").await.body;
    let (path, code) = problem["type"].as_str().and_then(|link| link.split_once('#')).expect("a link");
    let page = app.send(Method::GET, path, &[], Vec::new()).await.expect("answered").expect(200);
    assert!(page.text.contains(&format!("\n### {code}\n")), "{code}");
}

#[tokio::test]
async fn a_head_too_long_and_a_method_not_taken_are_refused() {
    let server = Server::start().await;
    let app = server.app();
    let long = "x".repeat(17 * 1024);
    let answer = app.send(Method::GET, "/v1/devices", &[("x-long", &long)], Vec::new()).await;
    answer.expect("answered").refused(431, "header_too_large");
    let answer = app.call(Method::PUT, "/v1/devices/phone", None).await;
    answer.refused(405, "method_not_allowed");
    assert_eq!(answer.header("allow"), Some("GET, DELETE"));
}

#[tokio::test]
async fn a_body_that_trickles_is_cut_off_and_costs_nobody_else() {
    let server = Server::start_with(&[("CARILLON_HTTP_BODY_TIMEOUT", "200ms")]).await;
    let app = server.app();
    let authorization = app.sign(&Method::POST, "/v1/pushes", b"{}", now(), &sign::fresh_nonce());
    let address = server.ready.http.trim_start_matches("http://");
    let mut socket = TcpStream::connect(address).await.expect("connected");
    let head = format!(
        "POST /v1/pushes HTTP/1.1\r\nhost: x\r\nauthorization: {authorization}\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{{"
    );
    socket.write_all(head.as_bytes()).await.expect("written");
    app.get("/v1/devices").await.expect(200);
    let mut answer = [0; 12];
    tokio::time::timeout(PATIENCE, socket.read_exact(&mut answer))
        .await
        .expect("in time")
        .expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 408");
}

#[tokio::test]
async fn a_device_is_taken_over_only_by_who_has_its_credential() {
    let server = Server::start().await;
    let app = server.app();
    let key = client_key(&server).await;
    let victim = Phone::register(&server, "victim").await;
    let other = Phone::register(&server, "other").await;

    for shown in [&[][..], &[("x-device-credential", "guess")], &[("x-device-credential", &other.credential)]]
    {
        let (status, body) = register_itself(&app, &key, "victim", shown).await;
        assert_eq!((status, &body["code"]), (409, &json!("device_exists")));
    }
    // Whoever failed took nothing: the credential still holds, and its bearer may renew it.
    let shown = [("x-device-credential", victim.credential.as_str())];
    let (status, body) = register_itself(&app, &key, "victim", &shown).await;
    assert_eq!((status, &body["created"]), (200, &json!(false)), "{body}");
    let renewed = body["credential"].as_str().expect("a credential");
    Phone::known("victim", renewed).connected(&server).await;
}

#[tokio::test]
async fn of_many_who_register_one_new_id_at_once_one_has_it() {
    let server = Server::start().await;
    let app = server.app();
    let key = client_key(&server).await;
    let all = (0..8).map(|_| register_itself(&app, &key, "wanted", &[]));
    let answers = futures_util::future::join_all(all).await;
    let made: Vec<_> = answers.iter().filter(|(status, _)| *status == 201).collect();
    assert_eq!(made.len(), 1, "{answers:?}");
    assert!(answers.iter().all(|(status, _)| matches!(status, 201 | 409)), "{answers:?}");
    Phone::known("wanted", made[0].1["credential"].as_str().expect("a credential")).connected(&server).await;
}

#[tokio::test]
async fn registrations_with_the_client_key_are_limited_by_address() {
    let server = Server::start_with(&[
        ("CARILLON_RATES_CLIENT_PER_S", "1"),
        ("CARILLON_RATES_CLIENT_BURST", "2"),
        ("CARILLON_HTTP_BEHIND_PROXY", "true"),
    ])
    .await;
    let app = server.app();
    let key = client_key(&server).await;
    let from = |number: usize, address: &'static str| {
        let (app, key) = (app.clone(), key.clone());
        async move {
            let forwarded = format!("203.0.113.9, {address}");
            let more = [("x-forwarded-for", forwarded.as_str())];
            register_itself(&app, &key, &format!("{address} {number}"), &more).await.0
        }
    };
    let mut statuses = Vec::new();
    for number in 0..6 {
        statuses.push(from(number, "198.51.100.1").await);
    }
    assert!(statuses.contains(&201) && statuses.contains(&429), "{statuses:?}");
    assert_eq!(from(0, "198.51.100.2").await, 201, "another address has its own");
}

#[tokio::test]
async fn who_guesses_keys_is_slowed_down() {
    let server = Server::start_with(&[
        ("CARILLON_RATES_AUTH_FAILURES_PER_S", "1"),
        ("CARILLON_RATES_AUTH_FAILURES_BURST", "3"),
    ])
    .await;
    let app = server.app();
    let mut codes = Vec::new();
    for _ in 0..6 {
        let answer = app.with_key(&app.key_id, "wrong").get("/v1/devices").await;
        codes.push(answer.code().to_owned());
    }
    assert_eq!(codes[0], "signature_invalid");
    assert!(codes.contains(&"rate_limited".to_owned()), "{codes:?}");
}

#[tokio::test]
async fn an_idempotency_key_gives_the_first_answer_and_no_second_push() {
    let server = Server::start().await;
    let app = server.app();
    Phone::register(&server, "phone").await;
    let send = |title: &'static str| {
        let app = app.clone();
        async move {
            let body = json!({"to": {"devices": ["phone", "later"]}, "title": title});
            let key = [("idempotency-key", "order 7")];
            app.try_call(Method::POST, "/v1/pushes", &key, Some(&body)).await.expect("answered")
        }
    };
    let first = send("one").await.expect(202);
    assert_eq!(first.header("idempotent-replayed"), None);
    Phone::register(&server, "later").await;
    let again = send("one").await.expect(202);
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.body, first.body);
    send("two").await.refused(422, "idempotency_mismatch");
    assert_eq!(app.get("/v1/devices/phone").await.body["pending"], 1);
    assert_eq!(app.get("/v1/devices/later").await.body["pending"], 0);
}

#[tokio::test]
async fn a_push_that_reached_nobody_may_try_again_with_the_same_key() {
    let server = Server::start().await;
    let app = server.app();
    let body = json!({"to": {"devices": ["phone"]}, "title": "hello"});
    let key = [("idempotency-key", "order 8")];
    let send = || app.try_call(Method::POST, "/v1/pushes", &key, Some(&body));
    let refused = send().await.expect("answered");
    refused.refused(404, "device_unknown");
    assert_eq!(refused.body["targets"][0]["code"], "device_unknown");
    Phone::register(&server, "phone").await;
    send().await.expect("answered").expect(202);
}

#[tokio::test]
async fn a_key_cannot_lock_its_app_out_nor_give_away_what_it_has_not() {
    let server = Server::start().await;
    let app = server.app();
    app.call(Method::DELETE, &format!("/v1/keys/{}", app.key_id), None).await.refused(409, "key_in_use");
    let made = app.post("/v1/keys", json!({"scopes": ["keys", "read"]})).await.expect(201).body;
    let text = |field: &str| made[field].as_str().expect("a text").to_owned();
    let small = app.with_key(&text("key_id"), &text("secret"));
    small.post("/v1/keys", json!({"scopes": ["push"]})).await.refused(403, "scope_missing");
    small.post("/v1/keys", json!({})).await.refused(403, "scope_missing");
    app.post("/v1/keys", json!({"scopes": ["operator"]})).await.refused(400, "key_invalid");
    app.get("/v1/apps").await.refused(403, "scope_missing");
}

#[tokio::test]
async fn any_text_is_a_device_id_when_it_is_encoded() {
    let server = Server::start().await;
    let app = server.app();
    for (id, encoded) in [("phone/1 ü", "phone%2F1%20%C3%BC"), ("50%+?#", "50%25%2B%3F%23")] {
        app.post("/v1/devices", json!({"device_id": id, "platform": "web"})).await.expect(201);
        let found = app.get(&format!("/v1/devices/{encoded}")).await.expect(200);
        assert_eq!(found.body["device_id"], id);
    }
}

#[tokio::test]
async fn answers_say_how_many_requests_are_left() {
    let server =
        Server::start_with(&[("CARILLON_RATES_KEY_PER_S", "10"), ("CARILLON_RATES_KEY_BURST", "100")]).await;
    let answer = server.app().get("/v1/devices").await.expect(200);
    assert_eq!(answer.header("ratelimit-policy"), Some("\"default\";q=100;w=10"));
    assert!(answer.header("ratelimit").is_some_and(|limit| limit.starts_with("\"default\";r=")));
}

//! What bad input gets over HTTP: a clear coded error that costs nobody else anything.

use std::time::Duration;

use carillon_sdk::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{Answer, App, Call, Phone, Server, call, now, to_device, within};

/// A server with somebody on it who did nothing wrong.
struct Scene {
    server: Server,
    app: App,
    bystander: Phone,
}

impl Scene {
    async fn set() -> Self {
        let server = Server::start().await;
        let app = server.app();
        let bystander = Phone::new(&server, &app, "bystander").await;
        Self { server, app, bystander }
    }

    async fn push(&self, body: &str) -> Answer {
        call(self.server.http(), &Call::new("POST", "/v1/pushes", body).signed(&self.app)).await
    }

    /// Nothing of what was refused happened, and others are served as before.
    async fn end_unharmed(mut self) {
        self.app.push(to_device(self.bystander.id()), "marker").await;
        self.bystander.receive("marker").await;
        assert_eq!(self.app.totals().await.accepted, 1, "a refused request was counted as accepted");
    }
}

#[tokio::test]
async fn malformed_json_is_refused() {
    let scene = Scene::set().await;
    for body in ["", "{", "not json", r#"{"to":{"all":true},"title":"x"}}"#, "\u{0}"] {
        scene.push(body).await.expect_problem(400, "body_malformed");
    }
    scene.end_unharmed().await;
}

#[tokio::test]
async fn wrong_types_are_refused_with_the_place_of_the_error() {
    let scene = Scene::set().await;
    for (body, pointer) in [
        (r#"{"to":{"devices":["bystander"]},"title":7}"#, "/title"),
        (r#"{"to":{"devices":"bystander"},"title":"x"}"#, "/to/devices"),
        (r#"{"to":{"devices":["bystander"]},"title":"x","ttl_s":"soon"}"#, "/ttl_s"),
        (r#"{"to":{"devices":["bystander"]},"title":"x","lane":"fast"}"#, "/lane"),
        (r#"[]"#, ""),
    ] {
        let problem = scene.push(body).await.expect_problem(400, "body_invalid");
        assert!(problem.errors.iter().any(|error| error.pointer == pointer), "{body}: {problem:?}");
    }
    scene.end_unharmed().await;
}

#[tokio::test]
async fn unknown_fields_are_refused() {
    let scene = Scene::set().await;
    for body in [
        r#"{"to":{"devices":["bystander"]},"titel":"x"}"#,
        r#"{"to":{"devices":["bystander"],"everybody":true},"title":"x"}"#,
    ] {
        scene.push(body).await.expect_problem(400, "body_invalid");
    }
    scene.end_unharmed().await;
}

#[tokio::test]
async fn an_oversized_body_is_refused() {
    let scene = Scene::set().await;
    let body = format!(r#"{{"to":{{"devices":["bystander"]}},"title":"{}"}}"#, "x".repeat(70_000));
    scene.push(&body).await.expect_problem(413, "body_too_large");
    let body = format!(r#"{{"to":{{"devices":["bystander"]}},"title":"{}"}}"#, "x".repeat(5_000));
    scene.push(&body).await.expect_problem(413, "payload_too_large");
    scene.end_unharmed().await;
}

#[tokio::test]
async fn oversized_headers_are_refused() {
    let scene = Scene::set().await;
    let bloated =
        Call::new("GET", "/v1/devices", "").signed(&scene.app).header("X-Bloat", &"x".repeat(20_000));
    call(scene.server.http(), &bloated).await.expect_problem(431, "header_too_large");
    scene.end_unharmed().await;
}

const PUSH: &str = r#"{"to":{"devices":["bystander"]},"title":"forged"}"#;

#[tokio::test]
async fn a_bad_signature_is_refused() {
    let scene = Scene::set().await;
    let wrong_secret =
        Call::new("POST", "/v1/pushes", PUSH).signed_with(&scene.app, "wrong", now(), "nonce-1234");
    call(scene.server.http(), &wrong_secret).await.expect_problem(401, "signature_invalid");
    let mut other_body = Call::new("POST", "/v1/pushes", "{}").signed(&scene.app);
    other_body.body = PUSH.as_bytes().to_vec();
    call(scene.server.http(), &other_body).await.expect_problem(401, "signature_invalid");
    let mut other_path = Call::new("POST", "/v1/devices", PUSH).signed(&scene.app);
    other_path.path = "/v1/pushes".to_owned();
    call(scene.server.http(), &other_path).await.expect_problem(401, "signature_invalid");
    scene.end_unharmed().await;
}

#[tokio::test]
async fn an_unsigned_or_garbled_authorization_is_refused() {
    let scene = Scene::set().await;
    let unsigned = Call::new("POST", "/v1/pushes", PUSH);
    call(scene.server.http(), &unsigned).await.expect_problem(401, "authorization_missing");
    for value in
        ["", "Basic YTpi", "CARILLON1-HMAC-SHA256", "CARILLON1-HMAC-SHA256 key=,,,=", "Bearer nonsense"]
    {
        let garbled = Call::new("POST", "/v1/pushes", PUSH).header("Authorization", value);
        let answer = call(scene.server.http(), &garbled).await;
        assert_eq!(answer.status, 401, "{value:?}: {}", answer.text());
    }
    scene.end_unharmed().await;
}

#[tokio::test]
async fn a_stale_or_early_timestamp_is_refused() {
    let scene = Scene::set().await;
    for at in [now().as_millis() - 301_000, now().as_millis() + 310_000] {
        let at = Timestamp::from_millis(at);
        let late = Call::new("POST", "/v1/pushes", PUSH).signed_with(
            &scene.app,
            &scene.app.secret,
            at,
            "nonce-1234",
        );
        call(scene.server.http(), &late).await.expect_problem(401, "clock_skew");
    }
    scene.end_unharmed().await;
}

#[tokio::test]
async fn a_replayed_nonce_is_refused_after_a_crash_too() {
    let mut server = Server::start().await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "bystander").await;
    let signed = Call::new("POST", "/v1/pushes", PUSH).signed(&app);
    assert_eq!(call(server.http(), &signed).await.status, 202);
    call(server.http(), &signed).await.expect_problem(401, "nonce_replayed");
    phone.receive("forged").await;
    server.crash().await;
    call(server.http(), &signed).await.expect_problem(401, "nonce_replayed");
    let mut phone = phone.reconnect(&server).await;
    server.app().push(to_device(phone.id()), "marker").await;
    loop {
        // The ack before the crash may or may not have reached the disk; the replay must not show.
        match phone.next().await {
            Some(carillon_sdk::wire::Frame::Push(push)) if push.title.as_deref() == Some("marker") => break,
            Some(carillon_sdk::wire::Frame::Push(push)) => phone.ack(&push).await,
            other => panic!("expected a push, got {other:?}"),
        }
    }
    assert_eq!(server.app().totals().await.accepted, 2);
}

#[tokio::test]
async fn an_unknown_device_is_refused() {
    let scene = Scene::set().await;
    let answer = scene.push(r#"{"to":{"devices":["nobody"]},"title":"x"}"#).await;
    let problem = answer.expect_problem(404, "device_unknown");
    assert_eq!(problem.targets.len(), 1, "{problem:?}");
    let get = Call::new("GET", "/v1/devices/nobody", "").signed(&scene.app);
    call(scene.server.http(), &get).await.expect_problem(404, "device_unknown");
    scene.end_unharmed().await;
}

#[tokio::test]
async fn a_ttl_out_of_range_is_refused() {
    let scene = Scene::set().await;
    for ttl in ["604801", "18446744073709551615"] {
        let body = format!(r#"{{"to":{{"devices":["bystander"]}},"title":"x","ttl_s":{ttl}}}"#);
        scene.push(&body).await.expect_problem(400, "ttl_out_of_range");
    }
    for ttl in ["-1", "1.5", "18446744073709551616"] {
        let body = format!(r#"{{"to":{{"devices":["bystander"]}},"title":"x","ttl_s":{ttl}}}"#);
        scene.push(&body).await.expect_problem(400, "body_invalid");
    }
    scene.end_unharmed().await;
}

#[tokio::test]
async fn targets_that_contradict_are_refused() {
    let scene = Scene::set().await;
    for to in
        [r#"{}"#, r#"{"devices":["bystander"],"all":true}"#, r#"{"devices":["bystander"],"users":["ann"]}"#]
    {
        scene.push(&format!(r#"{{"to":{to},"title":"x"}}"#)).await.expect_problem(400, "target_invalid");
    }
    scene.end_unharmed().await;
}

#[tokio::test]
async fn an_id_that_is_too_long_is_refused() {
    let scene = Scene::set().await;
    for id in ["x".repeat(257), String::new(), "a\\u0007b".to_owned()] {
        let body = format!(r#"{{"device_id":"{id}","platform":"android"}}"#);
        let answer =
            call(scene.server.http(), &Call::new("POST", "/v1/devices", &body).signed(&scene.app)).await;
        assert_eq!(answer.status, 400, "{id:?}: {}", answer.text());
    }
    scene.end_unharmed().await;
}

#[tokio::test]
async fn a_body_that_comes_a_byte_a_second_is_refused() {
    let server = Server::start_with(&[("CARILLON_HTTP_BODY_TIMEOUT", "300ms")]).await;
    let app = server.app();
    let mut stream = TcpStream::connect(server.http()).await.unwrap();
    let call = Call::new("POST", "/v1/pushes", PUSH).signed(&app);
    let (_, authorization) = call.headers.iter().find(|(name, _)| name == "Authorization").unwrap();
    let head = format!(
        "POST /v1/pushes HTTP/1.1\r\nHost: test\r\nAuthorization: {authorization}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{{",
        PUSH.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    within("the refusal", stream.read_to_end(&mut bytes)).await.unwrap();
    Answer::read(&bytes).expect_problem(408, "body_timeout");
}

#[tokio::test]
async fn a_caller_that_says_nothing_costs_the_others_nothing() {
    let scene = Scene::set().await;
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(TcpStream::connect(scene.server.http()).await.unwrap());
    }
    tokio::time::timeout(Duration::from_secs(10), scene.end_unharmed()).await.unwrap();
}

#[tokio::test]
async fn a_path_or_method_that_is_not_there_says_so() {
    let scene = Scene::set().await;
    call(scene.server.http(), &Call::new("GET", "/v2/nothing", ""))
        .await
        .expect_problem(404, "route_unknown");
    let answer = call(scene.server.http(), &Call::new("PATCH", "/v1/pushes", "")).await;
    answer.expect_problem(405, "method_not_allowed");
    assert_eq!(answer.header("allow"), Some("POST"));
    scene.end_unharmed().await;
}

#[tokio::test]
async fn a_revoked_key_is_refused() {
    let scene = Scene::set().await;
    let created = scene.app.api.create_key(&carillon_sdk::api::CreateKey::default()).await.unwrap();
    let other = App::new(&scene.server, created.key.key_id.as_str(), &created.secret);
    other.api.devices(None).await.unwrap();
    scene.app.api.revoke_key(&created.key.key_id).await.unwrap();
    let answer = call(scene.server.http(), &Call::new("GET", "/v1/devices", "").signed(&other)).await;
    answer.expect_problem(401, "signature_invalid");
    scene.end_unharmed().await;
}

#[tokio::test]
async fn every_answer_carries_a_request_id_and_keeps_the_callers() {
    let scene = Scene::set().await;
    let answer =
        call(scene.server.http(), &Call::new("GET", "/v1/nothing", "").header("X-Request-Id", "mine-1"))
            .await;
    assert_eq!(answer.header("x-request-id"), Some("mine-1"));
    assert_eq!(answer.expect_problem(404, "route_unknown").request_id, "mine-1");
    let answer = call(scene.server.http(), &Call::new("GET", "/", "")).await;
    assert!(answer.header("x-request-id").is_some_and(|id| !id.is_empty()));
}

#[tokio::test]
async fn what_is_not_there_or_not_well_formed_says_so() {
    let scene = Scene::set().await;
    for (path, status, code) in [
        ("/v1/users/nobody", 404, "user_unknown"),
        ("/v1/messages/00000000-0000-0000-0000-000000000000", 404, "message_unknown"),
        ("/v1/messages/not-an-id", 400, "message_id_invalid"),
        ("/v1/devices?limit=0", 400, "query_invalid"),
        ("/v1/devices?cursor=nonsense", 400, "cursor_invalid"),
        ("/v1/devices?shoe_size=44", 400, "query_invalid"),
        ("/v1/stats?from=5&to=1", 400, "query_invalid"),
        ("/v1/stats?group_by=shoe_size", 400, "query_invalid"),
    ] {
        call(scene.server.http(), &Call::new("GET", path, "").signed(&scene.app))
            .await
            .expect_problem(status, code);
    }
    scene.end_unharmed().await;
}

#[tokio::test]
async fn too_many_requests_are_told_when_to_come_back() {
    let settings = &[("CARILLON_RATES_KEY_PER_S", "1"), ("CARILLON_RATES_KEY_BURST", "3")];
    let server = Server::start_with(settings).await;
    let app = server.app();
    for _ in 0..10 {
        let answer = call(server.http(), &Call::new("GET", "/v1/devices", "").signed(&app)).await;
        if answer.status != 200 {
            answer.expect_problem(429, "rate_limited");
            let after = answer.header("retry-after").and_then(|after| after.parse::<u64>().ok());
            assert!(after.is_some_and(|seconds| seconds >= 1), "{}", answer.head);
            return;
        }
    }
    panic!("ten at once are more than three");
}

#[tokio::test]
async fn bearer_is_taken_only_from_a_key_that_allows_it() {
    let scene = Scene::set().await;
    let strict = scene.app.api.create_key(&carillon_sdk::api::CreateKey::default()).await.unwrap();
    let (key, secret) = (scene.app.key_id.to_string(), scene.app.secret.clone());
    for (key, secret, status) in [(key, secret, 200), (strict.key.key_id.to_string(), strict.secret, 401)] {
        let bearer =
            Call::new("GET", "/v1/devices", "").header("Authorization", &format!("Bearer {key}.{secret}"));
        let answer = call(scene.server.http(), &bearer).await;
        assert_eq!(answer.status, status, "{}", answer.text());
    }
    scene.end_unharmed().await;
}

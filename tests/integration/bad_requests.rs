//! What bad requests get: a coded refusal each, and nothing half done.

use carillon_sdk::Ttl;
use carillon_sdk::sign;
use reqwest::Method;
use serde_json::json;

use crate::harness::{Phone, Server, now};

#[tokio::test]
async fn a_body_that_is_no_push_is_refused_with_its_place() {
    let server = Server::start().await;
    let app = server.app();
    Phone::register(&server, "phone").await;
    let to = json!({"devices": ["phone"]});
    for (body, code) in [
        (json!({"to": to, "title": 7}), "body_invalid"),
        (json!({"to": to, "title": "x", "tittle": "y"}), "body_invalid"),
        (json!({"title": "x"}), "body_invalid"),
        (json!({"to": {}, "title": "x"}), "target_invalid"),
        (json!({"to": {"devices": ["phone"], "all": true}, "title": "x"}), "target_invalid"),
        (json!({"to": {"devices": [""]}, "title": "x"}), "body_invalid"),
        (json!({"to": {"devices": ["d".repeat(257)]}, "title": "x"}), "body_invalid"),
        (json!({"to": to, "title": "x", "ttl_s": 7 * 24 * 3600 + 1}), "ttl_out_of_range"),
        (json!({"to": to, "title": "x", "ttl_s": -1}), "body_invalid"),
        (json!({"to": to, "title": "x", "lane": "bulk"}), "lane_invalid"),
        (json!({"to": to, "title": "x".repeat(5000)}), "payload_too_large"),
        (json!({"to": to, "title": "x", "data": [1]}), "data_invalid"),
        (json!({"to": to, "title": "x", "collapse_key": ""}), "collapse_key_invalid"),
        (json!({"to": to}), "content_missing"),
    ] {
        let status = if code == "payload_too_large" { 413 } else { 400 };
        app.post("/v1/pushes", body).await.refused(status, code);
    }
    let odd = app.post("/v1/pushes", json!({"to": to, "title": 7})).await;
    assert_eq!(odd.body["errors"][0]["pointer"], "/title", "{}", odd.text);
    assert_eq!(app.get("/v1/devices/phone").await.body["pending"], 0);
}

#[tokio::test]
async fn malformed_json_an_oversize_body_and_a_wrong_type_are_refused() {
    let server = Server::start().await;
    let app = server.app();
    for (body, kind, status, code) in [
        (b"{\"to\":".to_vec(), "application/json", 400, "body_malformed"),
        (vec![b' '; 2 << 20], "application/json", 413, "body_too_large"),
        (b"to=phone".to_vec(), "application/x-www-form-urlencoded", 415, "content_type_unsupported"),
    ] {
        let authorization = app.sign(&Method::POST, "/v1/pushes", &body, now(), &sign::fresh_nonce());
        let headers = [("authorization", authorization.as_str()), ("content-type", kind)];
        app.send(Method::POST, "/v1/pushes", &headers, body).await.expect("answered").refused(status, code);
    }
}

#[tokio::test]
async fn a_request_whose_signature_does_not_hold_is_refused() {
    let server = Server::start().await;
    let app = server.app();
    let get = |authorization: String| {
        let app = app.clone();
        async move {
            let headers = [("authorization", authorization.as_str())];
            app.send(Method::GET, "/v1/devices", &headers, Vec::new()).await.expect("answered")
        }
    };
    let sign = |path: &str, at, nonce: &str| app.sign(&Method::GET, path, b"", at, nonce);

    app.send(Method::GET, "/v1/devices", &[], Vec::new())
        .await
        .expect("answered")
        .refused(401, "authorization_missing");
    get("Basic Zm9vOmJhcg==".into()).await.refused(401, "authorization_invalid");
    get(sign("/v1/keys", now(), &sign::fresh_nonce())).await.refused(401, "signature_invalid");
    app.with_key(&app.key_id, "wrong").get("/v1/devices").await.refused(401, "signature_invalid");
    app.with_key("ck_nobody", &app.secret).get("/v1/devices").await.refused(401, "signature_invalid");

    let minutes = |minutes: u64| Ttl::from_secs(minutes * 60);
    get(sign("/v1/devices", now() - minutes(20), &sign::fresh_nonce())).await.refused(401, "clock_skew");
    get(sign("/v1/devices", now() + minutes(20), &sign::fresh_nonce())).await.refused(401, "clock_skew");
}

#[tokio::test]
async fn a_replayed_nonce_is_refused_after_a_restart_too() {
    let mut server = Server::start().await;
    let app = server.app();
    Phone::register(&server, "phone").await;
    let body = json!({"to": {"devices": ["phone"]}, "title": "once"}).to_string().into_bytes();
    let authorization = app.sign(&Method::POST, "/v1/pushes", &body, now(), "nonce-1234");
    let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];

    app.send(Method::POST, "/v1/pushes", &headers, body.clone()).await.expect("answered").expect(202);
    app.send(Method::POST, "/v1/pushes", &headers, body.clone())
        .await
        .expect("answered")
        .refused(401, "nonce_replayed");
    server.crash_and_restart().await;
    let again = server.app().send(Method::POST, "/v1/pushes", &headers, body).await.expect("answered");
    again.refused(401, "nonce_replayed");
}

#[tokio::test]
async fn what_is_not_there_or_not_allowed_is_said_in_the_same_manner() {
    let server = Server::start().await;
    let app = server.app();
    app.get("/v1/nothing").await.refused(404, "route_unknown");
    app.call(Method::PATCH, "/v1/devices", None).await.refused(405, "method_not_allowed");
    app.get("/v1/devices/nobody").await.refused(404, "device_unknown");
    app.get("/v1/users/nobody").await.refused(404, "user_unknown");
    app.get("/v1/messages/00000000-0000-0000-0000-000000000000").await.refused(404, "message_unknown");
    app.get("/v1/messages/not-an-id").await.refused(400, "message_id_invalid");
    app.get("/v1/devices?limit=0").await.refused(400, "query_invalid");
    app.get("/v1/devices?cursor=nonsense").await.refused(400, "cursor_invalid");
    app.get("/v1/stats?from=5&to=1").await.refused(400, "query_invalid");
}

#[tokio::test]
async fn too_many_requests_are_told_when_to_come_back() {
    let server =
        Server::start_with(&[("CARILLON_RATES_KEY_PER_S", "1"), ("CARILLON_RATES_KEY_BURST", "3")]).await;
    let app = server.app();
    let mut refused = None;
    for _ in 0..10 {
        let answer = app.get("/v1/devices").await;
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("ten at once are more than three");
    refused.refused(429, "rate_limited");
    assert!(refused.header("retry-after").is_some_and(|after| after.parse::<u64>().is_ok_and(|s| s >= 1)));
}

#[tokio::test]
async fn bearer_is_taken_only_from_a_key_that_allows_it() {
    let server = Server::start().await;
    let app = server.app();
    let made = app.post("/v1/keys", json!({"scopes": ["read"], "bearer": false})).await.expect(201).body;
    let text = |field: &str| made[field].as_str().expect("a text").to_owned();
    for (key, secret, status) in
        [(app.key_id.clone(), app.secret.clone(), 200), (text("key_id"), text("secret"), 401)]
    {
        let authorization = format!("Bearer {key}.{secret}");
        let headers = [("authorization", authorization.as_str())];
        let answer = app.send(Method::GET, "/v1/devices", &headers, Vec::new()).await.expect("answered");
        assert_eq!(answer.status, status, "{}", answer.text);
    }
}

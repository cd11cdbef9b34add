//! The app-server client against a server that answers what a test lays out.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::api::{Platform, Target};
use crate::sign::{parse_authorization, verify};

const SECRET: &str = "a secret";

/// One request as it came.
#[derive(Debug, Clone, Default)]
struct Seen {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Seen {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(given, _)| given.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The nonce, once the signature holds.
    fn verified_nonce(&self) -> String {
        let given = parse_authorization(self.header("authorization").expect("signed")).unwrap();
        assert_eq!(given.key_id.as_str(), "key-1");
        let (path, query) = self.target.split_once('?').unwrap_or((&self.target, ""));
        let request = sign::Request {
            method: &self.method,
            path,
            query,
            body: self.body.as_bytes(),
            timestamp: given.timestamp,
            nonce: &given.nonce,
        };
        assert!(verify(SECRET, &request, &given.signature), "{self:?}");
        given.nonce
    }
}

struct Laid {
    app: AppServer,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Laid {
    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

/// A client, and a server that gives these answers, one a connection; then it hangs up.
async fn answering(answers: impl IntoIterator<Item = (u16, serde_json::Value)>) -> Laid {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/", listener.local_addr().unwrap());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (mut answers, log) = (answers.into_iter().collect::<VecDeque<_>>(), Arc::clone(&seen));
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let Some((status, body)) = answers.pop_front() else { continue };
            let mut bytes = Vec::new();
            let request = loop {
                if let Some(request) = request(&bytes) {
                    break request;
                }
                assert!(stream.read_buf(&mut bytes).await.unwrap() > 0, "a whole request");
            };
            log.lock().unwrap().push(request);
            let body = if body.is_null() { String::new() } else { body.to_string() };
            let head = format!(
                "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nretry-after: 0\r\nconnection: close\r\n\r\n",
                body.len()
            );
            stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        }
    });
    let app = AppServer::new(&base, KeyId::parse("key-1").unwrap(), SECRET, &Trust::Web).unwrap();
    Laid { app, seen }
}

fn request(bytes: &[u8]) -> Option<Seen> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut parsed = httparse::Request::new(&mut headers);
    let end = match parsed.parse(bytes).unwrap() {
        httparse::Status::Complete(end) => end,
        httparse::Status::Partial => return None,
    };
    let headers: Vec<(String, String)> = parsed
        .headers
        .iter()
        .map(|line| (line.name.to_owned(), String::from_utf8(line.value.to_vec()).unwrap()))
        .collect();
    let mut seen = Seen {
        method: parsed.method.unwrap().to_owned(),
        target: parsed.path.unwrap().to_owned(),
        headers,
        body: String::new(),
    };
    let length: usize = seen.header("content-length").map_or(0, |length| length.parse().unwrap());
    seen.body = String::from_utf8(bytes.get(end..end + length)?.to_vec()).unwrap();
    Some(seen)
}

fn problem(status: u16, code: &str) -> (u16, serde_json::Value) {
    (status, json!({"type": "about:blank", "title": "no", "status": status, "code": code}))
}

fn accepted() -> (u16, serde_json::Value) {
    (202, json!({"message_id": "0199c2a4-7e00-7000-8000-00000000002a", "accepted": 1}))
}

fn push() -> PushRequest {
    let to = Target { users: vec![UserId::parse("anna").unwrap()], ..Target::default() };
    PushRequest { to, title: Some("hi".to_owned()), ..PushRequest::default() }
}

#[tokio::test]
async fn each_call_is_signed_over_what_goes_over_the_wire() {
    let laid = answering([
        (200, json!({"devices": []})),
        accepted(),
        (204, json!(null)),
        (201, json!({"device_id": "d", "credential": "c", "addresses": {}, "created": true})),
    ])
    .await;
    laid.app.devices(Some("a/b&c")).await.unwrap();
    laid.app.push(&push(), None).await.unwrap();
    let odd = DeviceId::parse("a/b c?ü%").unwrap();
    laid.app.bind(&odd, &UserId::parse("zoë").unwrap()).await.unwrap();
    let device = RegisterDevice { platform: Platform::Ios, ..RegisterDevice::default() };
    assert!(laid.app.register_device(&device).await.unwrap().created);

    let seen = laid.seen();
    let targets: Vec<(&str, &str)> =
        seen.iter().map(|seen| (seen.method.as_str(), seen.target.as_str())).collect();
    assert_eq!(
        targets,
        [
            ("GET", "/v1/devices?cursor=a%2Fb%26c"),
            ("POST", "/v1/pushes"),
            ("PUT", "/v1/devices/a%2Fb%20c%3F%C3%BC%25/user"),
            ("POST", "/v1/devices"),
        ]
    );
    let mut nonces: Vec<String> = seen.iter().map(Seen::verified_nonce).collect();
    nonces.sort_unstable();
    nonces.dedup();
    assert_eq!(nonces.len(), 4);
    assert_eq!(seen[1].body, r#"{"to":{"users":["anna"]},"title":"hi","lane":"normal"}"#);
    assert_eq!(seen[1].header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn a_query_of_statistics_names_what_it_asks() {
    let laid = answering([(200, json!({"granularity": "hour", "rows": []}))]).await;
    let query = StatsQuery {
        from: Some(Timestamp::from_millis(1)),
        to: Some(Timestamp::from_millis(2)),
        granularity: Granularity::Hour,
        group_by: vec![Dimension::AppVersion, Dimension::Reason],
    };
    laid.app.stats(&query).await.unwrap();
    let seen = laid.seen();
    assert_eq!(seen[0].target, "/v1/stats?granularity=hour&from=1&to=2&group_by=app_version,reason");
    seen[0].verified_nonce();
}

#[tokio::test]
async fn a_refusal_carries_its_problem() {
    let laid = answering([problem(404, "device_unknown"), (502, json!("a proxy's page"))]).await;
    let device = DeviceId::parse("d").unwrap();
    let error = laid.app.delete_device(&device).await.unwrap_err();
    assert_eq!(error.code(), Some("device_unknown"));
    let error = laid.app.delete_device(&device).await.unwrap_err();
    assert!(matches!(error, Error::Answer { status: 502, .. }), "{error:?}");
}

#[tokio::test]
async fn a_read_is_tried_again_under_a_new_nonce_while_the_server_says_503() {
    let laid = answering([problem(503, "busy"), problem(503, "busy"), (200, json!({"keys": []}))]).await;
    laid.app.keys().await.unwrap();
    let nonces: Vec<String> = laid.seen().iter().map(Seen::verified_nonce).collect();
    assert!(nonces.len() == 3 && nonces[0] != nonces[1] && nonces[1] != nonces[2], "{nonces:?}");
}

#[tokio::test]
async fn tries_have_an_end() {
    let laid = answering((0..9).map(|_| problem(503, "busy"))).await;
    assert_eq!(laid.app.keys().await.unwrap_err().code(), Some("busy"));
    assert_eq!(laid.seen().len(), 3);
}

#[tokio::test]
async fn a_push_is_tried_again_only_with_an_idempotency_key() {
    let laid = answering([problem(503, "busy"), problem(503, "busy"), accepted()]).await;
    assert_eq!(laid.app.push(&push(), None).await.unwrap_err().code(), Some("busy"));
    assert_eq!(laid.app.push(&push(), Some("order-17")).await.unwrap().accepted, 1);
    let keys: Vec<Option<String>> =
        laid.seen().iter().map(|seen| seen.header("idempotency-key").map(str::to_owned)).collect();
    assert_eq!(keys, [None, Some("order-17".to_owned()), Some("order-17".to_owned())]);
}

#[tokio::test]
async fn a_raw_call_gives_the_answer_as_it_came() {
    let laid = answering([problem(503, "busy")]).await;
    let answer = laid.app.request(Method::GET, "/v1/devices?limit=2", Bytes::new()).await.unwrap();
    assert_eq!(answer.status, 503);
    assert_eq!(answer.headers["retry-after"], "0");
    assert!(answer.body.starts_with(b"{"));
    assert_eq!(laid.seen()[0].target, "/v1/devices?limit=2");
}

#[tokio::test]
async fn an_id_of_dots_is_refused_before_it_becomes_another_path() {
    let laid = answering([]).await;
    let error = laid.app.delete_device(&DeviceId::parse("..").unwrap()).await.unwrap_err();
    assert!(matches!(error, Error::Dots(_)), "{error:?}");
    let key = KeyId::parse("key-1").unwrap();
    assert!(AppServer::new("localhost:1", key, SECRET, &Trust::Web).is_err());
}

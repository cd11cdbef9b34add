//! An app server: signed requests, and anything else one may send.

use carillon_sdk::sign;
use carillon_sdk::{KeyId, Timestamp};
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use super::{PATIENCE, Ready, until};

#[derive(Clone)]
pub(crate) struct App {
    http: reqwest::Client,
    pub(crate) base: String,
    pub(crate) key_id: String,
    pub(crate) secret: String,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    /// Null when the answer is no JSON.
    pub(crate) body: Value,
}

impl Answer {
    /// The stable code of a problem, empty when it is none.
    pub(crate) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// A refusal: status, code, and the manners every problem has.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.code()), (status, code), "{}", self.text);
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{}", self.text);
        assert_eq!(self.header("x-request-id"), self.body["request_id"].as_str(), "{}", self.text);
        assert_eq!(self.body["status"], status, "{}", self.text);
    }

    pub(crate) fn message_id(&self) -> String {
        self.body["message_id"].as_str().expect("a message id").to_owned()
    }
}

pub(crate) fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "a client's clock")]
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    Timestamp::from_millis(u64::try_from(now.as_millis()).expect("before the year 584,556,019"))
}

impl App {
    pub(crate) fn new(ready: &Ready) -> Self {
        Self {
            http: reqwest::Client::builder().timeout(PATIENCE).build().expect("a client"),
            base: ready.http.clone(),
            key_id: ready.key_id.clone(),
            secret: ready.key_secret.clone(),
        }
    }

    /// The same caller with another key.
    pub(crate) fn with_key(&self, key_id: &str, secret: &str) -> Self {
        Self { key_id: key_id.to_owned(), secret: secret.to_owned(), ..self.clone() }
    }

    pub(crate) fn key(&self) -> KeyId {
        KeyId::parse(&self.key_id).expect("a key id")
    }

    /// The header that signs this request, at `at` with `nonce`.
    pub(crate) fn sign(
        &self,
        method: &Method,
        path_and_query: &str,
        body: &[u8],
        at: Timestamp,
        nonce: &str,
    ) -> String {
        let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
        let request = sign::Request { method: method.as_str(), path, query, body, timestamp: at, nonce };
        sign::authorization(&self.key(), &self.secret, &request)
    }

    /// Sends a request as it is given; Err when the connection failed.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> reqwest::Result<Answer> {
        let mut request = self.http.request(method, format!("{}{path}", self.base)).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let text = answer.text().await?;
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Ok(Answer { status, headers, text, body })
    }

    /// A signed request with further headers; Err when the connection failed.
    pub(crate) async fn try_call(
        &self,
        method: Method,
        path: &str,
        extra: &[(&str, &str)],
        body: Option<&Value>,
    ) -> reqwest::Result<Answer> {
        let body = body.map(|body| serde_json::to_vec(body).expect("JSON")).unwrap_or_default();
        let authorization = self.sign(&method, path, &body, now(), &sign::fresh_nonce());
        let mut headers = vec![("authorization", authorization.as_str())];
        if !body.is_empty() {
            headers.push(("content-type", "application/json"));
        }
        headers.extend_from_slice(extra);
        self.send(method, path, &headers, body).await
    }

    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        self.try_call(method, path, &[], body.as_ref()).await.expect("the server answers")
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, Some(body)).await
    }

    /// A push with the fields of `more` on top of a target and a title.
    pub(crate) async fn push(&self, to: Value, title: &str, more: Value) -> Answer {
        let mut body = json!({"to": to, "title": title});
        if let (Value::Object(body), Value::Object(more)) = (&mut body, more) {
            body.extend(more);
        }
        self.post("/v1/pushes", body).await
    }

    pub(crate) async fn push_to_device(&self, device: &str, title: &str) -> String {
        self.push(json!({"devices": [device]}), title, json!({})).await.expect(202).message_id()
    }

    pub(crate) async fn push_to_user(&self, user: &str, title: &str) -> String {
        self.push(json!({"users": [user]}), title, json!({})).await.expect(202).message_id()
    }

    pub(crate) async fn bind(&self, device: &str, user: &str) {
        self.call(Method::PUT, &format!("/v1/devices/{device}/user"), Some(json!({"user_id": user})))
            .await
            .expect_ok();
    }

    pub(crate) async fn unbind(&self, device: &str) {
        self.call(Method::DELETE, &format!("/v1/devices/{device}/user"), None).await.expect_ok();
    }

    pub(crate) async fn message(&self, id: &str) -> Value {
        self.get(&format!("/v1/messages/{id}")).await.expect(200).body
    }

    /// Waits until the message has a target, by device or user id, in that state; its row.
    pub(crate) async fn message_is(&self, id: &str, whom: &str, state: &str) -> Value {
        until(&format!("message {id} is {state} for {whom}"), || async {
            let message = self.message(id).await;
            let rows = message["targets"].as_array()?.clone();
            rows.into_iter()
                .find(|row| (row["device_id"] == whom || row["user_id"] == whom) && row["state"] == state)
        })
        .await
    }

    /// A second app with a key of its own, made with the operator's key.
    pub(crate) async fn another_app(&self, ready: &Ready, app_id: &str) -> Self {
        let operator = std::fs::read_to_string(ready.data.join("operator.key")).expect("the operator's key");
        let (id, secret) = operator.trim().split_once(' ').expect("id and secret");
        let made = self
            .with_key(id, secret)
            .post("/v1/apps", json!({"app_id": app_id, "workspace_id": "default"}))
            .await;
        let made = made.expect(201).body;
        let text = |field: &str| made["key"][field].as_str().expect("a text").to_owned();
        self.with_key(&text("key_id"), &text("secret"))
    }
}

impl Answer {
    #[track_caller]
    pub(crate) fn expect_ok(self) -> Self {
        assert!(self.status < 300, "{} {}", self.status, self.text);
        self
    }
}

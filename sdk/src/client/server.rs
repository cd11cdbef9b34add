//! An app server: every call signed, every answer typed.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Method, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Trust, random_below, tls, wall_now};
use crate::api::{
    AppCreated, AppList, BindUser, CreateApp, CreateKey, DeviceList, DeviceRegistered, DeviceView, Dimension,
    Granularity, KeyCreated, KeyList, MessageView, Problem, PushAccepted, PushRequest, RegisterDevice,
    StatsView, UserView,
};
use crate::ids::{DeviceId, KeyId, MessageId, UserId};
use crate::sign;
use crate::time::Timestamp;

mod analysis;
mod batch;
mod campaigns;
mod endpoints;
mod events;
mod lists;
mod owner;
mod revokes;
mod schedules;
mod settings;
mod tags;
mod templates;
mod tokens;
mod vendors;

pub use events::EventsQuery;

pub use self::analysis::AnalysisQuery;
pub use self::campaigns::CampaignWatch;
pub use self::lists::ListForm;
pub use self::revokes::RevokeFrom;
pub use self::tags::MemberForm;
pub use self::tokens::{TokenExport, TokenForm};

#[cfg(test)]
mod tests;

/// Tries of a call that may be repeated.
const TRIES_MAX: u32 = 3;

/// The longest wait between two tries, whatever the server asks for.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// From the first packet to the last byte of the answer, for one try.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// The header of a push that may be repeated.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0:?} is not the base of an HTTP API")]
    Base(String),
    #[error("set TLS up")]
    Tls(#[from] tls::Error),
    /// A URL cannot hold such a segment, escaped or not: an id of one or two dots has no path.
    #[error("a path with a segment of dots: {0:?}")]
    Dots(String),
    #[error("an idempotency key that cannot stand in a header")]
    IdempotencyKey,
    #[error("an ETag that cannot stand in a header")]
    Etag,
    #[error("call the server")]
    Http(#[from] reqwest::Error),
    #[error("{}: {} {}", .0.status, .0.title, .0.detail)]
    Problem(Box<Problem>),
    #[error("read an answer {status} of {method} {path}")]
    Answer { status: u16, method: Method, path: String, source: serde_json::Error },
}

impl Error {
    /// The server's stable code, where it gave one.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Problem(problem) => Some(&problem.code),
            _ => None,
        }
    }
}

/// An answer as it came.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// What to count: `GET /v1/stats`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StatsQuery {
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    pub granularity: Granularity,
    pub group_by: Vec<Dimension>,
}

/// A client of the HTTP API under one key. Clones share connections.
#[derive(Clone)]
pub struct AppServer {
    http: reqwest::Client,
    /// Without a slash at its end.
    base: String,
    key_id: KeyId,
    secret: String,
}

impl std::fmt::Debug for AppServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AppServer({} as {})", self.base, self.key_id)
    }
}

impl AppServer {
    /// A client of the API at `base`, as `http://127.0.0.1:8080`.
    pub fn new(base: &str, key_id: KeyId, secret: impl Into<String>, trust: &Trust) -> Result<Self, Error> {
        let http = http_client(base, trust)?;
        Ok(Self { http, base: base.trim_end_matches('/').to_owned(), key_id, secret: secret.into() })
    }

    pub async fn register_device(&self, device: &RegisterDevice) -> Result<DeviceRegistered, Error> {
        self.call(Method::POST, "/v1/devices", Some(device)).await
    }

    pub async fn device(&self, device: &DeviceId) -> Result<DeviceView, Error> {
        self.get(&format!("/v1/devices/{}", escaped(device.as_str()))).await
    }

    /// A page of devices: the first one, or the one that `cursor` names.
    pub async fn devices(&self, cursor: Option<&str>) -> Result<DeviceList, Error> {
        self.get(&with_cursor("/v1/devices", cursor)).await
    }

    pub async fn delete_device(&self, device: &DeviceId) -> Result<(), Error> {
        self.done(Method::DELETE, &format!("/v1/devices/{}", escaped(device.as_str())), NOTHING).await
    }

    pub async fn bind(&self, device: &DeviceId, user: &UserId) -> Result<(), Error> {
        let path = format!("/v1/devices/{}/user", escaped(device.as_str()));
        self.done(Method::PUT, &path, Some(&BindUser { user_id: user.clone() })).await
    }

    pub async fn unbind(&self, device: &DeviceId) -> Result<(), Error> {
        self.done(Method::DELETE, &format!("/v1/devices/{}/user", escaped(device.as_str())), NOTHING).await
    }

    pub async fn user(&self, user: &UserId) -> Result<UserView, Error> {
        self.get(&format!("/v1/users/{}", escaped(user.as_str()))).await
    }

    /// Sends a push. With an idempotency key it is tried again when it may not have arrived.
    pub async fn push(
        &self,
        push: &PushRequest,
        idempotency_key: Option<&str>,
    ) -> Result<PushAccepted, Error> {
        let mut headers = HeaderMap::new();
        if let Some(key) = idempotency_key {
            let key = HeaderValue::from_str(key).map_err(|_| Error::IdempotencyKey)?;
            headers.insert(IDEMPOTENCY_KEY, key);
        }
        let answer = self.send(Method::POST, "/v1/pushes", headers, body(Some(push))).await?;
        read(answer, &Method::POST, "/v1/pushes")
    }

    /// What became of a message, a page of targets at a time.
    pub async fn message(&self, message: MessageId, cursor: Option<&str>) -> Result<MessageView, Error> {
        self.get(&with_cursor(&format!("/v1/messages/{message}"), cursor)).await
    }

    pub async fn stats(&self, query: &StatsQuery) -> Result<StatsView, Error> {
        self.get(&query.path()).await
    }

    pub async fn create_key(&self, key: &CreateKey) -> Result<KeyCreated, Error> {
        self.call(Method::POST, "/v1/keys", Some(key)).await
    }

    pub async fn keys(&self) -> Result<KeyList, Error> {
        self.get("/v1/keys").await
    }

    pub async fn revoke_key(&self, key: &KeyId) -> Result<(), Error> {
        self.done(Method::DELETE, &format!("/v1/keys/{}", escaped(key.as_str())), NOTHING).await
    }

    /// With the operator's key.
    pub async fn create_app(&self, app: &CreateApp) -> Result<AppCreated, Error> {
        self.call(Method::POST, "/v1/apps", Some(app)).await
    }

    pub async fn apps(&self) -> Result<AppList, Error> {
        self.get("/v1/apps").await
    }

    /// One signed call, never repeated, its answer as it came.
    pub async fn request(&self, method: Method, path_and_query: &str, body: Bytes) -> Result<Answer, Error> {
        self.try_once(&method, path_and_query, &HeaderMap::new(), &body).await
    }

    /// The `Authorization` header of one call: for whoever sends it himself.
    pub fn authorization(&self, method: &Method, path_and_query: &str, body: &[u8]) -> Result<String, Error> {
        Ok(self.sign(method, &self.url(path_and_query)?, body))
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.call(Method::GET, path, NOTHING).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        request: Option<&impl Serialize>,
    ) -> Result<T, Error> {
        let answer = self.send(method.clone(), path, HeaderMap::new(), body(request)).await?;
        read(answer, &method, path)
    }

    /// A call whose answer says nothing more than that it was done.
    async fn done(&self, method: Method, path: &str, request: Option<&impl Serialize>) -> Result<(), Error> {
        let answer = self.send(method.clone(), path, HeaderMap::new(), body(request)).await?;
        succeeded(answer, &method, path).map(drop)
    }

    /// A call, repeated where that is safe: when it reads, or has an idempotency key, and the server
    /// was not reached or said 503. Each try is signed anew.
    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answer, Error> {
        let is_safe = method == Method::GET || headers.contains_key(IDEMPOTENCY_KEY);
        let mut tries = 1;
        loop {
            let answer = self.try_once(&method, path, &headers, &body).await;
            let wait = match &answer {
                Ok(answer) if answer.status == StatusCode::SERVICE_UNAVAILABLE => {
                    retry_after(&answer.headers)
                }
                Err(Error::Http(error)) if error.is_connect() || error.is_request() => None,
                _ => return answer,
            };
            if !is_safe || tries == TRIES_MAX {
                return answer;
            }
            let jittered = || Duration::from_millis(50 + random_below(200 << tries));
            // As long as the server said, or longer each time, so that many clients do not come as one.
            tokio::time::sleep(wait.unwrap_or_else(jittered).min(WAIT_MAX)).await;
            tries += 1;
        }
    }

    async fn try_once(
        &self,
        method: &Method,
        path_and_query: &str,
        headers: &HeaderMap,
        body: &Bytes,
    ) -> Result<Answer, Error> {
        let url = self.url(path_and_query)?;
        let authorization = self.sign(method, &url, body);
        let mut request = self.http.request(method.clone(), url).headers(headers.clone());
        request = request.header(AUTHORIZATION, authorization);
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json").body(body.clone());
        }
        let response = request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        Ok(Answer { status, headers, body: response.bytes().await? })
    }

    fn url(&self, path_and_query: &str) -> Result<Url, Error> {
        let path = path_and_query.split('?').next().unwrap_or_default();
        if path.split('/').any(|segment| matches!(segment, "." | "..")) {
            return Err(Error::Dots(path.to_owned()));
        }
        let text = format!("{}{path_and_query}", self.base);
        Url::parse(&text).map_err(|_| Error::Base(text.chars().take(256).collect()))
    }

    /// Signs what will go over the wire: the path as the URL has it.
    fn sign(&self, method: &Method, url: &Url, body: &[u8]) -> String {
        let nonce = sign::fresh_nonce();
        let request = sign::Request {
            method: method.as_str(),
            path: url.path(),
            query: url.query().unwrap_or_default(),
            body,
            timestamp: wall_now(),
            nonce: &nonce,
        };
        sign::authorization(&self.key_id, &self.secret, &request)
    }
}

/// A client of the API at `base`, which must be one.
pub(super) fn http_client(base: &str, trust: &Trust) -> Result<reqwest::Client, Error> {
    match Url::parse(base) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {}
        _ => return Err(Error::Base(base.chars().take(256).collect())),
    }
    Ok(reqwest::Client::builder()
        .tls_backend_preconfigured(tls::config(trust)?)
        .redirect(reqwest::redirect::Policy::none())
        .timeout(CALL_TIMEOUT)
        .build()?)
}

/// No body.
const NOTHING: Option<&()> = None;

fn body(request: Option<&impl Serialize>) -> Bytes {
    let json = request.map(|request| serde_json::to_vec(request).expect("every API body is JSON"));
    json.map(Bytes::from).unwrap_or_default()
}

pub(super) fn read<T: DeserializeOwned>(answer: Answer, method: &Method, path: &str) -> Result<T, Error> {
    let answer = succeeded(answer, method, path)?;
    serde_json::from_slice(&answer.body).map_err(|source| unreadable(answer.status, method, path, source))
}

fn succeeded(answer: Answer, method: &Method, path: &str) -> Result<Answer, Error> {
    if answer.status.is_success() {
        return Ok(answer);
    }
    Err(refusal(&answer, method, path))
}

/// What an answer that is no success says.
fn refusal(answer: &Answer, method: &Method, path: &str) -> Error {
    match serde_json::from_slice::<Problem>(&answer.body) {
        Ok(problem) => Error::Problem(Box::new(problem)),
        Err(source) => unreadable(answer.status, method, path, source),
    }
}

fn unreadable(status: StatusCode, method: &Method, path: &str, source: serde_json::Error) -> Error {
    Error::Answer { status: status.as_u16(), method: method.clone(), path: path.to_owned(), source }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok().map(Duration::from_secs)
}

/// Text as one segment of a path, or one value of a query: all but RFC 3986's unreserved
/// characters escaped.
fn escaped(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a text cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn with_cursor(path: &str, cursor: Option<&str>) -> String {
    match cursor {
        Some(cursor) => format!("{path}?cursor={}", escaped(cursor)),
        None => path.to_owned(),
    }
}

impl StatsQuery {
    fn path(&self) -> String {
        // The names are those of the API's own JSON.
        let name = |value: serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let mut path = format!("/v1/stats?granularity={}", name(serde_json::json!(self.granularity)));
        for (key, at) in [("from", self.from), ("to", self.to)] {
            if let Some(at) = at {
                path = format!("{path}&{key}={}", at.as_millis());
            }
        }
        if !self.group_by.is_empty() {
            let names: Vec<String> = self.group_by.iter().map(|by| name(serde_json::json!(by))).collect();
            path = format!("{path}&group_by={}", names.join(","));
        }
        path
    }
}

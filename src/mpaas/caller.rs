//! Who calls: the key behind a request, proven before any action runs.
//!
//! ```text
//!  Authorization or query ─▶ Shown ─▶ date ─▶ body, bounded ─▶ signature ─▶ rate ─▶ nonce ─▶ Caller
//! ```
//!
//! The AccessKey is an app's key, its secret the key's. The nonce comes last, so that a refused
//! request spends none.

use std::net::IpAddr;
use std::time::Duration;

use actix_web::http::header::{self, HeaderMap};
use actix_web::web::{self, Bytes, BytesMut};
use actix_web::{HttpMessage, HttpRequest};
use carillon_actors::store::{KeyInfo, Nonce, NonceVerdict, Unusable};
use carillon_sdk::sign::SKEW_MAX;
use carillon_sdk::{KeyId, Timestamp, Ttl};
use futures_util::StreamExt as _;
use metrics::counter;
use sha2::{Digest as _, Sha256};

use super::fault::{Fault, Kind};
use super::form::{Form, Unread};
use super::sign::{acs3, instant, pairs, rpc};
use crate::http::State;
use crate::http::caller::address;
use crate::http::manners::Identified;
use crate::http::rate::party;

/// How far a request's date may be from the server's clock, either way.
const WINDOW: Ttl = Ttl::from_secs(900);

/// Of a body that is too long, so much is read and thrown away before the refusal is sent: a client
/// that is still writing would see its connection break, and no answer.
const DISCARDED_MAX: usize = 32 << 20;

/// Versions of the contract that name the same actions.
const VERSIONS: [&str; 3] = ["2020-10-28", "2020-07-10", "2019-08-21"];

/// A proven caller and what it asks for.
pub(crate) struct Caller {
    pub(crate) key: Box<KeyInfo>,
    pub(crate) action: String,
    /// `Err` when the parameters are not UTF-8, which the action's family words.
    pub(crate) form: Result<Form, ()>,
    pub(crate) nonce: Nonce,
    /// Where the call came from, for the audit log.
    pub(crate) from: String,
}

/// What a request shows of itself before its body is read.
struct Shown {
    scheme: Scheme,
    key: String,
    action: String,
    version: String,
    date: String,
    nonce: String,
}

enum Scheme {
    Acs3(acs3::Authorization),
    Rpc { signature: String },
}

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

pub(super) async fn prove(
    state: &State,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<Caller, Fault> {
    let now_ms = state.engine.clock().monotonic_ms();
    let from = address(state, request);
    let failures = state.auth_failures.peek(party(from), now_ms);
    if !failures.allowed {
        let message = "Too many failed authentications from this address.";
        return Err(Fault::throttling(Kind::ThrottlingUser, message, failures.retry_after_ms));
    }
    let outcome = identify(state, request, payload, from.to_canonical()).await;
    if let Err(fault) = &outcome
        && matches!(fault.kind, Kind::KeyNotFound | Kind::SignatureDoesNotMatch | Kind::NonceUsed)
    {
        state.auth_failures.take(party(from), now_ms);
        counter!("carillon_api_auth_failures_total", "reason" => "mpaas").increment(1);
    }
    outcome
}

async fn identify(
    state: &State,
    request: &HttpRequest,
    payload: web::Payload,
    from: IpAddr,
) -> Result<Caller, Fault> {
    let patience = Duration::from_millis(state.http.body_timeout.as_millis());
    let body = read(request, payload, state.mpaas.body_bytes_max, patience).await?;
    let query = pairs(request.query_string().as_bytes());
    let shown = shown(request, &query, &body)?;
    let now = state.engine.clock().now();
    let date = fresh(&shown.date, now)?;
    let key = KeyId::parse(&shown.key).ok().and_then(|key| state.engine.store().key(&key));
    let Some(key) = key else {
        return Err(Fault::new(Kind::KeyNotFound, "Specified access key is not found."));
    };
    let mut parameters = query;
    if request.method() != actix_web::http::Method::GET {
        parameters.extend(pairs(&body));
    } else if !body.is_empty() {
        return Err(Fault::new(Kind::InvalidParameter, "A GET has no body."));
    }
    verify(request, &shown, &key.secret, &parameters, &body)?;
    admitted(&key, now, from)?;
    limited(state, request, &key)?;
    if !VERSIONS.contains(&shown.version.as_str()) {
        let message = format!("Specified parameter Version is not valid: it is one of {VERSIONS:?}.");
        return Err(Fault::new(Kind::Version, message));
    }
    let form = match Form::new(parameters) {
        Ok(form) => Ok(form),
        Err(Unread::NotUtf8) => Err(()),
        Err(Unread::Fault(fault)) => return Err(fault),
    };
    let nonce = nonce(&key, &shown.nonce, date);
    spend(state, &nonce)?;
    state.engine.store().key_used(&key.view.key_id, now, from);
    Ok(Caller { key: Box::new(key), action: shown.action, form, nonce, from: from.to_string() })
}

async fn read(
    request: &HttpRequest,
    mut payload: web::Payload,
    most: usize,
    patience: Duration,
) -> Result<Bytes, Fault> {
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let announced = announced.and_then(|text| text.parse::<usize>().ok()).unwrap_or_default();
    let read = async {
        let (mut body, mut length) = (BytesMut::new(), 0_usize);
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|_| Fault::new(Kind::Malformed, "The body cannot be read."))?;
            length += chunk.len();
            if length.max(announced) > DISCARDED_MAX {
                break;
            }
            if length.max(announced) <= most {
                body.extend_from_slice(&chunk);
            }
        }
        if length.max(announced) > most {
            let message = format!("The body is too long: at most {most} bytes are read.");
            return Err(Fault::new(Kind::BodyTooLarge, message));
        }
        Ok(body.freeze())
    };
    let late = |_| Fault::new(Kind::BodyTimeout, "The body took too long to arrive.");
    tokio::time::timeout(patience, read).await.map_err(late)?
}

fn one<'a>(pairs: &'a Pairs, name: &str) -> Option<&'a str> {
    let mut found = pairs.iter().filter(|(known, _)| known == name.as_bytes());
    let (_, value) = found.next()?;
    std::str::from_utf8(value).ok().filter(|text| !text.is_empty())
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok()).filter(|text| !text.is_empty())
}

/// By which scheme the request is signed, and what it says in that scheme's places. Tokens of others
/// are refused by name: a caller that sends one believes it proves something.
fn shown(request: &HttpRequest, query: &Pairs, body: &[u8]) -> Result<Shown, Fault> {
    let headers = request.headers();
    let bearer = header(headers, "x-acs-bearer-token").is_some()
        || one(query, "SignatureType").is_some_and(|kind| kind.eq_ignore_ascii_case("BEARERTOKEN"));
    if bearer {
        let message = "Bearer tokens are not taken here: sign with an AccessKey.";
        return Err(Fault::new(Kind::UnsupportedSignature, message));
    }
    let form = if one(query, "Signature").is_some() { Vec::new() } else { pairs(body) };
    let parameter = |name: &str| one(query, name).or_else(|| one(&form, name)).map(str::to_owned);
    if header(headers, "x-acs-security-token").is_some() || parameter("SecurityToken").is_some() {
        let message = "Specified SecurityToken is not found: this server issues none.";
        return Err(Fault::new(Kind::SecurityToken, message));
    }
    if let Some(authorization) = header(headers, header::AUTHORIZATION.as_str()) {
        return shown_in_headers(headers, authorization);
    }
    let incomplete = |name: &str| {
        Fault::new(Kind::IncompleteSignature, format!("The request signature does not conform: no {name}."))
    };
    let missing = || Fault::new(Kind::MissingAccessKeyId, "AccessKeyId is mandatory for this action.");
    let key = parameter("AccessKeyId").ok_or_else(missing)?;
    let signature = parameter("Signature").ok_or_else(|| incomplete("Signature"))?;
    let (method, version) = (parameter("SignatureMethod"), parameter("SignatureVersion"));
    if (method.as_deref(), version.as_deref()) != (Some("HMAC-SHA1"), Some("1.0")) {
        let message = format!("{method:?} of version {version:?} is not taken: HMAC-SHA1 of version 1.0 is.");
        return Err(Fault::new(Kind::UnsupportedSignature, message));
    }
    let needed = |name: &str| parameter(name).ok_or_else(|| incomplete(name));
    Ok(Shown {
        scheme: Scheme::Rpc { signature },
        key,
        action: needed("Action")?,
        version: needed("Version")?,
        date: needed("Timestamp")?,
        nonce: needed("SignatureNonce")?,
    })
}

fn shown_in_headers(headers: &HeaderMap, authorization: &str) -> Result<Shown, Fault> {
    let parsed = acs3::parse(authorization).map_err(|invalid| match invalid {
        acs3::Invalid::Algorithm(algorithm) => {
            let message = format!("{algorithm:?} is not taken: {} is.", acs3::ALGORITHM);
            Fault::new(Kind::UnsupportedSignature, message)
        }
        acs3::Invalid::Incomplete(lack) => {
            Fault::new(Kind::IncompleteSignature, format!("The request signature does not conform: {lack}."))
        }
    })?;
    let needed = |name: &str| {
        let message = format!("The request signature does not conform: no header {name}.");
        header(headers, name).map(str::to_owned).ok_or(Fault::new(Kind::IncompleteSignature, message))
    };
    Ok(Shown {
        key: parsed.credential.clone(),
        action: needed("x-acs-action")?,
        version: needed("x-acs-version")?,
        date: needed("x-acs-date")?,
        nonce: needed("x-acs-signature-nonce")?,
        scheme: Scheme::Acs3(parsed),
    })
}

/// Whether the request's time is close enough to ours.
fn fresh(date: &str, now: Timestamp) -> Result<Timestamp, Fault> {
    let Some(at) = instant(date) else {
        let message = "Specified time stamp or date value is not well formatted: 2026-11-24T15:00:00Z is.";
        return Err(Fault::new(Kind::TimestampFormat, message));
    };
    if now.since(at).max(at.since(now)) > WINDOW {
        let message = format!("Specified time stamp or date value is expired: it is {date} there.");
        return Err(Fault::new(Kind::TimestampExpired, message));
    }
    Ok(at)
}

fn verify(
    request: &HttpRequest,
    shown: &Shown,
    secret: &str,
    parameters: &Pairs,
    body: &[u8],
) -> Result<(), Fault> {
    match &shown.scheme {
        Scheme::Acs3(authorization) => {
            let headers = request.headers();
            let all = |name: &str| {
                let values: Option<Vec<_>> =
                    headers.get_all(name).map(|value| value.to_str().ok().map(str::trim)).collect();
                values.filter(|values| !values.is_empty()).map(|values| values.join(","))
            };
            let signed = acs3::Request {
                method: request.method().as_str(),
                path: request.path(),
                query: request.query_string(),
                header: &all,
                body,
            };
            let hash = acs3::canonical_hash(&signed, &authorization.signed_headers).map_err(|name| {
                let message = format!("The request signature does not conform: no header {name}.");
                Fault::new(Kind::IncompleteSignature, message)
            })?;
            let said = header(headers, "x-acs-content-sha256").unwrap_or_default();
            let body_fits = said.eq_ignore_ascii_case(&acs3::hash(body));
            if !body_fits || !acs3::verify(secret, &hash, &authorization.signature) {
                return Err(Fault::signature(&hash));
            }
        }
        Scheme::Rpc { signature } => {
            let text = rpc::string_to_sign(request.method().as_str(), parameters);
            if !rpc::verify(secret, &text, signature) {
                return Err(Fault::signature(&text));
            }
        }
    }
    Ok(())
}

/// Whether a key whose secret was proven is let in from here, now.
fn admitted(key: &KeyInfo, now: Timestamp, from: IpAddr) -> Result<(), Fault> {
    key.usable(now, from).map_err(|unusable| match unusable {
        Unusable::Unknown => Fault::new(Kind::KeyInactive, "Specified access key is disabled."),
        Unusable::Address => {
            Fault::new(Kind::AddressRefused, format!("Specified access key is not taken from {from}."))
        }
        Unusable::AppDisabled => Fault::new(Kind::AppDisabled, "The app is disabled."),
    })
}

/// Takes one from the key's bucket, the same that `/v1` draws on.
fn limited(state: &State, request: &HttpRequest, key: &KeyInfo) -> Result<(), Fault> {
    let now_ms = state.engine.clock().monotonic_ms();
    request.extensions_mut().insert(Identified(key.view.key_id.clone()));
    let allowance = state.keys.take(key.view.key_id.clone(), now_ms);
    request.extensions_mut().insert(allowance);
    if allowance.allowed {
        return Ok(());
    }
    let message = format!("Request was denied due to user flow control: {} a second.", allowance.rate.per_s);
    Err(Fault::throttling(Kind::ThrottlingUser, message, allowance.retry_after_ms))
}

/// The store forgets a nonce when a native request of its time would be too old. Ours may be older
/// by the difference, so it is filed under a later time.
fn nonce(key: &KeyInfo, nonce: &str, date: Timestamp) -> Nonce {
    let mut digest = Sha256::new();
    digest.update(key.view.key_id.as_str());
    digest.update([1]);
    digest.update(nonce);
    let mut hash = [0; 16];
    hash.copy_from_slice(&digest.finalize()[..16]);
    let longer = Ttl::from_millis(WINDOW.as_millis() - SKEW_MAX.as_millis());
    Nonce { key: key.view.key_id.clone(), hash, at: date + longer }
}

fn spend(state: &State, nonce: &Nonce) -> Result<(), Fault> {
    match state.engine.store().nonce(nonce) {
        NonceVerdict::New => Ok(()),
        NonceVerdict::Replayed => {
            Err(Fault::new(Kind::NonceUsed, "Specified signature nonce was used already."))
        }
        NonceVerdict::Full => {
            let message = "No more nonces can be remembered now.";
            Err(Fault::throttling(Kind::Throttling, message, 10_000))
        }
    }
}

//! Who calls: the key behind a request, proven before any handler runs.
//!
//! ```text
//!  Authorization ─▶ Shown ─▶ body read, bounded ─▶ signature ─▶ rate ─▶ nonce ─▶ Caller
//! ```
//!
//! An unknown key, a revoked or expired key and a wrong signature get one answer: keys cannot be fished for.
//! The nonce comes last, so that a refused request spends none.

use std::net::IpAddr;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::web::{self, Bytes};
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use carillon_actors::model::App;
use carillon_actors::store::{KeyInfo, Nonce, NonceVerdict, Unusable};
use carillon_sdk::KeyId;
use carillon_sdk::api::Scope;
use carillon_sdk::sign;
use futures_util::future::LocalBoxFuture;
use metrics::counter;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::manners::Identified;
use super::rate::{Allowance, party};
use super::{Code, Refused, State, body};

/// A proven caller and the request's body.
#[derive(Debug)]
pub(super) struct Caller {
    who: Who,
    body: Bytes,
    /// Whether the headers say that the body is plain JSON.
    is_json: bool,
    query: String,
    nonce: Option<Nonce>,
    from: IpAddr,
}

#[derive(Debug)]
enum Who {
    Key(Box<KeyInfo>),
    /// Whoever has the app's publishable key: anybody.
    Client(App),
}

/// What a request shows, by the form of its header alone.
#[derive(Debug, PartialEq)]
enum Shown {
    Signed(sign::Authorization),
    Bearer { key: KeyId, secret: String },
    Client(String),
}

/// Stands for the secret of a key that does not exist, so that its check takes as long.
const NO_SECRET: &str = "cs_0000000000000000000000000000000000000000000";

impl Caller {
    /// The caller's app, if the key may do this there.
    pub(super) fn with(&self, scope: Scope) -> Result<App, Refused> {
        match &self.who {
            Who::Key(key) if key.allows(scope) => key.app.ok_or_else(|| missing(scope)),
            Who::Key(_) => Err(missing(scope)),
            Who::Client(_) => {
                Err(Refused::because(Code::ScopeMissing, "the client key registers devices and nothing else"))
            }
        }
    }

    /// Nothing, if the key is the operator's.
    pub(super) fn operator(&self) -> Result<(), Refused> {
        match &self.who {
            Who::Key(key) if key.allows(Scope::Operator) => Ok(()),
            _ => Err(missing(Scope::Operator)),
        }
    }

    /// The app to which anybody may add a device: the caller showed its publishable key.
    pub(super) const fn client_of(&self) -> Option<App> {
        match self.who {
            Who::Client(app) => Some(app),
            Who::Key(_) => None,
        }
    }

    /// The key that signed.
    pub(super) fn key(&self) -> Option<&KeyInfo> {
        match &self.who {
            Who::Key(key) => Some(key),
            Who::Client(_) => None,
        }
    }

    /// Whence the request came.
    pub(super) const fn from(&self) -> IpAddr {
        self.from
    }

    /// For the one write that the request causes: the nonce becomes durable with it.
    pub(super) fn nonce(&self) -> Option<Nonce> {
        self.nonce.clone()
    }

    pub(super) const fn bytes(&self) -> &Bytes {
        &self.body
    }

    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Refused> {
        if !self.is_json {
            return Err(Refused::new(Code::ContentTypeUnsupported));
        }
        body::parse(&self.body)
    }

    pub(super) fn query<T: DeserializeOwned>(&self) -> Result<T, Refused> {
        web::Query::<T>::from_query(&self.query)
            .map(web::Query::into_inner)
            .map_err(|error| Refused::because(Code::QueryInvalid, query_error(&error)))
    }
}

fn query_error(error: &actix_web::error::QueryPayloadError) -> String {
    match error {
        actix_web::error::QueryPayloadError::Deserialize(error) => error.to_string(),
        other => other.to_string(),
    }
}

fn missing(scope: Scope) -> Refused {
    let name = format!("{scope:?}").to_lowercase();
    Refused::because(Code::ScopeMissing, format!("the key has not the scope {name:?}"))
}

impl FromRequest for Caller {
    type Error = Refused;
    type Future = LocalBoxFuture<'static, Result<Self, Refused>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        let payload = payload.take();
        Box::pin(async move {
            // Nothing is served without it: `configure` puts it there.
            let state = request.app_data::<web::Data<State>>().ok_or(Refused::new(Code::Internal))?;
            let most = body_bytes_max(state, request.path());
            let patience = Duration::from_millis(state.http.body_timeout.as_millis());
            let read = async {
                let bytes = body::read(&request, payload, most, patience).await?;
                Ok(Read { sha256: Sha256::digest(&bytes).into(), bytes })
            };
            prove(state, &request, read).await
        })
    }
}

/// A batch is as long as many pushes.
fn body_bytes_max(state: &State, path: &str) -> usize {
    if path == "/v1/pushes/batch" { state.http.batch_bytes_max } else { state.http.body_bytes_max }
}

/// A body that was read: held, or put elsewhere.
pub(super) struct Read {
    /// Empty when it was put elsewhere.
    pub(super) bytes: Bytes,
    /// What the signature is over.
    pub(super) sha256: [u8; 32],
}

/// Who calls, once `read` has read the body.
pub(super) async fn prove(
    state: &State,
    request: &HttpRequest,
    read: impl Future<Output = Result<Read, Refused>>,
) -> Result<Caller, Refused> {
    let now_ms = state.engine.clock().monotonic_ms();
    let address = party(address(state, request));
    let failures = state.auth_failures.peek(address, now_ms);
    if !failures.allowed {
        let refused =
            Refused::because(Code::RateLimited, "too many failed authentications from this address");
        return Err(refused.retry_after(failures.retry_after_s.max(1)));
    }
    let outcome = match shown(request) {
        Ok(shown) => identify(state, request, read, shown).await,
        Err(refused) => Err(refused),
    };
    if let Err(refused) = &outcome
        && refused.code().status().as_u16() == 401
    {
        state.auth_failures.take(address, now_ms);
        counter!("carillon_api_auth_failures_total", "reason" => refused.code().as_str()).increment(1);
    }
    outcome
}

async fn identify(
    state: &State,
    request: &HttpRequest,
    read: impl Future<Output = Result<Read, Refused>>,
    shown: Shown,
) -> Result<Caller, Refused> {
    if let Shown::Signed(signed) = &shown {
        fresh(state, signed)?;
    }
    let Read { bytes: body, sha256 } = read.await?;
    let (who, nonce) = match shown {
        Shown::Signed(signed) => {
            let key = signer(state, request, &sha256, &signed)?;
            admitted(state, request, &key)?;
            limited(state, request, &key)?;
            let nonce = nonce(&signed);
            spend(state, &nonce)?;
            (Who::Key(key), Some(nonce))
        }
        Shown::Bearer { key, secret } => {
            let key = bearer(state, request, &key, &secret)?;
            admitted(state, request, &key)?;
            limited(state, request, &key)?;
            (Who::Key(key), None)
        }
        Shown::Client(client_key) => {
            let app = state.engine.store().app_by_client_key(&client_key);
            let app = app.ok_or(Refused::new(Code::SignatureInvalid))?;
            if state.engine.store().is_disabled(app) {
                return Err(Refused::new(Code::AppDisabled));
            }
            (Who::Client(app), None)
        }
    };
    let query = request.query_string().to_owned();
    let from = address(state, request).to_canonical();
    if let Who::Key(key) = &who {
        state.engine.store().key_used(&key.view.key_id, state.engine.clock().now(), from);
    }
    Ok(Caller { who, body, is_json: body::is_json(request.headers()), query, nonce, from })
}

/// The one Authorization header, taken apart. `Scheme parameters`, as RFC 9110 has it.
fn shown(request: &HttpRequest) -> Result<Shown, Refused> {
    let mut given = request.headers().get_all(header::AUTHORIZATION);
    let header = given.next().ok_or(Refused::new(Code::AuthorizationMissing))?;
    let invalid = |detail: String| Refused::because(Code::AuthorizationInvalid, detail);
    if given.next().is_some() {
        return Err(invalid("two Authorization headers".to_owned()));
    }
    let text = header.to_str().map_err(|_| invalid("the header is not ASCII".to_owned()))?;
    parse_shown(text).map_err(invalid)
}

fn parse_shown(text: &str) -> Result<Shown, String> {
    let (scheme, rest) = text.split_once(' ').ok_or("expected a scheme and its parameters")?;
    let rest = rest.trim();
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" => {
            let (key, secret) = rest.split_once('.').ok_or("expected Bearer <key id>.<secret>")?;
            let key = KeyId::parse(key).map_err(|error| error.to_string())?;
            Ok(Shown::Bearer { key, secret: secret.to_owned() })
        }
        "client" => Ok(Shown::Client(rest.to_owned())),
        _ => sign::parse_authorization(text).map(Shown::Signed).map_err(|error| error.to_string()),
    }
}

/// Whether the request's time is close enough to ours.
fn fresh(state: &State, signed: &sign::Authorization) -> Result<(), Refused> {
    let now = state.engine.clock().now();
    let off = now.since(signed.timestamp).max(signed.timestamp.since(now));
    if off > sign::SKEW_MAX {
        let detail = format!("the server's time is {} ms since 1970; yours is {off:?} off", now.as_millis());
        return Err(Refused::because(Code::ClockSkew, detail));
    }
    Ok(())
}

fn signer(
    state: &State,
    request: &HttpRequest,
    body_sha256: &[u8; 32],
    signed: &sign::Authorization,
) -> Result<Box<KeyInfo>, Refused> {
    let known = state.engine.store().key(&signed.key_id);
    let secret = known.as_ref().map_or(NO_SECRET, |key| key.secret.as_str());
    let content = sign::Request {
        method: request.method().as_str(),
        path: request.uri().path(),
        query: request.uri().query().unwrap_or_default(),
        body: &[],
        timestamp: signed.timestamp,
        nonce: &signed.nonce,
    };
    let holds = sign::verify_over(secret, &content, body_sha256, &signed.signature);
    let key = known.filter(|_| holds);
    key.map(Box::new).ok_or(Refused::new(Code::SignatureInvalid))
}

/// A secret that travels is taken only where nobody can read along, and only from a key that says so.
fn bearer(state: &State, request: &HttpRequest, key: &KeyId, secret: &str) -> Result<Box<KeyInfo>, Refused> {
    let known = state.engine.store().key(key);
    let expected = known.as_ref().map_or(NO_SECRET, |key| key.secret.as_str());
    let holds = bool::from(expected.as_bytes().ct_eq(secret.as_bytes()));
    let now = state.engine.clock().now();
    let known = known.filter(|key| key.usable(now, address(state, request)) != Err(Unusable::Unknown));
    let key = known.filter(|_| holds);
    let key = key.ok_or(Refused::new(Code::SignatureInvalid))?;
    if !key.view.bearer {
        return Err(Refused::because(Code::BearerRefused, "this key does not allow it"));
    }
    if !private(state, request) {
        return Err(Refused::because(Code::BearerRefused, "this connection can be read along; use TLS"));
    }
    Ok(Box::new(key))
}

/// Whether a key whose secret was proven is let in from here, now.
fn admitted(state: &State, request: &HttpRequest, key: &KeyInfo) -> Result<(), Refused> {
    let address = address(state, request);
    let code = match key.usable(state.engine.clock().now(), address) {
        Ok(()) => return Ok(()),
        Err(Unusable::Unknown) => Code::SignatureInvalid,
        Err(Unusable::Address) => Code::AddressRefused,
        Err(Unusable::AppDisabled) => Code::AppDisabled,
    };
    Err(Refused::new(code))
}

/// TLS, ours or the proxy's, or a peer on this machine. Behind a proxy every peer may be the proxy.
fn private(state: &State, request: &HttpRequest) -> bool {
    if request.app_config().secure() {
        return true;
    }
    if state.http.behind_proxy {
        let scheme = request.headers().get("x-forwarded-proto").and_then(|value| value.to_str().ok());
        return scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"));
    }
    request.peer_addr().is_some_and(|peer| peer.ip().to_canonical().is_loopback())
}

/// Takes one from the key's bucket, and leaves word for the RateLimit headers.
fn limited(state: &State, request: &HttpRequest, key: &KeyInfo) -> Result<(), Refused> {
    let now_ms = state.engine.clock().monotonic_ms();
    request.extensions_mut().insert(Identified(key.view.key_id.clone()));
    let allowance = state.keys.take(key.view.key_id.clone(), now_ms);
    request.extensions_mut().insert(allowance);
    refuse_when_spent(&allowance, "this key")
}

pub(super) fn refuse_when_spent(allowance: &Allowance, whose: &str) -> Result<(), Refused> {
    if allowance.allowed {
        return Ok(());
    }
    let detail = format!("{whose} may make {} requests a second", allowance.rate.per_s);
    Err(Refused::because(Code::RateLimited, detail).retry_after(allowance.retry_after_s.max(1)))
}

fn nonce(signed: &sign::Authorization) -> Nonce {
    let mut digest = Sha256::new();
    digest.update(signed.key_id.as_str());
    digest.update([0]);
    digest.update(&signed.nonce);
    let mut hash = [0; 16];
    hash.copy_from_slice(&digest.finalize()[..16]);
    Nonce { key: signed.key_id.clone(), hash, at: signed.timestamp }
}

fn spend(state: &State, nonce: &Nonce) -> Result<(), Refused> {
    match state.engine.store().nonce(nonce) {
        NonceVerdict::New => Ok(()),
        NonceVerdict::Replayed => Err(Refused::new(Code::NonceReplayed)),
        NonceVerdict::Full => Err(Refused::new(Code::NoncesFull)),
    }
}

/// Whence the request comes. Behind a proxy, what the proxy says: the last address it appended.
pub(crate) fn address(state: &State, request: &HttpRequest) -> IpAddr {
    let peer = request.peer_addr().map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.ip());
    if !state.http.behind_proxy {
        return peer;
    }
    let told = request.headers().get_all("x-forwarded-for").last();
    let last = told.and_then(|value| value.to_str().ok()).and_then(|list| list.rsplit(',').next());
    last.and_then(|text| text.trim().parse().ok()).unwrap_or(peer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_is_key_id_dot_secret() {
        let Ok(Shown::Bearer { key, secret }) = parse_shown("Bearer ck_1.cs_2.3") else { panic!("a bearer") };
        assert_eq!((key.as_str(), secret.as_str()), ("ck_1", "cs_2.3"));
        for wrong in ["Bearer ck_1", "Bearer .cs", "Bearer", "Basic Zm9v", ""] {
            assert!(parse_shown(wrong).is_err(), "{wrong:?}");
        }
    }
}

//! How an app server proves who it is: the request signature `CARILLON1-HMAC-SHA256`, and the
//! short-lived token with which a device binds a user. docs/http.md has the rules and vectors.

use crate::ids::{AppId, DeviceId, KeyId, UserId, WorkspaceId};
use crate::time::{Timestamp, Ttl};

/// The scheme's name in the `Authorization` header.
pub const SCHEME: &str = "CARILLON1-HMAC-SHA256";

/// How far a request's timestamp may be from the server's clock, either way.
pub const SKEW_MAX: Ttl = Ttl::from_secs(300);

/// Longest validity of a bind token.
pub const BIND_TOKEN_TTL_MAX: Ttl = Ttl::from_secs(600);

/// What is signed of a request.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub method: &'a str,
    /// As sent, percent-encoding and all, without the query.
    pub path: &'a str,
    /// As sent, without the `?`; sorted before it is signed.
    pub query: &'a str,
    pub body: &'a [u8],
    pub timestamp: Timestamp,
    /// 8 to 64 characters of `A–Z a–z 0–9 - _`, never used twice with one key.
    pub nonce: &'a str,
}

/// An `Authorization` header of our scheme, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization {
    pub key_id: KeyId,
    pub timestamp: Timestamp,
    pub nonce: String,
    pub signature: [u8; 32],
}

/// Why a header or token is not one of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    #[error("not a {SCHEME} header")]
    Scheme,
    #[error("the header lacks {0}, or has it wrong")]
    Field(&'static str),
    #[error("a bind token that cannot be read")]
    Token,
    #[error("the signature does not match")]
    Signature,
    #[error("the token has expired, or lives longer than ten minutes")]
    Expired,
}

/// The text that is signed.
#[must_use]
pub fn canonical(request: &Request<'_>) -> String {
    todo!("{request:?}")
}

/// HMAC-SHA256 of the canonical text under the key's secret (its text as given, in UTF-8).
#[must_use]
pub fn signature(secret: &str, request: &Request<'_>) -> [u8; 32] {
    todo!("{secret} {request:?}")
}

/// The whole header value.
#[must_use]
pub fn authorization(key_id: &KeyId, secret: &str, request: &Request<'_>) -> String {
    todo!("{key_id} {secret} {request:?}")
}

/// Takes a header value apart; checks its form only.
pub fn parse_authorization(header: &str) -> Result<Authorization, Invalid> {
    todo!("{header}")
}

/// Whether `signature` is the request's, in constant time.
#[must_use]
pub fn verify(secret: &str, request: &Request<'_>, signature: &[u8; 32]) -> bool {
    todo!("{secret} {request:?} {signature:?}")
}

/// A nonce no other call returned.
#[must_use]
pub fn fresh_nonce() -> String {
    todo!()
}

/// Says that a user is logged in on a device; signed by the app server with a key's secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindToken {
    pub app_id: AppId,
    pub workspace_id: WorkspaceId,
    pub device_id: DeviceId,
    pub user_id: UserId,
    pub expires_at: Timestamp,
}

impl BindToken {
    #[must_use]
    pub fn mint(&self, key_id: &KeyId, secret: &str) -> String {
        todo!("{self:?} {key_id} {secret}")
    }

    /// The key a token names, so that its secret can be looked up.
    pub fn key_id(token: &str) -> Result<KeyId, Invalid> {
        todo!("{token}")
    }

    /// The token's content once its signature and expiry hold.
    pub fn verify(token: &str, secret: &str, now: Timestamp) -> Result<Self, Invalid> {
        todo!("{token} {secret} {now:?}")
    }
}

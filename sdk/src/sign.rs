//! How an app server proves who it is: the request signature `CARILLON1-HMAC-SHA256`, and the
//! short-lived token with which a device binds a user. docs/http.md has the rules and vectors.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::ids::{AppId, DeviceId, KeyId, UserId, WorkspaceId};
use crate::time::{Timestamp, Ttl};

#[cfg(test)]
mod tests;

/// The scheme's name in the `Authorization` header.
pub const SCHEME: &str = "CARILLON1-HMAC-SHA256";

/// How far a request's timestamp may be from the server's clock, either way.
pub const SKEW_MAX: Ttl = Ttl::from_secs(300);

/// Longest validity of a bind token.
pub const BIND_TOKEN_TTL_MAX: Ttl = Ttl::from_secs(600);

/// Longest bind token that is read: five ids of 256 bytes, escaped, in base64, and some.
pub const BIND_TOKEN_BYTES_MAX: usize = 4_096;

/// A nonce's length, in characters.
const NONCE_LEN: std::ops::RangeInclusive<usize> = 8..=64;

/// What a bind token of this version begins with.
const BIND_TOKEN_SCHEME: &str = "cbt1";

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

/// The text that is signed: seven lines, joined by `\n` and without one at the end. The scheme, the
/// timestamp in seconds, the nonce, the method, the path, the query with its `&`-separated parts in
/// bytewise order, and the SHA-256 of the body in lower-case hex.
#[must_use]
pub fn canonical(request: &Request<'_>) -> String {
    canonical_over(request, &Sha256::digest(request.body).into())
}

/// The same for a body that is not at hand, of which only the SHA-256 is; `request.body` is not
/// looked at.
#[must_use]
pub fn canonical_over(request: &Request<'_>, body_sha256: &[u8; 32]) -> String {
    let mut query: Vec<&str> = request.query.split('&').collect();
    query.sort_unstable();
    [
        SCHEME,
        &request.timestamp.as_secs().to_string(),
        request.nonce,
        request.method,
        request.path,
        &query.join("&"),
        &hex::encode(body_sha256),
    ]
    .join("\n")
}

/// HMAC-SHA256 of the canonical text under the key's secret (its text as given, in UTF-8).
#[must_use]
pub fn signature(secret: &str, request: &Request<'_>) -> [u8; 32] {
    mac(secret, &canonical(request))
}

fn mac(secret: &str, text: &str) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().into()
}

/// The whole header value.
#[must_use]
pub fn authorization(key_id: &KeyId, secret: &str, request: &Request<'_>) -> String {
    format!(
        "{SCHEME} key_id={key_id}, timestamp={}, nonce={}, signature={}",
        request.timestamp.as_secs(),
        request.nonce,
        hex::encode(signature(secret, request)),
    )
}

/// Takes a header value apart; checks its form only. The four parameters may come in any order,
/// each once.
pub fn parse_authorization(header: &str) -> Result<Authorization, Invalid> {
    const NAMES: [&str; 4] = ["key_id", "timestamp", "nonce", "signature"];
    let (scheme, parameters) = header.trim().split_once(' ').ok_or(Invalid::Scheme)?;
    if !scheme.eq_ignore_ascii_case(SCHEME) {
        return Err(Invalid::Scheme);
    }
    let mut values = [None; NAMES.len()];
    for parameter in parameters.split(',') {
        let (name, value) = parameter.trim().split_once('=').ok_or(Invalid::Field("only name=value"))?;
        let place =
            NAMES.iter().position(|known| *known == name).ok_or(Invalid::Field("only known names"))?;
        if values[place].replace(value).is_some() {
            return Err(Invalid::Field(NAMES[place]));
        }
    }
    let value = |place: usize| values[place].ok_or(Invalid::Field(NAMES[place]));
    let (key_id, seconds, nonce, hex) = (value(0)?, value(1)?, value(2)?, value(3)?);
    let mut signature = [0; 32];
    hex::decode_to_slice(hex, &mut signature).map_err(|_| Invalid::Field("signature"))?;
    Ok(Authorization {
        key_id: KeyId::parse(key_id).map_err(|_| Invalid::Field("key_id"))?,
        timestamp: seconds_at(seconds).ok_or(Invalid::Field("timestamp"))?,
        nonce: is_nonce(nonce).then(|| nonce.to_owned()).ok_or(Invalid::Field("nonce"))?,
        signature,
    })
}

/// Digits only: `u64`'s own parser would let a `+` through, and the header would then have two
/// spellings of one canonical text.
fn seconds_at(text: &str) -> Option<Timestamp> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) || (text.len() > 1 && text.starts_with('0')) {
        return None;
    }
    text.parse::<u64>().ok()?.checked_mul(1000).map(Timestamp::from_millis)
}

fn is_nonce(text: &str) -> bool {
    NONCE_LEN.contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// Whether `signature` is the request's, in constant time.
#[must_use]
pub fn verify(secret: &str, request: &Request<'_>, signature: &[u8; 32]) -> bool {
    self::signature(secret, request).ct_eq(signature).into()
}

/// Whether `signature` is that of a request whose body has this SHA-256, in constant time.
#[must_use]
pub fn verify_over(
    secret: &str,
    request: &Request<'_>,
    body_sha256: &[u8; 32],
    signature: &[u8; 32],
) -> bool {
    mac(secret, &canonical_over(request, body_sha256)).ct_eq(signature).into()
}

/// A nonce no other call returned: 128 random bits.
#[must_use]
pub fn fresh_nonce() -> String {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("an operating system without random bytes cannot sign anything");
    BASE64.encode(bytes)
}

/// Says that a user is logged in on a device; signed by the app server with a key's secret.
///
/// Its text is `cbt1.<payload>.<mac>`: the payload is JSON, the mac HMAC-SHA256 of everything
/// before the second dot, both in base64url without padding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindToken {
    pub app_id: AppId,
    pub workspace_id: WorkspaceId,
    pub device_id: DeviceId,
    pub user_id: UserId,
    /// To the second; what is beyond is cut off.
    pub expires_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct Payload {
    key: KeyId,
    app: AppId,
    ws: WorkspaceId,
    device: DeviceId,
    user: UserId,
    /// Seconds since 1970.
    exp: u64,
}

impl BindToken {
    #[must_use]
    pub fn mint(&self, key_id: &KeyId, secret: &str) -> String {
        let payload = Payload {
            key: key_id.clone(),
            app: self.app_id.clone(),
            ws: self.workspace_id.clone(),
            device: self.device_id.clone(),
            user: self.user_id.clone(),
            exp: self.expires_at.as_secs(),
        };
        let json = serde_json::to_vec(&payload).expect("texts and a number are always JSON");
        let signed = format!("{BIND_TOKEN_SCHEME}.{}", BASE64.encode(json));
        let mac = mac(secret, &signed);
        format!("{signed}.{}", BASE64.encode(mac))
    }

    /// The key a token names, so that its secret can be looked up.
    pub fn key_id(token: &str) -> Result<KeyId, Invalid> {
        Ok(Self::read(token)?.0.key)
    }

    /// The token's content once its signature and expiry hold.
    pub fn verify(token: &str, secret: &str, now: Timestamp) -> Result<Self, Invalid> {
        let (payload, signed, given) = Self::read(token)?;
        if !bool::from(mac(secret, signed).as_slice().ct_eq(&given)) {
            return Err(Invalid::Signature);
        }
        let expires_at = payload.exp.checked_mul(1000).map(Timestamp::from_millis).ok_or(Invalid::Expired)?;
        if expires_at <= now || expires_at > now + BIND_TOKEN_TTL_MAX {
            return Err(Invalid::Expired);
        }
        Ok(Self {
            app_id: payload.app,
            workspace_id: payload.ws,
            device_id: payload.device,
            user_id: payload.user,
            expires_at,
        })
    }

    /// What it says, the text that is signed, and the mac given.
    fn read(token: &str) -> Result<(Payload, &str, Vec<u8>), Invalid> {
        if token.len() > BIND_TOKEN_BYTES_MAX {
            return Err(Invalid::Token);
        }
        let (signed, mac) = token.rsplit_once('.').ok_or(Invalid::Token)?;
        let (scheme, payload) = signed.split_once('.').ok_or(Invalid::Token)?;
        if scheme != BIND_TOKEN_SCHEME {
            return Err(Invalid::Token);
        }
        let json = BASE64.decode(payload).map_err(|_| Invalid::Token)?;
        let mac = BASE64.decode(mac).map_err(|_| Invalid::Token)?;
        Ok((serde_json::from_slice(&json).map_err(|_| Invalid::Token)?, signed, mac))
    }
}

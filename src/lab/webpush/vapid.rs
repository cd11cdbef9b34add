//! Who sends: a token signed with the key that the page subscribed with (RFC 8292).

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use parking_lot::Mutex;
use ring::signature::ECDSA_P256_SHA256_FIXED;

use super::super::jwt::Jwt;
use super::super::{Asked, Condition, World};
use super::VENDOR;
use super::rules::{No, host};

/// RFC 8292, section 2.
const LIFE_S_MAX: u64 = 24 * 3_600;
/// How far the clocks may differ.
const SKEW_S: u64 = 60;

pub(super) struct Vapid {
    public: Vec<u8>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// Tokens with their end, in seconds; true when it is worth nothing any more.
    tokens: HashMap<String, (u64, bool)>,
    is_revoking: bool,
}

impl Vapid {
    pub(super) fn new(public: Vec<u8>) -> Self {
        Self { public, seen: Mutex::default() }
    }

    pub(super) fn public(&self) -> &[u8] {
        &self.public
    }

    pub(super) fn admit(&self, world: &World, asked: &Asked) -> Result<(), No> {
        let invalid = |why| No::new(401, 109, why);
        let condition = world.condition(VENDOR);
        let authorization = asked.header("authorization").ok_or(invalid("no authorization"))?;
        let (token, key) = parts(authorization).ok_or(invalid("not of the form vapid t=…, k=…"))?;
        let key = URL_SAFE_NO_PAD.decode(key).or_else(|strict| match URL_SAFE.decode(key) {
            Ok(padded) if world.is_lenient => Ok(padded),
            _ => Err(strict),
        });
        let key = key.map_err(|_| invalid("the key is not base64url"))?;
        let jwt = Jwt::read(token, world.is_lenient).ok_or(invalid("no token"))?;
        if !jwt.is_of("ES256") || !jwt.is_signed_by(&key, &ECDSA_P256_SHA256_FIXED) {
            return Err(invalid("the signature is not the key's"));
        }
        if key != self.public || condition == Condition::CredentialRefused {
            return Err(No::new(403, 109, "another key than the subscription's"));
        }
        let now_s = world.now(VENDOR).as_secs();
        let end_s = jwt.secs("exp").ok_or(invalid("no exp"))?;
        if end_s + SKEW_S < now_s {
            return Err(invalid("expired"));
        }
        if end_s > now_s + LIFE_S_MAX + SKEW_S {
            return Err(invalid("exp is more than a day away"));
        }
        if !jwt.text("aud").is_some_and(|aud| is_origin(aud, asked)) {
            return Err(invalid("aud is not the endpoint's origin"));
        }
        if !jwt.text("sub").is_some_and(is_contact) {
            return Err(invalid("sub is neither mailto: nor https:"));
        }
        self.remember(token, end_s, now_s, condition)
    }

    fn remember(&self, token: &str, end_s: u64, now_s: u64, condition: Condition) -> Result<(), No> {
        let mut seen = self.seen.lock();
        let is_revoking = condition == Condition::TokensRevoked;
        if is_revoking && !seen.is_revoking {
            seen.tokens.values_mut().for_each(|(_, is_dead)| *is_dead = true);
        }
        seen.is_revoking = is_revoking;
        if !seen.tokens.contains_key(token) {
            seen.tokens.retain(|_, (end_s, _)| *end_s + SKEW_S >= now_s);
        }
        let (_, is_dead) = seen.tokens.entry(token.to_owned()).or_insert((end_s, false));
        if *is_dead { Err(No::new(401, 109, "revoked")) } else { Ok(()) }
    }
}

/// `vapid t=<token>, k=<key>`, in either order.
fn parts(authorization: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = authorization.split_once(' ')?;
    let part = |name| rest.split(',').find_map(|part| part.trim().strip_prefix(name));
    scheme.eq_ignore_ascii_case("vapid").then_some((part("t=")?, part("k=")?))
}

/// The listener does not tell whether it speaks TLS; a name it was not called by is another's.
fn is_origin(aud: &str, asked: &Asked) -> bool {
    let named = aud.strip_prefix("https://").or_else(|| aud.strip_prefix("http://"));
    named.is_some_and(|named| host(asked).map_or(!named.contains('/'), |host| host == named))
}

fn is_contact(sub: &str) -> bool {
    let mail = sub.strip_prefix("mailto:").is_some_and(|address| address.contains('@'));
    mail || sub.strip_prefix("https://").is_some_and(|rest| rest.contains('.'))
}

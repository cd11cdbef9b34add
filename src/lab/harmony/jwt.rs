//! The service account: its key, and whether a JWT was signed with it and says what it must.

use std::collections::HashSet;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use ring::signature::{KeyPair as _, RSA_PSS_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use rsa::RsaPrivateKey;
use rsa::pkcs8::{EncodePrivateKey, LineEnding};
use serde_json::{Value, json};

use super::VENDOR;
use crate::lab::statuses::{RECEIPTS_SECRET, RECEIPTS_USER};
use crate::lab::{Condition, World};

const KEY_ID: &str = "lab-key-1";
const SUB_ACCOUNT: &str = "110001";
pub(super) const AUDIENCE: &str = "https://oauth-login.cloud.huawei.com/oauth2/v3/token";
const LIFE_S_MAX: u64 = 86_400;
/// A caller's clock may be ahead by so much.
const AHEAD_S_MAX: u64 = 300;
const BITS: usize = 2_048;

struct Key {
    pem: String,
    /// PKCS#1.
    public: Vec<u8>,
}

/// Made once a process: it takes a good part of a second.
static KEY: LazyLock<Key> = LazyLock::new(|| {
    let key = RsaPrivateKey::new(&mut rand_core::OsRng, BITS).expect("a key of 2048 bits can be made");
    let pem = key.to_pkcs8_pem(LineEnding::LF).expect("a key just made can be written");
    let der = key.to_pkcs8_der().expect("a key just made can be written");
    let pair = RsaKeyPair::from_pkcs8(der.as_bytes()).expect("ring signs with keys of 2048 bits");
    Key { pem: pem.as_str().to_owned(), public: pair.public_key().as_ref().to_vec() }
});

/// What the console gives for download, and what it asks for the signing of receipts.
pub(super) fn key_file(project_id: &str) -> Value {
    json!({
        "project_id": project_id,
        "key_id": KEY_ID,
        "private_key": KEY.pem,
        "sub_account": SUB_ACCOUNT,
        "token_uri": AUDIENCE,
        "receipts_user": RECEIPTS_USER,
        "receipts_secret": RECEIPTS_SECRET,
    })
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Claim {
    Good,
    Bad(String),
    Expired,
    TooLong,
}

/// A JWT cannot be told from its like but by itself: those seen before a revocation are remembered.
#[derive(Default)]
pub(super) struct Account(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    seen: HashSet<String>,
    void: HashSet<String>,
    was_revoked: bool,
}

/// Old ones are forgotten all at once beyond this.
const SEEN_MAX: usize = 10_000;

impl Account {
    pub(super) fn check(&self, world: &World, authorization: &str) -> Claim {
        let Some(jwt) = authorization.strip_prefix("Bearer ") else {
            return Claim::Bad("no bearer token".to_owned());
        };
        if world.condition(VENDOR) == Condition::CredentialRefused {
            return Claim::Bad("the key is not of this account".to_owned());
        }
        if self.is_void(world, jwt) {
            return Claim::Bad("revoked".to_owned());
        }
        check(jwt, world.now(VENDOR).as_secs()).unwrap_or_else(|why| Claim::Bad(why.to_owned()))
    }

    fn is_void(&self, world: &World, jwt: &str) -> bool {
        let mut inner = self.0.lock();
        let is_revoked = world.condition(VENDOR) == Condition::TokensRevoked;
        if is_revoked && !inner.was_revoked {
            inner.void = std::mem::take(&mut inner.seen);
        }
        inner.was_revoked = is_revoked;
        if inner.seen.len() >= SEEN_MAX {
            inner.seen.clear();
        }
        inner.seen.insert(jwt.to_owned());
        inner.void.contains(jwt)
    }
}

fn check(jwt: &str, now_s: u64) -> Result<Claim, &'static str> {
    let (signed, signature) = jwt.rsplit_once('.').ok_or("not a JWT")?;
    let (header, claims) = signed.split_once('.').ok_or("not a JWT")?;
    let header = part(header).ok_or("the header cannot be read")?;
    if header["alg"] != "PS256" || header["kid"] != KEY_ID {
        return Err("not PS256 by the account's key");
    }
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| "the signature is not base64url")?;
    UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, &KEY.public)
        .verify(signed.as_bytes(), &signature)
        .map_err(|_| "the signature is wrong")?;
    let claims = part(claims).ok_or("the claims cannot be read")?;
    if claims["iss"] != SUB_ACCOUNT {
        return Err("iss is not the account");
    }
    if claims["aud"] != AUDIENCE {
        return Err("aud is not the token endpoint");
    }
    let seconds = |name: &str| claims[name].as_u64();
    let (iat, exp) = seconds("iat").zip(seconds("exp")).ok_or("iat and exp must be seconds")?;
    if iat > now_s + AHEAD_S_MAX {
        return Err("issued in the future");
    }
    Ok(match () {
        () if exp.saturating_sub(iat) > LIFE_S_MAX => Claim::TooLong,
        () if exp <= now_s => Claim::Expired,
        () => Claim::Good,
    })
}

fn part(text: &str) -> Option<Value> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

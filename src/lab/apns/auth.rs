//! Who may send: a signed token with rules of its own, or a certificate.

use std::collections::{HashMap, HashSet};

use carillon_sdk::{Timestamp, Ttl};
use ring::signature::{ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::super::jwt::Jwt;
use super::super::keys::EcKey;
use super::super::{Asked, Condition, World};
use super::reasons::Reason;
use super::{BUNDLE_ID, VENDOR};

const TEAM_ID: &str = "TEAM123456";
const KEY_IDS: [&str; 2] = ["KEY1234567", "KEY7654321"];
/// Of `iat`: an older token has expired.
const LIFE: Ttl = Ttl::from_secs(3_600);
/// Between the first uses of two tokens of one key.
const UPDATE_PAUSE: Ttl = Ttl::from_secs(20 * 60);
/// How far a client's clock may run ahead.
const AHEAD_S: u64 = 60;
/// Connections remembered; the oldest are forgotten first.
const CONNECTIONS_MAX: usize = 10_000;

/// What Apple gave the app's owner.
pub(super) struct Keys {
    keys: [EcKey; 2],
    /// Chain and key.
    pub certificate_pem: String,
    certificate: Vec<u8>,
}

type Hash = [u8; 32];

/// What Apple remembers of those that showed themselves.
#[derive(Default)]
pub(super) struct Provider {
    /// The key of a connection's first push.
    connections: HashMap<u64, &'static str>,
    /// Tokens by their hash, with their key and first use.
    tokens: HashMap<Hash, (&'static str, Timestamp)>,
    revoked: HashSet<Hash>,
    is_revoking: bool,
}

/// What may be sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Topics {
    /// Whatever the request names.
    OfKey,
    /// The certificate's one, which need not be named.
    OfCertificate,
}

impl Keys {
    pub(super) fn generate() -> Self {
        let why = "a certificate with one plain name can be made as long as there are random bytes";
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect(why);
        let mut params = rcgen::CertificateParams::default();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, format!("Apple Push Services: {BUNDLE_ID}"));
        let certificate = params.self_signed(&pair).expect(why);
        Self {
            keys: [EcKey::generate(), EcKey::generate()],
            certificate_pem: certificate.pem() + &pair.serialize_pem(),
            certificate: certificate.der().to_vec(),
        }
    }

    pub(super) fn credential(&self, key: usize) -> Value {
        json!({"key_p8": self.keys[key].pem, "key_id": KEY_IDS[key], "team_id": TEAM_ID})
    }
}

impl Provider {
    pub(super) fn admit(&mut self, keys: &Keys, world: &World, asked: &Asked) -> Result<Topics, Reason> {
        let condition = world.condition(VENDOR);
        let Some(authorization) = asked.header("authorization") else {
            let Some(shown) = &asked.certificate else { return Err(Reason::of("MissingProviderToken")) };
            let is_known = *shown == keys.certificate && condition != Condition::CredentialRefused;
            return if is_known { Ok(Topics::OfCertificate) } else { Err(Reason::of("BadCertificate")) };
        };
        if condition == Condition::CredentialRefused {
            return Err(Reason::of("InvalidProviderToken"));
        }
        let invalid = Reason::of("InvalidProviderToken");
        let token = bearer(authorization).ok_or(invalid)?;
        let (key, issued_at_s) = verified(keys, token, world.is_lenient).ok_or(invalid)?;
        let hash: Hash = Sha256::digest(token.as_bytes()).into();
        self.watch(condition);
        let now = world.now(VENDOR);
        if issued_at_s > now.as_secs() + AHEAD_S {
            return Err(invalid);
        }
        if self.revoked.contains(&hash) || issued_at_s + LIFE.as_millis() / 1_000 < now.as_secs() {
            return Err(Reason::of("ExpiredProviderToken"));
        }
        self.bind(asked.connection, key)?;
        self.first_use(hash, key, now)?;
        Ok(Topics::OfKey)
    }

    /// When Apple forgets the tokens it knows, the next one is the first again.
    fn watch(&mut self, condition: Condition) {
        let is_revoking = condition == Condition::TokensRevoked;
        if is_revoking && !self.is_revoking {
            self.revoked.extend(self.tokens.drain().map(|(hash, _)| hash));
        }
        self.is_revoking = is_revoking;
    }

    fn bind(&mut self, connection: u64, key: &'static str) -> Result<(), Reason> {
        if self.connections.len() >= CONNECTIONS_MAX {
            let oldest = self.connections.keys().copied().min();
            oldest.and_then(|oldest| self.connections.remove(&oldest));
        }
        let bound = *self.connections.entry(connection).or_insert(key);
        if bound == key { Ok(()) } else { Err(Reason::of("UnrelatedKeyIdInToken")) }
    }

    fn first_use(&mut self, hash: Hash, key: &'static str, now: Timestamp) -> Result<(), Reason> {
        if self.tokens.contains_key(&hash) {
            return Ok(());
        }
        let latest = self.tokens.values().filter(|(of, _)| *of == key).map(|(_, at)| *at).max();
        if latest.is_some_and(|latest| now < latest + UPDATE_PAUSE) {
            return Err(Reason::of("TooManyProviderTokenUpdates"));
        }
        self.tokens.retain(|_, (_, at)| now < *at + LIFE + LIFE);
        self.tokens.insert(hash, (key, now));
        Ok(())
    }
}

fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// The key's id and `iat`, if all is as it must be but the time.
fn verified(keys: &Keys, token: &str, is_lenient: bool) -> Option<(&'static str, u64)> {
    let jwt = Jwt::read(token, is_lenient)?;
    let key = KEY_IDS.iter().position(|&id| Some(id) == jwt.key_id())?;
    let public = &keys.keys[key].public;
    // Two widespread clients send DER, and Apple takes it.
    let is_signed = jwt.is_signed_by(public, &ECDSA_P256_SHA256_FIXED)
        || is_lenient && jwt.is_signed_by(public, &ECDSA_P256_SHA256_ASN1);
    let is_ours = jwt.is_of("ES256") && jwt.text("iss") == Some(TEAM_ID) && is_signed;
    Some((KEY_IDS[key], jwt.secs("iat")?)).filter(|_| is_ours)
}

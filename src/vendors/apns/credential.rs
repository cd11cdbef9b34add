//! What Apple wants to be shown: a token signed by the team's key, or a certificate.

use std::collections::HashMap;
use std::sync::Arc;

use carillon_actors::channel::{Access, Class, Invalid, Refused, Scope, Setup};
use carillon_sdk::{Timestamp, Ttl};
use parking_lot::Mutex;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::certificate;
use crate::vendors::given;
use crate::vendors::jws::Signer;

const PRODUCTION: &str = "https://api.push.apple.com";
const SANDBOX: &str = "https://api.sandbox.push.apple.com";

/// A token is refused when it is older than an hour, and so is a second one within 20 minutes.
const LIFE: Ttl = Ttl::from_secs(3_600);
const RENEW: Ttl = Ttl::from_secs(3_000);
const REST: Ttl = Ttl::from_secs(1_200);

/// Tokens in use, by the key that signed them: Apple counts those of a key, and several apps of one
/// team have one key.
#[derive(Clone, Default)]
pub(in crate::vendors) struct Tokens(Arc<Mutex<HashMap<[u8; 32], Access>>>);

impl Tokens {
    /// The one there is, while Apple would take no other: but for who had it, and asks again since it
    /// was refused.
    fn of(
        &self,
        key: [u8; 32],
        had: Option<&Access>,
        now: Timestamp,
        sign: impl FnOnce() -> Result<Access, Refused>,
    ) -> Result<Access, Refused> {
        let mut known = self.0.lock();
        let is_new = |access: &Access| access.not_again_before.is_some_and(|at| now < at);
        if let Some(access) = known.get(&key).filter(|access| is_new(access) && Some(*access) != had) {
            return Ok(access.clone());
        }
        let access = sign()?;
        known.retain(|_, access| is_new(access));
        known.insert(key, access.clone());
        Ok(access)
    }
}

pub(super) struct Credential {
    pub(super) bundle_id: String,
    pub(super) host: String,
    pub(super) offset_ms: i64,
    proof: Proof,
    /// What it was given last.
    had: Mutex<Option<Access>>,
}

enum Proof {
    Key { signer: Box<Signer>, key_id: String, team_id: String, digest: [u8; 32] },
    Certificate { pem: String, ends_at: Timestamp },
}

impl Credential {
    pub(super) fn read(setup: &Setup) -> Result<Self, Invalid> {
        let environment = given::maybe(setup, "settings", "environment")?.unwrap_or("production");
        let default = match environment {
            "production" => PRODUCTION,
            "sandbox" => SANDBOX,
            _ => return Err(Invalid::new("/settings/environment", "`production` or `sandbox`")),
        };
        let proof = match given::maybe(setup, "credential", "certificate_pem")? {
            Some(pem) => {
                let ends_at = certificate::ends_at(pem).ok_or_else(|| {
                    Invalid::new("/credential/certificate_pem", "no certificate that can be read")
                })?;
                Proof::Certificate { pem: pem.to_owned(), ends_at }
            }
            None => {
                let part = |name| given::text(setup, "credential", name);
                let (key_p8, key_id, team_id) = (part("key_p8")?, part("key_id")?, part("team_id")?);
                let named = format!("{key_id}\0{team_id}\0{}\0{key_p8}", setup.clock_offset_ms);
                Proof::Key {
                    signer: Box::new(Signer::p256(key_p8, "/credential/key_p8")?),
                    key_id: key_id.to_owned(),
                    team_id: team_id.to_owned(),
                    digest: Sha256::digest(named).into(),
                }
            }
        };
        Ok(Self {
            bundle_id: given::text(setup, "settings", "bundle_id")?.to_owned(),
            host: given::host(setup, "send", default)?,
            offset_ms: setup.clock_offset_ms,
            proof,
            had: Mutex::default(),
        })
    }

    /// Chain and key, when Apple knows us by a certificate.
    pub(super) fn identity(&self) -> Option<&str> {
        match &self.proof {
            Proof::Key { .. } => None,
            Proof::Certificate { pem, .. } => Some(pem),
        }
    }

    pub(super) fn ends_at(&self) -> Option<Timestamp> {
        match self.proof {
            Proof::Key { .. } => None,
            Proof::Certificate { ends_at, .. } => Some(ends_at),
        }
    }

    /// A token of the key; one for all connections, and for all apps that have this key.
    pub(super) fn access(&self, tokens: &Tokens, now: Timestamp) -> Result<Access, Refused> {
        let Proof::Key { digest, .. } = &self.proof else { return Ok(Access::none()) };
        let mut had = self.had.lock();
        let access = tokens.of(*digest, had.as_ref(), now, || self.signed(now))?;
        *had = Some(access.clone());
        Ok(access)
    }

    fn signed(&self, now: Timestamp) -> Result<Access, Refused> {
        let Proof::Key { signer, key_id, team_id, .. } = &self.proof else { return Ok(Access::none()) };
        let issued = given::theirs(now, self.offset_ms).as_secs();
        let header = json!({"alg": "ES256", "kid": key_id});
        let token = signer.sign(&header, &json!({"iss": team_id, "iat": issued})).map_err(|unsigned| {
            Refused::new(Class::Retry, Scope::App, "unsigned").because(unsigned.to_string())
        })?;
        let mut access = Access::new(token);
        access.renew_at = Some(now + RENEW);
        access.ends_at = Some(now + LIFE);
        access.not_again_before = Some(now + REST);
        Ok(access)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
    use serde_json::Value;

    use super::*;

    pub(in crate::vendors::apns) fn setup(key_p8: &str) -> Setup {
        Setup {
            credential: json!({"key_p8": key_p8, "key_id": "ABCDE12345", "team_id": "TEAM123456"}),
            settings: json!({"bundle_id": "com.example.bank"}),
            hosts: BTreeMap::new(),
            ca_pem: None,
            clock_offset_ms: 0,
            receipts_url: None,
        }
    }

    #[test]
    fn the_token_is_in_the_strict_form_and_by_apples_clock() {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let setup = Setup { clock_offset_ms: -5_000, ..setup(&pair.serialize_pem()) };
        let now = Timestamp::from_millis(1_764_000_000_000);
        let access = Credential::read(&setup).unwrap().access(&Tokens::default(), now).unwrap();
        let parts: Vec<_> = access.token().split('.').collect();
        let json =
            |part: &str| -> Value { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap() };
        assert_eq!(json(parts[0]), json!({"alg": "ES256", "kid": "ABCDE12345"}));
        assert_eq!(json(parts[1]), json!({"iss": "TEAM123456", "iat": 1_763_999_995}));
        let signature = URL_SAFE_NO_PAD.decode(parts[2]).unwrap();
        assert_eq!(signature.len(), 64, "r and s, no DER");
        let signed = format!("{}.{}", parts[0], parts[1]);
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key_raw())
            .verify(signed.as_bytes(), &signature)
            .unwrap();
        let minutes = |at: Option<Timestamp>| at.unwrap().since(now).as_millis() / 60_000;
        assert_eq!(minutes(access.renew_at), 50);
        assert_eq!(minutes(access.ends_at), 60);
        assert_eq!(minutes(access.not_again_before), 20);
    }

    #[test]
    fn apps_of_one_key_have_one_token_for_as_long_as_apple_takes_no_other() {
        let pem = || rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap().serialize_pem();
        let (one, other) = (pem(), pem());
        let tokens = Tokens::default();
        let token = |key: &str, minutes: u64| {
            let now = Timestamp::from_millis(1_764_000_000_000) + Ttl::from_secs(60 * minutes);
            let access = Credential::read(&setup(key)).unwrap().access(&tokens, now).unwrap();
            access.token().to_owned()
        };
        let first = token(&one, 0);
        assert_eq!(token(&one, 19), first, "another app of that key");
        assert_ne!(token(&other, 19), first, "another key's");
        let second = token(&one, 20);
        assert_ne!(second, first);
        assert_eq!(token(&one, 39), second);
        let asking = Credential::read(&setup(&one)).unwrap();
        let now = Timestamp::from_millis(1_764_000_000_000) + Ttl::from_secs(60 * 39);
        let before = asking.access(&tokens, now).unwrap();
        assert_eq!(before.token(), second);
        assert_ne!(asking.access(&tokens, now).unwrap(), before, "who asks again was refused with it");
    }

    #[test]
    fn what_cannot_be_used_is_named_and_not_quoted() {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let good = setup(&pair.serialize_pem());
        let environment =
            Setup { settings: json!({"bundle_id": "b", "environment": "staging"}), ..good.clone() };
        let host = Setup { hosts: [("send".to_owned(), "apple".to_owned())].into(), ..good.clone() };
        let bundle = Setup { settings: json!({}), ..good };
        for (setup, pointer) in [
            (setup("planted-secret"), "/credential/key_p8"),
            (environment, "/settings/environment"),
            (host, "/hosts/send"),
            (bundle, "/settings/bundle_id"),
        ] {
            let invalid = Credential::read(&setup).err().unwrap();
            assert_eq!(invalid.pointer, pointer);
            assert!(!invalid.to_string().contains("planted-secret"));
        }
    }
}

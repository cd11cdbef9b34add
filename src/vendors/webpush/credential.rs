//! What a push service wants to be shown (VAPID, RFC 8292): a token for its own origin, signed with
//! the key that the page subscribed with.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use carillon_actors::channel::{Invalid, Setup};
use carillon_sdk::{Timestamp, Ttl};
use parking_lot::Mutex;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use serde_json::json;

use crate::vendors::given;
use crate::vendors::jws::{Signer, Unsigned};

/// A service takes a day at most; Apple's too. A token is used for the half of that.
const LIFE_S: u64 = 23 * 3_600;
const USED: Ttl = Ttl::from_secs(12 * 3_600);

/// Origins whose tokens are kept. There are a handful; a device may name any.
const ORIGINS_MAX: usize = 1_024;

pub(super) struct Credential {
    signer: Signer,
    public: String,
    subject: String,
    offset_ms: i64,
    /// By origin: the header's value, and until when it is used.
    made: Mutex<HashMap<String, (String, Timestamp)>>,
}

impl Credential {
    pub(super) fn read(setup: &Setup) -> Result<Self, Invalid> {
        let private = key(setup, "private_key", 32)?;
        let public = key(setup, "public_key", 65)?;
        let pair = EcdsaKeyPair::from_private_key_and_public_key(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            &private,
            &public,
            &SystemRandom::new(),
        );
        let pair = pair.map_err(|_| {
            Invalid::new("/credential/private_key", "a P-256 key that belongs to `public_key`")
        })?;
        let subject = given::text(setup, "settings", "subject")?;
        if !subject.starts_with("mailto:") && !subject.starts_with("https://") {
            return Err(Invalid::new("/settings/subject", "mailto: or https://"));
        }
        Ok(Self {
            signer: Signer::P256(pair),
            public: URL_SAFE_NO_PAD.encode(public),
            subject: subject.to_owned(),
            offset_ms: setup.clock_offset_ms,
            made: Mutex::default(),
        })
    }

    /// The value of `authorization` for an origin. The same for half a day.
    pub(super) fn authorization(&self, origin: &str, now: Timestamp) -> Result<String, Unsigned> {
        let mut made = self.made.lock();
        if let Some((value, until)) = made.get(origin)
            && *until > now
        {
            return Ok(value.clone());
        }
        let ends_s = given::theirs(now, self.offset_ms).as_secs() + LIFE_S;
        let claims = json!({"aud": origin, "exp": ends_s, "sub": self.subject});
        let token = self.signer.sign(&json!({"typ": "JWT", "alg": "ES256"}), &claims)?;
        let value = format!("vapid t={token}, k={}", self.public);
        if made.len() >= ORIGINS_MAX {
            made.clear();
        }
        made.insert(origin.to_owned(), (value.clone(), now + USED));
        Ok(value)
    }

    /// The service did not take it; whoever is late with that forgets no newer one.
    pub(super) fn forget(&self, origin: &str, refused: &str) {
        let mut made = self.made.lock();
        if made.get(origin).is_some_and(|(value, _)| value == refused) {
            made.remove(origin);
        }
    }
}

/// A key as the makers of such pairs print it.
fn key(setup: &Setup, name: &str, bytes: usize) -> Result<Vec<u8>, Invalid> {
    let text = given::text(setup, "credential", name)?.trim();
    let key = URL_SAFE_NO_PAD.decode(text).or_else(|_| URL_SAFE.decode(text)).unwrap_or_default();
    let wrong = || Invalid::new(format!("/credential/{name}"), format!("{bytes} bytes in base64url"));
    (key.len() == bytes).then_some(key).ok_or_else(wrong)
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
    use serde_json::Value;

    use super::*;

    /// The pair of RFC 8291's example, which nobody uses.
    pub(in crate::vendors::webpush) fn setup() -> Setup {
        Setup {
            credential: json!({
                "private_key": "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw",
                "public_key":
                    "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8",
            }),
            settings: json!({"subject": "mailto:push@example.com"}),
            hosts: BTreeMap::new(),
            ca_pem: None,
            clock_offset_ms: 0,
            receipts_url: None,
        }
    }

    const NOW: Timestamp = Timestamp::from_millis(1_764_000_000_000);

    #[test]
    fn a_token_is_for_one_origin_and_half_a_day() {
        let credential = Credential::read(&setup()).unwrap();
        let at = |origin, hours: u64| {
            credential.authorization(origin, NOW + Ttl::from_secs(hours * 3_600)).unwrap()
        };
        let first = at("https://push.example.com", 0);
        assert_eq!(first, at("https://push.example.com", 11));
        assert_ne!(first, at("https://other.example.com", 0));
        let second = at("https://push.example.com", 12);
        assert_ne!(first, second);
        credential.forget("https://push.example.com", &first);
        assert_eq!(second, at("https://push.example.com", 12), "the new one is not the one refused");
        credential.forget("https://push.example.com", &second);
        assert_ne!(second, at("https://push.example.com", 12));
    }

    #[test]
    fn a_token_is_signed_and_names_the_origin_the_end_and_who_to_write_to() {
        let credential = Credential::read(&setup()).unwrap();
        let value = credential.authorization("https://push.example.com", NOW).unwrap();
        let (token, key) = value.strip_prefix("vapid t=").unwrap().split_once(", k=").unwrap();
        let parts: Vec<_> = token.split('.').collect();
        let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
        let expected = json!({"aud": "https://push.example.com", "sub": "mailto:push@example.com",
            "exp": NOW.as_secs() + 23 * 3_600});
        assert_eq!(claims, expected);
        let key = URL_SAFE_NO_PAD.decode(key).unwrap();
        let signature = URL_SAFE_NO_PAD.decode(parts[2]).unwrap();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key)
            .verify(format!("{}.{}", parts[0], parts[1]).as_bytes(), &signature)
            .unwrap();
    }

    #[test]
    fn a_pair_that_is_none_is_refused() {
        for (credential, pointer) in [
            (json!({"private_key": "AAAA"}), "/credential/private_key"),
            (json!({"private_key": "A".repeat(43)}), "/credential/public_key"),
            (
                json!({"private_key": "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94",
                    "public_key": setup().credential["public_key"]}),
                "/credential/private_key",
            ),
        ] {
            let invalid = Credential::read(&Setup { credential, ..setup() }).err().unwrap();
            assert_eq!(invalid.pointer, pointer);
        }
        let subject = Setup { settings: json!({"subject": "push@example.com"}), ..setup() };
        assert_eq!(Credential::read(&subject).err().unwrap().pointer, "/settings/subject");
    }
}

//! Signatures of Standard Webhooks, and the secrets that make them.
//!
//! ```text
//! signed      <webhook-id>.<webhook-timestamp>.<body>
//! v1,<base64>     HMAC-SHA256 under the bytes of whsec_<base64>
//! v1a,<base64>    Ed25519, verified with whpk_<base64>
//! ```

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carillon_sdk::api::SignatureAlgorithm;
use hmac::{Hmac, KeyInit, Mac};
use ring::signature::{Ed25519KeyPair, KeyPair};
use sha2::Sha256;

const HMAC_PREFIX: &str = "whsec_";
const ED25519_PREFIX: &str = "whsk_";
const ED25519_PUBLIC_PREFIX: &str = "whpk_";

/// As the specification has it.
const HMAC_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
const SEED_BYTES: usize = 32;

/// What an endpoint's requests are signed with.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    algorithm: SignatureAlgorithm,
    /// Of Ed25519 the seed.
    bytes: Vec<u8>,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secret({:?}, ***)", self.algorithm)
    }
}

impl Secret {
    /// A new one.
    ///
    /// # Panics
    /// When the system has no randomness to give; nothing safe can be made without it.
    #[must_use]
    pub fn fresh(algorithm: SignatureAlgorithm) -> Self {
        let mut bytes = vec![0; SEED_BYTES];
        getrandom::fill(&mut bytes).expect("the system gives random bytes");
        Self { algorithm, bytes }
    }

    /// One that its owner brings along. Of Ed25519, 32 bytes or the same with the public key behind.
    #[must_use]
    pub fn parse(algorithm: SignatureAlgorithm, text: &str) -> Option<Self> {
        let bytes = match algorithm {
            SignatureAlgorithm::Hmac => STANDARD.decode(text.strip_prefix(HMAC_PREFIX)?).ok()?,
            SignatureAlgorithm::Ed25519 => STANDARD.decode(text.strip_prefix(ED25519_PREFIX)?).ok()?,
        };
        match algorithm {
            SignatureAlgorithm::Hmac => {
                HMAC_BYTES.contains(&bytes.len()).then_some(Self { algorithm, bytes })
            }
            SignatureAlgorithm::Ed25519 => {
                let (seed, public) = bytes.split_at_checked(SEED_BYTES)?;
                let pair = Ed25519KeyPair::from_seed_unchecked(seed).ok()?;
                let matches = public.is_empty() || public == pair.public_key().as_ref();
                matches.then(|| Self { algorithm, bytes: seed.to_vec() })
            }
        }
    }

    pub(super) const fn of_bytes(algorithm: SignatureAlgorithm, bytes: Vec<u8>) -> Self {
        Self { algorithm, bytes }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// As its owner keeps it, to verify with; none for Ed25519, which is verified with the public key.
    #[must_use]
    pub fn shown(&self) -> Option<String> {
        match self.algorithm {
            SignatureAlgorithm::Hmac => Some(format!("{HMAC_PREFIX}{}", STANDARD.encode(&self.bytes))),
            SignatureAlgorithm::Ed25519 => None,
        }
    }

    #[must_use]
    pub fn public_key(&self) -> Option<String> {
        let pair = self.pair()?;
        Some(format!("{ED25519_PUBLIC_PREFIX}{}", STANDARD.encode(pair.public_key())))
    }

    fn pair(&self) -> Option<Ed25519KeyPair> {
        match self.algorithm {
            SignatureAlgorithm::Hmac => None,
            SignatureAlgorithm::Ed25519 => Ed25519KeyPair::from_seed_unchecked(&self.bytes).ok(),
        }
    }

    /// One signature of a `webhook-signature` header.
    pub(super) fn sign(&self, id: &str, timestamp_s: u64, body: &[u8]) -> String {
        let mut signed = format!("{id}.{timestamp_s}.").into_bytes();
        signed.extend_from_slice(body);
        match self.pair() {
            Some(pair) => format!("v1a,{}", STANDARD.encode(pair.sign(&signed))),
            None => {
                let mut mac = Hmac::<Sha256>::new_from_slice(&self.bytes).expect("any bytes are a key");
                mac.update(&signed);
                format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ring::signature::{ED25519, UnparsedPublicKey};

    use super::*;

    #[test]
    fn the_specifications_own_example_comes_out() {
        let secret =
            Secret::parse(SignatureAlgorithm::Hmac, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let body = br#"{"test": 2432232314}"#;
        let signature = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn ed25519_verifies_with_the_public_key_that_is_shown() {
        let secret = Secret::fresh(SignatureAlgorithm::Ed25519);
        let public = secret.public_key().unwrap();
        let public = STANDARD.decode(public.strip_prefix("whpk_").unwrap()).unwrap();
        let signature = secret.sign("msg_1", 5, b"{}");
        let signature = STANDARD.decode(signature.strip_prefix("v1a,").unwrap()).unwrap();
        let verifies =
            |text: &[u8]| UnparsedPublicKey::new(&ED25519, &public).verify(text, &signature).is_ok();
        assert!(verifies(b"msg_1.5.{}") && !verifies(b"msg_1.6.{}"));
        assert_eq!(secret.shown(), None, "its owner needs no secret to verify");
    }

    #[test]
    fn a_secret_comes_back_as_it_is_shown_and_nothing_else_is_one() {
        let secret = Secret::fresh(SignatureAlgorithm::Hmac);
        assert_eq!(Secret::parse(SignatureAlgorithm::Hmac, &secret.shown().unwrap()), Some(secret));
        let seed = STANDARD.encode([7; 32]);
        assert!(Secret::parse(SignatureAlgorithm::Ed25519, &format!("whsk_{seed}")).is_some());
        let too_short = format!("whsec_{}", STANDARD.encode([7; 23]));
        let other_public = format!("whsk_{}", STANDARD.encode([7; 64]));
        for (algorithm, wrong) in [
            (SignatureAlgorithm::Hmac, ""),
            (SignatureAlgorithm::Hmac, "whsec_"),
            (SignatureAlgorithm::Hmac, &*too_short),
            (SignatureAlgorithm::Hmac, &seed),
            (SignatureAlgorithm::Ed25519, &*format!("whsec_{seed}")),
            (SignatureAlgorithm::Ed25519, &*other_public),
        ] {
            assert_eq!(Secret::parse(algorithm, wrong), None, "{wrong}");
        }
    }
}

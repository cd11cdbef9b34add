//! Keys the laboratory makes for itself, as a vendor's console would hand them out.

use std::fmt;

use ring::signature::KeyPair as _;
use rsa::pkcs8::{EncodePrivateKey as _, LineEnding};

/// P-256.
pub(super) struct EcKey {
    /// PKCS#8.
    pub pem: String,
    /// The point, uncompressed.
    pub public: Vec<u8>,
}

/// RSA of 2048 bits.
pub(super) struct RsaKey {
    /// PKCS#8.
    pub pem: String,
    /// PKCS#1, as ring verifies with it.
    pub public: Vec<u8>,
}

impl EcKey {
    pub(super) fn generate() -> Self {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)
            .expect("ring makes a P-256 key as long as the system gives it random bytes");
        Self { pem: pair.serialize_pem(), public: pair.public_key_raw().to_vec() }
    }
}

impl RsaKey {
    /// Takes a second or so of a processor.
    pub(super) fn generate() -> Self {
        let key = rsa::RsaPrivateKey::new(&mut rand_core::OsRng, 2_048)
            .expect("2048 bits are more than enough for two primes");
        let der = key.to_pkcs8_der().expect("a key just made can be written");
        let pem = key.to_pkcs8_pem(LineEnding::LF).expect("a key just made can be written").to_string();
        let pair = ring::signature::RsaKeyPair::from_pkcs8(der.as_bytes())
            .expect("ring reads an RSA key of 2048 bits with the usual exponent");
        Self { pem, public: pair.public_key().as_ref().to_vec() }
    }
}

impl fmt::Debug for EcKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EcKey").finish_non_exhaustive()
    }
}

impl fmt::Debug for RsaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RsaKey").finish_non_exhaustive()
    }
}

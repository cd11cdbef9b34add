//! Signed statements (RFC 7515, compact): base64url without padding, as every vendor's text has it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use carillon_actors::channel::Invalid;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::Value;

/// A key that signs.
pub(super) enum Signer {
    /// ES256: the signature is r and s, 64 bytes, never DER.
    P256(EcdsaKeyPair),
    /// RS256.
    Rsa(RsaKeyPair),
    /// PS256.
    RsaPss(RsaKeyPair),
}

/// The system gave no random bytes, or the key cannot sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the key did not sign")]
pub(super) struct Unsigned;

impl Signer {
    /// From PKCS#8 in PEM; `pointer` says where it was given.
    pub(super) fn p256(pem: &str, pointer: &str) -> Result<Self, Invalid> {
        let der = der(pem, pointer)?;
        let key = EcdsaKeyPair::from_pkcs8(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            der.secret_pkcs8_der(),
            &SystemRandom::new(),
        );
        key.map(Self::P256).map_err(|_| Invalid::new(pointer, "no private key on P-256"))
    }

    pub(super) fn rsa(pem: &str, pointer: &str) -> Result<Self, Invalid> {
        rsa(pem, pointer).map(Self::Rsa)
    }

    pub(super) fn rsa_pss(pem: &str, pointer: &str) -> Result<Self, Invalid> {
        rsa(pem, pointer).map(Self::RsaPss)
    }

    pub(super) fn sign(&self, header: &Value, claims: &Value) -> Result<String, Unsigned> {
        let part = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let text = format!("{}.{}", part(header), part(claims));
        let random = SystemRandom::new();
        let signature = match self {
            Self::P256(key) => key.sign(&random, text.as_bytes()).map_err(|_| Unsigned)?.as_ref().to_vec(),
            Self::Rsa(key) => by_rsa(key, &RSA_PKCS1_SHA256, text.as_bytes())?,
            Self::RsaPss(key) => by_rsa(key, &RSA_PSS_SHA256, text.as_bytes())?,
        };
        Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

fn rsa(pem: &str, pointer: &str) -> Result<RsaKeyPair, Invalid> {
    let key = RsaKeyPair::from_pkcs8(der(pem, pointer)?.secret_pkcs8_der());
    key.map_err(|_| Invalid::new(pointer, "no RSA private key of 2048 to 4096 bits"))
}

fn by_rsa(key: &RsaKeyPair, padding: &'static dyn RsaEncoding, text: &[u8]) -> Result<Vec<u8>, Unsigned> {
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(padding, &SystemRandom::new(), text, &mut signature).map_err(|_| Unsigned)?;
    Ok(signature)
}

fn der(pem: &str, pointer: &str) -> Result<PrivatePkcs8KeyDer<'static>, Invalid> {
    PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes())
        .map_err(|_| Invalid::new(pointer, "no private key in PEM (PKCS#8)"))
}

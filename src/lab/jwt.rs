//! JSON Web Tokens as the simulators take them: read, and verified with the public half of a key.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use ring::signature::{UnparsedPublicKey, VerificationAlgorithm};
use serde_json::Value;

#[derive(Debug, Clone)]
pub(super) struct Jwt {
    pub header: Value,
    pub claims: Value,
    signed: String,
    signature: Vec<u8>,
}

impl Jwt {
    /// As RFC 7515 writes it: base64url without padding. `is_lenient` takes the other alphabets too,
    /// which some clients in production use.
    pub(super) fn read(text: &str, is_lenient: bool) -> Option<Self> {
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let object = |part: &str| {
            let value: Value = serde_json::from_slice(&decode(part, is_lenient)?).ok()?;
            value.is_object().then_some(value)
        };
        Some(Self {
            header: object(header)?,
            claims: object(claims)?,
            signed: signed.to_owned(),
            signature: decode(signature, is_lenient)?,
        })
    }

    pub(super) fn is_signed_by(&self, public: &[u8], algorithm: &'static dyn VerificationAlgorithm) -> bool {
        UnparsedPublicKey::new(algorithm, public).verify(self.signed.as_bytes(), &self.signature).is_ok()
    }

    pub(super) fn text(&self, claim: &str) -> Option<&str> {
        self.claims.get(claim)?.as_str()
    }

    /// Seconds: a whole number, as every vendor asks for.
    pub(super) fn secs(&self, claim: &str) -> Option<u64> {
        self.claims.get(claim)?.as_u64()
    }

    pub(super) fn is_of(&self, algorithm: &str) -> bool {
        self.header.get("alg").and_then(Value::as_str) == Some(algorithm)
    }

    pub(super) fn key_id(&self) -> Option<&str> {
        self.header.get("kid")?.as_str()
    }
}

fn decode(part: &str, is_lenient: bool) -> Option<Vec<u8>> {
    let strict = URL_SAFE_NO_PAD.decode(part).ok();
    if strict.is_some() || !is_lenient {
        return strict;
    }
    [URL_SAFE, STANDARD, STANDARD_NO_PAD].iter().find_map(|engine| engine.decode(part).ok())
}

/// What a client would send: for the simulators' own tests.
#[cfg(test)]
pub(super) fn write(header: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let signature = URL_SAFE_NO_PAD.encode(sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}

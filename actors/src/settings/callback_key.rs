//! The RSA key that signs an app's callbacks: made here or brought along, sealed on disk, and shown
//! by its public half alone. Making one is the `rsa` crate's, signing is ring's.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carillon_sdk::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rsa::pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey, LineEnding};
use rsa::traits::PublicKeyParts;
use rsa::{RsaPrivateKey, RsaPublicKey};
use serde::{Deserialize, Serialize};

use super::single;
use crate::engine::Engine;
use crate::model::App;
use crate::store::{self, Audit, Expect, Kind, Nonce};

const ID: &str = "callback_key";
const PURPOSE: &str = "callback_key";
const BITS: usize = 2_048;
/// Shorter ones can be broken, longer ones sign slowly.
const BITS_TAKEN: std::ops::RangeInclusive<usize> = BITS..=4_096;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("make a key")]
    Generate,
    #[error("expected an RSA key of {} to {} bits in PKCS#8, as PEM", BITS_TAKEN.start(), BITS_TAKEN.end())]
    Private,
    #[error("expected an RSA public key of {} to {} bits, as PEM", BITS_TAKEN.start(), BITS_TAKEN.end())]
    Public,
}

/// A private key on its way in.
pub struct CallbackKey {
    /// PKCS#8.
    der: Vec<u8>,
    public_key: String,
    uploaded: bool,
}

/// What is shown of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackKeyView {
    /// SPKI, in PEM.
    pub public_key: String,
    pub created_at: Timestamp,
    /// Brought along, not made here.
    pub uploaded: bool,
}

#[derive(Serialize, Deserialize)]
struct Row {
    public_key: String,
    created_at: Timestamp,
    uploaded: bool,
    /// Base64.
    sealed: String,
}

impl CallbackKey {
    /// Makes one of 2048 bits. It takes a second or so of a processor: not on an arbiter.
    pub fn generate() -> Result<Self, KeyError> {
        let key = RsaPrivateKey::new(&mut rand_core::OsRng, BITS).map_err(|_| KeyError::Generate)?;
        Self::of(&key, false).ok_or(KeyError::Generate)
    }

    /// One that the owner brings along: PKCS#8 in PEM.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let key = RsaPrivateKey::from_pkcs8_pem(pem).map_err(|_| KeyError::Private)?;
        if !BITS_TAKEN.contains(&key.n().bits()) {
            return Err(KeyError::Private);
        }
        Self::of(&key, true).ok_or(KeyError::Private)
    }

    /// None when ring would not sign with it.
    fn of(key: &RsaPrivateKey, uploaded: bool) -> Option<Self> {
        let der = key.to_pkcs8_der().ok()?.as_bytes().to_vec();
        RsaKeyPair::from_pkcs8(&der).ok()?;
        let public_key = key.to_public_key().to_public_key_pem(LineEnding::LF).ok()?;
        Some(Self { der, public_key, uploaded })
    }
}

/// An RSA public key, SPKI, as PEM: also from the bare base64 that consoles show.
pub fn public_key(text: &str) -> Result<String, KeyError> {
    let key = if text.trim_start().starts_with("-----BEGIN") {
        RsaPublicKey::from_public_key_pem(text.trim()).map_err(|_| KeyError::Public)?
    } else {
        let bare: String = text.split_whitespace().collect();
        let der = STANDARD.decode(bare).map_err(|_| KeyError::Public)?;
        RsaPublicKey::from_public_key_der(&der).map_err(|_| KeyError::Public)?
    };
    if !BITS_TAKEN.contains(&key.n().bits()) {
        return Err(KeyError::Public);
    }
    key.to_public_key_pem(LineEnding::LF).map_err(|_| KeyError::Public)
}

/// Signs an app's callbacks: PKCS#1 v1.5 with SHA-256.
pub struct Signer(RsaKeyPair);

impl Signer {
    /// The signature's bytes. About a millisecond of a processor. None when the system has no
    /// randomness to blind with.
    #[must_use]
    pub fn sign(&self, text: &[u8]) -> Option<Vec<u8>> {
        let mut signature = vec![0; self.0.public().modulus_len()];
        self.0.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text, &mut signature).ok()?;
        Some(signature)
    }
}

impl Engine {
    /// What signs the app's callbacks; none when it has no key. Keep it while a batch is sent: to
    /// open it costs half a millisecond.
    #[must_use]
    pub fn callback_signer(&self, app: App) -> Option<Signer> {
        let row = self.callback_row(app)?;
        let der = STANDARD.decode(row.sealed).ok()?;
        let der = self.store().unseal(app, PURPOSE, &der);
        if der.is_none() {
            tracing::error!("a callback key cannot be opened: was it made under another master secret?");
        }
        RsaKeyPair::from_pkcs8(&der?).ok().map(Signer)
    }

    #[must_use]
    pub fn callback_key(&self, app: App) -> Option<CallbackKeyView> {
        let Row { public_key, created_at, uploaded, .. } = self.callback_row(app)?;
        Some(CallbackKeyView { public_key, created_at, uploaded })
    }

    /// From now on the app's callbacks are signed with this key.
    pub async fn set_callback_key(
        &self,
        app: App,
        key: CallbackKey,
        audit: Audit,
        nonce: Option<Nonce>,
    ) -> Result<CallbackKeyView, store::Error> {
        let CallbackKey { der, public_key, uploaded } = key;
        let sealed = STANDARD.encode(self.store().seal(app, PURPOSE, &der));
        let created_at = self.clock().now();
        let row = Row { public_key: public_key.clone(), created_at, uploaded, sealed };
        let value = serde_json::to_vec(&row).expect("a key's row is plain data");
        let change = single(ID, Expect::Anything, value.into());
        self.store().change(app, vec![change], Some(audit), nonce).await?;
        Ok(CallbackKeyView { public_key, created_at, uploaded })
    }

    fn callback_row(&self, app: App) -> Option<Row> {
        let stored = self.store().object(app, Kind::Settings, ID)?;
        serde_json::from_slice(&stored.bytes)
            .inspect_err(|error| tracing::error!(%error, "a callback key cannot be read"))
            .ok()
    }
}

#[cfg(test)]
mod tests {
    use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
    use rsa::pkcs1::EncodeRsaPublicKey;

    use super::*;

    #[test]
    fn what_the_key_signs_verifies_by_the_public_key_that_is_shown() {
        let key = CallbackKey::generate().unwrap();
        let signature = Signer(RsaKeyPair::from_pkcs8(&key.der).unwrap()).sign(b"receipts").unwrap();
        let public = RsaPublicKey::from_public_key_pem(&key.public_key).unwrap();
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public.to_pkcs1_der().unwrap());
        assert!(public.verify(b"receipts", &signature).is_ok());
        assert!(public.verify(b"receipts.", &signature).is_err());

        // And it can be brought along to another server.
        let pem = RsaPrivateKey::from_pkcs8_der(&key.der).unwrap().to_pkcs8_pem(LineEnding::LF).unwrap();
        let brought = CallbackKey::from_pem(&pem).unwrap();
        assert_eq!((brought.public_key, brought.uploaded), (key.public_key.clone(), true));

        let bare: String = key.public_key.lines().filter(|line| !line.starts_with('-')).collect();
        assert_eq!(public_key(&bare).as_ref(), Ok(&key.public_key));
    }

    #[test]
    fn a_key_that_is_none_or_too_short_is_refused() {
        let short = RsaPrivateKey::new(&mut rand_core::OsRng, 1_024).unwrap();
        let pem = short.to_pkcs8_pem(LineEnding::LF).unwrap();
        for wrong in ["", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", &pem] {
            assert_eq!(CallbackKey::from_pem(wrong).err(), Some(KeyError::Private), "{wrong}");
        }
        let short = short.to_public_key().to_public_key_pem(LineEnding::LF).unwrap();
        for wrong in ["", "AAAA", "ÄÖ", &short] {
            assert_eq!(public_key(wrong), Err(KeyError::Public), "{wrong}");
        }
    }
}

//! Secrets, all derived from the master secret, so that the store holds none.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use carillon_sdk::KeyId;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::model::{App, Device};

const CREDENTIAL: &str = "cd1";
const MAC_BYTES: usize = 16;

pub(super) struct Keyring(Hmac<Sha256>);

impl Keyring {
    #[must_use]
    pub(super) fn new(master: &[u8; 32]) -> Self {
        Self(Hmac::new_from_slice(master).expect("32 bytes are a key"))
    }

    pub(super) fn mac(&self, purpose: &[u8], of: &[u8]) -> [u8; 32] {
        let mut mac = self.0.clone();
        mac.update(purpose);
        mac.update(of);
        mac.finalize().into_bytes().into()
    }

    /// An API key's secret.
    #[must_use]
    pub(super) fn key_secret(&self, key: &KeyId) -> String {
        format!("cs_{}", URL_SAFE_NO_PAD.encode(self.mac(b"key:", key.as_str().as_bytes())))
    }

    /// A device's credential: `cd1.<app, ordinal, generation>.<mac>`.
    #[must_use]
    pub(super) fn credential(&self, device: Device, generation: u32) -> String {
        let mut named = [0; 12];
        named[..4].copy_from_slice(&device.app.0.to_be_bytes());
        named[4..8].copy_from_slice(&device.ordinal.to_be_bytes());
        named[8..].copy_from_slice(&generation.to_be_bytes());
        let mac = self.mac(b"device:", &named);
        let (named, mac) = (URL_SAFE_NO_PAD.encode(named), URL_SAFE_NO_PAD.encode(&mac[..MAC_BYTES]));
        format!("{CREDENTIAL}.{named}.{mac}")
    }

    /// The device and generation a credential names, once its MAC holds.
    #[must_use]
    pub(super) fn verify(&self, credential: &str) -> Option<(Device, u32)> {
        let mut parts = credential.split('.');
        let (version, named, mac) = (parts.next()?, parts.next()?, parts.next()?);
        if version != CREDENTIAL || parts.next().is_some() {
            return None;
        }
        let named: [u8; 12] = URL_SAFE_NO_PAD.decode(named).ok()?.try_into().ok()?;
        let mac: [u8; MAC_BYTES] = URL_SAFE_NO_PAD.decode(mac).ok()?.try_into().ok()?;
        let right = self.mac(b"device:", &named);
        if !bool::from(right[..MAC_BYTES].ct_eq(&mac)) {
            return None;
        }
        let number = |at: usize| u32::from_be_bytes([named[at], named[at + 1], named[at + 2], named[at + 3]]);
        Some((Device { app: App(number(0)), ordinal: number(4) }, number(8)))
    }
}

/// A name nobody else has: `prefix` and 120 random bits.
///
/// # Panics
/// When the system has no randomness to give; nothing safe can be made without it.
#[must_use]
pub(crate) fn random_name(prefix: &str) -> String {
    let mut bytes = [0; 15];
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes))
}

/// Where a new device's generations begin. Not 1: should an ordinal ever be given out again after
/// a partition was lost, credentials of its former owner must not fit. Never 0, which says that no
/// credential was given out.
///
/// # Panics
/// As [`random_name`].
#[must_use]
pub(super) fn first_generation() -> u32 {
    (getrandom::u32().expect("the system gives random bytes") >> 1).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_verifies_whole_and_no_other_way() {
        let keyring = Keyring::new(&[7; 32]);
        let device = Device { app: App(1), ordinal: 5 };
        let credential = keyring.credential(device, 9);
        assert_eq!(keyring.verify(&credential), Some((device, 9)));
        assert_eq!(Keyring::new(&[8; 32]).verify(&credential), None);
        for at in 0..credential.len() {
            let mut bytes = credential.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(keyring.verify(&String::from_utf8(bytes).unwrap()), None, "byte {at} changed");
        }
        assert_eq!(keyring.verify(&credential[..credential.len() - 1]), None);
        assert_eq!(keyring.verify(&format!("{credential}.x")), None);
        assert_eq!(keyring.verify(""), None);
    }

    #[test]
    fn names_differ() {
        assert_ne!(random_name("ck_"), random_name("ck_"));
    }
}

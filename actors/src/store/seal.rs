//! Secrets that must be given out again, such as the private key that signs receipts: on disk only
//! sealed, under a key derived from the master secret, so that a copy of the data directory without
//! it tells nothing. Each is sealed in an envelope: under a key of its own, which lies beside it under
//! the one derived from the master secret. So the same key never seals two texts, however many there
//! are. A sealed text opens only for the app and the purpose for which it was made.
//!
//! ```text
//!  nonce 12 │ the text's key 32 + tag 16, under the master's │ nonce 12 │ text + tag 16, under its key
//! ```

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use super::Store;
use super::credential::Keyring;
use crate::model::App;

impl Store {
    /// # Panics
    /// When the system has no randomness to give; nothing safe can be made without it.
    #[must_use]
    pub fn seal(&self, app: App, purpose: &str, secret: &[u8]) -> Vec<u8> {
        seal(&self.0.shared.keyring, app, purpose, secret)
    }

    /// None when it was made for something else, under another master secret, or is damaged.
    #[must_use]
    pub fn unseal(&self, app: App, purpose: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        unseal(&self.0.shared.keyring, app, purpose, sealed)
    }
}

/// A key's nonce, its bytes, its tag.
const KEY_LEN: usize = 32;
const ENVELOPE_LEN: usize = NONCE_LEN + KEY_LEN + 16;

fn of_master(keyring: &Keyring, purpose: &str) -> LessSafeKey {
    key(&keyring.mac(b"seal:", purpose.as_bytes()))
}

fn key(bytes: &[u8; KEY_LEN]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, bytes).expect("32 bytes are a key"))
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    bytes
}

fn bound_to(app: App, purpose: &str) -> Vec<u8> {
    [&app.0.to_be_bytes(), purpose.as_bytes()].concat()
}

fn seal(keyring: &Keyring, app: App, purpose: &str, secret: &[u8]) -> Vec<u8> {
    let own = random();
    let mut envelope = close(&of_master(keyring, purpose), app, purpose, &own);
    envelope.extend(close(&key(&own), app, purpose, secret));
    envelope
}

fn unseal(keyring: &Keyring, app: App, purpose: &str, sealed: &[u8]) -> Option<Vec<u8>> {
    let of_master = of_master(keyring, purpose);
    let in_envelope = || {
        let (envelope, text) = sealed.split_at_checked(ENVELOPE_LEN)?;
        let own = open(&of_master, app, purpose, envelope)?;
        open(&key(own.as_slice().try_into().ok()?), app, purpose, text)
    };
    // Before there were envelopes, texts lay under the master's key themselves.
    in_envelope().or_else(|| open(&of_master, app, purpose, sealed))
}

fn close(key: &LessSafeKey, app: App, purpose: &str, text: &[u8]) -> Vec<u8> {
    let nonce: [u8; NONCE_LEN] = random();
    let mut closed = text.to_vec();
    key.seal_in_place_append_tag(
        Nonce::assume_unique_for_key(nonce),
        Aad::from(bound_to(app, purpose)),
        &mut closed,
    )
    .expect("a secret is shorter than the cipher's 256 GiB");
    [&nonce[..], &closed].concat()
}

fn open(key: &LessSafeKey, app: App, purpose: &str, closed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, text) = closed.split_first_chunk::<NONCE_LEN>()?;
    let mut text = text.to_vec();
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let opened = key.open_in_place(nonce, Aad::from(bound_to(app, purpose)), &mut text).ok()?;
    Some(opened.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_for_its_app_and_purpose_alone() {
        let keyring = Keyring::new(&[7; 32]);
        let sealed = seal(&keyring, App(1), "callback", b"a secret");
        assert_eq!(unseal(&keyring, App(1), "callback", &sealed).as_deref(), Some(&b"a secret"[..]));
        assert_eq!(unseal(&keyring, App(2), "callback", &sealed), None);
        assert_eq!(unseal(&keyring, App(1), "endpoint", &sealed), None);
        assert_eq!(unseal(&Keyring::new(&[8; 32]), App(1), "callback", &sealed), None);
        assert!(!sealed.windows(8).any(|window| window == b"a secret"));
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert_eq!(unseal(&keyring, App(1), "callback", &damaged), None, "byte {at}");
        }
        assert_eq!(unseal(&keyring, App(1), "callback", &sealed[..5]), None);
    }

    #[test]
    fn the_same_secret_is_never_sealed_alike() {
        let keyring = Keyring::new(&[7; 32]);
        assert_ne!(seal(&keyring, App(1), "p", b"s"), seal(&keyring, App(1), "p", b"s"));
    }

    #[test]
    fn what_was_sealed_before_there_were_envelopes_still_opens() {
        let keyring = Keyring::new(&[7; 32]);
        let old = close(&of_master(&keyring, "p"), App(1), "p", &[9; 100]);
        assert_eq!(unseal(&keyring, App(1), "p", &old), Some(vec![9; 100]));
        assert_eq!(unseal(&keyring, App(2), "p", &old), None);
    }
}

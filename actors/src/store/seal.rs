//! Secrets that must be given out again, such as the private key that signs receipts: on disk only
//! sealed, under a key derived from the master secret, so that a copy of the data directory without
//! it tells nothing. A sealed text opens only for the app and the purpose for which it was made.

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

fn key(keyring: &Keyring, purpose: &str) -> LessSafeKey {
    let bytes = keyring.mac(b"seal:", purpose.as_bytes());
    LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, &bytes).expect("32 bytes are a key"))
}

fn bound_to(app: App, purpose: &str) -> Vec<u8> {
    [&app.0.to_be_bytes(), purpose.as_bytes()].concat()
}

fn seal(keyring: &Keyring, app: App, purpose: &str, secret: &[u8]) -> Vec<u8> {
    let mut sealed = [0; NONCE_LEN];
    getrandom::fill(&mut sealed).expect("the system gives random bytes");
    let nonce = Nonce::assume_unique_for_key(sealed);
    let mut text = secret.to_vec();
    key(keyring, purpose)
        .seal_in_place_append_tag(nonce, Aad::from(bound_to(app, purpose)), &mut text)
        .expect("a secret is shorter than the cipher's 256 GiB");
    [&sealed[..], &text].concat()
}

fn unseal(keyring: &Keyring, app: App, purpose: &str, sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, text) = sealed.split_first_chunk::<NONCE_LEN>()?;
    let mut text = text.to_vec();
    let aad = Aad::from(bound_to(app, purpose));
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let opened = key(keyring, purpose).open_in_place(nonce, aad, &mut text).ok()?;
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
}

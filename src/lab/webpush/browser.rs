//! A browser of the laboratory: makes a subscription, and reads what is sent to it (RFC 8291).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::elliptic_curve::sec1::ToSec1Point as _;
use p256::{PublicKey, SecretKey, ecdh};
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Bytes of a point, uncompressed: 4, x, y.
const POINT_BYTES: usize = 65;
const SALT_BYTES: usize = 16;
/// Salt, record size, length of the key's id, and the id: the sender's key.
const HEADER_BYTES: usize = SALT_BYTES + 4 + 1 + POINT_BYTES;
const TAG_BYTES: usize = 16;

pub(super) struct Browser {
    secret: SecretKey,
    public: Vec<u8>,
    auth: [u8; 16],
}

struct Bytes(usize);

impl KeyType for Bytes {
    fn len(&self) -> usize {
        self.0
    }
}

impl Browser {
    /// The same for the same token at every start, so that a subscription outlives the laboratory.
    pub(super) fn of(token: &str) -> Self {
        let secret = key(Sha256::digest(format!("browser's key {token}")).into());
        let long: [u8; 32] = Sha256::digest(format!("browser's auth {token}")).into();
        let mut auth = [0; 16];
        auth.copy_from_slice(&long[..16]);
        Self { public: public(&secret), secret, auth }
    }

    pub(super) fn keys(&self) -> Value {
        json!({"p256dh": URL_SAFE_NO_PAD.encode(&self.public), "auth": URL_SAFE_NO_PAD.encode(self.auth)})
    }

    /// What was encrypted to this browser, or why it cannot be read.
    pub(super) fn read(&self, body: &[u8]) -> Result<Vec<u8>, &'static str> {
        if body.len() < HEADER_BYTES + TAG_BYTES + 1 {
            return Err("shorter than one record");
        }
        let (salt, rest) = body.split_at(SALT_BYTES);
        let record_bytes = u32::from_be_bytes([rest[0], rest[1], rest[2], rest[3]]);
        if usize::from(rest[4]) != POINT_BYTES {
            return Err("the key's id is no key");
        }
        let (sender, record) = rest[5..].split_at(POINT_BYTES);
        // Push allows one record alone, so it must fit in the size it states.
        if usize::try_from(record_bytes).is_ok_and(|bytes| record.len() > bytes) {
            return Err("more than one record");
        }
        let sender_key = PublicKey::from_sec1_bytes(sender).map_err(|_| "the sender's key is no point")?;
        let shared = ecdh::diffie_hellman(self.secret.to_nonzero_scalar(), sender_key.as_affine());
        let mut context = b"WebPush: info\0".to_vec();
        context.extend_from_slice(&self.public);
        context.extend_from_slice(sender);
        let ikm: [u8; 32] = derive(&self.auth, shared.raw_secret_bytes(), &context).ok_or("no key")?;
        let key: [u8; 16] = derive(salt, &ikm, b"Content-Encoding: aes128gcm\0").ok_or("no key")?;
        let nonce: [u8; 12] = derive(salt, &ikm, b"Content-Encoding: nonce\0").ok_or("no nonce")?;
        let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).map_err(|_| "no key")?);
        let mut record = record.to_vec();
        let plain = key
            .open_in_place(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut record)
            .map_err(|_| "not encrypted to this subscription")?;
        // The last record ends in 2 and zeros.
        let end = plain.iter().rposition(|&byte| byte != 0).filter(|&at| plain[at] == 2);
        end.map(|end| plain[..end].to_vec()).ok_or("the record does not say that it is the last")
    }
}

/// Of any 32 bytes.
pub(super) fn key(mut bytes: [u8; 32]) -> SecretKey {
    // So that it is below the order, which begins with 32 ones.
    bytes[0] &= 0x7f;
    SecretKey::from_slice(&bytes).expect("neither random bytes nor a digest are all zeros")
}

/// As the page hands it out.
pub(super) fn public(secret: &SecretKey) -> Vec<u8> {
    secret.public_key().to_sec1_point(false).as_bytes().to_vec()
}

fn derive<const N: usize>(salt: &[u8], secret: &[u8], info: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let key = Salt::new(HKDF_SHA256, salt).extract(secret);
    key.expand(&[info], Bytes(N)).ok()?.fill(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8291, section 5 and appendix A.
    #[test]
    fn the_example_of_the_rfc_is_read() {
        let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
        let secret = SecretKey::from_slice(&decode("q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94")).unwrap();
        let auth: [u8; 16] = decode("BTBZMqHH6r4Tts7J_aSIgg").try_into().unwrap();
        let browser = Browser { public: public(&secret), secret, auth };
        assert_eq!(
            browser.keys()["p256dh"],
            "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
        );
        let body = decode(concat!(
            "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27ml",
            "mlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPT",
            "pK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
        ));
        assert_eq!(browser.read(&body).unwrap(), b"When I grow up, I want to be a watermelon");
    }

    #[test]
    fn what_is_cut_or_for_another_is_not_read() {
        let browser = Browser::of("ok-1");
        for length in [0, 16, HEADER_BYTES, 200] {
            assert!(browser.read(&vec![65; length]).is_err(), "{length}");
        }
    }
}

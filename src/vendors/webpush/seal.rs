//! Sealing for one browser (RFC 8291, `aes128gcm` of RFC 8188): one record, with a key of its own.

use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral};
use ring::error::Unspecified;
use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use ring::rand::{SecureRandom as _, SystemRandom};

/// Bytes of one record: no push service takes a longer body.
const RECORD: u32 = 4_096;
const SALT: usize = 16;
const POINT: usize = 65;
/// Salt, record size, length of the key, the key; then the delimiter and the tag.
const OVERHEAD: usize = SALT + 4 + 1 + POINT + 1 + 16;

/// Bytes of plaintext.
pub(super) const PLAIN_MAX: usize = RECORD as usize - OVERHEAD;

/// What a browser gave, by which only it can read.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Keys {
    /// `p256dh`: a point on P-256, uncompressed.
    pub(super) point: Vec<u8>,
    /// `auth`.
    pub(super) secret: Vec<u8>,
}

/// With a fresh key and a fresh salt.
pub(super) fn seal(keys: &Keys, plain: &[u8]) -> Result<Vec<u8>, Unspecified> {
    let random = SystemRandom::new();
    let ours = EphemeralPrivateKey::generate(&ECDH_P256, &random)?;
    let point = ours.compute_public_key()?;
    let mut salt = [0; SALT];
    random.fill(&mut salt)?;
    let theirs = UnparsedPublicKey::new(&ECDH_P256, &keys.point);
    agree_ephemeral(ours, &theirs, |shared| record(keys, shared, point.as_ref(), salt, plain))?
}

/// The same each time for the same: all that is drawn by lot is given.
fn record(
    keys: &Keys,
    shared: &[u8],
    point: &[u8],
    salt: [u8; SALT],
    plain: &[u8],
) -> Result<Vec<u8>, Unspecified> {
    let mut input = [0; 32];
    let info: [&[u8]; 3] = [b"WebPush: info\0", &keys.point, point];
    expand(&keys.secret, shared, &info, &mut input)?;
    let (mut key, mut nonce) = ([0; 16], [0; 12]);
    expand(&salt, &input, &[b"Content-Encoding: aes128gcm\0"], &mut key)?;
    expand(&salt, &input, &[b"Content-Encoding: nonce\0"], &mut nonce)?;

    // The last record ends with 2.
    let mut text = [plain, &[2]].concat();
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key)?);
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut text)?;

    let length = u8::try_from(point.len()).map_err(|_| Unspecified)?;
    Ok([&salt[..], &RECORD.to_be_bytes(), &[length], point, &text].concat())
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn expand(salt: &[u8], input: &[u8], info: &[&[u8]], out: &mut [u8]) -> Result<(), Unspecified> {
    let key = Salt::new(HKDF_SHA256, salt).extract(input);
    key.expand(info, Length(out.len()))?.fill(out)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    fn bytes(text: &str) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(text).unwrap()
    }

    fn keys() -> Keys {
        Keys {
            point: bytes(
                "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
            ),
            secret: bytes("BTBZMqHH6r4Tts7J_aSIgg"),
        }
    }

    /// RFC 8291, appendix A.
    #[test]
    fn the_rfcs_own_example_comes_out() {
        let shared = bytes("kyrL1jIIOHEzg3sM2ZWRHDRB62YACZhhSlknJ672kSs");
        let point =
            bytes("BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8");
        let salt = bytes("DGv6ra1nlYgDCS1FRnbzlw").try_into().unwrap();
        let plain = b"When I grow up, I want to be a watermelon";
        let sealed = record(&keys(), &shared, &point, salt, plain).unwrap();
        let expected = "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vC\
            YLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNW\
            QexSgSxsj_Qulcy4a-fN";
        assert_eq!(URL_SAFE_NO_PAD.encode(sealed), expected);
    }

    #[test]
    fn the_longest_plaintext_fills_one_record_and_no_two_are_the_same() {
        let (first, second) = (seal(&keys(), &[b'x'; PLAIN_MAX]).unwrap(), seal(&keys(), b"x").unwrap());
        assert_eq!(first.len(), 4_096);
        assert_ne!(first[..16], second[..16]);
        assert_eq!(PLAIN_MAX, 3_993);
    }

    #[test]
    fn a_point_that_is_on_no_curve_is_an_error() {
        let keys = Keys { point: vec![4; 65], secret: vec![0; 16] };
        assert!(seal(&keys, b"x").is_err());
    }
}

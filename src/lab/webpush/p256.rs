//! P-256 with a key that is used more than once, which ring does not offer: the laboratory's browsers
//! keep theirs. Neither fast nor constant in time; nothing but simulators may use it.

use rsa::BigUint;

/// The field's prime, and the point all others are multiples of: SEC 2, secp256r1.
const PRIME: &[u8] = b"ffffffff00000001000000000000000000000000ffffffffffffffffffffffff";
const ORDER: &[u8] = b"ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
const B: &[u8] = b"5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b";
const BASE_X: &[u8] = b"6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296";
const BASE_Y: &[u8] = b"4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";

/// Bytes of a point, uncompressed: 4, x, y.
pub(super) const POINT_BYTES: usize = 65;

pub(super) struct Curve {
    prime: BigUint,
    order: BigUint,
    b: BigUint,
    base: Point,
}

/// In Jacobian coordinates; z = 0 is the point at infinity.
#[derive(Clone)]
struct Point {
    x: BigUint,
    y: BigUint,
    z: BigUint,
}

impl Curve {
    pub(super) fn new() -> Self {
        let number = |hex: &[u8]| BigUint::parse_bytes(hex, 16).unwrap_or_default();
        let base = Point { x: number(BASE_X), y: number(BASE_Y), z: BigUint::from(1_u8) };
        Self { prime: number(PRIME), order: number(ORDER), b: number(B), base }
    }

    /// Any 32 bytes are a secret: taken modulo the order.
    pub(super) fn public(&self, secret: &[u8; 32]) -> [u8; POINT_BYTES] {
        let (x, y) = self.affine(&self.multiply(secret, &self.base));
        let mut bytes = [4; POINT_BYTES];
        bytes[1..33].copy_from_slice(&fixed(&x));
        bytes[33..].copy_from_slice(&fixed(&y));
        bytes
    }

    /// What both sides know; none when `public` is no point of the curve.
    pub(super) fn agree(&self, secret: &[u8; 32], public: &[u8]) -> Option<[u8; 32]> {
        if public.len() != POINT_BYTES || public[0] != 4 {
            return None;
        }
        let (x, y) = (BigUint::from_bytes_be(&public[1..33]), BigUint::from_bytes_be(&public[33..]));
        // y² = x³ - 3x + b
        let three_x = self.times(&x, &BigUint::from(3_u8));
        let right = self.minus(&self.cubed(&x), &three_x) + &self.b;
        if x >= self.prime || y >= self.prime || self.squared(&y) != right % &self.prime {
            return None;
        }
        let shared = self.multiply(secret, &Point { x, y, z: BigUint::from(1_u8) });
        (shared.z != BigUint::default()).then(|| fixed(&self.affine(&shared).0))
    }

    fn multiply(&self, secret: &[u8; 32], point: &Point) -> Point {
        let scalar = fixed(&(BigUint::from_bytes_be(secret) % &self.order));
        let mut sum = Point { x: BigUint::from(1_u8), y: BigUint::from(1_u8), z: BigUint::default() };
        for bit in scalar.iter().flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1)) {
            sum = self.double(&sum);
            if bit == 1 {
                sum = self.add(&sum, point);
            }
        }
        sum
    }

    /// "dbl-2001-b" of the Explicit-Formulas Database, for a = -3.
    fn double(&self, point: &Point) -> Point {
        let delta = self.squared(&point.z);
        let gamma = self.squared(&point.y);
        let beta = self.times(&point.x, &gamma);
        let slope = self.times(&self.minus(&point.x, &delta), &(&point.x + &delta));
        let alpha = slope * 3_u8;
        let eight_beta = &beta << 3_usize;
        let x = self.minus(&self.squared(&alpha), &eight_beta);
        let z = self.minus(&self.minus(&self.squared(&(&point.y + &point.z)), &gamma), &delta);
        let lower = self.squared(&gamma) << 3_usize;
        let y = self.minus(&self.times(&alpha, &self.minus(&(beta << 2_usize), &x)), &lower);
        Point { x, y, z }
    }

    /// "add-1986-cc" of the same.
    fn add(&self, one: &Point, other: &Point) -> Point {
        let zero = BigUint::default();
        if one.z == zero {
            return other.clone();
        }
        if other.z == zero {
            return one.clone();
        }
        let (one_zz, other_zz) = (self.squared(&one.z), self.squared(&other.z));
        let (one_u, other_u) = (self.times(&one.x, &other_zz), self.times(&other.x, &one_zz));
        let one_s = self.times(&one.y, &self.times(&other.z, &other_zz));
        let other_s = self.times(&other.y, &self.times(&one.z, &one_zz));
        let (h, r) = (self.minus(&other_u, &one_u), self.minus(&other_s, &one_s));
        if h == zero {
            let infinity = Point { x: BigUint::from(1_u8), y: BigUint::from(1_u8), z: zero.clone() };
            return if r == zero { self.double(one) } else { infinity };
        }
        let hh = self.squared(&h);
        let hhh = self.times(&h, &hh);
        let v = self.times(&one_u, &hh);
        let x = self.minus(&self.minus(&self.squared(&r), &hhh), &(&v << 1_usize));
        let y = self.minus(&self.times(&r, &self.minus(&v, &x)), &self.times(&one_s, &hhh));
        let z = self.times(&h, &self.times(&one.z, &other.z));
        Point { x, y, z }
    }

    fn affine(&self, point: &Point) -> (BigUint, BigUint) {
        // By Fermat: the prime's own size makes z^(p-2) the inverse.
        let inverse = point.z.modpow(&(&self.prime - 2_u8), &self.prime);
        let square = self.squared(&inverse);
        (self.times(&point.x, &square), self.times(&point.y, &self.times(&inverse, &square)))
    }

    fn times(&self, one: &BigUint, other: &BigUint) -> BigUint {
        one * other % &self.prime
    }

    fn squared(&self, one: &BigUint) -> BigUint {
        self.times(one, one)
    }

    fn cubed(&self, one: &BigUint) -> BigUint {
        self.times(one, &self.squared(one))
    }

    fn minus(&self, one: &BigUint, other: &BigUint) -> BigUint {
        (one + &self.prime - other % &self.prime) % &self.prime
    }
}

fn fixed(number: &BigUint) -> [u8; 32] {
    let bytes = number.to_bytes_be();
    let mut fixed = [0; 32];
    // A number of the field has 32 bytes or fewer.
    let kept = bytes.len().min(32);
    fixed[32 - kept..].copy_from_slice(&bytes[bytes.len() - kept..]);
    fixed
}

#[cfg(test)]
mod tests {
    use ring::agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral};

    use super::*;

    #[test]
    fn both_sides_come_to_the_same_secret() {
        let (curve, random) = (Curve::new(), ring::rand::SystemRandom::new());
        for seed in 1..6_u8 {
            let secret = [seed.wrapping_mul(57); 32];
            let theirs = EphemeralPrivateKey::generate(&ECDH_P256, &random).unwrap();
            let their_public = theirs.compute_public_key().unwrap();
            let ours = curve.agree(&secret, their_public.as_ref()).unwrap();
            let public = UnparsedPublicKey::new(&ECDH_P256, curve.public(&secret));
            agree_ephemeral(theirs, &public, |shared| assert_eq!(shared, ours)).unwrap();
        }
    }

    #[test]
    fn a_point_off_the_curve_is_no_key() {
        let curve = Curve::new();
        let mut public = curve.public(&[7; 32]);
        assert!(curve.agree(&[9; 32], &public).is_some());
        public[64] ^= 1;
        assert!(curve.agree(&[9; 32], &public).is_none());
        assert!(curve.agree(&[9; 32], &[4; 64]).is_none());
    }
}

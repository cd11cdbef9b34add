//! The RPC signature, version 1.0: HMAC-SHA1 over every parameter of query and form, sorted.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;

use super::{canonical_pairs, encode};

/// The text that is signed: every parameter but the signature itself, blank ones too.
pub(crate) fn string_to_sign(method: &str, parameters: &[(Vec<u8>, Vec<u8>)]) -> String {
    let signed = parameters.iter().filter(|(name, _)| name != b"Signature");
    format!("{method}&%2F&{}", encode(canonical_pairs(signed).as_bytes()))
}

/// Compares in constant time.
pub(crate) fn verify(secret: &str, string_to_sign: &str, signature: &str) -> bool {
    let Ok(given) = BASE64.decode(signature) else { return false };
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(format!("{secret}&").as_bytes()) else { return false };
    mac.update(string_to_sign.as_bytes());
    mac.verify_slice(&given).is_ok()
}

#[cfg(test)]
mod tests {
    use super::super::pairs;
    use super::*;

    const QUERY: &str = "Action=PushBind&Format=json&Version=2020-10-28&Timestamp=2026-11-24T15%3A00%3A00Z\
        &SignatureNonce=3156853299f313e23d1673dc12e1703d&SignatureMethod=HMAC-SHA1&SignatureVersion=1.0\
        &AccessKeyId=testAccessKeyId&Signature=JY8njDqAn857VOuHaMGFoygNP4Q%3D";
    const BODY: &str =
        "AppId=ONEX570DA89211721&DeliveryToken=adtok-1&OsType=1&UserId=user1024&WorkspaceId=default";
    const SIGNED: &str = "POST&%2F&AccessKeyId%3DtestAccessKeyId%26Action%3DPushBind%26AppId%3DONEX570DA89211721\
        %26DeliveryToken%3Dadtok-1%26Format%3Djson%26OsType%3D1%26SignatureMethod%3DHMAC-SHA1\
        %26SignatureNonce%3D3156853299f313e23d1673dc12e1703d%26SignatureVersion%3D1.0\
        %26Timestamp%3D2026-11-24T15%253A00%253A00Z%26UserId%3Duser1024%26Version%3D2020-10-28\
        %26WorkspaceId%3Ddefault";

    #[test]
    fn the_sdks_own_signature_of_a_bind() {
        let mut parameters = pairs(QUERY.as_bytes());
        parameters.extend(pairs(BODY.as_bytes()));
        let text = string_to_sign("POST", &parameters);
        assert_eq!(text, SIGNED);
        assert!(verify("testAccessKeySecret", &text, "JY8njDqAn857VOuHaMGFoygNP4Q="));
        assert!(!verify("testAccessKeySecret", &text, "JY8njDqAn857VOuHaMGFoygNP4q="));
        assert!(!verify("testAccessKeySecreT", &text, "JY8njDqAn857VOuHaMGFoygNP4Q="));
        assert!(!verify("testAccessKeySecret", &text, "?"));
    }

    #[test]
    fn a_blank_parameter_is_signed_and_marks_are_encoded_twice() {
        let parameters = pairs("SignatureType=&Title=~*'()!/ 你".as_bytes());
        let text = string_to_sign("GET", &parameters);
        let marks = "SignatureType%3D%26Title%3D~%252A%2527%2528%2529%2521%252F%2520%25E4%25BD%25A0";
        assert_eq!(text, format!("GET&%2F&{marks}"));
    }
}

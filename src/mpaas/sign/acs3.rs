//! ACS3-HMAC-SHA256: a header that names what it signs.
//!
//! ```text
//!  method, /, query, the named headers, their names, sha256(body) ──sha256──▶ hash
//!  "ACS3-HMAC-SHA256" LF hash ──HMAC-SHA256 under the secret──▶ Signature
//! ```

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use super::{canonical_pairs, pairs};

pub(crate) const ALGORITHM: &str = "ACS3-HMAC-SHA256";

/// Headers without whose signature somebody else could turn a request into another.
const MUST_BE_SIGNED: [&str; 6] =
    ["host", "x-acs-action", "x-acs-version", "x-acs-date", "x-acs-signature-nonce", "x-acs-content-sha256"];

/// An `Authorization` header, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Authorization {
    pub(crate) credential: String,
    /// Lower case, in the order the caller signed them.
    pub(crate) signed_headers: Vec<String>,
    pub(crate) signature: String,
}

/// Why a header is not one of ours.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Invalid {
    /// The algorithm it names instead.
    Algorithm(String),
    /// What it lacks.
    Incomplete(String),
}

/// Takes a header apart. Commas may have spaces around them, though the SDKs send none.
pub(crate) fn parse(header: &str) -> Result<Authorization, Invalid> {
    let (algorithm, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
    if algorithm != ALGORITHM {
        return Err(Invalid::Algorithm(algorithm.chars().take(64).collect()));
    }
    let mut found = [None, None, None];
    for part in rest.split(',') {
        let (name, value) = part.trim().split_once('=').unwrap_or((part, ""));
        let place = ["Credential", "SignedHeaders", "Signature"].iter().position(|known| *known == name);
        if let Some(place) = place {
            found[place] = Some(value.trim());
        }
    }
    let lacks = |what: &str| Invalid::Incomplete(format!("the Authorization header has no {what}"));
    let signed_headers: Vec<String> = found[1]
        .ok_or_else(|| lacks("SignedHeaders"))?
        .split(';')
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    if let Some(unsigned) =
        MUST_BE_SIGNED.iter().find(|must| !signed_headers.iter().any(|signed| signed == *must))
    {
        return Err(Invalid::Incomplete(format!("the header {unsigned} is not signed")));
    }
    Ok(Authorization {
        credential: found[0].filter(|text| !text.is_empty()).ok_or_else(|| lacks("Credential"))?.to_owned(),
        signed_headers,
        signature: found[2].ok_or_else(|| lacks("Signature"))?.to_owned(),
    })
}

/// Hex of SHA-256.
pub(crate) fn hash(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// What is signed of a request, as it arrived.
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    /// As sent, without the `?`.
    pub(crate) query: &'a str,
    /// The value of a header by its lower-case name, None when there is none.
    pub(crate) header: &'a dyn Fn(&str) -> Option<String>,
    pub(crate) body: &'a [u8],
}

/// The hash of the canonical request; Err names a signed header that did not arrive.
pub(crate) fn canonical_hash(request: &Request<'_>, signed: &[String]) -> Result<String, String> {
    let mut text = format!("{}\n{}\n", request.method, request.path);
    text.push_str(&canonical_pairs(pairs(request.query.as_bytes()).iter()));
    text.push('\n');
    for name in signed {
        let value = (request.header)(name).ok_or_else(|| name.clone())?;
        text.push_str(&format!("{name}:{}\n", value.trim()));
    }
    text.push_str(&format!("\n{}\n{}", signed.join(";"), hash(request.body)));
    Ok(hash(text.as_bytes()))
}

/// Compares in constant time.
pub(crate) fn verify(secret: &str, canonical_hash: &str, signature: &str) -> bool {
    let Ok(given) = hex::decode(signature) else { return false };
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return false };
    mac.update(format!("{ALGORITHM}\n{canonical_hash}").as_bytes());
    mac.verify_slice(&given).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str =
        "AppId=ONEX570DA89211721&DeliveryToken=adtok-1&OsType=1&UserId=user1024&WorkspaceId=default";

    const HEADERS: [(&str, &str); 10] = [
        ("accept", "application/json"),
        ("content-type", "application/x-www-form-urlencoded"),
        ("host", "127.0.0.1:8080"),
        ("user-agent", "probe/1.0"),
        ("x-acs-action", "PushBind"),
        ("x-acs-content-sha256", "09fb2b13c92a618ccd5778028122b84d03d2e337924255f781e70dacbf2ab1b9"),
        ("x-acs-credentials-provider", "static_ak"),
        ("x-acs-date", "2026-11-24T15:00:00Z"),
        ("x-acs-signature-nonce", "3156853299f313e23d1673dc12e1703d"),
        ("x-acs-version", "2020-10-28"),
    ];

    fn of(headers: &[(&str, &str)], name: &str) -> Option<String> {
        headers.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    }

    #[test]
    fn the_sdks_own_signature_of_a_bind() {
        assert_eq!(hash(BODY.as_bytes()), of(&HEADERS, "x-acs-content-sha256").unwrap());
        let signed: Vec<String> = HEADERS.iter().map(|(name, _)| (*name).to_owned()).collect();
        let header = |name: &str| of(&HEADERS, name);
        let request =
            Request { method: "POST", path: "/", query: "", header: &header, body: BODY.as_bytes() };
        let hash = canonical_hash(&request, &signed).unwrap();
        assert_eq!(hash, "4cc9da6fb464d424bb7fbf61ed8cc806581cf7ef569a2921034ff11597dadecc");
        let signature = "9525fe59e8182ede491c481bd2e3102c8599fd6f40e5cfa1b8661f247a4f769d";
        assert!(verify("testAccessKeySecret", &hash, signature));
        assert!(!verify("testAccessKeySecreT", &hash, signature));
        assert!(!verify("testAccessKeySecret", &hash, &signature.replacen('9', "8", 1)));
        assert!(!verify("testAccessKeySecret", &hash, "not hex"));
    }

    #[test]
    fn a_short_list_of_headers_and_a_query() {
        let empty = hash(b"");
        let headers = [
            ("host", "ecs.cn-shanghai.aliyuncs.com"),
            ("x-acs-action", "RunInstances"),
            ("x-acs-content-sha256", empty.as_str()),
            ("x-acs-date", "2023-10-26T10:22:32Z"),
            ("x-acs-signature-nonce", "3156853299f313e23d1673dc12e1703d"),
            ("x-acs-version", "2014-05-26"),
        ];
        let signed: Vec<String> = headers.iter().map(|(name, _)| (*name).to_owned()).collect();
        let header = |name: &str| of(&headers, name);
        let query = "ImageId=win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd&RegionId=cn-shanghai";
        let request = Request { method: "POST", path: "/", query, header: &header, body: b"" };
        let hash = canonical_hash(&request, &signed).unwrap();
        assert_eq!(hash, "7ea06492da5221eba5297e897ce16e55f964061054b7695beedaac1145b1e259");
        let signature = "06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0";
        assert!(verify("YourAccessKeySecret", &hash, signature));
    }

    #[test]
    fn a_header_must_be_whole_and_sign_what_counts() {
        let all = MUST_BE_SIGNED.join(";");
        let whole = format!("ACS3-HMAC-SHA256 Credential=ak, SignedHeaders={all} ,Signature=00");
        assert_eq!(parse(&whole).unwrap().credential, "ak");
        let algorithm = |header: &str| matches!(parse(header), Err(Invalid::Algorithm(_)));
        assert!(algorithm("ACS3-HMAC-SM3 Credential=ak") && algorithm("acs3") && algorithm(""));
        for header in [
            format!("ACS3-HMAC-SHA256 SignedHeaders={all},Signature=00"),
            format!("ACS3-HMAC-SHA256 Credential=,SignedHeaders={all},Signature=00"),
            format!("ACS3-HMAC-SHA256 Credential=ak,SignedHeaders={all}"),
            format!("ACS3-HMAC-SHA256 Credential=ak,SignedHeaders={},Signature=00", &all[5..]),
            "ACS3-HMAC-SHA256".to_owned(),
        ] {
            assert!(matches!(parse(&header), Err(Invalid::Incomplete(_))), "{header}");
        }
    }
}

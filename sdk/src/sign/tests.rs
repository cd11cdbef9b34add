//! The vectors were computed apart from this code, with Python's hmac and hashlib; docs/http.md
//! carries the same.

use super::*;

const SECRET: &str = "cs_fixed-secret-for-vectors";
/// 2025-10-09T08:53:20Z.
const AT: Timestamp = Timestamp::from_millis(1_760_000_000_000);
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn request<'a>(nonce: &'a str, method: &'a str, path: &'a str, query: &'a str, body: &'a str) -> Request<'a> {
    Request { method, path, query, body: body.as_bytes(), timestamp: AT, nonce }
}

/// A request, the text signed of it, and the signature in hex.
fn vectors() -> Vec<(Request<'static>, String, &'static str)> {
    let text = |lines: &[&str]| lines.join("\n");
    vec![
        (
            request("n0nce-0001", "GET", "/v1/devices", "", ""),
            text(&[SCHEME, "1760000000", "n0nce-0001", "GET", "/v1/devices", "", EMPTY]),
            "1964dd8e2e71c4e9723c1357d681da718604a12800f22dae19a23201ff91dfec",
        ),
        (
            request("n0nce-0002", "POST", "/v1/pushes", "", r#"{"to":{"users":["anna"]},"title":"hi"}"#),
            text(&[
                SCHEME,
                "1760000000",
                "n0nce-0002",
                "POST",
                "/v1/pushes",
                "",
                "9e5a97d25c28f742b27bc601a84be47d5ab24e5172895ce5b1c668eac33150dc",
            ]),
            "2bc3432b13a6279a1029a877993ef9a322adaf467a33490e9518be6888c35f6c",
        ),
        (
            request("n0nce-0003", "GET", "/v1/stats", "to=2&from=1&group_by=platform%2Creason&from=0", ""),
            text(&[
                SCHEME,
                "1760000000",
                "n0nce-0003",
                "GET",
                "/v1/stats",
                "from=0&from=1&group_by=platform%2Creason&to=2",
                EMPTY,
            ]),
            "a0bcad001816c42ee4a95b568ecb86189c4f792b1fb4aecf8374231d18a7f406",
        ),
        (
            request("n0nce-0004", "PUT", "/v1/devices/phone%2F1%20%C3%BC/user", "", r#"{"user_id":"zoë"}"#),
            text(&[
                SCHEME,
                "1760000000",
                "n0nce-0004",
                "PUT",
                "/v1/devices/phone%2F1%20%C3%BC/user",
                "",
                "d78b86745a315afa62c680a49c57021568486c5088b14729ecf74226d2789826",
            ]),
            "61052cd37477dbf334089a24e89a538158cf7b32f732703074b3be8247f64fd4",
        ),
    ]
}

/// The token of `token()` under key `ck_1` and `SECRET`.
const TOKEN: &str = concat!(
    "cbt1.",
    "eyJrZXkiOiJja18xIiwiYXBwIjoic2hvcCIsIndzIjoicHJvZHVjdGlvbiIsImRldmljZSI6InBob25lLTEi",
    "LCJ1c2VyIjoiYW5uYSIsImV4cCI6MTc2MDAwMDMwMH0",
    ".ZG-Rn6eIj2nNHigaUHcCj_ZNnpJx2VPrnt3HvDn5jBI",
);

fn key_id() -> KeyId {
    KeyId::parse("ck_1").unwrap()
}

fn token() -> BindToken {
    BindToken {
        app_id: AppId::parse("shop").unwrap(),
        workspace_id: WorkspaceId::parse("production").unwrap(),
        device_id: DeviceId::parse("phone-1").unwrap(),
        user_id: UserId::parse("anna").unwrap(),
        expires_at: AT + Ttl::from_secs(300),
    }
}

#[test]
fn requests_are_signed_as_the_vectors_say() {
    for (request, text, hex) in vectors() {
        assert_eq!(canonical(&request), text);
        assert_eq!(hex::encode(signature(SECRET, &request)), hex);
    }
}

#[test]
fn a_header_is_taken_apart_and_its_signature_verifies() {
    for (request, _, hex) in vectors() {
        let header = authorization(&key_id(), SECRET, &request);
        assert_eq!(
            header,
            format!("{SCHEME} key_id=ck_1, timestamp=1760000000, nonce={}, signature={hex}", request.nonce)
        );
        let parsed = parse_authorization(&header).unwrap();
        assert_eq!(parsed.key_id, key_id());
        assert_eq!((parsed.timestamp, parsed.nonce.as_str()), (AT, request.nonce));
        assert!(verify(SECRET, &request, &parsed.signature));
    }
}

#[test]
fn a_change_anywhere_in_the_request_breaks_its_signature() {
    let good = request("n0nce-0001", "POST", "/v1/pushes", "a=1&b=2", "{}");
    let signed = signature(SECRET, &good);
    assert!(verify(SECRET, &good, &signed));
    assert!(verify(SECRET, &Request { query: "b=2&a=1", ..good }, &signed), "the query is sorted");
    for changed in [
        Request { method: "PUT", ..good },
        Request { path: "/v1/pushes/", ..good },
        Request { query: "a=1", ..good },
        Request { body: b"{} ", ..good },
        Request { nonce: "n0nce-0002", ..good },
        Request { timestamp: AT + Ttl::from_secs(1), ..good },
    ] {
        assert!(!verify(SECRET, &changed, &signed), "{changed:?}");
    }
    assert!(!verify("another secret", &good, &signed));
}

#[test]
fn a_header_with_a_part_missing_doubled_or_misspelt_is_refused() {
    let hex = "00".repeat(32);
    let good = format!("key_id=k, timestamp=1, nonce=12345678, signature={hex}");
    assert!(parse_authorization(&format!("{SCHEME} {good}")).is_ok());
    assert!(parse_authorization(&format!("carillon1-hmac-sha256   {good}")).is_ok());
    assert_eq!(parse_authorization(&format!("Bearer {good}")), Err(Invalid::Scheme));
    assert_eq!(parse_authorization(SCHEME), Err(Invalid::Scheme));
    for (bad, field) in [
        (format!("timestamp=1, nonce=12345678, signature={hex}"), "key_id"),
        (format!("key_id=, timestamp=1, nonce=12345678, signature={hex}"), "key_id"),
        (format!("{good}, nonce=12345678"), "nonce"),
        (format!("key_id=k, timestamp=1, nonce=1234567, signature={hex}"), "nonce"),
        (format!("key_id=k, timestamp=1, nonce={}, signature={hex}", "n".repeat(65)), "nonce"),
        (format!("key_id=k, timestamp=1, nonce=1234567 8, signature={hex}"), "nonce"),
        (format!("key_id=k, timestamp=+1, nonce=12345678, signature={hex}"), "timestamp"),
        (format!("key_id=k, timestamp=01, nonce=12345678, signature={hex}"), "timestamp"),
        (format!("key_id=k, timestamp={}, nonce=12345678, signature={hex}", u64::MAX), "timestamp"),
        ("key_id=k, timestamp=1, nonce=12345678, signature=00".to_owned(), "signature"),
        (format!("{good}, extra=1"), "only known names"),
        (format!("{good}, extra"), "only name=value"),
    ] {
        assert_eq!(parse_authorization(&format!("{SCHEME} {bad}")), Err(Invalid::Field(field)), "{bad}");
    }
}

#[test]
fn nonces_are_of_the_form_we_ask_for_and_differ() {
    let (one, other) = (fresh_nonce(), fresh_nonce());
    assert!(is_nonce(&one), "{one}");
    assert_ne!(one, other);
}

#[test]
fn a_bind_token_is_minted_and_read_as_the_vector_says() {
    assert_eq!(token().mint(&key_id(), SECRET), TOKEN);
    assert_eq!(BindToken::key_id(TOKEN), Ok(key_id()));
    assert_eq!(BindToken::verify(TOKEN, SECRET, AT), Ok(token()));
}

#[test]
fn a_bind_token_holds_until_the_second_it_names_and_for_ten_minutes_at_most() {
    let expires_at = token().expires_at;
    let verify = |now: Timestamp| BindToken::verify(TOKEN, SECRET, now);
    assert!(verify(expires_at - Ttl::from_millis(1)).is_ok());
    assert_eq!(verify(expires_at), Err(Invalid::Expired));
    assert!(verify(expires_at - BIND_TOKEN_TTL_MAX).is_ok());
    assert_eq!(verify(expires_at - BIND_TOKEN_TTL_MAX - Ttl::from_millis(1)), Err(Invalid::Expired));
}

#[test]
fn a_bind_token_that_was_touched_is_refused() {
    assert_eq!(BindToken::verify(TOKEN, "another secret", AT), Err(Invalid::Signature));
    let another = BindToken { user_id: UserId::parse("eve").unwrap(), ..token() }.mint(&key_id(), SECRET);
    let payload = another.split('.').nth(1).unwrap();
    let mac = TOKEN.rsplit('.').next().unwrap();
    assert_eq!(BindToken::verify(&format!("cbt1.{payload}.{mac}"), SECRET, AT), Err(Invalid::Signature));
    let short = &TOKEN[..TOKEN.len() - 3];
    assert_eq!(BindToken::verify(short, SECRET, AT), Err(Invalid::Signature));
    for bad in ["", "cbt1", "cbt1.", "cbt1..", "cbt2.e30.e30", "cbt1.e30.e30", "cbt1.!.!", &"x".repeat(5000)]
    {
        assert_eq!(BindToken::verify(bad, SECRET, AT), Err(Invalid::Token), "{bad:.20}");
    }
}

proptest::proptest! {
    #[test]
    fn garbage_is_never_a_header_nor_a_token_and_never_panics(text in ".{0,200}") {
        proptest::prop_assert!(parse_authorization(&text).is_err());
        let header = format!("{SCHEME} {text}");
        proptest::prop_assert!(parse_authorization(&header).is_err());
        let token = format!("cbt1.{text}");
        proptest::prop_assert!(BindToken::verify(&token, SECRET, AT).is_err());
    }
}

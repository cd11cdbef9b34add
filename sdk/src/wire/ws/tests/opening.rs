use proptest::prelude::*;

use super::super::handshake::*;

/// RFC 6455, section 1.2.
const REQUEST: &str = "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n\
                       Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                       Origin: http://example.com\r\nSec-WebSocket-Protocol: chat, superchat\r\n\
                       Sec-WebSocket-Version: 13\r\n\r\n";
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const RESPONSE: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
                        Sec-WebSocket-Protocol: chat\r\n\r\n";

#[test]
fn the_example_of_the_rfc() {
    let bytes = [REQUEST.as_bytes(), b"\x81"].concat();
    let request = request(&bytes).unwrap().unwrap();
    assert_eq!((request.path.as_str(), request.key.as_str()), ("/chat", KEY));
    assert_eq!(request.protocols, ["chat", "superchat"]);
    assert_eq!((request.leftover, request.protocol()), (REQUEST.len(), None));
    assert_eq!(accept(KEY, Some("chat")), RESPONSE);
    assert_eq!(response(RESPONSE.as_bytes(), KEY), Ok(Some(RESPONSE.len())));
}

#[test]
fn a_handshake_needs_all_its_bytes() {
    for end in 0..REQUEST.len() {
        assert_eq!(request(&REQUEST.as_bytes()[..end]), Ok(None), "{end}");
    }
    for end in 0..RESPONSE.len() {
        assert_eq!(response(&RESPONSE.as_bytes()[..end], KEY), Ok(None), "{end}");
    }
}

#[test]
fn our_client_and_our_server_shake_hands() {
    let key = client_key([7; 16]);
    let text = client_request("127.0.0.1:1", "/v1/socket", &key);
    let request = request(text.as_bytes()).unwrap().unwrap();
    assert_eq!((request.path.as_str(), request.protocol()), ("/v1/socket", Some(PROTOCOL)));
    let answer = accept(&request.key, request.protocol());
    assert_eq!(response(answer.as_bytes(), &key), Ok(Some(answer.len())));
    assert_eq!(response(answer.as_bytes(), &client_key([8; 16])), Err(Invalid::Accept));
}

#[test]
fn a_request_that_is_no_upgrade_is_refused_with_the_reason() {
    let with = |from: &str, to: &str| request(REQUEST.replace(from, to).as_bytes());
    assert_eq!(with("GET", "POST"), Err(Invalid::Upgrade));
    assert_eq!(with("HTTP/1.1", "HTTP/1.0"), Err(Invalid::Http));
    assert_eq!(with("Upgrade: websocket\r\n", ""), Err(Invalid::Upgrade));
    assert_eq!(with("Connection: Upgrade", "Connection: keep-alive"), Err(Invalid::Upgrade));
    assert!(with("Connection: Upgrade", "Connection: keep-alive, UPGRADE").is_ok());
    assert_eq!(with("Version: 13", "Version: 8"), Err(Invalid::Version));
    assert_eq!(with("Version: 13", "Version: 13\r\nSec-WebSocket-Version: 13"), Err(Invalid::Version));
    assert_eq!(with("Key: dGhl", "Key: dGhlAAAA"), Err(Invalid::Key));
    assert_eq!(with("Sec-WebSocket-Key", "X-Key"), Err(Invalid::Key));
    assert_eq!(request(b"\x00\x00\x00\x05hello"), Err(Invalid::Http));
    assert!(Invalid::Version.response().contains("Sec-WebSocket-Version: 13"));
    assert!(Invalid::Key.response().starts_with("HTTP/1.1 400 "));
}

#[test]
fn a_head_without_end_is_refused() {
    let long = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(HEAD_BYTES_MAX));
    assert_eq!(request(long.as_bytes()), Err(Invalid::TooLong));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(65));
    assert_eq!(request(many.as_bytes()), Err(Invalid::TooLong));
}

#[test]
fn an_answer_other_than_101_is_told_by_its_status() {
    assert_eq!(response(b"HTTP/1.1 503 Busy\r\n\r\n", KEY), Err(Invalid::Status(503)));
    assert_eq!(response(refuse("404 Not Found").as_bytes(), KEY), Err(Invalid::Status(404)));
}

proptest! {
    #[test]
    fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = request(&bytes);
        let _ = request(&[b"GET / HTTP/1.1\r\n", &bytes[..]].concat());
        let _ = response(&bytes, KEY);
    }
}

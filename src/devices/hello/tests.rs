use carillon_sdk::wire::{Ack, Goodbye};

use super::*;

fn hello() -> Frame {
    Frame::Hello(Hello { version: 1, credential: "secret".to_owned(), ..Hello::default() })
}

fn native(bytes: &[u8]) -> Greeting {
    let mut reader = Reader::new(Protocol::Tcp);
    reader.take(bytes);
    reader.next()
}

fn request(path: &str) -> String {
    handshake::client_request("localhost", path, &handshake::client_key([7; 16]))
}

/// A reader that has upgraded.
fn web_socket() -> Reader {
    let mut reader = Reader::new(Protocol::Ws);
    reader.take(request("/v1/socket").as_bytes());
    assert!(matches!(reader.next(), Greeting::Write(_)));
    reader
}

fn binary(frame: &Frame) -> Bytes {
    ws::masked(Opcode::Binary, &wire::encode(frame)[PREFIX_BYTES..], [1, 2, 3, 4])
}

#[test]
fn a_hello_that_comes_byte_by_byte_is_read_whole() {
    let mut reader = Reader::new(Protocol::Tls);
    let bytes = wire::encode(&hello());
    let (last, first) = bytes.split_last().unwrap();
    for byte in first {
        reader.take(&[*byte]);
        assert_eq!(reader.next(), Greeting::More);
    }
    reader.take(&[*last]);
    assert!(matches!(reader.next(), Greeting::Hello { framing: Framing::Native, .. }));
}

#[test]
fn what_follows_the_hello_is_handed_on() {
    let ping = wire::encode(&Frame::Ping);
    let Greeting::Hello { rest, .. } = native(&[&wire::encode(&hello())[..], &ping[..]].concat()) else {
        panic!("no Hello")
    };
    assert_eq!(rest, ping);
}

#[test]
fn a_first_frame_that_is_no_hello_is_refused() {
    let greeting = native(&wire::encode(&Frame::Ack(Ack { seqs: vec![1] })));
    assert!(matches!(greeting, Greeting::Broken { code: ErrorCode::HelloExpected, .. }));
}

#[test]
fn a_frame_of_an_unknown_type_before_the_hello_is_passed_over() {
    // [200, {}]
    let unknown = [0, 0, 0, 4, 0x92, 0xcc, 200, 0x80];
    let greeting = native(&[&unknown[..], &wire::encode(&hello())[..]].concat());
    assert!(matches!(greeting, Greeting::Hello { .. }));
}

#[test]
fn a_wild_length_is_refused_before_its_bytes_come() {
    let greeting = native(&[0xff, 0xff, 0xff, 0xff]);
    assert!(matches!(greeting, Greeting::Broken { code: ErrorCode::FrameTooLong, .. }));
}

#[test]
fn garbage_of_a_good_length_is_refused() {
    let greeting = native(&[0, 0, 0, 3, 0xc1, 0xc1, 0xc1]);
    assert!(matches!(greeting, Greeting::Broken { code: ErrorCode::FrameMalformed, .. }));
}

#[test]
fn an_upgrade_and_a_hello_in_one_read_are_both_seen() {
    let mut reader = Reader::new(Protocol::Ws);
    assert_eq!(reader.framing(), None);
    reader.take(request("/v1/socket?x=1").as_bytes());
    reader.take(&binary(&hello()));
    let Greeting::Write(answer) = reader.next() else { panic!("no upgrade") };
    assert!(answer.starts_with(b"HTTP/1.1 101"));
    assert!(matches!(reader.next(), Greeting::Hello { framing: Framing::WebSocketBinary, .. }));
}

#[test]
fn a_hello_in_text_is_answered_in_text() {
    let mut reader = web_socket();
    reader.take(&ws::masked(Opcode::Text, &wire::encode_json(&hello()), [1, 2, 3, 4]));
    assert!(matches!(reader.next(), Greeting::Hello { framing: Framing::WebSocketText, .. }));
    assert_eq!(reader.framing(), Some(Framing::WebSocketText));
}

#[test]
fn another_path_is_not_found() {
    let mut reader = Reader::new(Protocol::Ws);
    reader.take(request("/v2/socket").as_bytes());
    let Greeting::Last(answer) = reader.next() else { panic!("let in") };
    assert!(answer.starts_with(b"HTTP/1.1 404"));
}

#[test]
fn a_request_that_is_no_upgrade_is_told_to_upgrade() {
    let mut reader = Reader::new(Protocol::Wss);
    reader.take(b"GET /v1/socket HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let Greeting::Last(answer) = reader.next() else { panic!("let in") };
    assert!(answer.starts_with(b"HTTP/1.1 426"));
}

#[test]
fn pings_before_the_hello_are_answered_and_a_close_too() {
    let mut reader = web_socket();
    reader.take(&ws::masked(Opcode::Ping, b"hi", [1, 2, 3, 4]));
    assert_eq!(reader.next(), Greeting::Write(ws::frame(Opcode::Pong, b"hi")));
    reader.take(&ws::masked(Opcode::Close, &ws::close_payload(1001, "bye"), [1, 2, 3, 4]));
    assert_eq!(reader.next(), Greeting::Last(ws::frame(Opcode::Close, &ws::close_payload(1001, ""))));
}

#[test]
fn a_message_without_a_mask_or_too_long_is_refused() {
    let mut reader = web_socket();
    reader.take(&ws::frame(Opcode::Binary, b"x"));
    assert!(matches!(reader.next(), Greeting::Broken { code: ErrorCode::FrameMalformed, .. }));
    let mut reader = web_socket();
    reader.take(&ws::masked(Opcode::Binary, &vec![0; HELLO_BYTES_MAX + 1], [1, 2, 3, 4])[..14]);
    assert!(matches!(reader.next(), Greeting::Broken { code: ErrorCode::FrameTooLong, .. }));
}

#[test]
fn last_words_end_a_web_socket_with_a_close() {
    let goodbye = Frame::Goodbye(Goodbye { reason: GoodbyeReason::Busy, retry_after_ms: 5 });
    let words = last_words(std::slice::from_ref(&goodbye), Framing::WebSocketText);
    let mut bytes = BytesMut::from(&words[..]);
    let mut decoder = Decoder::new(Role::Client);
    let Some(Message::Text(text)) = decoder.decode(&mut bytes, 1000).unwrap() else { panic!("no text") };
    assert_eq!(wire::decode_json(&text).unwrap().frame, Some(goodbye));
    assert_eq!(decoder.decode(&mut bytes, 1000).unwrap(), Some(Message::Close(Some(1013))));
}

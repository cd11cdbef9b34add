//! What a newer, a careless or a hostile other side may send.

use bytes::{BufMut, BytesMut};
use serde::Serialize;
use serde_json::{Value, json};

use super::super::*;

/// Any value as a MessagePack body.
fn body(value: &impl Serialize) -> Vec<u8> {
    rmp_serde::to_vec_named(value).unwrap()
}

fn known(frame: Frame, unknown: u32) -> Result<Decoded, Error> {
    Ok(Decoded { frame: Some(frame), unknown })
}

const SKIPPED: Decoded = Decoded { frame: None, unknown: 1 };

fn malformed<T: std::fmt::Debug>(read: &Result<T, Error>) {
    assert!(matches!(read, Err(Error::Malformed(_))), "{read:?}");
}

#[test]
fn a_type_we_do_not_know_is_skipped_and_counted() {
    assert_eq!(decode_body(&body(&json!([99, {"a": [1, 2, {"b": null}]}]))), Ok(SKIPPED));
    assert_eq!(decode_body(&body(&json!([u64::MAX, "not even a map"]))), Ok(SKIPPED));
    assert_eq!(decode_body(&body(&json!([0, {}]))), Ok(SKIPPED));
    // Extension types are MessagePack we never write: `d6 01 …` is four bytes of type 1.
    assert_eq!(decode_body(&[0x92, 99, 0xd6, 1, 0, 0, 0, 0]), Ok(SKIPPED));
    assert_eq!(decode_json(br#"{"a":[{}],"type":"sing"}"#), Ok(SKIPPED));
}

#[test]
fn fields_we_do_not_know_are_skipped_and_counted() {
    let ack = Frame::Ack(Ack { seqs: vec![1] });
    let fields = json!({"new": {"deep": [1]}, "seqs": [1], "newer": "x"});
    assert_eq!(decode_body(&body(&(4, &fields))), known(ack.clone(), 2));
    assert_eq!(decode_json(br#"{"new":{"deep":[1]},"type":"ack","seqs":[1],"newer":"x"}"#), known(ack, 2));
    assert_eq!(decode_body(&body(&json!([11, {"at": 5}]))), known(Frame::Ping, 1));
    assert_eq!(decode_json(br#"{"type":"ping","at":5}"#), known(Frame::Ping, 1));
    // fixext1 under an unknown name.
    assert_eq!(decode_body(&[0x92, 11, 0x81, 0xa1, b'x', 0xd4, 1, 0]), known(Frame::Ping, 1));
}

#[test]
fn elements_after_type_and_fields_are_skipped_and_counted() {
    assert_eq!(decode_body(&body(&json!([11, {}, {"trace": 1}, 2]))), known(Frame::Ping, 2));
}

#[test]
fn names_we_do_not_know_read_as_other() {
    let goodbye = Frame::Goodbye(Goodbye { reason: GoodbyeReason::Other, retry_after_ms: 0 });
    assert_eq!(decode_body(&body(&json!([13, {"reason": "lunch"}]))), known(goodbye, 0));
    let error = Frame::Error(ErrorFrame { code: ErrorCode::Other, detail: String::new() });
    assert_eq!(decode_json(br#"{"type":"error","code":"lunch"}"#), known(error, 0));
}

#[test]
fn what_is_not_an_array_of_type_and_fields_is_malformed() {
    for bad in [
        json!(null),
        json!([]),
        json!([11]),
        json!({"type": 11}),
        json!(["ping", {}]),
        json!([-1, {}]),
        json!([11, null]),
        json!([11, []]),
        json!([4, [[1]]]),
        json!([4, {}]),
        json!([4, {"seqs": "1"}]),
        json!([4, {"seqs": [-1]}]),
        json!([5, {"message_id": "short", "kind": "shown"}]),
        json!([2, {"version": 1, "session": 1, "resumed": 1, "heartbeat_s": 1, "now": 1}]),
    ] {
        malformed(&decode_body(&body(&bad)));
    }
    malformed(&decode_body(&[]));
    malformed(&decode_body(&[0x92, 11, 0x80, 0xc0]));
    malformed(&decode_body(&[0x92, 11, 0x80, 0x91]));
    // The fields' numbers in place of their names.
    malformed(&decode_body(&[0x92, 4, 0x81, 0, 0x91, 1]));
    // The same field twice.
    malformed(&decode_body(&[
        0x92, 8, 0x82, 0xa7, b'r', b'e', b'q', b'u', b'e', b's', b't', 1, 0xa7, b'r', b'e', b'q', b'u', b'e',
        b's', b't', 2,
    ]));
}

#[test]
fn what_is_not_an_object_with_a_type_is_malformed() {
    for bad in [
        "",
        " ",
        "null",
        "[]",
        r#"["ping"]"#,
        "{}",
        r#"{"type":11}"#,
        r#"{"type":"ping"} x"#,
        r#"{"type":"ping""#,
        r#"{"type":"ping","type":"ping"}"#,
        r#"{"type":"ack","seqs":[[]]}"#,
    ] {
        malformed(&decode_json(bad.as_bytes()));
    }
    malformed(&decode_json(b"{\"type\":\"\xff\"}"));
}

#[test]
fn lists_longer_than_allowed_are_refused_and_reserve_nothing() {
    let seqs = |n: usize| vec![1_u64; n];
    assert!(decode_body(&body(&(4, json!({"seqs": seqs(ACK_SEQS_MAX)})))).is_ok());
    malformed(&decode_body(&body(&(4, json!({"seqs": seqs(ACK_SEQS_MAX + 1)})))));
    let hello = |n| body(&(1, json!({"version": 1, "credential": "c", "holding": seqs(n)})));
    assert!(decode_body(&hello(HOLDING_MAX)).is_ok());
    malformed(&decode_body(&hello(HOLDING_MAX + 1)));
    // An array that says it has 2^32-1 elements, and has one.
    malformed(&decode_body(&[0x92, 4, 0x81, 0xa4, b's', b'e', b'q', b's', 0xdd, 0xff, 0xff, 0xff, 0xff, 1]));
    // A text that says it has 2^32-1 bytes, and has one.
    malformed(&decode_body(&[0x92, 4, 0x81, 0xdb, 0xff, 0xff, 0xff, 0xff, 1]));
}

fn push_with(data: Value) -> Frame {
    Frame::Push(Push {
        seq: 1,
        message_id: crate::MessageId::from_bytes([7; 16]),
        title: None,
        body: None,
        data: Some(data),
        lane: Lane::Normal,
        silent: false,
        uri: None,
        look: None,
        collapse_key: None,
        sent_at: crate::Timestamp::from_millis(1),
        expires_at: crate::Timestamp::from_millis(2),
        user_id: None,
    })
}

#[test]
fn data_nests_as_deep_as_allowed_and_no_deeper() {
    let nested = |depth: usize| (1..depth).fold(json!({}), |inner, _| json!({"a": inner}));
    let frame = push_with(nested(DATA_DEPTH_MAX));
    assert_eq!(decode_body(&encode(&frame)[4..]), known(frame.clone(), 0));
    assert_eq!(decode_json(&encode_json(&frame)), known(frame, 0));
    let deeper = push_with(nested(DATA_DEPTH_MAX + 1));
    malformed(&decode_body(&encode(&deeper)[4..]));
    malformed(&decode_json(&encode_json(&deeper)));
}

#[test]
fn nesting_without_end_does_not_end_the_stack() {
    for opening in [0x91, 0x81, 0xd4] {
        malformed(&decode_body(&[&[0x92, 99][..], &vec![opening; 60_000]].concat()));
        malformed(&decode_body(&vec![opening; 60_000]));
    }
    malformed(&decode_json(&[&br#"{"type":"push","data":"#[..], &vec![b'['; 60_000]].concat()));
}

#[test]
fn numbers_keep_their_values_in_both_encodings() {
    for number in
        [json!(0), json!(-1), json!(u64::MAX), json!(i64::MIN), json!(1.5), json!(-0.0), json!(1e300)]
    {
        let frame = push_with(json!({"n": number}));
        assert_eq!(decode_body(&encode(&frame)[4..]), known(frame.clone(), 0));
        assert_eq!(decode_json(&encode_json(&frame)), known(frame, 0));
    }
}

#[test]
fn a_length_beyond_the_limit_is_refused_before_its_bytes_come() {
    let mut bytes = BytesMut::from(&[0, 0, 0, 101][..]);
    assert_eq!(decode(&mut bytes, 100), Err(Error::TooLong(101)));
    let mut bytes = BytesMut::from(&[0xff; 4][..]);
    assert_eq!(decode(&mut bytes, FRAME_BYTES_MAX), Err(Error::TooLong(u64::from(u32::MAX))));
    let long = vec![b' '; FRAME_BYTES_MAX + 1];
    assert_eq!(decode_body(&long), Err(Error::TooLong(long.len() as u64)));
    assert_eq!(decode_json(&long), Err(Error::TooLong(long.len() as u64)));
}

#[test]
fn a_length_within_the_limit_reserves_nothing_by_itself() {
    let mut bytes = BytesMut::from(&(FRAME_BYTES_MAX as u32).to_be_bytes()[..]);
    assert_eq!(decode(&mut bytes, FRAME_BYTES_MAX), Ok(None));
    assert!(bytes.capacity() < 64);
}

#[test]
fn the_stream_goes_on_after_a_malformed_frame() {
    let mut bytes = BytesMut::new();
    bytes.put_slice(&[0, 0, 0, 1, 0xc1, 0, 0, 0, 0]);
    bytes.put_slice(&encode(&Frame::Pong));
    malformed(&decode(&mut bytes, FRAME_BYTES_MAX));
    malformed(&decode(&mut bytes, FRAME_BYTES_MAX));
    assert_eq!(
        decode(&mut bytes, FRAME_BYTES_MAX),
        Ok(Some(Decoded { frame: Some(Frame::Pong), unknown: 0 }))
    );
    assert_eq!(decode(&mut bytes, FRAME_BYTES_MAX), Ok(None));
}

#[test]
fn what_is_said_of_a_malformed_frame_is_short() {
    let long = json!([4, {"seqs": "s".repeat(60_000)}]);
    let Err(Error::Malformed(why)) = decode_body(&body(&long)) else { panic!("read") };
    assert!(why.len() <= 480);
}

use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::prelude::*;

use super::super::*;

const LIMIT: usize = 80 * 1024;

fn read(role: Role, bytes: &[u8]) -> Result<Option<Message>, Error> {
    Decoder::new(role).decode(&mut BytesMut::from(bytes), LIMIT)
}

fn text(text: &'static str) -> Message {
    Message::Text(Bytes::from_static(text.as_bytes()))
}

/// The RFC's mask.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

#[test]
fn the_examples_of_the_rfc() {
    let hello = [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f];
    assert_eq!(read(Role::Client, &hello), Ok(Some(text("Hello"))));
    assert_eq!(&frame(Opcode::Text, b"Hello")[..], hello);

    let hello = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    assert_eq!(read(Role::Server, &hello), Ok(Some(text("Hello"))));
    assert_eq!(&masked(Opcode::Text, b"Hello", MASK)[..], hello);

    let fragments = [0x01, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f];
    assert_eq!(read(Role::Client, &fragments), Ok(Some(text("Hello"))));

    let ping = [0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f];
    assert_eq!(read(Role::Client, &ping), Ok(Some(Message::Ping(Bytes::from_static(b"Hello")))));
    let pong = [0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    assert_eq!(read(Role::Server, &pong), Ok(Some(Message::Pong(Bytes::from_static(b"Hello")))));
}

#[test]
fn lengths_are_written_in_their_shortest_form() {
    let head = |length| header(Opcode::Binary, length).as_slice().to_vec();
    assert_eq!(head(125), [0x82, 125]);
    assert_eq!(head(126), [0x82, 126, 0, 126]);
    assert_eq!(head(256), [0x82, 0x7e, 0x01, 0x00]);
    assert_eq!(head(65_535), [0x82, 126, 0xff, 0xff]);
    assert_eq!(head(65_536), [0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0]);
}

#[test]
fn control_frames_may_come_between_the_fragments_of_a_message() {
    let mut decoder = Decoder::new(Role::Client);
    let mut bytes = BytesMut::from(&[0x01, 1, b'a', 0x89, 0, 0x00, 1, b'b', 0x8a, 0, 0x80, 1, b'c'][..]);
    let mut next = || decoder.decode(&mut bytes, LIMIT).unwrap();
    assert_eq!(next(), Some(Message::Ping(Bytes::new())));
    assert_eq!(next(), Some(Message::Pong(Bytes::new())));
    assert_eq!(next(), Some(text("abc")));
    assert_eq!(next(), None);
    assert!(!decoder.is_mid_message());
}

#[test]
fn what_the_rfc_forbids_is_refused() {
    for (bytes, error) in [
        (&[0xc2, 0x80][..], Error::ReservedBits),
        (&[0x92, 0x80], Error::ReservedBits),
        (&[0x83, 0x80], Error::Opcode(3)),
        (&[0x8b, 0x80], Error::Opcode(11)),
        // Without a mask, from a client.
        (&[0x82, 0x00], Error::Mask),
        // A ping in fragments, and one of 126 bytes.
        (&[0x09, 0x80], Error::Control),
        (&[0x89, 0xfe, 0, 126], Error::Control),
        // 125 in two bytes, 65,535 in eight, and the top bit.
        (&[0x82, 0xfe, 0, 125], Error::Length),
        (&[0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff], Error::Length),
        (&[0x82, 0xff, 0x80, 0, 0, 0, 0, 1, 0, 0], Error::Length),
        // A continuation of nothing.
        (&[0x80, 0x80, 0, 0, 0, 0], Error::Fragment),
        // A message within a message.
        (&[0x02, 0x80, 0, 0, 0, 0, 0x82, 0x80, 0, 0, 0, 0], Error::Fragment),
        // Closing with one byte, with code 1005, and with a reason that is not UTF-8.
        (&[0x88, 0x81, 0, 0, 0, 0, 3], Error::Close),
        (&[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xed], Error::Close),
        (&[0x88, 0x83, 0, 0, 0, 0, 0x03, 0xe8, 0xff], Error::Close),
    ] {
        assert_eq!(read(Role::Server, bytes), Err(error), "{bytes:x?}");
    }
    assert_eq!(read(Role::Client, &[0x82, 0x80, 0, 0, 0, 0]), Err(Error::Mask));
}

#[test]
fn a_close_carries_its_code() {
    assert_eq!(read(Role::Client, &frame(Opcode::Close, b"")), Ok(Some(Message::Close(None))));
    let payload = close_payload(1001, &"ö".repeat(100));
    assert_eq!(payload.len(), 124, "cut between characters");
    assert_eq!(read(Role::Client, &frame(Opcode::Close, &payload)), Ok(Some(Message::Close(Some(1001)))));
}

#[test]
fn a_message_beyond_the_limit_is_refused_at_its_header() {
    let mut decoder = Decoder::new(Role::Client);
    let mut bytes = BytesMut::from(&[0x82, 126, 0, 201][..]);
    assert_eq!(decoder.decode(&mut bytes, 200), Err(Error::TooLong(201)));

    let mut bytes = BytesMut::from(&[0x82, 127, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff][..]);
    let error = Decoder::new(Role::Client).decode(&mut bytes, 200).unwrap_err();
    assert_eq!((error, error.close_code()), (Error::TooLong(i64::MAX as u64), 1009));

    // In fragments: 100 bytes have come, and 101 are announced.
    let mut decoder = Decoder::new(Role::Client);
    let mut bytes = BytesMut::from(&[&[0x02, 100][..], &[0; 100], &[0x80, 101]].concat()[..]);
    assert_eq!(decoder.decode(&mut bytes, 200), Err(Error::TooLong(201)));
}

#[test]
fn an_idle_decoder_is_two_words() {
    assert!(size_of::<Decoder>() <= 16);
}

/// A message as frames of at most `piece` bytes, a ping after each but the last.
fn fragmented(payload: &[u8], piece: usize) -> Vec<u8> {
    let pieces: Vec<&[u8]> = if payload.is_empty() { vec![&[]] } else { payload.chunks(piece).collect() };
    let mut out = Vec::new();
    for (place, piece) in pieces.iter().enumerate() {
        let opcode = if place == 0 { Opcode::Binary } else { Opcode::Continuation };
        let mut frame = masked(opcode, piece, MASK).to_vec();
        if place + 1 < pieces.len() {
            frame[0] &= 0x7f;
            frame.extend_from_slice(&masked(Opcode::Ping, b"?", MASK));
        }
        out.extend_from_slice(&frame);
    }
    out
}

proptest! {
    #[test]
    fn any_split_and_any_fragments_give_the_same_messages(
        payloads in vec(vec(any::<u8>(), 0..300), 1..5),
        piece in 1_usize..200,
        step in 1_usize..50,
    ) {
        let stream: Vec<u8> = payloads.iter().flat_map(|payload| fragmented(payload, piece)).collect();
        let (mut decoder, mut bytes, mut read) = (Decoder::new(Role::Server), BytesMut::new(), Vec::new());
        for chunk in stream.chunks(step) {
            bytes.extend_from_slice(chunk);
            while let Some(message) = decoder.decode(&mut bytes, LIMIT).unwrap() {
                if let Message::Binary(payload) = message {
                    read.push(payload.to_vec());
                }
            }
        }
        prop_assert_eq!(read, payloads);
        prop_assert!(bytes.is_empty() && !decoder.is_mid_message());
    }

    #[test]
    fn garbage_never_panics_and_never_grows(bytes in vec(any::<u8>(), 0..300), server in any::<bool>()) {
        let mut decoder = Decoder::new(if server { Role::Server } else { Role::Client });
        let mut bytes = BytesMut::from(&bytes[..]);
        while let Ok(Some(_)) = decoder.decode(&mut bytes, LIMIT) {}
        prop_assert!(bytes.capacity() <= 300);
    }

    #[test]
    fn what_a_role_writes_the_other_reads(
        length in prop_oneof![0_usize..300, 65_530_usize..65_540],
        seed in any::<u8>(),
        mask in any::<[u8; 4]>(),
    ) {
        let payload: Vec<u8> = (0..length).map(|place| seed.wrapping_add(place as u8)).collect();
        let expected = Ok(Some(Message::Binary(Bytes::from(payload.clone()))));
        prop_assert_eq!(&read(Role::Client, &frame(Opcode::Binary, &payload)), &expected);
        prop_assert_eq!(&read(Role::Server, &masked(Opcode::Binary, &payload, mask)), &expected);
    }
}

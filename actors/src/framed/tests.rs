//! A link over a socket that takes as many bytes as the test lets it.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use carillon_sdk::wire::ws::{Opcode, masked};
use carillon_sdk::wire::{Ack, Lane};
use carillon_sdk::{MessageId, Ttl};
use proptest::prelude::*;

use super::*;
use crate::encoded::Encoded;
use crate::model::{App, Device, Message, PushType, User};

const ANNA: Owner = Owner::User(User { app: App(1), ordinal: 1 });
const BEN: Owner = Owner::User(User { app: App(1), ordinal: 2 });
const OWN: Owner = Owner::Device(Device { app: App(1), ordinal: 3 });

#[derive(Default)]
struct Wire {
    written: Vec<u8>,
    room: usize,
    arrived: Vec<u8>,
    piece: usize,
}

struct Valve(Rc<RefCell<Wire>>);

impl Transport for Valve {
    fn poll_read(&mut self, _: &mut Context<'_>, scratch: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut wire = self.0.borrow_mut();
        let count = wire.arrived.len().min(wire.piece);
        if count == 0 {
            return Poll::Pending;
        }
        scratch[..count].copy_from_slice(&wire.arrived[..count]);
        wire.arrived.drain(..count);
        Poll::Ready(Ok(count))
    }

    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut wire = self.0.borrow_mut();
        let count = bytes.len().min(wire.room);
        if count == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        wire.room -= count;
        wire.written.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.0.borrow().room > 0 { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn close(&mut self) {}
}

fn link(framing: Framing, backlog_bytes_max: usize) -> (Link, Rc<RefCell<Wire>>) {
    let wire = Rc::new(RefCell::new(Wire { piece: usize::MAX, ..Wire::default() }));
    (Link::new(Box::new(Valve(Rc::clone(&wire))), framing, &[], backlog_bytes_max), wire)
}

fn push(owner: Owner, seq: u64, expires_ms: u64) -> Due {
    let message = Message {
        id: MessageId::from_bytes([7; 16]),
        app: App(1),
        push_type: PushType::Single,
        title: Some("hello".to_owned()),
        body: None,
        data: None,
        lane: Lane::Normal,
        silent: false,
        collapse_key: None,
        accepted_at: Timestamp::from_millis(1),
        expires_at: Timestamp::from_millis(1) + Ttl::from_millis(expires_ms),
        uri: None,
        look: None,
        task: None,
        options: None,
        repeat_until: None,
        revokes: None,
        key: None,
    };
    Arc::new(Encoded::new(&message, Some(owner), Seq(seq), None))
}

fn flush(link: &mut Link, at_ms: u64) -> Poll<Result<(), Broken>> {
    link.poll_flush(&mut Context::from_waker(std::task::Waker::noop()), Timestamp::from_millis(at_ms), at_ms)
}

fn read_all(link: &mut Link) -> Vec<Inbound> {
    let mut all = Vec::new();
    while let Poll::Ready(Some(batch)) = link.poll_read(&mut Context::from_waker(std::task::Waker::noop())) {
        all.extend(batch);
    }
    all
}

/// The seqs of the pushes in a native stream.
fn seqs(written: &[u8]) -> Vec<u64> {
    let mut bytes = bytes::BytesMut::from(written);
    let mut seqs = Vec::new();
    while let Some(decoded) = wire::decode(&mut bytes, wire::FRAME_BYTES_MAX).unwrap() {
        if let Some(Frame::Push(push)) = decoded.frame {
            seqs.push(push.seq);
        }
    }
    assert!(bytes.is_empty(), "a frame was cut off");
    seqs
}

#[test]
fn what_the_socket_refuses_is_written_later_in_order() {
    for room in 0..200 {
        let (mut link, wire) = link(Framing::Native, 1 << 20);
        wire.borrow_mut().room = room;
        link.write(&[Out::Push(push(OWN, 1, 1_000)), Out::Push(push(OWN, 2, 1_000))], 0).unwrap();
        link.write(&[Out::Push(push(OWN, 3, 1_000))], 0).unwrap();
        while link.blocked() {
            wire.borrow_mut().room = 7;
            let _ = flush(&mut link, 2);
        }
        assert_eq!(seqs(&wire.borrow().written), [1, 2, 3], "with room for {room} at first");
    }
}

#[test]
fn a_backlog_beyond_its_bytes_is_slow() {
    let frame = push(OWN, 1, 1_000).native().len();
    let (mut link, _wire) = link(Framing::Native, 2 * frame);
    link.write(&[Out::Push(push(OWN, 1, 1_000))], 0).unwrap();
    link.write(&[Out::Push(push(OWN, 2, 1_000))], 0).unwrap();
    assert!(matches!(link.write(&[Out::Push(push(OWN, 3, 1_000))], 0), Err(Broken::Slow)));
}

#[test]
fn a_stall_is_counted_from_the_last_byte_taken() {
    let (mut link, wire) = link(Framing::Native, 1 << 20);
    assert_eq!(link.stalled_ms(5_000), 0);
    link.write(&[Out::Push(push(OWN, 1, 1_000_000))], 1_000).unwrap();
    assert_eq!(link.stalled_ms(5_000), 4_000);
    wire.borrow_mut().room = 1;
    let _ = flush(&mut link, 5_000);
    assert_eq!(link.stalled_ms(6_000), 1_000);
}

#[test]
fn what_is_withdrawn_and_not_begun_never_reaches_the_wire() {
    let (mut link, wire) = link(Framing::Native, 1 << 20);
    wire.borrow_mut().room = 3;
    let outs = [push(ANNA, 1, 1_000), push(ANNA, 2, 1_000), push(BEN, 3, 1_000), push(OWN, 4, 1_000)];
    link.write(&outs.map(Out::Push), 0).unwrap();
    assert_eq!(link.withdraw(ANNA), [Seq(2)], "1 is begun");
    wire.borrow_mut().room = 10_000;
    assert!(matches!(flush(&mut link, 2), Poll::Ready(Ok(()))));
    assert_eq!(seqs(&wire.borrow().written), [1, 3, 4]);
}

#[test]
fn what_expired_while_it_waited_is_left_out() {
    let (mut link, wire) = link(Framing::Native, 1 << 20);
    link.write(&[Out::Push(push(OWN, 1, 99)), Out::Push(push(OWN, 2, 100))], 0).unwrap();
    wire.borrow_mut().room = 10_000;
    assert!(matches!(flush(&mut link, 100), Poll::Ready(Ok(()))));
    assert_eq!(seqs(&wire.borrow().written), [2]);
}

#[test]
fn a_length_beyond_the_limit_loses_the_stream_and_costs_nothing() {
    let (mut link, wire) = link(Framing::Native, 1 << 20);
    wire.borrow_mut().arrived = vec![0xff; 100_000];
    wire.borrow_mut().piece = 1_000;
    assert_eq!(read_all(&mut link), [Inbound::TooLong]);
}

#[test]
fn a_body_that_cannot_be_read_leaves_the_stream_whole() {
    let (mut link, wire) = link(Framing::Native, 1 << 20);
    let mut bytes = vec![0, 0, 0, 2, 0xc1, 0xc1];
    bytes.extend_from_slice(&wire::encode(&Frame::Ping));
    wire.borrow_mut().arrived = bytes;
    assert_eq!(read_all(&mut link), [Inbound::Malformed, Inbound::Frame(Frame::Ping)]);
}

#[test]
fn a_websocket_ping_is_answered_and_a_close_is_answered_and_the_last() {
    let (mut link, wire) = link(Framing::WebSocketBinary, 1 << 20);
    let mut bytes = masked(Opcode::Ping, b"x", [1; 4]).to_vec();
    bytes.extend_from_slice(&masked(Opcode::Close, &1000_u16.to_be_bytes(), [2; 4]));
    bytes.extend_from_slice(&masked(Opcode::Binary, &wire::encode(&Frame::Ping)[4..], [3; 4]));
    wire.borrow_mut().arrived = bytes;
    let replies = read_all(&mut link);
    let pong = Bytes::from_static(&[0x8a, 1, b'x']);
    let close = Bytes::from_static(&[0x88, 2, 3, 0xe8]);
    assert_eq!(replies, [Inbound::Reply(pong), Inbound::Reply(close)]);
}

fn client_bytes(framing: Framing, frame: &Frame) -> Vec<u8> {
    match framing {
        Framing::Native => wire::encode(frame).to_vec(),
        Framing::WebSocketBinary => masked(Opcode::Binary, &wire::encode(frame)[4..], [9, 8, 7, 6]).to_vec(),
        Framing::WebSocketText => masked(Opcode::Text, &wire::encode_json(frame), [1, 2, 3, 4]).to_vec(),
    }
}

proptest! {
    #[test]
    fn frames_come_whole_however_the_bytes_are_cut(piece in 1_usize..64, rest in 0_usize..64, acks in prop::collection::vec(any::<u32>(), 1..20)) {
        for framing in [Framing::Native, Framing::WebSocketBinary, Framing::WebSocketText] {
            let frames: Vec<_> = acks.iter().map(|seq| Frame::Ack(Ack { seqs: vec![u64::from(*seq)] })).collect();
            let bytes: Vec<u8> = frames.iter().flat_map(|frame| client_bytes(framing, frame)).collect();
            let (with_hello, later) = bytes.split_at(rest.min(bytes.len()));
            let wire = Rc::new(RefCell::new(Wire { piece, arrived: later.to_vec(), ..Wire::default() }));
            let mut link = Link::new(Box::new(Valve(wire)), framing, with_hello, 1 << 20);
            let read: Vec<_> = read_all(&mut link);
            let expected: Vec<_> = frames.into_iter().map(Inbound::Frame).collect();
            prop_assert_eq!(read, expected);
            prop_assert!(link.deframer.is_empty(), "nothing is kept between frames");
        }
    }
}

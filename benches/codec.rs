//! Frames to bytes and back, as both ends do for every push and every ack.

use carillon_sdk::wire::{Ack, Frame, Lane, Push, decode_body, decode_json, encode, encode_json};
use carillon_sdk::{MessageId, Timestamp};
use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;

fn codec(c: &mut Criterion) {
    let push = Frame::Push(Push {
        seq: 123_456,
        message_id: MessageId::from_bytes([7; 16]),
        title: Some("a title of usual length".to_owned()),
        body: Some("and a body that says what happened, which is about as long as this one is".to_owned()),
        data: Some(serde_json::json!({"order": "4711", "screen": "orders"})),
        lane: Lane::Normal,
        silent: false,
        uri: None,
        look: None,
        collapse_key: None,
        sent_at: Timestamp::from_millis(1_700_000_000_000),
        expires_at: Timestamp::from_millis(1_700_086_400_000),
        user_id: None,
    });
    let ack = Frame::Ack(Ack { seqs: vec![123_456] });
    for (name, frame) in [("push", &push), ("ack", &ack)] {
        let (bytes, text) = (encode(frame), encode_json(frame));
        c.bench_function(&format!("codec/encode/{name}"), |bench| bench.iter(|| encode(black_box(frame))));
        c.bench_function(&format!("codec/decode/{name}"), |bench| {
            bench.iter(|| decode_body(black_box(&bytes[4..])));
        });
        c.bench_function(&format!("codec/encode_json/{name}"), |bench| {
            bench.iter(|| encode_json(black_box(frame)));
        });
        c.bench_function(&format!("codec/decode_json/{name}"), |bench| {
            bench.iter(|| decode_json(black_box(&text)));
        });
    }
}

criterion_group!(benches, codec);
criterion_main!(benches);

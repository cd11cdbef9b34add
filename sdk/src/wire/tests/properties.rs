//! What holds for every frame and for any bytes.

use bytes::BytesMut;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::super::*;
use crate::ids::{DeviceId, MessageId, UserId};
use crate::time::Timestamp;

fn id() -> impl Strategy<Value = String> {
    "[^\\p{Cc}]{1,40}"
}

fn user() -> impl Strategy<Value = Option<UserId>> {
    option::of(id().prop_map(|text| UserId::parse(&text).unwrap()))
}

fn at() -> impl Strategy<Value = Timestamp> {
    any::<u64>().prop_map(Timestamp::from_millis)
}

fn message_id() -> impl Strategy<Value = MessageId> {
    any::<[u8; 16]>().prop_map(MessageId::from_bytes)
}

fn data() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        // Halves, so that a text of it reads as the same number.
        any::<i32>().prop_map(|n| (f64::from(n) / 2.0).into()),
        ".{0,12}".prop_map(serde_json::Value::from),
    ];
    let tree = leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            proptest::collection::btree_map(".{0,6}", inner, 0..4)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    });
    proptest::collection::btree_map(".{0,6}", tree, 0..4)
        .prop_map(|map| serde_json::Value::Object(map.into_iter().collect()))
}

fn hello() -> impl Strategy<Value = Frame> {
    (any::<u16>(), ".{0,80}", any::<u32>(), any::<u64>(), vec(any::<u64>(), 0..20), option::of(".{0,9}"))
        .prop_map(|(version, credential, heartbeat_s, resume, holding, app_version)| {
            Frame::Hello(Hello { version, credential, heartbeat_s, resume, holding, app_version })
        })
}

fn welcome() -> impl Strategy<Value = Frame> {
    let device = option::of(id().prop_map(|text| DeviceId::parse(&text).unwrap()));
    (any::<u16>(), any::<u64>(), any::<bool>(), any::<u32>(), at(), device, user()).prop_map(
        |(version, session, resumed, heartbeat_s, now, device_id, user_id)| {
            Frame::Welcome(Welcome { version, session, resumed, heartbeat_s, now, device_id, user_id })
        },
    )
}

fn push() -> impl Strategy<Value = Frame> {
    let texts = (option::of(".{0,30}"), option::of(".{0,90}"), option::of(".{1,20}"));
    let lane = prop_oneof![Just(Lane::High), Just(Lane::Normal), Just(Lane::Bulk)];
    let rest = (any::<u64>(), message_id(), option::of(data()), lane, any::<bool>(), at(), at(), user());
    (texts, rest).prop_map(|((title, body, collapse_key), rest)| {
        let (seq, message_id, data, lane, silent, sent_at, expires_at, user_id) = rest;
        Frame::Push(Push {
            seq,
            message_id,
            title,
            body,
            data,
            lane,
            silent,
            uri: None,
            look: None,
            collapse_key,
            sent_at,
            expires_at,
            user_id,
        })
    })
}

fn frame() -> impl Strategy<Value = Frame> {
    let kind = prop_oneof![Just(ReportKind::Shown), Just(ReportKind::Opened), Just(ReportKind::Dismissed)];
    let code = option::of(prop_oneof![Just(ErrorCode::TooMany), Just(ErrorCode::Unavailable)]);
    let reason =
        prop_oneof![Just(GoodbyeReason::Idle), Just(GoodbyeReason::Slow), Just(GoodbyeReason::Other)];
    prop_oneof![
        hello(),
        welcome(),
        push(),
        vec(any::<u64>(), 0..40).prop_map(|seqs| Frame::Ack(Ack { seqs })),
        (message_id(), kind).prop_map(|(message_id, kind)| Frame::Report(Report { message_id, kind })),
        (message_id(), any::<u64>()).prop_map(|(message_id, seq)| Frame::Revoke(Revoke { message_id, seq })),
        (any::<u32>(), ".{0,60}").prop_map(|(request, token)| Frame::Bind(Bind { request, token })),
        any::<u32>().prop_map(|request| Frame::Unbind(Unbind { request })),
        (any::<u32>(), "[a-z]{1,9}", ".{0,60}").prop_map(|(request, channel, token)| Frame::VendorToken(
            VendorToken { request, channel, token }
        )),
        (any::<u32>(), code, user()).prop_map(|(request, error, user_id)| Frame::Answer(BindAnswer {
            request,
            error,
            user_id
        })),
        Just(Frame::Ping),
        Just(Frame::Pong),
        (reason, any::<u64>())
            .prop_map(|(reason, retry_after_ms)| Frame::Goodbye(Goodbye { reason, retry_after_ms })),
        ".{0,30}".prop_map(|detail| Frame::Error(ErrorFrame { code: ErrorCode::AckUnknown, detail })),
    ]
}

/// Everything a stream gives, fed in pieces that end at `cuts`.
fn read_in_pieces(stream: &[u8], cuts: &[usize]) -> Vec<Decoded> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (stream.len() + 1)).collect();
    cuts.push(stream.len());
    cuts.sort_unstable();
    let (mut bytes, mut frames, mut fed) = (BytesMut::new(), Vec::new(), 0);
    for cut in cuts {
        bytes.extend_from_slice(&stream[fed..cut]);
        fed = cut;
        while let Some(decoded) = decode(&mut bytes, FRAME_BYTES_MAX).unwrap() {
            frames.push(decoded);
        }
    }
    assert!(bytes.is_empty());
    frames
}

proptest! {
    #[test]
    fn every_frame_reads_as_it_was_written(frame in frame()) {
        let expected = Decoded { frame: Some(frame.clone()), unknown: 0 };
        prop_assert_eq!(&decode_body(&encode(&frame)[4..]).unwrap(), &expected);
        prop_assert_eq!(&decode_json(&encode_json(&frame)).unwrap(), &expected);
    }

    #[test]
    fn any_split_of_the_bytes_gives_the_same_frames(
        frames in vec(frame(), 1..6),
        cuts in vec(any::<usize>(), 0..12),
    ) {
        let stream: Vec<u8> = frames.iter().flat_map(encode).collect();
        let read: Vec<Frame> = read_in_pieces(&stream, &cuts).into_iter().filter_map(|read| read.frame).collect();
        prop_assert_eq!(read, frames);
    }

    #[test]
    fn garbage_never_panics(bytes in vec(any::<u8>(), 0..400), kind in 0_u8..16) {
        let _ = decode(&mut BytesMut::from(&bytes[..]), FRAME_BYTES_MAX);
        let _ = decode_body(&bytes);
        let _ = decode_json(&bytes);
        let _ = decode_body(&[&[0x92, kind, 0x85][..], &bytes].concat());
    }

    #[test]
    fn a_frame_with_a_byte_changed_never_panics(frame in frame(), place in any::<usize>(), byte in any::<u8>()) {
        let mut native = encode(&frame).to_vec();
        let place = place % native.len();
        native[place] = byte;
        let _ = decode(&mut BytesMut::from(&native[..]), FRAME_BYTES_MAX);
        let mut text = encode_json(&frame).to_vec();
        let place = place % text.len();
        text[place] = byte;
        let _ = decode_json(&text);
    }

    #[test]
    fn a_frame_cut_short_is_incomplete_as_a_stream_and_malformed_as_a_body(frame in frame(), cut in any::<usize>()) {
        let native = encode(&frame);
        let cut = cut % native.len();
        prop_assert_eq!(decode(&mut BytesMut::from(&native[..cut]), FRAME_BYTES_MAX), Ok(None));
        if let Some(body) = native[..cut].get(4..) {
            prop_assert!(decode_body(body).is_err());
        }
    }

    #[test]
    fn lengths_beyond_the_limit_are_refused(length in 101_u32.., rest in vec(any::<u8>(), 0..9)) {
        let bytes = [&length.to_be_bytes()[..], &rest].concat();
        prop_assert_eq!(decode(&mut BytesMut::from(&bytes[..]), 100), Err(Error::TooLong(u64::from(length))));
    }
}

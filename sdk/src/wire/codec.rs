//! Frames as TCP, TLS and WebSocket binary messages carry them.

use std::cell::RefCell;
use std::fmt;

use bytes::{Buf, Bytes, BytesMut};
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::{DATA_DEPTH_MAX, Decoded, Error, FRAME_BYTES_MAX, Frame, fields};

/// Bytes of the length before each body.
const LENGTH_BYTES: usize = 4;

/// The body's array, the map of fields, and `data` within it; rmp-serde stops one before its limit.
const DEPTH_MAX: usize = 2 + DATA_DEPTH_MAX + 1;

thread_local! {
    /// Where a frame is written before its length is known, so that it is then allocated once and
    /// exactly. Grows to the longest frame this thread has written.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Gives `write` this thread's scratch buffer, empty, and copies out what it wrote.
pub(super) fn written(write: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    SCRATCH.with_borrow_mut(|scratch| {
        scratch.clear();
        write(scratch);
        Bytes::copy_from_slice(scratch)
    })
}

/// A frame as TCP and TLS carry it: length and body. One allocation of exactly its size.
#[must_use]
pub fn encode(frame: &Frame) -> Bytes {
    written(|out| {
        // 0x92: an array of two. Types are below 128, so each is its own MessagePack.
        out.extend_from_slice(&[0, 0, 0, 0, 0x92, frame.kind()]);
        match frame {
            Frame::Hello(fields) => write(out, fields),
            Frame::Welcome(fields) => write(out, fields),
            Frame::Push(fields) => write(out, fields),
            Frame::Ack(fields) => write(out, fields),
            Frame::Report(fields) => write(out, fields),
            Frame::Revoke(fields) => write(out, fields),
            Frame::Bind(fields) => write(out, fields),
            Frame::Unbind(fields) => write(out, fields),
            Frame::VendorToken(fields) => write(out, fields),
            Frame::Answer(fields) => write(out, fields),
            // 0x80: a map of none.
            Frame::Ping | Frame::Pong => out.push(0x80),
            Frame::Goodbye(fields) => write(out, fields),
            Frame::Error(fields) => write(out, fields),
        }
        let length = u32::try_from(out.len() - LENGTH_BYTES).unwrap_or(u32::MAX);
        out[..LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
    })
}

fn write(out: &mut Vec<u8>, fields: &impl Serialize) {
    let mut to = rmp_serde::Serializer::new(out).with_struct_map();
    fields.serialize(&mut to).expect("memory takes every byte, and every list and map knows its length");
}

/// How long the frame at the start of `bytes` is with its length, None when more bytes are needed
/// to say so or to have all of it. For readers that keep their own buffer.
pub fn frame_len(bytes: &[u8], limit: usize) -> Result<Option<usize>, Error> {
    let Some(length) = bytes.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
    let length = u32::from_be_bytes(*length);
    match usize::try_from(length) {
        Ok(body) if body <= limit => {
            let whole = LENGTH_BYTES + body;
            Ok((bytes.len() >= whole).then_some(whole))
        }
        _ => Err(Error::TooLong(u64::from(length))),
    }
}

/// The next frame of a stream, None when more bytes are needed. What is read is taken from
/// `bytes`. A length beyond `limit` is refused before anything is allocated for it, and a length
/// within it reserves nothing either: only bytes that came take room.
pub fn decode(bytes: &mut BytesMut, limit: usize) -> Result<Option<Decoded>, Error> {
    let Some(whole) = frame_len(bytes, limit)? else { return Ok(None) };
    let decoded = decode_body(&bytes[LENGTH_BYTES..whole]);
    bytes.advance(whole);
    decoded.map(Some)
}

/// A body: a WebSocket binary message.
pub fn decode_body(body: &[u8]) -> Result<Decoded, Error> {
    if body.len() > FRAME_BYTES_MAX {
        return Err(Error::TooLong(body.len() as u64));
    }
    let mut from = rmp_serde::Deserializer::from_read_ref(body);
    from.set_max_depth(DEPTH_MAX);
    let decoded = from.deserialize_seq(Body).map_err(malformed)?;
    // What comes after the array belongs to nothing. The reader does not say where it stands, but
    // a number wants one more byte, its marker, and fails on that alone at the end.
    match u8::deserialize(&mut from) {
        Err(rmp_serde::decode::Error::InvalidMarkerRead(_)) => Ok(decoded),
        _ => Err(malformed("bytes after the frame")),
    }
}

/// The reader's words, cut short: they may quote what the other side sent.
pub(super) fn malformed(why: impl fmt::Display) -> Error {
    const CHARS_MAX: usize = 120;
    Error::Malformed(why.to_string().chars().take(CHARS_MAX).collect())
}

/// `[type, fields]`, and whatever a later version may append.
struct Body;

impl<'de> Visitor<'de> for Body {
    type Value = Decoded;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of a type and a map of fields")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut body: A) -> Result<Decoded, A::Error> {
        let kind = body.next_element()?.ok_or_else(|| A::Error::invalid_length(0, &self))?;
        let mut unknown = 0;
        let frame = body
            .next_element_seed(Fields { kind, unknown: &mut unknown })?
            .ok_or_else(|| A::Error::invalid_length(1, &self))?;
        while body.next_element::<IgnoredAny>()?.is_some() {
            unknown += 1;
        }
        Ok(Decoded { frame, unknown })
    }
}

struct Fields<'a> {
    kind: u64,
    unknown: &'a mut u32,
}

impl<'de> DeserializeSeed<'de> for Fields<'_> {
    type Value = Option<Frame>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Option<Frame>, D::Error> {
        fields::read(self.kind, from, self.unknown)
    }
}

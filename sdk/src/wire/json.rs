//! Frames as WebSocket text messages carry them: for browsers, and for reading along.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::codec::{malformed, written};
use super::frame::NAMES;
use super::{Decoded, Error, FRAME_BYTES_MAX, Frame, fields};

/// The member that names a frame's type.
pub(super) const TYPE: &str = "type";

/// A frame as a WebSocket text message.
#[must_use]
pub fn encode_json(frame: &Frame) -> Bytes {
    written(|out| {
        out.extend_from_slice(b"{\"type\":\"");
        out.extend_from_slice(frame.name().as_bytes());
        out.push(b'"');
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
            Frame::Ping | Frame::Pong => out.push(b'}'),
            Frame::Goodbye(fields) => write(out, fields),
            Frame::Error(fields) => write(out, fields),
        }
    })
}

/// Appends the members of `fields`, of which each frame has at least one, to an open object.
fn write(out: &mut Vec<u8>, fields: &impl Serialize) {
    let brace = out.len();
    serde_json::to_writer(&mut *out, fields).expect("memory takes every byte, and every key is text");
    out[brace] = b',';
}

/// A WebSocket text message.
pub fn decode_json(text: &[u8]) -> Result<Decoded, Error> {
    /// The one member read first; it may stand anywhere in the object.
    #[derive(Deserialize)]
    struct Head<'a> {
        #[serde(rename = "type", borrow)]
        name: Cow<'a, str>,
    }

    if text.len() > FRAME_BYTES_MAX {
        return Err(Error::TooLong(text.len() as u64));
    }
    // serde would read a struct from an array too; a frame is an object.
    let head: Head<'_> = match text.trim_ascii_start().first() {
        Some(b'{') => serde_json::from_slice(text).map_err(malformed)?,
        _ => return Err(malformed("not an object")),
    };
    let Some(place) = NAMES.iter().position(|name| *name == head.name) else {
        return Ok(Decoded { frame: None, unknown: 1 });
    };
    let mut unknown = 0;
    let mut from = serde_json::Deserializer::from_slice(text);
    let frame = fields::read(place as u64 + 1, &mut from, &mut unknown).map_err(malformed)?;
    Ok(Decoded { frame, unknown })
}

//! The device protocol, sans-io: bytes in, frames out, no socket, no task, no clock.
//!
//! docs/wire.md is the specification; this module is held to it byte by byte in its tests.
//!
//! On TCP and TLS a frame is a big-endian `u32` length and a body of that many bytes. On WebSocket
//! a binary message is one body. A body is a MessagePack array `[type, fields]`, `fields` a map
//! with text keys. A WebSocket text message is the same as a JSON object with a member `type`.

mod codec;
mod fields;
pub mod frame;
mod json;
pub mod ws;

#[cfg(test)]
mod tests;

pub use codec::{decode, decode_body, encode, frame_len};
pub use json::{decode_json, encode_json};

pub use frame::{
    ACK_SEQS_MAX, Ack, Bind, BindAnswer, Error as ErrorFrame, ErrorCode, Frame, Goodbye, GoodbyeReason,
    HOLDING_MAX, Hello, Lane, Look, Push, Report, ReportKind, Revoke, Style, TapAction, Unbind, VendorToken,
    Welcome,
};

/// The protocol version this build speaks. A Hello with a lower major version is answered in that
/// version; with a higher one, with this.
pub const VERSION: u16 = 1;

/// Longest frame body either side accepts, in bytes: a push of the largest payload a server may be
/// configured to take (64 KiB) with its envelope.
pub const FRAME_BYTES_MAX: usize = 72 * 1024;

/// Deepest nesting of a push's `data`. JSON readers commonly stop there.
pub const DATA_DEPTH_MAX: usize = 126;

/// Why bytes are not a frame. After `TooLong` the stream cannot be followed any further; after
/// `Malformed` it can, since the length was good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("a frame of {0} bytes; at most {FRAME_BYTES_MAX} are read")]
    TooLong(u64),
    #[error("a frame that cannot be read: {0}")]
    Malformed(String),
}

/// A body read.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// None for a frame of a type this side does not know, which is skipped.
    pub frame: Option<Frame>,
    /// Fields (or the one type) this side does not know and passed over, for the count.
    pub unknown: u32,
}

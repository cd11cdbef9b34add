//! WebSocket (RFC 6455), sans-io and for both roles: bytes in, messages out.
//!
//! Written here because a listener that keeps no buffer for an idle socket needs a reader that
//! keeps none either, and no library separates the two. Extensions are not spoken.
//!
//! ```text
//!  bytes ──▶ handshake::request ──▶ Decoder::decode ──▶ Message ──▶ decode_body / decode_json
//!  bytes ◀── handshake::accept  ◀── header + payload, frame       ◀── encode / encode_json
//! ```

mod frame;
pub mod handshake;

#[cfg(test)]
mod tests;

pub use frame::{Header, close_payload, frame, header, masked};

use bytes::{Buf, Bytes, BytesMut};

use frame::{Head, Length, unmask};

/// Which end this is: a client masks what it sends, a server must not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Client,
    Server,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Opcode {
    Continuation = 0,
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

/// A whole message, its fragments joined and its mask taken off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Not yet known to be UTF-8: whoever parses the text will see.
    Text(Bytes),
    Binary(Bytes),
    /// To be answered by a Pong with the same payload, at most 125 bytes.
    Ping(Bytes),
    Pong(Bytes),
    /// To be answered by a Close with the same code, then the end. Without a code: `None`.
    Close(Option<u16>),
}

/// Why the other side's bytes cannot be followed any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("reserved bits are set, and no extension was agreed")]
    ReservedBits,
    #[error("opcode {0} is not in use")]
    Opcode(u8),
    #[error("a client's frame without a mask, or a server's with one")]
    Mask,
    #[error("a control frame that is fragmented or longer than 125 bytes")]
    Control,
    #[error("a length not in its shortest form, or beyond 63 bits")]
    Length,
    #[error("a fragment that continues nothing, or a new message within an unfinished one")]
    Fragment,
    #[error("a close frame whose payload is no code and text")]
    Close,
    #[error("a message of {0} bytes or more, longer than allowed")]
    TooLong(u64),
}

impl Error {
    /// The code with which to close.
    #[must_use]
    pub const fn close_code(self) -> u16 {
        match self {
            Self::TooLong(_) => 1009,
            _ => 1002,
        }
    }
}

/// What is remembered between two reads: nothing, unless a fragmented message is under way.
#[derive(Debug)]
pub struct Decoder {
    role: Role,
    partial: Option<Box<Partial>>,
}

#[derive(Debug)]
struct Partial {
    text: bool,
    payload: BytesMut,
}

impl Decoder {
    /// The reader at this end.
    #[must_use]
    pub const fn new(role: Role) -> Self {
        Self { role, partial: None }
    }

    /// True when a message is under way of which some fragments have come.
    #[must_use]
    pub const fn is_mid_message(&self) -> bool {
        self.partial.is_some()
    }

    /// The next message, None when more bytes are needed. What is read is taken from `bytes`; an
    /// incomplete frame stays there. A message longer than `limit`, in one frame or in many, is
    /// refused as soon as a header says so, before its bytes come.
    pub fn decode(&mut self, bytes: &mut BytesMut, limit: usize) -> Result<Option<Message>, Error> {
        while let Some(head) = Head::parse(bytes, self.role)? {
            let so_far = match &self.partial {
                Some(partial) if !head.is_control() => partial.payload.len(),
                _ => 0,
            };
            let Some(length) = fits(so_far, head.length, limit)? else { return Ok(None) };
            if bytes.len() - head.bytes < length {
                return Ok(None);
            }
            bytes.advance(head.bytes);
            let mut payload = bytes.split_to(length);
            if let Some(mask) = head.mask {
                unmask(&mut payload, mask);
            }
            if let Some(message) = self.take(&head, payload)? {
                return Ok(Some(message));
            }
        }
        Ok(None)
    }

    /// One frame's payload: a message, or a further piece of one.
    fn take(&mut self, head: &Head, payload: BytesMut) -> Result<Option<Message>, Error> {
        let text = match head.opcode {
            Opcode::Ping => return Ok(Some(Message::Ping(payload.freeze()))),
            Opcode::Pong => return Ok(Some(Message::Pong(payload.freeze()))),
            Opcode::Close => return frame::close_code(&payload).map(|code| Some(Message::Close(code))),
            Opcode::Text | Opcode::Binary if self.partial.is_some() => return Err(Error::Fragment),
            Opcode::Text => true,
            Opcode::Binary => false,
            Opcode::Continuation => {
                let mut partial = self.partial.take().ok_or(Error::Fragment)?;
                partial.payload.extend_from_slice(&payload);
                if !head.last {
                    self.partial = Some(partial);
                    return Ok(None);
                }
                return Ok(Some(whole(partial.text, partial.payload)));
            }
        };
        if head.last {
            return Ok(Some(whole(text, payload)));
        }
        // Copied, so that the fragment does not hold on to the caller's whole buffer.
        self.partial = Some(Box::new(Partial { text, payload: BytesMut::from(&payload[..]) }));
        Ok(None)
    }
}

fn whole(text: bool, payload: BytesMut) -> Message {
    if text { Message::Text(payload.freeze()) } else { Message::Binary(payload.freeze()) }
}

/// The length of a frame's payload once it is known, and refused if it makes the message too long.
fn fits(so_far: usize, length: Length, limit: usize) -> Result<Option<usize>, Error> {
    let Length::Known(length) = length else { return Ok(None) };
    match usize::try_from(length).ok().and_then(|length| so_far.checked_add(length)) {
        Some(total) if total <= limit => Ok(Some(total - so_far)),
        Some(total) => Err(Error::TooLong(total as u64)),
        None => Err(Error::TooLong(length)),
    }
}

//! Frames out of a stream of bytes that comes in any pieces.

use bytes::{Bytes, BytesMut};
use carillon_sdk::wire::ws::{self, Decoder, Message, Opcode, Role};
use carillon_sdk::wire::{self, Decoded, FRAME_BYTES_MAX, Frame};

use super::Batch;
use crate::link::Framing;

/// What arrived.
#[derive(Debug, PartialEq)]
pub(crate) enum Inbound {
    Frame(Frame),
    /// Types and fields this version does not know, passed over.
    Unknown(u32),
    Malformed,
    /// Nothing after this can be followed.
    TooLong,
    /// To be written as it is: what WebSocket itself answers.
    Reply(Bytes),
}

/// Keeps the bytes of an incomplete frame, and only those.
pub(super) struct Deframer {
    partial: Option<Box<BytesMut>>,
    websocket: Decoder,
    /// Bytes came with the Hello that were not looked at yet.
    unread: bool,
    /// The stream cannot be followed any further; what comes is thrown away.
    lost: bool,
}

impl Deframer {
    pub(super) fn new(rest: &[u8]) -> Self {
        let partial = (!rest.is_empty()).then(|| Box::new(BytesMut::from(rest)));
        Self { unread: partial.is_some(), partial, websocket: Decoder::new(Role::Server), lost: false }
    }

    #[cfg(test)]
    pub(super) const fn is_empty(&self) -> bool {
        self.partial.is_none()
    }

    /// The frames among the bytes that came with the Hello.
    pub(super) fn kept(&mut self, framing: Framing, batch: &mut Batch) {
        if std::mem::take(&mut self.unread) {
            self.take(framing, &[], batch);
        }
    }

    pub(super) fn take(&mut self, framing: Framing, bytes: &[u8], batch: &mut Batch) {
        if self.lost {
            return;
        }
        if framing == Framing::Native && self.partial.is_none() {
            let consumed = self.native(bytes, batch);
            self.keep(&bytes[consumed..]);
            return;
        }
        let mut whole = self.partial.take().map_or_else(BytesMut::new, |partial| *partial);
        whole.extend_from_slice(bytes);
        let consumed = match framing {
            Framing::Native => self.native(&whole, batch),
            Framing::WebSocketBinary | Framing::WebSocketText => {
                self.messages(&mut whole, batch);
                0
            }
        };
        self.keep(&whole[consumed..]);
    }

    /// Copied, so that a few bytes do not hold on to a large buffer.
    fn keep(&mut self, rest: &[u8]) {
        if !rest.is_empty() && !self.lost {
            self.partial = Some(Box::new(BytesMut::from(rest)));
        }
    }

    fn native(&mut self, bytes: &[u8], batch: &mut Batch) -> usize {
        let mut at = 0;
        loop {
            match wire::frame_len(&bytes[at..], FRAME_BYTES_MAX) {
                Ok(Some(whole)) => {
                    take_body(wire::decode_body(&bytes[at + 4..at + whole]), batch);
                    at += whole;
                }
                Ok(None) => return at,
                Err(_) => {
                    self.lose(batch);
                    return bytes.len();
                }
            }
        }
    }

    fn messages(&mut self, bytes: &mut BytesMut, batch: &mut Batch) {
        while !self.lost {
            match self.websocket.decode(bytes, FRAME_BYTES_MAX) {
                Ok(Some(Message::Binary(body))) => take_body(wire::decode_body(&body), batch),
                Ok(Some(Message::Text(text))) => take_body(wire::decode_json(&text), batch),
                Ok(Some(Message::Ping(payload))) => {
                    batch.push(Inbound::Reply(ws::frame(Opcode::Pong, &payload)));
                }
                Ok(Some(Message::Pong(_))) => {}
                Ok(Some(Message::Close(code))) => {
                    let payload = code.map_or_else(Bytes::new, |code| ws::close_payload(code, ""));
                    batch.push(Inbound::Reply(ws::frame(Opcode::Close, &payload)));
                    self.lost = true;
                }
                Ok(None) => return,
                Err(ws::Error::TooLong(_)) => self.lose(batch),
                Err(error) => {
                    let close = ws::close_payload(error.close_code(), "");
                    batch.push(Inbound::Reply(ws::frame(Opcode::Close, &close)));
                    self.lose(batch);
                }
            }
        }
    }

    fn lose(&mut self, batch: &mut Batch) {
        batch.push(Inbound::TooLong);
        self.lost = true;
    }
}

fn take_body(decoded: Result<Decoded, wire::Error>, batch: &mut Batch) {
    match decoded {
        Ok(Decoded { frame, unknown }) => {
            if unknown > 0 {
                batch.push(Inbound::Unknown(unknown));
            }
            if let Some(frame) = frame {
                batch.push(Inbound::Frame(frame));
            }
        }
        Err(wire::Error::TooLong(_)) => batch.push(Inbound::TooLong),
        Err(wire::Error::Malformed(_)) => batch.push(Inbound::Malformed),
    }
}

/// A body as a WebSocket message.
pub(super) fn message(framing: Framing, payload: &[u8], buffer: &mut Vec<u8>) {
    let opcode = if framing == Framing::WebSocketText { Opcode::Text } else { Opcode::Binary };
    buffer.extend_from_slice(ws::header(opcode, payload.len()).as_slice());
    buffer.extend_from_slice(payload);
}

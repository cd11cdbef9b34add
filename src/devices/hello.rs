//! What a guest says before it is let in, without sockets: bytes in, [`Greeting`]s out.

use bytes::{Buf, Bytes, BytesMut};
use carillon_actors::link::{Framing, Protocol};
use carillon_sdk::wire::ws::{self, Decoder, Message, Opcode, Role, handshake};
use carillon_sdk::wire::{self, Decoded, ErrorCode, Frame, GoodbyeReason, Hello};

/// Longest frame a stranger may send: a credential, an app version and 256 places held, with room
/// to spare.
const HELLO_BYTES_MAX: usize = 8 * 1024;

/// The one path on which the device listener speaks WebSocket.
const PATH: &str = "/v1/socket";

/// Length prefix of a native frame; a WebSocket message has its own.
const PREFIX_BYTES: usize = 4;

/// What to do next with a guest.
#[derive(Debug, PartialEq)]
pub(super) enum Greeting {
    /// Read more.
    More,
    /// Write these and ask again.
    Write(Bytes),
    /// `rest` came after the Hello.
    Hello { hello: Box<Hello>, rest: Bytes, framing: Framing },
    /// Write these and close: the answer to a request that is no upgrade, or to a Close.
    Last(Bytes),
    /// Say so, and close.
    Broken { code: ErrorCode, detail: String },
}

pub(super) struct Reader {
    stage: Stage,
    /// What has come and is no whole frame yet.
    bytes: BytesMut,
}

enum Stage {
    Native,
    /// An HTTP request is to come.
    Upgrade,
    /// Text or binary is known with the first message.
    WebSocket {
        decoder: Decoder,
        framing: Framing,
    },
}

impl Reader {
    pub(super) fn new(protocol: Protocol) -> Self {
        let stage = match protocol {
            Protocol::Tcp | Protocol::Tls => Stage::Native,
            Protocol::Ws | Protocol::Wss => Stage::Upgrade,
        };
        Self { stage, bytes: BytesMut::new() }
    }

    pub(super) fn take(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// In what the guest is to be answered; None while it has not upgraded to a WebSocket.
    pub(super) fn framing(&self) -> Option<Framing> {
        match self.stage {
            Stage::Native => Some(Framing::Native),
            Stage::Upgrade => None,
            Stage::WebSocket { framing, .. } => Some(framing),
        }
    }

    /// Frames of a type this build does not know are passed over, as everywhere.
    pub(super) fn next(&mut self) -> Greeting {
        loop {
            let greeting = match &mut self.stage {
                Stage::Native => native(&mut self.bytes),
                Stage::Upgrade => {
                    let greeting = upgrade(&mut self.bytes);
                    if matches!(greeting, Greeting::Write(_)) {
                        let decoder = Decoder::new(Role::Server);
                        self.stage = Stage::WebSocket { decoder, framing: Framing::WebSocketBinary };
                    }
                    return greeting;
                }
                Stage::WebSocket { decoder, framing } => web_socket(decoder, framing, &mut self.bytes),
            };
            if let Some(greeting) = greeting {
                return greeting;
            }
        }
    }
}

/// None for a frame that was passed over.
fn native(bytes: &mut BytesMut) -> Option<Greeting> {
    match wire::decode(bytes, HELLO_BYTES_MAX) {
        Ok(None) => Some(Greeting::More),
        Ok(Some(decoded)) => first_frame(decoded, bytes, Framing::Native),
        Err(error) => Some(broken(&error)),
    }
}

fn upgrade(bytes: &mut BytesMut) -> Greeting {
    match handshake::request(bytes) {
        Ok(None) => Greeting::More,
        Ok(Some(request)) if request.path.split('?').next() == Some(PATH) => {
            bytes.advance(request.leftover);
            Greeting::Write(handshake::accept(&request.key, request.protocol()).into())
        }
        Ok(Some(_)) => Greeting::Last(handshake::refuse("404 Not Found").into()),
        Err(invalid) => Greeting::Last(invalid.response().into()),
    }
}

/// None for a message that was passed over.
fn web_socket(decoder: &mut Decoder, framing: &mut Framing, bytes: &mut BytesMut) -> Option<Greeting> {
    let message = match decoder.decode(bytes, HELLO_BYTES_MAX) {
        Ok(None) => return Some(Greeting::More),
        Ok(Some(message)) => message,
        Err(ws::Error::TooLong(length)) => return Some(broken(&wire::Error::TooLong(length))),
        Err(error) => return Some(broken(&wire::Error::Malformed(error.to_string()))),
    };
    let decoded = match message {
        Message::Ping(payload) => return Some(Greeting::Write(ws::frame(Opcode::Pong, &payload))),
        Message::Pong(_) => return None,
        Message::Close(code) => {
            let payload = ws::close_payload(code.unwrap_or(1000), "");
            return Some(Greeting::Last(ws::frame(Opcode::Close, &payload)));
        }
        Message::Text(text) => {
            *framing = Framing::WebSocketText;
            wire::decode_json(&text)
        }
        Message::Binary(body) => {
            *framing = Framing::WebSocketBinary;
            wire::decode_body(&body)
        }
    };
    match decoded {
        Ok(decoded) => first_frame(decoded, bytes, *framing),
        Err(error) => Some(broken(&error)),
    }
}

fn first_frame(decoded: Decoded, bytes: &mut BytesMut, framing: Framing) -> Option<Greeting> {
    match decoded.frame? {
        Frame::Hello(hello) => {
            Some(Greeting::Hello { hello: Box::new(hello), rest: bytes.split().freeze(), framing })
        }
        _ => Some(Greeting::Broken {
            code: ErrorCode::HelloExpected,
            detail: "the first frame of a connection is Hello".to_owned(),
        }),
    }
}

fn broken(error: &wire::Error) -> Greeting {
    let (code, detail) = match error {
        wire::Error::TooLong(length) => {
            (ErrorCode::FrameTooLong, format!("{length} bytes; a Hello has at most {HELLO_BYTES_MAX}"))
        }
        wire::Error::Malformed(what) => (ErrorCode::FrameMalformed, what.clone()),
    };
    Greeting::Broken { code, detail }
}

/// The frames a guest leaves with, as it reads them.
pub(super) fn last_words(frames: &[Frame], framing: Framing) -> Bytes {
    let mut words = BytesMut::new();
    for frame in frames {
        match framing {
            Framing::Native => words.extend_from_slice(&wire::encode(frame)),
            Framing::WebSocketBinary => {
                words.extend_from_slice(&ws::frame(Opcode::Binary, &wire::encode(frame)[PREFIX_BYTES..]));
            }
            Framing::WebSocketText => {
                words.extend_from_slice(&ws::frame(Opcode::Text, &wire::encode_json(frame)));
            }
        }
        if let (Frame::Goodbye(goodbye), true) = (frame, framing != Framing::Native) {
            let payload = ws::close_payload(close_code(goodbye.reason), "");
            words.extend_from_slice(&ws::frame(Opcode::Close, &payload));
        }
    }
    words.freeze()
}

/// For libraries and proxies; a device goes by the Goodbye.
fn close_code(reason: GoodbyeReason) -> u16 {
    match reason {
        GoodbyeReason::Draining => 1001,
        GoodbyeReason::Protocol => 1002,
        GoodbyeReason::Credential | GoodbyeReason::Revoked => 1008,
        GoodbyeReason::Busy => 1013,
        _ => 1000,
    }
}

#[cfg(test)]
mod tests;

//! What a guest says before it is let in, without sockets: bytes in, [`Greeting`]s out.

use bytes::{Bytes, BytesMut};
use carillon_actors::link::{Framing, Protocol};
use carillon_sdk::wire::{self, ErrorCode, Frame, Hello};

/// Longest frame a stranger may send: a credential, an app version and 256 places held, with room
/// to spare.
const HELLO_BYTES_MAX: usize = 8 * 1024;

/// What to do next with a guest.
#[derive(Debug, PartialEq)]
pub(super) enum Greeting {
    /// Read more.
    More,
    /// Write these and ask again.
    Write(Bytes),
    /// `rest` came after the Hello.
    Hello { hello: Box<Hello>, rest: Bytes, framing: Framing },
    /// Answer a request that is no upgrade, and close.
    Http(Bytes),
    /// Say so, and close.
    Broken { code: ErrorCode, detail: String },
    /// The guest ended it itself.
    Ended,
}

pub(super) struct Reader {
    stage: Stage,
    /// What has come and is no whole frame yet.
    bytes: BytesMut,
}

enum Stage {
    Native,
}

impl Reader {
    pub(super) fn new(protocol: Protocol) -> Self {
        let stage = match protocol {
            Protocol::Tcp | Protocol::Tls | Protocol::Ws | Protocol::Wss => Stage::Native,
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
        }
    }

    pub(super) fn next(&mut self) -> Greeting {
        match self.stage {
            Stage::Native => self.native(),
        }
    }

    fn native(&mut self) -> Greeting {
        match wire::decode(&mut self.bytes, HELLO_BYTES_MAX) {
            Ok(None) => Greeting::More,
            Ok(Some(decoded)) => self.greeting(decoded.frame, Framing::Native),
            Err(error) => broken(&error),
        }
    }

    fn greeting(&mut self, frame: Option<Frame>, framing: Framing) -> Greeting {
        match frame {
            Some(Frame::Hello(hello)) => {
                Greeting::Hello { hello: Box::new(hello), rest: self.bytes.split().freeze(), framing }
            }
            // Of a type this build does not know: passed over, as everywhere.
            None => self.next(),
            Some(_) => Greeting::Broken {
                code: ErrorCode::HelloExpected,
                detail: "the first frame of a connection is Hello".to_owned(),
            },
        }
    }
}

fn broken(error: &wire::Error) -> Greeting {
    let code = match error {
        wire::Error::TooLong(_) => ErrorCode::FrameTooLong,
        wire::Error::Malformed(_) => ErrorCode::FrameMalformed,
    };
    Greeting::Broken { code, detail: error.to_string() }
}

/// The frames a guest leaves with, as it reads them.
pub(super) fn last_words(frames: &[Frame], framing: Framing) -> Bytes {
    let mut words = BytesMut::new();
    for frame in frames {
        match framing {
            Framing::Native => words.extend_from_slice(&wire::encode(frame)),
            Framing::WebSocketBinary | Framing::WebSocketText => (),
        }
    }
    words.freeze()
}

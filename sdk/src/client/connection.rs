//! One connection: frames out, frames in, and no opinion about either. For tests and tools, and
//! what [`super::DeviceClient`] stands on.

use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{Address, Trust, tls};
use crate::wire::ws::{self, Decoder, Message, Opcode, Role, handshake};
use crate::wire::{self, Decoded, FRAME_BYTES_MAX, Frame};

/// What is read at once while nothing waits: a push of ordinary size. Grows with what comes.
const READ_BYTES: usize = 1024;

/// Why there is no connection, or no longer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("connect to {address}")]
    Connect { address: String, source: io::Error },
    #[error("read or write the connection")]
    Io(#[from] io::Error),
    #[error("set TLS up")]
    Tls(#[from] tls::Error),
    #[error("{0:?} is not a name a certificate could bear")]
    ServerName(String),
    #[error("open the WebSocket")]
    Handshake(#[from] handshake::Invalid),
    #[error("follow the WebSocket")]
    WebSocket(#[from] ws::Error),
    #[error("read a frame")]
    Wire(#[from] wire::Error),
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// How frames lie in the stream.
enum Framing {
    Native,
    WebSocket { decoder: Decoder, text: bool },
}

/// One connection, opened: TLS and the WebSocket's handshake are behind it, Hello is not.
pub struct Connection {
    stream: Box<dyn Stream>,
    framing: Framing,
    inbound: BytesMut,
    /// Pongs of the WebSocket, not yet written.
    replies: BytesMut,
    /// The server said that nothing more will come.
    closed: bool,
    unknown: u64,
}

impl Connection {
    /// Connects, with TLS and the WebSocket's opening where `address` says so. Has no deadline.
    pub async fn open(address: &Address, trust: &Trust) -> Result<Self, Error> {
        let (stream, framing, inbound) = match address {
            Address::Tcp(to) => (dial(to, None).await?, Framing::Native, BytesMut::new()),
            Address::Tls(to) => (dial(to, Some(trust)).await?, Framing::Native, BytesMut::new()),
            Address::WebSocket { url, text } => {
                let port = url.port_or_known_default().unwrap_or(80);
                let to = format!("{}:{port}", url.host_str().unwrap_or_default());
                let mut stream = dial(&to, (url.scheme() == "wss").then_some(trust)).await?;
                let path = match url.query() {
                    Some(query) => format!("{}?{query}", url.path()),
                    None => url.path().to_owned(),
                };
                let inbound = upgrade(&mut stream, &to, &path).await?;
                let framing = Framing::WebSocket { decoder: Decoder::new(Role::Client), text: *text };
                (stream, framing, inbound)
            }
        };
        Ok(Self { stream, framing, inbound, replies: BytesMut::new(), closed: false, unknown: 0 })
    }

    /// Writes one frame whole. Not safe to cancel: a frame may be left half written.
    pub async fn send(&mut self, frame: &Frame) -> Result<(), Error> {
        let bytes = match &self.framing {
            Framing::Native => wire::encode(frame),
            // The body alone: a message knows its own length.
            Framing::WebSocket { text: false, .. } => masked(Opcode::Binary, &wire::encode(frame)[4..]),
            Framing::WebSocket { text: true, .. } => masked(Opcode::Text, &wire::encode_json(frame)),
        };
        self.send_raw(&bytes).await
    }

    /// Writes bytes as they are, good or bad.
    pub async fn send_raw(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.reply().await?;
        self.stream.write_all(bytes).await?;
        Ok(self.stream.flush().await?)
    }

    /// The next frame of a type this side knows, None when the server has closed. Answers a
    /// WebSocket's pings. Safe to cancel.
    pub async fn next(&mut self) -> Result<Option<Frame>, Error> {
        loop {
            // Between a frame taken and its return nothing may wait: cancelled there, it would be lost.
            self.reply().await?;
            if let Some(frame) = self.next_ready()? {
                return Ok(Some(frame));
            }
            if !self.replies.is_empty() {
                continue;
            }
            if self.closed {
                return Ok(None);
            }
            if self.inbound.is_empty() {
                self.inbound = BytesMut::with_capacity(READ_BYTES);
            }
            if self.stream.read_buf(&mut self.inbound).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// A frame that has come already, without waiting for one. What a WebSocket asks for on the way
    /// is answered with the next write.
    pub fn next_ready(&mut self) -> Result<Option<Frame>, Error> {
        while let Some(decoded) = self.take()? {
            self.unknown += u64::from(decoded.unknown);
            if decoded.frame.is_some() {
                return Ok(decoded.frame);
            }
        }
        Ok(None)
    }

    /// Writes the replies that are due; what is left when it is cancelled is written next time.
    async fn reply(&mut self) -> Result<(), Error> {
        if self.replies.is_empty() {
            return Ok(());
        }
        while !self.replies.is_empty() {
            self.stream.write_buf(&mut self.replies).await?;
        }
        Ok(self.stream.flush().await?)
    }

    /// Frames and fields that this side did not know and passed over.
    #[must_use]
    pub const fn unknown(&self) -> u64 {
        self.unknown
    }

    /// Says that nothing more will be sent, and ends.
    pub async fn close(&mut self) {
        if matches!(self.framing, Framing::WebSocket { .. }) {
            let goodbye = masked(Opcode::Close, &ws::close_payload(1000, ""));
            // The other side may have gone already, which is as good as closed.
            let _ = self.send_raw(&goodbye).await;
        }
        let _ = self.stream.shutdown().await;
    }

    /// What can be had of the bytes that have come: None when more are needed, or no more will come.
    fn take(&mut self) -> Result<Option<Decoded>, Error> {
        let Framing::WebSocket { decoder, .. } = &mut self.framing else {
            return Ok(wire::decode(&mut self.inbound, FRAME_BYTES_MAX)?);
        };
        while let Some(message) = decoder.decode(&mut self.inbound, FRAME_BYTES_MAX)? {
            match message {
                Message::Binary(body) => return Ok(Some(wire::decode_body(&body)?)),
                Message::Text(text) => return Ok(Some(wire::decode_json(&text)?)),
                Message::Ping(payload) => self.replies.extend_from_slice(&masked(Opcode::Pong, &payload)),
                Message::Pong(_) => {}
                Message::Close(code) => {
                    let payload = code.map(|code| ws::close_payload(code, "")).unwrap_or_default();
                    self.replies.extend_from_slice(&masked(Opcode::Close, &payload));
                    self.closed = true;
                    return Ok(None);
                }
            }
        }
        Ok(None)
    }
}

fn masked(opcode: Opcode, payload: &[u8]) -> Bytes {
    let mut mask = [0; 4];
    getrandom::fill(&mut mask).expect("an operating system without random bytes cannot speak TLS either");
    ws::masked(opcode, payload, mask)
}

/// A TCP connection, under TLS if someone is to be trusted.
async fn dial(to: &str, trust: Option<&Trust>) -> Result<Box<dyn Stream>, Error> {
    let connect = |source| Error::Connect { address: to.to_owned(), source };
    let stream = TcpStream::connect(to).await.map_err(connect)?;
    stream.set_nodelay(true)?;
    let Some(trust) = trust else { return Ok(Box::new(stream)) };
    let host = to.rsplit_once(':').map_or(to, |(host, _)| host).trim_matches(['[', ']']);
    let name = ServerName::try_from(host.to_owned()).map_err(|_| Error::ServerName(host.to_owned()))?;
    let connector = TlsConnector::from(Arc::new(tls::config(trust)?));
    Ok(Box::new(connector.connect(name, stream).await.map_err(connect)?))
}

/// The WebSocket's opening; returns what came after the server's answer.
async fn upgrade(stream: &mut Box<dyn Stream>, host: &str, path: &str) -> Result<BytesMut, Error> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let key = handshake::client_key(random);
    stream.write_all(handshake::client_request(host, path, &key).as_bytes()).await?;
    stream.flush().await?;
    let mut inbound = BytesMut::with_capacity(READ_BYTES);
    loop {
        if let Some(end) = handshake::response(&inbound, &key)? {
            return Ok(inbound.split_off(end));
        }
        if stream.read_buf(&mut inbound).await? == 0 {
            return Err(Error::Io(io::ErrorKind::UnexpectedEof.into()));
        }
    }
}

//! A server played by hand: it accepts, reads what the device says, and says what the test wants.

use std::future::Future;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::NOW;
use crate::client::device::{Backoff, Options};
use crate::client::{Address, Trust};
use crate::ids::UserId;
use crate::wire::ws::{self, Decoder, Message, Opcode, Role, handshake};
use crate::wire::{self, FRAME_BYTES_MAX, Frame, Hello, Welcome};

/// What a test waits for comes within this, or the test fails.
pub(super) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), what).await.expect("in time")
}

pub(super) enum Door {
    Tcp,
    Tls(tokio_rustls::TlsAcceptor),
    WebSocket,
}

pub(super) struct Played {
    listener: TcpListener,
    door: Door,
}

trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}

/// One accepted connection, seen from the server.
pub(super) struct Peer {
    stream: Box<dyn Stream>,
    inbound: BytesMut,
    web: Option<Decoder>,
    /// Whether the device speaks JSON.
    pub(super) text: bool,
}

impl Played {
    pub(super) async fn at(door: Door) -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.unwrap(), door }
    }

    pub(super) fn host(&self) -> String {
        self.listener.local_addr().unwrap().to_string()
    }

    /// A device's options for this server, quick to come back.
    pub(super) fn options(&self) -> Options {
        let moment = Duration::from_millis(5);
        let address = match self.door {
            Door::Tcp => Address::Tcp(self.host()),
            Door::Tls(_) => Address::Tls(self.host()),
            Door::WebSocket => format!("ws://{}/v1/socket?a=b", self.host()).parse().unwrap(),
        };
        Options { backoff: Backoff { first: moment, max: moment }, ..Options::new(address, "credential") }
    }

    pub(super) async fn accept(&self) -> Peer {
        let (stream, _) = soon(self.listener.accept()).await.unwrap();
        let (stream, web): (Box<dyn Stream>, _) = match &self.door {
            Door::Tcp => (Box::new(stream), None),
            Door::Tls(acceptor) => (Box::new(soon(acceptor.accept(stream)).await.unwrap()), None),
            Door::WebSocket => (Box::new(stream), Some(Decoder::new(Role::Server))),
        };
        let mut peer = Peer { stream, inbound: BytesMut::new(), web, text: false };
        if peer.web.is_some() {
            peer.upgrade().await;
        }
        peer
    }

    /// Accepts again and again, and fails each time: a certificate nobody trusts.
    pub(super) async fn accept_and_fail(&self) {
        let Door::Tls(acceptor) = &self.door else { panic!("only TLS fails so") };
        loop {
            let (stream, _) = self.listener.accept().await.unwrap();
            assert!(acceptor.accept(stream).await.is_err());
        }
    }

    /// Accepts, reads Hello, and answers with session `session` of `user`.
    pub(super) async fn welcome(&self, session: u64, user: Option<UserId>) -> (Peer, Hello) {
        self.welcome_at(session, user, 270).await
    }

    pub(super) async fn welcome_at(
        &self,
        session: u64,
        user: Option<UserId>,
        heartbeat_s: u32,
    ) -> (Peer, Hello) {
        let mut peer = self.accept().await;
        let Frame::Hello(hello) = peer.frame().await else { panic!("no Hello first") };
        let welcome =
            Welcome { version: 1, session, heartbeat_s, now: NOW, user_id: user, ..Welcome::default() };
        peer.say(&Frame::Welcome(welcome)).await;
        (peer, hello)
    }
}

impl Peer {
    async fn upgrade(&mut self) {
        let request = loop {
            match handshake::request(&self.inbound).unwrap() {
                Some(request) => break request,
                None => assert!(self.read().await, "closed within its handshake"),
            }
        };
        assert_eq!(request.path, "/v1/socket?a=b");
        let _ = self.inbound.split_to(request.leftover);
        self.raw(handshake::accept(&request.key, request.protocol()).as_bytes()).await;
    }

    async fn read(&mut self) -> bool {
        soon(self.stream.read_buf(&mut self.inbound)).await.unwrap_or(0) > 0
    }

    pub(super) async fn raw(&mut self, bytes: &[u8]) {
        soon(self.stream.write_all(bytes)).await.unwrap();
        soon(self.stream.flush()).await.unwrap();
    }

    pub(super) async fn say(&mut self, frame: &Frame) {
        let bytes: Bytes = match (&self.web, self.text) {
            (None, _) => wire::encode(frame),
            (Some(_), false) => ws::frame(Opcode::Binary, &wire::encode(frame)[4..]),
            (Some(_), true) => ws::frame(Opcode::Text, &wire::encode_json(frame)),
        };
        self.raw(&bytes).await;
    }

    /// The next frame, or none when the device has closed.
    pub(super) async fn next(&mut self) -> Option<Frame> {
        loop {
            let decoded = match &mut self.web {
                None => wire::decode(&mut self.inbound, FRAME_BYTES_MAX).unwrap(),
                Some(decoder) => match decoder.decode(&mut self.inbound, FRAME_BYTES_MAX).unwrap() {
                    Some(Message::Binary(body)) => Some(wire::decode_body(&body).unwrap()),
                    Some(Message::Text(text)) => {
                        self.text = true;
                        Some(wire::decode_json(&text).unwrap())
                    }
                    Some(Message::Close(_)) => return None,
                    Some(_) => continue,
                    None => None,
                },
            };
            match decoded {
                Some(decoded) => return Some(decoded.frame.expect("a frame both sides know")),
                None if self.read().await => {}
                None => return None,
            }
        }
    }

    /// The payload of the WebSocket's next pong.
    pub(super) async fn pong(&mut self) -> Bytes {
        let decoder = self.web.as_mut().expect("a WebSocket");
        loop {
            match decoder.decode(&mut self.inbound, FRAME_BYTES_MAX).unwrap() {
                Some(Message::Pong(payload)) => return payload,
                Some(other) => panic!("{other:?}"),
                None => assert!(soon(self.stream.read_buf(&mut self.inbound)).await.unwrap() > 0),
            }
        }
    }

    pub(super) async fn frame(&mut self) -> Frame {
        self.next().await.expect("a frame before the end")
    }

    /// Everything the device says until it has answered a Ping: proof of what it did not say.
    pub(super) async fn settled(&mut self) -> Vec<Frame> {
        self.say(&Frame::Ping).await;
        let mut said = Vec::new();
        loop {
            match self.frame().await {
                Frame::Pong => return said,
                frame => said.push(frame),
            }
        }
    }
}

/// A TLS door under a certificate of its own, and the trust in it.
pub(super) fn tls() -> (Door, Trust) {
    let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = rustls_pki_types::PrivateKeyDer::Pkcs8(certified.signing_key.serialize_der().into());
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    (Door::Tls(std::sync::Arc::new(config).into()), Trust::Pem(certified.cert.pem()))
}

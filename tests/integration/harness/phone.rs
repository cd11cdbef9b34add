//! A device speaking the wire protocol over TCP, frame by frame: nothing is acked or answered that
//! the test does not ack or answer, but for pings.

use bytes::BytesMut;
use carillon_sdk::wire::{self, Ack, Frame, Goodbye, Hello, Push, Welcome};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{PATIENCE, Server};

pub(crate) struct Phone {
    pub(crate) id: String,
    pub(crate) credential: String,
    pub(crate) welcome: Welcome,
    stream: Option<TcpStream>,
    bytes: BytesMut,
}

impl Phone {
    /// A registered phone that is not connected.
    pub(crate) async fn register(server: &Server, device_id: &str) -> Self {
        let body = json!({"device_id": device_id, "platform": "android", "app_version": "1.0"});
        let made = server.app().post("/v1/devices", body).await.expect_ok().body;
        Self::known(device_id, made["credential"].as_str().expect("a credential"))
    }

    pub(crate) fn known(device_id: &str, credential: &str) -> Self {
        Self {
            id: device_id.to_owned(),
            credential: credential.to_owned(),
            welcome: Welcome::default(),
            stream: None,
            bytes: BytesMut::new(),
        }
    }

    pub(crate) fn hello(&self) -> Hello {
        Hello {
            version: wire::VERSION,
            credential: self.credential.clone(),
            resume: self.welcome.session,
            ..Hello::default()
        }
    }

    pub(crate) async fn connected(mut self, server: &Server) -> Self {
        self.connect(server).await;
        self
    }

    /// Connects anew and waits for Welcome.
    pub(crate) async fn connect(&mut self, server: &Server) {
        self.connect_holding(server, Vec::new()).await;
    }

    pub(crate) async fn connect_holding(&mut self, server: &Server, holding: Vec<u64>) {
        self.open(server).await;
        self.send(&Frame::Hello(Hello { holding, ..self.hello() })).await;
        match self.next().await {
            Some(Frame::Welcome(welcome)) => self.welcome = welcome,
            other => panic!("Welcome, not {other:?}"),
        }
    }

    /// Connects if the server is there and welcomes: for clients of a server that may be dying.
    pub(crate) async fn try_connect(&mut self, address: &str) -> bool {
        self.bytes.clear();
        let Ok(stream) = TcpStream::connect(address).await else { return false };
        self.stream = Some(stream);
        self.send(&Frame::Hello(self.hello())).await;
        match self.frame().await {
            Some(Frame::Welcome(welcome)) => self.welcome = welcome,
            _ => self.stream = None,
        }
        self.stream.is_some()
    }

    /// The next frame, however long it takes; None when the server closed.
    pub(crate) async fn next_or_closed(&mut self) -> Option<Frame> {
        self.frame().await
    }

    /// A bare connection: no Hello.
    pub(crate) async fn open(&mut self, server: &Server) {
        self.bytes.clear();
        let stream =
            TcpStream::connect(&server.ready.devices_tcp).await.expect("the device listener accepts");
        stream.set_nodelay(true).expect("nodelay");
        self.stream = Some(stream);
    }

    pub(crate) fn disconnect(&mut self) {
        self.stream = None;
    }

    pub(crate) async fn send(&mut self, frame: &Frame) {
        self.send_bytes(&wire::encode(frame)).await;
    }

    /// Bytes as they are; a connection the server has closed takes them silently.
    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        let _closed = self.stream.as_mut().expect("connected").write_all(bytes).await;
    }

    /// The next frame but for pings, which are answered; None when the server closed.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        tokio::time::timeout(PATIENCE, self.frame())
            .await
            .unwrap_or_else(|_| panic!("{}: no frame came", self.id))
    }

    async fn frame(&mut self) -> Option<Frame> {
        loop {
            if let Some(decoded) =
                wire::decode(&mut self.bytes, wire::FRAME_BYTES_MAX).expect("the server sends frames")
            {
                match decoded.frame {
                    Some(Frame::Ping) => self.send(&Frame::Pong).await,
                    Some(frame) => return Some(frame),
                    None => {}
                }
                continue;
            }
            match self.stream.as_mut().expect("connected").read_buf(&mut self.bytes).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// The next push, with that title. Not acked.
    pub(crate) async fn expect_push(&mut self, title: &str) -> Push {
        match self.next().await {
            Some(Frame::Push(push)) => {
                assert_eq!(push.title.as_deref(), Some(title), "{}", self.id);
                push
            }
            other => panic!("{}: the push {title:?}, not {other:?}", self.id),
        }
    }

    pub(crate) async fn ack(&mut self, push: &Push) {
        self.send(&Frame::Ack(Ack { seqs: vec![push.seq] })).await;
    }

    /// The next push, with that title, acked.
    pub(crate) async fn take(&mut self, title: &str) -> Push {
        let push = self.expect_push(title).await;
        self.ack(&push).await;
        push
    }

    pub(crate) async fn expect_goodbye(&mut self) -> Goodbye {
        match self.next().await {
            Some(Frame::Goodbye(goodbye)) => goodbye,
            other => panic!("{}: a Goodbye, not {other:?}", self.id),
        }
    }

    pub(crate) async fn expect_error(&mut self, code: wire::ErrorCode) {
        match self.next().await {
            Some(Frame::Error(error)) => assert_eq!(error.code, code, "{}", error.detail),
            other => panic!("{}: the error {code:?}, not {other:?}", self.id),
        }
    }

    pub(crate) async fn expect_closed(&mut self) {
        match self.next().await {
            None => {}
            Some(frame) => panic!("{}: a closed connection, not {frame:?}", self.id),
        }
    }
}

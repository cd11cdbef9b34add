//! An app server that takes receipts: real HTTP on loopback, and what it answers is the test's.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carillon_sdk::api::EventView;
use hmac::{Hmac, KeyInit, Mac};
use parking_lot::Mutex;
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::eventually;

#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) target: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
    /// Whether it was answered with 200.
    pub(crate) taken: bool,
}

/// Status and further header lines; None to say nothing at all.
pub(crate) type Reply = Option<(u16, &'static str)>;

pub(crate) const OK: Reply = Some((200, ""));

type Answers = Arc<Mutex<Box<dyn FnMut(&Received) -> Reply + Send>>>;

pub(crate) struct Receiver {
    address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    answers: Answers,
    serving: tokio::task::JoinHandle<()>,
}

impl Receiver {
    /// One that takes everything.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let received = Arc::default();
        let answers: Answers = Arc::new(Mutex::new(Box::new(|_: &Received| OK)));
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(serve(listener, Arc::clone(&received), Arc::clone(&answers)));
        Self { address, received, answers, serving }
    }

    pub(crate) fn answer_with(&self, answer: impl FnMut(&Received) -> Reply + Send + 'static) {
        *self.answers.lock() = Box::new(answer);
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().clone()
    }

    /// Events that were taken, in the order in which they came.
    pub(crate) fn taken(&self) -> Vec<EventView> {
        let received = self.received.lock();
        received.iter().filter(|received| received.taken).flat_map(Received::events).collect()
    }

    /// Waits until what was taken is so.
    pub(crate) async fn until(&self, what: &str, is_so: impl Fn(&[EventView]) -> bool) -> Vec<EventView> {
        eventually(what, async || Some(self.taken()).filter(|events| is_so(events))).await
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Received {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn events(&self) -> Vec<EventView> {
        serde_json::from_value(self.json()["data"]["events"].clone()).unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// As a receiver does: whether any of its signatures is that of this secret over this body.
    pub(crate) fn verifies(&self, secret: &str, body: &[u8]) -> bool {
        let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        mac.update(format!("{}.{}.", self.header("webhook-id"), self.header("webhook-timestamp")).as_bytes());
        mac.update(body);
        let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        self.header("webhook-signature").split(' ').any(|signature| signature == expected)
    }
}

async fn serve(listener: TcpListener, received: Arc<Mutex<Vec<Received>>>, answers: Answers) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (received, answers) = (Arc::clone(&received), Arc::clone(&answers));
        tokio::spawn(async move {
            let mut stream = stream;
            while let Some(mut request) = read(&mut stream).await {
                let reply = (answers.lock())(&request);
                request.taken = reply.is_some_and(|(status, _)| status == 200);
                received.lock().push(request);
                let Some((status, headers)) = reply else { return std::future::pending().await };
                let text = format!("HTTP/1.1 {status} Whatever\r\n{headers}Content-Length: 2\r\n\r\nok");
                if stream.write_all(text.as_bytes()).await.is_err() {
                    return;
                }
            }
        });
    }
}

async fn read(stream: &mut TcpStream) -> Option<Received> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.lines();
    let target = lines.next().unwrap().split(' ').nth(1).unwrap().to_owned();
    let headers: HashMap<_, _> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length: usize = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = bytes.split_off(end + 4);
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some(Received { target, headers, body, taken: false })
}

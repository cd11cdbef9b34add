//! Requests as a clumsy or hostile caller sends them: byte by byte, signed or not.

use carillon_sdk::api::Problem;
use carillon_sdk::{Timestamp, sign};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{App, now, within};

/// One request, to be bent before it is sent.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Call {
    pub(crate) fn new(method: &'static str, path: &str, body: &str) -> Self {
        let json = ("Content-Type".to_owned(), "application/json".to_owned());
        Self { method, path: path.to_owned(), headers: vec![json], body: body.as_bytes().to_vec() }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Signed as it should be.
    pub(crate) fn signed(self, app: &App) -> Self {
        self.signed_with(app, &app.secret, now(), &sign::fresh_nonce())
    }

    pub(crate) fn signed_with(self, app: &App, secret: &str, timestamp: Timestamp, nonce: &str) -> Self {
        let (path, query) = self.path.split_once('?').unwrap_or((&self.path, ""));
        let request = sign::Request { method: self.method, path, query, body: &self.body, timestamp, nonce };
        let authorization = sign::authorization(&app.key_id, secret, &request);
        self.header("Authorization", &authorization)
    }

    fn bytes(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\nHost: test\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("Content-Length: {}\r\nConnection: close\r\n\r\n", self.body.len()));
        [head.as_bytes(), &self.body].concat()
    }
}

/// Sends it on a connection of its own and reads until the server closes.
pub(crate) async fn call(address: &str, call: &Call) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // A server that refuses early may close before all is written; its answer is what counts.
    let _ = stream.write_all(&call.bytes()).await;
    let mut bytes = Vec::new();
    let _ = within("an answer", stream.read_to_end(&mut bytes)).await;
    Answer::read(&bytes)
}

impl Answer {
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("no answer in {:?}", String::from_utf8_lossy(bytes)));
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head[9..12].parse().unwrap();
        Self { status, head, body: bytes[end + 4..].to_vec() }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// It must be a problem with this status and code.
    pub(crate) fn expect_problem(&self, status: u16, code: &str) -> Problem {
        let problem: Problem = serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: no problem in {} {}", self.head, self.text()));
        assert_eq!((self.status, problem.code.as_str()), (status, code), "{problem:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        assert_eq!(problem.status, status);
        problem
    }
}

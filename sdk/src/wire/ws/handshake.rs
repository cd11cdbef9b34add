//! The opening handshake: an HTTP/1.1 request to upgrade, and its answer.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use sha1::{Digest as _, Sha1};

/// Longest request or response head that is read, in bytes.
pub const HEAD_BYTES_MAX: usize = 8 * 1024;

/// Most header lines of one.
const HEADERS_MAX: usize = 64;

/// The subprotocol a device may ask for; it is optional, since the version travels in Hello.
pub const PROTOCOL: &str = "carillon.v1";

/// RFC 6455, section 1.3.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A client's request to upgrade, well formed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// With its query, as sent.
    pub path: String,
    /// `Sec-WebSocket-Key`: 16 bytes in base64.
    pub key: String,
    /// The subprotocols offered, best first.
    pub protocols: Vec<String>,
    /// Where in the bytes the request ends: what follows is WebSocket already.
    pub leftover: usize,
}

impl Request {
    /// Our subprotocol, if the client offered it: to be named in the answer.
    #[must_use]
    pub fn protocol(&self) -> Option<&'static str> {
        self.protocols.iter().any(|protocol| protocol == PROTOCOL).then_some(PROTOCOL)
    }
}

/// Why bytes are no request we can upgrade, or no answer that does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    #[error("an HTTP head of more than {HEAD_BYTES_MAX} bytes or {HEADERS_MAX} lines")]
    TooLong,
    #[error("not HTTP/1.1")]
    Http,
    #[error("not a GET request to upgrade to WebSocket")]
    Upgrade,
    #[error("a WebSocket version other than 13")]
    Version,
    #[error("no Sec-WebSocket-Key of 16 bytes")]
    Key,
    #[error("the server answered {0}")]
    Status(u16),
    #[error("the server's Sec-WebSocket-Accept is not the key's")]
    Accept,
}

impl Invalid {
    /// The whole response that refuses; the connection ends after it.
    #[must_use]
    pub fn response(&self) -> String {
        let status = match self {
            Self::TooLong => "431 Request Header Fields Too Large",
            Self::Upgrade | Self::Version => {
                return refusal(
                    "426 Upgrade Required",
                    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
                    self,
                );
            }
            _ => "400 Bad Request",
        };
        refusal(status, "", self)
    }
}

fn refusal(status: &str, headers: &str, why: &Invalid) -> String {
    let text = format!("{why}\n");
    format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
        text.len()
    )
}

/// A response that sends a well-formed request away with another `status`, as `404 Not Found`.
#[must_use]
pub fn refuse(status: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}

/// The request in the bytes so far, None when more are needed.
pub fn request(bytes: &[u8]) -> Result<Option<Request>, Invalid> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut headers);
    let Some(leftover) = complete(parsed.parse(bytes), bytes)? else { return Ok(None) };
    let headers = Headers(parsed.headers);
    if parsed.version != Some(1) {
        return Err(Invalid::Http);
    }
    if parsed.method != Some("GET") || !headers.upgrades() {
        return Err(Invalid::Upgrade);
    }
    if headers.only("sec-websocket-version") != Some("13") {
        return Err(Invalid::Version);
    }
    let key = headers.only("sec-websocket-key").filter(|key| is_key(key)).ok_or(Invalid::Key)?;
    Ok(Some(Request {
        path: parsed.path.unwrap_or_default().to_owned(),
        key: key.to_owned(),
        protocols: headers.items("sec-websocket-protocol").map(str::to_owned).collect(),
        leftover,
    }))
}

fn is_key(text: &str) -> bool {
    BASE64.decode(text).is_ok_and(|bytes| bytes.len() == 16)
}

/// Where the head ends, None while it has not; the bound holds for both.
fn complete(parsed: httparse::Result<usize>, bytes: &[u8]) -> Result<Option<usize>, Invalid> {
    match parsed {
        Ok(httparse::Status::Complete(end)) if end <= HEAD_BYTES_MAX => Ok(Some(end)),
        Ok(httparse::Status::Partial) if bytes.len() < HEAD_BYTES_MAX => Ok(None),
        Ok(_) | Err(httparse::Error::TooManyHeaders) => Err(Invalid::TooLong),
        Err(_) => Err(Invalid::Http),
    }
}

struct Headers<'a>(&'a [httparse::Header<'a>]);

impl<'a> Headers<'a> {
    fn all(&self, name: &'static str) -> impl Iterator<Item = &'a str> {
        let lines = self.0.iter().filter(move |line| line.name.eq_ignore_ascii_case(name));
        lines.filter_map(|line| std::str::from_utf8(line.value).ok()).map(str::trim)
    }

    /// The value of a header that must stand exactly once.
    fn only(&self, name: &'static str) -> Option<&'a str> {
        let mut all = self.all(name);
        all.next().filter(|_| all.next().is_none())
    }

    /// The items of a header that is a list, over all its lines.
    fn items(&self, name: &'static str) -> impl Iterator<Item = &'a str> {
        self.all(name).flat_map(|value| value.split(',')).map(str::trim).filter(|item| !item.is_empty())
    }

    fn upgrades(&self) -> bool {
        self.items("connection").any(|item| item.eq_ignore_ascii_case("upgrade"))
            && self.items("upgrade").any(|item| item.eq_ignore_ascii_case("websocket"))
    }
}

/// What `Sec-WebSocket-Accept` must say to a key.
#[must_use]
pub fn accept_key(key: &str) -> String {
    let mut hash = Sha1::new();
    hash.update(key.as_bytes());
    hash.update(GUID.as_bytes());
    BASE64.encode(hash.finalize())
}

/// The response that accepts, naming the subprotocol if one was chosen.
#[must_use]
pub fn accept(key: &str, protocol: Option<&str>) -> String {
    let protocol = protocol.map(|name| format!("Sec-WebSocket-Protocol: {name}\r\n")).unwrap_or_default();
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n{protocol}\r\n",
        accept_key(key)
    )
}

/// A client's request. `host` with its port unless that is the default; `key` from [`client_key`].
#[must_use]
pub fn client_request(host: &str, path: &str, key: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: {PROTOCOL}\r\n\r\n"
    )
}

/// A client's key from 16 random bytes.
#[must_use]
pub fn client_key(random: [u8; 16]) -> String {
    BASE64.encode(random)
}

/// Where the server's acceptance ends in the bytes so far, None when more are needed.
pub fn response(bytes: &[u8], key: &str) -> Result<Option<usize>, Invalid> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Response::new(&mut headers);
    let Some(end) = complete(parsed.parse(bytes), bytes)? else { return Ok(None) };
    match parsed.code {
        Some(101) => {}
        code => return Err(Invalid::Status(code.unwrap_or_default())),
    }
    let headers = Headers(parsed.headers);
    if !headers.upgrades() {
        return Err(Invalid::Upgrade);
    }
    if headers.only("sec-websocket-accept") != Some(accept_key(key).as_str()) {
        return Err(Invalid::Accept);
    }
    Ok(Some(end))
}

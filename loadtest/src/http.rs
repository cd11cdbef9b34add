//! A lean HTTP/1.1 client over one kept-alive connection. A general client costs more than the
//! server it would measure.

use anyhow::{Context, Result, bail};
use carillon_sdk::sign;
use carillon_sdk::{KeyId, Timestamp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::clock::now_ns;

/// Longest answer read, in bytes.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// Who signs.
#[derive(Debug, Clone)]
pub(crate) struct Signer {
    pub(crate) key_id: KeyId,
    pub(crate) secret: String,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// One connection of an app server. Requests follow one another; there is no pipelining.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    signer: Signer,
    read: Vec<u8>,
    write: Vec<u8>,
}

impl Connection {
    /// `address` is `host:port`.
    pub(crate) async fn open(address: &str, signer: Signer) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("connect to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, signer, read: Vec::with_capacity(4096), write: Vec::with_capacity(4096) })
    }

    /// `path` without a query.
    pub(crate) async fn post(&mut self, path: &str, body: &[u8]) -> Result<Answer> {
        let nonce = sign::fresh_nonce();
        let timestamp = Timestamp::from_millis(now_ns() / 1_000_000);
        let request = sign::Request { method: "POST", path, query: "", body, timestamp, nonce: &nonce };
        let authorization = sign::authorization(&self.signer.key_id, &self.signer.secret, &request);
        self.write.clear();
        self.write.extend_from_slice(
            format!(
                "POST {path} HTTP/1.1\r\nHost: carillon\r\nAuthorization: {authorization}\r\n\
                 Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                body.len()
            )
            .as_bytes(),
        );
        self.write.extend_from_slice(body);
        self.stream.write_all(&self.write).await?;
        self.answer().await
    }

    async fn answer(&mut self) -> Result<Answer> {
        self.read.clear();
        loop {
            if let Some((status, from, to)) = measure(&self.read)? {
                if to > ANSWER_BYTES_MAX {
                    bail!("an answer of {to} bytes");
                }
                while self.read.len() < to {
                    self.more().await?;
                }
                return Ok(Answer { status, body: self.read[from..to].to_vec() });
            }
            self.more().await?;
        }
    }

    async fn more(&mut self) -> Result<()> {
        if self.stream.read_buf(&mut self.read).await? == 0 {
            bail!("the server closed the connection before its answer");
        }
        Ok(())
    }
}

/// Status, start and end of the body, once the head is there whole.
fn measure(bytes: &[u8]) -> Result<Option<(u16, usize, usize)>> {
    let Some(head) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let text = std::str::from_utf8(&bytes[..head]).context("an answer's head is text")?;
    let status =
        text.get(9..12).and_then(|digits| digits.parse().ok()).context("an answer begins with its status")?;
    let length = text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map(|(_, value)| value.trim().parse::<usize>())
        .transpose()
        .context("a content-length is a number")?;
    match (length, status) {
        (Some(length), _) => Ok(Some((status, head + 4, head + 4 + length))),
        (None, 204 | 304) => Ok(Some((status, head + 4, head + 4))),
        (None, _) => bail!("an answer without content-length, status {status}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_measured_when_its_head_is_whole() {
        let answer = b"HTTP/1.1 202 Accepted\r\nContent-Length: 3\r\n\r\nabc";
        assert!(measure(&answer[..30]).unwrap().is_none());
        assert_eq!(measure(answer).unwrap(), Some((202, 44, 47)));
    }

    #[test]
    fn an_answer_without_content_length_is_refused_unless_it_has_no_body() {
        assert!(measure(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
        assert_eq!(measure(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap(), Some((204, 27, 27)));
    }
}

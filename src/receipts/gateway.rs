//! One POST, to the addresses that were checked and to no other.

use std::collections::HashMap;
use std::error::Error as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use carillon_actors::clock::Clock;
use carillon_actors::receipts::{Answer, Gateway, Post};
use carillon_sdk::client::{Trust, tls};
use carillon_sdk::{Timestamp, Ttl};
use futures_util::future::BoxFuture;
use ipnet::IpNet;
use parking_lot::Mutex;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, Url};

use super::guard;
use crate::config;

/// Of an answer's body so much is read, so that its connection can be used again; it is not kept.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Receivers whose connections are kept; beyond, all are let go.
const CLIENTS_MAX: usize = 256;

/// Addresses of one name.
const ADDRESSES_MAX: usize = 16;

const IDLE: Duration = Duration::from_secs(60);

#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("receipts.ca_file: read {path}")]
    Read { path: String, source: std::io::Error },
    #[error("receipts.ca_file")]
    Trust(#[from] tls::Error),
}

/// The way out.
#[derive(Clone)]
pub struct Outbound(Arc<Inner>);

struct Inner {
    allow: Vec<IpNet>,
    timeout: Duration,
    tls: rustls::ClientConfig,
    clock: Clock,
    /// By where they lead: a client goes to its addresses whatever the name says later.
    clients: Mutex<HashMap<(String, Vec<IpAddr>), Client>>,
}

impl Outbound {
    pub fn new(config: &config::Receipts, clock: Clock) -> Result<Self, SetupError> {
        let trust = match &config.ca_file {
            None => Trust::Web,
            Some(path) => Trust::Pem(
                std::fs::read_to_string(path)
                    .map_err(|source| SetupError::Read { path: path.display().to_string(), source })?,
            ),
        };
        Ok(Self(Arc::new(Inner {
            allow: config.allow.clone(),
            timeout: Duration::from_millis(config.timeout.as_millis()),
            tls: tls::config(&trust)?,
            clock,
            clients: Mutex::default(),
        })))
    }
}

impl Gateway for Outbound {
    fn post(&self, post: Post) -> BoxFuture<'static, Answer> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let answer = tokio::time::timeout(inner.timeout, inner.post(post)).await;
            let late = |_| Err(format!("no answer within {} ms", inner.timeout.as_millis()));
            answer.unwrap_or_else(late).unwrap_or_else(|why| Answer::Failed { why, retry_after: None })
        })
    }
}

impl Inner {
    async fn post(&self, post: Post) -> Result<Answer, String> {
        let url = guard::parse_url(&post.url).map_err(|refusal| refusal.to_string())?;
        let addresses = self.addresses(&url).await?;
        let client = self.client(&url, addresses)?;
        let mut request = client.post(url).header(CONTENT_TYPE, "application/json");
        for (name, value) in post.headers {
            request = request.header(name, value);
        }
        let response = request.body(post.body).send().await.map_err(told)?;
        let answer = read(&response, self.clock.now());
        drain(response).await;
        Ok(answer)
    }

    /// Where the URL leads, looked up once, each address checked.
    async fn addresses(&self, url: &Url) -> Result<Vec<IpAddr>, String> {
        let mut addresses: Vec<IpAddr> = match guard::literal(url) {
            Some(address) => vec![address],
            None => {
                let host = url.host_str().unwrap_or_default();
                let port = url.port_or_known_default().unwrap_or_default();
                let found = tokio::net::lookup_host((host, port)).await;
                let found = found.map_err(|error| format!("resolve {host}: {error}"))?;
                found.map(|address| address.ip()).take(ADDRESSES_MAX).collect()
            }
        };
        addresses.sort_unstable();
        addresses.dedup();
        if addresses.is_empty() {
            return Err("the name has no address".to_owned());
        }
        for address in &addresses {
            // One that will not do refuses all: the name is not to be trusted with the others.
            guard::check(*address, &self.allow).map_err(|refusal| refusal.to_string())?;
        }
        Ok(addresses)
    }

    /// One that connects to these addresses and to no other.
    fn client(&self, url: &Url, addresses: Vec<IpAddr>) -> Result<Client, String> {
        let host = url.host_str().unwrap_or_default().to_owned();
        let mut clients = self.clients.lock();
        let key = (host, addresses);
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        // The port is the URL's.
        let pinned: Vec<_> = key.1.iter().map(|address| SocketAddr::new(*address, 0)).collect();
        let client = Client::builder()
            .tls_backend_preconfigured(self.tls.clone())
            .user_agent(concat!("Carillon/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .resolve_to_addrs(&key.0, &pinned)
            .pool_idle_timeout(IDLE)
            .build()
            .map_err(told)?;
        if clients.len() >= CLIENTS_MAX {
            clients.clear();
        }
        clients.insert(key, client.clone());
        Ok(client)
    }
}

fn read(response: &Response, now: Timestamp) -> Answer {
    let status = response.status();
    if status.is_success() {
        return Answer::Taken;
    }
    if status == StatusCode::GONE {
        return Answer::Gone;
    }
    let asks = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    let header = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after = header.filter(|_| asks).and_then(|text| retry_after(text, now));
    let note = if status.is_redirection() { ", and redirects are not followed" } else { "" };
    Answer::Failed { why: format!("it answered {}{note}", status.as_u16()), retry_after }
}

/// Seconds, or a date.
fn retry_after(text: &str, now: Timestamp) -> Option<Ttl> {
    if let Ok(seconds) = text.parse() {
        return Some(Ttl::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    let date = Timestamp::from_millis(date.as_millisecond().try_into().ok()?);
    Some(date.since(now))
}

/// Reads the body to its end, or lets the connection go.
async fn drain(mut response: Response) {
    let mut left = ANSWER_BYTES_MAX;
    while let Ok(Some(chunk)) = response.chunk().await {
        match left.checked_sub(chunk.len()) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

/// An error with its causes, and without the URL, whose query may hold a signature.
fn told(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_names_its_pause_in_seconds_or_as_a_date() {
        let now = Timestamp::from_millis(784_111_777_000);
        assert_eq!(retry_after("120", now), Some(Ttl::from_secs(120)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:50:37 GMT", now), Some(Ttl::from_secs(60)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:00:00 GMT", now), Some(Ttl::ZERO));
        for wrong in ["", "soon", "-5", "1.5"] {
            assert_eq!(retry_after(wrong, now), None, "{wrong}");
        }
    }
}

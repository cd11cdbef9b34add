//! HTTP to a vendor: one client an app and vendor, HTTP/2 where the vendor speaks it.

#[cfg(test)]
pub(super) mod line;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use carillon_actors::channel::{Class, Invalid, Pause, Refused, Scope, Setup};
use carillon_sdk::Ttl;
use carillon_sdk::client::{Trust, tls};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, Method};

use crate::receipts::guard;

/// Of an answer so much is read; no vendor's is longer.
const ANSWER_BYTES_MAX: usize = 1 << 20;

const CONNECT: Duration = Duration::from_secs(5);
/// From the first byte written to the last read.
const TIMEOUT: Duration = Duration::from_secs(15);
/// A connection on which nothing comes back is found by this, while calls are open on it.
const PING: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// No vendor's `Retry-After` is believed beyond this: a word too much must not end a channel.
const RETRY_AFTER_MAX: Ttl = Ttl::from_secs(86_400);

#[derive(Clone)]
pub struct Transport(Way);

#[derive(Clone)]
enum Way {
    Net(Client),
    /// Straight into a simulator, for tests of what is said and not of how it travels.
    #[cfg(test)]
    Line(line::Line),
}

#[derive(Clone)]
pub struct Call {
    pub method: Method,
    pub url: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: Bytes,
}

#[derive(Clone)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

/// No answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// `connect`, `timeout`, `broken` (the connection, under way), `too_long`, or `forbidden`: the name
    /// leads where nothing is called.
    pub code: &'static str,
    pub why: String,
    /// The request may have reached the vendor.
    pub was_written: bool,
}

impl Transport {
    /// HTTP/2 or 1.1, as the vendor wishes.
    pub fn new(setup: &Setup) -> Result<Self, Invalid> {
        Self::build(setup, None, false, false)
    }

    /// The same, to addresses of the public internet alone: for URLs that devices name.
    pub fn guarded(setup: &Setup) -> Result<Self, Invalid> {
        Self::build(setup, None, false, true)
    }

    /// HTTP/2 alone, with a certificate of ours where the vendor knows us by one (PEM: chain and key).
    pub fn http2(setup: &Setup, identity: Option<&str>) -> Result<Self, Invalid> {
        Self::build(setup, identity, true, false)
    }

    fn build(
        setup: &Setup,
        identity: Option<&str>,
        only_http2: bool,
        is_guarded: bool,
    ) -> Result<Self, Invalid> {
        let trust = setup.ca_pem.clone().map_or(Trust::Web, Trust::Pem);
        let ca = |error: tls::Error| Invalid::new("/ca_pem", error.to_string());
        let mut tls = match identity {
            None => tls::config(&trust).map_err(ca)?,
            Some(pem) => tls::config_as(&trust, pem).map_err(|error| match error {
                tls::Error::Identity(_) => Invalid::new("/credential", error.to_string()),
                other => ca(other),
            })?,
        };
        // reqwest offers no protocol with a configuration that it did not make.
        let offered: &[&[u8]] = if only_http2 { &[b"h2"] } else { &[b"h2", b"http/1.1"] };
        tls.alpn_protocols = offered.iter().map(|name| name.to_vec()).collect();
        let mut client = Client::builder()
            .tls_backend_preconfigured(tls)
            .user_agent(concat!("Carillon/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT)
            .timeout(TIMEOUT)
            .http2_keep_alive_interval(PING)
            .http2_keep_alive_timeout(PING_TIMEOUT)
            .http2_adaptive_window(true)
            // An idle connection that a gateway cut is not found by a call.
            .pool_idle_timeout(Duration::from_secs(60));
        if is_guarded {
            client = client.dns_resolver(Arc::new(Guarded));
        }
        if only_http2 {
            client = client.http2_prior_knowledge().pool_idle_timeout(Duration::from_secs(3_600));
        }
        let client = client.build().map_err(|error| Invalid::new("", error.to_string()))?;
        Ok(Self(Way::Net(client)))
    }

    pub async fn call(&self, call: Call) -> Result<Answer, Fault> {
        match &self.0 {
            Way::Net(client) => by_net(client, call).await,
            #[cfg(test)]
            Way::Line(line) => line.call(call).await,
        }
    }
}

async fn by_net(client: &reqwest::Client, call: Call) -> Result<Answer, Fault> {
    let mut request = client.request(call.method, &call.url);
    for (name, value) in call.headers {
        request = request.header(name, value);
    }
    let mut response = request.body(call.body).send().await.map_err(|error| fault(&error))?;
    let status = response.status().as_u16();
    let headers = response
        .headers()
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())));
    let headers = headers.collect();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| fault(&error))? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            let why = format!("an answer of more than {ANSWER_BYTES_MAX} bytes");
            return Err(Fault { code: "too_long", why, was_written: true });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, headers, body: body.into() })
}

impl Answer {
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// `Retry-After`, in seconds or as a date (RFC 9110, section 10.2.3). A date is compared with the
    /// answer's own: both are of one clock.
    #[must_use]
    pub fn retry_after(&self) -> Option<Pause> {
        let asked = self.header("retry-after")?.trim();
        let seconds = asked.parse::<u64>().ok().or_else(|| {
            let until = http_date(asked)?.duration_since(http_date(self.header("date")?)?);
            Some(u64::try_from(until.as_secs()).unwrap_or(0))
        })?;
        Some(Pause::For(Ttl::from_secs(seconds).min(RETRY_AFTER_MAX)))
    }
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`.
fn http_date(text: &str) -> Option<jiff::Timestamp> {
    Some(jiff::fmt::rfc2822::parse(text.trim()).ok()?.timestamp())
}

/// Without what must not be in a log: headers and bodies hold secrets, and a path may be a token.
impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = reqwest::Url::parse(&self.url).map(|url| url.origin().ascii_serialization());
        f.debug_struct("Call")
            .field("method", &self.method)
            .field("origin", &origin.unwrap_or_default())
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// An answer may hold an access token.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        let is_ambiguous = fault.was_written;
        Self { is_ambiguous, ..Self::new(Class::Retry, Scope::Connection, fault.code).because(fault.why) }
    }
}

/// Without the URL, which may hold a token.
fn fault(error: &reqwest::Error) -> Fault {
    use std::error::Error as _;
    let (code, was_written) = match () {
        () if error.is_connect() => ("connect", false),
        () if error.is_timeout() => ("timeout", true),
        () => ("broken", true),
    };
    let mut why = code.to_owned();
    let mut cause = error.source();
    while let Some(next) = cause {
        if next.is::<guard::Refusal>() {
            return Fault { code: "forbidden", why: next.to_string(), was_written: false };
        }
        why = format!("{why}: {next}");
        cause = next.source();
    }
    Fault { code, why, was_written }
}

/// Resolves a name to what may be called. One address that may not refuses all: the name is not to be
/// trusted with the others.
struct Guarded;

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            for address in &found {
                guard::check(address.ip(), &[])?;
            }
            let addresses: Addrs = Box::new(found.into_iter());
            Ok(addresses)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(headers: &[(&str, &str)]) -> Answer {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let body = Bytes::from_static(br#"{"access_token":"planted-secret"}"#);
        Answer { status: 503, headers: headers.collect(), body }
    }

    #[test]
    fn a_pause_is_in_seconds_or_until_a_date_and_at_most_a_day() {
        let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        let seconds = |s| Some(Pause::For(Ttl::from_secs(s)));
        for (asked, expected) in [
            ("120", seconds(120)),
            (" 0 ", seconds(0)),
            ("Sun, 06 Nov 1994 08:51:37 GMT", seconds(120)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", seconds(0)),
            ("Sat, 06 Nov 2094 08:49:37 GMT", seconds(86_400)),
            ("18446744073709551615", seconds(86_400)),
            ("-1", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(answer(&[date, ("retry-after", asked)]).retry_after(), expected, "{asked}");
        }
        let undated = answer(&[("retry-after", "Sun, 06 Nov 1994 08:51:37 GMT")]);
        assert_eq!(undated.retry_after(), None, "by whose clock?");
        assert_eq!(answer(&[]).retry_after(), None);
    }

    #[test]
    fn neither_a_call_nor_an_answer_shows_a_secret_or_a_token() {
        let call = Call {
            method: Method::POST,
            url: "https://api.push.apple.com/3/device/planted-secret".to_owned(),
            headers: vec![("authorization", "bearer planted-secret".to_owned())],
            body: Bytes::from_static(b"client_secret=planted-secret"),
        };
        let shown = format!("{call:?} {:?}", answer(&[("x", "planted-secret")]));
        assert!(!shown.contains("planted-secret") && shown.contains("https://api.push.apple.com"), "{shown}");
    }
}

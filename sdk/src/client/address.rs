//! Where a device connects, and whom it believes.

use std::fmt;
use std::str::FromStr;

use reqwest::Url;

use crate::api::DeviceAddresses;

/// A door of the server. As text: `tcp://host:port`, `tls://host:port`, `ws://…`, `wss://…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// `host:port`, in the clear.
    Tcp(String),
    /// `host:port`.
    Tls(String),
    /// A `ws://` or `wss://` URL; `text` for JSON in text messages.
    WebSocket { url: Url, text: bool },
}

/// Which certificate authorities are believed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Trust {
    /// Those of the public web.
    #[default]
    Web,
    /// Those in this PEM text alone, as `carillon dev` gives at registration.
    Pem(String),
}

/// Why a text is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not tcp://host:port, tls://host:port, ws://… or wss://…")]
pub struct Invalid(String);

impl Address {
    /// The best of the doors that registration named: TLS, else a WebSocket, else TCP in the clear.
    #[must_use]
    pub fn best(addresses: &DeviceAddresses) -> Option<Self> {
        let ws = || addresses.ws.as_deref()?.parse().ok();
        let tls = addresses.tls.clone().map(Self::Tls);
        tls.or_else(ws).or_else(|| addresses.tcp.clone().map(Self::Tcp))
    }

    /// The same door with JSON in text messages, if it is a WebSocket.
    #[must_use]
    pub fn in_text(self) -> Self {
        match self {
            Self::WebSocket { url, .. } => Self::WebSocket { url, text: true },
            other => other,
        }
    }
}

impl FromStr for Address {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let invalid = || Invalid(text.chars().take(256).collect());
        let authority = |rest: &str| match rest.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => Ok(rest.to_owned()),
            _ => Err(invalid()),
        };
        if let Some(rest) = text.strip_prefix("tcp://") {
            return authority(rest).map(Self::Tcp);
        }
        if let Some(rest) = text.strip_prefix("tls://") {
            return authority(rest).map(Self::Tls);
        }
        match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "ws" | "wss") && url.has_host() => {
                Ok(Self::WebSocket { url, text: false })
            }
            _ => Err(invalid()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "tcp://{address}"),
            Self::Tls(address) => write!(f, "tls://{address}"),
            Self::WebSocket { url, .. } => write!(f, "{url}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_as_they_are_written() {
        for text in ["tcp://127.0.0.1:1", "tls://push.example.com:443", "wss://push.example.com/v1/socket"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        for bad in
            ["", "tcp://", "tcp://host", "tcp://:1", "tls://host:99999", "http://host/", "ws://", "host:1"]
        {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_best_door_is_the_one_under_tls() {
        let mut addresses = DeviceAddresses {
            tcp: Some("h:1".to_owned()),
            tls: Some("h:2".to_owned()),
            ws: Some("wss://h:3/v1/socket".to_owned()),
        };
        assert_eq!(Address::best(&addresses), Some(Address::Tls("h:2".to_owned())));
        addresses.tls = None;
        assert!(matches!(Address::best(&addresses), Some(Address::WebSocket { text: false, .. })));
        addresses.ws = None;
        assert_eq!(Address::best(&addresses), Some(Address::Tcp("h:1".to_owned())));
    }
}

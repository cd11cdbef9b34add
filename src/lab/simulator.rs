//! One vendor: a request in, an answer out.

use bytes::Bytes;
use carillon_sdk::Vendor;
use futures_util::future::BoxFuture;

use super::World;

/// What a listener heard.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: String,
    /// Percent-decoded, without the query.
    pub path: String,
    pub query: String,
    /// Names in lower case, in their order.
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
    pub is_http2: bool,
    /// Names the connection: what is bound to one (APNs: its key) can be told apart.
    pub connection: u64,
    /// The client's certificate, DER, when it showed one.
    pub certificate: Option<Vec<u8>>,
}

/// What it answers.
#[derive(Debug, Clone)]
pub enum Reply {
    Answer {
        status: u16,
        headers: Vec<(String, String)>,
        body: Bytes,
    },
    /// Nothing, and the connection stays open: half-open, until the caller gives up.
    Silence,
    /// Nothing, and the connection is cut.
    Cut,
    /// The head and half of the body, and the connection is cut.
    Half {
        status: u16,
        headers: Vec<(String, String)>,
        body: Bytes,
    },
    /// HTTP/2: this answer, then GOAWAY.
    Goaway {
        status: u16,
        headers: Vec<(String, String)>,
        body: Bytes,
    },
}

/// As strict as the vendor's documents. Holds what the vendor would keep: issued tokens, saved
/// messages, spent quotas; all that is common to vendors is in the world.
pub trait Simulator: Send + Sync {
    fn vendor(&self) -> Vendor;

    fn answer<'a>(&'a self, world: &'a World, asked: Asked) -> BoxFuture<'a, Reply>;

    /// What an app's owner would give for it, in the shape of `PUT /v1/vendors/{vendor}`:
    /// `credential` and `settings`; hosts are the lab's to add.
    fn setup(&self) -> (serde_json::Value, serde_json::Value);
}

impl Asked {
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The form's fields, in their order.
    #[must_use]
    pub fn form(&self) -> Vec<(String, String)> {
        form_urlencoded::parse(&self.body).into_owned().collect()
    }

    pub fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

impl Reply {
    #[must_use]
    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        let headers = vec![("content-type".to_owned(), "application/json; charset=utf-8".to_owned())];
        Self::Answer { status, headers, body: body.to_string().into() }
    }

    /// What a gateway in front of a vendor says when the vendor is away.
    #[must_use]
    pub fn html(status: u16) -> Self {
        let headers = vec![("content-type".to_owned(), "text/html".to_owned())];
        let body = format!("<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>");
        Self::Answer { status, headers, body: body.into() }
    }

    /// 0 when nothing is answered.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Answer { status, .. } | Self::Half { status, .. } | Self::Goaway { status, .. } => *status,
            Self::Silence | Self::Cut => 0,
        }
    }

    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        match self {
            Self::Answer { headers, .. } | Self::Half { headers, .. } | Self::Goaway { headers, .. } => {
                headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
            }
            Self::Silence | Self::Cut => None,
        }
    }

    /// Empty when nothing is answered.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        match self {
            Self::Answer { body, .. } | Self::Half { body, .. } | Self::Goaway { body, .. } => body,
            Self::Silence | Self::Cut => &[],
        }
    }

    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        if let Self::Answer { headers, .. } | Self::Half { headers, .. } | Self::Goaway { headers, .. } =
            &mut self
        {
            headers.push((name.to_owned(), value.into()));
        }
        self
    }
}

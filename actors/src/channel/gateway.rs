//! The way to a vendor, given by the edge: here is no HTTP.

use std::fmt;
use std::sync::Arc;

use carillon_sdk::{Timestamp, Vendor};
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use super::{BadPost, Options, Outcome, Receipt, ReceiptPost, Refused};
use crate::model::Message;

/// One vendor as one app may use it: its credential, its hosts. Every call answers within a bound of
/// its own, and never panics on what a vendor says.
pub trait Gateway: Send + Sync {
    /// How the vendor wants to be spoken to; constant.
    fn manners(&self) -> Manners;

    /// Gets what every call has to show. A gateway whose secret is in each call (Meizu's signature,
    /// Xiaomi's key, Web Push's token per origin) answers [`Access::none`]. The caller sees to it that
    /// there is one such call at a time, and keeps the answer.
    fn authorize(&self) -> BoxFuture<'static, Result<Access, Refused>>;

    /// Sends one content to all addresses of the parcel, at most `manners().batch_max`: one outcome
    /// for each, in their order.
    fn send(&self, access: Access, parcel: Parcel) -> BoxFuture<'static, Vec<Outcome>>;

    /// When the credential itself ends: of a certificate. None when it does not.
    fn ends_at(&self) -> Option<Timestamp> {
        None
    }
}

/// Makes gateways out of what an app's owner gave. Pure: nothing is called yet.
pub trait Gateways: Send + Sync {
    fn open(&self, vendor: Vendor, setup: &Setup) -> Result<Arc<dyn Gateway>, Invalid>;

    /// What a vendor POSTed to where the setup says, in our words. Pure too. A vendor that sends none
    /// has sent nothing that can be read.
    fn receipts(
        &self,
        _vendor: Vendor,
        _setup: &Setup,
        _post: &ReceiptPost,
    ) -> Result<Vec<Receipt>, BadPost> {
        Err(BadPost::Unreadable)
    }
}

/// What an app's owner gave for a vendor. `credential` is kept sealed and never shown.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Setup {
    /// The vendor's own shape: see docs/vendors.md. Secret.
    pub credential: serde_json::Value,
    /// What is no secret: package, environment, channel ids by category. The vendor's shape too.
    pub settings: serde_json::Value,
    /// Base URLs in place of the vendor's own, by the name docs/vendors.md gives each: `send`, `auth`.
    pub hosts: std::collections::BTreeMap<String, String>,
    /// Authorities believed in place of the web's, in PEM.
    pub ca_pem: Option<String>,
    /// Added to our clock in all that the vendor compares with its own.
    pub clock_offset_ms: i64,
    /// Where the vendor is told to send receipts: with the app's and the vendor's own path. None when
    /// the server's public address is not configured.
    pub receipts_url: Option<String>,
}

/// Why a setup cannot be used: a JSON pointer into it, and what it takes. Never quotes a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {why}")]
pub struct Invalid {
    pub pointer: String,
    pub why: String,
}

/// What a call has to show.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    token: String,
    /// A new one is got from then on, while this one goes on being used.
    pub renew_at: Option<Timestamp>,
    /// It is worth nothing from then on.
    pub ends_at: Option<Timestamp>,
    /// The vendor refuses another before this (APNs: 20 minutes after the last).
    pub not_again_before: Option<Timestamp>,
}

/// What is sent in one call.
#[derive(Debug, Clone)]
pub struct Parcel {
    pub message: Arc<Message>,
    /// The message's `options`, read once.
    pub options: Arc<Options>,
    pub to: Vec<Address>,
    /// When the call begins, by our clock.
    pub now: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// As the device reported it. Web Push: the subscription as JSON.
    pub token: String,
    /// Names message and device in a receipt: letters, digits, `-` and `_`, at most 64.
    pub receipt: String,
}

/// How a vendor wants to be spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manners {
    /// Tokens in one call of one message.
    pub batch_max: usize,
    /// Calls at a time: enough that pushes to one device each, which no call can share, are not held up by
    /// the way to the vendor. What goes too fast for it is the pace's to say.
    pub in_flight_max: usize,
    /// Devices a second: to begin with, never less, never more.
    pub rate: (u32, u32, u32),
}

impl Access {
    #[must_use]
    pub fn none() -> Self {
        Self::new(String::new())
    }

    /// One that does not end.
    #[must_use]
    pub fn new(token: impl Into<String>) -> Self {
        Self { token: token.into(), renew_at: None, ends_at: None, not_again_before: None }
    }

    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }
}

impl Invalid {
    #[must_use]
    pub fn new(pointer: impl Into<String>, why: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), why: why.into() }
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("ends_at", &self.ends_at).finish_non_exhaustive()
    }
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup").field("hosts", &self.hosts).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_shows_in_what_is_logged() {
        let access = Access::new("planted-secret");
        let setup = Setup {
            credential: serde_json::json!({"key": "planted-secret"}),
            settings: serde_json::Value::Null,
            hosts: std::collections::BTreeMap::default(),
            ca_pem: None,
            clock_offset_ms: 0,
            receipts_url: None,
        };
        assert!(!format!("{access:?}{setup:?}").contains("planted-secret"));
    }
}

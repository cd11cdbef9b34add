//! What reached the simulators: for assertions, and for people to look at.

use std::collections::VecDeque;

use carillon_sdk::{Timestamp, Vendor};
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::Value;

use super::{Asked, Reply};

/// Requests kept; the oldest go first. What was taken is kept in full.
const REQUESTS_MAX: usize = 10_000;

#[derive(Default)]
pub struct Capture {
    requests: Mutex<VecDeque<Captured>>,
    taken: Mutex<Vec<Taken>>,
    posted: Mutex<VecDeque<Posted>>,
}

/// A request and its answer.
#[derive(Debug, Clone, Serialize)]
pub struct Captured {
    pub vendor: Vendor,
    pub at: Timestamp,
    pub method: String,
    pub path: String,
    /// But for `authorization`, whose value is cut.
    pub headers: Vec<(String, String)>,
    /// As JSON where it is JSON or a form, else its length in bytes.
    pub body: Value,
    /// 0 when nothing was answered.
    pub status: u16,
}

/// A notification the vendor took for one token: what it would have shown.
#[derive(Debug, Clone, Serialize)]
pub struct Taken {
    pub vendor: Vendor,
    pub at: Timestamp,
    pub token: String,
    /// By which the vendor drops a repeat, where it has such a thing; a repeat it dropped is not
    /// here again.
    pub key: Option<String>,
    pub vendor_id: String,
    /// What the vendor understood: title, body and the rest in its own shape.
    pub content: Value,
}

/// A receipt, or several in one, as it was posted.
#[derive(Debug, Clone, Serialize)]
pub struct Posted {
    pub vendor: Vendor,
    pub at: Timestamp,
    pub url: String,
    pub body: String,
    /// 0 when nothing was answered.
    pub status: u16,
    /// Why it was not answered.
    pub why: Option<String>,
}

impl Capture {
    pub fn request(&self, captured: Captured) {
        let mut requests = self.requests.lock();
        if requests.len() == REQUESTS_MAX {
            requests.pop_front();
        }
        requests.push_back(captured);
    }

    /// A request as it was heard, with what it was answered.
    pub fn heard(&self, vendor: Vendor, at: Timestamp, asked: &Asked, reply: &Reply) {
        let shown = asked.headers.iter().map(|(name, value)| {
            let is_secret = matches!(name.as_str(), "authorization" | "authtoken" | "auth_token");
            let kept = if is_secret { 12 } else { value.len() };
            (name.clone(), value.chars().take(kept).collect())
        });
        self.request(Captured {
            vendor,
            at,
            method: asked.method.clone(),
            path: asked.path.clone(),
            headers: shown.collect(),
            body: readable(asked),
            status: reply.status(),
        });
    }

    pub(super) fn post(&self, posted: Posted) {
        let mut kept = self.posted.lock();
        if kept.len() == REQUESTS_MAX {
            kept.pop_front();
        }
        kept.push_back(posted);
    }

    /// Receipts, the oldest first.
    #[must_use]
    pub fn posted(&self, vendor: Vendor) -> Vec<Posted> {
        self.posted.lock().iter().filter(|one| one.vendor == vendor).cloned().collect()
    }

    pub fn take(&self, taken: Taken) {
        self.taken.lock().push(taken);
    }

    #[must_use]
    pub fn requests(&self, vendor: Vendor) -> Vec<Captured> {
        self.requests.lock().iter().filter(|one| one.vendor == vendor).cloned().collect()
    }

    #[must_use]
    pub fn taken(&self, vendor: Vendor) -> Vec<Taken> {
        self.taken.lock().iter().filter(|one| one.vendor == vendor).cloned().collect()
    }

    #[must_use]
    pub fn taken_count(&self) -> usize {
        self.taken.lock().len()
    }

    pub fn clear(&self) {
        self.requests.lock().clear();
        self.taken.lock().clear();
        self.posted.lock().clear();
    }
}

fn readable(asked: &Asked) -> Value {
    let kind = asked.header("content-type").unwrap_or_default();
    if kind.starts_with("application/x-www-form-urlencoded") {
        let fields = asked.form().into_iter().map(|(name, value)| (name, Value::String(value)));
        return Value::Object(fields.collect());
    }
    asked.json().unwrap_or_else(|| asked.body.len().into())
}

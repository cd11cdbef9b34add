//! Receipts the simulators owe: written where a vendor would learn of an arrival, posted by whoever
//! empties this (late, in batches, twice, as the laboratory was told).

use std::collections::VecDeque;

use carillon_sdk::Vendor;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// Receipts kept; the oldest go first.
const LETTERS_MAX: usize = 100_000;

#[derive(Default)]
pub struct Outbox {
    letters: Mutex<VecDeque<Letter>>,
    came: tokio::sync::Notify,
    posting: Mutex<Posting>,
}

/// How receipts are posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Posting {
    /// After the first that is due; what comes meanwhile goes with it.
    pub delay_ms: u64,
    /// How often each post is made.
    pub copies: u32,
    /// Receipts in one post, at most 100 as vendors do; 1 posts each alone.
    pub batch: usize,
}

impl Default for Posting {
    fn default() -> Self {
        Self { delay_ms: 0, copies: 1, batch: 1 }
    }
}

/// One receipt, as its vendor would post it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    pub vendor: Vendor,
    pub url: String,
    /// `content-type`, and a signature where the vendor has one.
    pub headers: Vec<(String, String)>,
    pub body: String,
    /// The field of a form that holds it; none is JSON.
    pub(super) field: Option<&'static str>,
}

impl Outbox {
    pub fn put(&self, letter: Letter) {
        let mut letters = self.letters.lock();
        if letters.len() == LETTERS_MAX {
            letters.pop_front();
        }
        letters.push_back(letter);
        drop(letters);
        self.came.notify_one();
    }

    /// All that is there.
    pub fn take(&self) -> Vec<Letter> {
        self.letters.lock().drain(..).collect()
    }

    pub fn set_posting(&self, posting: Posting) {
        *self.posting.lock() = posting;
    }

    #[must_use]
    pub fn posting(&self) -> Posting {
        *self.posting.lock()
    }

    /// Until there is something to take.
    pub async fn wait(&self) {
        while self.letters.lock().is_empty() {
            self.came.notified().await;
        }
    }
}

impl Letter {
    #[must_use]
    pub fn json(vendor: Vendor, url: &str, body: &serde_json::Value) -> Self {
        Self::new(vendor, url, None, body)
    }

    /// JSON in a field of a form.
    #[must_use]
    pub fn form(vendor: Vendor, url: &str, field: &'static str, body: &serde_json::Value) -> Self {
        Self::new(vendor, url, Some(field), body)
    }

    pub(super) fn new(
        vendor: Vendor,
        url: &str,
        field: Option<&'static str>,
        content: &serde_json::Value,
    ) -> Self {
        let content = content.to_string();
        let (kind, body) = match field {
            None => ("application/json; charset=utf-8", content),
            Some(field) => {
                let mut form = form_urlencoded::Serializer::new(String::new());
                ("application/x-www-form-urlencoded", form.append_pair(field, &content).finish())
            }
        };
        let headers = vec![("content-type".to_owned(), kind.to_owned())];
        Self { vendor, url: url.to_owned(), headers, body, field }
    }

    /// What is in the body, out of its form.
    pub(super) fn content(&self) -> Option<serde_json::Value> {
        let Some(field) = self.field else { return serde_json::from_str(&self.body).ok() };
        let (_, value) = form_urlencoded::parse(self.body.as_bytes()).find(|(name, _)| name == field)?;
        serde_json::from_str(&value).ok()
    }
}

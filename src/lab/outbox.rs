//! Receipts the simulators owe: written where a vendor would learn of an arrival, posted by whoever
//! empties this (late, in batches, twice, as the laboratory was told).

use std::collections::VecDeque;

use carillon_sdk::Vendor;
use parking_lot::Mutex;

/// Receipts kept; the oldest go first.
const LETTERS_MAX: usize = 100_000;

#[derive(Default)]
pub struct Outbox {
    letters: Mutex<VecDeque<Letter>>,
    came: tokio::sync::Notify,
}

/// One receipt, as its vendor would post it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    pub vendor: Vendor,
    pub url: String,
    /// `content-type`, and a signature where the vendor has one.
    pub headers: Vec<(String, String)>,
    pub body: String,
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
        Self::new(vendor, url, "application/json; charset=utf-8", body.to_string())
    }

    /// JSON in a field of a form.
    #[must_use]
    pub fn form(vendor: Vendor, url: &str, field: &str, body: &serde_json::Value) -> Self {
        let body =
            form_urlencoded::Serializer::new(String::new()).append_pair(field, &body.to_string()).finish();
        Self::new(vendor, url, "application/x-www-form-urlencoded", body)
    }

    fn new(vendor: Vendor, url: &str, kind: &str, body: String) -> Self {
        let headers = vec![("content-type".to_owned(), kind.to_owned())];
        Self { vendor, url: url.to_owned(), headers, body }
    }
}

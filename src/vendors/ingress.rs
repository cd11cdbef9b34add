//! The way in for vendors' receipts: an address an app and vendor, which nobody guesses.
//!
//! ```text
//!  POST …/{secret} ─▶ whose? ─▶ signed? ─▶ read ─▶ seats free? ─▶ seen before? ─▶ 200
//!                      404        403       400        503        dropped   └─▶ engine, afterwards
//! ```
//!
//! Answered before anything is written, since vendors give 200 ms. What is under way is bounded, and
//! beyond that they are told to come again; what the store is too busy for is tried again meanwhile. A
//! restart forgets what was seen: to the engine a repeat changes nothing.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use carillon_actors::channel::{BadPost, News, Receipt, ReceiptPost};
use carillon_actors::engine::Engine;
use carillon_actors::model::App;
use carillon_sdk::Vendor;
use metrics::counter;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Receipts that are being acted upon, some 200 bytes each; one post has 10,000 at most.
const UNDER_WAY_MAX: usize = 65_536;
/// Receipts remembered, in each of two generations: 32 bytes each with what holds them.
const SEEN_MAX: usize = 65_536;
/// How long after one another the store is asked again to take what it was too busy for.
const AGAIN_AFTER: [Duration; 3] =
    [Duration::from_millis(200), Duration::from_secs(2), Duration::from_secs(20)];

pub struct Ingress {
    seats: Arc<Semaphore>,
    seen: Mutex<Seen>,
}

/// Why a post is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turned {
    /// The app's setup went just now.
    Unknown,
    Forged,
    Unreadable,
    /// As many are under way as may be: the vendor sends it again.
    Full,
}

#[derive(Default)]
struct Seen {
    now: HashSet<[u8; 16]>,
    before: HashSet<[u8; 16]>,
}

impl Default for Ingress {
    fn default() -> Self {
        Self { seats: Arc::new(Semaphore::new(UNDER_WAY_MAX)), seen: Mutex::default() }
    }
}

impl Ingress {
    /// Takes a post. What follows from it goes on afterwards.
    pub fn take(&self, engine: &Engine, app: App, vendor: Vendor, post: &ReceiptPost) -> Result<(), Turned> {
        let outcome = self.taken(engine, app, vendor, post);
        let result = match &outcome {
            Ok(()) => "taken",
            Err(Turned::Unknown) => "unknown",
            Err(Turned::Forged) => "forged",
            Err(Turned::Unreadable) => "unreadable",
            Err(Turned::Full) => "full",
        };
        counter!("carillon_vendor_receipt_posts_total", "vendor" => vendor.as_str(), "result" => result)
            .increment(1);
        outcome
    }

    fn taken(&self, engine: &Engine, app: App, vendor: Vendor, post: &ReceiptPost) -> Result<(), Turned> {
        let receipts = engine.read_receipts(app, vendor, post).map_err(|error| match error {
            BadPost::Forged => Turned::Forged,
            BadPost::Unreadable => Turned::Unreadable,
            BadPost::Unknown => Turned::Unknown,
        })?;
        // Before they count as seen: what is sent away comes again.
        let seats = self.seat(receipts.len())?;
        let fresh = self.seen.lock().fresh(app, vendor, receipts);
        if fresh.is_empty() {
            return Ok(());
        }
        for receipt in &fresh {
            let news = receipt.news.name();
            counter!("carillon_vendor_receipts_total", "vendor" => vendor.as_str(), "news" => news)
                .increment(1);
        }
        let engine = engine.clone();
        actix_rt::spawn(async move {
            act(&engine, app, vendor, fresh).await;
            drop(seats);
        });
        Ok(())
    }

    /// Until it is dropped.
    fn seat(&self, receipts: usize) -> Result<OwnedSemaphorePermit, Turned> {
        let seats = u32::try_from(receipts).map_err(|_| Turned::Full)?;
        Arc::clone(&self.seats).try_acquire_many_owned(seats).map_err(|_| Turned::Full)
    }
}

/// The vendor was thanked, so it will not tell again.
async fn act(engine: &Engine, app: App, vendor: Vendor, receipts: Vec<Receipt>) {
    let mut left = engine.vendor_receipts(app, vendor, receipts).await;
    for pause in AGAIN_AFTER {
        if left.is_empty() {
            return;
        }
        tokio::time::sleep(pause).await;
        left = engine.vendor_receipts(app, vendor, left).await;
    }
    if !left.is_empty() {
        tracing::warn!(app = app.0, %vendor, receipts = left.len(), "the store took no receipts: they are lost");
        counter!("carillon_vendor_receipts_lost_total", "vendor" => vendor.as_str())
            .increment(left.len() as u64);
    }
}

impl Seen {
    /// Those that were not seen before, each once.
    fn fresh(&mut self, app: App, vendor: Vendor, receipts: Vec<Receipt>) -> Vec<Receipt> {
        let mut fresh = Vec::with_capacity(receipts.len());
        for receipt in receipts {
            let mark = mark(app, vendor, &receipt);
            if self.before.contains(&mark) || !self.now.insert(mark) {
                continue;
            }
            if self.now.len() >= SEEN_MAX {
                self.before = std::mem::take(&mut self.now);
            }
            fresh.push(receipt);
        }
        fresh
    }
}

/// What tells a receipt from another: message, token and what is said; not when.
fn mark(app: App, vendor: Vendor, receipt: &Receipt) -> [u8; 16] {
    let code = match &receipt.news {
        News::Refused { code } | News::Noted { code } => code.as_str(),
        News::Delivered | News::Clicked | News::Dead { .. } => "",
    };
    let named = |text: &Option<String>| text.clone().unwrap_or_default();
    let mut digest = Sha256::new();
    digest.update(app.0.to_be_bytes());
    digest.update([vendor as u8]);
    for part in [&named(&receipt.param), &named(&receipt.vendor_id), &named(&receipt.token)] {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.update(receipt.news.name());
    digest.update(code);
    let mut short = [0; 16];
    short.copy_from_slice(&digest.finalize()[..16]);
    short
}

/// Every series at 0, so that a rate has a beginning.
pub fn begin_metrics() {
    for vendor in Vendor::ALL.map(Vendor::as_str) {
        counter!("carillon_vendor_receipts_lost_total", "vendor" => vendor).absolute(0);
        for result in ["taken", "unknown", "forged", "unreadable", "full"] {
            counter!("carillon_vendor_receipt_posts_total", "vendor" => vendor, "result" => result)
                .absolute(0);
        }
        for news in ["delivered", "clicked", "dead", "refused", "noted"] {
            counter!("carillon_vendor_receipts_total", "vendor" => vendor, "news" => news).absolute(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt(token: &str, news: News) -> Receipt {
        Receipt {
            param: Some("p".to_owned()),
            vendor_id: None,
            token: Some(token.to_owned()),
            news,
            at: None,
        }
    }

    #[test]
    fn a_receipt_that_comes_twice_is_one() {
        let mut seen = Seen::default();
        let both = vec![receipt("a", News::Delivered), receipt("a", News::Clicked)];
        assert_eq!(seen.fresh(App(1), Vendor::Xiaomi, both.clone()).len(), 2);
        assert!(seen.fresh(App(1), Vendor::Xiaomi, both.clone()).is_empty());
        assert_eq!(seen.fresh(App(2), Vendor::Xiaomi, both.clone()).len(), 2, "another app's");
        assert_eq!(seen.fresh(App(1), Vendor::Meizu, both).len(), 2, "another vendor's");
    }

    #[test]
    fn a_post_for_which_too_many_are_under_way_is_sent_away_until_they_are_acted_upon() {
        let ingress = Ingress::default();
        let under_way = ingress.seat(UNDER_WAY_MAX - 1).unwrap();
        assert_eq!(ingress.seat(2).map(drop), Err(Turned::Full));
        drop(ingress.seat(1).unwrap());
        drop(under_way);
        assert!(ingress.seat(UNDER_WAY_MAX).is_ok());
    }

    #[test]
    fn what_is_remembered_is_bounded_and_the_newest() {
        let mut seen = Seen::default();
        for at in 0..2 * SEEN_MAX {
            seen.fresh(App(1), Vendor::Oppo, vec![receipt(&at.to_string(), News::Delivered)]);
        }
        assert!(seen.now.len() + seen.before.len() <= 2 * SEEN_MAX);
        let last = (2 * SEEN_MAX - 1).to_string();
        assert!(seen.fresh(App(1), Vendor::Oppo, vec![receipt(&last, News::Delivered)]).is_empty());
    }
}

//! What was promised and what was seen, written down by the clients, and the judgement.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard};

use serde_json::Value;

use super::DEVICES;
use crate::harness::{App, now, until};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum To {
    Device(u32),
    User(u32),
    All,
}

/// A push that was answered 202.
#[derive(Debug, Clone)]
pub(crate) struct Promise {
    pub(crate) title: String,
    pub(crate) id: String,
    pub(crate) to: To,
    pub(crate) lane: &'static str,
    pub(crate) pusher: u32,
    /// The pusher's own count: it sends one request after the other was answered.
    pub(crate) number: u64,
    pub(crate) expires_at_ms: u64,
}

#[derive(Default)]
struct Book {
    promises: Vec<Promise>,
    /// Title → the one id it may have.
    ids: HashMap<String, String>,
    /// Per phone, titles in the order first seen.
    seen: BTreeMap<u32, Vec<String>>,
    /// Per phone, ids acked.
    acked: BTreeMap<u32, BTreeSet<String>>,
}

#[derive(Default)]
pub(crate) struct Ledger(Mutex<Book>);

impl Ledger {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().expect("no client panicked in the ledger")
    }

    pub(crate) fn promised(&self, promise: Promise) {
        let mut book = self.book();
        let id = book.ids.entry(promise.title.clone()).or_insert_with(|| promise.id.clone());
        assert_eq!(*id, promise.id, "{}: the answer names another id than before", promise.title);
        book.promises.push(promise);
    }

    pub(crate) fn saw(&self, phone: u32, title: &str, id: &str) {
        let mut book = self.book();
        let known = book.ids.entry(title.to_owned()).or_insert_with(|| id.to_owned());
        assert_eq!(known, id, "{title}: a repeat carries another id");
        let seen = book.seen.entry(phone).or_default();
        if !seen.iter().any(|earlier| earlier == title) {
            seen.push(title.to_owned());
        }
    }

    pub(crate) fn acked(&self, phone: u32, id: &str) {
        self.book().acked.entry(phone).or_default().insert(id.to_owned());
    }

    /// The promises that nobody has kept yet.
    fn owed(&self) -> Vec<Promise> {
        let book = self.book();
        let sets: BTreeMap<u32, BTreeSet<&String>> =
            book.seen.iter().map(|(phone, titles)| (*phone, titles.iter().collect())).collect();
        let has = |phone: u32, title: &String| sets.get(&phone).is_some_and(|titles| titles.contains(title));
        let owed = book.promises.iter().filter(|promise| match promise.to {
            To::Device(device) => !has(device, &promise.title),
            To::User(_) => !(0..DEVICES).any(|phone| has(phone, &promise.title)),
            To::All => !(0..DEVICES).all(|phone| has(phone, &promise.title)),
        });
        owed.cloned().collect()
    }

    /// Waits until each promise was kept or has verifiably expired.
    pub(crate) async fn settled(&self, app: &App) {
        let left = until("every promise is kept or expired", || async {
            let mut owed = self.owed();
            owed.retain(|promise| promise.expires_at_ms > now().as_millis());
            if owed.is_empty() { Some(()) } else { None }
        });
        tokio::select! {
            () = left => {}
            () = self.report(app) => {}
        }
    }

    /// Never ends; says, before the wait does, what is still owed.
    async fn report(&self, app: &App) {
        tokio::time::sleep(crate::harness::PATIENCE * 3 / 4).await; // says why, just before the wait fails
        for promise in self.owed().iter().filter(|promise| promise.expires_at_ms > now().as_millis()).take(5)
        {
            eprintln!("owed: {promise:?}: {}", app.message(&promise.id).await);
        }
        std::future::pending::<()>().await;
    }

    pub(crate) async fn judge(&self, app: &App) {
        self.judge_expired(app).await;
        self.judge_order();
        self.judge_counts(app).await;
        let book = self.book();
        let sightings: usize = book.seen.values().map(Vec::len).sum();
        eprintln!("crash test: {} promises, {sightings} first sightings", book.promises.len());
        assert!(book.promises.len() > 50, "too little happened to judge by");
    }

    /// What was not seen was not lost: its verdict is expired.
    async fn judge_expired(&self, app: &App) {
        for promise in self.owed() {
            assert!(promise.expires_at_ms <= now().as_millis());
            until(&format!("{promise:?} is expired"), || async {
                let counts = app.message(&promise.id).await["counts"].clone();
                (counts["expired"].as_u64() > Some(0)).then_some(())
            })
            .await;
        }
    }

    /// Of one pusher's messages to one phone in one lane, the first sightings are in its order.
    fn judge_order(&self) {
        let book = self.book();
        let by_title: HashMap<&String, &Promise> =
            book.promises.iter().map(|promise| (&promise.title, promise)).collect();
        for (phone, titles) in &book.seen {
            let mut latest: HashMap<(u32, &str), u64> = HashMap::new();
            for promise in titles.iter().filter_map(|title| by_title.get(title)) {
                // A user's message may become due to a phone long after later ones: by a bind.
                if matches!(promise.to, To::User(_)) {
                    continue;
                }
                let last = latest.entry((promise.pusher, promise.lane)).or_default();
                assert!(promise.number >= *last, "phone {phone} saw {promise:?} after number {last}");
                *last = promise.number;
            }
        }
    }

    /// Deliveries in the stories of all messages, in the statistics, and in the phones' own acks.
    async fn judge_counts(&self, app: &App) {
        let ids: BTreeSet<String> = self.book().ids.values().cloned().collect();
        let mut delivered = 0;
        for id in &ids {
            delivered += app.message(id).await["counts"]["delivered"].as_u64().unwrap_or(0);
        }
        let acked: usize = self.book().acked.values().map(BTreeSet::len).sum();
        assert!(delivered <= acked as u64, "{delivered} delivered, but only {acked} acks sent");
        let path = format!("/v1/stats?from=0&to={}&granularity=day", now().as_millis() + 1000);
        until(&format!("statistics show {delivered} arrived"), || async {
            let stats = app.get(&path).await.expect(200).body;
            let arrived: u64 =
                stats["rows"].as_array()?.iter().filter_map(|row: &Value| row["arrived"].as_u64()).sum();
            eprintln!("crash test: {arrived} arrived, {delivered} delivered, {acked} acked");
            (arrived == delivered).then_some(())
        })
        .await;
    }
}

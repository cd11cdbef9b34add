//! From the fates of a call's tokens to what becomes of the call.
//!
//! Some fates befall a whole call, whoever else is in it: a vendor that is down for one token of a
//! batch is down for the batch. Each simulator says which fates its vendor can tell token by token.

use std::collections::HashSet;
use std::time::Duration;

use carillon_sdk::Vendor;
use parking_lot::Mutex;
use serde_json::Value;

use super::{Asked, Captured, Condition, Fate, Reply, Taken, World};

/// The fates of one call's tokens, each drawn once.
pub(super) struct Ruling(Vec<(String, Fate)>);

/// What the world says before anything is read: the vendor is away, or silent.
pub(super) fn away(world: &World, vendor: Vendor) -> Option<Reply> {
    match world.condition(vendor) {
        Condition::Unreachable => Some(Reply::Cut),
        Condition::Silent => Some(Reply::Silence),
        Condition::Down => Some(Reply::html(503)),
        Condition::Up | Condition::TokensRevoked | Condition::CredentialRefused => None,
    }
}

/// Notes what was asked and answered.
pub(super) fn noted(world: &World, vendor: Vendor, asked: &Asked, reply: Reply) -> Reply {
    world.capture.request(Captured::of(vendor, world.now(vendor), asked, &reply));
    reply
}

impl Ruling {
    /// Draws them, and waits as long as the slowest takes.
    pub(super) async fn draw(world: &World, vendor: Vendor, tokens: &[String]) -> Self {
        let fates = tokens.iter().map(|token| (token.clone(), world.fate(vendor, token)));
        let ruling = Self(fates.collect());
        let slowest = ruling.0.iter().filter_map(|(_, fate)| match fate {
            Fate::Slow(time) => Some(*time),
            _ => None,
        });
        let slowest = slowest.max().unwrap_or(Duration::ZERO);
        if !slowest.is_zero() {
            tokio::time::sleep(slowest).await;
        }
        ruling
    }

    pub(super) fn any(&self, is: impl Fn(Fate) -> bool) -> bool {
        self.0.iter().any(|(_, fate)| is(*fate))
    }

    pub(super) fn tokens(&self, is: impl Fn(Fate) -> bool) -> Vec<String> {
        self.0.iter().filter(|(_, fate)| is(*fate)).map(|(token, _)| token.clone()).collect()
    }

    /// What whoever stands before the vendor does to the call, which the vendor then never sees.
    pub(super) fn in_front(&self) -> Option<Reply> {
        if self.any(|fate| matches!(fate, Fate::Html(_))) {
            return Some(Reply::html(502));
        }
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        let cut = || Reply::Answer { status: 200, headers, body: r#"{"code":"#.into() };
        self.any(|fate| matches!(fate, Fate::Garbage(_))).then(cut)
    }

    /// Those the vendor takes, if the call is not refused as a whole.
    pub(super) fn accepted(&self) -> Vec<String> {
        self.tokens(|fate| matches!(fate, Fate::Accepted | Fate::Slow(_) | Fate::Silent(_) | Fate::Cut(_)))
    }

    /// `reply`, unless one of the tokens keeps it from ever being heard.
    pub(super) fn heard(&self, reply: Reply) -> Reply {
        if self.any(|fate| matches!(fate, Fate::Silent(_))) {
            return Reply::Silence;
        }
        if self.any(|fate| matches!(fate, Fate::Cut(_))) { Reply::Cut } else { reply }
    }
}

/// What the vendor took for its tokens, but for repeats it knows by their key.
#[derive(Default)]
pub(super) struct Shelf(Mutex<HashSet<(String, String)>>);

impl Shelf {
    /// With a key, a second one for the same token is dropped, silently as vendors do.
    pub(super) fn take(
        &self,
        world: &World,
        vendor: Vendor,
        (token, key): (&str, Option<&str>),
        vendor_id: &str,
        content: &Value,
    ) {
        if let Some(key) = key {
            let is_new = self.0.lock().insert((token.to_owned(), key.to_owned()));
            if !is_new {
                return;
            }
        }
        world.capture.take(Taken {
            vendor,
            at: world.now(vendor),
            token: token.to_owned(),
            key: key.map(str::to_owned),
            vendor_id: vendor_id.to_owned(),
            content: content.clone(),
        });
    }
}

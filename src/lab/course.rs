//! One call, seen as a whole: what the vendor's state and the fates of all its tokens make of it.

use std::time::Duration;

use bytes::Bytes;
use carillon_sdk::Vendor;

use super::{Condition, Fate, Reply, World};

/// The fates of a call's tokens, in their order: each was drawn, and counts as tried.
pub(super) struct Course {
    pub(super) fates: Vec<Fate>,
}

/// What a vendor that is not up answers; `None` when it has to look at the request.
pub(super) fn condition(world: &World, vendor: Vendor) -> Option<Reply> {
    match world.condition(vendor) {
        Condition::Up | Condition::TokensRevoked | Condition::CredentialRefused => None,
        Condition::Unreachable => Some(Reply::Cut),
        Condition::Down => Some(text(503, "Service Unavailable")),
        Condition::Silent => Some(Reply::Silence),
    }
}

impl Course {
    pub(super) fn draw<'a>(world: &World, vendor: Vendor, tokens: impl IntoIterator<Item = &'a str>) -> Self {
        Self { fates: tokens.into_iter().map(|token| world.fate(vendor, token)).collect() }
    }

    pub(super) fn has(&self, is: impl Fn(&Fate) -> bool) -> bool {
        self.fates.iter().any(is)
    }

    /// What the call gets before the vendor has looked at it: nothing is taken.
    pub(super) fn before(&self) -> Option<Reply> {
        if self.has(|fate| matches!(fate, Fate::Down(_))) {
            return Some(text(500, "Internal Server Error"));
        }
        if self.has(|fate| matches!(fate, Fate::Html(_))) {
            return Some(Reply::html(502));
        }
        let is_garbage = self.has(|fate| matches!(fate, Fate::Garbage(_)));
        is_garbage.then(|| Reply::Answer {
            status: 200,
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: Bytes::from_static(b"{\"code\":0,\"resu"),
        })
    }

    /// The answer after all was taken: late, or none.
    pub(super) async fn after(&self, reply: Reply) -> Reply {
        let slowest = self.fates.iter().filter_map(|fate| match fate {
            Fate::Slow(time) => Some(*time),
            _ => None,
        });
        let slowest = slowest.max().unwrap_or(Duration::ZERO);
        if !slowest.is_zero() {
            tokio::time::sleep(slowest).await;
        }
        match () {
            () if self.has(|fate| matches!(fate, Fate::Silent(_))) => Reply::Silence,
            () if self.has(|fate| matches!(fate, Fate::Cut(_))) => Reply::Cut,
            () => reply,
        }
    }

    /// Whether the vendor takes a notification for a token of this fate.
    pub(super) fn is_taken(fate: Fate) -> bool {
        matches!(fate, Fate::Accepted | Fate::Slow(_) | Fate::Silent(_) | Fate::Cut(_))
    }
}

pub(super) fn text(status: u16, body: &'static str) -> Reply {
    let headers = vec![("content-type".to_owned(), "text/plain".to_owned())];
    Reply::Answer { status, headers, body: Bytes::from_static(body.as_bytes()) }
}

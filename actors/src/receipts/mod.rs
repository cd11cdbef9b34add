//! Receipts: what became of pushes, POSTed to app servers. They are read from history by cursor, so
//! nothing is queued, and a road that takes nothing for days costs a number on disk.
//!
//! ```text
//!  history ──feed──▶ Delivery × road ──Course──▶ letter, signature ──▶ Gateway (the edge: HTTP)
//!                        └──where it is──▶ store
//! ```
//!
//! A road is an endpoint of the app's (Standard Webhooks), a replay for one, or the app's mPaaS
//! callback. Each goes by itself: one that is dead delays no other. At least once, in order.

mod actor;
mod course;
mod delivery;
mod endpoint;
mod letter;
mod sign;

use bytes::Bytes;
use carillon_sdk::Ttl;
use futures_util::future::BoxFuture;

pub(crate) use self::actor::{Receipts, Reconcile, is_needed, reconciles};
pub use self::course::Patience;
pub use self::endpoint::{Draft, Endpoint, Endpoints, Error, Kept, ReplayFrom};
pub use self::sign::Secret;

/// One POST of JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Post {
    pub url: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: Bytes,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Any 2xx.
    Taken,
    /// 410: it wants nothing any more.
    Gone,
    /// Not taken, or not known to be. The text is for the endpoint's owner.
    Failed { why: String, retry_after: Option<Ttl> },
}

/// The way out, given by the edge: here is no HTTP. It answers within a bound of its own.
pub trait Gateway: Send + Sync {
    fn post(&self, post: Post) -> BoxFuture<'static, Answer>;
}

/// How receipts are delivered.
#[derive(Debug, Clone)]
pub struct Config {
    pub patience: Patience,
    /// Endpoints an app may have.
    pub endpoints_max: usize,
}

//! Channels that are set up, tried out and counted, and given nothing to carry.

use std::sync::Arc;

use carillon_actors::channel::{Claimed, End, ErrandId, ErrandLane, Errands, Works};
use carillon_actors::model::App;
use carillon_actors::store;
use carillon_sdk::Vendor;
use futures_util::future::BoxFuture;
use tokio::sync::Notify;

/// Gives out no errands.
pub struct Quiet;

struct None(Arc<Notify>);

impl Works for Quiet {
    fn errands(&self, _: App, _: Vendor) -> Arc<dyn Errands> {
        Arc::new(None(Arc::default()))
    }
}

impl Errands for None {
    fn claim(&self, _: ErrandLane, _: usize) -> BoxFuture<'static, Result<Claimed, store::Error>> {
        Box::pin(std::future::ready(Ok(Claimed::default())))
    }

    fn conclude(&self, _: Vec<(ErrandId, End)>) -> BoxFuture<'static, Result<(), store::Error>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn watch(&self) -> Arc<Notify> {
        Arc::clone(&self.0)
    }
}

//! The port's operations: each finds its partition, hands over, and waits for the answer.

mod apps;
mod campaigns;
mod devices;
mod errands;
mod log;
mod pushes;
mod reading;
mod receipts;
mod revoke;
mod sessions;
mod tags;
mod time;
mod tokens;

use carillon_sdk::Timestamp;
use tokio::sync::oneshot;

use super::intake::Weight;
use super::work::{Later, Op, Reply, Write};
use super::{Error, Store};
use crate::model::App;

pub(super) use self::reading::Job;

const ONE: Weight = Weight { ops: 1, lazy: false };

const fn lazy(ops: usize) -> Weight {
    Weight { ops: if ops == 0 { 1 } else { ops }, lazy: true }
}

impl Store {
    fn now(&self) -> Timestamp {
        self.0.shared.clock.now()
    }

    /// Hands a write to a partition and waits for its commit.
    pub(super) async fn write<T>(
        &self,
        partition: usize,
        app: App,
        op: impl FnOnce(Reply<T>) -> Write,
    ) -> Result<T, Error> {
        if self.0.shared.failure.is_some() {
            return Err(Error::Unavailable);
        }
        let (reply, answer) = oneshot::channel();
        self.0.shared.ports[partition].intake.push(app, ONE, Op::Write(op(reply)))?;
        // A partition that ends without an answer may have written.
        answer.await.unwrap_or(Err(Error::Unknown))
    }

    /// The same for what is only read, or not waited for on disk.
    pub(super) async fn ask<T>(
        &self,
        partition: usize,
        app: App,
        op: impl FnOnce(Reply<T>) -> Later,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.0.shared.ports[partition].intake.push(app, ONE, Op::Later(op(reply)))?;
        answer.await.unwrap_or(Err(Error::Unavailable))
    }

    /// Hands over what nobody waits for.
    fn tell(&self, partition: usize, app: App, weight: Weight, op: Later) -> Result<(), Error> {
        if self.0.shared.failure.is_some() {
            return Err(Error::Unavailable);
        }
        self.0.shared.ports[partition].intake.push(app, weight, Op::Later(op))
    }
}

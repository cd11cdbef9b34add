//! What vendors' channels are given to carry, and what they say became of it.

use std::sync::Arc;

use ahash::AHashMap;
use carillon_sdk::{Timestamp, Vendor};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::super::errands::{ErrandOp, Given, Out};
use super::super::work::Write;
use super::super::{By, Dropped, Error, Store};
use crate::channel::{Claimed, End, Errand, ErrandId, ErrandLane, Errands, Works};
use crate::model::{App, Device};

/// The number of a partition in an errand's; there are fewer.
const PARTITION_BITS: u32 = 8;

/// The errands of one channel, over all partitions.
struct OfChannel {
    store: Store,
    app: App,
    vendor: Vendor,
    /// Whatever an earlier life had out is due again, once that has been said.
    begun: tokio::sync::OnceCell<()>,
    /// What is out, by which the token is found when it is said to be dead.
    tokens: Mutex<AHashMap<ErrandId, (Device, String)>>,
}

impl Works for Store {
    fn errands(&self, app: App, vendor: Vendor) -> Arc<dyn Errands> {
        let (store, begun, tokens) = (self.clone(), Default::default(), Mutex::default());
        Arc::new(Handle(Arc::new(OfChannel { store, app, vendor, begun, tokens })))
    }
}

struct Handle(Arc<OfChannel>);

impl Errands for Handle {
    fn claim(&self, lane: ErrandLane, max: usize) -> BoxFuture<'static, Result<Claimed, Error>> {
        let of = Arc::clone(&self.0);
        async move { of.claim(lane, max).await }.boxed()
    }

    fn conclude(&self, ends: Vec<(ErrandId, End)>) -> BoxFuture<'static, Result<(), Error>> {
        let of = Arc::clone(&self.0);
        async move { of.conclude(ends).await }.boxed()
    }

    fn watch(&self) -> Arc<Notify> {
        self.0.store.0.shared.bells.of(self.0.app, self.0.vendor)
    }
}

impl OfChannel {
    async fn ask<T>(
        &self,
        partition: usize,
        op: impl FnOnce(super::super::work::Reply<T>) -> ErrandOp,
    ) -> Result<T, Error> {
        self.store.write(partition, self.app, |reply| Write::Errands(op(reply))).await
    }

    async fn begin(&self) -> Result<(), Error> {
        let (app, vendor) = (self.app, self.vendor);
        for partition in 0..self.store.0.shared.ports.len() {
            self.ask(partition, |reply| ErrandOp::Reclaim { app, vendor, reply }).await?;
        }
        Ok(())
    }

    async fn claim(&self, lane: ErrandLane, max: usize) -> Result<Claimed, Error> {
        self.begun.get_or_try_init(|| self.begin()).await?;
        let (app, vendor) = (self.app, self.vendor);
        let all = 0..self.store.0.shared.ports.len();
        // Broadcasts and campaigns are the app's.
        let of_app = self.store.0.shared.partition_of_app(app);
        let partitions = all.filter(|&partition| lane != ErrandLane::Bulk || partition == of_app);
        let mut claimed = Claimed::default();
        let mut outs = Vec::new();
        for partition in partitions {
            let max = max.saturating_sub(outs.len());
            if max == 0 {
                // There may be more: it is asked again at once.
                claimed.next_due = Some(Timestamp::default());
                break;
            }
            let given = self.ask(partition, |reply| ErrandOp::Claim { app, vendor, lane, max, reply });
            let Given { errands, next_due } = given.await?;
            outs.extend(errands.into_iter().map(|out| (id(partition, out.number), out)));
            claimed.next_due = [claimed.next_due, next_due].into_iter().flatten().min();
        }
        claimed.errands = self.with_tokens(outs).await?;
        Ok(claimed)
    }

    /// Tokens are the devices', whose partitions may be others.
    async fn with_tokens(&self, outs: Vec<(ErrandId, Out)>) -> Result<Vec<Errand>, Error> {
        let devices = outs.iter().map(|(_, out)| out.device).collect();
        let tokens = match self.store.vendor_tokens(self.vendor, devices).await {
            Ok(tokens) => tokens,
            Err(error) => {
                let ends = outs.iter().map(|(id, _)| (*id, End::Unclaim)).collect();
                self.conclude(ends).await?;
                return Err(error);
            }
        };
        let (mut errands, mut without) = (Vec::with_capacity(outs.len()), Vec::new());
        for ((id, out), token) in outs.into_iter().zip(tokens) {
            let Some(info) = token else {
                // Withdrawn in this moment: the next claim finds whoever carries now.
                without.push((id, End::Unclaim));
                continue;
            };
            self.tokens.lock().insert(id, (out.device, info.token.clone()));
            errands.push(Errand {
                id,
                device: out.device,
                token: info.token,
                registered_at: info.at,
                message: out.message,
                attempts: out.attempts,
                urgent: out.is_urgent,
            });
        }
        if !without.is_empty() {
            self.conclude(without).await?;
        }
        Ok(errands)
    }

    /// Takes a dead token away. When the device has another by now, the message goes to that one.
    async fn bury(
        &self,
        device: Device,
        token: &str,
        code: String,
        dead_since: Option<Timestamp>,
    ) -> Result<End, Error> {
        let why = Dropped { by: By::Vendor, why: Some(code.clone()) };
        if !self.store.drop_token(device, self.vendor, token, dead_since, why).await?
            && let Some(people) = self.store.0.shared.tenants.get(self.app)
            && people.held(device.ordinal, self.vendor).is_some()
            && !people.has_token(device.ordinal, self.vendor, token)
        {
            return Ok(End::Again { at: self.store.now() });
        }
        Ok(End::Dead { code, dead_since })
    }

    async fn conclude(&self, ends: Vec<(ErrandId, End)>) -> Result<(), Error> {
        let mut shares: Vec<Vec<(u64, End)>> = self.store.0.shared.ports.iter().map(|_| Vec::new()).collect();
        for (id, end) in ends {
            let token = self.tokens.lock().remove(&id);
            // The token first: should the process end in between, the message finds its other road.
            let end = match (end, token) {
                (End::Dead { code, dead_since }, Some((device, token))) => {
                    self.bury(device, &token, code, dead_since).await?
                }
                (end, _) => end,
            };
            let (partition, number) = parts(id);
            if let Some(share) = shares.get_mut(partition) {
                share.push((number, end));
            }
        }
        for (partition, ends) in shares.into_iter().enumerate() {
            if !ends.is_empty() {
                self.ask(partition, |reply| ErrandOp::Conclude { ends, reply }).await?;
            }
        }
        Ok(())
    }
}

/// A number within a partition keeps its highest bit, which tells the log's from the queues'.
const fn id(partition: usize, number: u64) -> ErrandId {
    let high = number & (1 << 63);
    ErrandId(high | ((number << (PARTITION_BITS + 1)) >> 1) | partition as u64)
}

const fn parts(ErrandId(id): ErrandId) -> (usize, u64) {
    let high = id & (1 << 63);
    let number = (id & !(1 << 63)) >> PARTITION_BITS;
    ((id & ((1 << PARTITION_BITS) - 1)) as usize, high | number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_errands_number_reads_back() {
        for number in [1, 77, 1 << 40, (1 << 63) | 5] {
            for partition in [0, 1, 255] {
                assert_eq!(parts(id(partition, number)), (partition, number));
            }
        }
    }
}

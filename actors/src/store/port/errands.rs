//! What vendors' channels are given to carry, and what they say became of it.

use std::sync::Arc;

use ahash::AHashMap;
use carillon_sdk::{Timestamp, Vendor};
use futures_util::future::{BoxFuture, try_join_all};
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use super::super::errands::{ErrandOp, Given, Out, Seen};
use super::super::work::{Op, Reply, Write};
use super::super::{By, Dropped, Error, Store};
use super::ONE;
use crate::channel::{Claimed, End, Errand, ErrandId, ErrandLane, Errands, Works};
use crate::model::{App, Device, Owner, Seq, User};

/// The number of a partition in an errand's; there are fewer.
const PARTITION_BITS: u32 = 8;

/// Dead tokens that are taken away at a time: they meet in the same commits.
const BURIED_AT_ONCE: usize = 64;

/// The errands of one life of a channel, over all partitions.
struct OfChannel {
    store: Store,
    app: App,
    vendor: Vendor,
    /// Another life has another: what a former one still asks for is not given.
    life: Seq,
    /// Whatever an earlier life had out is due again, once that has been said.
    begun: tokio::sync::OnceCell<()>,
    out: Mutex<AHashMap<ErrandId, Held>>,
}

/// What is out, by which it is found dead or no longer owed.
struct Held {
    device: Device,
    token: String,
    user: Option<User>,
}

impl Works for Store {
    fn errands(&self, app: App, vendor: Vendor) -> Arc<dyn Errands> {
        Arc::new(Handle(Arc::new(OfChannel {
            store: self.clone(),
            app,
            vendor,
            life: self.0.shared.draw(),
            begun: tokio::sync::OnceCell::new(),
            out: Mutex::default(),
        })))
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

    fn is_owed(&self, id: ErrandId) -> bool {
        self.0.is_owed(id)
    }

    fn watch(&self) -> Arc<Notify> {
        self.0.store.0.shared.bells.of(self.0.app, self.0.vendor)
    }
}

impl OfChannel {
    async fn ask<T>(&self, partition: usize, op: impl FnOnce(Reply<T>) -> ErrandOp) -> Result<T, Error> {
        self.write(partition, |reply| Write::Errands(op(reply))).await
    }

    /// A channel asks for no more than it can carry, so it is not refused for what else the app asks.
    async fn write<T>(&self, partition: usize, op: impl FnOnce(Reply<T>) -> Write) -> Result<T, Error> {
        let shared = &self.store.0.shared;
        if shared.failure.is_some() {
            return Err(Error::Unavailable);
        }
        let (reply, answer) = oneshot::channel();
        shared.ports[partition].intake.admit(self.app, ONE, Op::Write(op(reply)))?;
        answer.await.unwrap_or(Err(Error::Unknown))
    }

    async fn begin(&self) -> Result<(), Error> {
        let (app, vendor, life) = (self.app, self.vendor, self.life);
        for partition in 0..self.store.0.shared.ports.len() {
            self.ask(partition, |reply| ErrandOp::Begin { app, vendor, life, reply }).await?;
        }
        Ok(())
    }

    /// Where a lane's errands are.
    fn partitions(&self, lane: ErrandLane) -> Vec<usize> {
        let shared = &self.store.0.shared;
        if lane == ErrandLane::Bulk {
            // Broadcasts and campaigns are the app's.
            return vec![shared.partition_of_app(self.app)];
        }
        (0..shared.ports.len()).collect()
    }

    async fn claim(&self, lane: ErrandLane, max: usize) -> Result<Claimed, Error> {
        self.begun.get_or_try_init(|| self.begin()).await?;
        let (app, vendor, life) = (self.app, self.vendor, self.life);
        let partitions = self.partitions(lane);
        // All at once, at least one of each: a few more than was asked hurt nobody.
        let share = max.div_ceil(partitions.len());
        let asked = partitions.into_iter().map(|partition| async move {
            let ask = |reply| ErrandOp::Claim { app, vendor, life, lane, max: share, reply };
            Ok::<_, Error>((partition, self.ask(partition, ask).await?))
        });
        let (mut claimed, mut outs) = (Claimed::default(), Vec::new());
        // A store that fails here gives nothing out any more.
        for (partition, Given { errands, next_due }) in try_join_all(asked).await? {
            outs.extend(errands.into_iter().map(|out| (id(partition, out.number), out)));
            claimed.next_due = [claimed.next_due, next_due].into_iter().flatten().min();
        }
        claimed.errands = self.with_tokens(outs).await?;
        Ok(claimed)
    }

    /// Tokens are the devices', whose partitions may be others.
    async fn with_tokens(&self, outs: Vec<(ErrandId, Out)>) -> Result<Vec<Errand>, Error> {
        let unseen = outs.iter().filter(|(_, out)| matches!(out.token, Seen::Elsewhere));
        let unseen: Vec<Device> = unseen.map(|(_, out)| out.device).collect();
        let mut tokens = match unseen.is_empty() {
            true => Vec::new(),
            false => self.store.vendor_tokens(self.vendor, unseen).await?,
        }
        .into_iter();
        let (mut errands, mut without) = (Vec::with_capacity(outs.len()), Vec::new());
        for (id, out) in outs {
            let Out { device, owner, message, attempts, is_urgent, token, .. } = out;
            let token = match token {
                Seen::Token(token) => Some(token),
                Seen::Gone => None,
                Seen::Elsewhere => tokens.next().flatten(),
            };
            let Some(info) = token else {
                // Withdrawn in this moment: the next claim finds whoever carries now.
                without.push((id, End::Unclaim));
                continue;
            };
            let user = match owner {
                Owner::User(user) => Some(user),
                Owner::Device(_) => None,
            };
            self.out.lock().insert(id, Held { device, token: info.token.clone(), user });
            let (token, registered_at) = (info.token, info.at);
            errands.push(Errand { id, device, token, registered_at, message, attempts, urgent: is_urgent });
        }
        if !without.is_empty() {
            self.conclude(without).await?;
        }
        Ok(errands)
    }

    /// As memory knows it, at the moment before it is sent.
    fn is_owed(&self, id: ErrandId) -> bool {
        let out = self.out.lock();
        let (Some(Held { device, token, user }), Some(people)) =
            (out.get(&id), self.store.0.shared.tenants.get(self.app))
        else {
            return false;
        };
        people.carrier(device.ordinal) == Some(self.vendor)
            && people.has_token(device.ordinal, self.vendor, token)
            && user.is_none_or(|user| people.bound_user(device.ordinal) == Some(user))
    }

    /// Takes a dead token away. When the device has another by now, the message goes to that one.
    async fn bury(&self, id: ErrandId, code: String, dead_since: Option<Timestamp>) -> Result<End, Error> {
        let vendor = self.vendor;
        let held = self.out.lock().get(&id).map(|held| (held.device, held.token.clone()));
        let Some((device, token)) = held else { return Ok(End::Dead { code, dead_since }) };
        let why = Dropped { by: By::Vendor, why: Some(code.clone()) };
        let partition = self.store.0.shared.partition_of_device(device);
        let drop =
            |reply| Write::DropToken { device, vendor, token: Some(token.clone()), dead_since, why, reply };
        if !self.write(partition, drop).await?
            && let Some(people) = self.store.0.shared.tenants.get(self.app)
            && people.held(device.ordinal, vendor).is_some()
            && !people.has_token(device.ordinal, vendor, &token)
        {
            return Ok(End::Again { at: self.store.now() });
        }
        Ok(End::Dead { code, dead_since })
    }

    /// The tokens first: should the process end in between, the messages find their other road.
    async fn conclude(&self, ends: Vec<(ErrandId, End)>) -> Result<(), Error> {
        let buried = stream::iter(ends).map(|(id, end)| async move {
            let end = match end {
                End::Dead { code, dead_since } => self.bury(id, code, dead_since).await?,
                end => end,
            };
            Ok::<_, Error>((id, end))
        });
        let ends: Vec<(ErrandId, End)> = buried.buffer_unordered(BURIED_AT_ONCE).try_collect().await?;
        let mut shares: Vec<Vec<(u64, End)>> = self.store.0.shared.ports.iter().map(|_| Vec::new()).collect();
        let ids: Vec<ErrandId> = ends.iter().map(|(id, _)| *id).collect();
        for (id, end) in ends {
            let (partition, number) = parts(id);
            if let Some(share) = shares.get_mut(partition) {
                share.push((number, end));
            }
        }
        let shares = shares.into_iter().enumerate().filter(|(_, ends)| !ends.is_empty());
        let all =
            shares.map(|(partition, ends)| self.ask(partition, |reply| ErrandOp::Conclude { ends, reply }));
        try_join_all(all).await?;
        // Not before: one that the store refused is concluded again.
        let mut out = self.out.lock();
        ids.iter().for_each(|id| drop(out.remove(id)));
        Ok(())
    }
}

impl Drop for OfChannel {
    /// However the channel ended, nothing of it stays claimed.
    fn drop(&mut self) {
        if self.begun.initialized() {
            let (app, vendor, life) = (self.app, self.vendor, self.life);
            for port in &self.store.0.shared.ports {
                port.intake.follow_up(Op::Write(Write::Errands(ErrandOp::Over { app, vendor, life })));
            }
        }
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

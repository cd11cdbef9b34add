//! Which shard a device or user belongs to, and the way there.
//!
//! A value, not an actor: the top of the tree is on no hot path. Clones share one table, which is
//! published anew when a shard is made anew. Everything goes through the table's own addresses: a
//! fresh clone of an actix address has one message more of capacity than it should, so a clone a
//! message would have no bound at all.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix::dev::{SendError, ToEnvelope};
use actix::{Actor, Addr, Handler, Message};
use parking_lot::{Mutex, RwLock};
use roaring::RoaringBitmap;

use crate::counters::Counters;
use crate::model::{App, Device, Seq, ShardNo, User};
use crate::shard::{Broadcast, Due, Shard, Withdrawn};
use crate::store::{DueHint, Hints, LogEntry};

#[derive(Clone)]
pub(crate) struct Router {
    shards: Arc<RwLock<Vec<Addr<Shard>>>>,
    lost: Arc<[Lost]>,
    counters: Arc<Counters>,
}

/// Devices of a shard whose hints found its mailbox full: it looks here before it takes more, so
/// a dropped hint delays a message and never reorders.
#[derive(Default)]
struct Lost {
    any: AtomicBool,
    devices: Mutex<HashSet<Device, ahash::RandomState>>,
}

/// The shard has no room for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full<M>(pub(crate) M);

impl Router {
    pub(crate) fn new(shards: usize, counters: Arc<Counters>) -> Self {
        let lost = (0..shards.max(1)).map(|_| Lost::default()).collect();
        Self { shards: Arc::default(), lost, counters }
    }

    /// Shards there are, whether alive or being made anew.
    pub(crate) fn shard_count(&self) -> u16 {
        u16::try_from(self.lost.len()).unwrap_or(u16::MAX)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = ShardNo> + use<> {
        (0..self.shard_count()).map(ShardNo)
    }

    /// Puts a shard's address in its place, the first time or after a death.
    pub(crate) fn publish(&self, shard: ShardNo, address: Addr<Shard>) {
        let mut shards = self.shards.write();
        let at = usize::from(shard.0);
        if at < shards.len() {
            shards[at] = address;
        } else {
            shards.push(address);
        }
    }

    pub(crate) fn of_device(&self, device: Device) -> ShardNo {
        self.place(device.app.0, device.ordinal, 0)
    }

    pub(crate) fn of_user(&self, user: User) -> ShardNo {
        self.place(user.app.0, user.ordinal, 1)
    }

    fn place(&self, app: u32, ordinal: u32, kind: u64) -> ShardNo {
        // Fibonacci hashing: dense ordinals spread evenly.
        let mixed =
            ((u64::from(app) << 32 | u64::from(ordinal)) ^ (kind << 63)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        ShardNo(u16::try_from((mixed >> 32) % u64::from(self.shard_count())).unwrap_or_default())
    }

    /// Tells a shard. `Full` gives the message back, also while a dead shard is made anew.
    pub(crate) fn tell<M>(&self, shard: ShardNo, message: M) -> Result<(), Full<M>>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        Shard: Handler<M>,
        <Shard as Actor>::Context: ToEnvelope<Shard, M>,
    {
        match self.shards.read().get(usize::from(shard.0)) {
            Some(address) => address.try_send(message).map_err(|error| match error {
                SendError::Full(message) | SendError::Closed(message) => Full(message),
            }),
            None => Err(Full(message)),
        }
    }

    /// Asks a shard: waits for room in its mailbox, and for the answer. For what must not be
    /// dropped; an error says that the shard died.
    pub(crate) async fn ask<M>(&self, shard: ShardNo, message: M) -> Result<M::Result, actix::MailboxError>
    where
        M: Message + Send + Unpin + 'static,
        M::Result: Send,
        Shard: Handler<M>,
        <Shard as Actor>::Context: ToEnvelope<Shard, M>,
    {
        let request = self.shards.read().get(usize::from(shard.0)).map(|address| address.send(message));
        match request {
            Some(request) => request.await,
            None => Err(actix::MailboxError::Closed),
        }
    }

    /// The devices of a shard whose hints were dropped since the last call.
    pub(crate) fn take_lost(&self, shard: ShardNo) -> Vec<Device> {
        match self.lost.get(usize::from(shard.0)) {
            Some(lost) if lost.any.swap(false, Ordering::AcqRel) => lost.devices.lock().drain().collect(),
            _ => Vec::new(),
        }
    }
}

impl Hints for Router {
    fn due(&self, shard: ShardNo, hints: Vec<DueHint>) {
        if let Err(Full(Due(hints))) = self.tell(shard, Due(hints)) {
            self.counters.hints_dropped.increment(hints.len() as u64);
            if let Some(lost) = self.lost.get(usize::from(shard.0)) {
                lost.devices.lock().extend(hints.iter().map(|hint| hint.device));
                lost.any.store(true, Ordering::Release);
            }
        }
    }

    fn withdrawn(&self, app: App, seq: Seq, devices: Option<Arc<RoaringBitmap>>) {
        for shard in self.all() {
            // Lost, it costs a repeat.
            let _ = self.tell(shard, Withdrawn { app, seq, devices: devices.clone() });
        }
    }

    fn broadcast(&self, entry: Arc<LogEntry>, devices: Arc<RoaringBitmap>) {
        for shard in self.all() {
            let told = Broadcast { app: entry.app, devices: Arc::clone(&devices) };
            if self.tell(shard, told).is_err() {
                // The sweep compares each session with the log and finds it.
                self.counters.hints_dropped.increment(1);
            }
        }
    }
}

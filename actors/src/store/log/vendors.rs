//! What of the app's log vendors are to carry, what of it is out, and what waits to be tried again.
//! Memory: a start tries again at once what was waiting.

use std::collections::BTreeMap;
use std::sync::Arc;

use ahash::AHashMap;
use carillon_sdk::{Timestamp, Vendor};
use roaring::RoaringBitmap;

use super::LogEntry;
use crate::model::{App, Seq};

/// Numbers of these begin here, so that they are told from those of errands in queues.
const FIRST: u64 = 1 << 63;

/// Devices that are due again, by when, of which entry, with their attempts.
type Later = BTreeMap<(Timestamp, Seq, u32), u16>;

#[derive(Default)]
pub(in crate::store) struct BulkOuts {
    last: u64,
    claims: AHashMap<u64, BulkClaim>,
    /// By entry, whatever the vendor: one at a time has it.
    out: AHashMap<Seq, RoaringBitmap>,
    later: AHashMap<(App, Vendor), Later>,
    /// By entry and vendor, those in `later`: another vendor need not wait with them.
    waiting: AHashMap<(Seq, Vendor), RoaringBitmap>,
}

/// One device of an entry, out.
pub(in crate::store) struct BulkClaim {
    pub entry: Arc<LogEntry>,
    pub vendor: Vendor,
    pub device: u32,
    pub attempts: u16,
}

impl BulkOuts {
    /// Of these those that are neither out nor waiting for this vendor.
    #[must_use]
    pub(in crate::store) fn idle(&self, seq: Seq, vendor: Vendor, devices: RoaringBitmap) -> RoaringBitmap {
        let mut devices = devices;
        for busy in [self.out.get(&seq), self.waiting.get(&(seq, vendor))].into_iter().flatten() {
            devices -= busy;
        }
        devices
    }

    /// Whom some vendor may be taking it for just now.
    #[must_use]
    pub(in crate::store) fn out(&self, seq: Seq) -> Option<&RoaringBitmap> {
        self.out.get(&seq)
    }

    pub(in crate::store) fn take_out(&mut self, claim: BulkClaim) -> u64 {
        self.last += 1;
        self.out.entry(claim.entry.due.seq).or_default().insert(claim.device);
        self.claims.insert(FIRST | self.last, claim);
        FIRST | self.last
    }

    pub(in crate::store) fn put_back(&mut self, number: u64) -> Option<BulkClaim> {
        let claim = self.claims.remove(&number)?;
        leave(&mut self.out, &claim.entry.due.seq, claim.device);
        Some(claim)
    }

    /// To be tried again then.
    pub(in crate::store) fn wait(&mut self, claim: &BulkClaim, at: Timestamp) {
        let (seq, device) = (claim.entry.due.seq, claim.device);
        self.waiting.entry((seq, claim.vendor)).or_default().insert(device);
        let later = self.later.entry((claim.entry.app, claim.vendor)).or_default();
        later.insert((at, seq, device), claim.attempts.saturating_add(1));
    }

    /// What waited and is due, at most `max`; and when the next is.
    pub(in crate::store) fn due(
        &mut self,
        app: App,
        vendor: Vendor,
        now: Timestamp,
        max: usize,
    ) -> (Vec<(Seq, u32, u16)>, Option<Timestamp>) {
        let mut due = Vec::new();
        let Some(later) = self.later.get_mut(&(app, vendor)) else { return (due, None) };
        while due.len() < max
            && let Some(first) = later.first_entry()
            && first.key().0 <= now
        {
            let ((_, seq, device), attempts) = first.remove_entry();
            due.push((seq, device, attempts));
        }
        let next = later.first_key_value().map(|((at, ..), _)| *at);
        for &(seq, device, _) in &due {
            leave(&mut self.waiting, &(seq, vendor), device);
        }
        (due, next)
    }

    /// A life of the channel is over: nothing of it is out or waits.
    pub(in crate::store) fn forget(&mut self, app: App, vendor: Vendor) {
        let of_it = |claim: &BulkClaim| claim.entry.app == app && claim.vendor == vendor;
        let numbers: Vec<u64> =
            self.claims.iter().filter(|(_, claim)| of_it(claim)).map(|(number, _)| *number).collect();
        for number in numbers {
            self.put_back(number);
        }
        for ((_, seq, device), _) in self.later.remove(&(app, vendor)).unwrap_or_default() {
            leave(&mut self.waiting, &(seq, vendor), device);
        }
    }
}

fn leave<K: std::hash::Hash + Eq>(sets: &mut AHashMap<K, RoaringBitmap>, of: &K, device: u32) {
    if let Some(set) = sets.get_mut(of) {
        set.remove(device);
        if set.is_empty() {
            sets.remove(of);
        }
    }
}

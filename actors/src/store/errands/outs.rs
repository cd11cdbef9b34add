//! What channels have claimed and not concluded: memory alone.
//!
//! Invariants: of a place and a device one errand is out at a time. A claim belongs to a life of its
//! channel: when another begins, or when it is over, whatever it left is due again.

use ahash::{AHashMap, AHashSet};
use carillon_sdk::{Timestamp, Vendor};

use super::{ErrandKey, ErrandRow};
use crate::model::{App, Owner, Seq};
use crate::store::disk::Batch;
use crate::store::keys::{self, Key};
use crate::store::log::BulkOuts;

type Channel = (App, Vendor);

/// One errand a place and device.
type Place = (Owner, Seq, u32);

#[derive(Default)]
pub(in crate::store) struct Outs {
    last: u64,
    claims: AHashMap<u64, Held>,
    keys: AHashSet<Key>,
    /// Rows that go with the commit in hand, which a claim of the same commit sees still.
    going: AHashSet<Key>,
    places: AHashSet<Place>,
    owners: AHashMap<Owner, u32>,
    /// Which life of a channel may claim.
    lives: AHashMap<Channel, Seq>,
    /// By lane of a channel: what was due before that is out. New rows are due no earlier than the
    /// claim that came so far, so that a claim need not walk over all that is out.
    walked: AHashMap<(Channel, bool), Timestamp>,
    pub(in crate::store) bulk: BulkOuts,
}

/// A claim, by which its end finds place and row.
pub(super) struct Held {
    pub(super) app: App,
    pub(super) key: ErrandKey,
    pub(super) row: ErrandRow,
}

impl ErrandKey {
    const fn place(&self) -> Place {
        (self.owner, self.seq, self.device)
    }
}

impl Outs {
    pub(super) fn take_out(&mut self, app: App, key: ErrandKey, row: ErrandRow) -> u64 {
        self.last += 1;
        self.keys.insert(keys::errand(app, &key));
        self.places.insert(key.place());
        *self.owners.entry(key.owner).or_default() += 1;
        self.claims.insert(self.last, Held { app, key, row });
        self.last
    }

    pub(super) fn put_back(&mut self, number: u64) -> Option<Held> {
        let held = self.claims.remove(&number)?;
        self.keys.remove(&keys::errand(held.app, &held.key));
        self.places.remove(&held.key.place());
        if let Some(count) = self.owners.get_mut(&held.key.owner) {
            *count -= 1;
            if *count == 0 {
                self.owners.remove(&held.key.owner);
            }
        }
        Some(held)
    }

    /// Its row goes with the commit in hand.
    pub(super) fn drop_row(&mut self, row: Key, batch: &mut Batch) {
        batch.delete(row.clone());
        self.going.insert(row);
    }

    /// Its row is where it was, to be found again.
    pub(super) fn find_again(&mut self, held: &Held) {
        let ErrandKey { vendor, is_urgent, due, .. } = held.key;
        if let Some(walked) = self.walked.get_mut(&((held.app, vendor), is_urgent)) {
            *walked = due.min(*walked);
        }
    }

    /// From when on a lane is to be walked.
    pub(super) fn walked(&self, channel: Channel, is_urgent: bool) -> Timestamp {
        self.walked.get(&(channel, is_urgent)).copied().unwrap_or_default()
    }

    pub(super) fn walk(&mut self, channel: Channel, is_urgent: bool, until: Timestamp) {
        self.walked.insert((channel, is_urgent), until);
    }

    /// Whether a vendor may be taking something of this owner's just now.
    #[must_use]
    pub(in crate::store) fn has(&self, owner: Owner) -> bool {
        self.owners.contains_key(&owner)
    }

    /// Whether a vendor may be taking this for the device just now.
    #[must_use]
    pub(in crate::store) fn has_place(&self, owner: Owner, seq: Seq, device: u32) -> bool {
        self.places.contains(&(owner, seq, device))
    }

    /// Whether a row is not to be given out: it is out, or it goes.
    pub(super) fn has_key(&self, key: &[u8]) -> bool {
        self.keys.contains(key) || self.going.contains(key)
    }

    /// The rows that went are gone.
    pub(in crate::store) fn committed(&mut self) {
        self.going.clear();
    }

    #[must_use]
    pub(super) fn is_alive(&self, channel: Channel, life: Seq) -> bool {
        self.lives.get(&channel) == Some(&life)
    }

    pub(super) fn begin(&mut self, channel: Channel, life: Seq) {
        self.forget(channel);
        self.lives.insert(channel, life);
    }

    /// Nothing happens when another has begun meanwhile.
    pub(super) fn end(&mut self, channel: Channel, life: Seq) {
        if self.is_alive(channel, life) {
            self.forget(channel);
            self.lives.remove(&channel);
        }
    }

    fn forget(&mut self, channel: Channel) {
        let of_it = |held: &Held| (held.app, held.key.vendor) == channel;
        let claims = self.claims.iter().filter(|(_, held)| of_it(held));
        for number in claims.map(|(number, _)| *number).collect::<Vec<_>>() {
            self.put_back(number);
        }
        self.walked.remove(&(channel, true));
        self.walked.remove(&(channel, false));
        self.bulk.forget(channel.0, channel.1);
    }
}

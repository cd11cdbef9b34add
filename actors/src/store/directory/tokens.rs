//! Which devices have a token of which vendor: all that routing asks, and no token's text. That is in
//! rows of its own; here a keyed hash stands for it, by which it is compared.
//!
//! Invariant: a token is held by one device at most. The one that said so last has it.

use carillon_sdk::{DeviceId, Timestamp, Vendor};
use roaring::RoaringBitmap;
use smallvec::SmallVec;

use super::OfApp;
use super::devices::{Devices, Entry};
use crate::model::Seq;

/// A token a device has, without its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct Held {
    pub vendor: Vendor,
    pub hash: u64,
    /// When it was last said to be registered.
    pub at: Timestamp,
}

/// When a token was registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum When {
    /// The device, or whoever speaks for it, says so at this moment: nothing is newer.
    Now(Timestamp),
    /// Somebody remembers it from then.
    Then(Timestamp),
}

impl When {
    const fn at(self) -> Timestamp {
        match self {
            Self::Now(at) | Self::Then(at) => at,
        }
    }
}

/// What became of a token that was to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) enum Kept {
    /// No such device.
    Gone,
    /// The device has one that was registered later; or another device has this one, and said so later.
    Stale,
    /// It had it: it is registered still.
    Same(Seq),
    New {
        seq: Seq,
        /// In place of another.
        replaces: bool,
        /// The device that had it.
        from: Option<(u32, DeviceId)>,
    },
}

impl OfApp {
    fn hash(&self, vendor: Vendor, token: &str) -> u64 {
        self.hasher.hash_one((vendor as u8, token))
    }

    /// Keeps a token. `draw` gives the change its place: under the lock, so
    /// that of two devices that name one token at once the later in memory is the later on disk.
    pub(in crate::store) fn keep_token(
        &self,
        ordinal: u32,
        (vendor, token): (Vendor, &str),
        when: When,
        draw: impl FnOnce() -> Seq,
    ) -> Kept {
        let hash = self.hash(vendor, token);
        let mut devices = self.devices.write();
        let devices = &mut *devices;
        let Some(entry) = devices.entry(ordinal) else { return Kept::Gone };
        let before = entry.held(vendor);
        if let Some(before) = before.filter(|before| before.hash == hash) {
            let at = when.at().max(before.at);
            devices.hold(ordinal, Held { at, ..before });
            return Kept::Same(draw());
        }
        let holder = devices.holders.get(&hash).copied().filter(|holder| *holder != ordinal);
        let held_there = holder.and_then(|holder| devices.entry(holder)?.held(vendor));
        // A hash that two tokens share is no reason to take one away.
        let held_there = held_there.filter(|held| held.hash == hash);
        let newest = before.into_iter().chain(held_there).map(|held| held.at).max();
        if matches!(when, When::Then(then) if newest.is_some_and(|newest| newest > then)) {
            return Kept::Stale;
        }
        // Partitions take the time each for itself.
        let at = newest.map_or(when.at(), |newest| newest.max(when.at()));
        let from = holder.filter(|_| held_there.is_some());
        let from = from.and_then(|holder| Some((holder, devices.entry(holder)?.id.clone())));
        if let Some((holder, _)) = &from {
            devices.let_go(*holder, vendor);
        }
        devices.hold(ordinal, Held { vendor, hash, at });
        Kept::New { seq: draw(), replaces: before.is_some(), from }
    }

    /// Takes a device's token away. `token`: only this one; `dead_since`: only when it was not
    /// registered later than that.
    pub(in crate::store) fn drop_token(
        &self,
        ordinal: u32,
        vendor: Vendor,
        token: Option<&str>,
        dead_since: Option<Timestamp>,
    ) -> bool {
        let hash = token.map(|token| self.hash(vendor, token));
        let mut devices = self.devices.write();
        let held = devices.entry(ordinal).and_then(|entry| entry.held(vendor));
        let it = held.filter(|held| {
            hash.is_none_or(|hash| held.hash == hash) && dead_since.is_none_or(|since| held.at <= since)
        });
        if it.is_some() {
            devices.let_go(ordinal, vendor);
        }
        it.is_some()
    }

    /// A token found at start.
    pub(in crate::store) fn restore_token(&self, ordinal: u32, vendor: Vendor, token: &str, at: Timestamp) {
        let hash = self.hash(vendor, token);
        self.devices.write().hold(ordinal, Held { vendor, hash, at });
    }

    /// Which device has this token.
    #[must_use]
    pub(in crate::store) fn holder(&self, vendor: Vendor, token: &str) -> Option<u32> {
        let hash = self.hash(vendor, token);
        let devices = self.devices.read();
        let holder = devices.holders.get(&hash).copied()?;
        let held = devices.entry(holder)?.held(vendor)?;
        (held.hash == hash).then_some(holder)
    }

    /// Whether it is this token that the device has.
    #[must_use]
    pub(in crate::store) fn has_token(&self, ordinal: u32, vendor: Vendor, token: &str) -> bool {
        self.held(ordinal, vendor).is_some_and(|held| held.hash == self.hash(vendor, token))
    }

    #[must_use]
    pub(in crate::store) fn held(&self, ordinal: u32, vendor: Vendor) -> Option<Held> {
        self.devices.read().entry(ordinal)?.held(vendor)
    }

    /// The device that has a token.
    #[must_use]
    pub(in crate::store) fn token_holder(&self, vendor: Vendor, token: &str) -> Option<u32> {
        let hash = self.hash(vendor, token);
        let devices = self.devices.read();
        let ordinal = devices.holders.get(&hash).copied()?;
        let held = devices.entry(ordinal)?.held(vendor)?;
        (held.hash == hash).then_some(ordinal)
    }

    /// Devices with tokens, in order of their ordinals from `from` on, at most `limit`.
    #[must_use]
    pub(in crate::store) fn tokened(&self, vendor: Option<Vendor>, from: u32, limit: usize) -> Vec<u32> {
        self.devices.read().index.with_tokens(vendor, from, limit)
    }

    #[must_use]
    pub(in crate::store) fn token_count(&self, vendor: Vendor) -> u64 {
        self.devices.read().index.token_count(vendor)
    }

    /// The vendors of which the device has a token, in the order of their numbers.
    #[must_use]
    pub(in crate::store) fn vendors(&self, ordinal: u32) -> SmallVec<[Vendor; 2]> {
        let devices = self.devices.read();
        devices.entry(ordinal).map(|entry| entry.vendors().collect()).unwrap_or_default()
    }

    /// The one vendor that carries for the device, by [`super::carrier_of`].
    #[must_use]
    pub(in crate::store) fn carrier(&self, ordinal: u32) -> Option<Vendor> {
        self.devices.read().entry(ordinal)?.carrier()
    }

    /// The devices for which a vendor carries.
    #[must_use]
    pub(in crate::store) fn carried_by(&self, vendor: Vendor) -> RoaringBitmap {
        self.devices.read().index.carried_by(vendor).clone()
    }
}

impl Devices {
    /// In place of another of its vendor.
    fn hold(&mut self, ordinal: u32, held: Held) {
        self.exchange(ordinal, held.vendor, Some(held));
    }

    fn let_go(&mut self, ordinal: u32, vendor: Vendor) {
        self.exchange(ordinal, vendor, None);
    }

    fn exchange(&mut self, ordinal: u32, vendor: Vendor, held: Option<Held>) {
        let Some(entry) = self.list.get_mut(ordinal as usize).and_then(Option::as_mut) else { return };
        let carried = entry.carrier();
        let tokens = &mut entry.extras.get_or_insert_default().tokens;
        let place = tokens.binary_search_by_key(&vendor, |held| held.vendor);
        let before = match (place, held) {
            (Ok(at), Some(held)) => Some(std::mem::replace(&mut tokens[at], held)),
            (Ok(at), None) => Some(tokens.remove(at)),
            (Err(at), Some(held)) => {
                tokens.insert(at, held);
                None
            }
            (Err(_), None) => None,
        };
        if let Some(before) = before
            && self.holders.get(&before.hash) == Some(&ordinal)
        {
            self.holders.remove(&before.hash);
        }
        match held {
            Some(held) => {
                self.holders.insert(held.hash, ordinal);
                self.index.channel_opened(ordinal, vendor);
            }
            None => self.index.channel_closed(ordinal, vendor),
        }
        self.index.carrier_changed(ordinal, carried, entry.carrier());
    }

    /// With a device that is deleted.
    pub(super) fn forget_holder(&mut self, ordinal: u32, entry: &Entry) {
        for held in entry.tokens() {
            if self.holders.get(&held.hash) == Some(&ordinal) {
                self.holders.remove(&held.hash);
            }
        }
    }
}

impl Entry {
    pub(super) fn tokens(&self) -> &[Held] {
        self.extras.as_deref().map_or(&[], |extras| &extras.tokens)
    }

    fn held(&self, vendor: Vendor) -> Option<Held> {
        self.tokens().iter().copied().find(|held| held.vendor == vendor)
    }

    pub(super) fn vendors(&self) -> impl Iterator<Item = Vendor> {
        self.tokens().iter().map(|held| held.vendor)
    }

    pub(super) fn carrier(&self) -> Option<Vendor> {
        let tokens = self.tokens();
        if tokens.is_empty() {
            return None;
        }
        let tokens: SmallVec<[_; 4]> = tokens.iter().map(|held| (held.vendor, held.at)).collect();
        super::carrier_of(self.platform, self.maker.as_deref(), &tokens)
    }
}

//! Which devices are what: a compressed bitmap over ordinals for each value of each attribute, kept
//! with every change, and the times of all devices side by side.
//!
//! Invariant: what a bitmap says of a device is what its entry says. A test makes the index anew
//! from rows and compares.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use ahash::AHashMap;
use carillon_sdk::api::Platform;
use carillon_sdk::{Timestamp, Vendor};
use parking_lot::Mutex;
use roaring::RoaringBitmap;

use super::Group;
use super::devices::Entry;
use super::tags::Tags;
use crate::audience::{self, Compare, Event, Fact, ONLINE, OWN_CHANNEL, Side, Time, Times};

#[derive(Default)]
pub(super) struct Index {
    all: RoaringBitmap,
    platforms: [RoaringBitmap; 5],
    /// By platform and version: what statistics ask for, and versions are made of.
    groups: AHashMap<Group, RoaringBitmap>,
    makers: Sets,
    locales: Sets,
    /// By vendor, in the order of their numbers: who has a token of it.
    channels: [RoaringBitmap; Vendor::ALL.len()],
    /// The same: for whom it carries.
    carried: [RoaringBitmap; Vendor::ALL.len()],
    bound: RoaringBitmap,
    pub(super) tags: Tags,
    /// With a session open.
    online: Mutex<RoaringBitmap>,
    // By ordinal, in seconds since 1970: a scan of a million is a millisecond.
    registered_s: Vec<u32>,
    seen_s: Vec<AtomicU32>,
    binding_s: Vec<u32>,
}

type Sets = AHashMap<Arc<str>, RoaringBitmap>;

/// Seconds, as they are kept: until 2106.
pub(super) fn seconds(at: Timestamp) -> u32 {
    u32::try_from(at.as_secs()).unwrap_or(ONLINE - 1)
}

const fn place(platform: Platform) -> usize {
    match platform {
        Platform::Android => 0,
        Platform::Ios => 1,
        Platform::HarmonyOs => 2,
        Platform::Web => 3,
        Platform::Other => 4,
    }
}

/// Vendors are numbered from 1.
const fn slot(vendor: Vendor) -> usize {
    vendor as usize - 1
}

fn join(sets: &mut Sets, name: Option<&Arc<str>>, ordinal: u32) {
    if let Some(name) = name {
        sets.entry(Arc::clone(name)).or_default().insert(ordinal);
    }
}

fn leave(sets: &mut Sets, name: Option<&str>, ordinal: u32) {
    if let Some(name) = name
        && let Some(members) = sets.get_mut(name)
    {
        members.remove(ordinal);
        if members.is_empty() {
            sets.remove(name);
        }
    }
}

// ---- how it is kept ----------------------------------------------------------------------------

impl Index {
    pub(super) fn reach(&mut self, ordinal: u32) {
        let length = self.registered_s.len().max(ordinal as usize + 1);
        self.registered_s.resize(length, 0);
        self.binding_s.resize(length, 0);
        self.seen_s.resize_with(length, AtomicU32::default);
    }

    /// A new device, its ordinal within reach.
    pub(super) fn begin(&mut self, ordinal: u32, registered_s: u32) {
        self.registered_s[ordinal as usize] = registered_s;
        self.binding_s[ordinal as usize] = registered_s;
    }

    /// What a row says; a row from before bindings had a time has 0 there.
    pub(super) fn restore_times(&mut self, ordinal: u32, seen_s: u32, binding_s: u32) {
        *self.seen_s[ordinal as usize].get_mut() = seen_s;
        if binding_s > 0 {
            self.binding_s[ordinal as usize] = binding_s;
        }
    }

    pub(super) fn enter(&mut self, ordinal: u32, entry: &Entry) {
        self.all.insert(ordinal);
        self.platforms[place(entry.platform)].insert(ordinal);
        self.groups.entry(entry.group()).or_default().insert(ordinal);
        join(&mut self.makers, entry.maker.as_ref(), ordinal);
        join(&mut self.locales, entry.locale.as_ref(), ordinal);
        entry.vendors().for_each(|vendor| self.channel_opened(ordinal, vendor));
        self.carrier_changed(ordinal, None, entry.carrier());
        if entry.user.is_some() {
            self.bound.insert(ordinal);
        }
    }

    pub(super) fn leave(&mut self, ordinal: u32, entry: &Entry) {
        self.all.remove(ordinal);
        self.platforms[place(entry.platform)].remove(ordinal);
        let group = entry.group();
        if let Some(members) = self.groups.get_mut(&group) {
            members.remove(ordinal);
            if members.is_empty() {
                self.groups.remove(&group);
            }
        }
        leave(&mut self.makers, entry.maker.as_deref(), ordinal);
        leave(&mut self.locales, entry.locale.as_deref(), ordinal);
        entry.vendors().for_each(|vendor| self.channel_closed(ordinal, vendor));
        self.carrier_changed(ordinal, entry.carrier(), None);
        self.bound.remove(ordinal);
    }

    /// Deleted.
    pub(super) fn end(&mut self, ordinal: u32) {
        self.online.get_mut().remove(ordinal);
    }

    pub(super) fn channel_opened(&mut self, ordinal: u32, vendor: Vendor) {
        self.channels[slot(vendor)].insert(ordinal);
    }

    pub(super) fn channel_closed(&mut self, ordinal: u32, vendor: Vendor) {
        self.channels[slot(vendor)].remove(ordinal);
    }

    pub(super) fn carrier_changed(&mut self, ordinal: u32, before: Option<Vendor>, after: Option<Vendor>) {
        if before == after {
            return;
        }
        if let Some(before) = before {
            self.carried[slot(before)].remove(ordinal);
        }
        if let Some(after) = after {
            self.carried[slot(after)].insert(ordinal);
        }
    }

    pub(super) fn rebound(&mut self, ordinal: u32, bound: bool, now_s: u32) {
        self.binding_s[ordinal as usize] = now_s;
        if bound {
            self.bound.insert(ordinal);
        } else {
            self.bound.remove(ordinal);
        }
    }

    pub(super) fn seen(&self, ordinal: u32, now_s: u32, open: impl FnOnce() -> bool) {
        self.seen_s[ordinal as usize].store(now_s, Ordering::Relaxed);
        let mut online = self.online.lock();
        if open() {
            online.insert(ordinal);
        } else {
            online.remove(ordinal);
        }
    }
}

// ---- what it is asked --------------------------------------------------------------------------

impl Index {
    pub(super) const fn all(&self) -> &RoaringBitmap {
        &self.all
    }

    pub(super) const fn bound(&self) -> &RoaringBitmap {
        &self.bound
    }

    pub(super) fn platform(&self, platform: Platform) -> &RoaringBitmap {
        &self.platforms[place(platform)]
    }

    pub(super) fn groups(&self) -> impl Iterator<Item = (&Group, &RoaringBitmap)> {
        self.groups.iter()
    }

    /// Who has a token of which vendor.
    pub(super) fn channels(&self) -> impl Iterator<Item = (Vendor, &RoaringBitmap)> {
        Vendor::ALL.into_iter().zip(&self.channels)
    }

    pub(super) const fn carried_by(&self, vendor: Vendor) -> &RoaringBitmap {
        &self.carried[slot(vendor)]
    }

    /// Who has a token of a vendor, or of any, from an ordinal on, at most `limit`.
    pub(super) fn with_tokens(&self, vendor: Option<Vendor>, from: u32, limit: usize) -> Vec<u32> {
        if let Some(vendor) = vendor {
            return self.channels[slot(vendor)].range(from..).take(limit).collect();
        }
        // The first `limit` of all are among the first `limit` of each.
        let of_each = self.channels.iter().flat_map(|members| members.range(from..).take(limit));
        let of_any: std::collections::BTreeSet<u32> = of_each.collect();
        of_any.into_iter().take(limit).collect()
    }

    pub(super) fn token_count(&self, vendor: Vendor) -> u64 {
        self.channels[slot(vendor)].len()
    }

    pub(super) fn has_channel(&self, channel: &str, ordinal: u32) -> bool {
        if channel == OWN_CHANNEL {
            return !self.channels.iter().any(|members| members.contains(ordinal));
        }
        channel.parse().is_ok_and(|vendor| self.channels[slot(vendor)].contains(ordinal))
    }

    /// As a row keeps them.
    pub(super) fn stored_times(&self, ordinal: u32) -> Times {
        let at = ordinal as usize;
        Times {
            registered_s: self.registered_s[at],
            seen_s: self.seen_s[at].load(Ordering::Relaxed),
            binding_s: self.binding_s[at],
        }
    }

    /// As an audience asks.
    pub(super) fn times(&self, ordinal: u32) -> Times {
        let mut times = self.stored_times(ordinal);
        if self.online.lock().contains(ordinal) {
            times.seen_s = ONLINE;
        }
        times
    }

    /// The devices of which a fact is true.
    pub(super) fn of(&self, fact: &Fact) -> RoaringBitmap {
        match fact {
            Fact::Platform(platform) => self.platform(*platform).clone(),
            Fact::Bound => self.bound.clone(),
            Fact::Version(compare, version) => self.of_version(*compare, version),
            Fact::Maker(maker) => union(&self.makers, |known| audience::is_maker(known, maker)),
            Fact::Locale(locale) => union(&self.locales, |known| audience::is_locale(known, locale)),
            Fact::Channel(channel) if channel == OWN_CHANNEL => {
                self.channels.iter().fold(self.all.clone(), |rest, members| rest - members)
            }
            Fact::Channel(channel) => {
                channel.parse().map(|vendor| self.channels[slot(vendor)].clone()).unwrap_or_default()
            }
            Fact::Tag(tag) => self.tags.devices(tag),
            Fact::UserTag(tag) => self.tags.devices_of_users(tag),
            _ => fact.as_time().map_or_else(RoaringBitmap::new, |time| self.of_time(time)),
        }
    }

    fn of_version(&self, compare: Compare, version: &str) -> RoaringBitmap {
        let holds = |known: &str| compare.holds(audience::compare_versions(known, version));
        let groups = self.groups.iter();
        let of = groups.filter(|((_, known), _)| known.as_deref().is_some_and(holds));
        of.fold(RoaringBitmap::new(), |all, (_, members)| all | members)
    }

    fn of_time(&self, time: Time) -> RoaringBitmap {
        let admitted = match time.event {
            Event::Registered => scan(&self.registered_s, |at| time.admits(*at)),
            Event::Bound => scan(&self.binding_s, |at| time.admits(*at)) & &self.bound,
            Event::Unbound => scan(&self.binding_s, |at| time.admits(*at)) - &self.bound,
            Event::Seen => {
                let ever = |at: u32| at > 0 && time.admits(at);
                let seen = scan(&self.seen_s, |at| ever(at.load(Ordering::Relaxed)));
                let online = self.online.lock();
                match time.side {
                    Side::Since => seen | &*online,
                    Side::Before => seen - &*online,
                }
            }
        };
        admitted & &self.all
    }
}

fn union(sets: &Sets, is: impl Fn(&str) -> bool) -> RoaringBitmap {
    let of = sets.iter().filter(|(name, _)| is(name));
    of.fold(RoaringBitmap::new(), |all, (_, members)| all | members)
}

/// The places whose value is admitted: bits first, which the compiler does many at a time.
fn scan<T>(values: &[T], admits: impl Fn(&T) -> bool) -> RoaringBitmap {
    let byte = |eight: &[T]| {
        eight.iter().enumerate().fold(0_u8, |byte, (at, value)| byte | u8::from(admits(value)) << at)
    };
    let bytes: Vec<u8> = values.chunks(8).map(byte).collect();
    RoaringBitmap::from_lsb0_bytes(0, &bytes)
}

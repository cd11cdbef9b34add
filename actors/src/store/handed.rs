//! What vendors took lately, by which their receipts are told apart. History knows the same of
//! everything; here is what is asked often, so that a receipt need not be looked up on disk.
//!
//! A receipt may come before the vendor's answer is on disk, within a millisecond of it. It waits here
//! for what it is about.

use std::collections::VecDeque;
use std::hash::{BuildHasher as _, RandomState};

use ahash::{AHashMap, AHashSet};
use carillon_sdk::{MessageId, Vendor};

use super::work::Story;
use crate::model::{App, Device, PushType, Task};

/// Messages remembered, of all apps: about 150 bytes each.
const REMEMBERED_MAX: usize = 200_000;

/// Receipts that wait, of all apps: about 100 bytes each. Most are of messages nobody knows any more.
const EARLY_MAX: usize = 65_536;

#[derive(Default)]
pub(super) struct Handed {
    taken: AHashMap<(Device, MessageId), Taken>,
    /// By a hash of the vendor's own name for it: of a batch it is one for all.
    named: AHashMap<(Device, u64), MessageId>,
    order: VecDeque<(Device, MessageId, Option<u64>)>,
    early: AHashSet<Early>,
    early_order: VecDeque<Early>,
    hasher: RandomState,
}

/// A receipt's device and vendor, and what it calls the message.
type Early = (Device, Vendor, Named);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Named {
    Ours(MessageId),
    /// By a hash of the vendor's own name.
    Theirs(u64),
}

/// One message, taken for one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Taken {
    pub vendor: Vendor,
    pub push_type: PushType,
    pub task: Option<Task>,
    /// It is known to have arrived.
    pub is_confirmed: bool,
}

impl Taken {
    #[must_use]
    pub(super) const fn story(self, app: App, id: MessageId) -> Story {
        Story { app, id, push_type: self.push_type, task: self.task, is_quiet: false }
    }
}

impl Handed {
    /// True when its receipt was here already.
    pub(super) fn note(
        &mut self,
        device: Device,
        id: MessageId,
        mut taken: Taken,
        vendor_id: Option<&str>,
    ) -> bool {
        let name = vendor_id.map(|name| self.hash(taken.vendor, name));
        if self.taken.contains_key(&(device, id)) {
            return false;
        }
        let names = [Some(Named::Ours(id)), name.map(Named::Theirs)];
        let waited =
            names.into_iter().flatten().filter(|name| self.early.remove(&(device, taken.vendor, *name)));
        taken.is_confirmed = waited.count() > 0;
        self.taken.insert((device, id), taken);
        if let Some(name) = name {
            self.named.insert((device, name), id);
        }
        self.order.push_back((device, id, name));
        if self.order.len() > REMEMBERED_MAX
            && let Some((device, id, name)) = self.order.pop_front()
        {
            self.taken.remove(&(device, id));
            if let Some(name) = name {
                self.named.remove(&(device, name));
            }
        }
        taken.is_confirmed
    }

    fn hash(&self, vendor: Vendor, name: &str) -> u64 {
        self.hasher.hash_one((vendor as u8, name))
    }

    /// Which message the vendor calls so.
    #[must_use]
    pub(super) fn of(&self, device: Device, vendor: Vendor, vendor_id: &str) -> Option<MessageId> {
        self.named.get(&(device, self.hash(vendor, vendor_id))).copied()
    }

    /// What is known of it; from now on it is confirmed. Of what nobody knows yet the receipt waits.
    pub(super) fn confirm(&mut self, device: Device, id: MessageId, vendor: Vendor) -> Option<Taken> {
        let Some(taken) = self.taken.get_mut(&(device, id)) else {
            self.wait((device, vendor, Named::Ours(id)));
            return None;
        };
        let before = *taken;
        taken.is_confirmed |= taken.vendor == vendor;
        Some(before)
    }

    /// The device itself says that it has it: what a vendor took, and nobody had confirmed.
    pub(super) fn acked(&mut self, device: Device, id: MessageId) -> Option<Taken> {
        let taken = self.taken.get_mut(&(device, id)).filter(|taken| !taken.is_confirmed)?;
        taken.is_confirmed = true;
        Some(*taken)
    }

    /// What a vendor took, and nobody had confirmed.
    #[must_use]
    pub(super) fn unconfirmed(&self, device: Device, id: MessageId) -> Option<Taken> {
        self.taken.get(&(device, id)).copied().filter(|taken| !taken.is_confirmed)
    }

    /// The confirmation did not come on disk, or it was known of old.
    pub(super) fn take_back(&mut self, device: Device, id: MessageId, vendor: Vendor) {
        self.early.remove(&(device, vendor, Named::Ours(id)));
        if let Some(taken) = self.taken.get_mut(&(device, id)) {
            taken.is_confirmed = false;
        }
    }

    /// A receipt by the vendor's own name: which message that is, or it waits.
    pub(super) fn find_or_wait(&mut self, device: Device, vendor: Vendor, name: &str) -> Option<MessageId> {
        let found = self.of(device, vendor, name);
        if found.is_none() {
            let name = Named::Theirs(self.hash(vendor, name));
            self.wait((device, vendor, name));
        }
        found
    }

    fn wait(&mut self, early: Early) {
        if !self.early.insert(early) {
            return;
        }
        self.early_order.push_back(early);
        if self.early_order.len() > EARLY_MAX
            && let Some(oldest) = self.early_order.pop_front()
        {
            self.early.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHONE: Device = Device { app: App(1), ordinal: 2 };
    const TAKEN: Taken =
        Taken { vendor: Vendor::Xiaomi, push_type: PushType::Single, task: None, is_confirmed: false };

    fn id(number: u8) -> MessageId {
        MessageId::from_bytes([number; 16])
    }

    #[test]
    fn a_message_is_found_by_the_vendors_name_for_it_and_confirmed_once() {
        let mut handed = Handed::default();
        assert!(!handed.note(PHONE, id(1), TAKEN, Some("slm1")));
        assert_eq!(handed.of(PHONE, Vendor::Xiaomi, "slm1"), Some(id(1)));
        assert_eq!(handed.of(PHONE, Vendor::Oppo, "slm1"), None);
        assert_eq!(handed.confirm(PHONE, id(1), Vendor::Oppo), Some(TAKEN), "another's");
        assert_eq!(handed.confirm(PHONE, id(1), Vendor::Xiaomi), Some(TAKEN));
        let known = Some(Taken { is_confirmed: true, ..TAKEN });
        assert_eq!(handed.confirm(PHONE, id(1), Vendor::Xiaomi), known);
        handed.take_back(PHONE, id(1), Vendor::Xiaomi);
        assert_eq!(handed.confirm(PHONE, id(1), Vendor::Xiaomi), Some(TAKEN), "it was not written down");
    }

    #[test]
    fn a_receipt_that_is_quicker_than_the_vendors_answer_waits_for_it() {
        let mut handed = Handed::default();
        assert_eq!(handed.confirm(PHONE, id(1), Vendor::Xiaomi), None);
        assert!(handed.note(PHONE, id(1), TAKEN, None), "by our name");
        assert_eq!(handed.find_or_wait(PHONE, Vendor::Xiaomi, "slm2"), None);
        assert!(handed.note(PHONE, id(2), TAKEN, Some("slm2")), "by the vendor's");
        assert_eq!(handed.find_or_wait(PHONE, Vendor::Xiaomi, "slm2"), Some(id(2)));
        assert_eq!(handed.confirm(PHONE, id(3), Vendor::Oppo), None);
        assert!(!handed.note(PHONE, id(3), TAKEN, None), "another vendor's");
        assert!(!handed.note(PHONE, id(4), TAKEN, None), "nobody spoke of it");
    }

    #[test]
    fn receipts_of_what_nobody_knows_are_bounded_and_the_newest_wait() {
        let mut handed = Handed::default();
        let name = |number: usize| format!("name-{number}");
        for number in 0..=EARLY_MAX {
            handed.find_or_wait(PHONE, Vendor::Xiaomi, &name(number));
        }
        assert_eq!((handed.early.len(), handed.early_order.len()), (EARLY_MAX, EARLY_MAX));
        assert!(!handed.note(PHONE, id(1), TAKEN, Some(&name(0))), "the oldest is gone");
        assert!(handed.note(PHONE, id(2), TAKEN, Some(&name(EARLY_MAX))));
    }
}

//! What vendors took lately, by which their receipts are told apart. History knows the same of
//! everything; here is what is asked often, so that a receipt need not be looked up on disk.

use std::collections::VecDeque;
use std::hash::{BuildHasher as _, RandomState};

use ahash::AHashMap;
use carillon_sdk::{MessageId, Vendor};

use crate::model::{Device, PushType, Task};

/// Messages remembered, of all apps: about 150 bytes each.
const REMEMBERED_MAX: usize = 200_000;

#[derive(Default)]
pub(super) struct Handed {
    taken: AHashMap<(Device, MessageId), Taken>,
    /// By a hash of the vendor's own name for it: of a batch it is one for all.
    named: AHashMap<(Device, u64), MessageId>,
    order: VecDeque<(Device, MessageId, Option<u64>)>,
    hasher: RandomState,
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

impl Handed {
    pub(super) fn note(&mut self, device: Device, id: MessageId, taken: Taken, vendor_id: Option<&str>) {
        let name = vendor_id.map(|name| self.hasher.hash_one((taken.vendor as u8, name)));
        if self.taken.insert((device, id), taken).is_some() {
            return;
        }
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
    }

    /// Which message the vendor calls so.
    #[must_use]
    pub(super) fn of(&self, device: Device, vendor: Vendor, vendor_id: &str) -> Option<MessageId> {
        self.named.get(&(device, self.hasher.hash_one((vendor as u8, vendor_id)))).copied()
    }

    /// What is known of it; from now on it is confirmed.
    pub(super) fn confirm(&mut self, device: Device, id: MessageId) -> Option<Taken> {
        let taken = self.taken.get_mut(&(device, id))?;
        let before = *taken;
        taken.is_confirmed = true;
        Some(before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::App;

    #[test]
    fn a_message_is_found_by_the_vendors_name_for_it_and_confirmed_once() {
        let mut handed = Handed::default();
        let device = Device { app: App(1), ordinal: 2 };
        let id = MessageId::from_bytes([1; 16]);
        let taken =
            Taken { vendor: Vendor::Xiaomi, push_type: PushType::Single, task: None, is_confirmed: false };
        handed.note(device, id, taken, Some("slm1"));
        assert_eq!(handed.of(device, Vendor::Xiaomi, "slm1"), Some(id));
        assert_eq!(handed.of(device, Vendor::Oppo, "slm1"), None);
        assert_eq!(handed.confirm(device, id), Some(taken));
        assert_eq!(handed.confirm(device, id), Some(Taken { is_confirmed: true, ..taken }));
    }
}

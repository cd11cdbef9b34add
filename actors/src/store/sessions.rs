//! The open sessions, in memory. A device has one; a later one takes over.

use ahash::AHashMap;
use parking_lot::Mutex;

use crate::model::{Device, Epoch, ShardNo};

const STRIPES: usize = 64;

/// Striped, since every connect and every hint looks here.
pub(super) struct Sessions(Vec<Mutex<AHashMap<Device, Session>>>);

#[derive(Clone, Copy)]
struct Session {
    epoch: Epoch,
    shard: ShardNo,
    /// Kept after it ended, so that the device's next Hello can be told whether it resumes.
    open: bool,
}

/// What a take-over found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Before {
    pub open: Option<(ShardNo, Epoch)>,
    /// 0 when none is remembered.
    pub last: Epoch,
}

impl Default for Sessions {
    fn default() -> Self {
        Self((0..STRIPES).map(|_| Mutex::new(AHashMap::new())).collect())
    }
}

impl Sessions {
    fn stripe(&self, device: Device) -> &Mutex<AHashMap<Device, Session>> {
        &self.0[(device.ordinal.wrapping_add(device.app.0)) as usize % STRIPES]
    }

    pub(super) fn open(&self, device: Device, epoch: Epoch, shard: ShardNo) -> Before {
        let session = Session { epoch, shard, open: true };
        match self.stripe(device).lock().insert(device, session) {
            Some(before) => {
                Before { open: before.open.then_some((before.shard, before.epoch)), last: before.epoch }
            }
            None => Before { open: None, last: Epoch(0) },
        }
    }

    /// False when a later session has taken over, or it ended before.
    pub(super) fn close(&self, device: Device, epoch: Epoch) -> bool {
        let mut stripe = self.stripe(device).lock();
        match stripe.get_mut(&device) {
            Some(session) if session.epoch == epoch && session.open => {
                session.open = false;
                true
            }
            _ => false,
        }
    }

    pub(super) fn forget(&self, device: Device) {
        self.stripe(device).lock().remove(&device);
    }

    #[must_use]
    pub(super) fn get(&self, device: Device) -> Option<(ShardNo, Epoch)> {
        let stripe = self.stripe(device).lock();
        stripe.get(&device).filter(|session| session.open).map(|session| (session.shard, session.epoch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::App;

    #[test]
    fn a_session_fenced_by_a_later_one_cannot_end_it() {
        let sessions = Sessions::default();
        let device = Device { app: App(1), ordinal: 2 };
        assert_eq!(sessions.open(device, Epoch(1), ShardNo(0)), Before { open: None, last: Epoch(0) });
        let before = sessions.open(device, Epoch(2), ShardNo(1));
        assert_eq!(before, Before { open: Some((ShardNo(0), Epoch(1))), last: Epoch(1) });
        assert!(!sessions.close(device, Epoch(1)));
        assert_eq!(sessions.get(device), Some((ShardNo(1), Epoch(2))));
        assert!(sessions.close(device, Epoch(2)));
        assert_eq!(sessions.get(device), None);
        assert_eq!(sessions.open(device, Epoch(3), ShardNo(1)).last, Epoch(2));
    }
}

//! How a channel fares, as everybody may know: for the API, the command line and metrics.

use std::sync::Arc;

use actix::Addr;
use ahash::{AHashMap, AHashSet};
use carillon_sdk::Timestamp;
use parking_lot::{Mutex, RwLock};
use tokio::sync::oneshot;

use super::office::{Close, Key, Office, Tried};
use super::{Outcome, QuotaView, Refused};

/// Of one channel, at a moment.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    pub breaker: BreakerView,
    pub access: AccessView,
    /// When the credential itself ends; of a certificate.
    pub ends_at: Option<Timestamp>,
    /// Devices a second that it may send to now.
    pub rate_per_s: u32,
    /// Calls under way.
    pub in_flight: usize,
    /// Errands claimed and not under way.
    pub waiting: usize,
    pub quotas: Vec<QuotaView>,
    pub last_error: Option<LastError>,
    pub last_accepted_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BreakerView {
    Closed,
    Open {
        /// The vendor's code, or ours.
        code: String,
        text: String,
        since: Timestamp,
        /// When one call is let through to see.
        probe_at: Timestamp,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessView {
    /// None was needed yet, or none ever is.
    None,
    Held {
        ends_at: Option<Timestamp>,
    },
    /// The vendor gave none; it is asked again then.
    Failed {
        until: Timestamp,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastError {
    pub at: Timestamp,
    pub refused: Refused,
}

/// What came of trying a channel out.
#[derive(Debug, Clone, PartialEq)]
pub struct Tested {
    /// Whether the vendor gives access.
    pub access: Result<AccessView, Refused>,
    /// What it said of the token, when there was one to try and access to try it with.
    pub sent: Option<Outcome>,
}

/// What everybody may know of the channels: how they fare, and where their office is.
#[derive(Default)]
pub(crate) struct Board {
    states: RwLock<AHashMap<Key, State>>,
    /// Published anew when the office is made anew.
    office: RwLock<Option<Addr<Office>>>,
    seats: Arc<Mutex<AHashSet<Key>>>,
}

/// Held by the one channel of an app and a vendor while it lives: an office made anew waits for the
/// last one's, since two would both carry what was claimed.
pub(super) struct Seat {
    key: Key,
    seats: Arc<Mutex<AHashSet<Key>>>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.lock().remove(&self.key);
    }
}

impl Board {
    pub(super) fn publish(&self, key: Key, state: State) {
        self.states.write().insert(key, state);
    }

    pub(super) fn forget(&self, key: Key) {
        self.states.write().remove(&key);
    }

    pub(super) fn get(&self, key: Key) -> Option<State> {
        self.states.read().get(&key).cloned()
    }

    pub(super) fn all(&self) -> Vec<(Key, State)> {
        self.states.read().iter().map(|(key, state)| (*key, state.clone())).collect()
    }

    /// None while another holds it.
    pub(super) fn seat(&self, key: Key) -> Option<Seat> {
        self.seats.lock().insert(key).then(|| Seat { key, seats: Arc::clone(&self.seats) })
    }

    pub(crate) fn move_in(&self, office: Addr<Office>) {
        *self.office.write() = Some(office);
    }

    pub(super) fn tell(&self, tried: Tried) {
        if let Some(office) = &*self.office.read() {
            // One too busy to hear it, or being made anew: the channel looks again by itself.
            let _ = office.try_send(tried).is_ok();
        }
    }

    /// Nothing more is sent; answers when what was under way has come to its end. The caller bounds
    /// how long it waits.
    pub(crate) async fn close(&self) {
        let (reply, closed) = oneshot::channel();
        let told = self.office.read().as_ref().is_some_and(|office| office.try_send(Close { reply }).is_ok());
        if told {
            // An office that died has nothing to wait for.
            let _ = closed.await;
        }
    }
}

//! How a channel fares, as everybody may know: for the API, the command line and metrics.

use ahash::AHashMap;
use carillon_sdk::{Timestamp, Vendor};
use parking_lot::RwLock;

use super::{Outcome, QuotaView, Refused};
use crate::model::App;

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

/// Where channels publish how they fare.
#[derive(Debug, Default)]
pub(crate) struct Board(RwLock<AHashMap<(App, Vendor), State>>);

impl Board {
    pub(super) fn publish(&self, app: App, vendor: Vendor, state: State) {
        self.0.write().insert((app, vendor), state);
    }

    pub(super) fn forget(&self, app: App, vendor: Vendor) {
        self.0.write().remove(&(app, vendor));
    }

    pub(super) fn get(&self, app: App, vendor: Vendor) -> Option<State> {
        self.0.read().get(&(app, vendor)).cloned()
    }
}

//! Access tokens a vendor gave out, and until when each is good.

use std::collections::HashMap;

use carillon_sdk::{Timestamp, Ttl, Vendor};
use parking_lot::Mutex;

use super::{Condition, World};

/// A day: OPPO's and vivo's. Several live side by side.
const LIFE: Ttl = Ttl::from_secs(86_400);

#[derive(Default)]
pub(super) struct Issued(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    until: HashMap<String, Timestamp>,
    /// What was given out before the vendor revoked all is forgotten once, and new ones are good.
    was_revoked: bool,
}

impl Issued {
    pub(super) fn give(&self, world: &World, vendor: Vendor) -> String {
        let token = uuid::Uuid::new_v4().simple().to_string();
        let now = world.now(vendor);
        let mut inner = self.0.lock();
        inner.look(world, vendor);
        inner.until.retain(|_, until| *until > now);
        inner.until.insert(token.clone(), now + LIFE);
        token
    }

    pub(super) fn is_good(&self, world: &World, vendor: Vendor, token: &str) -> bool {
        let mut inner = self.0.lock();
        inner.look(world, vendor);
        inner.until.get(token).is_some_and(|until| *until > world.now(vendor))
    }
}

impl Inner {
    fn look(&mut self, world: &World, vendor: Vendor) {
        let is_revoked = world.condition(vendor) == Condition::TokensRevoked;
        if is_revoked && !self.was_revoked {
            self.until.clear();
        }
        self.was_revoked = is_revoked;
    }
}

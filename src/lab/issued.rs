//! The access tokens a vendor gave out, and until when each is worth something.

use std::collections::HashMap;

use carillon_sdk::{Timestamp, Ttl, Vendor};
use parking_lot::Mutex;

use super::{Condition, World};

/// Of one vendor. Several may be good at a time.
#[derive(Default)]
pub(super) struct Issued(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    ends: HashMap<String, Timestamp>,
    /// The vendor was seen to have revoked what it gave out: that is done once, not at every call.
    was_revoked: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Good,
    Expired,
    /// Never given, or revoked.
    Unknown,
}

/// An expired one is told from an unknown one for so long.
const REMEMBERED: Ttl = Ttl::from_secs(86_400);

impl Issued {
    pub(super) fn give(&self, world: &World, vendor: Vendor, life: Ttl) -> String {
        let token = uuid::Uuid::new_v4().simple().to_string();
        let now = world.now(vendor);
        let mut inner = self.0.lock();
        inner.look(world, vendor);
        inner.ends.retain(|_, ends_at| *ends_at + REMEMBERED > now);
        inner.ends.insert(token.clone(), now + life);
        token
    }

    pub(super) fn is_good(&self, world: &World, vendor: Vendor, token: &str) -> bool {
        self.standing(world, vendor, token) == Standing::Good
    }

    pub(super) fn standing(&self, world: &World, vendor: Vendor, token: &str) -> Standing {
        let mut inner = self.0.lock();
        inner.look(world, vendor);
        match inner.ends.get(token) {
            None => Standing::Unknown,
            Some(ends_at) if *ends_at <= world.now(vendor) => Standing::Expired,
            Some(_) => Standing::Good,
        }
    }
}

impl Inner {
    fn look(&mut self, world: &World, vendor: Vendor) {
        let is_revoked = world.condition(vendor) == Condition::TokensRevoked;
        if is_revoked && !self.was_revoked {
            self.ends.clear();
        }
        self.was_revoked = is_revoked;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use carillon_actors::clock::Clock;

    use super::*;

    #[test]
    fn a_token_is_good_until_it_ends_or_is_revoked() {
        let world = World::new(Clock::manual(Timestamp::from_millis(1_764_000_000_000)), false);
        let (vendor, issued) = (Vendor::Huawei, Issued::default());
        let token = issued.give(&world, vendor, Ttl::from_secs(3_600));
        assert_eq!(issued.standing(&world, vendor, &token), Standing::Good);
        assert_eq!(issued.standing(&world, vendor, "made-up"), Standing::Unknown);
        world.clock.advance(Duration::from_secs(3_600));
        assert_eq!(issued.standing(&world, vendor, &token), Standing::Expired);

        let token = issued.give(&world, vendor, Ttl::from_secs(3_600));
        world.set_condition(vendor, Condition::TokensRevoked);
        assert_eq!(issued.standing(&world, vendor, &token), Standing::Unknown);
        let token = issued.give(&world, vendor, Ttl::from_secs(3_600));
        assert_eq!(issued.standing(&world, vendor, &token), Standing::Good);
    }
}

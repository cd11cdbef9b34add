//! The protocols of the ten vendors. A folder each: `mapping` (our message in its words), `answers`
//! (its words in ours), `credential` (what it wants to be shown), `call` (the two over HTTP). The
//! first three are pure. docs/vendors.md is the manual; limits and codes have their source beside them.

mod content;
mod given;
mod halves;
mod oppo;
mod shown;
mod transport;
mod vivo;
mod xiaomi;

use std::sync::Arc;

use carillon_actors::channel::{Gateway, Gateways, Invalid, Setup};
use carillon_actors::clock::Clock;
use carillon_sdk::Vendor;

pub use self::transport::{Answer, Call, Fault, Transport};

/// Makes gateways: what they all share.
#[derive(Clone)]
pub struct Protocols {
    clock: Clock,
}

impl Protocols {
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock }
    }
}

impl Gateways for Protocols {
    fn open(&self, vendor: Vendor, setup: &Setup) -> Result<Arc<dyn Gateway>, Invalid> {
        let clock = self.clock.clone();
        Ok(match vendor {
            Vendor::Oppo => Arc::new(oppo::Oppo::open(clock, setup)?),
            Vendor::Vivo => Arc::new(vivo::Vivo::open(clock, setup)?),
            Vendor::Xiaomi => Arc::new(xiaomi::Xiaomi::open(setup)?),
            _ => return Err(Invalid::new("", format!("{vendor} is not spoken yet"))),
        })
    }
}

//! The protocols of the ten vendors. A folder each: `mapping` (our message in its words), `answers`
//! (its words in ours), `credential` (what it wants to be shown), `call` (the two over HTTP). The
//! first three are pure. docs/vendors.md is the manual; limits and codes have their source beside them.

mod apns;
mod content;
mod fcm;
mod given;
mod halves;
mod harmony;
mod honor;
mod huawei;
mod ingress;
mod jws;
mod limits;
#[cfg(test)]
mod manual;
mod meizu;
mod oauth;
mod oppo;
mod pushkit;
mod receipts;
mod shown;
mod texts;
mod transport;
mod vivo;
mod webpush;
mod xiaomi;

use std::sync::Arc;

use carillon_actors::channel::{self, BadPost, Gateway, Gateways, Invalid, Receipt, ReceiptPost, Setup};
use carillon_actors::clock::Clock;
use carillon_actors::engine::Engine;
use carillon_sdk::{Timestamp, Vendor};

pub use self::ingress::{Ingress, Turned, begin_metrics};
pub use self::receipts::thanks;
pub use self::transport::{Answer, Call, Fault, Transport};

/// Lets the engine speak to vendors, which reach the API at `public_url`, if they do.
pub fn open(engine: &Engine, public_url: Option<&str>) {
    let protocols = Arc::new(Protocols::new(engine.clock().clone()));
    let receipts_url = public_url.map(|base| format!("{base}/v1/vendor-receipts"));
    let works = Arc::new(engine.store().clone());
    engine.open_channels(protocols, works, channel::Config { receipts_url });
}

/// Makes gateways: what they all share.
#[derive(Clone)]
pub struct Protocols {
    clock: Clock,
    apns_tokens: apns::Tokens,
}

impl Protocols {
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, apns_tokens: apns::Tokens::default() }
    }
}

impl Gateways for Protocols {
    fn open(&self, vendor: Vendor, setup: &Setup) -> Result<Arc<dyn Gateway>, Invalid> {
        let clock = self.clock.clone();
        Ok(match vendor {
            Vendor::Apns => Arc::new(apns::Apns::open(clock, self.apns_tokens.clone(), setup)?),
            Vendor::Fcm => Arc::new(fcm::Fcm::open(clock, setup)?),
            Vendor::Huawei => Arc::new(huawei::Huawei::open(clock, setup)?),
            Vendor::HarmonyOs => Arc::new(harmony::Harmony::open(clock, setup)?),
            Vendor::Honor => Arc::new(honor::Honor::open(clock, setup)?),
            Vendor::Meizu => Arc::new(meizu::Meizu::open(setup)?),
            Vendor::WebPush => Arc::new(webpush::WebPush::open(clock, setup)?),
            Vendor::Oppo => Arc::new(oppo::Oppo::open(clock, setup)?),
            Vendor::Vivo => Arc::new(vivo::Vivo::open(clock, setup)?),
            Vendor::Xiaomi => Arc::new(xiaomi::Xiaomi::open(setup)?),
        })
    }

    fn receipts(&self, vendor: Vendor, setup: &Setup, post: &ReceiptPost) -> Result<Vec<Receipt>, BadPost> {
        let now = self.clock.now().as_millis().saturating_add_signed(setup.clock_offset_ms);
        receipts::read(vendor, setup, post, Timestamp::from_millis(now))
    }
}

#[cfg(test)]
mod lab_tests;

//! What all simulators share: clock, capture, the fates of tokens, conditions, rates and quotas.

use std::collections::HashMap;

use carillon_actors::clock::Clock;
use carillon_sdk::{Timestamp, Vendor};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::{Capture, Fate, Outbox, fate_of};

/// What a vendor does as a whole, until it is set otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    #[default]
    Up,
    /// Takes no connection.
    Unreachable,
    /// Every request: 503, or the vendor's like.
    Down,
    /// Every access token it gave out is worth nothing; new ones are given.
    TokensRevoked,
    /// The app's secret is not the one it knows: no token is given.
    CredentialRefused,
    /// Answers nothing.
    Silent,
}

/// Of a vendor in the lab; none is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quotas {
    /// Devices a second.
    pub rate: Option<u32>,
    /// Devices a day.
    pub day: Option<u32>,
}

pub struct World {
    pub capture: Capture,
    /// Receipts to be posted back.
    pub outbox: Outbox,
    pub clock: Clock,
    /// Lets through what the documents leave unsure.
    pub is_lenient: bool,
    /// Added to the clock, by vendor.
    offsets: Mutex<HashMap<Vendor, i64>>,
    conditions: Mutex<HashMap<Vendor, Condition>>,
    /// A condition was set: open connections look at it.
    turned: Notify,
    quotas: Mutex<HashMap<Vendor, (Quotas, Spent)>>,
    tries: Mutex<HashMap<(Vendor, String), u32>>,
    /// Where an app's owner wants receipts, of vendors that are told so in their console.
    receipts_urls: Mutex<HashMap<Vendor, String>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Spent {
    second: u64,
    in_second: u32,
    day: u64,
    in_day: u32,
}

/// China's, by which vendors count days.
const DAY_OFFSET_S: u64 = 8 * 3_600;

impl World {
    #[must_use]
    pub fn new(clock: Clock, is_lenient: bool) -> Self {
        Self {
            capture: Capture::default(),
            outbox: Outbox::default(),
            clock,
            is_lenient,
            offsets: Mutex::default(),
            conditions: Mutex::default(),
            turned: Notify::new(),
            quotas: Mutex::default(),
            tries: Mutex::default(),
            receipts_urls: Mutex::default(),
        }
    }

    /// The vendor's time.
    #[must_use]
    pub fn now(&self, vendor: Vendor) -> Timestamp {
        let offset = self.offsets.lock().get(&vendor).copied().unwrap_or(0);
        Timestamp::from_millis(self.clock.now().as_millis().saturating_add_signed(offset))
    }

    pub fn set_offset_ms(&self, vendor: Vendor, offset: i64) {
        self.offsets.lock().insert(vendor, offset);
    }

    #[must_use]
    pub fn condition(&self, vendor: Vendor) -> Condition {
        self.conditions.lock().get(&vendor).copied().unwrap_or_default()
    }

    pub fn set_condition(&self, vendor: Vendor, condition: Condition) {
        self.conditions.lock().insert(vendor, condition);
        self.turned.notify_waiters();
    }

    /// Until the vendor is in a condition of which `is` holds.
    pub(super) async fn turns(&self, vendor: Vendor, is: impl Fn(Condition) -> bool) {
        loop {
            let mut turned = std::pin::pin!(self.turned.notified());
            // From here on no turn is missed, also one between the look and the wait.
            turned.as_mut().enable();
            if is(self.condition(vendor)) {
                return;
            }
            turned.await;
        }
    }

    pub fn set_quotas(&self, vendor: Vendor, quotas: Quotas) {
        self.quotas.lock().insert(vendor, (quotas, Spent::default()));
    }

    /// As one would in the vendor's console: Huawei, HarmonyOS, Honor.
    pub fn set_receipts_url(&self, vendor: Vendor, url: impl Into<String>) {
        self.receipts_urls.lock().insert(vendor, url.into());
    }

    #[must_use]
    pub fn receipts_url(&self, vendor: Vendor) -> Option<String> {
        self.receipts_urls.lock().get(&vendor).cloned()
    }

    /// Takes so many devices out of this second's rate; false, and none, when there are too few.
    #[must_use]
    pub fn within_rate(&self, vendor: Vendor, devices: u32) -> bool {
        let second = self.now(vendor).as_secs();
        self.spend(vendor, |quotas, spent| {
            if spent.second != second {
                (spent.second, spent.in_second) = (second, 0);
            }
            let fits = quotas.rate.is_none_or(|rate| spent.in_second + devices <= rate);
            spent.in_second += if fits { devices } else { 0 };
            fits
        })
    }

    /// Takes so many devices out of the day's quota; false, and none, when there are too few.
    #[must_use]
    pub fn within_day(&self, vendor: Vendor, devices: u32) -> bool {
        let day = (self.now(vendor).as_secs() + DAY_OFFSET_S) / 86_400;
        self.spend(vendor, |quotas, spent| {
            if spent.day != day {
                (spent.day, spent.in_day) = (day, 0);
            }
            let fits = quotas.day.is_none_or(|quota| spent.in_day + devices <= quota);
            spent.in_day += if fits { devices } else { 0 };
            fits
        })
    }

    fn spend(&self, vendor: Vendor, take: impl FnOnce(&Quotas, &mut Spent) -> bool) -> bool {
        let mut quotas = self.quotas.lock();
        let (quotas, spent) = quotas.entry(vendor).or_default();
        take(quotas, spent)
    }

    /// What becomes of a token this time: a fate with a number is over after so many tries.
    #[must_use]
    pub fn fate(&self, vendor: Vendor, token: &str) -> Fate {
        let fate = fate_of(token);
        let times = match fate {
            Fate::Flaky(times)
            | Fate::Throttled(times)
            | Fate::Down(times)
            | Fate::Html(times)
            | Fate::Garbage(times)
            | Fate::Silent(times)
            | Fate::Cut(times) => times,
            Fate::Accepted | Fate::Dead | Fate::Slow(_) | Fate::Quota | Fate::Bad | Fate::Config => {
                return fate;
            }
        };
        let mut tries = self.tries.lock();
        let tried = tries.entry((vendor, token.to_owned())).or_default();
        *tried += 1;
        if *tried > times { Fate::Accepted } else { fate }
    }
}

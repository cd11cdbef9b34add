//! What everybody may know of the campaigns: where their office is, and how fast each goes.

use std::collections::VecDeque;
use std::time::Duration;

use actix::Addr;
use actix::dev::SendError;
use ahash::AHashMap;
use parking_lot::{Mutex, RwLock};

use super::office::{Do, Key, Office};

/// Over how long a rate is taken.
const WINDOW: Duration = Duration::from_secs(5);

/// Shares of a rate are gathered so finely.
const GRAIN: Duration = Duration::from_millis(250);

#[derive(Default)]
pub(crate) struct Board {
    /// Published anew when the office is made anew. Everything goes through this one address: see
    /// the router.
    office: RwLock<Option<Addr<Office>>>,
    rates: Mutex<AHashMap<Key, Rate>>,
}

/// Targets let go lately, in the order of time.
type Rate = VecDeque<(tokio::time::Instant, u64)>;

impl Board {
    pub(crate) fn publish(&self, office: Addr<Office>) {
        *self.office.write() = Some(office);
    }

    /// Hands it to the office, or gives it back when that is full or being made anew.
    #[expect(clippy::result_large_err, reason = "the job is given back whole, and moved either way")]
    pub(super) fn tell(&self, job: Do) -> Result<(), Do> {
        match &*self.office.read() {
            Some(office) => office.try_send(job).map_err(|error| match error {
                SendError::Full(job) | SendError::Closed(job) => job,
            }),
            None => Err(job),
        }
    }

    pub(super) fn released(&self, key: Key, targets: u64) {
        let now = tokio::time::Instant::now();
        let mut rates = self.rates.lock();
        let rate = rates.entry(key).or_default();
        match rate.back_mut() {
            Some((at, count)) if now.duration_since(*at) < GRAIN => *count += targets,
            _ => rate.push_back((now, targets)),
        }
        forget(rate, now);
    }

    /// Targets a second, over the last seconds.
    pub(super) fn rate(&self, key: Key) -> f64 {
        let mut rates = self.rates.lock();
        let Some(rate) = rates.get_mut(&key) else { return 0.0 };
        forget(rate, tokio::time::Instant::now());
        if rate.is_empty() {
            rates.remove(&key);
            return 0.0;
        }
        #[expect(clippy::cast_precision_loss, reason = "targets of five seconds are far below 2^52")]
        let sum = rate.iter().map(|(_, count)| count).sum::<u64>() as f64;
        sum / WINDOW.as_secs_f64()
    }

    /// Nobody is to ask for its rate any more.
    pub(super) fn rests(&self, key: Key) {
        self.rates.lock().remove(&key);
    }
}

fn forget(rate: &mut Rate, now: tokio::time::Instant) {
    while rate.front().is_some_and(|(at, _)| now.duration_since(*at) > WINDOW) {
        rate.pop_front();
    }
}

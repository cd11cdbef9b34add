//! Housekeeping, gauges, and the end.

use std::sync::atomic::Ordering;

use carillon_sdk::Timestamp;

use super::super::tenants::NO_APP;
use super::super::work::{Op, Write};
use super::super::{Error, Store, Totals};

impl Store {
    /// One bounded step of housekeeping, called about once a second: verdicts what expired, drops
    /// old nonces, answers, history and statistics, writes dirty bitmaps and last-seen times.
    /// True when there was more to do than one step takes.
    pub async fn sweep(&self, now: Timestamp) -> Result<bool, Error> {
        let steps = (0..self.0.shared.ports.len())
            .map(|partition| self.write(partition, NO_APP, move |reply| Write::Sweep { now, reply }));
        let more = futures_util::future::try_join_all(steps).await?;
        Ok(more.contains(&true))
    }

    /// Closes every minute before `now` in the statistics: one durable step a minute.
    pub async fn close_minutes(&self, now: Timestamp) -> Result<(), Error> {
        let steps = (0..self.0.shared.ports.len())
            .map(|partition| self.write(partition, NO_APP, move |reply| Write::CloseMinutes { now, reply }));
        futures_util::future::try_join_all(steps).await?;
        Ok(())
    }

    #[must_use]
    pub fn totals(&self) -> Totals {
        let shared = &self.0.shared;
        let mut totals = Totals { broadcasts: shared.logs.len() as u64, ..Totals::default() };
        for port in &shared.ports {
            let sum = port.queues.sum();
            totals.pending += sum.places;
            totals.pending_bytes += sum.bytes;
            totals.oldest_pending_at = match (totals.oldest_pending_at, sum.oldest) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            };
            totals.disk_bytes += port.disk_bytes.load(Ordering::Relaxed);
            totals.intake += port.intake.waiting() as u64;
        }
        for people in shared.tenants.all() {
            totals.devices += u64::from(people.device_count());
            totals.users += people.user_count() as u64;
        }
        totals
    }

    /// Why the store is read-only, when it is.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.0.shared.failure.why()
    }

    /// Commits what is in hand and ends the threads. Operations after it are `Unavailable`.
    pub async fn close(&self) {
        for port in &self.0.shared.ports {
            port.intake.close();
        }
        for ended in &self.0.ended {
            let mut ended = ended.clone();
            // The thread never sends: an error says that it ended.
            while ended.changed().await.is_ok() {}
        }
    }

    /// Makes a partition's thread panic: the process exits and loses nothing.
    pub fn crash(&self) {
        self.0.shared.ports[0].intake.follow_up(Op::Panic);
    }
}

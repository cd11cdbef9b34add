//! What a store's threads and its callers share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use ahash::AHashSet;
use carillon_sdk::Timestamp;
use parking_lot::Mutex;

use super::Hints;
use super::credential::Keyring;
use super::disk::Failed;
use super::errands::Bells;
use super::feed::Feeds;
use super::handed::Handed;
use super::history::{Position, Reader};
use super::idempotency::Answers;
use super::intake::Intake;
use super::log::Logs;
use super::nonces::Nonces;
use super::objects::Objects;
use super::queues::Queues;
use super::revokes::RevokedTasks;
use super::roads::RoadCache;
use super::sessions::Sessions;
use super::tasks::Tasks;
use super::tenants::Tenants;
use super::work::Op;
use crate::clock::Clock;
use crate::limits::Limits;
use crate::model::{App, Device, Owner, Seq, User};

pub(super) struct Shared {
    /// The data directory.
    pub dir: std::path::PathBuf,
    pub clock: Clock,
    pub limits: Limits,
    pub hints: Arc<dyn Hints>,
    pub on_death: Arc<dyn Fn() + Send + Sync>,
    pub keyring: Keyring,
    pub tenants: Tenants,
    pub sessions: Sessions,
    pub nonces: Mutex<Nonces>,
    pub answers: Arc<Answers>,
    pub logs: Logs,
    pub objects: Objects,
    pub roads: RoadCache,
    pub bells: Bells,
    pub handed: Mutex<Handed>,
    pub revoked: RevokedTasks,
    /// What was accepted before may have been sent by an earlier process, to whom it did not say.
    pub started_at: Timestamp,
    pub feeds: Feeds,
    pub tasks: Tasks,
    pub ports: Vec<Port>,
    pub failure: Failure,
    /// The last place given out, in any partition.
    pub seq: AtomicU64,
    /// The last session's number.
    pub epoch: AtomicU64,
    pub abandoned: AtomicBool,
}

/// A partition as the others see it.
pub(super) struct Port {
    pub intake: Intake<Op>,
    pub queues: Arc<Queues>,
    pub reader: Reader,
    /// Up to here history is what was committed: readers of the feed go no further.
    pub concluded: Mutex<Position>,
    /// Devices whose last-seen time or app version is to be written.
    pub seen: Mutex<AHashSet<Device>>,
    pub disk_bytes: AtomicU64,
}

/// Why nothing may be written any more.
#[derive(Default)]
pub(super) struct Failure {
    failed: AtomicBool,
    why: Mutex<Option<String>>,
}

impl Failure {
    #[must_use]
    pub(super) fn is_some(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    #[must_use]
    pub(super) fn why(&self) -> Option<String> {
        self.why.lock().clone()
    }
}

impl Shared {
    /// Makes the whole store read-only: nobody knows what that partition's disk holds.
    pub(super) fn fail(&self, partition: usize, op: &'static str, failed: &Failed) {
        metrics::counter!("carillon_store_errors_total", "op" => op, "reason" => "io").increment(1);
        tracing::error!(partition, op, %failed, "the store is read-only from now on");
        let mut why = self.failure.why.lock();
        why.get_or_insert_with(|| format!("partition {partition}, {op}: {failed}"));
        self.failure.failed.store(true, Ordering::Release);
    }

    pub(super) fn draw(&self) -> Seq {
        Seq(self.seq.fetch_add(1, Ordering::SeqCst) + 1)
    }

    #[must_use]
    pub(super) fn abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Acquire)
    }

    /// Where an owner's rows are. Never changes: rows are found by it.
    #[must_use]
    pub(super) fn partition_of(&self, owner: Owner) -> usize {
        let (kind, ordinal) = match owner {
            Owner::Device(device) => (1, device.ordinal),
            Owner::User(user) => (2, user.ordinal),
        };
        place(owner.app(), kind, ordinal, self.ports.len())
    }

    #[must_use]
    pub(super) fn partition_of_device(&self, device: Device) -> usize {
        self.partition_of(Owner::Device(device))
    }

    #[must_use]
    pub(super) fn partition_of_user(&self, user: User) -> usize {
        self.partition_of(Owner::User(user))
    }

    /// Where an app's broadcasts and answers are.
    #[must_use]
    pub(super) fn partition_of_app(&self, app: App) -> usize {
        place(app, 0, 0, self.ports.len())
    }
}

/// The finaliser of SplitMix64: every bit of the input reaches every bit of the answer.
fn place(app: App, kind: u64, ordinal: u32, partitions: usize) -> usize {
    let mut bits =
        (u64::from(app.0) << 32 | u64::from(ordinal)).wrapping_add(kind.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^= bits >> 31;
    (bits % partitions as u64) as usize
}

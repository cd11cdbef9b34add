//! A commit in the making.

use std::sync::Arc;

use carillon_sdk::api::Step;
use carillon_sdk::{MessageId, Timestamp, Vendor};
use roaring::RoaringBitmap;
use smallvec::SmallVec;

use super::{Later, Op, Reply};
use crate::model::{App, Device, Due, Message, Owner, PushType, Seq, Task};
use crate::store::Error;
use crate::store::directory::Group;
use crate::store::disk::Batch;
use crate::store::history::{Channel, Reason, Record, Whom};
use crate::store::log::LogEntry;
use crate::store::rows::{Devices, PendingRow};

/// A commit in the making: what to write, and what to do once it is on disk.
pub(in crate::store) struct Work {
    pub now: Timestamp,
    pub batch: Batch,
    pub records: Vec<Record>,
    pub answers: Vec<Answer>,
    pub arrived: Vec<Arrived>,
    /// What is let go, to be finished when all is decided.
    pub released: Vec<Released>,
    /// And once that is on disk, to be told.
    pub due: Vec<Released>,
    /// What sessions are to hold back, once that is on disk.
    pub withdrawn: Vec<(App, Seq, Option<RoaringBitmap>)>,
    /// The batch takes something away whose verdict goes with it: history is synced first.
    pub verdicts: bool,
    /// By partition.
    pub follow_ups: Vec<(usize, Op)>,
    pub later: Vec<Later>,
    /// Apps of which history was written.
    pub told: SmallVec<[App; 4]>,
    /// Channels that have something new to carry.
    pub bells: SmallVec<[(App, Vendor); 4]>,
    pub again: Vec<Again>,
    /// Of the log, the same as `again`.
    pub freed: Vec<Released>,
}

type Answer = Box<dyn FnOnce(Result<(), Error>) + Send>;

/// A place given out: to be hinted once it is on disk.
pub(in crate::store) struct Arrived {
    pub owner: Owner,
    pub seq: Seq,
    pub before: Seq,
    pub message: Arc<Message>,
    /// Devices to which a vendor carries it: not hinted.
    pub held: Devices,
}

/// A place behind where sessions stand that is due to a device again.
pub(in crate::store) struct Again {
    pub owner: Owner,
    pub device: Device,
    pub seq: Seq,
    pub message: Arc<Message>,
}

/// A message taken out of queues.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::store) struct Withdrawal {
    pub id: MessageId,
    pub push_type: PushType,
    /// Verdicts given.
    pub withdrawn: u64,
    /// Devices that may show it.
    pub may_show: RoaringBitmap,
}

/// Devices an entry is let go to, and the release's place.
pub(in crate::store) struct Released {
    pub entry: Arc<LogEntry>,
    pub devices: RoaringBitmap,
    pub at: Seq,
}

impl Work {
    #[must_use]
    pub(in crate::store) fn new(now: Timestamp) -> Self {
        Self {
            now,
            batch: Batch::default(),
            records: Vec::new(),
            answers: Vec::new(),
            arrived: Vec::new(),
            released: Vec::new(),
            due: Vec::new(),
            withdrawn: Vec::new(),
            verdicts: false,
            follow_ups: Vec::new(),
            later: Vec::new(),
            told: SmallVec::new(),
            bells: SmallVec::new(),
            again: Vec::new(),
            freed: Vec::new(),
        }
    }

    /// Answers once the commit is on disk, or with how it failed.
    pub(in crate::store) fn answer<T: Send + 'static>(&mut self, reply: Reply<T>, value: T) {
        self.answers.push(Box::new(move |committed| {
            // Whoever asked may have gone.
            let _ = reply.send(committed.map(|()| value));
        }));
    }

    /// The session of a device is to send this place no more.
    pub(in crate::store) fn withdraw_from(&mut self, device: Device, seq: Seq) {
        self.withdrawn.push((device.app, seq, Some([device.ordinal].into())));
    }

    pub(in crate::store) fn record(
        &mut self,
        of: Story,
        whom: Whom,
        group: Option<Group>,
        step: Step,
        reason: Option<Reason>,
    ) {
        if of.is_quiet {
            return;
        }
        let (platform, app_version) =
            group.map_or((None, None), |(platform, version)| (Some(platform), version));
        self.records.push(Record {
            at: self.now,
            app: of.app,
            id: of.id,
            push_type: of.push_type,
            task: of.task,
            step,
            whom,
            platform,
            app_version,
            channel: Channel::Own,
            reason,
            detail: None,
            message: None,
        });
    }
}

/// Which message a record is about.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Story {
    pub app: App,
    pub id: MessageId,
    pub push_type: PushType,
    pub task: Option<Task>,
    /// It withdraws a message and is none: nothing is recorded of it.
    pub is_quiet: bool,
}

impl Story {
    #[must_use]
    pub(in crate::store) const fn of_row(app: App, row: &PendingRow) -> Self {
        Self { app, id: row.id, push_type: row.push_type, task: row.task, is_quiet: row.revokes }
    }

    #[must_use]
    pub(in crate::store) fn of_due(app: App, due: &Due) -> Self {
        let is_quiet = due.revokes.is_some();
        Self { app, id: due.id, push_type: due.push_type, task: due.task, is_quiet }
    }
}

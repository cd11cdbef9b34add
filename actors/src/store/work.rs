//! What a partition is asked, and a commit in the making.

use std::sync::Arc;

use bytes::Bytes;
use carillon_sdk::api::{RegisterDevice, ReportKind, Step};
use carillon_sdk::{MessageId, Timestamp, Vendor};
use roaring::RoaringBitmap;
use smallvec::SmallVec;
use tokio::sync::oneshot;

use super::directory::Group;
use super::disk::Batch;
use super::errands::ErrandOp;
use super::feed::Origin;
use super::history::{Channel, Reason, Record, Whom};
use super::keys::Key;
use super::log::LogEntry;
use super::objects::{Audit, AuditEntry, Change, Changed};
use super::revokes::Revoked;
use super::rows::{DeviceRow, Devices, PendingRow};
use super::stats::{Counts, Key as StatsKey, Span};
use super::tasks::{TaskInfo, TaskView};
use super::tenancy::{TenantChange, TenantDone};
use super::tokens::{By, Dropped, LedgerEntry, Moved, NewToken, TokenInfo, TokenKept};
use super::{Acked, Cursor, Enqueued, EntryView, Error, Idempotency, Nonce, TagChange, Tagged, Targets};
use crate::audience::Audience;
use crate::model::{App, Device, Due, Message, Owner, PushType, Seq, Task, User};

pub(super) type Reply<T> = oneshot::Sender<Result<T, Error>>;

pub(super) enum Op {
    Write(Write),
    Later(Later),
    /// A test's: the thread panics.
    Panic,
}

/// What changes rows: decided, committed, answered.
pub(super) enum Write {
    Enqueue {
        message: Arc<Message>,
        targets: SmallVec<[Owner; 2]>,
        nonce: Option<Nonce>,
        reply: Reply<Vec<Enqueued>>,
    },
    Broadcast {
        message: Arc<Message>,
        audience: Audience,
        nonce: Option<Nonce>,
        reply: Reply<u32>,
    },
    /// Opens a campaign's entry, with its targets.
    Plan {
        message: Arc<Message>,
        targets: Targets,
        nonce: Option<Nonce>,
        reply: Reply<EntryView>,
    },
    /// Lets a campaign go to some of its targets.
    Release {
        app: App,
        task: Task,
        devices: RoaringBitmap,
        reply: Reply<Option<u64>>,
    },
    /// Withdraws an entry, and tells who may show it by the notice. None when there is none, or it
    /// was withdrawn before.
    RevokeEntry {
        id: MessageId,
        notice: Arc<Message>,
        reply: Reply<Option<Revoked>>,
    },
    /// Opens an entry that withdraws a message from these devices, or adds to it.
    Tell {
        notice: Arc<Message>,
        devices: RoaringBitmap,
        reply: Reply<u64>,
    },
    /// From now on nothing of the task is taken in; true when that is new.
    RevokeTask {
        app: App,
        task: Task,
        audit: Option<Audit>,
        nonce: Option<Nonce>,
        reply: Reply<bool>,
    },
    /// Answered when the removals of verdicts given before are on disk.
    Paid {
        reply: Reply<()>,
    },
    /// Its queues were walked and everybody told.
    TaskRevoked {
        app: App,
        task: Task,
        reply: Reply<()>,
    },
    /// Lets go what devices that came later want of the app's log. Nobody waits for it; a sweep
    /// does the same.
    Join {
        app: App,
    },
    Tenants {
        change: Box<TenantChange>,
        audit: Option<Audit>,
        nonce: Option<Nonce>,
        reply: Reply<TenantDone>,
    },
    /// None when the id was deleted meanwhile: to be tried again.
    Register {
        device: Device,
        body: Box<RegisterDevice>,
        /// Whether a credential is given out for it.
        claim: bool,
        nonce: Option<Nonce>,
        reply: Reply<Option<(DeviceRow, bool)>>,
    },
    Delete {
        device: Device,
        nonce: Option<Nonce>,
        reply: Reply<()>,
    },
    NameUser {
        user: User,
        reply: Reply<()>,
    },
    Bind {
        device: Device,
        user: Option<User>,
        nonce: Option<Nonce>,
        reply: Reply<Option<User>>,
    },
    /// The device was bound to the user: what nobody acked becomes the device's too.
    List {
        device: Device,
        user: User,
        before: Option<User>,
        reply: Reply<Option<User>>,
    },
    /// One outcome a token, in their order; all of this partition.
    Tokens {
        app: App,
        tokens: Vec<NewToken>,
        by: By,
        reply: Reply<Vec<TokenKept>>,
    },
    /// A device of this partition lost its token to another device.
    TokenMoved(Box<Moved>),
    /// True when it was there.
    DropToken {
        device: Device,
        vendor: Vendor,
        /// Only this one; whichever it has when none.
        token: Option<String>,
        dead_since: Option<Timestamp>,
        why: Dropped,
        reply: Reply<bool>,
    },
    /// One outcome a member, in their order; all of this partition.
    Tag {
        app: App,
        members: Vec<Owner>,
        change: Arc<TagChange>,
        nonce: Option<Nonce>,
        reply: Reply<Vec<Tagged>>,
    },
    Answer {
        app: App,
        idempotency: Idempotency,
        answer: Bytes,
        until: Timestamp,
        reply: Reply<()>,
    },
    Nonce {
        nonce: Nonce,
        reply: Reply<()>,
    },
    /// All of it or, when an expectation fails, none.
    Change {
        app: App,
        changes: Vec<Change>,
        audit: Option<Audit>,
        nonce: Option<Nonce>,
        reply: Reply<Changed>,
    },
    Task {
        app: App,
        info: TaskInfo,
        nonce: Option<Nonce>,
        reply: Reply<Task>,
    },
    /// What vendors' channels are to carry.
    Errands(ErrandOp),
    Sweep {
        now: Timestamp,
        reply: Reply<bool>,
    },
    CloseMinutes {
        now: Timestamp,
        reply: Reply<()>,
    },
}

/// What is done once the batch is on disk: reads, and verdicts, whose removals wait for the next.
pub(super) enum Later {
    Page {
        owner: Owner,
        device: Device,
        cursor: Cursor,
        limit: usize,
        reply: Reply<QueuePage>,
    },
    Ack {
        device: Device,
        acked: Vec<Acked>,
    },
    AckHeld {
        device: Device,
        owner: Owner,
        seqs: Vec<Seq>,
    },
    Sent {
        device: Device,
        sent: Vec<Due>,
    },
    Online {
        device: Device,
        due: Due,
        step: Step,
    },
    Report {
        report: Report,
        reply: Reply<()>,
    },
    /// What waited for a deleted device is rejected.
    Forget {
        device: Device,
        group: Group,
    },
    /// And what waited for its user no longer waits for it.
    Unlist {
        device: Device,
        user: User,
        group: Group,
    },
    /// Withdraws a message from the queues here, all or one owner's.
    Withdraw {
        app: App,
        id: MessageId,
        expires_at: Timestamp,
        only: Option<Owner>,
        reply: Reply<Withdrawal>,
    },
    /// Withdraws an entry from one device.
    WithdrawFrom {
        device: Device,
        id: MessageId,
        reply: Reply<u64>,
    },
    /// Withdraws a task's messages, a stretch of the queues here at a time.
    WithdrawTask {
        app: App,
        task: Task,
        from: Option<Key>,
        reply: Reply<(Vec<Withdrawal>, Option<Key>)>,
    },
    /// Let go to devices that were deleted before: their verdict.
    Reject {
        entry: Arc<LogEntry>,
        devices: RoaringBitmap,
    },
    /// And its app's broadcasts.
    Unlog {
        device: Device,
        group: Group,
    },
    Holds {
        users: Vec<User>,
        id: MessageId,
        reply: Reply<Vec<bool>>,
    },
    /// None when there are more than are read at once.
    Rows {
        app: App,
        span: Span,
        reply: Reply<Option<Vec<(StatsKey, Counts)>>>,
    },
    Audited {
        app: App,
        before: Seq,
        limit: usize,
        reply: Reply<Vec<AuditEntry>>,
    },
    Tasks {
        app: App,
        tasks: Vec<Task>,
        reply: Reply<Vec<TaskView>>,
    },
    /// Of messages with a derived id: what is known of them, one answer each.
    Origins {
        app: App,
        ids: Vec<MessageId>,
        reply: Reply<Vec<Option<Origin>>>,
    },
    /// Tokens of devices of this partition, one answer each.
    Tokens {
        of: Vec<(Device, Vendor)>,
        reply: Reply<Vec<Option<TokenInfo>>>,
    },
    /// What was done to a device's tokens, the newest first.
    Ledger {
        device: Device,
        reply: Reply<Vec<LedgerEntry>>,
    },
    /// Answered when everything before it is in history.
    Settle {
        reply: Reply<()>,
    },
    Expire {
        now: Timestamp,
        more: bool,
        reply: Reply<bool>,
    },
}

/// What a device said of a message it was sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Report {
    pub device: Device,
    pub id: MessageId,
    pub push_type: PushType,
    pub task: Option<Task>,
    pub kind: ReportKind,
}

/// One queue's share of a page.
#[derive(Debug, Default)]
pub(super) struct QueuePage {
    /// By lane, then place.
    pub high: Vec<Due>,
    pub normal: Vec<Due>,
    /// Places remain beyond those, in that lane.
    pub more_high: bool,
    pub more_normal: bool,
    pub head: Seq,
    /// Whatever has a place up to here was seen; a later place may be given out in this partition
    /// at any moment.
    pub safe: Seq,
}

impl Write {
    /// Removals and what makes room are taken in on a full disk too.
    #[must_use]
    pub(super) fn needs_room(&self) -> bool {
        if let Self::Tenants { change, .. } = self {
            return change.needs_room();
        }
        !matches!(
            self,
            Self::Delete { .. }
                | Self::List { .. }
                | Self::TokenMoved(_)
                | Self::Paid { .. }
                | Self::Sweep { .. }
                | Self::CloseMinutes { .. }
        )
    }

    pub(super) fn refuse(self, error: Error) {
        match self {
            Self::Enqueue { reply, .. } => refuse(reply, error),
            Self::Broadcast { reply, .. } => refuse(reply, error),
            Self::Tenants { reply, .. } => refuse(reply, error),
            Self::Plan { reply, .. } => refuse(reply, error),
            Self::Release { reply, .. } => refuse(reply, error),
            Self::RevokeEntry { reply, .. } => refuse(reply, error),
            Self::Tell { reply, .. } => refuse(reply, error),
            Self::RevokeTask { reply, .. } => refuse(reply, error),
            Self::TaskRevoked { reply, .. } | Self::Paid { reply } => refuse(reply, error),
            Self::Join { .. } | Self::TokenMoved(_) => {}
            Self::Register { reply, .. } => refuse(reply, error),
            Self::Delete { reply, .. } => refuse(reply, error),
            Self::NameUser { reply, .. } => refuse(reply, error),
            Self::Bind { reply, .. } => refuse(reply, error),
            Self::List { reply, .. } => refuse(reply, error),
            Self::Tokens { reply, .. } => refuse(reply, error),
            Self::DropToken { reply, .. } => refuse(reply, error),
            Self::Tag { reply, .. } => refuse(reply, error),
            Self::Answer { reply, .. } => refuse(reply, error),
            Self::Nonce { reply, .. } => refuse(reply, error),
            Self::Change { reply, .. } => refuse(reply, error),
            Self::Task { reply, .. } => refuse(reply, error),
            Self::Errands(op) => op.refuse(error),
            Self::Sweep { reply, .. } => refuse(reply, error),
            Self::CloseMinutes { reply, .. } => refuse(reply, error),
        }
    }
}

impl Later {
    /// Reads go on when nothing may be written any more.
    #[must_use]
    pub(super) const fn only_reads(&self) -> bool {
        matches!(
            self,
            Self::Page { .. }
                | Self::Holds { .. }
                | Self::Rows { .. }
                | Self::Audited { .. }
                | Self::Tasks { .. }
                | Self::Origins { .. }
                | Self::Tokens { .. }
                | Self::Ledger { .. }
                | Self::Settle { .. }
        )
    }

    /// Steps that are not verdicts: on a full disk they are not recorded.
    #[must_use]
    pub(super) const fn is_note(&self) -> bool {
        matches!(self, Self::Sent { .. } | Self::Online { .. } | Self::Report { .. })
    }

    pub(super) fn refuse(self, error: Error) {
        match self {
            Self::Page { reply, .. } => refuse(reply, error),
            Self::Report { reply, .. } | Self::Settle { reply } => refuse(reply, error),
            Self::Holds { reply, .. } => refuse(reply, error),
            Self::Rows { reply, .. } => refuse(reply, error),
            Self::Audited { reply, .. } => refuse(reply, error),
            Self::Tasks { reply, .. } => refuse(reply, error),
            Self::Origins { reply, .. } => refuse(reply, error),
            Self::Tokens { reply, .. } => refuse(reply, error),
            Self::Ledger { reply, .. } => refuse(reply, error),
            Self::Expire { reply, .. } => refuse(reply, error),
            Self::Withdraw { reply, .. } => refuse(reply, error),
            Self::WithdrawFrom { reply, .. } => refuse(reply, error),
            Self::WithdrawTask { reply, .. } => refuse(reply, error),
            Self::Ack { .. }
            | Self::AckHeld { .. }
            | Self::Sent { .. }
            | Self::Online { .. }
            | Self::Forget { .. }
            | Self::Unlist { .. }
            | Self::Reject { .. }
            | Self::Unlog { .. } => {}
        }
    }
}

fn refuse<T>(reply: Reply<T>, error: Error) {
    // Whoever asked may have gone.
    let _ = reply.send(Err(error));
}

/// A commit in the making: what to write, and what to do once it is on disk.
pub(super) struct Work {
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
pub(super) struct Arrived {
    pub owner: Owner,
    pub seq: Seq,
    pub before: Seq,
    pub message: Arc<Message>,
    /// Devices to which a vendor carries it: not hinted.
    pub held: Devices,
}

/// A place behind where sessions stand that is due to a device again.
pub(super) struct Again {
    pub owner: Owner,
    pub device: Device,
    pub seq: Seq,
    pub message: Arc<Message>,
}

/// A message taken out of queues.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Withdrawal {
    pub id: MessageId,
    pub push_type: PushType,
    /// Verdicts given.
    pub withdrawn: u64,
    /// Devices that may show it.
    pub may_show: RoaringBitmap,
}

/// Devices an entry is let go to, and the release's place.
pub(super) struct Released {
    pub entry: Arc<LogEntry>,
    pub devices: RoaringBitmap,
    pub at: Seq,
}

impl Work {
    #[must_use]
    pub(super) fn new(now: Timestamp) -> Self {
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
    pub(super) fn answer<T: Send + 'static>(&mut self, reply: Reply<T>, value: T) {
        self.answers.push(Box::new(move |committed| {
            // Whoever asked may have gone.
            let _ = reply.send(committed.map(|()| value));
        }));
    }

    /// The session of a device is to send this place no more.
    pub(super) fn withdraw_from(&mut self, device: Device, seq: Seq) {
        self.withdrawn.push((device.app, seq, Some([device.ordinal].into())));
    }

    pub(super) fn record(
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
pub(super) struct Story {
    pub app: App,
    pub id: MessageId,
    pub push_type: PushType,
    pub task: Option<Task>,
    /// It withdraws a message and is none: nothing is recorded of it.
    pub is_quiet: bool,
}

impl Story {
    #[must_use]
    pub(super) const fn of_row(app: App, row: &PendingRow) -> Self {
        Self { app, id: row.id, push_type: row.push_type, task: row.task, is_quiet: row.revokes }
    }

    #[must_use]
    pub(super) fn of_due(app: App, due: &Due) -> Self {
        let is_quiet = due.revokes.is_some();
        Self { app, id: due.id, push_type: due.push_type, task: due.task, is_quiet }
    }
}

//! What a partition is asked, and a commit in the making.

mod commit;

use std::sync::Arc;

use bytes::Bytes;
use carillon_sdk::api::{RegisterDevice, ReportKind, Step};
use carillon_sdk::{MessageId, Timestamp, Vendor};
use roaring::RoaringBitmap;
use smallvec::SmallVec;
use tokio::sync::oneshot;

use super::directory::Group;
use super::errands::ErrandOp;
use super::feed::Origin;
use super::keys::Key;
use super::log::LogEntry;
use super::objects::{Audit, AuditEntry, Change, Changed};
use super::revokes::Revoked;
use super::rows::DeviceRow;
use super::stats::{Counts, Key as StatsKey, Span};
use super::tasks::{TaskInfo, TaskView};
use super::tenancy::{TenantChange, TenantDone};
use super::tokens::{By, Dropped, LedgerEntry, Moved, NewToken, TokenInfo, TokenKept};
use super::{Acked, Cursor, Enqueued, EntryView, Error, Idempotency, Nonce, TagChange, Tagged, Targets};
use crate::audience::Audience;
use crate::model::{App, Device, Due, Message, Owner, PushType, Seq, Task, User};

pub(super) use self::commit::{Again, Arrived, Released, Story, Withdrawal, Work};

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
        match self {
            Self::Tenants { change, .. } => return change.needs_room(),
            Self::Errands(op) => return op.needs_room(),
            _ => {}
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

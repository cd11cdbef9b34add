//! What waits in a partition's queues: the rules of acceptance, acks, expiry and reading. Has no
//! thread and no clock; `rows` is read, what is to change goes into `work` or is owed.
//!
//! A removal is owed from the moment its verdict is recorded, and written with the commit after:
//! by then the verdict is durable, so that a crash may repeat it but never lose it. Until then the
//! place is `leaving`: counted out, and shown to nobody.

use std::ops::ControlFlow;
use std::sync::Arc;

use ahash::{AHashMap, AHashSet};
use carillon_sdk::api::Step;
use carillon_sdk::wire::Lane;
use carillon_sdk::{MessageId, Timestamp, Ttl};
use smallvec::SmallVec;

use super::Enqueued;
use super::directory::{Group, OfApp};
use super::disk::{Batch, Failed, Rows};
use super::history::{MessageHead, Reason, Whom};
use super::keys;
use super::queues::Queues;
use super::rows::{Devices, MessageRow, Owners, PendingRow, RepeatRow, UserRow, decode, encode};
use super::work::{Arrived, Story, Work};
use crate::model::{Device, Message, Owner, Seq, User};

#[derive(Debug, Clone, Copy)]
pub(super) struct PendingLimits {
    pub count_max: u32,
    pub bytes_max: u64,
    /// How long a retry of a message with a derived id is recognised, at least.
    pub repeat_keep: Ttl,
    /// What expired while in flight waits this much longer for its ack.
    pub grace: Ttl,
}

pub(super) struct Pending {
    pub(super) queues: Arc<Queues>,
    pub(super) limits: PendingLimits,
    /// References per message, where there is more than one.
    refs: AHashMap<Seq, u32>,
    collapse: AHashMap<Owner, SmallVec<[Collapsible; 1]>>,
    leaving: AHashSet<(Owner, Seq)>,
    /// Users' places that differ from the disk, or are not there yet.
    touched: AHashMap<(User, Seq), (Lane, PendingRow)>,
    /// Repeatable messages of the commit under way.
    repeats: AHashMap<MessageId, RepeatRow>,
    owed: Vec<Owed>,
}

/// A place that a later message with the same key will take.
#[derive(Clone)]
struct Collapsible {
    key: Arc<str>,
    lane: Lane,
    seq: Seq,
    row: PendingRow,
}

/// Written with the next commit.
pub(super) enum Owed {
    Remove {
        owner: Owner,
        lane: Lane,
        seq: Seq,
        expires_at: Timestamp,
    },
    /// A user's place that some device acked.
    Acked {
        user: User,
        seq: Seq,
    },
    /// A message to which nothing refers.
    Orphan {
        expires_at: Timestamp,
        seq: Seq,
    },
    Put {
        key: keys::Key,
        value: Vec<u8>,
    },
    Delete {
        key: keys::Key,
    },
}

impl Pending {
    #[must_use]
    pub(super) fn new(queues: Arc<Queues>, limits: PendingLimits) -> Self {
        Self {
            queues,
            limits,
            refs: AHashMap::new(),
            collapse: AHashMap::new(),
            leaving: AHashSet::new(),
            touched: AHashMap::new(),
            repeats: AHashMap::new(),
            owed: Vec::new(),
        }
    }

    // ---- acceptance ----------------------------------------------------------------------------

    /// Takes a message into the queues of its targets here: one outcome each, in their order.
    /// `seq` is drawn when the first of them is taken in.
    pub(super) fn enqueue(
        &mut self,
        rows: &Rows,
        work: &mut Work,
        people: &OfApp,
        message: &Arc<Message>,
        targets: &[Owner],
        draw: impl FnOnce() -> Seq,
    ) -> Result<Vec<Enqueued>, Failed> {
        let mut repeat = if is_repeatable(message.id) { Some(self.repeat(rows, message.id)?) } else { None };
        let mut draw = Some(draw);
        let mut seq = None;
        let mut owners = Owners::default();
        let mut outcomes = Vec::with_capacity(targets.len());
        for &owner in targets {
            let outcome = if owners.contains(owner) || repeat.as_ref().is_some_and(|row| row.contains(owner))
            {
                Enqueued::Repeated
            } else if matches!(owner, Owner::Device(device) if !people.is_registered(device.ordinal)) {
                Enqueued::Gone
            } else if !self.make_room(rows, work, people, owner, message)? {
                Enqueued::QueueFull
            } else {
                let seq = *seq.get_or_insert_with(|| draw.take().map_or_else(Seq::default, |draw| draw()));
                owners.push(owner);
                self.place(work, people, owner, message, seq);
                Enqueued::Stored(seq)
            };
            outcomes.push(outcome);
        }
        if let Some(seq) = seq {
            if owners.len() > 1 {
                self.refs.insert(seq, owners.len() as u32);
            }
            if let Some(row) = &mut repeat {
                row.places.push((seq, owners.clone()));
                self.remember_repeat(work, message, row.clone());
            }
            let row = MessageRow { message: message.as_ref(), owners };
            work.batch.put(keys::message(message.expires_at, seq), encode(&row));
        }
        Ok(outcomes)
    }

    /// Where a message with a derived id was put before.
    pub(super) fn repeat(&self, rows: &Rows, id: MessageId) -> Result<RepeatRow, Failed> {
        if let Some(row) = self.repeats.get(&id) {
            return Ok(row.clone());
        }
        rows.get(&keys::repeat(id))?.map_or_else(|| Ok(RepeatRow::default()), |bytes| decode(&bytes))
    }

    pub(super) fn remember_repeat(&mut self, work: &mut Work, message: &Message, mut row: RepeatRow) {
        row.until = message.expires_at.max(message.accepted_at + self.limits.repeat_keep);
        work.batch.put(keys::repeat(message.id), encode(&row));
        self.repeats.insert(message.id, row);
    }

    /// Whether one more fits; a place this message replaces makes room first.
    fn make_room(
        &mut self,
        rows: &Rows,
        work: &mut Work,
        people: &OfApp,
        owner: Owner,
        message: &Message,
    ) -> Result<bool, Failed> {
        let queue = self.queues.get(owner);
        let replaced = message.collapse_key.as_deref().and_then(|key| self.collapsible(owner, key));
        let replaced = replaced.map(|at| self.collapse[&owner][at].clone());
        let (mut count, mut bytes) = (queue.count, u64::from(queue.bytes));
        if let Some(place) = &replaced {
            count -= 1;
            bytes = bytes.saturating_sub(u64::from(place.row.bytes));
        }
        if count >= self.limits.count_max || bytes + message.payload_bytes() as u64 > self.limits.bytes_max {
            return Ok(false);
        }
        if let Some(Collapsible { lane, seq, row, .. }) = replaced {
            // A user's place may have been listed for more devices since.
            let row = match owner {
                Owner::User(_) => self.find(rows, owner, seq)?.map_or(row, |(_, row)| row),
                Owner::Device(_) => row,
            };
            verdicts(work, people, owner, &row, Step::Replaced, None);
            self.leave(owner, lane, seq, &row);
        }
        Ok(true)
    }

    fn collapsible(&self, owner: Owner, key: &str) -> Option<usize> {
        self.collapse.get(&owner)?.iter().position(|place| *place.key == *key)
    }

    fn place(&mut self, work: &mut Work, people: &OfApp, owner: Owner, message: &Arc<Message>, seq: Seq) {
        let listed = match owner {
            Owner::Device(_) => Devices::new(),
            Owner::User(user) => Devices::from_slice(&people.user_devices(user.ordinal)),
        };
        let row = PendingRow {
            expires_at: message.expires_at,
            accepted_at: message.accepted_at,
            bytes: u32::try_from(message.payload_bytes()).unwrap_or(u32::MAX),
            push_type: message.push_type,
            id: message.id,
            listed,
            acked: Devices::new(),
        };
        if let Owner::User(user) = owner
            && let Some(name) = people.to_name(user.ordinal)
        {
            work.batch.put(keys::user(user), encode(&UserRow { user_id: name }));
        }
        work.batch.put(keys::pending(owner, message.lane, seq), row.encode());
        let before = self.queues.enter(owner, seq, &row);
        work.arrived.push(Arrived { owner, seq, before, message: Arc::clone(message) });
        let first = work.records.len();
        verdicts(work, people, owner, &row, Step::Accepted, None);
        for record in &mut work.records[first..] {
            record.message = Some(MessageHead { lane: message.lane, expires_at: message.expires_at });
        }
        if let Some(key) = &message.collapse_key {
            self.watch(owner, key, message.lane, seq, row.clone());
        }
        if let Owner::User(user) = owner {
            self.touched.insert((user, seq), (message.lane, row));
        }
    }

    fn watch(&mut self, owner: Owner, key: &str, lane: Lane, seq: Seq, row: PendingRow) {
        let place = Collapsible { key: Arc::from(key), lane, seq, row };
        self.collapse.entry(owner).or_default().push(place);
    }

    // ---- leaving -------------------------------------------------------------------------------

    /// Counts a place out whose verdict has just been recorded.
    fn leave(&mut self, owner: Owner, lane: Lane, seq: Seq, row: &PendingRow) {
        self.queues.leave(owner, row.bytes, row.accepted_at);
        self.leaving.insert((owner, seq));
        if let Some(places) = self.collapse.get_mut(&owner) {
            places.retain(|place| place.seq != seq);
            if places.is_empty() {
                self.collapse.remove(&owner);
            }
        }
        self.owed.push(Owed::Remove { owner, lane, seq, expires_at: row.expires_at });
    }

    pub(super) fn owe(&mut self, owed: Owed) {
        self.owed.push(owed);
    }

    #[must_use]
    pub(super) fn is_owing(&self) -> bool {
        !self.owed.is_empty()
    }

    /// Writes what is owed; its verdicts are durable by now.
    pub(super) fn pay(&mut self, batch: &mut Batch) {
        for owed in std::mem::take(&mut self.owed) {
            match owed {
                Owed::Remove { owner, lane, seq, expires_at } => {
                    batch.delete(keys::pending(owner, lane, seq));
                    if self.was_last(seq) {
                        batch.delete(keys::message(expires_at, seq));
                    }
                    if let Owner::User(user) = owner {
                        self.touched.remove(&(user, seq));
                    }
                }
                Owed::Acked { user, seq } => {
                    // Gone when the rest acked too before this was written.
                    if let Some((lane, row)) = self.touched.get(&(user, seq)) {
                        batch.put(keys::pending(Owner::User(user), *lane, seq), row.encode());
                    }
                }
                Owed::Orphan { expires_at, seq } => {
                    self.refs.remove(&seq);
                    batch.delete(keys::message(expires_at, seq));
                }
                Owed::Put { key, value } => batch.put(key, value),
                Owed::Delete { key } => batch.delete(key),
            }
        }
    }

    fn was_last(&mut self, seq: Seq) -> bool {
        let Some(refs) = self.refs.get_mut(&seq) else { return true };
        *refs -= 1;
        let last = *refs == 0;
        if last {
            self.refs.remove(&seq);
        }
        last
    }

    /// What was decided for the commit just made is on disk now: the disk tells the truth again.
    pub(super) fn committed(&mut self) {
        self.leaving.clear();
        self.touched.clear();
        self.repeats.clear();
        // Replaced in this very commit: their removal is owed still.
        for owed in &self.owed {
            if let Owed::Remove { owner, seq, .. } = owed {
                self.leaving.insert((*owner, *seq));
            }
        }
    }

    // ---- acks ----------------------------------------------------------------------------------

    /// A device acked a place. Nothing happens when it is not there (any more).
    pub(super) fn ack(
        &mut self,
        rows: &Rows,
        work: &mut Work,
        people: &OfApp,
        device: Device,
        owner: Owner,
        seq: Seq,
    ) -> Result<(), Failed> {
        if self.leaving.contains(&(owner, seq)) || matches!(owner, Owner::Device(other) if other != device) {
            return Ok(());
        }
        let Some((lane, mut row)) = self.find(rows, owner, seq)? else { return Ok(()) };
        if row.acked.contains(&device.ordinal) {
            return Ok(());
        }
        let story = Story { app: device.app, id: row.id, push_type: row.push_type };
        let group = people.group(device.ordinal);
        work.record(story, Whom::Device(device.ordinal), group, Step::Delivered, None);
        let Owner::User(user) = owner else {
            self.leave(owner, lane, seq, &row);
            return Ok(());
        };
        row.acked.push(device.ordinal);
        if !row.listed.contains(&device.ordinal) {
            row.listed.push(device.ordinal);
        }
        self.settle_user(user, lane, seq, row);
        Ok(())
    }

    /// After a user's place changed: it goes when all it is listed for have acked.
    fn settle_user(&mut self, user: User, lane: Lane, seq: Seq, row: PendingRow) {
        if row.is_done() {
            self.leave(Owner::User(user), lane, seq, &row);
        } else {
            self.owed.push(Owed::Acked { user, seq });
        }
        self.touched.insert((user, seq), (lane, row));
    }

    fn find(&self, rows: &Rows, owner: Owner, seq: Seq) -> Result<Option<(Lane, PendingRow)>, Failed> {
        if let Owner::User(user) = owner
            && let Some((lane, row)) = self.touched.get(&(user, seq))
        {
            return Ok(Some((*lane, row.clone())));
        }
        for lane in keys::LANES {
            if let Some(bytes) = rows.get(&keys::pending(owner, lane, seq))? {
                return Ok(Some((lane, PendingRow::decode(&bytes)?)));
            }
        }
        Ok(None)
    }

    // ---- binding and deleting ------------------------------------------------------------------

    /// A device was bound to the user: what nobody acked is due to it too from now on.
    pub(super) fn list(
        &mut self,
        rows: &Rows,
        work: &mut Work,
        device: u32,
        user: User,
    ) -> Result<(), Failed> {
        for (lane, seq, mut row) in self.queue(rows, Owner::User(user))? {
            if row.acked.is_empty() && !row.listed.contains(&device) {
                row.listed.push(device);
                work.batch.put(keys::pending(Owner::User(user), lane, seq), row.encode());
                self.touched.insert((user, seq), (lane, row));
            }
        }
        Ok(())
    }

    /// A deleted device is waited for no longer. Its user's places stay while nobody acked them.
    pub(super) fn unlist(
        &mut self,
        rows: &Rows,
        work: &mut Work,
        people: &OfApp,
        device: u32,
        user: User,
        group: &Group,
    ) -> Result<(), Failed> {
        for (lane, seq, mut row) in self.queue(rows, Owner::User(user))? {
            if !row.listed.contains(&device) || row.acked.contains(&device) {
                continue;
            }
            row.listed.retain(|listed| *listed != device);
            let story = Story { app: people.info.app, id: row.id, push_type: row.push_type };
            let reason = Some(Reason::DeviceDeleted);
            work.record(story, Whom::Device(device), Some(group.clone()), Step::Rejected, reason);
            self.settle_user(user, lane, seq, row);
        }
        Ok(())
    }

    /// What waits for a deleted device is rejected.
    pub(super) fn forget(
        &mut self,
        rows: &Rows,
        work: &mut Work,
        device: Device,
        group: Option<&Group>,
    ) -> Result<(), Failed> {
        let owner = Owner::Device(device);
        for (lane, seq, row) in self.queue(rows, owner)? {
            let story = Story { app: device.app, id: row.id, push_type: row.push_type };
            let reason = Some(Reason::DeviceDeleted);
            work.record(story, Whom::Device(device.ordinal), group.cloned(), Step::Rejected, reason);
            self.leave(owner, lane, seq, &row);
        }
        Ok(())
    }

    /// Every place of a queue that is not leaving: at most `pending_max`.
    fn queue(&self, rows: &Rows, owner: Owner) -> Result<Vec<(Lane, Seq, PendingRow)>, Failed> {
        let (from, to) = keys::pending_all(owner);
        let mut places = Vec::new();
        let mut failed = None;
        rows.range(
            &from,
            &to,
            &mut |key, value| match (keys::parse_pending(key), PendingRow::decode(value)) {
                (Some((_, lane, seq)), Ok(row)) => {
                    places.push((lane, seq, row));
                    ControlFlow::Continue(())
                }
                (_, Err(error)) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
                (None, _) => ControlFlow::Continue(()),
            },
        )?;
        if let Some(failed) = failed {
            return Err(failed);
        }
        if let Owner::User(user) = owner {
            places.retain(|(_, seq, _)| !self.touched.contains_key(&(user, *seq)));
            let touched = self.touched.iter().filter(|((of, _), _)| *of == user);
            places.extend(touched.map(|((_, seq), (lane, row))| (*lane, *seq, row.clone())));
        }
        places.retain(|(_, seq, _)| !self.leaving.contains(&(owner, *seq)));
        Ok(places)
    }

    /// Whether the user's queue holds the message.
    pub(super) fn holds(&self, rows: &Rows, user: User, id: MessageId) -> Result<bool, Failed> {
        let owner = Owner::User(user);
        if self.queues.get(owner).count == 0 {
            return Ok(false);
        }
        Ok(self.queue(rows, owner)?.iter().any(|(_, _, row)| row.id == id))
    }

    // ---- expiry --------------------------------------------------------------------------------

    /// Verdicts one expired message, unless it waits for an ack: `in_flight` says of an owner
    /// whether some session may have it. False while it waits.
    pub(super) fn expire(
        &mut self,
        rows: &Rows,
        work: &mut Work,
        people: &OfApp,
        (expires_at, seq): (Timestamp, Seq),
        row: &MessageRow,
        in_flight: impl Fn(Owner) -> bool,
    ) -> Result<bool, Failed> {
        let overdue = work.now >= expires_at + self.limits.grace;
        let (mut found, mut waits) = (false, false);
        for owner in row.owners.of(people.info.app) {
            if self.leaving.contains(&(owner, seq)) {
                found = true;
                continue;
            }
            let Some((lane, place)) = self.find(rows, owner, seq)? else { continue };
            found = true;
            let in_flight = in_flight(owner);
            if in_flight && !overdue {
                waits = true;
                continue;
            }
            let reason = in_flight.then_some(Reason::AckTimeout);
            verdicts(work, people, owner, &place, Step::Expired, reason);
            self.leave(owner, lane, seq, &place);
        }
        if !found {
            self.owed.push(Owed::Orphan { expires_at, seq });
        }
        Ok(!waits)
    }

    // ---- reading -------------------------------------------------------------------------------

    /// The places of one lane that are due, after `after`, at most `limit`; true when there are
    /// more.
    pub(super) fn due(
        &self,
        rows: &Rows,
        owner: Owner,
        device: Device,
        lane: Lane,
        after: Seq,
        limit: usize,
        now: Timestamp,
    ) -> Result<(Vec<(Seq, Timestamp)>, bool), Failed> {
        let (from, to) = keys::pending_after(owner, lane, after);
        let (mut due, mut more, mut failed) = (Vec::new(), false, None);
        rows.range(&from, &to, &mut |key, value| {
            let Some((_, _, seq)) = keys::parse_pending(key) else { return ControlFlow::Continue(()) };
            let touched = match owner {
                Owner::User(user) => self.touched.get(&(user, seq)).map(|(_, row)| row.clone()),
                Owner::Device(_) => None,
            };
            let row = match touched.map_or_else(|| PendingRow::decode(value), Ok) {
                Ok(row) => row,
                Err(error) => {
                    failed = Some(error);
                    return ControlFlow::Break(());
                }
            };
            let theirs = matches!(owner, Owner::Device(_)) || row.is_due_to(device.ordinal);
            if !theirs || row.expires_at <= now || self.leaving.contains(&(owner, seq)) {
                return ControlFlow::Continue(());
            }
            if due.len() == limit {
                more = true;
                return ControlFlow::Break(());
            }
            due.push((seq, row.expires_at));
            ControlFlow::Continue(())
        })?;
        failed.map_or(Ok((due, more)), Err)
    }

    // ---- start ---------------------------------------------------------------------------------

    /// Takes in a message found at start, before the places that refer to it. Gives its collapse
    /// key, which is to be given back with each of them.
    pub(super) fn restore_message(&mut self, seq: Seq, owners: &Owners) {
        if owners.len() > 1 {
            self.refs.insert(seq, 0);
        }
    }

    /// Takes in a place found at start.
    pub(super) fn restore(
        &mut self,
        work: &mut Work,
        people: &OfApp,
        owner: Owner,
        lane: Lane,
        seq: Seq,
        row: PendingRow,
        collapse: Option<&Arc<str>>,
    ) {
        if let Some(refs) = self.refs.get_mut(&seq) {
            *refs += 1;
        }
        self.queues.enter(owner, seq, &row);
        let Some(key) = collapse else { return };
        // A crash may have come between a verdict and its removal.
        if let Some(at) = self.collapsible(owner, key) {
            let place = &self.collapse[&owner][at];
            let (older, newer) = ((place.lane, place.seq, place.row.clone()), (lane, seq, row));
            let (older, newer) = if older.1 < newer.1 { (older, newer) } else { (newer, older) };
            if let Some(places) = self.collapse.get_mut(&owner) {
                places.remove(at);
            }
            self.watch(owner, key, newer.0, newer.1, newer.2);
            verdicts(work, people, owner, &older.2, Step::Replaced, None);
            self.leave(owner, older.0, older.1, &older.2);
        } else {
            self.watch(owner, key, lane, seq, row);
        }
    }
}

/// Ids derived from an idempotency key (UUID version 5) come again in a retry.
#[must_use]
pub(super) fn is_repeatable(id: MessageId) -> bool {
    id.as_bytes()[6] >> 4 == 5
}

/// Records a step for whom it concerns: the device; or of a user's place each device it is listed
/// for that has not acked it, or the user when it was never listed for one.
fn verdicts(
    work: &mut Work,
    people: &OfApp,
    owner: Owner,
    row: &PendingRow,
    step: Step,
    reason: Option<Reason>,
) {
    let story = Story { app: owner.app(), id: row.id, push_type: row.push_type };
    let mut record = |device: u32| {
        work.record(story, Whom::Device(device), people.group(device), step, reason);
    };
    match owner {
        Owner::Device(device) => record(device.ordinal),
        Owner::User(user) if row.listed.is_empty() => {
            work.record(story, Whom::User(user.ordinal), None, step, reason)
        }
        Owner::User(_) => {
            row.listed.iter().filter(|device| !row.acked.contains(device)).for_each(|&device| record(device));
        }
    }
}

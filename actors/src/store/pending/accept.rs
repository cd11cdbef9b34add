//! Acceptance: what is taken into a queue, and what makes room for it.

use std::sync::Arc;

use carillon_sdk::MessageId;
use carillon_sdk::api::Step;
use carillon_sdk::wire::Lane;

use super::{Collapsible, Desk, Pending, is_repeatable};
use crate::model::{Message, Owner, Seq};
use crate::store::Enqueued;
use crate::store::disk::{Failed, Rows};
use crate::store::errands::{Chosen, Placed, send_out};
use crate::store::history::MessageHead;
use crate::store::keys;
use crate::store::roads::Roads;
use crate::store::rows::{Devices, MessageRow, Owners, PendingRow, RepeatRow, decode, encode};
use crate::store::work::{Arrived, Work};

impl Pending {
    /// Takes a message into the queues of its targets here: one outcome each, in their order.
    /// `seq` is drawn when the first of them is taken in.
    pub(in crate::store) fn enqueue(
        &mut self,
        desk: &mut Desk<'_>,
        message: &Arc<Message>,
        targets: &[Owner],
        roads: Option<&Roads<'_>>,
        draw: impl FnOnce() -> Seq,
    ) -> Result<Vec<Enqueued>, Failed> {
        let mut repeat =
            if is_repeatable(message.id) { Some(self.repeat(desk.rows, message.id)?) } else { None };
        let mut draw = Some(draw);
        let mut seq = None;
        let mut owners = Owners::default();
        let mut outcomes = Vec::with_capacity(targets.len());
        for &owner in targets {
            let outcome = if owners.contains(owner) || repeat.as_ref().is_some_and(|row| row.contains(owner))
            {
                Enqueued::Repeated
            } else if matches!(owner, Owner::Device(device) if !desk.people.is_registered(device.ordinal)) {
                Enqueued::Gone
            } else if !self.make_room(desk, owner, message)? {
                Enqueued::QueueFull
            } else {
                let seq = *seq.get_or_insert_with(|| draw.take().map_or_else(Seq::default, |draw| draw()));
                owners.push(owner);
                self.place(desk, owner, message, seq, roads);
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
                self.remember_repeat(desk.work, message, row.clone());
            }
            let row = MessageRow { message: message.as_ref(), owners };
            desk.work.batch.put(keys::message(message.expires_at, seq), encode(&row));
        }
        Ok(outcomes)
    }

    /// Where a message with a derived id was put before.
    pub(in crate::store) fn repeat(&self, rows: &Rows, id: MessageId) -> Result<RepeatRow, Failed> {
        if let Some(row) = self.repeats.get(&id) {
            return Ok(row.clone());
        }
        rows.get(&keys::repeat(id))?.map_or_else(|| Ok(RepeatRow::default()), |bytes| decode(&bytes))
    }

    pub(in crate::store) fn remember_repeat(
        &mut self,
        work: &mut Work,
        message: &Message,
        mut row: RepeatRow,
    ) {
        let kept = message.expires_at.max(message.accepted_at + self.limits.repeat_keep);
        row.until = message.repeat_until.unwrap_or_default().max(kept);
        (row.key, row.accepted_at) = (message.key.clone(), message.accepted_at);
        work.batch.put(keys::repeat(message.id), encode(&row));
        self.repeats.insert(message.id, row);
    }

    /// Whether one more fits; a place this message replaces makes room first.
    fn make_room(&mut self, desk: &mut Desk<'_>, owner: Owner, message: &Message) -> Result<bool, Failed> {
        let queue = self.queues.get(owner);
        if message.revokes.is_some() {
            return Ok(queue.revokes < self.limits.count_max);
        }
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
                Owner::User(_) => self.find(desk.rows, owner, seq)?.map_or(row, |(_, row)| row),
                Owner::Device(_) => row,
            };
            desk.record(owner, &row, Step::Replaced, None);
            self.leave(owner, lane, seq, &row);
        }
        Ok(true)
    }

    pub(super) fn collapsible(&self, owner: Owner, key: &str) -> Option<usize> {
        self.collapse.get(&owner)?.iter().position(|place| *place.key == *key)
    }

    fn place(
        &mut self,
        desk: &mut Desk<'_>,
        owner: Owner,
        message: &Arc<Message>,
        seq: Seq,
        roads: Option<&Roads<'_>>,
    ) {
        let listed = match owner {
            Owner::Device(_) => Devices::new(),
            Owner::User(user) => Devices::from_slice(&desk.people.user_devices(user.ordinal)),
        };
        let chosen = match owner {
            Owner::Device(device) => Chosen::of(roads, desk.people, &[device.ordinal]),
            Owner::User(_) => Chosen::of(roads, desk.people, &listed),
        };
        let row = PendingRow {
            expires_at: message.expires_at,
            accepted_at: message.accepted_at,
            bytes: u32::try_from(message.payload_bytes()).unwrap_or(u32::MAX),
            push_type: message.push_type,
            task: message.task,
            id: message.id,
            revokes: message.revokes.is_some(),
            listed,
            acked: Devices::new(),
            held: chosen.held(),
        };
        if let Owner::User(user) = owner
            && let Some(row) = desk.people.to_name(user.ordinal)
        {
            desk.work.batch.put(keys::user(user), encode(&row));
        }
        desk.work.batch.put(keys::pending(owner, message.lane, seq), row.encode());
        let before = self.queues.enter(owner, seq, &row);
        desk.work.arrived.push(Arrived {
            owner,
            seq,
            before,
            message: Arc::clone(message),
            held: row.held.clone(),
        });
        desk.accepted(owner, &row, message);
        if let Some(roads) = roads {
            let placed = Placed { owner, lane: message.lane, seq, row: &row };
            send_out(desk.work, desk.people, &placed, roads.is_urgent, &chosen);
        }
        if let Some(key) = &message.collapse_key {
            self.watch(owner, key, message.lane, seq, row.clone());
        }
        if let Owner::User(user) = owner {
            self.touched.insert((user, seq), (message.lane, row));
        }
    }

    pub(super) fn watch(&mut self, owner: Owner, key: &str, lane: Lane, seq: Seq, row: PendingRow) {
        let place = Collapsible { key: Arc::from(key), lane, seq, row };
        self.collapse.entry(owner).or_default().push(place);
    }
}

impl Desk<'_> {
    fn accepted(&mut self, owner: Owner, row: &PendingRow, message: &Message) {
        let Message { lane, expires_at, silent, .. } = *message;
        let first = self.work.records.len();
        self.record(owner, row, Step::Accepted, None);
        for record in &mut self.work.records[first..] {
            record.message = Some(MessageHead { lane, expires_at, silent });
        }
    }
}

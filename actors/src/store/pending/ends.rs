//! How a place ends: acked by all it is due to, expired, or with its device.

use carillon_sdk::Timestamp;
use carillon_sdk::api::Step;
use carillon_sdk::wire::Lane;

use super::{Desk, Owed, Pending};
use crate::model::{Device, Owner, Seq, User};
use crate::store::directory::Group;
use crate::store::disk::Failed;
use crate::store::history::{Reason, Whom};
use crate::store::keys;
use crate::store::rows::{MessageRow, PendingRow};
use crate::store::work::Story;

impl Pending {
    /// A device acked a place. False when it is not due to it (any more), and then nothing happens.
    pub(in crate::store) fn ack(
        &mut self,
        desk: &mut Desk<'_>,
        device: Device,
        owner: Owner,
        seq: Seq,
    ) -> Result<bool, Failed> {
        if self.leaving.contains(&(owner, seq)) || matches!(owner, Owner::Device(other) if other != device) {
            return Ok(false);
        }
        let Some((lane, mut row)) = self.find(desk.rows, owner, seq)? else { return Ok(false) };
        if row.acked.contains(&device.ordinal) {
            return Ok(false);
        }
        let story = Story::of_row(device.app, &row);
        let group = desk.people.group(device.ordinal);
        desk.work.record(story, Whom::Device(device.ordinal), group, Step::Delivered, None);
        let Owner::User(user) = owner else {
            self.leave(owner, lane, seq, &row);
            return Ok(true);
        };
        row.acked.push(device.ordinal);
        if !row.listed.contains(&device.ordinal) {
            row.listed.push(device.ordinal);
        }
        self.settle_user(user, lane, seq, row);
        Ok(true)
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

    /// A device was bound to the user: what nobody acked is due to it too from now on.
    pub(in crate::store) fn list(
        &mut self,
        desk: &mut Desk<'_>,
        device: u32,
        user: User,
    ) -> Result<(), Failed> {
        for (lane, seq, mut row) in self.queue(desk.rows, Owner::User(user))? {
            if row.acked.is_empty() && !row.listed.contains(&device) {
                row.listed.push(device);
                desk.work.batch.put(keys::pending(Owner::User(user), lane, seq), row.encode());
                self.touched.insert((user, seq), (lane, row));
            }
        }
        Ok(())
    }

    /// A deleted device is waited for no longer. Its user's places stay while nobody acked them.
    pub(in crate::store) fn unlist(
        &mut self,
        desk: &mut Desk<'_>,
        device: u32,
        user: User,
        group: &Group,
    ) -> Result<(), Failed> {
        for (lane, seq, mut row) in self.queue(desk.rows, Owner::User(user))? {
            if !row.listed.contains(&device) || row.acked.contains(&device) {
                continue;
            }
            row.listed.retain(|listed| *listed != device);
            let story = Story::of_row(desk.people.app, &row);
            let reason = Some(Reason::DeviceDeleted);
            desk.work.record(story, Whom::Device(device), Some(group.clone()), Step::Rejected, reason);
            self.settle_user(user, lane, seq, row);
        }
        Ok(())
    }

    /// What waits for a deleted device is rejected.
    pub(in crate::store) fn forget(
        &mut self,
        desk: &mut Desk<'_>,
        device: Device,
        group: Option<&Group>,
    ) -> Result<(), Failed> {
        let owner = Owner::Device(device);
        for (lane, seq, row) in self.queue(desk.rows, owner)? {
            let story = Story::of_row(device.app, &row);
            let reason = Some(Reason::DeviceDeleted);
            desk.work.record(story, Whom::Device(device.ordinal), group.cloned(), Step::Rejected, reason);
            self.leave(owner, lane, seq, &row);
        }
        Ok(())
    }

    /// Withdraws a message from the queues of those it is for, or of one of them.
    pub(in crate::store) fn withdraw(
        &mut self,
        desk: &mut Desk<'_>,
        seq: Seq,
        row: &MessageRow,
        only: Option<Owner>,
    ) -> Result<Vec<(Owner, PendingRow)>, Failed> {
        let mut withdrawn = Vec::new();
        for owner in row.owners.of(desk.people.app) {
            if only.is_some_and(|only| only != owner) || self.leaving.contains(&(owner, seq)) {
                continue;
            }
            let Some((lane, place)) = self.find(desk.rows, owner, seq)? else { continue };
            desk.record(owner, &place, Step::Revoked, None);
            self.leave(owner, lane, seq, &place);
            withdrawn.push((owner, place));
        }
        Ok(withdrawn)
    }

    /// Verdicts one expired message, unless it waits for an ack: `in_flight` says of an owner
    /// whether some session may have it. False while it waits.
    pub(in crate::store) fn expire(
        &mut self,
        desk: &mut Desk<'_>,
        (expires_at, seq): (Timestamp, Seq),
        row: &MessageRow,
        in_flight: impl Fn(Owner) -> bool,
    ) -> Result<bool, Failed> {
        let overdue = desk.work.now >= expires_at + self.limits.grace;
        let (mut found, mut waits) = (false, false);
        for owner in row.owners.of(desk.people.app) {
            if self.leaving.contains(&(owner, seq)) {
                found = true;
                continue;
            }
            let Some((lane, place)) = self.find(desk.rows, owner, seq)? else { continue };
            found = true;
            let in_flight = in_flight(owner);
            if in_flight && !overdue {
                waits = true;
                continue;
            }
            let reason = in_flight.then_some(Reason::AckTimeout);
            desk.record(owner, &place, Step::Expired, reason);
            self.leave(owner, lane, seq, &place);
        }
        if !found {
            self.owed.push(Owed::Orphan { expires_at, seq });
        }
        Ok(!waits)
    }
}

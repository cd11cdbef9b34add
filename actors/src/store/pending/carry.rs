//! Places that a vendor's channel carries.

use carillon_sdk::wire::Lane;

use super::places::Place;
use super::{Desk, Pending};
use crate::model::{Owner, Seq};
use crate::store::disk::{Failed, Rows};
use crate::store::keys;
use crate::store::rows::PendingRow;

impl Pending {
    /// The place, when it is there still and owed to the device by whatever road.
    pub(in crate::store) fn carriable(
        &self,
        rows: &Rows,
        owner: Owner,
        seq: Seq,
        device: u32,
    ) -> Result<Option<Place>, Failed> {
        if self.leaving.contains(&(owner, seq)) {
            return Ok(None);
        }
        let Some((lane, row)) = self.find(rows, owner, seq)? else { return Ok(None) };
        Ok(row.is_owed_to(owner, device).then_some((lane, seq, row)))
    }

    /// Every place of a queue that is owed to a device, by whatever road.
    pub(in crate::store) fn owed_places(
        &self,
        rows: &Rows,
        owner: Owner,
        device: u32,
    ) -> Result<Vec<Place>, Failed> {
        let mut places = self.queue(rows, owner)?;
        places.retain(|(_, _, row)| !row.revokes && row.is_owed_to(owner, device));
        Ok(places)
    }

    /// From now on only a vendor carries it to the device.
    pub(in crate::store) fn hold(
        &mut self,
        desk: &mut Desk<'_>,
        owner: Owner,
        lane: Lane,
        seq: Seq,
        row: &mut PendingRow,
        device: u32,
    ) {
        if !row.held.contains(&device) {
            row.held.push(device);
        }
        self.rewrite(desk, owner, lane, seq, row);
    }

    /// From now on our own road carries it again.
    pub(in crate::store) fn let_go(
        &mut self,
        desk: &mut Desk<'_>,
        owner: Owner,
        lane: Lane,
        seq: Seq,
        row: &mut PendingRow,
        device: u32,
    ) {
        row.held.retain(|held| *held != device);
        self.rewrite(desk, owner, lane, seq, row);
    }

    fn rewrite(&mut self, desk: &mut Desk<'_>, owner: Owner, lane: Lane, seq: Seq, row: &PendingRow) {
        desk.work.batch.put(keys::pending(owner, lane, seq), row.encode());
        if let Owner::User(user) = owner {
            self.touched.insert((user, seq), (lane, row.clone()));
        }
    }

    /// A vendor took it for the device, whose verdict has been recorded.
    pub(in crate::store) fn carried(
        &mut self,
        desk: &mut Desk<'_>,
        owner: Owner,
        (lane, seq, mut row): Place,
        device: u32,
    ) {
        let Owner::User(user) = owner else { return self.leave(owner, lane, seq, &row) };
        row.held.retain(|held| *held != device);
        row.acked.push(device);
        if !row.listed.contains(&device) {
            row.listed.push(device);
        }
        self.rewrite(desk, owner, lane, seq, &row);
        if row.is_done() {
            self.leave(Owner::User(user), lane, seq, &row);
        }
    }

    /// No vendor takes it for the device, nobody else is to, and that has been recorded.
    pub(in crate::store) fn rejected(
        &mut self,
        desk: &mut Desk<'_>,
        owner: Owner,
        (lane, seq, mut row): Place,
        device: u32,
    ) {
        if matches!(owner, Owner::Device(_)) {
            return self.leave(owner, lane, seq, &row);
        }
        row.held.retain(|held| *held != device);
        row.listed.retain(|listed| *listed != device);
        self.rewrite(desk, owner, lane, seq, &row);
        // All it was for have their verdict: it waits for nobody who may still come.
        if row.listed.is_empty() || row.is_done() {
            self.leave(owner, lane, seq, &row);
        }
    }
}

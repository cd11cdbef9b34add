//! Reading the places of a queue, from the disk and from what differs from it.

use std::ops::ControlFlow;
use std::sync::Arc;

use carillon_sdk::api::Step;
use carillon_sdk::wire::Lane;
use carillon_sdk::{MessageId, Timestamp};

use super::{Desk, Pending};
use crate::model::{Device, Owner, Seq, User};
use crate::store::disk::{Failed, Rows};
use crate::store::keys;
use crate::store::rows::{Owners, PendingRow};

/// A place of a queue.
pub(in crate::store) type Place = (Lane, Seq, PendingRow);

/// Who reads which queue, and when.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Reading {
    pub owner: Owner,
    pub device: Device,
    pub now: Timestamp,
}

impl Pending {
    pub(super) fn find(
        &self,
        rows: &Rows,
        owner: Owner,
        seq: Seq,
    ) -> Result<Option<(Lane, PendingRow)>, Failed> {
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

    /// Every place of a queue that is not leaving: at most `pending_max`.
    pub(super) fn queue(&self, rows: &Rows, owner: Owner) -> Result<Vec<Place>, Failed> {
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
    pub(in crate::store) fn holds(&self, rows: &Rows, user: User, id: MessageId) -> Result<bool, Failed> {
        let owner = Owner::User(user);
        if self.queues.get(owner).count == 0 {
            return Ok(false);
        }
        Ok(self.queue(rows, owner)?.iter().any(|(_, _, row)| row.id == id))
    }

    /// The places of one lane that are due, after `after`, at most `limit`; true when there are
    /// more.
    pub(in crate::store) fn due(
        &self,
        rows: &Rows,
        Reading { owner, device, now }: Reading,
        lane: Lane,
        after: Seq,
        limit: usize,
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
            let theirs = row.is_owed_to(owner, device.ordinal) && !row.held.contains(&device.ordinal);
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

    /// Takes in a message found at start, before the places that refer to it.
    pub(in crate::store) fn restore_message(&mut self, seq: Seq, owners: &Owners) {
        if owners.len() > 1 {
            self.refs.insert(seq, 0);
        }
    }

    /// Takes in a place found at start, with its message's collapse key.
    pub(in crate::store) fn restore(
        &mut self,
        desk: &mut Desk<'_>,
        owner: Owner,
        place: Place,
        collapse: Option<&Arc<str>>,
    ) {
        let (lane, seq, row) = place;
        if let Some(refs) = self.refs.get_mut(&seq) {
            *refs += 1;
        }
        self.queues.enter(owner, seq, &row);
        let Some(key) = collapse else { return };
        let before = self.collapsible(owner, key).map(|at| self.collapse[&owner][at].clone());
        let Some(before) = before else { return self.watch(owner, key, lane, seq, row) };
        // A crash came between the verdict of the older one and its removal.
        let (older, newer) = ((before.lane, before.seq, before.row), (lane, seq, row));
        let (older, newer) = if older.1 < newer.1 { (older, newer) } else { (newer, older) };
        desk.record(owner, &older.2, Step::Replaced, None);
        self.leave(owner, older.0, older.1, &older.2);
        if older.1 == before.seq {
            self.watch(owner, key, newer.0, newer.1, newer.2);
        }
    }
}

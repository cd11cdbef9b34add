//! What is due is given out, if its place is still the device's to have.

use std::ops::ControlFlow;
use std::sync::Arc;

use carillon_sdk::{Timestamp, Ttl, Vendor};

use super::route::{Chosen, Placed, put, send_out};
use super::{ErrandKey, ErrandRow, Given, LOOKED_AT_MAX, Out, Seen};
use crate::model::{App, Device, Message, Owner, Seq};
use crate::store::directory::OfApp;
use crate::store::disk::Failed;
use crate::store::history::{Channel, Reason};
use crate::store::keys::{self, Key};
use crate::store::partition::Partition;
use crate::store::pending::{Desk, Place};
use crate::store::rows::{MessageRow, decode};
use crate::store::work::{Story, Work};

/// A stretch of a lane.
#[derive(Default)]
struct Stretch {
    /// Due and not out.
    due: Vec<(ErrandKey, ErrandRow)>,
    looked_at: usize,
    /// Where it ended before its lane did.
    next: Option<(Key, Timestamp)>,
}

impl Partition {
    pub(super) fn claim(
        &mut self,
        app: App,
        vendor: Vendor,
        is_urgent: bool,
        max: usize,
        work: &mut Work,
    ) -> Result<Given, Failed> {
        let mut given = Given::default();
        let Some(people) = self.people(app) else { return Ok(given) };
        let channel = (app, vendor);
        let walked = self.outs.walked(channel, is_urgent);
        let (mut from, to) = keys::errands(app, vendor, is_urgent, walked);
        let (mut looked_at, mut read) = (0, None);
        loop {
            let stretch = self.due_errands(&from, &to, max - given.errands.len(), work.now)?;
            looked_at += stretch.looked_at;
            for (key, row) in stretch.due {
                if let Some(message) = self.still_due(&people, &key, &row, &mut read, work)? {
                    let (owner, attempts) = (key.owner, row.attempts);
                    let device = Device { app, ordinal: key.device };
                    let number = self.outs.take_out(app, key, row);
                    let token = Seen::Elsewhere;
                    given.errands.push(Out { number, device, owner, message, attempts, is_urgent, token });
                }
            }
            given.next_due = stretch.next.as_ref().map(|(_, due)| *due);
            self.outs.walk(channel, is_urgent, given.next_due.map_or(work.now, |due| due.min(work.now)));
            match stretch.next {
                // What came to nothing leaves its place to the next.
                Some((next, due))
                    if due <= work.now && given.errands.len() < max && looked_at < LOOKED_AT_MAX =>
                {
                    from = next;
                }
                _ => return Ok(given),
            }
        }
    }

    /// Errands that are due and not out, at most `max`.
    fn due_errands(&self, from: &[u8], to: &[u8], max: usize, now: Timestamp) -> Result<Stretch, Failed> {
        let (mut stretch, mut failed) = (Stretch::default(), None);
        self.rows.range(from, to, &mut |bytes, value| {
            let Some(key) = keys::parse_errand(bytes) else { return ControlFlow::Continue(()) };
            if key.due > now || stretch.due.len() == max || stretch.looked_at == LOOKED_AT_MAX {
                stretch.next = Some((Key::from_slice(bytes), key.due));
                return ControlFlow::Break(());
            }
            stretch.looked_at += 1;
            if !self.outs.has_key(bytes) {
                match decode(value) {
                    Ok(row) => stretch.due.push((key, row)),
                    Err(error) => failed = Some(error),
                }
            }
            ControlFlow::Continue(())
        })?;
        failed.map_or(Ok(stretch), Err)
    }

    /// Reads the tokens of those whose devices are of this partition, which are most: so a claim need
    /// not wait for another turn to ask for them.
    pub(super) fn see_tokens(&self, vendor: Vendor, given: &mut [Out]) -> Result<(), Failed> {
        let is_here = |out: &&mut Out| self.shared.partition_of_device(out.device) == self.no;
        let here: Vec<&mut Out> = given.iter_mut().filter(is_here).collect();
        let of: Vec<_> = here.iter().map(|out| (out.device, vendor)).collect();
        for (out, token) in here.into_iter().zip(self.read_tokens(&of)?) {
            out.token = token.map_or(Seen::Gone, Seen::Token);
        }
        Ok(())
    }

    /// The message, when this vendor is to carry it now; else the errand's row goes, and what waits
    /// takes its other way here. `read` is the message that was read last: the errands of one push come
    /// in a row.
    pub(super) fn still_due(
        &mut self,
        people: &OfApp,
        key: &ErrandKey,
        row: &ErrandRow,
        read: &mut Option<(Seq, Arc<Message>)>,
        work: &mut Work,
    ) -> Result<Option<Arc<Message>>, Failed> {
        let app = people.app;
        let stored = keys::errand(app, key);
        let Some(place) = self.pending.carriable(&self.rows, key.owner, key.seq, key.device)? else {
            self.outs.drop_row(stored, &mut work.batch);
            return Ok(None);
        };
        // The sweep gives the verdict; or another errand of the place has it in hand.
        if row.expires_at <= work.now || self.outs.has_place(key.owner, key.seq, key.device) {
            self.outs.drop_row(stored, &mut work.batch);
            return Ok(None);
        }
        if read.as_ref().is_none_or(|(seq, _)| *seq != key.seq) {
            let bytes = self.rows.get(&keys::message(row.expires_at, key.seq))?;
            let found = bytes.map(|bytes| decode::<MessageRow>(&bytes)).transpose()?;
            *read = found.map(|row| (key.seq, Arc::new(row.message)));
        }
        let Some((_, message)) = read else {
            self.outs.drop_row(stored, &mut work.batch);
            return Ok(None);
        };
        let unbound = matches!(key.owner, Owner::User(user) if people.bound_user(key.device) != Some(user));
        let carrier = people.carrier(key.device);
        let is_carried =
            carrier == Some(key.vendor) && self.shared.roads_of(app).is_some_and(|of| of.has(key.vendor));
        if unbound || !is_carried {
            self.outs.drop_row(stored, &mut work.batch);
            self.reroute(people, key, place, Message::clone(message), unbound, work);
            return Ok(None);
        }
        let is_held = place.2.held.contains(&key.device);
        let device = Device { app, ordinal: key.device };
        if let (Some(waits_ms), false) = (row.waits_ms, is_held)
            && self.shared.sessions.get(device).is_some()
        {
            self.outs.drop_row(stored, &mut work.batch);
            let due = work.now + Ttl::from_millis(waits_ms);
            put(work, app, &ErrandKey { due, ..*key }, row);
            return Ok(None);
        }
        if !is_held {
            let (lane, seq, mut held) = place;
            let story = Story::of_row(app, &held);
            work.routed(story, key.device, people, Channel::Vendor(key.vendor), Reason::Waited);
            let mut desk = Desk { rows: &self.rows, people, work };
            self.pending.hold(&mut desk, key.owner, lane, seq, &mut held, key.device);
            // A session may have it unacked; it is not sent again from there.
            work.withdraw_from(device, key.seq);
        }
        Ok(Some(Arc::clone(message)))
    }

    /// The token went, or the user: another vendor carries, or our own road does.
    fn reroute(
        &mut self,
        people: &OfApp,
        key: &ErrandKey,
        place: Place,
        message: Message,
        unbound: bool,
        work: &mut Work,
    ) {
        let shared = Arc::clone(&self.shared);
        let roads = if unbound { None } else { shared.roads(&message) };
        let chosen = Chosen::of(roads.as_ref(), people, &[key.device]);
        let (lane, seq, mut row) = place;
        if chosen.held().is_empty() && row.held.contains(&key.device) {
            if unbound {
                let mut desk = Desk { rows: &self.rows, people, work };
                self.pending.let_go(&mut desk, key.owner, lane, seq, &mut row, key.device);
            } else {
                let place = (lane, seq, row.clone());
                self.free_place(people, key.owner, key.device, place, message, work);
            }
        }
        if let Some(roads) = &roads {
            let placed = Placed { owner: key.owner, lane, seq, row: &row };
            send_out(work, people, &placed, roads.is_urgent, &chosen);
        }
    }
}

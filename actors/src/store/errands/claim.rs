//! What is due is given out, if its place is still the device's to have.

use std::ops::ControlFlow;
use std::sync::Arc;

use carillon_sdk::{Timestamp, Ttl, Vendor};

use super::route::{Chosen, Placed, put, send_out};
use super::{ErrandKey, ErrandRow, Given, LOOKED_AT_MAX, Out};
use crate::model::{App, Device, Message, Owner};
use crate::store::directory::OfApp;
use crate::store::disk::Failed;
use crate::store::history::{Channel, Reason};
use crate::store::keys;
use crate::store::partition::Partition;
use crate::store::pending::{Desk, Place};
use crate::store::rows::{MessageRow, decode};
use crate::store::work::{Again, Story, Work};

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
        let (due, next_due) = self.due_errands(app, vendor, is_urgent, max, work.now)?;
        given.next_due = next_due;
        for (key, row) in due {
            if let Some(message) = self.still_due(&people, &key, &row, work)? {
                let number = self.outs.take_out(app, key, row);
                let device = Device { app, ordinal: key.device };
                given.errands.push(Out { number, device, message, attempts: row.attempts, is_urgent });
            }
        }
        Ok(given)
    }

    /// Errands that are due and not out, at most `max`, and when the next is.
    #[expect(clippy::type_complexity, reason = "two answers of one walk")]
    fn due_errands(
        &self,
        app: App,
        vendor: Vendor,
        is_urgent: bool,
        max: usize,
        now: Timestamp,
    ) -> Result<(Vec<(ErrandKey, ErrandRow)>, Option<Timestamp>), Failed> {
        let (from, to) = keys::errands(app, vendor, is_urgent);
        let (mut due, mut next, mut failed, mut looked) = (Vec::new(), None, None, 0);
        self.rows.range(&from, &to, &mut |bytes, value| {
            let Some(key) = keys::parse_errand(bytes) else { return ControlFlow::Continue(()) };
            if key.due > now || due.len() == max {
                next = Some(key.due);
                return ControlFlow::Break(());
            }
            looked += 1;
            if looked > LOOKED_AT_MAX {
                return ControlFlow::Break(());
            }
            if !self.outs.keys.contains(bytes) {
                match decode(value) {
                    Ok(row) => due.push((key, row)),
                    Err(error) => failed = Some(error),
                }
            }
            ControlFlow::Continue(())
        })?;
        failed.map_or(Ok((due, next)), Err)
    }

    /// The message, when this vendor is to carry it now; else the errand takes its other way here.
    fn still_due(
        &mut self,
        people: &OfApp,
        key: &ErrandKey,
        row: &ErrandRow,
        work: &mut Work,
    ) -> Result<Option<Arc<Message>>, Failed> {
        let app = people.app;
        let stored = keys::errand(app, key);
        let Some(place) = self.pending.carriable(&self.rows, key.owner, key.seq, key.device)? else {
            work.batch.delete(stored);
            return Ok(None);
        };
        if row.expires_at <= work.now {
            // The sweep gives the verdict.
            return Ok(None);
        }
        let Some(bytes) = self.rows.get(&keys::message(row.expires_at, key.seq))? else {
            work.batch.delete(stored);
            return Ok(None);
        };
        let message = decode::<MessageRow>(&bytes)?.message;
        let unbound = matches!(key.owner, Owner::User(user) if people.bound_user(key.device) != Some(user));
        let carrier = people.carrier(key.device);
        let is_carried =
            carrier == Some(key.vendor) && self.shared.roads_of(app).is_some_and(|of| of.has(key.vendor));
        if unbound || !is_carried {
            work.batch.delete(stored);
            self.reroute(people, key, place, &message, unbound, work);
            return Ok(None);
        }
        let is_held = place.2.held.contains(&key.device);
        let device = Device { app, ordinal: key.device };
        if let (Some(waits_ms), false) = (row.waits_ms, is_held)
            && self.shared.sessions.get(device).is_some()
        {
            work.batch.delete(stored);
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
        Ok(Some(Arc::new(message)))
    }

    /// The token went, or the user: another vendor carries, or our own road does.
    fn reroute(
        &mut self,
        people: &OfApp,
        key: &ErrandKey,
        place: Place,
        message: &Message,
        unbound: bool,
        work: &mut Work,
    ) {
        let (lane, seq, mut row) = place;
        let roads = if unbound { None } else { self.shared.roads(message) };
        let chosen = Chosen::of(roads.as_ref(), people, &[key.device]);
        if chosen.held().is_empty() && row.held.contains(&key.device) {
            let mut desk = Desk { rows: &self.rows, people, work };
            self.pending.let_go(&mut desk, key.owner, lane, seq, &mut row, key.device);
            let story = Story::of_row(people.app, &row);
            if !unbound {
                work.routed(story, key.device, people, Channel::Own, Reason::TokenGone);
                work.again.push(Again {
                    owner: key.owner,
                    device: Device { app: people.app, ordinal: key.device },
                    seq,
                    message: Arc::new(message.clone()),
                });
            }
        }
        if let Some(roads) = &roads {
            let placed = Placed { owner: key.owner, lane, seq, row: &row };
            send_out(work, people, &placed, roads.is_urgent, &chosen);
        }
    }
}

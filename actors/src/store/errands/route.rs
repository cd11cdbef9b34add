//! Where an errand begins: a place gets its road.

use std::sync::Arc;

use carillon_sdk::api::Step;
use carillon_sdk::wire::Lane;
use smallvec::SmallVec;

use super::{Because, ErrandKey, ErrandOp, ErrandRow};
use crate::model::{App, Device, Message, Owner, Seq};
use crate::routing::{PATIENCE, Road, Wait};
use crate::store::directory::OfApp;
use crate::store::disk::Failed;
use crate::store::history::{Channel, Reason, Whom};
use crate::store::keys;
use crate::store::partition::Partition;
use crate::store::pending::{Desk, Place};
use crate::store::roads::Roads;
use crate::store::rows::{Devices, MessageRow, PendingRow, decode, encode};
use crate::store::work::{Again, Op, Story, Work, Write};

/// The roads to a place's devices, chosen before it is written.
#[derive(Default)]
pub(in crate::store) struct Chosen(SmallVec<[(u32, Road); 2]>);

impl Chosen {
    pub(in crate::store) fn of(roads: Option<&Roads<'_>>, people: &OfApp, devices: &[u32]) -> Self {
        let Some(roads) = roads else { return Self::default() };
        Self(devices.iter().filter_map(|&device| Some((device, roads.road(people, device)?))).collect())
    }

    /// Where a vendor would carry at once, it waits until a session had its time.
    fn be_patient(&mut self) {
        for (_, road) in &mut self.0 {
            if let Road::Vendor(vendor, _) = *road {
                let wait = Wait { after: PATIENCE, unless_online: false };
                *road = Road::Later(vendor, wait, Reason::Online);
            }
        }
    }

    /// Those whom no session may give it.
    #[must_use]
    pub(in crate::store) fn held(&self) -> Devices {
        let held = |(device, road): &(u32, Road)| matches!(road, Road::Vendor(..)).then_some(*device);
        self.0.iter().filter_map(held).collect()
    }
}

/// A place with its row, to be sent out.
pub(in crate::store) struct Placed<'a> {
    pub owner: Owner,
    pub lane: Lane,
    pub seq: Seq,
    pub row: &'a PendingRow,
}

/// Writes the errands of a place and tells which roads were chosen.
pub(in crate::store) fn send_out(
    work: &mut Work,
    people: &OfApp,
    placed: &Placed<'_>,
    is_urgent: bool,
    chosen: &Chosen,
) {
    let now = work.now;
    for &(device, road) in &chosen.0 {
        let story = Story::of_row(people.app, placed.row);
        let (vendor, wait, reason) = match road {
            Road::Own(reason) => (None, None, reason),
            Road::Vendor(vendor, reason) => (Some(vendor), None, reason),
            Road::Later(vendor, wait, reason) => (Some(vendor), Some(wait), reason),
        };
        if let Some(vendor) = vendor {
            let due = wait.map_or(now, |Wait { after, .. }| now + after);
            let key = ErrandKey { vendor, is_urgent, due, seq: placed.seq, owner: placed.owner, device };
            let waits_ms = wait.filter(|wait| wait.unless_online).map(|wait| wait.after.as_millis());
            let row =
                ErrandRow { expires_at: placed.row.expires_at, lane: placed.lane, attempts: 0, waits_ms };
            // Due when nobody could be sent it any more: it stays ours.
            if due < placed.row.expires_at {
                put(work, people.app, &key, &row);
            }
        }
        let channel = match road {
            Road::Vendor(vendor, _) => Channel::Vendor(vendor),
            Road::Own(_) | Road::Later(..) => Channel::Own,
        };
        work.routed(story, device, people, channel, reason);
    }
}

pub(super) fn put(work: &mut Work, app: App, key: &ErrandKey, row: &ErrandRow) {
    work.batch.put(keys::errand(app, key), encode(row));
    work.bells.push((app, key.vendor));
}

impl Work {
    pub(in crate::store) fn routed(
        &mut self,
        story: Story,
        device: u32,
        people: &OfApp,
        channel: Channel,
        reason: Reason,
    ) {
        self.record(story, Whom::Device(device), people.group(device), Step::Routed, Some(reason));
        if let Some(record) = self.records.last_mut().filter(|_| !story.is_quiet) {
            record.channel = channel;
        }
    }
}

impl Partition {
    /// A token came or went: what waits for the device, or for its user, may have another road.
    pub(in crate::store) fn route_anew(
        &mut self,
        device: Device,
        carrier: bool,
        work: &mut Work,
    ) -> Result<(), Failed> {
        let because = Because::Token { carrier };
        self.route_waiting(Owner::Device(device), device, because, work)?;
        let user = self.people(device.app).and_then(|people| people.bound_user(device.ordinal));
        if let Some(user) = user.map(Owner::User) {
            let partition = self.shared.partition_of(user);
            let route = Op::Write(Write::Errands(ErrandOp::Route { owner: user, device, because }));
            work.follow_ups.push((partition, route));
        }
        Ok(())
    }

    /// What waits there takes its road now.
    pub(in crate::store) fn route_waiting(
        &mut self,
        owner: Owner,
        device: Device,
        because: Because,
        work: &mut Work,
    ) -> Result<(), Failed> {
        let app = device.app;
        let Some(people) = self.people(app) else { return Ok(()) };
        let is_theirs = match owner {
            Owner::Device(of) => of == device,
            Owner::User(user) => people.bound_user(device.ordinal) == Some(user),
        };
        let left = because == Because::Token { carrier: true };
        let has_vendor = people.carrier(device.ordinal).is_some() && self.shared.roads_of(app).is_some();
        if !is_theirs || !(has_vendor || left) || self.pending.queues.get(owner).is_empty() {
            return Ok(());
        }
        for (lane, seq, row) in self.pending.owed_places(&self.rows, owner, device.ordinal)? {
            let is_held = row.held.contains(&device.ordinal);
            // Of what is out its vendor's word comes first.
            if is_held && (!left || self.outs.has_place(owner, seq, device.ordinal)) {
                continue;
            }
            let Some(bytes) = self.rows.get(&keys::message(row.expires_at, seq))? else { continue };
            let message = decode::<MessageRow>(&bytes)?.message;
            let roads = self.shared.roads(&message);
            let mut chosen = Chosen::of(roads.as_ref(), &people, &[device.ordinal]);
            if let (Because::Token { .. }, false, Some(roads)) = (because, is_held, &roads)
                && roads.is_online(device.ordinal)
            {
                // The session may have it by now, and gets its time.
                chosen.be_patient();
            }
            if is_held && chosen.held().is_empty() {
                self.free_place(&people, owner, device.ordinal, (lane, seq, row), message, work);
                continue;
            }
            let Some(roads) = roads else { continue };
            let mut row = row;
            if !chosen.held().is_empty() {
                let mut desk = Desk { rows: &self.rows, people: &people, work };
                self.pending.hold(&mut desk, owner, lane, seq, &mut row, device.ordinal);
            }
            let placed = Placed { owner, lane, seq, row: &row };
            send_out(work, &people, &placed, roads.is_urgent, &chosen);
        }
        Ok(())
    }

    /// No vendor carries it to the device any more: our own road does, and a session is told at once.
    pub(super) fn free_place(
        &mut self,
        people: &OfApp,
        owner: Owner,
        device: u32,
        (lane, seq, mut row): Place,
        message: Message,
        work: &mut Work,
    ) {
        let mut desk = Desk { rows: &self.rows, people, work };
        self.pending.let_go(&mut desk, owner, lane, seq, &mut row, device);
        let story = Story::of_row(people.app, &row);
        work.routed(story, device, people, Channel::Own, Reason::TokenGone);
        let (device, message) = (Device { app: people.app, ordinal: device }, Arc::new(message));
        work.again.push(Again { owner, device, seq, message });
    }
}

//! Where an errand begins: a place gets its road.

use carillon_sdk::api::Step;
use carillon_sdk::wire::Lane;
use smallvec::SmallVec;

use super::{ErrandKey, ErrandOp, ErrandRow};
use crate::model::{App, Device, Owner, Seq};
use crate::routing::{Road, Wait};
use crate::store::directory::OfApp;
use crate::store::disk::Failed;
use crate::store::history::{Channel, Reason, Whom};
use crate::store::keys;
use crate::store::partition::Partition;
use crate::store::pending::Desk;
use crate::store::roads::Roads;
use crate::store::rows::{Devices, MessageRow, PendingRow, decode, encode};
use crate::store::work::{Op, Story, Work, Write};

/// The roads to a place's devices, chosen before it is written.
#[derive(Default)]
pub(in crate::store) struct Chosen(SmallVec<[(u32, Road); 2]>);

impl Chosen {
    pub(in crate::store) fn of(roads: Option<&Roads<'_>>, people: &OfApp, devices: &[u32]) -> Self {
        let Some(roads) = roads else { return Self::default() };
        Self(devices.iter().filter_map(|&device| Some((device, roads.road(people, device)?))).collect())
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
    /// The device has a token it had not: what waits for it, or for its user, takes its road.
    pub(in crate::store) fn route_anew(&mut self, device: Device, work: &mut Work) -> Result<(), Failed> {
        self.route_waiting(Owner::Device(device), device, work)?;
        let user = self.people(device.app).and_then(|people| people.bound_user(device.ordinal));
        if let Some(user) = user.map(Owner::User) {
            let partition = self.shared.partition_of(user);
            let route = Op::Write(Write::Errands(ErrandOp::Route { owner: user, device }));
            work.follow_ups.push((partition, route));
        }
        Ok(())
    }

    /// The device has a token it had not, or a user: what waits there takes its road now.
    pub(in crate::store) fn route_waiting(
        &mut self,
        owner: Owner,
        device: Device,
        work: &mut Work,
    ) -> Result<(), Failed> {
        let app = device.app;
        let Some(people) = self.people(app) else { return Ok(()) };
        let has_vendor = people.carrier(device.ordinal).is_some() && self.shared.roads_of(app).is_some();
        let is_theirs = match owner {
            Owner::Device(of) => of == device,
            Owner::User(user) => people.bound_user(device.ordinal) == Some(user),
        };
        if !has_vendor || !is_theirs || self.pending.queues.get(owner).is_empty() {
            return Ok(());
        }
        for (lane, seq, row) in self.pending.due_places(&self.rows, owner, device.ordinal)? {
            let Some(bytes) = self.rows.get(&keys::message(row.expires_at, seq))? else { continue };
            let message = decode::<MessageRow>(&bytes)?.message;
            let Some(roads) = self.shared.roads(&message) else { continue };
            let chosen = Chosen::of(Some(&roads), &people, &[device.ordinal]);
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
}

//! Errands whose vendor is no longer set up: no channel claims them, so a sweep gives them their other
//! road.

use std::ops::ControlFlow;

use carillon_sdk::Vendor;

use super::{ErrandKey, ErrandRow};
use crate::model::App;
use crate::store::disk::Failed;
use crate::store::keys::{self, Key};
use crate::store::partition::Partition;
use crate::store::rows::decode;
use crate::store::work::Work;

/// Errands freed in one step.
const FREED_MAX: usize = 500;

/// A lane of a channel, as the keys of its errands begin.
struct Lane {
    app: App,
    vendor: Option<Vendor>,
    prefix: Key,
}

/// Kind, app, vendor and lane.
const PREFIX: usize = 1 + 4 + 2;

impl Partition {
    /// True when there may be more. Looks at one key of each lane that has errands, and at those alone
    /// that are stranded.
    pub(in crate::store) fn free_stranded_errands(&mut self, work: &mut Work) -> Result<bool, Failed> {
        let (mut from, _) = keys::of_kind(keys::ERRAND);
        while let Some(Lane { app, vendor, prefix }) = self.first_lane(&from)? {
            from = keys::after(&prefix);
            let carried = vendor.filter(|&vendor| self.shared.roads_of(app).is_some_and(|of| of.has(vendor)));
            if carried.is_some() {
                continue;
            }
            let Some(people) = self.people(app) else { continue };
            let (stranded, mut read) = (self.stranded(&prefix, &from)?, None);
            for (key, row) in &stranded {
                self.still_due(&people, key, row, &mut read, work)?;
            }
            if stranded.len() == FREED_MAX {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn first_lane(&self, from: &[u8]) -> Result<Option<Lane>, Failed> {
        let mut lane = None;
        let (_, to) = keys::of_kind(keys::ERRAND);
        self.rows.range(from, &to, &mut |key, _| {
            if let (Some(prefix), Some(app)) =
                (key.get(..PREFIX), key.get(1..5).and_then(<[u8]>::first_chunk))
            {
                let app = App(u32::from_be_bytes(*app));
                let vendor = keys::parse_errand(key).map(|key| key.vendor);
                lane = Some(Lane { app, vendor, prefix: Key::from_slice(prefix) });
            }
            ControlFlow::Break(())
        })?;
        Ok(lane)
    }

    /// What a channel that is ending has out is concluded by it.
    fn stranded(&self, from: &[u8], to: &[u8]) -> Result<Vec<(ErrandKey, ErrandRow)>, Failed> {
        let (mut stranded, mut failed) = (Vec::new(), None);
        self.rows.range(from, to, &mut |bytes, value| {
            let Some(key) = keys::parse_errand(bytes) else { return ControlFlow::Continue(()) };
            if self.outs.has_key(bytes) {
                return ControlFlow::Continue(());
            }
            match decode(value) {
                Ok(row) => stranded.push((key, row)),
                Err(error) => failed = Some(error),
            }
            if stranded.len() == FREED_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        failed.map_or(Ok(stranded), Err)
    }
}

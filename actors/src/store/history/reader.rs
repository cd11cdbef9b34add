//! Looking a message up.

use std::fs::File;
use std::io;
use std::sync::Arc;

use carillon_sdk::MessageId;

use super::days::Day;
use super::index;
use super::record::Record;
use super::segment::{Segment, Segments};
use crate::model::App;

/// Reads beside the writer. Does file I/O: not for an arbiter's thread.
#[derive(Clone)]
pub struct Reader(pub(super) Arc<Segments>);

impl Reader {
    /// Every record of a message that is still kept, in the order they were appended.
    pub fn find(&self, app: App, id: MessageId) -> io::Result<Vec<Record>> {
        let mut records = Vec::new();
        self.each(app, id, &mut |record| records.push(record))?;
        Ok(records)
    }

    /// The same one at a time, for messages with many.
    pub fn each(&self, app: App, id: MessageId, each: &mut dyn FnMut(Record)) -> io::Result<()> {
        let hash = index::hash(app, id);
        // No record is older than its id, so the files of days before need no look; a day's grace
        // covers a clock that was stepped back.
        let since = id.made_at().map(|at| Day::of(at).before());
        for segment in self.0.snapshot() {
            if since.is_some_and(|since| segment.day < since) {
                continue;
            }
            match self.in_segment(&segment, hash, &mut |record| {
                if record.app == app && record.id == id {
                    each(record);
                }
            }) {
                // Its time to be kept ended while we were reading.
                Err(error) if error.kind() == io::ErrorKind::NotFound && !self.0.holds(segment.number) => {}
                result => result?,
            }
        }
        Ok(())
    }

    fn in_segment(&self, segment: &Segment, hash: u64, each: &mut dyn FnMut(Record)) -> io::Result<()> {
        let places = segment.places(&self.0.dir, hash)?;
        if places.is_empty() {
            return Ok(());
        }
        let log = File::open(segment.log(&self.0.dir))?;
        for place in places {
            if let Some(record) = segment.record(&log, place)? {
                each(record);
            }
        }
        Ok(())
    }
}

//! Records on their way to a log.

use carillon_sdk::Timestamp;
use roaring::RoaringBitmap;

use super::index::{self, Entry};
use super::record::{Record, Whom};
use super::{codec, frame};

/// A frame's body holds a group's bitmap and little else.
const GROUP_BYTES_MAX: usize = frame::BODY_MAX - 1024;

#[derive(Default)]
pub(super) struct Buffer {
    pub(super) bytes: Vec<u8>,
    /// With places counted from the buffer's front.
    pub(super) entries: Vec<Entry>,
    /// The latest moment of a record in it.
    pub(super) latest: Timestamp,
}

impl Buffer {
    pub(super) fn mark(&mut self, commit: u64) {
        frame::put(&mut self.bytes, |to| codec::encode_marker(commit, to));
    }

    pub(super) fn append(&mut self, record: &Record) {
        match &record.whom {
            Whom::Group(devices) if devices.serialized_size() > GROUP_BYTES_MAX => {
                for part in split(devices.clone(), GROUP_BYTES_MAX) {
                    self.push(&Record { whom: Whom::Group(part), ..record.clone() });
                }
            }
            _ => self.push(record),
        }
    }

    fn push(&mut self, record: &Record) {
        let offset = self.bytes.len() as u32;
        frame::put(&mut self.bytes, |to| codec::encode(record, to));
        self.entries.push((index::hash(record.app, record.id), offset));
        self.latest = self.latest.max(record.at);
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
        self.latest = Timestamp::default();
    }
}

/// The same devices in bitmaps of at most `bytes_max` each, in order.
pub(super) fn split(mut devices: RoaringBitmap, bytes_max: usize) -> Vec<RoaringBitmap> {
    let middle = devices.select((devices.len() / 2) as u32);
    match middle {
        Some(middle) if devices.len() > 1 && devices.serialized_size() > bytes_max => {
            let mut back = devices.clone();
            devices.remove_range(middle..);
            back.remove_range(..middle);
            let mut parts = split(devices, bytes_max);
            parts.extend(split(back, bytes_max));
            parts
        }
        _ => vec![devices],
    }
}

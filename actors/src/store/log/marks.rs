//! What is known of each device about one entry: bits, and which of them the disk has not seen.

use std::collections::BTreeSet;

use ahash::AHashMap;
use carillon_sdk::Timestamp;
use carillon_sdk::wire::ReportKind;
use roaring::RoaringBitmap;

use super::chunks::{Mark, chunk_of, encode};
use crate::routing::Wait;

#[derive(Debug, Default)]
pub(super) struct Marks {
    pub targets: RoaringBitmap,
    pub released: RoaringBitmap,
    /// To be released with the next commit.
    pub wanted: RoaringBitmap,
    /// Not due any more: acked, or ended otherwise. Among the released.
    pub settled: RoaringBitmap,
    /// Of the settled, those who acked.
    pub delivered: RoaringBitmap,
    /// Of the settled, those who were deleted first.
    pub rejected: RoaringBitmap,
    /// Of the settled, those whom a vendor took it for.
    pub handed: RoaringBitmap,
    /// Only a vendor carries it to these.
    pub held: RoaringBitmap,
    /// When a vendor is to take over for whom; memory alone.
    pub waits: Vec<(Timestamp, Wait, RoaringBitmap)>,
    /// At a start: who waits for a vendor is not known, and is to be found out.
    pub waits_lost: bool,
    pub sent: RoaringBitmap,
    pub reported: AHashMap<ReportKind, RoaringBitmap>,
    /// Expired or revoked: nothing changes any more.
    pub over: bool,
    pub revoked: bool,
    /// At a start: acks and what was sent in the second before it may be missing.
    pub found: bool,
    fresh_acked: RoaringBitmap,
    fresh_sent: RoaringBitmap,
    dirty: BTreeSet<(Mark, u16)>,
}

/// What a sweep takes out of an entry.
#[derive(Debug, Default)]
pub(in crate::store) struct Fresh {
    pub acked: RoaringBitmap,
    pub sent: RoaringBitmap,
    pub chunks: Vec<(Mark, u16, Vec<u8>)>,
}

/// An entry's end.
#[derive(Debug, Default)]
pub(in crate::store) struct Ended {
    /// What was still to be recorded.
    pub fresh: Fresh,
    /// Whom it was released to without an end: their verdict is the entry's.
    pub unsettled: RoaringBitmap,
}

impl Marks {
    pub(super) fn is_due(&self, ordinal: u32) -> bool {
        self.is_open(ordinal) && !self.held.contains(ordinal)
    }

    /// Released to it and not ended, whatever the road.
    fn is_open(&self, ordinal: u32) -> bool {
        !self.over && self.released.contains(ordinal) && !self.settled.contains(ordinal)
    }

    pub(super) fn hold(&mut self, devices: &RoaringBitmap) -> RoaringBitmap {
        self.held |= devices;
        self.held.clone()
    }

    pub(super) fn free(&mut self, devices: &RoaringBitmap) {
        self.held -= devices;
        for chunk in super::chunks::chunks_of(devices) {
            self.dirty.insert((Mark::Held, chunk));
        }
    }

    pub(super) fn carriable(&self) -> RoaringBitmap {
        if self.over || self.held.is_empty() {
            return RoaringBitmap::new();
        }
        (&self.held & &self.released) - &self.settled
    }

    pub(super) fn is_carriable(&self, ordinal: u32) -> bool {
        self.is_open(ordinal) && self.held.contains(ordinal)
    }

    pub(super) fn hand_over(&mut self, ordinal: u32) -> bool {
        let is_open = self.is_open(ordinal);
        if is_open {
            self.settled.insert(ordinal);
            self.handed.insert(ordinal);
            self.dirty.insert((Mark::Settled, chunk_of(ordinal)));
            self.dirty.insert((Mark::Handed, chunk_of(ordinal)));
        }
        is_open
    }

    pub(super) fn take_waits(&mut self, now: Timestamp) -> Vec<(Wait, RoaringBitmap)> {
        let (due, waits): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.waits).into_iter().partition(|(until, ..)| *until <= now);
        self.waits = waits;
        let open = |devices: RoaringBitmap| (devices & &self.released) - &self.settled - &self.held;
        due.into_iter().map(|(_, wait, devices)| (wait, open(devices))).collect()
    }

    pub(super) fn take_lost_waits(&mut self) -> RoaringBitmap {
        if !std::mem::take(&mut self.waits_lost) || self.over {
            return RoaringBitmap::new();
        }
        &self.released - &self.settled - &self.held
    }

    pub(super) fn may_join(&self, ordinal: u32) -> bool {
        !self.over && !self.released.contains(ordinal) && !self.wanted.contains(ordinal)
    }

    pub(super) fn ack(&mut self, ordinal: u32) -> bool {
        if self.is_open(ordinal) {
            self.settled.insert(ordinal);
            self.delivered.insert(ordinal);
            self.fresh_acked.insert(ordinal);
            self.dirty.insert((Mark::Settled, chunk_of(ordinal)));
            return false;
        }
        self.handed.contains(ordinal)
    }

    pub(super) fn reject(&mut self, ordinal: u32) -> bool {
        self.wanted.remove(ordinal);
        let waited = self.is_open(ordinal);
        if waited {
            self.settled.insert(ordinal);
            self.rejected.insert(ordinal);
            self.dirty.insert((Mark::Settled, chunk_of(ordinal)));
            self.dirty.insert((Mark::Rejected, chunk_of(ordinal)));
        }
        waited
    }

    pub(super) fn note_sent(&mut self, ordinal: u32) {
        // What is over was sent all the same: who was sent it is told of a revoke.
        if self.sent.insert(ordinal) {
            self.fresh_sent.insert(ordinal);
            self.dirty.insert((Mark::Sent, chunk_of(ordinal)));
        }
    }

    pub(super) fn settle(&mut self, devices: &RoaringBitmap) {
        let devices = (devices & &self.released) - &self.settled;
        self.delivered |= &devices;
        for ordinal in &devices {
            self.dirty.insert((Mark::Settled, chunk_of(ordinal)));
        }
        self.settled |= devices;
    }

    pub(super) fn end(&mut self) -> Ended {
        let unsettled = if self.over { RoaringBitmap::new() } else { &self.released - &self.settled };
        self.over = true;
        self.wanted.clear();
        Ended { fresh: self.take_fresh(), unsettled }
    }

    /// Who may show it.
    pub(super) fn may_show(&self) -> RoaringBitmap {
        if self.found { self.released.clone() } else { &self.sent | &self.delivered | &self.handed }
    }

    pub(super) fn take_fresh(&mut self) -> Fresh {
        let dirty = std::mem::take(&mut self.dirty);
        let chunks = dirty.into_iter().map(|(mark, chunk)| (mark, chunk, encode(self.of(mark), chunk)));
        Fresh {
            chunks: chunks.collect(),
            acked: std::mem::take(&mut self.fresh_acked),
            sent: std::mem::take(&mut self.fresh_sent),
        }
    }

    pub(super) fn restore(&mut self, mark: Mark, chunk: RoaringBitmap) {
        match mark {
            Mark::Targets => self.targets |= chunk,
            Mark::Released => self.released |= chunk,
            Mark::Sent => self.sent |= chunk,
            Mark::Settled => {
                self.settled |= chunk;
                self.delivered = &self.settled - &self.rejected - &self.handed;
            }
            Mark::Rejected => {
                self.rejected |= chunk;
                self.delivered = &self.settled - &self.rejected - &self.handed;
            }
            Mark::Handed => {
                self.handed |= chunk;
                self.delivered = &self.settled - &self.rejected - &self.handed;
            }
            Mark::Held => self.held |= chunk,
        }
    }

    fn of(&self, mark: Mark) -> &RoaringBitmap {
        match mark {
            Mark::Targets => &self.targets,
            Mark::Released => &self.released,
            Mark::Sent => &self.sent,
            Mark::Settled => &self.settled,
            Mark::Rejected => &self.rejected,
            Mark::Handed => &self.handed,
            Mark::Held => &self.held,
        }
    }
}

//! Errands that wait for a call, gathered by what they say. Pure: time comes in.
//!
//! One call carries one message, to as many devices as it is for. Different messages that say the same
//! do not go together: a call has one content for all its devices, and the message's id is in it, by
//! which a device knows what it has by another road, and a vendor with a key for it a repeat.

use std::collections::VecDeque;
use std::sync::Arc;

use ahash::{AHashMap, AHashSet};
use carillon_sdk::MessageId;

use super::lanes::Lanes;
use super::{Errand, ErrandLane, Options, Sort};

/// So long a group waits for company, unless it is urgent or full: a message's devices come in a burst
/// or not at all.
pub(super) const COALESCE_MS: u64 = 20;

/// An errand that was claimed.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) errand: Errand,
    pub(super) lane: ErrandLane,
    pub(super) options: Arc<Options>,
    pub(super) sort: Sort,
    /// It was in a batch whose vendor had trouble with it: it goes by itself.
    pub(super) alone: bool,
    /// Its call was rejected for its access, and made once more.
    pub(super) replayed: bool,
}

#[derive(Debug)]
struct Group {
    held: Vec<Held>,
    devices: AHashSet<u32>,
    began_ms: u64,
}

#[derive(Debug, Default)]
struct Line {
    /// They wait for nothing.
    ready: VecDeque<Vec<Held>>,
    open: AHashMap<MessageId, Group>,
    /// Of the open ones, the oldest first; a key whose group is gone is skipped.
    order: VecDeque<(MessageId, u64)>,
    waiting: usize,
}

/// What is gathered, by lane.
#[derive(Debug)]
pub(super) struct Batch {
    most: usize,
    lines: [Line; 3],
    lanes: Lanes,
}

impl Batch {
    /// At most so many devices go in a call.
    pub(super) fn new(most: usize) -> Self {
        Self { most: most.max(1), lines: Default::default(), lanes: Lanes::default() }
    }

    pub(super) fn waiting(&self, lane: ErrandLane) -> usize {
        self.lines[lane as usize].waiting
    }

    pub(super) fn waiting_of_all(&self) -> usize {
        self.lines.iter().map(|line| line.waiting).sum()
    }

    /// Takes in what was claimed together.
    pub(super) fn add(&mut self, claimed: Vec<Held>, now_ms: u64) {
        for held in claimed {
            let key = (self.most > 1 && !held.alone).then_some(held.errand.message.id);
            let line = &mut self.lines[held.lane as usize];
            line.waiting += 1;
            let Some(key) = key else {
                line.ready.push_back(vec![held]);
                continue;
            };
            // A device stands in a call once.
            if line.open.get(&key).is_some_and(|group| group.devices.contains(&held.errand.device.ordinal)) {
                line.close(&key);
            }
            let group = line.open.entry(key).or_insert_with(|| {
                line.order.push_back((key, now_ms));
                Group { held: Vec::new(), devices: AHashSet::new(), began_ms: now_ms }
            });
            group.devices.insert(held.errand.device.ordinal);
            group.held.push(held);
            if group.held.len() >= self.most {
                line.close(&key);
            }
        }
        // Someone waits for these: company they have now, or none.
        let urgent = &mut self.lines[ErrandLane::Urgent as usize];
        while let Some((key, _)) = urgent.order.pop_front() {
            urgent.close(&key);
        }
    }

    /// What was to go and did not goes first.
    pub(super) fn put_back(&mut self, held: Vec<Held>) {
        let Some(first) = held.first() else { return };
        let line = &mut self.lines[first.lane as usize];
        line.waiting += held.len();
        line.ready.push_front(held);
    }

    /// The next call's: one content, of the lane whose turn it is.
    pub(super) fn take(&mut self, now_ms: u64) -> Option<Vec<Held>> {
        for line in &mut self.lines {
            line.settle(now_ms);
        }
        let waiting = self.lines.each_ref().map(|line| !line.ready.is_empty());
        let lane = self.lanes.next(waiting)?;
        let line = &mut self.lines[lane as usize];
        let held = line.ready.pop_front()?;
        line.waiting -= held.len();
        self.lanes.took(lane, held.len(), waiting);
        Some(held)
    }

    /// When the next group has waited long enough; none when none waits, 0 when one is ready.
    pub(super) fn ready_at(&self) -> Option<u64> {
        let at = |line: &Line| {
            if !line.ready.is_empty() {
                return Some(0);
            }
            let begun = |(key, began_ms): &&(MessageId, u64)| {
                line.open.get(key).is_some_and(|group| group.began_ms == *began_ms)
            };
            line.order.iter().find(begun).map(|(_, began_ms)| began_ms + COALESCE_MS)
        };
        self.lines.iter().filter_map(at).min()
    }

    /// All that waits, given up.
    pub(super) fn drain(&mut self) -> Vec<Held> {
        let lines = std::mem::take(&mut self.lines);
        let of = |line: Line| {
            let open = line.open.into_values().flat_map(|group| group.held);
            line.ready.into_iter().flatten().chain(open).collect::<Vec<_>>()
        };
        lines.into_iter().flat_map(of).collect()
    }
}

impl Line {
    fn close(&mut self, key: &MessageId) {
        if let Some(group) = self.open.remove(key) {
            self.ready.push_back(group.held);
        }
    }

    /// Closes what has waited long enough.
    fn settle(&mut self, now_ms: u64) {
        while let Some(&(key, began_ms)) = self.order.front() {
            let is_there = self.open.get(&key).is_some_and(|group| group.began_ms == began_ms);
            if is_there && now_ms < began_ms + COALESCE_MS {
                return;
            }
            self.order.pop_front();
            if is_there {
                self.close(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests;

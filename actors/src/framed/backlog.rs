//! Frames a socket refused, in the order they are to be written.

use std::collections::VecDeque;

use bytes::Bytes;
use carillon_sdk::Timestamp;

use crate::model::{Due, Owner, Seq};

struct Waiting {
    bytes: Bytes,
    /// Of a push: whether it may still be written is asked again when its turn comes.
    due: Option<Due>,
}

pub(super) struct Backlog {
    frames: VecDeque<Waiting>,
    /// Bytes of the first frame that are on the wire already.
    begun: usize,
    bytes: usize,
    /// When the socket last took a byte, in monotonic milliseconds.
    pub(super) progress_ms: u64,
}

impl Backlog {
    pub(super) fn new(begun: usize, now_ms: u64) -> Self {
        Self { frames: VecDeque::new(), begun, bytes: 0, progress_ms: now_ms }
    }

    pub(super) fn push(&mut self, bytes: Bytes, due: Option<Due>) {
        self.bytes += bytes.len();
        self.frames.push_back(Waiting { bytes, due });
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes.saturating_sub(self.begun)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Copies what comes next into `buffer`, about `limit` bytes, after leaving out what expired.
    pub(super) fn gather(&mut self, now: Timestamp, limit: usize, buffer: &mut Vec<u8>) {
        self.retain(|due| due.online_only || due.expires_at > now);
        for (at, frame) in self.frames.iter().enumerate() {
            let from = if at == 0 { self.begun } else { 0 };
            buffer.extend_from_slice(&frame.bytes[from..]);
            if buffer.len() >= limit {
                break;
            }
        }
    }

    /// The socket took `written` more bytes.
    pub(super) fn advance(&mut self, written: usize, now_ms: u64) {
        if written > 0 {
            self.progress_ms = now_ms;
        }
        self.begun += written;
        while let Some(first) =
            self.frames.front().map(|frame| frame.bytes.len()).filter(|first| self.begun >= *first)
        {
            self.begun -= first;
            self.bytes -= first;
            self.frames.pop_front();
        }
    }

    /// Leaves out what is of `owner` and not begun; answers their places.
    pub(super) fn withdraw(&mut self, owner: Owner) -> Vec<Seq> {
        let mut seqs = Vec::new();
        self.retain(|due| {
            let keep = due.owner != Some(owner);
            if !keep {
                seqs.push(due.seq);
            }
            keep
        });
        seqs
    }

    /// Leaves one place out, unless it is begun; true when it was there.
    pub(super) fn hold_back(&mut self, seq: Seq) -> bool {
        let mut found = false;
        self.retain(|due| {
            found |= due.seq == seq;
            due.seq != seq
        });
        found
    }

    fn retain(&mut self, mut keep: impl FnMut(&Due) -> bool) {
        let mut begun = self.begun > 0;
        let mut left_out = 0;
        self.frames.retain(|frame| {
            let first = std::mem::take(&mut begun);
            let kept = first || frame.due.as_ref().is_none_or(&mut keep);
            left_out += if kept { 0 } else { frame.bytes.len() };
            kept
        });
        self.bytes -= left_out;
    }
}

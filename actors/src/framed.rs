//! One device's socket with its framing: bytes in, frames out, and back.
//!
//! Idle, it owns no buffer. Reads go through the arbiter's scratch; only an incomplete frame is
//! kept. Writes go straight to the socket; only what it refuses is kept, frame by frame, so that a
//! frame not yet begun can still be withdrawn.

mod backlog;
mod deframe;

use std::cell::RefCell;
use std::io;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use carillon_sdk::Timestamp;
use carillon_sdk::wire::{self, Frame};
use smallvec::SmallVec;

use crate::link::{Framing, Transport};
use crate::model::{Due, Owner, Seq};
use backlog::Backlog;
use deframe::Deframer;
pub(crate) use deframe::Inbound;

/// Bytes read at once, and gathered for one write. Shared by all connections of an arbiter.
const SCRATCH_BYTES: usize = 64 * 1024;

thread_local! {
    static READ: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH_BYTES].into_boxed_slice());
    static WRITE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What one read brought.
pub(crate) type Batch = SmallVec<[Inbound; 1]>;

/// What is to be written.
pub(crate) enum Out {
    Push(Due),
    Control(Frame),
    /// A WebSocket Pong or Close, framed already.
    Raw(Bytes),
}

/// Why a link cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    #[error("more bytes wait than the backlog may hold")]
    Slow,
    #[error("the socket failed")]
    Socket(#[source] io::Error),
}

pub(crate) struct Link {
    transport: Box<dyn Transport>,
    framing: Framing,
    deframer: Deframer,
    backlog: Option<Box<Backlog>>,
    backlog_bytes_max: u32,
}

impl Link {
    /// `rest` are bytes that were read after the Hello.
    pub(crate) fn new(
        transport: Box<dyn Transport>,
        framing: Framing,
        rest: &[u8],
        backlog_bytes_max: usize,
    ) -> Self {
        let backlog_bytes_max = u32::try_from(backlog_bytes_max).unwrap_or(u32::MAX);
        Self { transport, framing, deframer: Deframer::new(rest), backlog: None, backlog_bytes_max }
    }

    /// The frames that have arrived; `None` at the end of the stream.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Option<Batch>> {
        let mut batch = Batch::new();
        self.deframer.kept(self.framing, &mut batch);
        while batch.is_empty() {
            let ended = READ.with_borrow_mut(|scratch| {
                let count = match ready!(self.transport.poll_read(cx, scratch)) {
                    Ok(0) | Err(_) => return Poll::Ready(true),
                    Ok(count) => count,
                };
                self.deframer.take(self.framing, &scratch[..count], &mut batch);
                Poll::Ready(false)
            });
            if ready!(ended) {
                return Poll::Ready(None);
            }
        }
        Poll::Ready(Some(batch))
    }

    /// Writes all of `outs` in one go as far as the socket takes it; the rest waits.
    pub(crate) fn write(&mut self, outs: &[Out], now_ms: u64) -> Result<(), Broken> {
        if self.backlog.is_some() {
            return self.keep(outs, now_ms);
        }
        if let ([Out::Push(due)], Framing::Native) = (outs, self.framing) {
            let written = taken(self.transport.try_write(due.native()))?;
            return if written < due.native().len() { self.keep_from(outs, written, now_ms) } else { Ok(()) };
        }
        let (written, whole) = WRITE.with_borrow_mut(|buffer| {
            buffer.clear();
            outs.iter().for_each(|out| append(self.framing, out, buffer));
            taken(self.transport.try_write(buffer)).map(|written| (written, buffer.len()))
        })?;
        if written < whole { self.keep_from(outs, written, now_ms) } else { Ok(()) }
    }

    /// True while the socket refuses bytes: there is something for `poll_flush` to do.
    pub(crate) fn blocked(&self) -> bool {
        self.backlog.is_some() || self.transport.holds_back()
    }

    /// How long the socket has taken no byte, in milliseconds; 0 while nothing waits.
    pub(crate) fn stalled_ms(&self, now_ms: u64) -> u64 {
        self.backlog.as_ref().map_or(0, |backlog| now_ms.saturating_sub(backlog.progress_ms))
    }

    /// Writes what waits; ready when nothing does. What has expired meanwhile is left out.
    pub(crate) fn poll_flush(
        &mut self,
        cx: &mut Context<'_>,
        now: Timestamp,
        now_ms: u64,
    ) -> Poll<Result<(), Broken>> {
        while self.blocked() {
            if let Err(error) = ready!(self.transport.poll_flush(cx)) {
                return Poll::Ready(Err(Broken::Socket(error)));
            }
            let Some(backlog) = &mut self.backlog else { continue };
            let written = WRITE.with_borrow_mut(|buffer| {
                buffer.clear();
                backlog.gather(now, SCRATCH_BYTES, buffer);
                if buffer.is_empty() { Ok(0) } else { taken(self.transport.try_write(buffer)) }
            });
            match written {
                Ok(written) => backlog.advance(written, now_ms),
                Err(broken) => return Poll::Ready(Err(broken)),
            }
            if backlog.is_empty() {
                self.backlog = None;
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Takes out of the backlog what is of `owner` and not begun; answers their places.
    pub(crate) fn withdraw(&mut self, owner: Owner) -> Vec<Seq> {
        let Some(backlog) = &mut self.backlog else { return Vec::new() };
        let seqs = backlog.withdraw(owner);
        if backlog.is_empty() {
            self.backlog = None;
        }
        seqs
    }

    /// Takes one place out of what waits; true when it was there, and not begun.
    pub(crate) fn hold_back(&mut self, seq: Seq) -> bool {
        let Some(backlog) = &mut self.backlog else { return false };
        let found = backlog.hold_back(seq);
        if backlog.is_empty() {
            self.backlog = None;
        }
        found
    }

    /// Ends the socket; what waits is lost to it (and stays pending).
    pub(crate) fn close(&mut self) {
        self.backlog = None;
        self.transport.close();
    }

    pub(crate) const fn framing(&self) -> Framing {
        self.framing
    }

    /// Keeps what is left of `outs` after the first `written` bytes of them.
    fn keep_from(&mut self, outs: &[Out], mut written: usize, now_ms: u64) -> Result<(), Broken> {
        let mut first = 0;
        let mut lengths = outs.iter().map(|out| frame_of(self.framing, out).len());
        while let Some(length) = lengths.next().filter(|length| written >= *length) {
            written -= length;
            first += 1;
        }
        drop(lengths);
        self.backlog = Some(Box::new(Backlog::new(written, now_ms)));
        self.keep(&outs[first..], now_ms)
    }

    fn keep(&mut self, outs: &[Out], now_ms: u64) -> Result<(), Broken> {
        let backlog = self.backlog.get_or_insert_with(|| Box::new(Backlog::new(0, now_ms)));
        for out in outs {
            let due = if let Out::Push(due) = out { Some(due.clone()) } else { None };
            backlog.push(frame_of(self.framing, out), due);
        }
        if backlog.bytes() > self.backlog_bytes_max as usize { Err(Broken::Slow) } else { Ok(()) }
    }
}

/// A socket that takes nothing now has taken no bytes.
fn taken(written: io::Result<usize>) -> Result<usize, Broken> {
    match written {
        Ok(written) => Ok(written),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        Err(error) => Err(Broken::Socket(error)),
    }
}

/// A frame with its framing, on its own.
fn frame_of(framing: Framing, out: &Out) -> Bytes {
    match (out, framing) {
        (Out::Push(due), Framing::Native) => due.native().clone(),
        _ => {
            let mut buffer = Vec::new();
            append(framing, out, &mut buffer);
            Bytes::from(buffer)
        }
    }
}

fn append(framing: Framing, out: &Out, buffer: &mut Vec<u8>) {
    match (out, framing) {
        (Out::Raw(bytes), _) => buffer.extend_from_slice(bytes),
        (Out::Push(due), Framing::Native) => buffer.extend_from_slice(due.native()),
        (Out::Control(frame), Framing::Native) => buffer.extend_from_slice(&wire::encode(frame)),
        (Out::Push(due), Framing::WebSocketText) => deframe::message(framing, due.text(), buffer),
        (Out::Push(due), Framing::WebSocketBinary) => deframe::message(framing, due.body(), buffer),
        (Out::Control(frame), Framing::WebSocketText) => {
            deframe::message(framing, &wire::encode_json(frame), buffer);
        }
        (Out::Control(frame), Framing::WebSocketBinary) => {
            deframe::message(framing, &wire::encode(frame)[4..], buffer);
        }
    }
}

#[cfg(test)]
mod tests;

//! Reading history forward, from a place on: what the pull feed and the receipts stand on.
//!
//! A log is read in pieces and by whatever place the reader was left at, so a page costs what it
//! holds, however long the log. Damage costs what it hit, as everywhere in history.

use std::fs::File;
use std::io;
use std::sync::Arc;

use carillon_sdk::Timestamp;

use super::codec;
use super::frame::{self, Front, Scan};
use super::reader::Reader;
use super::record::Record;
use super::segment::{Position, Segment, Segments};
use crate::model::App;

/// Bytes read at once: some thousands of records.
const PIECE_BYTES: usize = 256 << 10;

/// Markers and what cannot be read may stand before the first record of a log; more is not looked at.
const FIRST_WITHIN: usize = 64;

/// One partition's records from a place on, up to another.
pub(crate) struct Follow {
    segments: Arc<Segments>,
    at: Position,
    to: Position,
    open: Option<Piece>,
    gap: bool,
}

/// Part of a log, in memory.
struct Piece {
    segment: Arc<Segment>,
    file: File,
    bytes: Vec<u8>,
    /// Where in the log the bytes begin.
    from: u64,
}

/// What a step of following found.
pub(crate) enum Followed {
    Record(Position, Box<Record>),
    /// Nothing more up to where the reader may go.
    End,
    /// The budget is spent; it goes on from `Follow::at`.
    Spent,
}

impl Reader {
    /// Follows from `from` up to `to`, which is not itself read.
    pub(crate) fn follow(&self, from: Position, to: Position) -> Follow {
        Follow { segments: Arc::clone(&self.0), at: from, to, open: None, gap: false }
    }

    /// The place of the first record not before `since`, or `to` when there is none: records of a
    /// partition do not go back in time.
    pub(crate) fn place_of(&self, since: Timestamp, to: Position) -> io::Result<Position> {
        let segments = self.0.snapshot();
        let mut first = 0;
        let mut beyond = segments.len();
        while beyond - first > 1 {
            let middle = first + (beyond - first) / 2;
            let begin = Position { segment: segments[middle].number, offset: 0 };
            let mut budget = FIRST_WITHIN;
            match self.follow(begin, to).next_of(None, &mut budget)? {
                Followed::Record(_, record) if record.at < since => first = middle,
                _ => beyond = middle,
            }
        }
        let Some(segment) = segments.get(first) else { return Ok(to) };
        let mut follow = self.follow(Position { segment: segment.number, offset: 0 }, to);
        loop {
            match follow.next_of(None, &mut 1)? {
                Followed::Record(place, record) if record.at >= since => return Ok(place),
                Followed::Record(..) | Followed::Spent => {}
                Followed::End => return Ok(to),
            }
        }
    }
}

impl Follow {
    /// Whatever stands before was given or passed over.
    pub(crate) const fn at(&self) -> Position {
        self.at
    }

    /// Whether a log was missing on the way: its time to be kept was over.
    pub(crate) const fn has_gap(&self) -> bool {
        self.gap
    }

    /// The next record of the app. Each record looked at takes one from the budget.
    pub(crate) fn next(&mut self, app: App, budget: &mut usize) -> io::Result<Followed> {
        self.next_of(Some(app), budget)
    }

    fn next_of(&mut self, app: Option<App>, budget: &mut usize) -> io::Result<Followed> {
        loop {
            let Some(end) = self.enter()? else { return Ok(Followed::End) };
            if *budget == 0 {
                return Ok(Followed::Spent);
            }
            *budget -= 1;
            let place = self.at;
            let Some(body) = self.body(end)? else { continue };
            let next = place.offset + (frame::HEAD + body.len()) as u64;
            let wanted = app.is_none() || codec::app_of(body) == app;
            // One that cannot be read is none of ours: another build wrote it.
            let record = if wanted { codec::decode(body) } else { None };
            self.at.offset = next;
            if let Some(record) = record {
                return Ok(Followed::Record(place, Box::new(record)));
            }
        }
    }

    /// Goes to the log in which something may be left, and says where it ends for us.
    fn enter(&mut self) -> io::Result<Option<u64>> {
        loop {
            if self.at >= self.to {
                return Ok(None);
            }
            if self.open.as_ref().is_none_or(|piece| piece.segment.number != self.at.segment) {
                let Some(segment) = self.find() else {
                    self.at = self.at.max(self.to);
                    return Ok(None);
                };
                match File::open(segment.log(&self.segments.dir)) {
                    Ok(file) => self.open = Some(Piece { segment, file, bytes: Vec::new(), from: 0 }),
                    // Its time ended just now: the list no longer has it.
                    Err(error)
                        if error.kind() == io::ErrorKind::NotFound
                            && !self.segments.holds(segment.number) =>
                    {
                        continue;
                    }
                    Err(error) => return Err(error),
                }
            }
            let Some(piece) = &self.open else { unreachable!("opened above") };
            let mut end = piece.segment.bytes();
            if self.at.segment == self.to.segment {
                end = end.min(self.to.offset);
            }
            if self.at.offset < end {
                return Ok(Some(end));
            }
            if self.at.segment == self.to.segment {
                return Ok(None);
            }
            self.at = Position { segment: self.at.segment + 1, offset: 0 };
            self.open = None;
        }
    }

    /// The log of the place, or the next one there is.
    fn find(&mut self) -> Option<Arc<Segment>> {
        let segments = self.segments.list.read();
        let at = segments.partition_point(|segment| segment.number < self.at.segment);
        let segment = Arc::clone(segments.get(at)?);
        if segment.number > self.at.segment {
            // From the very beginning there is nothing that could be missed.
            self.gap |= at == 0 && self.at.segment > 0;
            self.at = Position { segment: segment.number, offset: 0 };
        }
        (self.at < self.to).then_some(segment)
    }

    /// The body of the frame at our place; None when something damaged was passed over instead.
    fn body(&mut self, end: u64) -> io::Result<Option<&[u8]>> {
        let Some(piece) = &mut self.open else { unreachable!("entered before") };
        let offset = self.at.offset;
        let left = usize::try_from(end - offset).unwrap_or(usize::MAX);
        let mut need = frame::HEAD;
        let body = loop {
            piece.hold(offset, need.min(left), left)?;
            match frame::front(piece.at(offset)) {
                Front::Whole(body) => break body.len(),
                Front::Cut(more) if more <= left && more > need => need = more,
                Front::Cut(_) | Front::Damaged => {
                    self.at.offset = piece.beyond_damage(offset, end)?;
                    return Ok(None);
                }
            }
        };
        Ok(piece.at(offset).get(frame::HEAD..frame::HEAD + body))
    }
}

impl Piece {
    /// Has at least `need` bytes from `offset` on in memory, of the `left` that may be read.
    fn hold(&mut self, offset: u64, need: usize, left: usize) -> io::Result<()> {
        if offset >= self.from && offset + need as u64 <= self.from + self.bytes.len() as u64 {
            return Ok(());
        }
        self.bytes.resize(need.max(PIECE_BYTES).min(left), 0);
        let have = frame::fill(&self.file, &mut self.bytes, offset)?;
        self.bytes.truncate(have);
        self.from = offset;
        Ok(())
    }

    fn at(&self, offset: u64) -> &[u8] {
        let at = usize::try_from(offset.saturating_sub(self.from)).unwrap_or(usize::MAX);
        self.bytes.get(at..).unwrap_or_default()
    }

    /// Where the next intact frame begins, or the end: all that is left is looked through.
    fn beyond_damage(&mut self, offset: u64, end: u64) -> io::Result<u64> {
        let left = usize::try_from(end - offset).unwrap_or(usize::MAX);
        self.hold(offset, left, left)?;
        let mut scan = Scan::new(self.at(offset), 0);
        let next = scan.next().map_or(end, |(at, _)| offset + at as u64);
        tracing::error!(
            segment = self.segment.number,
            offset,
            damaged_bytes = next - offset,
            "history passed over what cannot be read"
        );
        Ok(next)
    }
}

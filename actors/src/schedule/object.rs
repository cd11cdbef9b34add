//! A schedule and its runs as they are kept.
//!
//! A schedule's row has its head, which is read often, before its order, which is read when it
//! fires. A run has a row once it began, was cancelled or was passed over; until then it is computed.

use std::fmt;
use std::str::FromStr;

use bytes::{BufMut, Bytes, BytesMut};
use carillon_sdk::{MessageId, Timestamp, Ttl};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::calendar::Strategy;
use crate::audience::Audience;
use crate::model::{PushType, Task};
use crate::order::{Order, Recipients};

/// A schedule's name, or a run's: 32 lower-case hexadecimal digits. A run's begins with the first
/// ten bytes of its schedule's and ends with the second it was planned for, so either is found from
/// it, and so a run that is only computed can be cancelled.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id([u8; 16]);

/// Bytes that a schedule and its runs have in common.
const PREFIX: usize = 10;

/// In the first byte after the prefix of a schedule's id, and of no run's before the year 4,400,000.
const IS_SCHEDULE: u8 = 0x80;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id has 32 hexadecimal digits")]
pub struct NoId;

impl Id {
    /// The id of a schedule, made of random bytes, or of a digest when it must come out the same.
    #[must_use]
    pub const fn of_schedule(mut bytes: [u8; 16]) -> Self {
        bytes[PREFIX] |= IS_SCHEDULE;
        Self(bytes)
    }

    /// A new schedule's: those of later milliseconds sort later.
    #[must_use]
    pub(super) fn fresh() -> Self {
        let drawn = *MessageId::fresh().as_bytes();
        let mut bytes = drawn;
        // What follows the time in such an id is counted up within a millisecond, and only its end is
        // random: that belongs to what a schedule and its runs have in common.
        bytes[6..PREFIX].copy_from_slice(&drawn[12..]);
        bytes[12..].copy_from_slice(&drawn[6..PREFIX]);
        Self::of_schedule(bytes)
    }

    /// The run of this schedule that is planned for `planned`. A schedule that fires once has one
    /// run, and both have the same id.
    #[must_use]
    pub fn run(self, strategy: &Strategy, planned: Timestamp) -> Self {
        if matches!(strategy, Strategy::Once(_)) {
            return self;
        }
        let mut bytes = self.0;
        bytes[PREFIX..].copy_from_slice(&planned.as_secs().to_be_bytes()[2..]);
        Self(bytes)
    }

    /// When the run of this id is planned; none for a schedule's own.
    #[must_use]
    pub fn planned(self) -> Option<Timestamp> {
        let mut seconds = [0; 8];
        seconds[2..].copy_from_slice(&self.0[PREFIX..]);
        (self.0[PREFIX] & IS_SCHEDULE == 0)
            .then(|| Timestamp::from_millis(u64::from_be_bytes(seconds).saturating_mul(1000)))
    }

    /// Whether this is a run of that schedule, or may be.
    #[must_use]
    pub fn is_of(self, schedule: Self) -> bool {
        self.0[..PREFIX] == schedule.0[..PREFIX]
    }

    /// Where the ids of a schedule and its runs begin, in their order.
    #[must_use]
    pub(super) fn family(self) -> String {
        hex(&self.0[..PREFIX])
    }

    pub(super) const fn bytes(self) -> [u8; 16] {
        self.0
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl FromStr for Id {
    type Err = NoId;

    fn from_str(text: &str) -> Result<Self, NoId> {
        let digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != 32 || !text.as_bytes().iter().all(digit) {
            return Err(NoId);
        }
        u128::from_str_radix(text, 16).map(|id| Self(id.to_be_bytes())).map_err(|_| NoId)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What a schedule says of itself, without the order it carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    pub name: Option<String>,
    pub strategy: Strategy,
    /// Of its order, for lists.
    pub push_type: PushType,
    /// Of its order, placeholders and all, for lists.
    pub title: Option<String>,
    pub body: Option<String>,
    /// mPaaS's DeliveryType, shown again in its lists.
    #[serde(default)]
    pub delivery_type: Option<u8>,
    pub missed: Missed,
    /// A run that comes later than this is not carried out.
    pub late_max: Ttl,
    pub face: Face,
    /// Who made it, as in the audit log.
    pub by: String,
    pub created_at: Timestamp,
    pub state: State,
    /// Runs planned up to here are over. Before the first, when it was made.
    pub over_until: Timestamp,
    pub ended_at: Option<Timestamp>,
    /// Digest of the request that made it, where that may be repeated.
    #[serde(default)]
    pub request: Option<[u8; 32]>,
}

/// What becomes of a run whose time passed while nobody could carry it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missed {
    /// It fires late; of several, the last one.
    #[default]
    LateOnce,
    Skip,
}

/// Whence a schedule came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Face {
    #[default]
    Api,
    Console,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Active,
    /// It has no run before it.
    Done,
    Cancelled,
}

impl Head {
    /// The first run that is not over yet.
    #[must_use]
    pub fn next(&self) -> Option<Timestamp> {
        (self.state == State::Active).then(|| self.strategy.next_after(self.over_until)).flatten()
    }
}

/// One firing of a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    pub schedule: Id,
    pub planned_at: Timestamp,
    pub state: RunState,
    /// When its order was carried out, or was given up.
    #[serde(default)]
    pub fired_at: Option<Timestamp>,
    #[serde(default)]
    pub task: Option<Task>,
    /// Of its messages the first hundred.
    #[serde(default)]
    pub messages: Vec<MessageId>,
    /// Recipients accepted, or devices in the audience.
    #[serde(default)]
    pub accepted: u32,
    /// Recipients that were not.
    #[serde(default)]
    pub refused: u32,
    /// Why it was skipped or failed.
    #[serde(default)]
    pub reason: Option<Reason>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Never in a row: it is computed.
    Planned,
    /// Its order may have been carried out; until that is known it is tried again.
    Firing,
    Fired,
    Skipped,
    Cancelled,
    Failed,
}

/// Why a run was skipped or failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Its time passed while nobody could carry it out, and its schedule skips such runs.
    Missed,
    /// A later one of the same schedule was due too.
    Superseded,
    /// It could not be carried out within the time it may be late.
    TooLate,
    /// The same, but it had begun: it may have been carried out.
    OutcomeUnknown,
    /// Every recipient's queue was full.
    QueueFull,
    /// No recipient is known.
    DeviceUnknown,
    /// The order cannot be carried out as it is kept.
    Invalid,
}

macro_rules! named {
    ($($type:ident { $($variant:ident = $name:literal),+ $(,)? })*) => {
        $(impl $type {
            /// As it is in JSON.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        })*
    };
}

named! {
    Missed { LateOnce = "late_once", Skip = "skip" }
    Face { Api = "api", Console = "console" }
    State { Active = "active", Done = "done", Cancelled = "cancelled" }
    RunState {
        Planned = "planned", Firing = "firing", Fired = "fired",
        Skipped = "skipped", Cancelled = "cancelled", Failed = "failed",
    }
    Reason {
        Missed = "missed", Superseded = "superseded", TooLate = "too_late", QueueFull = "queue_full",
        OutcomeUnknown = "outcome_unknown", DeviceUnknown = "device_unknown", Invalid = "invalid",
    }
}

impl Run {
    #[must_use]
    pub const fn new(schedule: Id, planned_at: Timestamp, state: RunState) -> Self {
        Self {
            schedule,
            planned_at,
            state,
            fired_at: None,
            task: None,
            messages: Vec::new(),
            accepted: 0,
            refused: 0,
            reason: None,
        }
    }

    /// How long after its time it was carried out.
    #[must_use]
    pub fn lag(&self) -> Option<Ttl> {
        self.fired_at.filter(|_| self.state == RunState::Fired).map(|at| at.since(self.planned_at))
    }

    #[must_use]
    pub const fn is_over(&self) -> bool {
        !matches!(self.state, RunState::Planned | RunState::Firing)
    }
}

/// A row that cannot be read; only a newer version's can be.
#[derive(Debug, thiserror::Error)]
#[error("a schedule's row cannot be read")]
pub struct Unreadable;

pub(super) fn encode<T: Serialize>(value: &T) -> Bytes {
    // Texts, numbers and lists always serialize.
    serde_json::to_vec(value).unwrap_or_default().into()
}

pub(super) fn run_of(bytes: &Bytes) -> Result<Run, Unreadable> {
    serde_json::from_slice(bytes).map_err(|_| Unreadable)
}

/// A schedule's row: the head's length, the head, the order.
pub(super) fn row(head: &Head, order: &Bytes) -> Bytes {
    let head = encode(head);
    let mut row = BytesMut::with_capacity(4 + head.len() + order.len());
    row.put_u32(u32::try_from(head.len()).unwrap_or(u32::MAX));
    row.put_slice(&head);
    row.put_slice(order);
    row.freeze()
}

/// A row's head and, unread, its order.
pub(super) fn parts(row: &Bytes) -> Result<(Head, Bytes), Unreadable> {
    let (length, rest) = row.split_first_chunk::<4>().ok_or(Unreadable)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| Unreadable)?;
    let head = rest.get(..length).ok_or(Unreadable)?;
    let head = serde_json::from_slice(head).map_err(|_| Unreadable)?;
    Ok((head, row.slice(4 + length..)))
}

/// What a schedule sends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) order: Order,
    /// For whom, in words: what they mean is decided anew for each run.
    #[serde(default)]
    pub(super) audience: Option<String>,
}

impl Kept {
    pub(super) fn read(bytes: &Bytes) -> Result<Self, Unreadable> {
        serde_json::from_slice(bytes).map_err(|_| Unreadable)
    }

    /// The order of the run planned for then.
    pub(super) fn at(self, planned: Timestamp) -> Result<Order, Unreadable> {
        let Self { mut order, audience } = self;
        if let Some(text) = audience {
            order.to = Recipients::Audience(Audience::parse(&text, planned).map_err(|_| Unreadable)?);
        }
        Ok(order)
    }
}

#[cfg(test)]
mod tests;

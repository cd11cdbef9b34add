//! A campaign as it is kept, and which state follows which. Pure.

use std::collections::BTreeMap;

use carillon_sdk::api::campaigns::CampaignState as State;
use carillon_sdk::{MessageId, Timestamp, Ttl};
use serde::{Deserialize, Serialize};

use super::frozen::Frozen;
use super::pace::Pace;
use crate::audience::Audience;
use crate::order::Content;
use crate::template::Values;

/// What is to be said, to whom, and how fast. Never changes once it is made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    pub name: Option<String>,
    pub content: Content,
    /// Whose words these are: its name and version.
    pub template: Option<(String, u64)>,
    pub values: Values,
    pub to: To,
    /// Counted from apply.
    pub ttl: Ttl,
    pub collapse_key: Option<String>,
    pub pace: Pace,
    pub canary: Option<Share>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum To {
    Audience {
        /// As it was asked for.
        text: Option<String>,
        audience: Audience,
    },
    /// An uploaded list, by its id: to each line its own message.
    List(String),
}

/// A share of a whole, in millionths: above none and below all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Share(u32);

const MILLION: u32 = 1_000_000;

impl Share {
    /// None unless it is a share, to the millionth.
    #[must_use]
    pub fn parse(share: f64) -> Option<Self> {
        let millionths = (share * f64::from(MILLION)).round();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 1 and a million"
        )]
        (millionths >= 1.0 && millionths < f64::from(MILLION)).then_some(Self(millionths as u32))
    }

    #[must_use]
    pub fn as_f64(self) -> f64 {
        f64::from(self.0) / f64::from(MILLION)
    }

    /// Whether a number, evenly spread over all there are, falls into the share.
    #[must_use]
    pub(super) const fn has(self, spread: u64) -> bool {
        (spread as u128) < (self.0 as u128) * (1 << 64) / (MILLION as u128)
    }

    /// At least one of any.
    #[must_use]
    pub const fn of(self, whole: u64) -> u64 {
        let share = whole as u128 * self.0 as u128;
        share.div_ceil(MILLION as u128) as u64
    }
}

/// A campaign, whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Campaign {
    pub spec: Spec,
    pub state: State,
    pub created_at: Timestamp,
    /// The key that made it.
    pub by: String,
    #[serde(default)]
    pub applied: Option<Applied>,
    /// Of an audience, until its log entry is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen: Option<Frozen>,
    /// It was told to go on after its canary.
    #[serde(default)]
    pub canary_passed: bool,
    #[serde(default)]
    pub done: Done,
    #[serde(default)]
    pub ended_at: Option<Timestamp>,
    /// Why it failed.
    #[serde(default)]
    pub reason: Option<String>,
}

/// What was fixed when it was applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    pub at: Timestamp,
    /// Of every message of it: a campaign is over at one moment.
    pub expires_at: Timestamp,
    pub targets: u64,
    /// The plan's hash.
    pub plan: String,
    /// Of the log entry of an audience; of a list, what its messages' ids are derived from.
    pub message: MessageId,
}

/// How far the runner of a list has come. A list with a canary is read twice: for the lines of the
/// canary, and for the rest.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Done {
    /// Lines read this time, and the byte where the next begins.
    pub line: u64,
    pub offset: u64,
    /// Lines let go, of both times.
    pub released: u64,
    /// Of these, taken.
    pub accepted: u64,
    /// Code → lines that were not.
    pub refused: BTreeMap<String, u64>,
}

/// What a person tells a campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    Pause,
    Resume,
    Abort,
    Revoke,
}

impl Command {
    /// As the API and the audit log have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Abort => "abort",
            Self::Revoke => "revoke",
        }
    }
}

/// What a command does to a campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Follows {
    /// It is so already: a command may be repeated.
    Nothing,
    State(State),
    /// The state does not allow it.
    Wrong,
}

impl Campaign {
    pub(super) fn planned(spec: Spec, by: String, now: Timestamp) -> Self {
        Self {
            spec,
            state: State::Planned,
            created_at: now,
            by,
            applied: None,
            frozen: None,
            canary_passed: false,
            done: Done::default(),
            ended_at: None,
            reason: None,
        }
    }

    /// Which state a command leads to.
    pub(super) const fn follows(&self, command: Command) -> Follows {
        use State::{
            Aborted, Failed, Finished, Holding, Paused, Planned, Revoked, Revoking, Running, Settling,
        };
        match (command, self.state) {
            (Command::Pause, Running) => Follows::State(Paused),
            // A canary that waits lets nothing go either.
            (Command::Pause, Paused | Holding) => Follows::Nothing,
            (Command::Resume, Paused | Holding) => Follows::State(Running),
            // A resume that is repeated may find it further than the first one put it.
            (Command::Resume, Running | Settling | Finished) => Follows::Nothing,
            (Command::Abort, Planned | Running | Paused | Holding) => Follows::State(Aborted),
            (Command::Abort, Aborted) => Follows::Nothing,
            (Command::Revoke, Running | Paused | Holding | Settling | Finished | Aborted | Failed) => {
                Follows::State(Revoking)
            }
            (Command::Revoke, Revoking | Revoked) => Follows::Nothing,
            _ => Follows::Wrong,
        }
    }

    /// The campaign in that state.
    #[must_use]
    pub(super) fn in_state(&self, state: State, now: Timestamp) -> Self {
        let passes = self.state == State::Holding && state == State::Running;
        let done = match passes {
            true => Done { line: 0, offset: 0, ..self.done.clone() },
            false => self.done.clone(),
        };
        Self {
            state,
            canary_passed: self.canary_passed || passes,
            done,
            ended_at: if state.is_terminal() { self.ended_at.or(Some(now)) } else { None },
            ..self.clone()
        }
    }

    /// A runner has something to do, or will have.
    #[must_use]
    pub(super) const fn is_live(&self) -> bool {
        !self.state.is_terminal() && !matches!(self.state, State::Planned)
    }
}

#[cfg(test)]
mod tests;

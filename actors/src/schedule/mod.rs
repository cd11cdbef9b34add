//! Pushes ordered now for later: once, or again and again.
//!
//! ```text
//!  edge ──create, cancel──▶ rows in the store ──▶ agenda ──▶ Scheduler ──▶ firing ──▶ order
//!                           (all that is kept)    (made anew at every start)
//! ```
//!
//! A schedule has runs. Those before it are computed from its calendar; one that began, was
//! cancelled or was passed over has a row. docs/schedules.md says what its owner may expect.

pub mod calendar;
pub mod object;

mod cancel;
mod create;
mod list;

mod agenda;
mod due;
mod firing;
mod tidy;

pub use self::cancel::{Cancelled, Which};
pub use self::create::{Denied, NewSchedule, Request, Scheduled};
pub use self::list::{Listed, RunsPage, RunsQuery};

pub(crate) use self::agenda::Agenda;
pub(crate) use self::firing::{Attended, attend, begin_metrics};
pub(crate) use self::tidy::tidy;

/// On whose word a schedule is made or cancelled: for its audit entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    /// As `Audit::who` has it.
    pub who: String,
    /// The address the request came from.
    pub from: Option<String>,
}

//! What is to be done about a schedule at a moment. Pure: its head, its runs' rows and the time in,
//! what to write and to carry out, out.

use carillon_sdk::Timestamp;

use super::object::{Head, Id, Missed, Reason, Run, RunState};

/// Runs that are passed over in one go; what is left is looked at again at once.
const PASSED_MAX: usize = 400;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Due {
    /// Runs that are passed over, to be written.
    pub(super) passed: Vec<Run>,
    /// Runs up to here are over then.
    pub(super) over_until: Timestamp,
    pub(super) then: Then,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// Begin the run planned for then.
    Fire(Timestamp),
    /// It began before and nobody knows how it ended: carry it out again, which repeats nothing.
    FireAgain(Timestamp),
    /// The same, but its time is over.
    GiveUp(Timestamp),
    Wait(Timestamp),
    /// No run is before it.
    End,
}

/// `state_of` is the state in the row of the run planned for a moment, if it has one.
pub(super) fn due(
    id: Id,
    head: &Head,
    now: Timestamp,
    state_of: impl Fn(Timestamp) -> Option<RunState>,
) -> Due {
    let mut passed = Vec::new();
    let mut over_until = head.over_until;
    for _ in 0..PASSED_MAX {
        let Some(planned) = head.strategy.next_after(over_until) else {
            return Due { passed, over_until, then: Then::End };
        };
        if planned > now {
            return Due { passed, over_until, then: Then::Wait(planned) };
        }
        let is_too_late = now.since(planned) > head.late_max;
        let reason = match state_of(planned) {
            Some(RunState::Firing) if is_too_late => {
                return Due { passed, over_until, then: Then::GiveUp(planned) };
            }
            Some(RunState::Firing) => return Due { passed, over_until, then: Then::FireAgain(planned) },
            Some(_) => None,
            None => match reason_to_pass(head, planned, now, is_too_late) {
                Some(reason) => Some(reason),
                None => return Due { passed, over_until, then: Then::Fire(planned) },
            },
        };
        if let Some(reason) = reason {
            let run = Run::new(id, planned, RunState::Skipped);
            passed.push(Run { reason: Some(reason), ..run });
        }
        over_until = planned;
    }
    Due { passed, over_until, then: Then::Wait(over_until) }
}

fn reason_to_pass(head: &Head, planned: Timestamp, now: Timestamp, is_too_late: bool) -> Option<Reason> {
    let later_is_due = || head.strategy.next_after(planned).is_some_and(|next| next <= now);
    match head.missed {
        Missed::Skip => is_too_late.then_some(Reason::Missed),
        Missed::LateOnce if later_is_due() => Some(Reason::Superseded),
        Missed::LateOnce => is_too_late.then_some(Reason::TooLate),
    }
}

#[cfg(test)]
mod tests;

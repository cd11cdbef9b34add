//! The course of one road's receipts: read, send, save, and what to do when nobody takes them.
//! It has no clock, socket or store: `event + now → effect`, one at a time.
//!
//! ```text
//!  Read ──page──▶ Send ──taken──▶ Save ──▶ Read
//!    │ nothing      │ not taken             ▲
//!    ▼              ▼                       │
//!  Await          Save ─▶ Rest ─▶ Send    news
//! ```
//!
//! Nothing is sent before what came before it was taken, so a road's order is kept; and the place is
//! saved after, so a crash repeats and never loses.

use carillon_sdk::{Timestamp, Ttl};

/// How long, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// The longest rest after the first failure; it doubles with each.
    pub rest_first: Ttl,
    pub rest_max: Ttl,
    /// A road that took nothing for so long is closed.
    pub give_up: Ttl,
}

/// How long a store that cannot be read or written is left alone.
const STORE_REST: Ttl = Ttl::from_secs(2);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    Begin,
    /// A page was read: whether there are events on it, and whether more follow at once.
    Page {
        events: bool,
        more: bool,
    },
    /// The store refused; or to save.
    ReadFailed,
    SaveFailed,
    Taken {
        left: bool,
    },
    NotTaken {
        retry_after: Option<Ttl>,
    },
    /// The receiver wants nothing any more.
    Gone,
    Saved,
    Rested,
    News,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// The next page, from where the last one ended.
    Read,
    /// What is left of the page.
    Send,
    /// The place, or how it fails.
    Save,
    Rest(Ttl),
    /// Until there may be something new.
    Await,
    End(Why),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// All of a replay was taken.
    Done,
    Gone,
    GaveUp,
}

/// What is done once the place is saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Read,
    Rest(Ttl),
    End(Why),
}

#[derive(Debug, Clone)]
pub(super) struct Course {
    patience: Patience,
    /// Whether it has an end: a replay.
    ends: bool,
    failing_since: Option<Timestamp>,
    attempts: u32,
    next: Next,
    /// What is done after a rest.
    rested: Effect,
}

impl Course {
    /// From where a former life left it.
    pub(super) const fn new(
        patience: Patience,
        ends: bool,
        failing_since: Option<Timestamp>,
        attempts: u32,
    ) -> Self {
        Self { patience, ends, failing_since, attempts, next: Next::Read, rested: Effect::Read }
    }

    pub(super) const fn failing_since(&self) -> Option<Timestamp> {
        self.failing_since
    }

    pub(super) const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// `thrown` is any number: it makes the jitter.
    pub(super) fn step(&mut self, event: Event, now: Timestamp, thrown: u64) -> Effect {
        match event {
            Event::Begin | Event::News => Effect::Read,
            Event::Page { events: true, .. } => Effect::Send,
            Event::Page { events: false, more: true } => Effect::Read,
            Event::Page { events: false, more: false } if self.ends => Effect::End(Why::Done),
            Event::Page { events: false, more: false } => Effect::Await,
            Event::Taken { left } => {
                self.failing_since = None;
                self.attempts = 0;
                if left {
                    return Effect::Send;
                }
                self.next = Next::Read;
                Effect::Save
            }
            Event::NotTaken { retry_after } => self.not_taken(retry_after, now, thrown),
            Event::Gone => Effect::End(Why::Gone),
            Event::ReadFailed => self.rest_before(STORE_REST, Effect::Read),
            Event::SaveFailed => self.rest_before(STORE_REST, Effect::Save),
            Event::Saved => match self.next {
                Next::Read => Effect::Read,
                Next::Rest(rest) => self.rest_before(rest, Effect::Send),
                Next::End(why) => Effect::End(why),
            },
            Event::Rested => self.rested,
        }
    }

    const fn rest_before(&mut self, rest: Ttl, rested: Effect) -> Effect {
        self.rested = rested;
        Effect::Rest(rest)
    }

    fn not_taken(&mut self, retry_after: Option<Ttl>, now: Timestamp, thrown: u64) -> Effect {
        let since = *self.failing_since.get_or_insert(now);
        self.attempts = self.attempts.saturating_add(1);
        if now.since(since) >= self.patience.give_up {
            self.next = Next::End(Why::GaveUp);
            return Effect::Save;
        }
        let rest = self.rest(thrown).max(retry_after.unwrap_or_default().min(self.patience.rest_max));
        self.next = Next::Rest(rest);
        Effect::Save
    }

    /// Any span up to a bound that doubles with each failure, so that many who failed together do
    /// not come back together.
    fn rest(&self, thrown: u64) -> Ttl {
        let doublings = self.attempts.saturating_sub(1).min(30);
        let bound = self.patience.rest_first.as_millis() << doublings;
        Ttl::from_millis(thrown % bound.min(self.patience.rest_max.as_millis()).max(1) + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        rest_first: Ttl::from_secs(1),
        rest_max: Ttl::from_secs(3600),
        give_up: Ttl::from_secs(3 * 86_400),
    };
    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
    const FAILED: Event = Event::NotTaken { retry_after: None };

    fn course() -> Course {
        Course::new(PATIENCE, false, None, 0)
    }

    /// Fails once more, and says how long it rests.
    fn fail(course: &mut Course, event: Event, now: Timestamp, thrown: u64) -> Ttl {
        assert_eq!(course.step(event, now, thrown), Effect::Save);
        match course.step(Event::Saved, now, thrown) {
            Effect::Rest(rest) => rest,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_was_taken_is_saved_before_more_is_read_and_nothing_new_is_waited_for() {
        let mut course = course();
        let steps = [
            (Event::Begin, Effect::Read),
            (Event::Page { events: true, more: false }, Effect::Send),
            (Event::Taken { left: true }, Effect::Send),
            (Event::Taken { left: false }, Effect::Save),
            (Event::Saved, Effect::Read),
            (Event::Page { events: false, more: true }, Effect::Read),
            (Event::Page { events: false, more: false }, Effect::Await),
            (Event::News, Effect::Read),
        ];
        for (event, effect) in steps {
            assert_eq!(course.step(event, NOW, 0), effect, "{event:?}");
        }
    }

    #[test]
    fn rests_double_to_a_bound_with_full_jitter_and_the_same_is_sent_again() {
        let mut course = course();
        course.step(Event::Begin, NOW, 0);
        for bound_s in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600, 3600, 3600] {
            let mut other = course.clone();
            assert_eq!(fail(&mut other, FAILED, NOW, bound_s * 1000 - 1), Ttl::from_secs(bound_s));
            assert_eq!(fail(&mut course, FAILED, NOW, bound_s * 1000), Ttl::from_millis(1));
            assert_eq!(course.step(Event::Rested, NOW, 0), Effect::Send);
        }
        course.step(Event::Taken { left: false }, NOW, 0);
        course.step(Event::Saved, NOW, 0);
        assert_eq!((course.attempts(), course.failing_since()), (0, None), "success forgives all");
        assert!(fail(&mut course, FAILED, NOW, u64::MAX) <= Ttl::from_secs(1));
    }

    #[test]
    fn a_receiver_says_itself_how_long_to_wait_within_bounds() {
        let asked = |span| Event::NotTaken { retry_after: Some(span) };
        assert_eq!(fail(&mut course(), asked(Ttl::from_secs(60)), NOW, 5), Ttl::from_secs(60));
        assert_eq!(fail(&mut course(), asked(Ttl::from_secs(86_400)), NOW, 5), Ttl::from_secs(3600));
        assert_eq!(fail(&mut course(), asked(Ttl::ZERO), NOW, 499), Ttl::from_millis(500));
    }

    #[test]
    fn it_gives_up_after_three_days_without_success_a_restart_between_or_not() {
        let mut course = course();
        fail(&mut course, FAILED, NOW, 0);
        let mut later = Course::new(PATIENCE, false, course.failing_since(), course.attempts());
        fail(&mut later, FAILED, NOW + Ttl::from_millis(3 * 86_400_000 - 1), 0);
        let end = NOW + PATIENCE.give_up;
        assert_eq!(later.step(FAILED, end, 0), Effect::Save);
        assert_eq!(later.step(Event::Saved, end, 0), Effect::End(Why::GaveUp));
    }

    #[test]
    fn who_is_gone_is_asked_no_more_and_a_replay_ends() {
        assert_eq!(course().step(Event::Gone, NOW, 0), Effect::End(Why::Gone));
        let mut replay = Course::new(PATIENCE, true, None, 0);
        assert_eq!(replay.step(Event::Page { events: false, more: true }, NOW, 0), Effect::Read);
        assert_eq!(replay.step(Event::Page { events: false, more: false }, NOW, 0), Effect::End(Why::Done));
    }

    #[test]
    fn a_store_that_refuses_is_asked_the_same_again() {
        let mut course = course();
        assert_eq!(course.step(Event::ReadFailed, NOW, 0), Effect::Rest(STORE_REST));
        assert_eq!(course.step(Event::Rested, NOW, 0), Effect::Read);
        course.step(FAILED, NOW, 0);
        assert_eq!(course.step(Event::SaveFailed, NOW, 0), Effect::Rest(STORE_REST));
        assert_eq!(course.step(Event::Rested, NOW, 0), Effect::Save);
        assert_eq!(course.step(Event::Saved, NOW, 0), Effect::Rest(Ttl::from_millis(1)));
        assert_eq!(course.step(Event::Rested, NOW, 0), Effect::Send);
    }
}

//! Whether a vendor's word that tokens are dead is believed. Pure: time comes in.
//!
//! A wrong environment, project or bundle looks like "every token is dead", and a device whose token
//! is unbound is not reached until its app runs again. So the word is believed of few at a time:
//!
//! 1. Of at least 50 that were taken or dead within ten minutes, more than a fifth dead: a fault of
//!    the setup. The channel stops, and nobody is unbound until one is taken again.
//! 2. Five dead in a row, and never one taken since the channel began or was mended: no token is
//!    unbound on that any more. Those errands wait an hour.
//! 3. Else the token is dead. So an app's one dead token among few is unbound at once, and of an app
//!    in the wrong environment at most four are.
//!
//! An old list of tokens may truly be dead by a third: an operator whose trial was taken by the
//! vendor has shown that the setup is right, and for a day the word is believed.

use std::collections::VecDeque;

use carillon_sdk::{Timestamp, Ttl};

const SENDS_MIN: u64 = 50;
const DEAD_PERCENT_MAX: u64 = 20;
const IN_A_ROW_MAX: u32 = 5;
const WINDOW: Ttl = Ttl::from_secs(600);
const GRAIN: Ttl = Ttl::from_secs(60);
const TRUST: Ttl = Ttl::from_secs(86_400);

/// How long an errand waits whose token is not believed to be dead.
pub(super) const HOLD: Ttl = Ttl::from_secs(3_600);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Dead,
    /// Not on this evidence.
    Hold,
    /// The setup is wrong.
    Suspect,
}

#[derive(Debug, Default)]
pub(super) struct Guard {
    /// What was taken and what was dead, a minute each; at most eleven of them.
    window: VecDeque<(Timestamp, u64, u64)>,
    in_a_row: u32,
    ever_taken: bool,
    trusted_until: Option<Timestamp>,
}

impl Guard {
    /// One call's worth, before any of its dead are judged.
    pub(super) fn saw(&mut self, taken: usize, dead: usize, now: Timestamp) {
        if taken + dead == 0 {
            return;
        }
        let begins = self.window.back().is_none_or(|(at, ..)| now.since(*at) >= GRAIN);
        if begins {
            self.window.push_back((now, 0, 0));
        }
        if let Some((_, of_taken, of_dead)) = self.window.back_mut() {
            *of_taken += taken as u64;
            *of_dead += dead as u64;
        }
        while self.window.front().is_some_and(|(at, ..)| now.since(*at) > WINDOW) {
            self.window.pop_front();
        }
        if taken > 0 {
            self.ever_taken = true;
            self.in_a_row = 0;
        }
    }

    /// Of one dead token of a call that was seen.
    pub(super) fn judge(&mut self, now: Timestamp) -> Verdict {
        if self.trusted_until.is_some_and(|until| now < until) {
            return Verdict::Dead;
        }
        let (taken, dead) = self
            .window
            .iter()
            .fold((0, 0), |(taken, dead), (_, of_taken, of_dead)| (taken + of_taken, dead + of_dead));
        if taken + dead >= SENDS_MIN && dead * 100 > (taken + dead) * DEAD_PERCENT_MAX {
            // The calls that look whether it is mended shall unbind nobody either.
            self.ever_taken = false;
            self.in_a_row = IN_A_ROW_MAX;
            return Verdict::Suspect;
        }
        self.in_a_row = self.in_a_row.saturating_add(1);
        if !self.ever_taken && self.in_a_row >= IN_A_ROW_MAX { Verdict::Hold } else { Verdict::Dead }
    }

    /// An operator saw that the vendor takes messages with this setup.
    pub(super) fn trust(&mut self, now: Timestamp) {
        *self = Self { ever_taken: true, trusted_until: Some(now + TRUST), ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    /// Calls of one token each: taken or dead, in this order; what is judged of the dead.
    fn verdicts(guard: &mut Guard, calls: &str, now: Timestamp) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        for call in calls.chars() {
            guard.saw(usize::from(call == '+'), usize::from(call == '-'), now);
            if call == '-' {
                verdicts.push(guard.judge(now));
            }
        }
        verdicts
    }

    #[test]
    fn a_small_apps_single_dead_token_is_dead() {
        assert_eq!(verdicts(&mut Guard::default(), "-", NOW), [Verdict::Dead]);
        assert_eq!(verdicts(&mut Guard::default(), "+-+-", NOW), [Verdict::Dead; 2]);
        assert_eq!(verdicts(&mut Guard::default(), "+------", NOW), [Verdict::Dead; 6]);
    }

    #[test]
    fn five_in_a_row_and_never_one_taken_are_not_believed_until_one_is() {
        let mut guard = Guard::default();
        let expected =
            [Verdict::Dead, Verdict::Dead, Verdict::Dead, Verdict::Dead, Verdict::Hold, Verdict::Hold];
        assert_eq!(verdicts(&mut guard, "------", NOW), expected);
        let tomorrow = NOW + Ttl::from_secs(86_400);
        assert_eq!(verdicts(&mut guard, "-+-", tomorrow), [Verdict::Hold, Verdict::Dead]);
    }

    #[test]
    fn more_than_a_fifth_of_fifty_is_the_setups_fault() {
        let mut guard = Guard::default();
        guard.saw(40, 10, NOW);
        assert_eq!(guard.judge(NOW), Verdict::Dead, "exactly a fifth");
        guard.saw(0, 1, NOW);
        assert_eq!(guard.judge(NOW), Verdict::Suspect);
        guard.saw(10, 0, NOW);
        assert_eq!(guard.judge(NOW), Verdict::Dead);
    }

    #[test]
    fn once_suspect_a_token_is_dead_again_when_another_was_taken() {
        let mut guard = Guard::default();
        guard.saw(40, 40, NOW);
        assert_eq!(guard.judge(NOW), Verdict::Suspect);
        let later = NOW + WINDOW + Ttl::from_millis(1);
        assert_eq!(verdicts(&mut guard, "--+-", later), [Verdict::Hold, Verdict::Hold, Verdict::Dead]);
    }

    #[test]
    fn a_batch_that_is_dead_as_a_whole_unbinds_nobody_though_the_app_sent_before() {
        let mut guard = Guard::default();
        guard.saw(100, 0, NOW);
        guard.saw(0, 1_000, NOW);
        assert_eq!(guard.judge(NOW), Verdict::Suspect);
    }

    #[test]
    fn what_was_long_ago_says_nothing() {
        let mut guard = Guard::default();
        guard.saw(1_000, 0, NOW);
        let later = NOW + WINDOW + Ttl::from_millis(1);
        guard.saw(45, 15, later);
        assert_eq!(guard.judge(later), Verdict::Suspect, "one in four");
        let much_later = later + WINDOW + Ttl::from_millis(1);
        guard.saw(30, 12, much_later);
        assert_eq!(guard.judge(much_later), Verdict::Dead);
    }

    #[test]
    fn an_operator_who_saw_it_work_is_believed_for_a_day() {
        let mut guard = Guard::default();
        guard.saw(60, 40, NOW);
        assert_eq!(guard.judge(NOW), Verdict::Suspect);
        guard.trust(NOW);
        guard.saw(60, 40, NOW);
        assert_eq!(guard.judge(NOW), Verdict::Dead);
        let next = NOW + TRUST;
        guard.saw(60, 40, next);
        assert_eq!(guard.judge(next), Verdict::Suspect);
    }
}

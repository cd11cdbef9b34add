//! What a channel has to show, and when to get another. Pure: time comes in.
//!
//! ```text
//!  none ──ask──▶ fetching ──got──▶ held ──ask after renew_at──▶ held and fetching ──got──▶ held
//!   ▲               │ refused                    │ rejected by the vendor
//!   └──failed until─┘ ◀──────────────────────────┘ (once; twice in a row is a fault of the setup)
//! ```
//!
//! One request for another at a time; what is held goes on being used meanwhile.

use carillon_sdk::{Timestamp, Ttl};

use super::{Access, AccessView, Refused};

/// A vendor that gave none is left alone for so long at first, twice that each time, at most so long:
/// a wrong secret must not hammer it.
const REST_FIRST: Ttl = Ttl::from_secs(30);
const REST_MAX: Ttl = Ttl::from_secs(300);

/// What a call may show now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Show {
    This(Access),
    /// It is being fetched.
    Wait,
    /// None is to be had before then.
    Not {
        before: Timestamp,
    },
}

/// The answer to [`Credential::ask`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) show: Show,
    /// Another is to be fetched: the one request.
    pub(super) fetch: bool,
}

/// What a rejected access means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rejected {
    /// The call may be made once more, with another.
    Replay,
    /// Another would be rejected too: the setup is wrong.
    Config,
}

#[derive(Debug, Default)]
pub(super) struct Credential {
    held: Option<Access>,
    /// No other before this, whatever became of the one that said so.
    not_before: Option<Timestamp>,
    fetching: bool,
    failed: Option<Timestamp>,
    failures: u32,
    /// One was rejected, and nothing was taken since.
    rejected: bool,
}

impl Credential {
    /// With what a former life left.
    pub(super) fn new(kept: Option<Access>) -> Self {
        let not_before = kept.as_ref().and_then(|access| access.not_again_before);
        Self { held: kept, not_before, ..Self::default() }
    }

    pub(super) fn ask(&mut self, now: Timestamp) -> Asked {
        let good = self.held.clone().filter(|_| self.is_good(now));
        let renew = good.as_ref().is_none_or(|access| access.renew_at.is_some_and(|at| now >= at));
        let not_before = self.failed.max(self.not_before).filter(|&until| now < until);
        let fetch = renew && !self.fetching && not_before.is_none();
        self.fetching |= fetch;
        let show = match (good, not_before) {
            (Some(access), _) => Show::This(access),
            (None, Some(before)) if !self.fetching => Show::Not { before },
            (None, _) => Show::Wait,
        };
        Asked { show, fetch }
    }

    /// Something can be shown.
    pub(super) fn is_good(&self, now: Timestamp) -> bool {
        self.held.as_ref().is_some_and(|access| access.ends_at.is_none_or(|end| now < end))
    }

    /// Nothing can be shown before then; none when something can, or is on its way.
    pub(super) fn blocked_until(&self, now: Timestamp) -> Option<Timestamp> {
        if self.is_good(now) || self.fetching {
            return None;
        }
        self.failed.max(self.not_before).filter(|&until| now < until)
    }

    /// The one request was answered. `thrown` is any number: it makes the jitter. True when there is
    /// something new to keep.
    pub(super) fn got(&mut self, access: Result<Access, &Refused>, now: Timestamp, thrown: u64) -> bool {
        self.fetching = false;
        match access {
            Ok(access) => {
                self.failed = None;
                self.failures = 0;
                self.not_before = access.not_again_before;
                let is_new = self.held.as_ref() != Some(&access);
                self.held = Some(access);
                is_new
            }
            Err(_) => {
                let bound = (REST_FIRST.as_millis() << self.failures.min(8)).min(REST_MAX.as_millis());
                self.failures = self.failures.saturating_add(1);
                // Never less than half of it.
                let rest = bound / 2 + thrown % (bound / 2 + 1);
                self.failed = Some(now + Ttl::from_millis(rest));
                false
            }
        }
    }

    /// A call that showed this was rejected for it; `replayed` when it was so before.
    pub(super) fn rejected(&mut self, shown: &str, replayed: bool) -> Rejected {
        let is_held = self.held.as_ref().is_some_and(|access| access.token() == shown);
        if !is_held {
            // Another was got meanwhile, or is being got.
            return if replayed { Rejected::Config } else { Rejected::Replay };
        }
        self.held = None;
        let again = std::mem::replace(&mut self.rejected, true);
        if again || replayed { Rejected::Config } else { Rejected::Replay }
    }

    /// A call that showed it was taken.
    pub(super) const fn accepted(&mut self) {
        self.rejected = false;
    }

    /// Someone mended the setup at the vendor: what failed is tried again at once.
    pub(super) const fn mended(&mut self) {
        self.failed = None;
        self.failures = 0;
        self.rejected = false;
    }

    /// Another road got one with the same setup.
    pub(super) fn take(&mut self, access: Access) {
        self.not_before = access.not_again_before;
        self.held = Some(access);
    }

    pub(super) fn view(&self, now: Timestamp) -> AccessView {
        match (&self.held, self.failed) {
            (Some(access), _) => AccessView::Held { ends_at: access.ends_at },
            (None, Some(until)) if now < until => AccessView::Failed { until },
            (None, _) => AccessView::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::{Class, Scope};

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn later(s: u64) -> Timestamp {
        NOW + Ttl::from_secs(s)
    }

    fn hour(token: &str, from: Timestamp) -> Access {
        let mut access = Access::new(token);
        access.renew_at = Some(from + Ttl::from_secs(3_000));
        access.ends_at = Some(from + Ttl::from_secs(3_600));
        access
    }

    fn asked(show: Show, fetch: bool) -> Asked {
        Asked { show, fetch }
    }

    fn refused() -> Refused {
        Refused::new(Class::Config, Scope::App, "invalid_client")
    }

    #[test]
    fn however_many_ask_one_is_fetched() {
        let mut credential = Credential::default();
        assert_eq!(credential.ask(NOW), asked(Show::Wait, true));
        assert_eq!(credential.ask(NOW), asked(Show::Wait, false));
        assert!(credential.got(Ok(hour("a", NOW)), NOW, 0));
        assert_eq!(credential.ask(NOW), asked(Show::This(hour("a", NOW)), false));
    }

    #[test]
    fn the_old_one_serves_while_another_is_fetched_and_not_past_its_end() {
        let mut credential = Credential::new(Some(hour("a", NOW)));
        assert_eq!(credential.ask(later(2_999)), asked(Show::This(hour("a", NOW)), false));
        assert_eq!(credential.ask(later(3_000)), asked(Show::This(hour("a", NOW)), true));
        assert_eq!(credential.ask(later(3_599)), asked(Show::This(hour("a", NOW)), false));
        assert_eq!(credential.ask(later(3_600)), asked(Show::Wait, false));
    }

    #[test]
    fn a_vendor_that_gives_none_is_left_alone_longer_and_longer() {
        let mut credential = Credential::default();
        let mut now = NOW;
        for (least, most) in [(15, 30), (30, 60), (60, 120), (120, 240), (150, 300), (150, 300)] {
            for thrown in [0, u64::MAX] {
                let mut other = Credential { failures: credential.failures, ..Credential::default() };
                assert!(other.ask(now).fetch);
                other.got(Err(&refused()), now, thrown);
                let Show::Not { before } = other.ask(now).show else { panic!("it is left alone") };
                let rest = before.since(now);
                assert!(rest >= Ttl::from_secs(least) && rest <= Ttl::from_secs(most), "{rest:?}");
            }
            credential.ask(now);
            credential.got(Err(&refused()), now, 0);
            assert!(!credential.ask(now).fetch);
            now = now + Ttl::from_secs(300);
        }
        credential.mended();
        assert!(credential.ask(now).fetch);
    }

    #[test]
    fn a_rejected_one_is_replaced_once_and_the_second_in_a_row_is_the_setups_fault() {
        let mut credential = Credential::new(Some(hour("a", NOW)));
        assert_eq!(credential.rejected("a", false), Rejected::Replay);
        assert_eq!(credential.rejected("a", false), Rejected::Replay, "another call that showed it");
        assert_eq!(credential.ask(NOW), asked(Show::Wait, true));
        credential.got(Ok(hour("b", NOW)), NOW, 0);
        assert_eq!(credential.rejected("a", false), Rejected::Replay, "a late one");
        assert_eq!(credential.ask(NOW).show, Show::This(hour("b", NOW)));
        assert_eq!(credential.rejected("b", false), Rejected::Config);
    }

    #[test]
    fn a_call_is_replayed_once_and_one_that_was_taken_forgives() {
        let mut credential = Credential::new(Some(hour("a", NOW)));
        assert_eq!(credential.rejected("a", true), Rejected::Config);
        let mut credential = Credential::new(Some(hour("a", NOW)));
        credential.rejected("a", false);
        credential.ask(NOW);
        credential.got(Ok(hour("b", NOW)), NOW, 0);
        credential.accepted();
        assert_eq!(credential.rejected("b", false), Rejected::Replay);
    }

    #[test]
    fn no_other_is_got_before_the_vendor_lets_after_a_restart_neither() {
        let mut paced = hour("a", NOW);
        paced.not_again_before = Some(later(1_200));
        let mut credential = Credential::new(Some(paced));
        credential.rejected("a", false);
        assert_eq!(credential.ask(NOW), asked(Show::Not { before: later(1_200) }, false));
        assert_eq!(credential.ask(later(1_200)), asked(Show::Wait, true));
    }
}

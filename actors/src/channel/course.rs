//! What follows from a vendor's refusal, for the errand and for the channel. Pure: time comes in.

use carillon_sdk::{Timestamp, Vendor};

use super::credential::Rejected;
use super::guard::{self, Verdict};
use super::{Class, End, Pause, Refused, Scope, retry};

/// The errand's side of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case {
    pub(super) vendor: Vendor,
    pub(super) attempts: u16,
    pub(super) expires_at: Timestamp,
    pub(super) registered_at: Timestamp,
    /// It went with others.
    pub(super) in_batch: bool,
    /// Others of the same call were taken.
    pub(super) others_taken: bool,
    /// With `Unbind`: what the guard says.
    pub(super) verdict: Verdict,
    /// With `Reauth`: what the credential says.
    pub(super) rejected: Rejected,
    pub(super) now: Timestamp,
    /// Any number: it makes the jitter.
    pub(super) thrown: u64,
}

/// What becomes of the errand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    End(End),
    /// At once, by itself.
    Alone,
    /// At once, with another access.
    Replay,
}

/// What the channel does besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    Nothing,
    /// Half as fast; and nothing at all until then, if the vendor said so.
    Slow {
        until: Option<Timestamp>,
    },
    PauseApp(Timestamp),
    PauseSort(Timestamp),
    PauseEndpoint(Timestamp),
    /// The day's share is spent: of the message's sort, or of all.
    SpentSort,
    SpentApp,
    /// The setup is wrong.
    Trip,
    /// The vendor, or the way there, is not well.
    Fault,
}

pub(super) fn judge(refused: &Refused, case: Case) -> (Fate, Then) {
    match refused.class {
        Class::Retry => retried(refused, case),
        Class::Throttle => throttled(refused, case),
        Class::Unbind => dead(refused, case),
        Class::Reauth => match case.rejected {
            Rejected::Replay => (Fate::Replay, Then::Nothing),
            Rejected::Config => (again(refused, case), Then::Trip),
        },
        Class::Perm => (refuse(refused), Then::Nothing),
        Class::Config => match refused.scope {
            // What the vendor takes from others is not wrong for all.
            Scope::App | Scope::Platform | Scope::Connection if !case.others_taken => {
                (again(refused, case), Then::Trip)
            }
            _ => (refuse(refused), Then::Nothing),
        },
    }
}

fn retried(refused: &Refused, case: Case) -> (Fate, Then) {
    let asked = retry::asked(case.vendor, refused.pause, case.now);
    match (refused.scope, asked) {
        (Scope::Device, None) if case.in_batch => (Fate::Alone, Then::Nothing),
        (Scope::App, Some(until)) => (again(refused, case), Then::PauseApp(until)),
        (Scope::App | Scope::Connection | Scope::Platform, _) => (again(refused, case), Then::Fault),
        (Scope::Category, Some(until)) => (again(refused, case), Then::PauseSort(until)),
        (Scope::Endpoint, Some(until)) => (again(refused, case), Then::PauseEndpoint(until)),
        _ => (again(refused, case), Then::Nothing),
    }
}

fn throttled(refused: &Refused, case: Case) -> (Fate, Then) {
    let asked = retry::asked(case.vendor, refused.pause, case.now);
    let is_days = refused.pause == Some(Pause::NextDay);
    let then = match refused.scope {
        Scope::App | Scope::Connection | Scope::Platform if is_days => Then::SpentApp,
        Scope::Category if is_days => Then::SpentSort,
        Scope::App | Scope::Connection | Scope::Platform => match (refused.pause, asked) {
            (Some(Pause::Hour(_)), Some(until)) => Then::PauseApp(until),
            (_, until) => Then::Slow { until },
        },
        Scope::Category | Scope::Endpoint => {
            let until = asked.unwrap_or(case.now + retry::backoff(case.attempts, refused.scope, case.thrown));
            if refused.scope == Scope::Endpoint { Then::PauseEndpoint(until) } else { Then::PauseSort(until) }
        }
        Scope::Message | Scope::Device => Then::Nothing,
    };
    // A message that ends before the vendor's day turns does not wait for it in vain.
    if is_days && asked.is_some_and(|until| until >= case.expires_at) {
        return (refuse(refused), then);
    }
    (again(refused, case), then)
}

fn dead(refused: &Refused, case: Case) -> (Fate, Then) {
    if refused.dead_since.is_some_and(|since| case.registered_at > since) {
        // The vendor speaks of what was before: the device has come back since.
        return (again(refused, case), Then::Nothing);
    }
    match case.verdict {
        Verdict::Dead => {
            let (code, dead_since) = (refused.code.clone(), refused.dead_since);
            (Fate::End(End::Dead { code, dead_since }), Then::Nothing)
        }
        Verdict::Hold => {
            let at = (case.now + guard::HOLD).min(case.expires_at);
            (Fate::End(End::Again { at }), Then::Nothing)
        }
        Verdict::Suspect => (again(refused, case), Then::Trip),
    }
}

fn again(refused: &Refused, case: Case) -> Fate {
    let Case { vendor, attempts, expires_at, now, thrown, .. } = case;
    Fate::End(End::Again { at: retry::at(vendor, attempts, refused, expires_at, now, thrown) })
}

fn refuse(refused: &Refused) -> Fate {
    Fate::End(End::Refused { code: refused.code.clone() })
}

#[cfg(test)]
mod tests {
    use carillon_sdk::Ttl;

    use super::*;

    /// Noon in Shanghai.
    const NOW: Timestamp = Timestamp::from_millis(1_795_622_400_000 - 43_200_000);
    const MIDNIGHT: Timestamp = Timestamp::from_millis(1_795_622_400_000);

    fn later(s: u64) -> Timestamp {
        NOW + Ttl::from_secs(s)
    }

    fn case() -> Case {
        Case {
            vendor: Vendor::Huawei,
            attempts: 0,
            expires_at: later(86_400),
            registered_at: later(0) - Ttl::from_secs(3_600),
            in_batch: true,
            others_taken: true,
            verdict: Verdict::Dead,
            rejected: Rejected::Replay,
            now: NOW,
            thrown: 499,
        }
    }

    fn refused(class: Class, scope: Scope) -> Refused {
        Refused::new(class, scope, "code")
    }

    const SOON: Fate = Fate::End(End::Again { at: Timestamp::from_millis(1_795_579_200_500) });

    fn over() -> Fate {
        Fate::End(End::Refused { code: "code".to_owned() })
    }

    #[test]
    fn every_class_and_scope_has_its_end() {
        use Class::{Config, Perm, Reauth, Retry, Throttle};
        use Scope::{App, Category, Connection, Device, Endpoint, Message, Platform};
        let alone = Case { others_taken: false, ..case() };
        for (case, class, scope, fate, then) in [
            (case(), Retry, Message, SOON, Then::Nothing),
            (case(), Retry, Device, Fate::Alone, Then::Nothing),
            (Case { in_batch: false, ..case() }, Retry, Device, SOON, Then::Nothing),
            (case(), Retry, App, SOON, Then::Fault),
            (case(), Retry, Connection, SOON, Then::Fault),
            (case(), Retry, Platform, SOON, Then::Fault),
            (case(), Throttle, App, SOON, Then::Slow { until: None }),
            (case(), Throttle, Platform, SOON, Then::Slow { until: None }),
            (case(), Throttle, Category, SOON, Then::PauseSort(NOW + Ttl::from_millis(500))),
            (case(), Throttle, Endpoint, SOON, Then::PauseEndpoint(NOW + Ttl::from_millis(500))),
            (case(), Throttle, Device, SOON, Then::Nothing),
            (case(), Reauth, App, Fate::Replay, Then::Nothing),
            (Case { rejected: Rejected::Config, ..case() }, Reauth, App, SOON, Then::Trip),
            (case(), Perm, Message, over(), Then::Nothing),
            (case(), Perm, Device, over(), Then::Nothing),
            (alone, Config, App, SOON, Then::Trip),
            (alone, Config, Platform, SOON, Then::Trip),
            (case(), Config, App, over(), Then::Nothing),
            (alone, Config, Category, over(), Then::Nothing),
            (alone, Config, Message, over(), Then::Nothing),
        ] {
            assert_eq!(judge(&refused(class, scope), case), (fate, then), "{class:?} {scope:?}");
        }
    }

    #[test]
    fn a_pause_goes_to_its_scope() {
        let minute = Some(Pause::For(Ttl::from_secs(60)));
        let again = Fate::End(End::Again { at: later(60) });
        for (class, scope, then) in [
            (Class::Throttle, Scope::App, Then::Slow { until: Some(later(60)) }),
            (Class::Throttle, Scope::Category, Then::PauseSort(later(60))),
            (Class::Throttle, Scope::Endpoint, Then::PauseEndpoint(later(60))),
            (Class::Throttle, Scope::Device, Then::Nothing),
            (Class::Retry, Scope::App, Then::PauseApp(later(60))),
            (Class::Retry, Scope::Endpoint, Then::PauseEndpoint(later(60))),
        ] {
            let refused = refused(class, scope).pausing(minute);
            assert_eq!(judge(&refused, case()), (again.clone(), then), "{class:?} {scope:?}");
        }
        let night = refused(Class::Throttle, Scope::App).pausing(Some(Pause::Hour(18)));
        assert_eq!(judge(&night, case()).1, Then::PauseApp(later(6 * 3_600)));
    }

    #[test]
    fn a_spent_day_parks_what_lives_longer_and_ends_what_does_not() {
        let spent = |scope| refused(Class::Throttle, scope).pausing(Some(Pause::NextDay));
        let parked = Fate::End(End::Again { at: MIDNIGHT + Ttl::from_millis(499) });
        for (scope, then) in
            [(Scope::App, Then::SpentApp), (Scope::Category, Then::SpentSort), (Scope::Device, Then::Nothing)]
        {
            assert_eq!(judge(&spent(scope), case()), (parked.clone(), then));
            let short = Case { expires_at: MIDNIGHT, ..case() };
            assert_eq!(judge(&spent(scope), short), (over(), then));
        }
    }

    #[test]
    fn a_dead_token_is_what_the_guard_says_and_a_newer_one_lives() {
        let since = Some(NOW - Ttl::from_secs(7_200));
        let dead = Refused { dead_since: since, ..refused(Class::Unbind, Scope::Device) };
        assert_eq!(judge(&dead, case()), (SOON, Then::Nothing), "registered an hour ago");
        let old = Case { registered_at: NOW - Ttl::from_secs(7_200), ..case() };
        let end = End::Dead { code: "code".to_owned(), dead_since: since };
        assert_eq!(judge(&dead, old), (Fate::End(end), Then::Nothing));
        let held = Fate::End(End::Again { at: later(3_600) });
        assert_eq!(judge(&dead, Case { verdict: Verdict::Hold, ..old }), (held, Then::Nothing));
        assert_eq!(judge(&dead, Case { verdict: Verdict::Suspect, ..old }), (SOON, Then::Trip));
    }

    #[test]
    fn an_unknown_code_follows_its_status() {
        for (status, then) in [
            (500, Then::Fault),
            (503, Then::Slow { until: None }),
            (418, Then::Nothing),
            (401, Then::Nothing),
        ] {
            assert_eq!(judge(&Refused::unknown(status, "Odd"), case()).1, then, "{status}");
        }
    }
}

//! What the vendor said, and what follows.

use super::super::batch::Held;
use super::super::course::{self, Case, Fate, Then};
use super::super::credential::Rejected;
use super::super::guard::Verdict;
use super::super::{Accepted, Access, Class, End, LastError, Outcome, Refused, Scope, counted};
use super::{Call, CallId, Desk, Effect, Now};

/// What a call says of the vendor's health, beside what it says of errands.
#[derive(Debug, Default)]
struct Health {
    well: bool,
    /// Code and text of what says otherwise.
    fault: Option<(String, String)>,
    /// The fault is the way's, or of an errand that had not failed before.
    is_witness: bool,
    /// It had too much to do for this.
    busy: Option<(String, String)>,
    trip: Option<(String, String)>,
    /// A dead token that is not believed to be.
    doubt: Option<(String, String)>,
}

impl Desk {
    pub(super) fn authorized(
        &mut self,
        access: Result<Access, Refused>,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let thrown = self.throw();
        match access {
            Ok(access) => {
                if self.credential.got(Ok(access.clone()), now.at, thrown) && !access.token().is_empty() {
                    effects.push(Effect::KeepAccess(access));
                }
            }
            Err(refused) => {
                counted::refused(self.vendor, &refused);
                self.credential.got(Err(&refused), now.at, thrown);
                if matches!(refused.class, Class::Config | Class::Reauth | Class::Perm) {
                    self.breaker.trip(&refused.code, &refused.text, now.at, thrown);
                }
                self.last_error = Some(LastError { at: now.at, refused });
            }
        }
    }

    pub(super) fn mended(&mut self, access: Access, sent: bool, now: Now) {
        self.breaker.passed();
        self.pauses.clear();
        self.credential.mended();
        self.credential.take(access);
        if sent {
            self.guard.trust(now.at);
        }
    }

    pub(super) fn answered(&mut self, call: CallId, mut outcomes: Vec<Outcome>, now: Now) {
        let Some(Call { held, shown, counted_at }) = self.calls.remove(&call) else { return };
        // Whatever a gateway says of nobody is not heard, and whom it forgets may have been sent to.
        outcomes.resize_with(held.len(), || Refused::silent().into());
        let taken = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Accepted(_))).count();
        let is_class = |outcome: &&Outcome, class| matches!(outcome, Outcome::Refused(refused) if refused.class == class);
        let dead = outcomes.iter().filter(|outcome| is_class(outcome, Class::Unbind)).count();
        self.guard.saw(taken, dead, now.at);
        let replayed = held.iter().any(|held| held.replayed);
        let rejected = if outcomes.iter().any(|outcome| is_class(&outcome, Class::Reauth)) {
            self.credential.rejected(&shown, replayed)
        } else {
            Rejected::Replay
        };
        if taken > 0 {
            self.credential.accepted();
            self.last_accepted_at = Some(now.at);
        }
        let in_batch = held.len() > 1;
        // One for the call: what went together comes back together.
        let thrown = self.throw();
        let (mut health, mut replay) = (Health { well: taken > 0, ..Health::default() }, Vec::new());
        for (held, outcome) in held.into_iter().zip(outcomes) {
            match outcome {
                Outcome::Accepted(accepted) => self.accepted(&held, accepted, now),
                Outcome::Refused(refused) => {
                    counted::refused(self.vendor, &refused);
                    if !refused.is_ambiguous {
                        self.ledger.give_back(held.sort, held.errand.device.ordinal, counted_at, now.at);
                    }
                    let verdict = match refused.class {
                        Class::Unbind => self.guard.judge(now.at),
                        _ => Verdict::Dead,
                    };
                    let case = Case {
                        vendor: self.vendor,
                        attempts: held.errand.attempts,
                        expires_at: held.errand.message.expires_at,
                        registered_at: held.errand.registered_at,
                        in_batch,
                        others_taken: taken > 0,
                        verdict,
                        rejected,
                        now: now.at,
                        thrown,
                    };
                    let (fate, then) = course::judge(&refused, case);
                    self.then(then, &held, now);
                    health.saw(&refused, then, verdict, held.errand.attempts);
                    self.last_error = Some(LastError { at: now.at, refused });
                    self.meet(fate, held, &mut replay, now);
                }
            }
        }
        self.batch.put_back(replay);
        self.look_after(health, now);
    }

    fn accepted(&mut self, held: &Held, Accepted { vendor_id, degraded }: Accepted, now: Now) {
        counted::accepted(self.vendor, &degraded);
        self.end(held, End::HandedOver { vendor_id }, now);
    }

    fn meet(&mut self, fate: Fate, held: Held, replay: &mut Vec<Held>, now: Now) {
        match fate {
            Fate::End(end) => self.end(&held, end, now),
            Fate::Alone => self.batch.add(vec![Held { alone: true, ..held }], now.ms),
            Fate::Replay => replay.push(Held { replayed: true, ..held }),
        }
    }

    fn then(&mut self, then: Then, held: &Held, now: Now) {
        match then {
            Then::Nothing | Then::Trip | Then::Fault => {}
            Then::Slow { until } => {
                self.pace.halve(now.ms);
                if let Some(until) = until {
                    self.pauses.pause_app(until);
                }
            }
            Then::PauseApp(until) => self.pauses.pause_app(until),
            Then::PauseSort(until) => self.pauses.pause_sort(held.sort, until),
            Then::PauseEndpoint(until) => {
                if let Some(endpoint) = self.endpoint(&held.errand.token) {
                    self.pauses.pause_endpoint(&endpoint, until, now.at);
                }
            }
            Then::SpentSort => {
                self.ledger.spent(held.sort, now.at);
            }
            Then::SpentApp => self.ledger.spent_all(now.at),
        }
    }

    /// The breaker hears of a call once, whatever it said of how many.
    fn look_after(&mut self, health: Health, now: Now) {
        let thrown = self.throw();
        if health.well && self.breaker.passed() {
            tracing::info!(vendor = %self.vendor, "a channel goes again");
        }
        // Were it nothing, the next look would follow at once.
        let doubt = health.doubt.filter(|_| !health.well && self.breaker.is_open());
        if let Some((code, text)) = health.trip.or(doubt) {
            if self.breaker.trip(&code, &text, now.at, thrown) {
                tracing::error!(vendor = %self.vendor, code, text, "a channel stops: its setup is wrong");
            }
        } else if !health.well {
            let (opened, (code, text)) = match (health.fault, health.busy) {
                (Some((code, text)), _) => {
                    (self.breaker.fault(&code, &text, health.is_witness, now.at, thrown), (code, text))
                }
                (None, Some((code, text))) => (self.breaker.busy(&code, &text, now.at, thrown), (code, text)),
                (None, None) => return self.breaker.probed_nothing(),
            };
            if opened {
                tracing::warn!(vendor = %self.vendor, code, text, "a channel stops: its vendor is not well");
            }
        }
    }
}

impl Health {
    fn saw(&mut self, refused: &Refused, then: Then, verdict: Verdict, attempts: u16) {
        let words = || (refused.code.clone(), refused.text.clone());
        let is_held = refused.class == Class::Unbind && verdict == Verdict::Hold;
        match then {
            Then::Trip => self.trip = Some(words()),
            Then::Fault => {
                self.fault = Some(words());
                self.is_witness |= attempts == 0 || refused.scope == Scope::Connection;
            }
            Then::Slow { .. } => self.busy = Some(words()),
            _ if is_held => self.doubt = Some(words()),
            _ if refused.class == Class::Reauth || refused.scope == Scope::Connection => {}
            _ => self.well = true,
        }
    }
}

//! One channel without its store, its clock and its vendor: `event + now → effects`.
//!
//! ```text
//!  News, Tick ──▶ Claim ──Claimed──▶ Batch ──pace, quota, access──▶ Call ──Answered──▶ Conclude
//!                   ▲                                                 │ alone, replayed
//!                   └── breaker, pauses: nothing is claimed           └──▶ Batch
//! ```
//!
//! Invariants: what is claimed is concluded once; what the vendor may not get now is given back, so
//! that other roads may carry it. Limits: [`HELD_MAX`] errands wait here of each lane, and what
//! `in_flight_max` calls carry is under way.

mod answers;
mod calls;

use std::sync::Arc;

use ahash::AHashMap;
use carillon_sdk::{Timestamp, Ttl, Vendor};

use super::batch::{Batch, Held};
use super::breaker::{Allows, Breaker};
use super::credential::Credential;
use super::guard::Guard;
use super::pace::{Pace, Pauses};
use super::quota::{self, Ledger};
use super::{
    Access, Claimed, End, ErrandId, ErrandLane, LastError, Manners, Options, Outcome, Parcel, Refused, State,
};

/// Errands of one lane that wait here at most; a slow vendor has fewer.
pub(super) const HELD_MAX: usize = 2_000;
const HELD_MIN: usize = 16;

/// Errands claimed at a time: what is asked of the store waits behind what is being given out.
const CLAIMED_MAX: usize = 500;

/// A store that refuses is asked again after so long.
const STORE_REST_MS: u64 = 2_000;

/// Who is to be left alone longer than this has what waits for it given back.
const HOLD_MAX: Ttl = Ttl::from_secs(5);

/// A moment, on both clocks: spans of milliseconds are measured on the one that nobody sets.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub(super) at: Timestamp,
    pub(super) ms: u64,
}

/// What is known of an errand at the moment of sending, of those who may have left it meanwhile.
pub(super) type Owed<'a> = &'a dyn Fn(ErrandId) -> bool;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct CallId(u64);

#[derive(Debug)]
pub(super) enum Event {
    /// Something became due.
    News,
    /// Time has passed.
    Tick,
    /// None: the store refused.
    Claimed {
        lane: ErrandLane,
        asked: usize,
        claimed: Option<Claimed>,
    },
    Concluded {
        done: bool,
    },
    Authorized(Result<Access, Refused>),
    Answered {
        call: CallId,
        outcomes: Vec<Outcome>,
    },
    QuotaKept {
        done: bool,
    },
    /// A trial was taken by the vendor: with this access, and, when a message was sent, for sure.
    Mended {
        access: Access,
        sent: bool,
    },
    /// Nothing more is begun; what is under way comes to its end.
    Finish,
}

#[derive(Debug)]
pub(super) enum Effect {
    Claim { lane: ErrandLane, most: usize },
    Conclude(Vec<(ErrandId, End)>),
    Authorize,
    KeepAccess(Access),
    KeepQuota(Vec<u8>),
    Call { call: CallId, access: Access, parcel: Parcel },
}

/// What a lane of the store has for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    /// Perhaps something.
    Now,
    Asked,
    At(Timestamp),
    /// The store refused: on the clock that nobody sets.
    AtMs(u64),
    Nothing,
}

/// A call under way.
#[derive(Debug)]
struct Call {
    held: Vec<Held>,
    shown: String,
    counted_at: Timestamp,
}

#[derive(Debug)]
pub(super) struct Desk {
    vendor: Vendor,
    manners: Manners,
    pace: Pace,
    pauses: Pauses,
    credential: Credential,
    breaker: Breaker,
    guard: Guard,
    batch: Batch,
    ledger: Ledger,
    due: [Due; 3],
    /// Something became due while a claim was under way, which may have looked before.
    rung: [bool; 3],
    /// When the first errand that came to nothing here is due again: it was ours to say, so the store
    /// need not tell us.
    again: [Option<Timestamp>; 3],
    calls: AHashMap<CallId, Call>,
    last_call: u64,
    /// What ended and is not yet with the store; and what is on the way there.
    ends: Vec<(ErrandId, End)>,
    concluding: Option<Vec<(ErrandId, End)>>,
    conclude_at_ms: u64,
    keep_at_ms: u64,
    keeping: bool,
    kept_badly: bool,
    finishing: bool,
    last_error: Option<LastError>,
    last_accepted_at: Option<Timestamp>,
    /// The options that were read last: a campaign's are the same for all.
    read: Option<(String, Arc<Options>)>,
    dice: u64,
}

/// What a former life left, and what the setup says.
#[derive(Debug, Default)]
pub(super) struct Legacy {
    pub(super) access: Option<Access>,
    pub(super) quota: Option<quota::Kept>,
    pub(super) quotas: std::collections::BTreeMap<String, Option<u64>>,
}

impl Desk {
    /// `dice` is any number: it makes the jitter.
    pub(super) fn new(vendor: Vendor, manners: Manners, legacy: Legacy, now: Now, dice: u64) -> Self {
        Self {
            vendor,
            manners,
            pace: Pace::new(manners.rate, now.ms),
            pauses: Pauses::default(),
            credential: Credential::new(legacy.access),
            breaker: Breaker::default(),
            guard: Guard::default(),
            batch: Batch::new(manners.batch_max),
            ledger: Ledger::new(vendor, legacy.quotas, legacy.quota),
            due: [Due::Now; 3],
            rung: [false; 3],
            again: [None; 3],
            calls: AHashMap::new(),
            last_call: 0,
            ends: Vec::new(),
            concluding: None,
            conclude_at_ms: 0,
            keep_at_ms: 0,
            keeping: false,
            kept_badly: false,
            finishing: false,
            last_error: None,
            last_accepted_at: None,
            read: None,
            dice,
        }
    }

    /// `owed` says of a claimed errand whether it may be sent still.
    pub(super) fn step(&mut self, event: Event, now: Now, owed: Owed<'_>) -> Vec<Effect> {
        let mut effects = Vec::new();
        match event {
            Event::News => {
                for (due, rung) in self.due.iter_mut().zip(&mut self.rung) {
                    if *due == Due::Asked { *rung = true } else { *due = Due::Now }
                }
            }
            Event::Tick => {}
            Event::Claimed { lane, asked, claimed } => self.claimed(lane, asked, claimed, now),
            Event::Concluded { done } => self.concluded(done, now),
            Event::Authorized(access) => self.authorized(access, now, &mut effects),
            Event::Answered { call, outcomes } => self.answered(call, outcomes, now),
            Event::QuotaKept { done } => self.quota_kept(done, now),
            Event::Mended { access, sent } => self.mended(access, sent, now),
            Event::Finish => self.finishing = true,
        }
        self.flow(now, owed, &mut effects);
        effects
    }

    /// Nothing is under way any more, and all that was claimed is concluded.
    pub(super) fn is_finished(&self) -> bool {
        let asked = self.due.contains(&Due::Asked);
        let concluded = self.concluding.is_none() && self.ends.is_empty();
        self.finishing && self.calls.is_empty() && concluded && !asked && !self.keeping
    }

    /// Whatever can be done now.
    fn flow(&mut self, now: Now, owed: Owed<'_>, effects: &mut Vec<Effect>) {
        let stopped = self.stopped_until(now);
        if self.finishing || stopped.is_some_and(|until| until.since(now.at) > HOLD_MAX) {
            for held in self.batch.drain() {
                self.end(&held, End::Unclaim, now);
            }
        }
        if !self.finishing && stopped.is_none() {
            self.call(now, owed, effects);
            // A call may have been the one that looks.
            if self.stopped_until(now).is_none() {
                self.claim(now, effects);
            }
        }
        self.conclude(now, effects);
        self.keep(now, effects);
    }

    /// Every errand's way out of here.
    fn end(&mut self, held: &Held, end: End, now: Now) {
        let again = &mut self.again[held.lane as usize];
        let due = match end {
            End::Again { at } => Some(at),
            End::Unclaim => Some(now.at),
            End::HandedOver { .. } | End::Dead { .. } | End::Refused { .. } => None,
        };
        *again = again.iter().copied().chain(due).min();
        self.ends.push((held.errand.id, end));
    }

    /// Nothing is claimed or sent before then; none when it goes.
    fn stopped_until(&mut self, now: Now) -> Option<Timestamp> {
        let open = match self.breaker.allows(now.at) {
            Allows::NoneUntil(until) => Some(until),
            // What comes of it is news of its own.
            Allows::Wait => Some(now.at + HOLD_MAX),
            Allows::All | Allows::One => None,
        };
        open.max(self.pauses.app(now.at)).max(self.credential.blocked_until(now.at))
    }

    fn claim(&mut self, now: Now, effects: &mut Vec<Effect>) {
        self.remember(now);
        let probes = self.breaker.allows(now.at) == Allows::One;
        let most = self.held_max();
        for lane in ErrandLane::ALL {
            let is_due = match self.due[lane as usize] {
                Due::Now => true,
                Due::At(at) => now.at >= at,
                Due::AtMs(at_ms) => now.ms >= at_ms,
                Due::Asked | Due::Nothing => false,
            };
            if is_due && self.has_room(lane, now) {
                self.due[lane as usize] = Due::Asked;
                let most = if probes { 1 } else { (most - self.batch.waiting(lane)).min(CLAIMED_MAX) };
                effects.push(Effect::Claim { lane, most });
            }
        }
    }

    /// Whether more of a lane would be taken, were it due.
    fn has_room(&self, lane: ErrandLane, now: Now) -> bool {
        // A store that takes no conclusions shall give nothing out either.
        if self.concluding.is_none() && !self.ends.is_empty() && now.ms < self.conclude_at_ms {
            return false;
        }
        if self.breaker.allows(now.at) == Allows::One {
            return self.batch.waiting_of_all() == 0 && !self.due.contains(&Due::Asked);
        }
        self.batch.waiting(lane) <= self.held_max() / 2
    }

    /// What was given back until now is due, once the store has it.
    fn remember(&mut self, now: Now) {
        if self.concluding.is_some() || !self.ends.is_empty() {
            return;
        }
        for (due, again) in self.due.iter_mut().zip(&mut self.again) {
            if again.is_some_and(|at| now.at >= at) && *due != Due::Asked {
                (*due, *again) = (Due::Now, None);
            }
        }
    }

    /// A second's worth, or two calls' if that is more.
    fn held_max(&self) -> usize {
        let second = usize::try_from(self.pace.per_second()).unwrap_or(HELD_MAX);
        second.max(2 * self.manners.batch_max).clamp(HELD_MIN, HELD_MAX)
    }

    fn claimed(&mut self, lane: ErrandLane, asked: usize, claimed: Option<Claimed>, now: Now) {
        let has_rung = std::mem::take(&mut self.rung[lane as usize]);
        let Some(Claimed { errands, next_due }) = claimed else {
            self.due[lane as usize] = Due::AtMs(now.ms + STORE_REST_MS);
            return;
        };
        self.due[lane as usize] = match next_due {
            _ if errands.len() >= asked || has_rung => Due::Now,
            Some(at) => Due::At(at),
            None => Due::Nothing,
        };
        let held = errands.into_iter().map(|errand| {
            let options = self.options(errand.message.options.as_deref());
            let sort = quota::sort(self.vendor, &options);
            Held { errand, lane, options, sort, alone: false, replayed: false }
        });
        let held = held.collect();
        self.batch.add(held, now.ms);
    }

    fn options(&mut self, text: Option<&str>) -> Arc<Options> {
        let text = text.unwrap_or_default();
        if let Some((read, options)) = &self.read
            && read == text
        {
            return Arc::clone(options);
        }
        let options = Arc::new(Options::read((!text.is_empty()).then_some(text)));
        self.read = Some((text.to_owned(), Arc::clone(&options)));
        options
    }

    fn conclude(&mut self, now: Now, effects: &mut Vec<Effect>) {
        if self.concluding.is_some() || self.ends.is_empty() || now.ms < self.conclude_at_ms {
            return;
        }
        let ends = std::mem::take(&mut self.ends);
        self.concluding = Some(ends.clone());
        effects.push(Effect::Conclude(ends));
    }

    fn concluded(&mut self, done: bool, now: Now) {
        let ends = self.concluding.take().unwrap_or_default();
        if !done {
            // Before what ended since: the order is theirs.
            let since = std::mem::replace(&mut self.ends, ends);
            self.ends.extend(since);
            self.conclude_at_ms = now.ms + STORE_REST_MS;
        }
    }

    /// One that ends does not ask a store that refuses again: a second of the ledger is forgotten.
    fn quota_kept(&mut self, done: bool, now: Now) {
        self.keeping = false;
        self.kept_badly = !done;
        if !done {
            self.ledger.not_kept();
            self.keep_at_ms = now.ms + STORE_REST_MS;
        }
    }

    fn keep(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let is_last = self.finishing && self.calls.is_empty() && !self.kept_badly;
        let is_time = now.ms >= self.keep_at_ms || is_last;
        if self.keeping || !is_time {
            return;
        }
        let Some(kept) = self.ledger.changed() else { return };
        // Plain data always serializes.
        let bytes = serde_json::to_vec(&kept).unwrap_or_default();
        self.keep_at_ms = now.ms + quota::rest_after(bytes.len()).as_millis();
        self.keeping = true;
        effects.push(Effect::KeepQuota(bytes));
    }

    /// How long nothing happens by itself; none when only an event can change anything.
    pub(super) fn wait(&mut self, now: Now) -> Option<Ttl> {
        let at_ms = |at_ms: u64| Ttl::from_millis(at_ms.saturating_sub(now.ms));
        let at = |at: Timestamp| at.since(now.at);
        let mut waits = Vec::new();
        if !self.ends.is_empty() && self.concluding.is_none() {
            waits.push(at_ms(self.conclude_at_ms));
        }
        if self.ledger.has_changed() && !self.keeping {
            waits.push(at_ms(self.keep_at_ms));
        }
        if !self.finishing {
            match self.stopped_until(now) {
                Some(until) => waits.push(at(until)),
                None => {
                    if let Some(ready_at_ms) = self.batch.ready_at()
                        && self.calls.len() < self.manners.in_flight_max
                        && self.credential.is_good(now.at)
                    {
                        waits.push(at_ms(ready_at_ms).max(self.pace.wait()));
                    }
                    for lane in ErrandLane::ALL.into_iter().filter(|lane| self.has_room(*lane, now)) {
                        waits.extend(match self.due[lane as usize] {
                            Due::At(due) => Some(at(due)),
                            Due::AtMs(due_ms) => Some(at_ms(due_ms)),
                            Due::Now | Due::Asked | Due::Nothing => None,
                        });
                        let is_asked = self.due[lane as usize] == Due::Asked;
                        let may_ask = !is_asked && self.concluding.is_none() && self.ends.is_empty();
                        waits.extend(self.again[lane as usize].filter(|_| may_ask).map(at));
                    }
                }
            }
        }
        waits.into_iter().min()
    }

    pub(super) fn state(&mut self, ends_at: Option<Timestamp>, now: Now) -> State {
        State {
            breaker: self.breaker.view(),
            access: self.credential.view(now.at),
            ends_at,
            rate_per_s: self.pace.per_second(),
            in_flight: self.calls.len(),
            waiting: self.batch.waiting_of_all(),
            quotas: self.ledger.view(now.at),
            last_error: self.last_error.clone(),
            last_accepted_at: self.last_accepted_at,
        }
    }

    /// Any number, another each time (splitmix64).
    const fn throw(&mut self) -> u64 {
        self.dice = self.dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut thrown = self.dice;
        thrown = (thrown ^ (thrown >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        thrown = (thrown ^ (thrown >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        thrown ^ (thrown >> 31)
    }
}

#[cfg(test)]
mod tests;

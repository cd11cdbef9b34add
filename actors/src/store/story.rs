//! A message's story, told from its records.

use std::collections::{BTreeMap, BTreeSet};

use carillon_sdk::api::{MessageView, Step, StepView, TargetView};
use carillon_sdk::wire::Lane;
use carillon_sdk::{MessageId, Timestamp};
use roaring::RoaringBitmap;

use super::directory::OfApp;
use super::history::{Channel, Record, Whom};

/// What the records of one message add up to. Of repeated verdicts the first counts.
pub(super) struct Told {
    records: Vec<Record>,
    accepted_at: Timestamp,
    expires_at: Timestamp,
    lane: Lane,
    devices: RoaringBitmap,
    users: BTreeSet<u32>,
    /// Devices by verdict.
    decided: BTreeMap<Step, RoaringBitmap>,
    user_verdicts: BTreeMap<u32, Step>,
}

const PENDING: &str = "pending";

impl Told {
    /// `records` in order of time; None when there are none.
    #[must_use]
    pub(super) fn of(mut records: Vec<Record>) -> Option<Self> {
        // Under an id that is no message's.
        records.retain(|record| record.step != Step::TokenInvalidated);
        let first = records.first()?;
        let head = records.iter().find_map(|record| record.message);
        let mut told = Self {
            accepted_at: first.at,
            expires_at: head.map_or(first.at, |head| head.expires_at),
            lane: head.map_or(Lane::Normal, |head| head.lane),
            devices: RoaringBitmap::new(),
            users: BTreeSet::new(),
            decided: BTreeMap::new(),
            user_verdicts: BTreeMap::new(),
            records: Vec::new(),
        };
        let mut all = RoaringBitmap::new();
        let mut confirmed = RoaringBitmap::new();
        for record in &records {
            let whom = match &record.whom {
                Whom::User(user) => {
                    told.users.insert(*user);
                    if record.step.is_verdict() {
                        told.user_verdicts.entry(*user).or_insert(record.step);
                    }
                    continue;
                }
                Whom::Device(device) => RoaringBitmap::from_iter([*device]),
                Whom::Group(devices) => devices.clone(),
            };
            if record.step.is_verdict() {
                let new = &whom - &all;
                all |= &new;
                *told.decided.entry(record.step).or_default() |= new;
            }
            if record.step == Step::Confirmed {
                confirmed |= &whom;
            }
            // Sent alone makes no target: a device just bound may be sent what another device acks
            // in the same moment, and is then owed nothing.
            if !matches!(record.step, Step::Sent | Step::Routed) {
                told.devices |= whom;
            }
        }
        // The one change a verdict may see.
        if let Some(handed_over) = told.decided.get_mut(&Step::HandedOver) {
            confirmed &= &*handed_over;
            *handed_over -= &confirmed;
            if !confirmed.is_empty() {
                *told.decided.entry(Step::Delivered).or_default() |= confirmed;
            }
        }
        told.decided.retain(|_, devices| !devices.is_empty());
        told.records = records;
        Some(told)
    }

    /// Users without a verdict: either it waits for them still, or their devices have the verdicts.
    #[must_use]
    pub(super) fn open_users(&self) -> Vec<u32> {
        self.users.iter().filter(|user| !self.user_verdicts.contains_key(user)).copied().collect()
    }

    /// One page of targets, devices before users. `held` are the users for whom it waits.
    #[must_use]
    pub(super) fn view(
        &self,
        id: MessageId,
        people: &OfApp,
        held: &RoaringBitmap,
        cursor: Option<&str>,
        limit: usize,
    ) -> MessageView {
        let shown = |user: &u32| held.contains(*user) || self.user_verdicts.contains_key(user);
        let users: Vec<u32> = self.users.iter().copied().filter(shown).collect();
        let (device_after, user_after) = parse(cursor);
        let mut targets = Vec::new();
        let mut last = None;
        let mut more = false;
        if let Some(from) = device_after {
            for ordinal in self.devices.range(from..) {
                if targets.len() == limit {
                    more = true;
                    break;
                }
                targets.push(self.device(ordinal, people));
                last = Some(format!("d{ordinal}"));
            }
        }
        for &ordinal in users.iter().filter(|&&user| user_after.is_none_or(|after| user > after)) {
            if targets.len() == limit {
                more = true;
                break;
            }
            targets.push(self.user(ordinal, people));
            last = Some(format!("u{ordinal}"));
        }
        MessageView {
            message_id: id,
            accepted_at: self.accepted_at,
            expires_at: self.expires_at,
            lane: self.lane,
            counts: self.counts(&users),
            targets,
            next: if more { last } else { None },
        }
    }

    fn counts(&self, users: &[u32]) -> BTreeMap<String, u64> {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        let mut pending = self.devices.len();
        for (step, devices) in &self.decided {
            pending -= devices.len();
            *counts.entry(name(*step).to_owned()).or_default() += devices.len();
        }
        for user in users {
            match self.user_verdicts.get(user) {
                Some(step) => *counts.entry(name(*step).to_owned()).or_default() += 1,
                None => pending += 1,
            }
        }
        if pending > 0 {
            counts.insert(PENDING.to_owned(), pending);
        }
        counts
    }

    fn device(&self, ordinal: u32, people: &OfApp) -> TargetView {
        let verdict =
            self.decided.iter().find(|(_, devices)| devices.contains(ordinal)).map(|(step, _)| *step);
        let concerns = |whom: &Whom| match whom {
            Whom::Device(device) => *device == ordinal,
            Whom::Group(devices) => devices.contains(ordinal),
            Whom::User(_) => false,
        };
        let mut view = self.target(verdict, concerns);
        view.device_id = people.device_id(ordinal);
        view
    }

    fn user(&self, ordinal: u32, people: &OfApp) -> TargetView {
        let verdict = self.user_verdicts.get(&ordinal).copied();
        let mut view = self.target(verdict, |whom| matches!(whom, Whom::User(user) if *user == ordinal));
        view.user_id = people.user_id(ordinal);
        view
    }

    fn target(&self, verdict: Option<Step>, concerns: impl Fn(&Whom) -> bool) -> TargetView {
        let mut steps: Vec<StepView> = Vec::new();
        for record in self.records.iter().filter(|record| concerns(&record.whom)) {
            // Only the first of a kind counts, and of verdicts only the one. A message may go several
            // roads, and each is told once with its reason.
            let was_handed_over = record.step == Step::HandedOver && verdict == Some(Step::Delivered);
            let other_verdict = record.step.is_verdict() && verdict != Some(record.step) && !was_handed_over;
            let is_road = matches!(record.step, Step::Routed | Step::Refused);
            let reason = record.reason.map(|reason| reason.as_str().to_owned());
            let is_told = record.channel != Channel::Own || record.step == Step::Routed;
            let channel = is_told.then(|| record.channel.as_str().to_owned());
            let is_known = |step: &StepView| {
                step.step == record.step && (!is_road || (step.channel == channel && step.reason == reason))
            };
            if other_verdict || steps.iter().any(is_known) {
                continue;
            }
            let detail = record.detail.as_deref().map(str::to_owned);
            steps.push(StepView { step: record.step, at: record.at, reason, channel, detail });
        }
        TargetView { device_id: None, user_id: None, state: verdict.map_or(PENDING, name).to_owned(), steps }
    }
}

/// From which device on (none: no more devices), and after which user. A cursor that is none of
/// ours begins anew.
fn parse(cursor: Option<&str>) -> (Option<u32>, Option<u32>) {
    let Some(cursor) = cursor else { return (Some(0), None) };
    match (cursor.split_at_checked(1), cursor.get(1..).and_then(|ordinal| ordinal.parse::<u32>().ok())) {
        (Some(("d", _)), Some(ordinal)) => (ordinal.checked_add(1), None),
        (Some(("u", _)), Some(ordinal)) => (None, Some(ordinal)),
        _ => (Some(0), None),
    }
}

/// As it stands in the API.
const fn name(step: Step) -> &'static str {
    match step {
        Step::Accepted => "accepted",
        Step::Sent => "sent",
        Step::Delivered => "delivered",
        Step::Expired => "expired",
        Step::Revoked => "revoked",
        Step::Replaced => "replaced",
        Step::Rejected => "rejected",
        Step::HandedOver => "handed_over",
        Step::Routed => "routed",
        Step::Confirmed => "confirmed",
        Step::Refused => "refused",
        Step::TokenInvalidated => "token_invalidated",
        Step::Shown => "shown",
        Step::Opened => "opened",
        Step::Dismissed => "dismissed",
    }
}

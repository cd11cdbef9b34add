//! A new schedule: checked whole before anything is written.

use carillon_sdk::{Timestamp, Ttl};

use super::By;
use super::calendar::Strategy;
use super::firing::Found;
use super::object::{Face, Head, Id, Kept, Missed, State, encode, row};
use crate::engine::{Engine, Refusal, Shared};
use crate::limits::Limits;
use crate::model::App;
use crate::order::Order;
use crate::store::{Audit, Change, Changed, Expect, Kind, Nonce};
use crate::template::Missing;

/// A schedule, parsed.
#[derive(Debug, Clone)]
pub struct NewSchedule {
    /// What is sent each time. It is kept as it is now: a template that changes later changes nothing.
    pub order: Order,
    /// Instead of the order's recipients: an expression, whose spans count back from each run.
    pub audience: Option<String>,
    pub strategy: Strategy,
    pub missed: Missed,
    /// How late a run may be; as long as the order's validity when none.
    pub late_max: Option<Ttl>,
    pub face: Face,
    pub delivery_type: Option<u8>,
    /// Of the request, where it may be repeated: the same key makes the same schedule.
    pub request: Option<Request>,
}

/// A request that may be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// Digest of app and key.
    pub key: [u8; 16],
    /// Digest of the body.
    pub body: [u8; 32],
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scheduled {
    pub id: Id,
    pub head: Head,
    /// An earlier request with the same key made it.
    pub replayed: bool,
}

/// Why a schedule was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// Its time has passed.
    #[error("it lies in the past")]
    Past,
    #[error("it ends before it begins")]
    EndsBeforeItBegins,
    /// No day that it names lies between its ends.
    #[error("it would never fire")]
    Never,
    #[error("it ends too far ahead")]
    TooFar,
    #[error("the app has as many schedules as it may")]
    Full,
    /// The recipient at this place has no value for a placeholder.
    #[error("no value")]
    Missing(usize, Missing),
    #[error("the order is too long to be kept")]
    TooLong,
    #[error("the key came with another request before")]
    Mismatch,
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl Engine {
    /// Makes a schedule: it is on disk when this returns.
    pub async fn schedule(
        &self,
        app: App,
        new: NewSchedule,
        by: By,
        nonce: Option<Nonce>,
    ) -> Result<Scheduled, Denied> {
        create(self.shared(), app, new, by, nonce).await
    }
}

async fn create(
    shared: &Shared,
    app: App,
    new: NewSchedule,
    by: By,
    nonce: Option<Nonce>,
) -> Result<Scheduled, Denied> {
    let id = new.request.map_or_else(|| unlike_all(shared, app), |request| Id::of_schedule(request.key));
    let request = new.request.map(|request| request.body);
    if let Some(found) = Found::in_store(shared, app, id) {
        let same = found.head.request == request;
        return if same {
            Ok(Scheduled { id, head: found.head, replayed: true })
        } else {
            Err(Denied::Mismatch)
        };
    }
    new.order.check().map_err(|(at, missing)| Denied::Missing(at, missing))?;
    let now = shared.clock.wall();
    check(&new.strategy, now, &shared.limits)?;
    let order = encode(&Kept { order: new.order.clone(), audience: new.audience.clone() });
    if order.len() > shared.limits.schedule_bytes_max {
        return Err(Denied::TooLong);
    }
    if shared.store.active_schedules(app) >= shared.limits.schedules_max {
        return Err(Denied::Full);
    }
    let head = head(new, request, by.who.clone(), now, &shared.limits);
    let change = Change {
        kind: Kind::Schedule,
        id: id.to_string(),
        expect: Expect::Absent,
        value: Some(row(&head, &order)),
    };
    let detail = serde_json::json!({ "name": head.name, "strategy": head.strategy });
    let audit = Audit {
        who: by.who,
        from: by.from,
        what: "schedule.create".to_owned(),
        object: id.to_string(),
        detail: Some(detail.to_string()),
    };
    let changed = shared.store.change(app, vec![change], Some(audit), nonce).await.map_err(Refusal::from)?;
    if matches!(changed, Changed::Unexpected(_)) {
        // The same request, at the same time.
        let found = Found::in_store(shared, app, id).ok_or(Denied::Refused(Refusal::Unknown))?;
        return Ok(Scheduled { id, head: found.head, replayed: true });
    }
    if let Some(next) = head.next() {
        shared.agenda.add(next, app, id);
    }
    Ok(Scheduled { id, head, replayed: false })
}

/// An id that has nothing in common with that of another schedule: a run's leads to one alone.
fn unlike_all(shared: &Shared, app: App) -> Id {
    loop {
        let id = Id::fresh();
        if shared.store.family(app, Kind::Schedule, id, 1).is_empty() {
            return id;
        }
    }
}

fn check(strategy: &Strategy, now: Timestamp, limits: &Limits) -> Result<(), Denied> {
    if let Strategy::Cyclic(cycle) = strategy
        && cycle.from > cycle.to
    {
        return Err(Denied::EndsBeforeItBegins);
    }
    if strategy.end() > now + limits.schedule_ahead_max {
        return Err(Denied::TooFar);
    }
    if strategy.end() <= now {
        return Err(Denied::Past);
    }
    strategy.next_after(now).map(drop).ok_or(Denied::Never)
}

fn head(new: NewSchedule, request: Option<[u8; 32]>, by: String, now: Timestamp, limits: &Limits) -> Head {
    let late_max = match new.missed {
        Missed::LateOnce => new.late_max.unwrap_or(new.order.ttl),
        Missed::Skip => limits.schedule_skip_after,
    };
    Head {
        name: new.order.name,
        strategy: new.strategy,
        push_type: new.order.push_type,
        title: new.order.content.title,
        body: new.order.content.body,
        delivery_type: new.delivery_type,
        missed: new.missed,
        late_max,
        face: new.face,
        by,
        created_at: now,
        state: State::Active,
        over_until: now,
        ended_at: None,
        request,
    }
}

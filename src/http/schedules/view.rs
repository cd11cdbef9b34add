//! Schedules and runs as answers show them.

use carillon_actors::schedule::Listed;
use carillon_actors::schedule::calendar::{Every, Strategy};
use carillon_actors::schedule::object::{Head, Id, Missed};
use carillon_sdk::api::schedules::{self as api, RunView, ScheduleView};

pub(super) fn schedule_view(id: Id, head: &Head) -> ScheduleView {
    let view = ScheduleView {
        schedule_id: id.to_string(),
        name: head.name.clone(),
        state: head.state.name().to_owned(),
        push_type: head.push_type.as_str().to_owned(),
        title: head.title.clone(),
        body: head.body.clone(),
        at: None,
        every: None,
        on: Vec::new(),
        time: None,
        zone: None,
        from: None,
        to: None,
        missed: match head.missed {
            Missed::LateOnce => api::Missed::LateOnce,
            Missed::Skip => api::Missed::Skip,
        },
        late_max_s: head.late_max.as_millis() / 1000,
        face: head.face.name().to_owned(),
        by: head.by.clone(),
        created_at: head.created_at,
        next_at: head.next(),
        ended_at: head.ended_at,
    };
    let cycle = match &head.strategy {
        Strategy::Once(at) => return ScheduleView { at: Some(*at), ..view },
        Strategy::Cyclic(cycle) => cycle,
    };
    let (every, on) = match &cycle.every {
        Every::Day => (api::Every::Day, None),
        Every::Week(days) => (api::Every::Week, Some(days)),
        Every::Month(days) => (api::Every::Month, Some(days)),
    };
    ScheduleView {
        every: Some(every),
        on: on.into_iter().flatten().map(|day| i64::from(*day)).collect(),
        time: Some(cycle.time.to_string()),
        zone: Some(cycle.zone.name().to_owned()),
        from: Some(cycle.from.to_string()),
        to: Some(cycle.to.to_string()),
        ..view
    }
}

pub(super) fn run_view(listed: &Listed) -> RunView {
    let run = &listed.run;
    RunView {
        run_id: listed.id.to_string(),
        schedule_id: run.schedule.to_string(),
        state: run.state.name().to_owned(),
        planned_at: run.planned_at,
        fired_at: run.fired_at,
        lag_ms: run.lag().map(carillon_sdk::Ttl::as_millis),
        task: run.task.map(|task| task.to_string()),
        message_ids: run.messages.clone(),
        accepted: run.accepted,
        refused: run.refused,
        reason: run.reason.map(|reason| reason.name().to_owned()),
    }
}

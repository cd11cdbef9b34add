//! Pushes for later: a push's strategy, and the lists of what waits.

use carillon_actors::model::PushType;
use carillon_actors::order::Order;
use carillon_actors::schedule::calendar::{self, Cycle, Every, Strategy, Zone};
use carillon_actors::schedule::object::{Face, Id, Missed, RunState};
use carillon_actors::schedule::{
    By, Cancelled, Denied, Listed, NewSchedule, Request, RunsQuery, Scheduled, Which,
};
use carillon_sdk::{Timestamp, Ttl};
use serde_json::{Map, Value, json};

use super::actions::Call;
use super::answer::{Done, Refused};
use super::form::plain;
use super::result::{Code, Failure};
use super::templates::paging;

/// Runs on a page, by default and at most.
const PAGE_SIZE: i64 = 500;

/// Ids that one call cancels.
const CANCELLED_MAX: usize = 100;

/// When a push fires; None: now.
pub(super) fn strategy(call: &Call) -> Result<Option<Strategy>, Failure> {
    let kind = call.form.choice("StrategyType", &[0, 1, 2])?;
    if kind == 0 {
        return Ok(None);
    }
    let invalid = |why: &str| Code::InvalidParam.because(format!("StrategyContent: {why}"));
    let content = call.form.object("StrategyContent").ok().flatten();
    let content = content.ok_or_else(|| invalid("a JSON object is needed"))?;
    let strategy = if kind == 1 {
        Strategy::Once(moment(&content, "fixedTime").ok_or_else(|| invalid("fixedTime, in milliseconds"))?)
    } else {
        cyclic(call, &content).map_err(|why| invalid(&why))?
    };
    Ok(Some(strategy))
}

fn cyclic(call: &Call, content: &Map<String, Value>) -> Result<Strategy, String> {
    let zone = Zone::parse(&zone(call)).map_err(|error| error.to_string())?;
    let date = |name: &str| {
        moment(content, name).map(|at| zone.date(at)).ok_or_else(|| format!("{name}, in milliseconds"))
    };
    let (from, to) = (date("startTime")?, date("endTime")?);
    let time = content.get("time").and_then(Value::as_str).ok_or("time, as 13:45:11")?;
    let days = || -> Result<Vec<i64>, String> {
        let values = match content.get("circleValue") {
            Some(Value::Array(values)) => values.iter().map(plain).collect(),
            Some(Value::String(text)) => text.split(',').map(str::to_owned).collect(),
            _ => Vec::new(),
        };
        let number = |text: &String| text.trim().parse().map_err(|_| format!("circleValue: {text:?}"));
        values.iter().map(number).collect()
    };
    let every = match content.get("circleType").map(plain).as_deref() {
        // The manual's own sample names days of the week here: they are passed over.
        Some("1") => Every::Day,
        Some("2") => Every::week(days()?).map_err(|error| format!("circleValue: {error}"))?,
        Some("3") => Every::month(days()?).map_err(|error| format!("circleValue: {error}"))?,
        _ => return Err("circleType is 1, 2 or 3".to_owned()),
    };
    let time = calendar::time(time).map_err(|error| error.to_string())?;
    Ok(Strategy::Cyclic(Cycle { every, time, from, to, zone }))
}

/// The face's own zone, or the app's where that is to hold.
pub(super) fn zone(call: &Call) -> String {
    let own = &call.state.mpaas.time_zone;
    if own.is_empty() { call.state.engine.settings(call.app).time_zone } else { own.clone() }
}

fn moment(content: &Map<String, Value>, name: &str) -> Option<Timestamp> {
    plain(content.get(name)?).parse().ok().map(Timestamp::from_millis)
}

/// Keeps a push for later. The same targets, keys and strategy are the same schedule.
pub(super) async fn create(
    call: Call,
    order: Order,
    strategy: Strategy,
    repeat: [u8; 16],
) -> Result<Done, Refused> {
    let delivery_type = call.form.int("DeliveryType")?.and_then(|kind| u8::try_from(kind).ok());
    let new = NewSchedule {
        order,
        audience: None,
        strategy,
        missed: Missed::LateOnce,
        late_max: None,
        face: Face::Api,
        delivery_type,
        request: Some(Request { key: repeat, body: [0; 32] }),
    };
    let by = by(&call);
    match call.state.engine.schedule(call.app, new, by, call.nonce).await {
        Ok(Scheduled { id, .. }) => Ok(Done::Text(id.to_string())),
        Err(Denied::Refused(refusal)) => Err(refusal.into()),
        Err(Denied::Full) => Err(Code::FlowControl.because("the app has as many schedules as it may").into()),
        Err(Denied::Missing(_, missing)) => {
            Err(Code::TemplateKvNotEnough.because(missing.to_string()).into())
        }
        Err(denied) => Err(Code::InvalidParam.because(format!("StrategyContent: {denied}")).into()),
    }
}

fn by(call: &Call) -> By {
    By { who: call.who(), from: Some(call.from.clone()) }
}

/// What waits, and what has run, in the order of their times.
pub(super) async fn list(call: Call) -> Result<Done, Refused> {
    let form = &call.form;
    let (page, size) = paging(form, "PageNumber", PAGE_SIZE, PAGE_SIZE)?;
    let at = |name: &str| -> Result<Option<Timestamp>, Failure> {
        let given = form.int(name)?.map(u64::try_from).transpose();
        let given = given.map_err(|_| Code::InvalidParam.because(format!("{name} is before 1970")))?;
        Ok(given.map(Timestamp::from_millis))
    };
    let push_type = match form.text("Type") {
        None => None,
        Some(_) => Some(match form.choice("Type", &[0, 1, 2, 3])? {
            0 => PushType::Single,
            1 => PushType::Template,
            2 => PushType::Multiple,
            _ => PushType::Broadcast,
        }),
    };
    let of = form.text("UniqueId").map(str::parse::<Id>).transpose();
    let query = RunsQuery {
        from: at("StartTime")?,
        // The contract's latest time is included.
        to: at("EndTime")?.map(|end| end + Ttl::from_millis(1)),
        push_type,
        of: of.map_err(|error| Code::InvalidParam.because(format!("UniqueId: {error}")))?,
        skip: (page - 1).saturating_mul(size),
        limit: size,
    };
    let found = call.state.engine.runs(call.app, &query);
    let list: Vec<Value> = found.runs.iter().map(row).collect();
    Ok(Done::Data(json!({ "TotalCount": found.total, "List": list })))
}

fn row(listed: &Listed) -> Value {
    let head = &listed.head;
    json!({
        "UniqueId": listed.id.to_string(),
        "ParentId": listed.run.schedule.to_string(),
        "StrategyType": if matches!(head.strategy, Strategy::Once(_)) { 1 } else { 2 },
        "Type": push_type(head.push_type),
        "DeliveryType": head.delivery_type.unwrap_or(0),
        "PushTitle": head.title.clone().unwrap_or_default(),
        "PushContent": head.body.clone().unwrap_or_default(),
        "PushTime": listed.run.planned_at,
        "GmtCreate": head.created_at,
        "CreateType": i32::from(head.face == Face::Console),
        "ExecutedStatus": executed(listed.run.state),
    })
}

/// The contract's number of a kind of push.
pub(super) const fn push_type(push_type: PushType) -> i32 {
    match push_type {
        PushType::Single => 0,
        PushType::Template => 1,
        PushType::Multiple => 2,
        PushType::Broadcast => 3,
    }
}

/// 0 and 1 are the contract's; it names no others.
const fn executed(state: RunState) -> &'static str {
    match state {
        RunState::Planned | RunState::Firing => "0",
        RunState::Fired => "1",
        RunState::Cancelled => "2",
        RunState::Skipped | RunState::Failed => "3",
    }
}

/// Cancels what has not begun. Answers with the ids that are cancelled now.
pub(super) async fn cancel(mut call: Call) -> Result<Done, Refused> {
    let ids =
        call.form.text("UniqueIds").ok_or_else(|| Code::InvalidParam.because("UniqueIds is missing"))?;
    let which = match call.form.choice("Type", &[0, 1])? {
        0 => Which::Schedules,
        _ => Which::Runs,
    };
    let invalid = |text: &str| Code::InvalidParam.because(format!("UniqueIds: {text:?} is no id"));
    let names = ids.split(',').map(str::trim).filter(|text| !text.is_empty());
    let ids: Vec<Id> = names.map(|text| text.parse().map_err(|_| invalid(text))).collect::<Result<_, _>>()?;
    if ids.is_empty() || ids.len() > CANCELLED_MAX {
        return Err(Code::InvalidParam.because(format!("1 to {CANCELLED_MAX} UniqueIds")).into());
    }
    let nonce = call.nonce.take();
    let answers = call.state.engine.cancel_schedules(call.app, &ids, which, &by(&call), nonce).await?;
    let of = |wanted: &[Cancelled]| {
        let found = ids.iter().zip(&answers).filter(|(_, answer)| wanted.contains(answer));
        found.map(|(id, _)| id.to_string()).collect::<Vec<_>>().join(",")
    };
    let cancelled = of(&[Cancelled::Done, Cancelled::Already]);
    if cancelled.is_empty() {
        let (over, unknown) = (of(&[Cancelled::Over]), of(&[Cancelled::Unknown]));
        return Err(Code::InvalidParam.because(format!("over: [{over}], unknown: [{unknown}]")).into());
    }
    Ok(Done::Text(cancelled))
}

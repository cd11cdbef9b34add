//! `/v1/schedules`: pushes ordered now for later, and their runs.

mod parse;
mod view;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use carillon_actors::model::App;
use carillon_actors::schedule::object::Id;
use carillon_actors::schedule::{By, Cancelled, Denied, RunsQuery, Which};
use carillon_actors::store::Audit;
use carillon_sdk::Timestamp;
use carillon_sdk::api::Scope;
use carillon_sdk::api::schedules::{CreateSchedule, RunList, ScheduleDetail, ScheduleList, ScheduleView};
use serde::Deserialize;

use super::caller::Caller;
use super::page::{Kind, LIMIT_DEFAULT, LIMIT_MAX, PageQuery, cursor, place};
use super::pushes::idempotency;
use super::{Code, Refused, State};
use parse::parse_schedule;
use view::{run_view, schedule_view};

/// More runs than a schedule has.
const RUNS_OF_ONE: usize = 1_000;

impl Caller {
    fn by(&self) -> By {
        let Audit { who, from, .. } = self.audit("schedule", "");
        By { who, from }
    }
}

/// Make a schedule
///
/// The push is checked and kept as it is now. With an `Idempotency-Key`, a retry finds the schedule
/// that the first request made.
#[utoipa::path(post, path = "/v1/schedules", tag = "schedules", request_body = CreateSchedule,
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 256 visible characters, one for each schedule meant")),
    responses((status = 201, description = "The schedule", body = ScheduleView)))]
pub(super) async fn create(
    state: web::Data<State>,
    request: HttpRequest,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Push)?;
    state.push_api_open(app)?;
    let repeatable = idempotency(&request, app, caller.bytes())?;
    let new = parse_schedule(&state, app, caller.json::<CreateSchedule>()?, repeatable)?;
    let made = state.engine.schedule(app, new, caller.by(), caller.nonce()).await.map_err(denied)?;
    let mut response = HttpResponse::Created();
    response.insert_header((header::LOCATION, format!("/v1/schedules/{}", made.id)));
    if made.replayed {
        response.insert_header(("Idempotent-Replayed", "true"));
    }
    Ok(response.json(schedule_view(made.id, &made.head)))
}

/// List schedules
///
/// Those that ended too, for 30 days.
#[utoipa::path(get, path = "/v1/schedules", tag = "schedules", params(PageQuery),
    responses((status = 200, description = "A page of schedules, the oldest first", body = ScheduleList)))]
pub(super) async fn list(state: web::Data<State>, caller: Caller) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Read)?;
    let query: PageQuery = caller.query()?;
    let limit = query.limit()?;
    let after = query.place(Kind::Schedules)?.map(|place| place.parse::<Id>()).transpose();
    let after = after.map_err(|_| Refused::new(Code::CursorInvalid))?;
    let mut page = state.engine.schedules(app, after, limit + 1);
    let more = page.len() > limit;
    page.truncate(limit);
    let next = page.last().filter(|_| more).map(|(id, _)| cursor(Kind::Schedules, &id.to_string()));
    let schedules = page.iter().map(|(id, head)| schedule_view(*id, head)).collect();
    Ok(HttpResponse::Ok().json(ScheduleList { schedules, next }))
}

/// Read a schedule
///
/// With all its runs: those that are over, and those to come.
#[utoipa::path(get, path = "/v1/schedules/{id}", tag = "schedules",
    params(("id" = String, Path, description = "The schedule's id")),
    responses((status = 200, description = "The schedule", body = ScheduleDetail)))]
pub(super) async fn read(
    state: web::Data<State>,
    id: web::Path<String>,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Read)?;
    let id = schedule_id(&id)?;
    let head = state.engine.schedule_head(app, id).ok_or(Refused::new(Code::ScheduleUnknown))?;
    let query = RunsQuery { of: Some(id), limit: RUNS_OF_ONE, ..RunsQuery::default() };
    let runs = state.engine.runs(app, &query).runs.iter().map(run_view).collect();
    Ok(HttpResponse::Ok().json(ScheduleDetail { schedule: schedule_view(id, &head), runs }))
}

/// Cancel a schedule
///
/// What has not begun will not.
#[utoipa::path(delete, path = "/v1/schedules/{id}", tag = "schedules",
    params(("id" = String, Path, description = "The schedule's id")),
    responses((status = 204, description = "Cancelled, now or before")))]
pub(super) async fn cancel(
    state: web::Data<State>,
    id: web::Path<String>,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Push)?;
    let id = schedule_id(&id)?;
    cancelled(&state, app, &caller, id, Which::Schedules, Code::ScheduleUnknown).await
}

/// Cancel one run
///
/// The others stay.
#[utoipa::path(delete, path = "/v1/schedules/{id}/runs/{run}", tag = "schedules",
    params(("id" = String, Path, description = "The schedule's id"),
        ("run" = String, Path, description = "The run's id")),
    responses((status = 204, description = "Cancelled, now or before")))]
pub(super) async fn cancel_run(
    state: web::Data<State>,
    path: web::Path<(String, String)>,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Push)?;
    let id = schedule_id(&path.0)?;
    state.engine.schedule_head(app, id).ok_or(Refused::new(Code::ScheduleUnknown))?;
    let run: Id = path.1.parse().map_err(|_| Refused::new(Code::RunUnknown))?;
    if !run.is_of(id) {
        return Err(Refused::new(Code::RunUnknown));
    }
    cancelled(&state, app, &caller, run, Which::Runs, Code::RunUnknown).await
}

async fn cancelled(
    state: &State,
    app: App,
    caller: &Caller,
    id: Id,
    which: Which,
    unknown: Code,
) -> Result<HttpResponse, Refused> {
    let answers = state.engine.cancel_schedules(app, &[id], which, &caller.by(), caller.nonce()).await?;
    match answers.first() {
        Some(Cancelled::Done | Cancelled::Already) => Ok(HttpResponse::NoContent().finish()),
        Some(Cancelled::Over) => Err(Refused::new(Code::ScheduleOver)),
        Some(Cancelled::Unknown) | None => Err(Refused::new(unknown)),
    }
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RunsParameters {
    /// Runs planned at or after, milliseconds since 1970.
    from: Option<u64>,
    /// Runs planned before.
    to: Option<u64>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// Rows on this page; 100 when absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// List runs
///
/// Of all schedules, those that are over and those to come, in the order of their times.
#[utoipa::path(get, path = "/v1/runs", tag = "schedules", params(RunsParameters),
    responses((status = 200, description = "A page of runs", body = RunList)))]
pub(super) async fn runs(state: web::Data<State>, caller: Caller) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Read)?;
    let asked: RunsParameters = caller.query()?;
    let limit = asked.limit.unwrap_or(LIMIT_DEFAULT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(Refused::because(Code::QueryInvalid, format!("limit is 1 to {LIMIT_MAX}")));
    }
    let skip = match &asked.cursor {
        Some(cursor) => place(cursor, Kind::Runs)?.parse().map_err(|_| Refused::new(Code::CursorInvalid))?,
        None => 0,
    };
    let query = RunsQuery {
        from: asked.from.map(Timestamp::from_millis),
        to: asked.to.map(Timestamp::from_millis),
        skip,
        limit,
        ..RunsQuery::default()
    };
    let page = state.engine.runs(app, &query);
    let next = (skip + page.runs.len() < page.total).then(|| cursor(Kind::Runs, &(skip + limit).to_string()));
    let total = page.total as u64;
    Ok(HttpResponse::Ok().json(RunList { runs: page.runs.iter().map(run_view).collect(), total, next }))
}

fn schedule_id(text: &str) -> Result<Id, Refused> {
    text.parse().map_err(|_| Refused::new(Code::ScheduleUnknown))
}

/// Every way in which the engine may say no, in this face's words.
fn denied(denied: Denied) -> Refused {
    let invalid = |pointer: &str, detail: &str| Refused::at(Code::ScheduleInvalid, pointer, detail);
    match denied {
        Denied::Past => Refused::new(Code::SchedulePast),
        Denied::EndsBeforeItBegins => invalid("/to", "before from"),
        Denied::Never => invalid("/on", "no such day lies between its ends"),
        Denied::TooFar => invalid("/to", "farther ahead than limits.schedule_ahead_max"),
        Denied::Full => Refused::new(Code::SchedulesFull),
        Denied::Missing(_, missing) => Refused::because(Code::VariableMissing, missing.to_string()),
        Denied::TooLong => Refused::because(Code::PayloadTooLarge, "longer than limits.schedule_bytes_max"),
        Denied::Mismatch => Refused::new(Code::IdempotencyMismatch),
        Denied::Refused(refusal) => refusal.into(),
    }
}

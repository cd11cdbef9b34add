//! `GET /v1/analysis`, `GET /v1/tasks`: what became of pushes, in numbers and rates.

use actix_web::{HttpResponse, web};
use carillon_actors::analysis::{self, Figures, TaskReport};
use carillon_actors::model::Task;
use carillon_actors::store::TaskQuery;
use carillon_actors::store::stats::Asked;
use carillon_sdk::api::analysis as view;
use carillon_sdk::api::{Granularity, Scope};
use carillon_sdk::{Timestamp, Ttl};
use serde::Deserialize;

use super::caller::Caller;
use super::csv;
use super::page::{self, Kind};
use super::stats::{Filters, Format};
use super::{Code, Refused, State};

/// What is counted when the caller names no `from`.
const SPAN_DEFAULT: Ttl = Ttl::from_secs(24 * 3600);

/// Tasks on one page, at most: each is counted by itself.
const TASKS_MAX: usize = 200;

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AnalysisQuery {
    /// Start, inclusive, in milliseconds since 1970; a day before `to` when absent.
    from: Option<u64>,
    /// End, exclusive, in milliseconds since 1970; now when absent.
    to: Option<u64>,
    /// How fine the window is cut: a period counts when it begins within it. `minute` reaches back
    /// two days, `hour` ninety, `day` two years.
    #[serde(default)]
    #[param(inline)]
    granularity: Granularity,
    platform: Option<String>,
    app_version: Option<String>,
    channel: Option<String>,
    push_type: Option<String>,
    /// A task's number. Tasks are counted by the day.
    task: Option<String>,
    /// `json`, or `csv`.
    #[serde(default)]
    #[param(inline)]
    format: Format,
}

/// Read an app's figures
///
/// Sums and rates over a window, of everything or of what the filters name.
#[utoipa::path(get, path = "/v1/analysis", tag = "stats", params(AnalysisQuery),
    responses((status = 200, description = "The figures",
        content((view::Analysis = "application/json"), (String = "text/csv")))))]
pub(super) async fn figures(state: web::Data<State>, caller: Caller) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Read)?;
    let query: AnalysisQuery = caller.query()?;
    let to = query.to.map_or(state.engine.clock().now() + Ttl::from_millis(1), Timestamp::from_millis);
    let from = query.from.map_or(to - SPAN_DEFAULT, Timestamp::from_millis);
    if from >= to {
        return Err(Refused::because(Code::QueryInvalid, "from must be before to"));
    }
    let filters = Filters {
        platform: query.platform,
        app_version: query.app_version,
        channel: query.channel,
        push_type: query.push_type,
        task: query.task,
    };
    let asked =
        Asked { from, to, granularity: query.granularity, filter: filters.read()?, ..Asked::default() };
    let figures = analysis::figures(state.engine.store(), app, &asked).await;
    let figures = figures.map_err(|error| Refused::by_store(&error, Code::Internal))?;
    let figures = view_of(&figures.ok_or(Refused::new(Code::RangeTooLarge))?);
    match query.format {
        Format::Json => Ok(HttpResponse::Ok().json(view::Analysis { from, to, figures })),
        Format::Csv => {
            let mut row = vec![from.as_millis().to_string(), to.as_millis().to_string()];
            row.extend(cells(&figures));
            let head = ["from", "to"].into_iter().chain(FIGURES);
            csv::answer(&head.collect::<Vec<_>>(), [row])
        }
    }
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct TasksQuery {
    /// Created at or after, in milliseconds since 1970.
    since: Option<u64>,
    /// Whose name has this in it.
    name: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// Tasks on this page; 100 when absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// `json`, or `csv`.
    #[serde(default)]
    #[param(inline)]
    format: Format,
}

/// List tasks
///
/// Multiple pushes, broadcasts and campaigns, newest first, each with its figures.
#[utoipa::path(get, path = "/v1/tasks", tag = "stats", params(TasksQuery),
    responses((status = 200, description = "A page of tasks",
        content((view::TaskList = "application/json"), (String = "text/csv")))))]
pub(super) async fn tasks(state: web::Data<State>, caller: Caller) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Read)?;
    let query: TasksQuery = caller.query()?;
    let limit = query.limit.unwrap_or(page::LIMIT_DEFAULT);
    if !(1..=TASKS_MAX).contains(&limit) {
        return Err(Refused::because(Code::QueryInvalid, format!("limit is 1 to {TASKS_MAX}")));
    }
    let before = match &query.cursor {
        None => None,
        Some(cursor) => {
            let number = page::place(cursor, Kind::Tasks)?;
            Some(number.parse().map(Task).map_err(|_| Refused::new(Code::CursorInvalid))?)
        }
    };
    let asked = TaskQuery {
        since: query.since.map_or(Timestamp::default(), Timestamp::from_millis),
        before,
        name: query.name,
        skip: 0,
    };
    let now = state.engine.clock().now();
    let reports = analysis::tasks(state.engine.store(), app, &asked, limit, now).await;
    let reports = reports.map_err(|error| Refused::by_store(&error, Code::Internal))?;
    let tasks: Vec<_> = reports.iter().map(task_view).collect();
    if query.format == Format::Csv {
        let head = TASK.into_iter().chain(FIGURES);
        return csv::answer(&head.collect::<Vec<_>>(), tasks.iter().map(task_cells));
    }
    let full = tasks.len() == limit;
    let next = tasks.last().filter(|_| full).map(|last| page::cursor(Kind::Tasks, &last.task));
    Ok(HttpResponse::Ok().json(view::TaskList { tasks, next }))
}

/// Read a task
#[utoipa::path(get, path = "/v1/tasks/{task}", tag = "stats",
    params(("task" = u64, Path, description = "The task's number")),
    responses((status = 200, description = "The task and its figures", body = view::TaskView)))]
pub(super) async fn task(
    state: web::Data<State>,
    task: web::Path<String>,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Read)?;
    let task = task.parse().map(Task).map_err(|_| Refused::new(Code::TaskUnknown))?;
    let report = analysis::task(state.engine.store(), app, task, state.engine.clock().now()).await;
    let report = report.map_err(|error| Refused::by_store(&error, Code::Internal))?;
    Ok(HttpResponse::Ok().json(task_view(&report.ok_or(Refused::new(Code::TaskUnknown))?)))
}

fn task_view(report: &TaskReport) -> view::TaskView {
    let info = &report.view.info;
    view::TaskView {
        task: report.view.task.to_string(),
        name: info.name.clone(),
        push_type: info.push_type.as_str().to_owned(),
        template: info.template.clone(),
        created_at: report.view.created_at,
        expires_at: info.expires_at,
        changed_at: report.changed_at,
        ended_at: report.ended_at,
        figures: view_of(&report.figures),
    }
}

fn view_of(figures: &Figures) -> view::Figures {
    view::Figures {
        accepted: figures.accepted,
        successful: figures.successful,
        sent: figures.sent,
        arrived: figures.arrived,
        handed_over: figures.handed_over,
        shown: figures.shown,
        opened: figures.opened,
        dismissed: figures.dismissed,
        expired: figures.expired,
        replaced: figures.replaced,
        revoked: figures.revoked,
        rejected: figures.rejected,
        pending: figures.pending,
        arrival_rate: figures.arrival_rate(),
        open_rate: figures.open_rate(),
        dismiss_rate: figures.dismiss_rate(),
    }
}

const TASK: [&str; 8] =
    ["task", "name", "push_type", "template", "created_at", "expires_at", "changed_at", "ended_at"];

const FIGURES: [&str; 16] = [
    "accepted",
    "successful",
    "sent",
    "arrived",
    "handed_over",
    "shown",
    "opened",
    "dismissed",
    "expired",
    "replaced",
    "revoked",
    "rejected",
    "pending",
    "arrival_rate",
    "open_rate",
    "dismiss_rate",
];

fn task_cells(task: &view::TaskView) -> Vec<String> {
    let ms = |at: Timestamp| at.as_millis().to_string();
    let mut row = vec![
        task.task.clone(),
        task.name.clone().unwrap_or_default(),
        task.push_type.clone(),
        task.template.clone().unwrap_or_default(),
        ms(task.created_at),
        ms(task.expires_at),
        ms(task.changed_at),
        task.ended_at.map(ms).unwrap_or_default(),
    ];
    row.extend(cells(&task.figures));
    row
}

fn cells(of: &view::Figures) -> Vec<String> {
    let counts = [
        of.accepted,
        of.successful,
        of.sent,
        of.arrived,
        of.handed_over,
        of.shown,
        of.opened,
        of.dismissed,
        of.expired,
        of.replaced,
        of.revoked,
        of.rejected,
        of.pending,
    ];
    let rates = [of.arrival_rate, of.open_rate, of.dismiss_rate];
    counts.iter().map(u64::to_string).chain(rates.iter().map(f64::to_string)).collect()
}

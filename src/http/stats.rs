//! `GET /v1/stats`: counts by minute, hour or day.

use actix_web::{HttpResponse, web};
use carillon_actors::store::stats::{Asked, Filter, values};
use carillon_sdk::api::{Dimension, Granularity, Scope, StatsRow, StatsView};
use carillon_sdk::{Timestamp, Ttl};
use serde::Deserialize;
use serde::de::value::{Error as ValueError, StrDeserializer};

use super::caller::Caller;
use super::csv;
use super::{Code, Refused, State};

/// Most rows of one answer: a week of minutes, or a day of minutes by seven platforms and versions.
const ROWS_MAX: usize = 20_000;

/// What is counted when the caller names no `from`.
const SPAN_DEFAULT: Ttl = Ttl::from_secs(3600);

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct StatsQuery {
    /// Start, inclusive, in milliseconds since 1970; an hour before `to` when absent.
    from: Option<u64>,
    /// End, exclusive, in milliseconds since 1970; now when absent.
    to: Option<u64>,
    #[serde(default)]
    #[param(inline)]
    granularity: Granularity,
    /// Dimensions, separated by commas: `platform`, `app_version`, `channel`, `push_type`, `reason`, `task`.
    group_by: Option<String>,
    platform: Option<String>,
    app_version: Option<String>,
    channel: Option<String>,
    push_type: Option<String>,
    /// A task's number. Tasks are counted by the day, so whoever names one, or groups by task, asks
    /// for days.
    task: Option<String>,
    /// `json`, or `csv`.
    #[serde(default)]
    #[param(inline)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Format {
    #[default]
    Json,
    Csv,
}

/// Values of dimensions, as a query names them.
#[derive(Debug, Default)]
pub(super) struct Filters {
    pub(super) platform: Option<String>,
    pub(super) app_version: Option<String>,
    pub(super) channel: Option<String>,
    pub(super) push_type: Option<String>,
    pub(super) task: Option<String>,
}

impl Filters {
    /// A value that a dimension cannot have is refused, and not answered by nothing.
    pub(super) fn read(self) -> Result<Filter, Refused> {
        let named = [
            (Dimension::Platform, "platform", self.platform),
            (Dimension::AppVersion, "app_version", self.app_version),
            (Dimension::Channel, "channel", self.channel),
            (Dimension::PushType, "push_type", self.push_type),
            (Dimension::Task, "task", self.task),
        ];
        let mut filter = Filter::default();
        for (dimension, name, value) in named {
            let Some(value) = value else { continue };
            let number = dimension != Dimension::Task || value.parse::<u64>().is_ok();
            let known = values(dimension).is_none_or(|values| values.contains(&value.as_str()));
            if !number || !known {
                return Err(Refused::because(Code::QueryInvalid, format!("{name} is never {value:?}")));
            }
            filter = filter.with(dimension, value);
        }
        Ok(filter)
    }
}

/// Read statistics
///
/// One row for each period and each value of the dimensions asked for, of those in which something
/// happened. An event is counted in the minute it reached the server.
#[utoipa::path(get, path = "/v1/stats", tag = "stats", params(StatsQuery),
    responses((status = 200, description = "The counts",
        content((StatsView = "application/json"), (String = "text/csv")))))]
pub(super) async fn read(state: web::Data<State>, caller: Caller) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Read)?;
    let query: StatsQuery = caller.query()?;
    let (from, to) = range(&query, state.engine.clock().now())?;
    let dimensions = dimensions(query.group_by.as_deref().unwrap_or_default())?;
    let (granularity, format) = (query.granularity, query.format);
    let filters = Filters {
        platform: query.platform,
        app_version: query.app_version,
        channel: query.channel,
        push_type: query.push_type,
        task: query.task,
    };
    let asked = Asked { from, to, granularity, filter: filters.read()?, group_by: dimensions };
    if asked.is_of_tasks() && granularity != Granularity::Day {
        let detail = "tasks are counted by the day: ask with granularity=day";
        return Err(Refused::because(Code::QueryInvalid, detail));
    }
    let rows = state.engine.store().counts(app, &asked).await;
    let rows = rows.map_err(|error| Refused::by_store(&error, Code::Internal))?;
    let rows = rows.ok_or(Refused::because(Code::RangeTooLarge, "too many rows to be read at once"))?;
    if rows.len() > ROWS_MAX {
        let detail = format!("{} rows; at most {ROWS_MAX} are sent at once", rows.len());
        return Err(Refused::because(Code::RangeTooLarge, detail));
    }
    if format == Format::Csv {
        return as_csv(&asked.group_by, &rows);
    }
    Ok(HttpResponse::Ok().json(StatsView { granularity, rows }))
}

const COUNTS: [&str; 11] = [
    "accepted",
    "sent",
    "arrived",
    "handed_over",
    "shown",
    "opened",
    "dismissed",
    "expired",
    "replaced",
    "revoked",
    "failed",
];

fn as_csv(group_by: &[Dimension], rows: &[StatsRow]) -> Result<HttpResponse, Refused> {
    let names: Vec<&str> = group_by.iter().map(|dimension| dimension.as_str()).collect();
    let head: Vec<&str> = ["start"].into_iter().chain(names.iter().copied()).chain(COUNTS).collect();
    let row = |row: &StatsRow| {
        let counts = [
            row.accepted,
            row.sent,
            row.arrived,
            row.handed_over,
            row.shown,
            row.opened,
            row.dismissed,
            row.expired,
            row.replaced,
            row.revoked,
            row.failed,
        ];
        let group = names.iter().map(|name| row.group.get(*name).cloned().unwrap_or_default());
        let start = [row.start.as_millis().to_string()];
        start.into_iter().chain(group).chain(counts.iter().map(u64::to_string)).collect()
    };
    csv::answer(&head, rows.iter().map(row))
}

fn range(query: &StatsQuery, now: Timestamp) -> Result<(Timestamp, Timestamp), Refused> {
    let to = query.to.map_or(now, Timestamp::from_millis);
    let from = query.from.map_or(to - SPAN_DEFAULT, Timestamp::from_millis);
    if from >= to {
        return Err(Refused::because(Code::QueryInvalid, "from must be before to"));
    }
    Ok((from, to))
}

fn dimensions(text: &str) -> Result<Vec<Dimension>, Refused> {
    let mut found = Vec::new();
    for name in text.split(',').filter(|_| !text.is_empty()) {
        let invalid = |detail: String| Refused::because(Code::QueryInvalid, detail);
        let dimension = Dimension::deserialize(StrDeserializer::<ValueError>::new(name))
            .map_err(|error| invalid(format!("group_by: {error}")))?;
        if found.contains(&dimension) {
            return Err(invalid(format!("group_by names {name} twice")));
        }
        found.push(dimension);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dimensions_are_named_once_by_their_own_names() {
        assert_eq!(dimensions("").unwrap(), []);
        let both = [Dimension::Platform, Dimension::AppVersion];
        assert_eq!(dimensions("platform,app_version").unwrap(), both);
        for wrong in ["shoe_size", "platform,platform", "platform,", "Platform"] {
            assert_eq!(dimensions(wrong).unwrap_err().code(), Code::QueryInvalid, "{wrong}");
        }
    }

    #[test]
    fn a_range_begins_before_it_ends_and_covers_an_hour_by_default() {
        let now = Timestamp::from_millis(10_000_000);
        let of = |from, to| range(&StatsQuery { from, to, ..StatsQuery::default() }, now);
        assert_eq!(of(None, None).unwrap(), (Timestamp::from_millis(6_400_000), now));
        assert_eq!(of(Some(5), Some(1)).unwrap_err().code(), Code::QueryInvalid);
        assert_eq!(of(Some(5), Some(5)).unwrap_err().code(), Code::QueryInvalid);
    }
}

//! `GET /v1/stats`: counts by minute, hour or day.

use actix_web::{HttpResponse, web};
use carillon_sdk::api::{Dimension, Granularity, Scope, StatsView};
use carillon_sdk::{Timestamp, Ttl};
use serde::Deserialize;
use serde::de::value::{Error as ValueError, StrDeserializer};

use super::caller::Caller;
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
}

/// Read statistics
///
/// One row for each period and each value of the dimensions asked for, of those in which something
/// happened. An event is counted in the minute it reached the server.
#[utoipa::path(get, path = "/v1/stats", tag = "stats", params(StatsQuery),
    responses((status = 200, description = "The counts", body = StatsView)))]
pub(super) async fn read(state: web::Data<State>, caller: Caller) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Read)?;
    let query: StatsQuery = caller.query()?;
    let (from, to) = range(&query, state.engine.clock().now())?;
    let dimensions = dimensions(query.group_by.as_deref().unwrap_or_default())?;
    let rows = state.engine.store().stats(app, from, to, query.granularity, dimensions).await;
    let rows = rows.map_err(|error| Refused::by_store(&error, Code::Internal))?;
    if rows.len() > ROWS_MAX {
        let detail = format!("{} rows; at most {ROWS_MAX} are sent at once", rows.len());
        return Err(Refused::because(Code::RangeTooLarge, detail));
    }
    Ok(HttpResponse::Ok().json(StatsView { granularity: query.granularity, rows }))
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

//! `GET /v1/events`: what happened, from a cursor on.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use carillon_actors::engine::Readiness;
use carillon_actors::store::{FeedFrom, FeedQuery};
use carillon_sdk::Timestamp;
use carillon_sdk::api::{EventList, EventType, Scope};
use serde::Deserialize;

use super::caller::Caller;
use super::page::{LIMIT_DEFAULT, LIMIT_MAX};
use super::{Code, Refused, State};

/// The longest a reader may wait for an event.
const WAIT_MAX_S: u64 = 30;

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct EventsQuery {
    /// `cursor` of the answer before.
    cursor: Option<String>,
    /// Without a cursor: begin with the first event not before it, in milliseconds since 1970. The
    /// oldest event kept when absent.
    since: Option<u64>,
    /// Events at most; 100 when absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// Types, separated by commas; all when absent.
    types: Option<String>,
    /// Seconds to wait for an event when there is none; 0 when absent.
    #[param(minimum = 0, maximum = 30)]
    wait_s: Option<u64>,
}

/// Read events
///
/// In order for each device; those of different devices by time, as far as they are written. Every
/// answer has a cursor: reading on from it gives each event once, over restarts of the server too.
#[utoipa::path(get, path = "/v1/events", tag = "events", params(EventsQuery),
    responses((status = 200, description = "The next events, and where to go on", body = EventList)))]
pub(super) async fn read(state: web::Data<State>, caller: Caller) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Read)?;
    let query: EventsQuery = caller.query()?;
    let wanted = query.wanted()?;
    let store = state.engine.store();
    let mut from = match (&query.cursor, query.since) {
        (Some(_), Some(_)) => {
            return Err(Refused::because(
                Code::QueryInvalid,
                "a cursor says where to begin: no since beside it",
            ));
        }
        (Some(text), None) => {
            FeedFrom::Cursor(store.feed_cursor(app, text).ok_or(Refused::new(Code::CursorInvalid))?)
        }
        (None, Some(since)) => FeedFrom::Time(Timestamp::from_millis(since)),
        (None, None) => FeedFrom::Oldest,
    };
    let mut news = store.feed_news(app);
    let waited = tokio::time::sleep(query.wait()?);
    tokio::pin!(waited);
    let mut gap = false;
    loop {
        let page = store.events(app, from, wanted.clone()).await;
        let page = page.map_err(|error| Refused::by_store(&error, Code::Internal))?;
        gap |= page.gap;
        let stopping = state.engine.readiness() != Readiness::Ready;
        if !page.events.is_empty() || waited.is_elapsed() || stopping {
            let cursor = page.cursor.encode(app);
            return Ok(HttpResponse::Ok().json(EventList {
                events: page.events,
                cursor,
                more: page.more,
                gap,
            }));
        }
        from = FeedFrom::Cursor(page.cursor);
        if !page.more {
            tokio::select! {
                () = &mut waited => {}
                _ = news.changed() => {}
            }
        }
    }
}

impl EventsQuery {
    fn wanted(&self) -> Result<FeedQuery, Refused> {
        let limit = self.limit.unwrap_or(LIMIT_DEFAULT);
        if !(1..=LIMIT_MAX).contains(&limit) {
            return Err(Refused::because(Code::QueryInvalid, format!("limit is 1 to {LIMIT_MAX}")));
        }
        let types = self.types.as_deref().map(types).transpose()?.unwrap_or_default();
        Ok(FeedQuery { types, limit, until: None })
    }

    fn wait(&self) -> Result<Duration, Refused> {
        let wait_s = self.wait_s.unwrap_or_default();
        if wait_s > WAIT_MAX_S {
            return Err(Refused::because(Code::QueryInvalid, format!("wait_s is at most {WAIT_MAX_S}")));
        }
        Ok(Duration::from_secs(wait_s))
    }
}

fn types(text: &str) -> Result<Vec<EventType>, Refused> {
    let parse = |name| {
        let all = EventType::ALL.map(EventType::as_str).join(", ");
        EventType::parse(name)
            .ok_or_else(|| Refused::because(Code::QueryInvalid, format!("types: {name:?} is none of {all}")))
    };
    text.split(',').map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_named_by_their_own_names() {
        assert_eq!(types("arrived,opened").unwrap(), [EventType::Arrived, EventType::Opened]);
        for wrong in ["", "arrived,", "Arrived", "delivered"] {
            assert_eq!(types(wrong).unwrap_err().code(), Code::QueryInvalid, "{wrong}");
        }
    }

    #[test]
    fn nobody_waits_longer_than_half_a_minute() {
        let wait = |wait_s| EventsQuery { wait_s, ..EventsQuery::default() }.wait();
        assert_eq!(wait(None).unwrap(), Duration::ZERO);
        assert_eq!(wait(Some(30)).unwrap(), Duration::from_secs(30));
        assert_eq!(wait(Some(31)).unwrap_err().code(), Code::QueryInvalid);
    }
}

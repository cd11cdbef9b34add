//! Schedules and their runs.

use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderValue};

use super::{AppServer, Error, IDEMPOTENCY_KEY, NOTHING, body, escaped, read, with_cursor};
use crate::api::schedules::{CreateSchedule, RunList, ScheduleDetail, ScheduleList, ScheduleView};
use crate::time::Timestamp;

impl AppServer {
    /// Makes a schedule. With an idempotency key it is tried again when it may not have arrived.
    pub async fn create_schedule(
        &self,
        schedule: &CreateSchedule,
        idempotency_key: Option<&str>,
    ) -> Result<ScheduleView, Error> {
        let mut headers = HeaderMap::new();
        if let Some(key) = idempotency_key {
            headers.insert(IDEMPOTENCY_KEY, HeaderValue::from_str(key).map_err(|_| Error::IdempotencyKey)?);
        }
        let answer = self.send(Method::POST, "/v1/schedules", headers, body(Some(schedule))).await?;
        read(answer, &Method::POST, "/v1/schedules")
    }

    /// A page of schedules: the first one, or the one that `cursor` names.
    pub async fn schedules(&self, cursor: Option<&str>) -> Result<ScheduleList, Error> {
        self.get(&with_cursor("/v1/schedules", cursor)).await
    }

    /// A schedule with its runs.
    pub async fn schedule(&self, id: &str) -> Result<ScheduleDetail, Error> {
        self.get(&format!("/v1/schedules/{}", escaped(id))).await
    }

    /// What has not begun will not.
    pub async fn cancel_schedule(&self, id: &str) -> Result<(), Error> {
        self.done(Method::DELETE, &format!("/v1/schedules/{}", escaped(id)), NOTHING).await
    }

    pub async fn cancel_run(&self, schedule: &str, run: &str) -> Result<(), Error> {
        let path = format!("/v1/schedules/{}/runs/{}", escaped(schedule), escaped(run));
        self.done(Method::DELETE, &path, NOTHING).await
    }

    /// A page of runs planned from `from` on and before `to`.
    pub async fn runs(
        &self,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
        cursor: Option<&str>,
    ) -> Result<RunList, Error> {
        let moments = [("from", from), ("to", to)].into_iter();
        let moments = moments.filter_map(|(name, at)| Some(format!("{name}={}", at?.as_millis())));
        let cursor = cursor.map(|cursor| format!("cursor={}", escaped(cursor)));
        let query: Vec<_> = moments.chain(cursor).collect();
        let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
        self.get(&format!("/v1/runs{query}")).await
    }
}

//! Reading what happened.

use super::{AppServer, Error, escaped};
use crate::api::{EventList, EventType};
use crate::time::Timestamp;

/// `GET /v1/events`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventsQuery {
    /// Of the answer before.
    pub cursor: Option<String>,
    /// Without a cursor: where to begin; the oldest kept when none.
    pub since: Option<Timestamp>,
    pub limit: Option<usize>,
    /// All when empty.
    pub types: Vec<EventType>,
    /// Seconds to wait for an event, at most 20: a call ends after 30.
    pub wait_s: u64,
}

impl AppServer {
    pub async fn events(&self, query: &EventsQuery) -> Result<EventList, Error> {
        self.get(&query.path()).await
    }
}

impl EventsQuery {
    fn path(&self) -> String {
        let mut path = format!("/v1/events?wait_s={}", self.wait_s);
        if let Some(cursor) = &self.cursor {
            path = format!("{path}&cursor={}", escaped(cursor));
        }
        if let Some(since) = self.since {
            path = format!("{path}&since={}", since.as_millis());
        }
        if let Some(limit) = self.limit {
            path = format!("{path}&limit={limit}");
        }
        if !self.types.is_empty() {
            let names: Vec<&str> = self.types.iter().map(|kind| kind.as_str()).collect();
            path = format!("{path}&types={}", names.join(","));
        }
        path
    }
}

//! What became of pushes, in numbers and rates; and the tasks they belong to.

use reqwest::Method;

use super::{AppServer, Error, NOTHING, escaped};
use crate::api::Granularity;
use crate::api::analysis::{Analysis, TaskList, TaskView};
use crate::time::Timestamp;

/// What to sum up: `GET /v1/analysis`. Everything of the last day, by default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AnalysisQuery {
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    pub granularity: Granularity,
    /// Dimension, as `platform`, and the value to count.
    pub filters: Vec<(String, String)>,
}

impl AnalysisQuery {
    fn path(&self) -> String {
        let granularity = match self.granularity {
            Granularity::Minute => "minute",
            Granularity::Hour => "hour",
            Granularity::Day => "day",
        };
        let mut path = format!("/v1/analysis?granularity={granularity}");
        for (name, at) in [("from", self.from), ("to", self.to)] {
            if let Some(at) = at {
                path.push_str(&format!("&{name}={}", at.as_millis()));
            }
        }
        for (name, value) in &self.filters {
            path.push_str(&format!("&{}={}", escaped(name), escaped(value)));
        }
        path
    }
}

impl AppServer {
    pub async fn analysis(&self, query: &AnalysisQuery) -> Result<Analysis, Error> {
        self.call(Method::GET, &query.path(), NOTHING).await
    }

    /// Tasks, newest first: the first page, or the one that `cursor` names.
    pub async fn tasks(&self, name: Option<&str>, cursor: Option<&str>) -> Result<TaskList, Error> {
        let mut path = "/v1/tasks?limit=100".to_owned();
        for (key, value) in [("name", name), ("cursor", cursor)] {
            if let Some(value) = value {
                path.push_str(&format!("&{key}={}", escaped(value)));
            }
        }
        self.call(Method::GET, &path, NOTHING).await
    }

    pub async fn task(&self, task: u64) -> Result<TaskView, Error> {
        self.call(Method::GET, &format!("/v1/tasks/{task}"), NOTHING).await
    }
}

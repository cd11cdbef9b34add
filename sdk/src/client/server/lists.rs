//! Lists of targets.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};

use super::{Answer, AppServer, Error, NOTHING, escaped, read, with_cursor};
use crate::api::lists::{ListList, ListUploaded, ListView};

/// From the first byte of a list to its answer.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(900);

/// How a list's lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListForm {
    Ndjson,
    Csv,
}

impl AppServer {
    /// Uploads a list. With `skip`, lines that cannot be read are left out; without, they refuse
    /// the whole.
    pub async fn upload_list(
        &self,
        form: ListForm,
        lines: Bytes,
        name: Option<&str>,
        skip: bool,
    ) -> Result<ListUploaded, Error> {
        let mut path = format!("/v1/lists?on_error={}", if skip { "skip" } else { "refuse" });
        if let Some(name) = name {
            path = format!("{path}&name={}", escaped(name));
        }
        let url = self.url(&path)?;
        let kind = match form {
            ListForm::Ndjson => "application/x-ndjson",
            ListForm::Csv => "text/csv",
        };
        let authorization = self.sign(&Method::POST, &url, &lines);
        let request = self.http.request(Method::POST, url).timeout(UPLOAD_TIMEOUT);
        let request = request.header(AUTHORIZATION, authorization).header(CONTENT_TYPE, kind);
        let response = request.body(lines).send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        read(Answer { status, headers, body: response.bytes().await? }, &Method::POST, &path)
    }

    /// A page of lists: the first one, or the one that `cursor` names.
    pub async fn lists(&self, cursor: Option<&str>) -> Result<ListList, Error> {
        self.get(&with_cursor("/v1/lists", cursor)).await
    }

    pub async fn list(&self, id: &str) -> Result<ListView, Error> {
        self.get(&format!("/v1/lists/{}", escaped(id))).await
    }

    pub async fn delete_list(&self, id: &str) -> Result<(), Error> {
        self.done(Method::DELETE, &format!("/v1/lists/{}", escaped(id)), NOTHING).await
    }
}

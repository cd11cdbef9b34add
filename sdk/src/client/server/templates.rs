//! Templates and the audit log.

use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderValue, IF_MATCH};

use super::{AppServer, Error, NOTHING, body, escaped, read, succeeded, with_cursor};
use crate::api::audit::AuditLog;
use crate::api::templates::{PreviewTemplate, TemplateList, TemplatePreview, TemplateView, WriteTemplate};

impl AppServer {
    pub async fn create_template(&self, template: &WriteTemplate) -> Result<TemplateView, Error> {
        self.call(Method::POST, "/v1/templates", Some(template)).await
    }

    pub async fn template(&self, name: &str) -> Result<TemplateView, Error> {
        self.get(&path(name)).await
    }

    /// A page of templates: the first one, or the one that `cursor` names.
    pub async fn templates(&self, cursor: Option<&str>) -> Result<TemplateList, Error> {
        self.get(&with_cursor("/v1/templates", cursor)).await
    }

    /// Replaces a template; with an `etag`, only if it is still that one.
    pub async fn replace_template(
        &self,
        name: &str,
        template: &WriteTemplate,
        etag: Option<&str>,
    ) -> Result<TemplateView, Error> {
        let path = path(name);
        let answer = self.send(Method::PUT, &path, if_match(etag)?, body(Some(template))).await?;
        read(answer, &Method::PUT, &path)
    }

    /// Deletes a template; with an `etag`, only if it is still that one.
    pub async fn delete_template(&self, name: &str, etag: Option<&str>) -> Result<(), Error> {
        let path = path(name);
        let answer = self.send(Method::DELETE, &path, if_match(etag)?, body(NOTHING)).await?;
        succeeded(answer, &Method::DELETE, &path).map(drop)
    }

    pub async fn preview_template(
        &self,
        name: &str,
        values: &PreviewTemplate,
    ) -> Result<TemplatePreview, Error> {
        self.call(Method::POST, &format!("{}/preview", path(name)), Some(values)).await
    }

    /// The newest entries of the audit log, or those before `before`.
    pub async fn audit_log(&self, before: Option<&str>) -> Result<AuditLog, Error> {
        match before {
            Some(before) => self.get(&format!("/v1/audit?before={}", escaped(before))).await,
            None => self.get("/v1/audit").await,
        }
    }
}

fn path(name: &str) -> String {
    format!("/v1/templates/{}", escaped(name))
}

/// The header that holds a change to the revision of this ETag.
pub(super) fn if_match(etag: Option<&str>) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::new();
    if let Some(etag) = etag {
        let quoted = HeaderValue::from_str(&format!("\"{etag}\"")).map_err(|_| Error::Etag)?;
        headers.insert(IF_MATCH, quoted);
    }
    Ok(headers)
}

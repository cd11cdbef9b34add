//! Tags and audiences.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};

use super::{Answer, AppServer, Error, NOTHING, escaped, read, with_cursor};
use crate::api::tags::{
    AudienceCounted, ChangeTags, CountAudience, MemberKind, MemberMode, MembersUploaded, TagList, Tags,
};
use crate::ids::{DeviceId, UserId};

/// From the first byte of a file to its answer.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(900);

/// How a file of members is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberForm {
    /// One id a line.
    Lines,
    /// Parted by commas or lines.
    Commas,
    /// A JSON value a line.
    Ndjson,
}

impl AppServer {
    /// These tags and no others.
    pub async fn set_device_tags(&self, device: &DeviceId, tags: &Tags) -> Result<Tags, Error> {
        self.call(Method::PUT, &format!("/v1/devices/{}/tags", escaped(device.as_str())), Some(tags)).await
    }

    pub async fn change_device_tags(&self, device: &DeviceId, change: &ChangeTags) -> Result<Tags, Error> {
        self.call(Method::PATCH, &format!("/v1/devices/{}/tags", escaped(device.as_str())), Some(change))
            .await
    }

    /// These tags and no others.
    pub async fn set_user_tags(&self, user: &UserId, tags: &Tags) -> Result<Tags, Error> {
        self.call(Method::PUT, &format!("/v1/users/{}/tags", escaped(user.as_str())), Some(tags)).await
    }

    pub async fn change_user_tags(&self, user: &UserId, change: &ChangeTags) -> Result<Tags, Error> {
        self.call(Method::PATCH, &format!("/v1/users/{}/tags", escaped(user.as_str())), Some(change)).await
    }

    /// A page of tags: the first one, or the one that `cursor` names.
    pub async fn tags(&self, cursor: Option<&str>) -> Result<TagList, Error> {
        self.get(&with_cursor("/v1/tags", cursor)).await
    }

    /// Takes a tag from everybody.
    pub async fn delete_tag(&self, tag: &str) -> Result<(), Error> {
        self.done(Method::DELETE, &format!("/v1/tags/{}", escaped(tag)), NOTHING).await
    }

    /// Gives a tag to all whom a file names, or takes it from them. With `skip`, items that cannot
    /// be read are left out; without, they refuse the whole.
    pub async fn upload_members(
        &self,
        tag: &str,
        (kind, mode): (MemberKind, MemberMode),
        (form, file): (MemberForm, Bytes),
        skip: bool,
    ) -> Result<MembersUploaded, Error> {
        let kind = match kind {
            MemberKind::Devices => "devices",
            MemberKind::Users => "users",
        };
        let mode = match mode {
            MemberMode::Add => "add",
            MemberMode::Remove => "remove",
            MemberMode::Replace => "replace",
        };
        let on_error = if skip { "skip" } else { "refuse" };
        let path = format!("/v1/tags/{}/members?kind={kind}&mode={mode}&on_error={on_error}", escaped(tag));
        let content_type = match form {
            MemberForm::Lines => "text/plain; charset=utf-8",
            MemberForm::Commas => "text/csv; charset=utf-8",
            MemberForm::Ndjson => "application/x-ndjson",
        };
        let url = self.url(&path)?;
        let authorization = self.sign(&Method::POST, &url, &file);
        let request = self.http.request(Method::POST, url).timeout(UPLOAD_TIMEOUT);
        let request = request.header(AUTHORIZATION, authorization).header(CONTENT_TYPE, content_type);
        let response = request.body(file).send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        read(Answer { status, headers, body: response.bytes().await? }, &Method::POST, &path)
    }

    /// How many an audience has now.
    pub async fn count_audience(&self, audience: &str) -> Result<AudienceCounted, Error> {
        let count = CountAudience { audience: audience.to_owned() };
        self.call(Method::POST, "/v1/audiences/count", Some(&count)).await
    }
}

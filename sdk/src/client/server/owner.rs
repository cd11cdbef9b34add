//! Changes of keys and apps.

use reqwest::Method;

use super::{AppServer, Error, NOTHING, escaped};
use crate::api::{AppList, AppView, KeyCreated, KeyView, RotateKey, UpdateApp, UpdateKey};
use crate::ids::{AppId, KeyId, WorkspaceId};

impl AppServer {
    pub async fn update_key(&self, key: &KeyId, update: &UpdateKey) -> Result<KeyView, Error> {
        self.call(Method::PATCH, &format!("/v1/keys/{}", escaped(key.as_str())), Some(update)).await
    }

    /// Makes the key's successor; the key itself is taken for `overlap_s` more.
    pub async fn rotate_key(&self, key: &KeyId, overlap_s: u64) -> Result<KeyCreated, Error> {
        let path = format!("/v1/keys/{}/rotate", escaped(key.as_str()));
        self.call(Method::POST, &path, Some(&RotateKey { overlap_s })).await
    }

    /// With the operator's key, like all below.
    pub async fn app(&self, app: &AppId, workspace: &WorkspaceId) -> Result<AppView, Error> {
        self.get(&path(app, workspace)).await
    }

    /// The workspaces of one app.
    pub async fn workspaces(&self, app: &AppId) -> Result<AppList, Error> {
        self.get(&format!("/v1/apps?app_id={}", escaped(app.as_str()))).await
    }

    pub async fn update_app(
        &self,
        app: &AppId,
        workspace: &WorkspaceId,
        update: &UpdateApp,
    ) -> Result<AppView, Error> {
        self.call(Method::PATCH, &path(app, workspace), Some(update)).await
    }

    /// Gives the app another client key; the one before registers nothing from now on.
    pub async fn rotate_client_key(&self, app: &AppId, workspace: &WorkspaceId) -> Result<AppView, Error> {
        self.call(Method::POST, &format!("{}/client-key", path(app, workspace)), NOTHING).await
    }
}

fn path(app: &AppId, workspace: &WorkspaceId) -> String {
    format!("/v1/apps/{}/{}", escaped(app.as_str()), escaped(workspace.as_str()))
}

//! Taking back what was pushed.

use reqwest::Method;

use super::{AppServer, Error, NOTHING, escaped};
use crate::api::revokes::Revoked;
use crate::ids::{DeviceId, MessageId, UserId};

/// Whom a message is taken back from, named as the push named them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevokeFrom<'a> {
    Everybody,
    Device(&'a DeviceId),
    User(&'a UserId),
}

impl AppServer {
    /// Takes a message back: what waits is withdrawn, and devices that may show it are told.
    pub async fn revoke_message(&self, message: MessageId, from: RevokeFrom<'_>) -> Result<Revoked, Error> {
        let from = match from {
            RevokeFrom::Everybody => String::new(),
            RevokeFrom::Device(id) => format!("?device_id={}", escaped(id.as_str())),
            RevokeFrom::User(id) => format!("?user_id={}", escaped(id.as_str())),
        };
        self.call(Method::DELETE, &format!("/v1/messages/{message}{from}"), NOTHING).await
    }

    /// Takes back whatever went under a task, and lets nothing of it go any more.
    pub async fn revoke_task(&self, task: u64) -> Result<Revoked, Error> {
        self.call(Method::DELETE, &format!("/v1/tasks/{task}"), NOTHING).await
    }
}

//! `DELETE /v1/messages/{id}`, `DELETE /v1/tasks/{task}`: taking back what was pushed.

use actix_web::{HttpResponse, web};
use carillon_actors::model::Task;
use carillon_actors::order::Named;
use carillon_actors::revoke::Revocation;
use carillon_actors::store::RevokeOutcome;
use carillon_sdk::api::Scope;
use carillon_sdk::api::revokes::Revoked;
use carillon_sdk::{DeviceId, MessageId, UserId};
use serde::Deserialize;

use super::caller::Caller;
use super::{Code, Refused, State};

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RevokeQuery {
    /// From this device alone, when the push named it.
    device_id: Option<String>,
    /// From this user's devices alone, when the push named the user.
    user_id: Option<String>,
}

impl RevokeQuery {
    fn target(self) -> Result<Option<Named>, Refused> {
        match (self.device_id, self.user_id) {
            (None, None) => Ok(None),
            (Some(device), None) => {
                let id = DeviceId::parse(&device).map_err(|_| Refused::new(Code::DeviceIdInvalid))?;
                Ok(Some(Named::Device(id)))
            }
            (None, Some(user)) => {
                let id = UserId::parse(&user).map_err(|_| Refused::new(Code::UserIdInvalid))?;
                Ok(Some(Named::User(id)))
            }
            (Some(_), Some(_)) => Err(Refused::because(Code::QueryInvalid, "one of device_id and user_id")),
        }
    }
}

/// Revoke a message
///
/// Where it waits it is withdrawn; devices that may show it are told, now or when they connect.
#[utoipa::path(delete, path = "/v1/messages/{id}", tag = "messages",
    params(("id" = String, Path, description = "The message's id"), RevokeQuery),
    responses((status = 200, description = "What was withdrawn, and who is told", body = Revoked)))]
pub(super) async fn message(
    state: web::Data<State>,
    id: web::Path<String>,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Push)?;
    let id = MessageId::parse(&id).map_err(|_| Refused::new(Code::MessageIdInvalid))?;
    let target = caller.query::<RevokeQuery>()?.target()?;
    let revocation = Revocation::Message { id, target };
    answer(state.engine.revoke(app, revocation, caller.nonce()).await, Code::MessageUnknown)
}

/// Revoke a task
///
/// Whatever went under it is withdrawn, and nothing more of it goes out.
#[utoipa::path(delete, path = "/v1/tasks/{task}", tag = "messages",
    params(("task" = u64, Path, description = "The task's number")),
    responses((status = 200, description = "What was withdrawn, and who is told", body = Revoked)))]
pub(super) async fn task(
    state: web::Data<State>,
    task: web::Path<String>,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Push)?;
    let task = task.parse().map(Task).map_err(|_| Refused::new(Code::TaskUnknown))?;
    let audit = Some(caller.audit("task.revoke", task));
    let revocation = Revocation::Task { task, audit };
    answer(state.engine.revoke(app, revocation, caller.nonce()).await, Code::TaskUnknown)
}

fn answer(
    outcome: Result<RevokeOutcome, carillon_actors::engine::Refusal>,
    unknown: Code,
) -> Result<HttpResponse, Refused> {
    match outcome? {
        RevokeOutcome::Unknown => Err(Refused::new(unknown)),
        RevokeOutcome::TooOld => Err(Refused::new(Code::RevokeTooLate)),
        RevokeOutcome::Done(done) => Ok(HttpResponse::Ok().json(Revoked {
            withdrawn: done.withdrawn,
            told: done.told,
            complete: done.complete,
        })),
    }
}

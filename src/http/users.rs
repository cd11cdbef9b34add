//! `/v1/users`: where a user is logged in, and what waits.

use actix_web::{HttpResponse, web};
use carillon_actors::model::Owner;
use carillon_sdk::UserId;
use carillon_sdk::api::{Scope, UserView};

use super::caller::Caller;
use super::{Code, Refused, State};

/// Read a user
#[utoipa::path(get, path = "/v1/users/{id}", tag = "users",
    params(("id" = String, Path, description = "The user's id")),
    responses((status = 200, description = "The user", body = UserView)))]
pub(super) async fn read(
    state: web::Data<State>,
    id: web::Path<String>,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Read)?;
    let user_id = parse_id(&id)?;
    let store = state.engine.store();
    let user = store.known_user(app, &user_id).ok_or(Refused::new(Code::UserUnknown))?;
    let devices = store.user_devices(user).into_iter();
    let devices = devices.filter_map(|device| Some(store.device_info(device)?.device_id)).collect();
    let pending = store.pending_count(Owner::User(user));
    let tags = store.user_tags(user);
    Ok(HttpResponse::Ok().json(UserView { user_id, devices, pending, tags }))
}

pub(super) fn parse_id(id: &str) -> Result<UserId, Refused> {
    UserId::parse(id).map_err(|error| Refused::because(Code::UserIdInvalid, error.to_string()))
}

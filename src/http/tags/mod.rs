//! `/v1/tags`, and the tags of devices and users.

mod upload;

use actix_web::{HttpResponse, web};
use carillon_actors::model::{App, Owner};
use carillon_actors::store::{Store, TAGS_APP_MAX, TAGS_MAX, TagChange, Tagged};
use carillon_sdk::api::Scope;
use carillon_sdk::api::tags::{ChangeTags, MemberKind, MemberMode, MembersUploaded, TagCount, TagList, Tags};
use serde::Deserialize;
use serde_json::json;

use super::caller::Caller;
use super::page::{self, Kind, PageQuery};
use super::spool::Uploaded;
use super::{Code, Refused, State, devices, users};
pub(super) use upload::{note, to_the_end};

/// Set a device's tags
///
/// These and no others.
#[utoipa::path(put, path = "/v1/devices/{id}/tags", tag = "tags", request_body = Tags,
    params(("id" = String, Path, description = "The device's id")),
    responses((status = 200, description = "Its tags", body = Tags)))]
pub(super) async fn set_device(
    state: web::Data<State>,
    id: web::Path<String>,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Device)?;
    let device = devices::find(&state, app, &id)?;
    let Tags { tags } = caller.json()?;
    change(&state, &caller, Owner::Device(device), TagChange::Set(tags)).await
}

/// Change a device's tags
#[utoipa::path(patch, path = "/v1/devices/{id}/tags", tag = "tags", request_body = ChangeTags,
    params(("id" = String, Path, description = "The device's id")),
    responses((status = 200, description = "Its tags", body = Tags)))]
pub(super) async fn change_device(
    state: web::Data<State>,
    id: web::Path<String>,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Device)?;
    let device = devices::find(&state, app, &id)?;
    let ChangeTags { add, remove } = caller.json()?;
    change(&state, &caller, Owner::Device(device), TagChange::Change { add, remove }).await
}

/// Set a user's tags
///
/// These and no others. A user may have tags before any device is bound.
#[utoipa::path(put, path = "/v1/users/{id}/tags", tag = "tags", request_body = Tags,
    params(("id" = String, Path, description = "The user's id")),
    responses((status = 200, description = "The user's tags", body = Tags)))]
pub(super) async fn set_user(
    state: web::Data<State>,
    id: web::Path<String>,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Device)?;
    let Tags { tags } = caller.json()?;
    let user = user(&state, app, &id, !tags.is_empty())?;
    change(&state, &caller, user, TagChange::Set(tags)).await
}

/// Change a user's tags
#[utoipa::path(patch, path = "/v1/users/{id}/tags", tag = "tags", request_body = ChangeTags,
    params(("id" = String, Path, description = "The user's id")),
    responses((status = 200, description = "The user's tags", body = Tags)))]
pub(super) async fn change_user(
    state: web::Data<State>,
    id: web::Path<String>,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Device)?;
    let ChangeTags { add, remove } = caller.json()?;
    let user = user(&state, app, &id, !add.is_empty())?;
    change(&state, &caller, user, TagChange::Change { add, remove }).await
}

/// The user of that name; a tag makes one that is new.
fn user(state: &State, app: App, id: &str, make: bool) -> Result<Owner, Refused> {
    let id = users::parse_id(id)?;
    let store = state.engine.store();
    let user = if make { Some(store.user(app, &id)) } else { store.known_user(app, &id) };
    user.map(Owner::User).ok_or(Refused::new(Code::UserUnknown))
}

async fn change(
    state: &State,
    caller: &Caller,
    member: Owner,
    change: TagChange,
) -> Result<HttpResponse, Refused> {
    if let Some(name) = change.misnamed() {
        return Err(misnamed(name));
    }
    let store = state.engine.store();
    let tagged = store.tag(member, change, caller.nonce()).await;
    match tagged.map_err(|error| Refused::by_store(&error, Code::TagsFull))? {
        Tagged::Done => Ok(HttpResponse::Ok().json(Tags { tags: tags_of(store, member) })),
        Tagged::Gone => Err(Refused::new(Code::DeviceUnknown)),
        Tagged::TooMany => Err(too_many()),
        Tagged::NoRoom => Err(no_room()),
    }
}

fn tags_of(store: &Store, member: Owner) -> Vec<String> {
    match member {
        Owner::Device(device) => store.device_info(device).map(|info| info.tags).unwrap_or_default(),
        Owner::User(user) => store.user_tags(user),
    }
}

fn misnamed(name: &str) -> Refused {
    let detail = format!("{} bytes; a tag has 1 to 64, without control characters", name.len());
    Refused::because(Code::TagInvalid, detail)
}

fn too_many() -> Refused {
    Refused::because(Code::TagsFull, format!("a device or user has at most {TAGS_MAX} tags"))
}

fn no_room() -> Refused {
    Refused::because(Code::TagsFull, format!("an app has at most {TAGS_APP_MAX} tags"))
}

/// List tags
///
/// In alphabetical order, with how many have each.
#[utoipa::path(get, path = "/v1/tags", tag = "tags", params(PageQuery),
    responses((status = 200, description = "A page of tags", body = TagList)))]
pub(super) async fn list(state: web::Data<State>, caller: Caller) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Read)?;
    let query: PageQuery = caller.query()?;
    let limit = query.limit()?;
    let after = query.place(Kind::Tags)?;
    let mut found = state.engine.store().tags(app, after.as_deref(), limit + 1);
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|last| page::cursor(Kind::Tags, &last.name));
    let tags = found.into_iter();
    let tags = tags.map(|tag| TagCount { tag: tag.name, devices: tag.devices, users: tag.users }).collect();
    Ok(HttpResponse::Ok().json(TagList { tags, next }))
}

/// Delete a tag
///
/// Takes it from everybody.
#[utoipa::path(delete, path = "/v1/tags/{tag}", tag = "tags",
    params(("tag" = String, Path, description = "The tag")),
    responses((status = 204, description = "Nobody has it")))]
pub(super) async fn delete(
    state: web::Data<State>,
    tag: web::Path<String>,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Device)?;
    let members = state.engine.store().tag_members(app, &tag);
    if members.is_empty() {
        return Err(Refused::new(Code::TagUnknown));
    }
    let audit = caller.audit_of("tag.delete", &*tag, &json!({ "members": members.len() }));
    upload::note(&state, app, audit, caller.nonce()).await?;
    let change = TagChange::Change { add: Vec::new(), remove: vec![tag.into_inner()] };
    let store = state.engine.store().clone();
    upload::to_the_end(async move { upload::apply(&store, app, &members, &change.into()).await }).await?;
    Ok(HttpResponse::NoContent().finish())
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct UploadQuery {
    /// `devices` or `users`: whose ids they are; `devices` when absent.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    kind: MemberKind,
    /// `add`, `remove` or `replace`; `add` when absent.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    mode: MemberMode,
    /// `skip` leaves out what cannot be read; without it that refuses the whole.
    on_error: Option<String>,
}

/// Upload members
///
/// A file of ids, all of which get the tag, or lose it. One a line; in `text/csv` commas part them
/// too; in NDJSON each line is a text, or an object with `device_id` or `user_id`. Nothing is done
/// when an item cannot be read or a device is unknown, unless `on_error=skip`. A server that stops
/// in the middle may have done a part: send it again.
#[utoipa::path(post, path = "/v1/tags/{tag}/members", tag = "tags",
    params(("tag" = String, Path, description = "The tag"), UploadQuery),
    request_body(content((String = "text/plain"), (String = "text/csv"), (String = "application/x-ndjson")),
        description = "The ids"),
    responses((status = 200, description = "What was done", body = MembersUploaded)))]
pub(super) async fn members(
    state: web::Data<State>,
    tag: web::Path<String>,
    uploaded: Uploaded,
) -> Result<HttpResponse, Refused> {
    let app = uploaded.caller.with(Scope::Device)?;
    let query: UploadQuery = uploaded.caller.query()?;
    let skip = match query.on_error.as_deref() {
        None | Some("refuse") => false,
        Some("skip") => true,
        Some(_) => return Err(Refused::because(Code::QueryInvalid, "on_error is refuse or skip")),
    };
    if !carillon_actors::audience::is_tag(&tag) {
        return Err(misnamed(&tag));
    }
    let job = upload::Job { app, tag: tag.into_inner(), kind: query.kind, mode: query.mode, skip };
    Ok(HttpResponse::Ok().json(upload::run(&state, job, uploaded).await?))
}

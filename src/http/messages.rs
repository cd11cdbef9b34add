//! `GET /v1/messages/{id}`: what became of a push.

use actix_web::{HttpResponse, web};
use carillon_sdk::MessageId;
use carillon_sdk::api::{MessageView, Scope};

use super::caller::Caller;
use super::page::{self, Kind, PageQuery};
use super::{Code, Refused, State};

/// Read a message
///
/// State and time of each step, for each device (or user that no device was bound to), in pages.
#[utoipa::path(get, path = "/v1/messages/{id}", tag = "messages",
    params(("id" = String, Path, description = "The message's id"), PageQuery),
    responses((status = 200, description = "The message and a page of its targets", body = MessageView)))]
pub(super) async fn read(
    state: web::Data<State>,
    id: web::Path<String>,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Read)?;
    let id = MessageId::parse(&id).map_err(|_| Refused::new(Code::MessageIdInvalid))?;
    let query: PageQuery = caller.query()?;
    let limit = query.limit()?;
    let place = query.place(Kind::Targets)?;
    let found = state.engine.store().message(app, id, place, limit).await;
    let found = found.map_err(|error| Refused::by_store(&error, Code::Internal))?;
    let mut view = found.ok_or(Refused::new(Code::MessageUnknown))?;
    view.next = view.next.map(|place| page::cursor(Kind::Targets, &place));
    Ok(HttpResponse::Ok().json(view))
}

//! `/v1/audiences`: how many an expression is about.

use actix_web::{HttpResponse, web};
use carillon_actors::audience::Audience;
use carillon_sdk::Timestamp;
use carillon_sdk::api::Scope;
use carillon_sdk::api::tags::{AudienceCounted, CountAudience};

use super::caller::Caller;
use super::{Code, Refused, State};

/// Count an audience
///
/// How many devices and users it has now. Nothing is sent.
#[utoipa::path(post, path = "/v1/audiences/count", tag = "audiences", request_body = CountAudience,
    responses((status = 200, description = "The counts", body = AudienceCounted)))]
pub(super) async fn count(state: web::Data<State>, caller: Caller) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Read)?;
    let asked: CountAudience = caller.json()?;
    let audience = parsed(&asked.audience, "/audience", state.engine.clock().now())?;
    let text = audience.to_string();
    let store = state.engine.store().clone();
    // A walk over every device: milliseconds, on a thread that has them.
    let count = web::block(move || store.audience_count(app, &audience)).await;
    let count = count.map_err(|_| Refused::new(Code::Internal))?;
    Ok(HttpResponse::Ok().json(AudienceCounted {
        audience: text,
        devices: count.devices,
        users: count.users,
        by_platform: count.by_platform,
        by_channel: count.by_channel,
    }))
}

/// The audience a text at `pointer` of a body means, or where it stops meaning one.
pub(super) fn parsed(text: &str, pointer: &str, now: Timestamp) -> Result<Audience, Refused> {
    Audience::parse(text, now).map_err(|error| Refused::at(Code::AudienceInvalid, pointer, error.to_string()))
}

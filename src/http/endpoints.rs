//! `/v1/endpoints`: where receipts are POSTed.

use actix_web::{HttpResponse, web};
use carillon_actors::receipts::{Answer, Draft, Endpoint, Error, Kept, ReplayFrom, Secret};
use carillon_sdk::Ttl;
use carillon_sdk::api::endpoints::{
    ChangeEndpoint, CreateEndpoint, EndpointList, EndpointSecret, EndpointTested, EndpointView, ReplayEvents,
    RotateSecret,
};
use carillon_sdk::api::{EventType, Scope, SignatureAlgorithm};
use serde_json::json;

use super::caller::Caller;
use super::{Code, Refused, State};
use crate::receipts::parse_url;

const DESCRIPTION_BYTES_MAX: usize = 256;

/// For how long an old secret signs beside the new one when nobody says otherwise, and at most.
const OVERLAP_DEFAULT_S: u64 = 86_400;
const OVERLAP_MAX_S: u64 = 7 * 86_400;

/// Make an endpoint
///
/// It hears of what happens from now on. The answer is the only one with its secret.
#[utoipa::path(post, path = "/v1/endpoints", tag = "endpoints", request_body = CreateEndpoint,
    responses((status = 201, description = "The endpoint and its secret", body = EndpointSecret)))]
pub(super) async fn create(state: web::Data<State>, caller: Caller) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Manage)?;
    let asked: CreateEndpoint = caller.json()?;
    let draft = Draft {
        url: url(asked.url)?,
        events: events(asked.events)?,
        description: description(asked.description)?,
        algorithm: asked.algorithm,
        secret: secret(asked.algorithm, asked.secret.as_deref())?,
    };
    let shown = draft.secret.shown();
    let id = Endpoint::fresh_id();
    let audit = caller.audit_of("endpoint.create", &id, &json!({ "url": draft.url }));
    let made = state.engine.endpoints(app).create(draft, audit, caller.nonce()).await.map_err(refused)?;
    let body = EndpointSecret { endpoint: view(&state, made), secret: shown };
    let location = format!("/v1/endpoints/{id}");
    Ok(HttpResponse::Created().insert_header(("Location", location)).json(body))
}

/// List endpoints
#[utoipa::path(get, path = "/v1/endpoints", tag = "endpoints",
    responses((status = 200, description = "The app's endpoints", body = EndpointList)))]
pub(super) async fn list(state: web::Data<State>, caller: Caller) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Manage)?;
    let endpoints = state.engine.endpoints(app).list().into_iter().map(|kept| view(&state, kept));
    Ok(HttpResponse::Ok().json(EndpointList { endpoints: endpoints.collect() }))
}

/// Read an endpoint
#[utoipa::path(get, path = "/v1/endpoints/{id}", tag = "endpoints",
    params(("id" = String, Path, description = "The endpoint's id")),
    responses((status = 200, description = "The endpoint, and how it fares", body = EndpointView)))]
pub(super) async fn read(
    state: web::Data<State>,
    id: web::Path<String>,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Manage)?;
    let kept = state.engine.endpoints(app).get(&id).ok_or(Refused::new(Code::EndpointUnknown))?;
    Ok(HttpResponse::Ok().json(view(&state, kept)))
}

/// Change an endpoint
///
/// What is named. One that is enabled again goes on from where it was.
#[utoipa::path(patch, path = "/v1/endpoints/{id}", tag = "endpoints", request_body = ChangeEndpoint,
    params(("id" = String, Path, description = "The endpoint's id")),
    responses((status = 200, description = "The endpoint as it is now", body = EndpointView)))]
pub(super) async fn change(
    state: web::Data<State>,
    id: web::Path<String>,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Manage)?;
    let asked: ChangeEndpoint = caller.json()?;
    let detail = serde_json::to_value(&asked).unwrap_or_default();
    let url = asked.url.map(url).transpose()?;
    let events = asked.events.map(events).transpose()?;
    let description = description(asked.description)?;
    let change = |endpoint: &mut Endpoint| {
        if let Some(url) = &url {
            endpoint.url.clone_from(url);
        }
        if let Some(events) = &events {
            endpoint.events.clone_from(events);
        }
        if description.is_some() {
            endpoint.description.clone_from(&description);
        }
        match asked.enabled {
            Some(true) => endpoint.disabled = None,
            Some(false) => endpoint.disabled = Some("by_owner".to_owned()),
            None => {}
        }
    };
    let audit = caller.audit_of("endpoint.update", &*id, &detail);
    let changed = state.engine.endpoints(app).change(&id, change, audit, caller.nonce()).await;
    Ok(HttpResponse::Ok().json(view(&state, changed.map_err(refused)?)))
}

/// Delete an endpoint
///
/// What it has not taken it never gets.
#[utoipa::path(delete, path = "/v1/endpoints/{id}", tag = "endpoints",
    params(("id" = String, Path, description = "The endpoint's id")),
    responses((status = 204, description = "Deleted")))]
pub(super) async fn delete(
    state: web::Data<State>,
    id: web::Path<String>,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Manage)?;
    let audit = caller.audit("endpoint.delete", &*id);
    state.engine.endpoints(app).delete(&id, audit, caller.nonce()).await.map_err(refused)?;
    Ok(HttpResponse::NoContent().finish())
}

/// Rotate an endpoint's secret
///
/// The new one signs from now on; the old one too, for as long as is asked for.
#[utoipa::path(post, path = "/v1/endpoints/{id}/rotate", tag = "endpoints", request_body = RotateSecret,
    params(("id" = String, Path, description = "The endpoint's id")),
    responses((status = 200, description = "The endpoint and its new secret", body = EndpointSecret)))]
pub(super) async fn rotate(
    state: web::Data<State>,
    id: web::Path<String>,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Manage)?;
    let asked: RotateSecret = caller.json()?;
    let endpoints = state.engine.endpoints(app);
    let kept = endpoints.get(&id).ok_or(Refused::new(Code::EndpointUnknown))?;
    let secret = secret(kept.endpoint.algorithm, asked.secret.as_deref())?;
    let overlap_s = asked.overlap_s.unwrap_or(OVERLAP_DEFAULT_S);
    if overlap_s > OVERLAP_MAX_S {
        return Err(Refused::at(Code::EndpointInvalid, "/overlap_s", format!("at most {OVERLAP_MAX_S}")));
    }
    let audit = caller.audit_of("endpoint.rotate", &*id, &json!({ "overlap_s": overlap_s }));
    let overlap = Ttl::from_secs(overlap_s);
    let rotated = endpoints.rotate(&id, &secret, overlap, audit, caller.nonce()).await.map_err(refused)?;
    Ok(HttpResponse::Ok().json(EndpointSecret { endpoint: view(&state, rotated), secret: secret.shown() }))
}

/// Replay events
///
/// Those of the past, beside what happens: with the ids they had, so a receiver knows them again. One
/// replay at a time.
#[utoipa::path(post, path = "/v1/endpoints/{id}/replay", tag = "endpoints", request_body = ReplayEvents,
    params(("id" = String, Path, description = "The endpoint's id")),
    responses((status = 202, description = "It has begun", body = EndpointView)))]
pub(super) async fn replay(
    state: web::Data<State>,
    id: web::Path<String>,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Manage)?;
    let asked: ReplayEvents = caller.json()?;
    let detail = serde_json::to_value(&asked).unwrap_or_default();
    let from = match (asked.cursor, asked.since) {
        (Some(cursor), None) => ReplayFrom::Cursor(cursor),
        (None, Some(since)) => ReplayFrom::Time(since),
        _ => return Err(Refused::because(Code::BodyInvalid, "a replay begins at a cursor or at since")),
    };
    let audit = caller.audit_of("endpoint.replay", &*id, &detail);
    let begun = state.engine.endpoints(app).replay(&id, from, asked.until, audit, caller.nonce()).await;
    Ok(HttpResponse::Accepted().json(view(&state, begun.map_err(refused)?)))
}

/// Test an endpoint
///
/// Sends a ping, signed as events are, and says what came of it.
#[utoipa::path(post, path = "/v1/endpoints/{id}/test", tag = "endpoints",
    params(("id" = String, Path, description = "The endpoint's id")),
    responses((status = 200, description = "What came of it", body = EndpointTested)))]
pub(super) async fn test(
    state: web::Data<State>,
    id: web::Path<String>,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Manage)?;
    let answer = state.engine.endpoints(app).test(&id).await.map_err(refused)?;
    let error = match answer {
        Answer::Taken => None,
        Answer::Gone => Some("it answered 410".to_owned()),
        Answer::Failed { why, .. } => Some(why),
    };
    Ok(HttpResponse::Ok().json(EndpointTested { taken: error.is_none(), error }))
}

fn view(state: &State, kept: Kept) -> EndpointView {
    kept.view(state.engine.clock().now())
}

fn url(text: String) -> Result<String, Refused> {
    match parse_url(&text) {
        Ok(_) => Ok(text),
        Err(refusal) => Err(Refused::at(Code::EndpointInvalid, "/url", refusal.to_string())),
    }
}

fn events(events: Vec<EventType>) -> Result<Vec<EventType>, Refused> {
    match (1..events.len()).find(|at| events[..*at].contains(&events[*at])) {
        Some(at) => Err(Refused::at(Code::EndpointInvalid, format!("/events/{at}"), "named before")),
        None => Ok(events),
    }
}

fn description(text: Option<String>) -> Result<Option<String>, Refused> {
    match text {
        Some(text) if text.len() > DESCRIPTION_BYTES_MAX => {
            let detail = format!("at most {DESCRIPTION_BYTES_MAX} bytes");
            Err(Refused::at(Code::EndpointInvalid, "/description", detail))
        }
        text => Ok(text),
    }
}

fn secret(algorithm: SignatureAlgorithm, text: Option<&str>) -> Result<Secret, Refused> {
    let Some(text) = text else { return Ok(Secret::fresh(algorithm)) };
    Secret::parse(algorithm, text).ok_or_else(|| {
        let detail = match algorithm {
            SignatureAlgorithm::Hmac => "whsec_ and base64 of 24 to 64 bytes",
            SignatureAlgorithm::Ed25519 => "whsk_ and base64 of a seed of 32 bytes",
        };
        Refused::at(Code::EndpointInvalid, "/secret", detail)
    })
}

fn refused(error: Error) -> Refused {
    match error {
        Error::Unknown => Refused::new(Code::EndpointUnknown),
        Error::Full(most) => Refused::because(Code::EndpointsFull, format!("an app has at most {most}")),
        Error::Disabled => Refused::new(Code::EndpointDisabled),
        Error::Replaying => Refused::new(Code::ReplayRunning),
        Error::Cursor => Refused::new(Code::CursorInvalid),
        Error::Changed => Refused::new(Code::Busy),
        Error::Closed => Refused::new(Code::Unavailable),
        Error::Store(error) => Refused::by_store(&error, Code::Internal),
    }
}

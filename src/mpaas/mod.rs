//! The face of Alibaba's mPaaS Message Push Service: `POST /`, as its official SDKs call it. With
//! endpoint and key changed and nothing else, an app server pushes through Carillon.
//!
//! ```text
//!  x-acs-action or Action ─▶ Caller (signature, rate, nonce) ─▶ action of the table ─▶ Engine, Store
//!  SDK ◀── family's answer, HTTP 200 ◀── done, or failed for a result code ◀──────────────┘
//!  SDK ◀── {RequestId, HostId, Code, Message, Recommend}, 4xx or 5xx ◀── a fault, a panic, a timeout
//! ```
//!
//! A thin face: it parses, calls the core that `/v1` calls, and answers. It never answers without a
//! JSON object, whatever happens, since the SDK reports an empty body as a fault of its own.
//! docs/mpaas.md is its manual.

mod actions;
mod analysis;
mod answer;
mod caller;
mod devices;
mod fault;
mod form;
mod push;
mod result;
mod revoke;
mod schedules;
mod sign;
mod templates;

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use actix_web::guard::GuardContext;
use actix_web::http::header::{self, HeaderMap};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};
use futures_util::FutureExt as _;
use metrics::counter;

use crate::http::State;
use actions::{ACTIONS, Call, Row};
use answer::Refused;
use caller::Caller;
use fault::{Fault, Kind};

/// How long an action may take: the SDK gives up after ten seconds, and what it then makes of the
/// silence is no error that names a request.
const ACTION_TIMEOUT: Duration = Duration::from_secs(9);

/// Marks an answer of this face, whose body is final.
pub(crate) struct Answered;

/// The id under which a request is logged and answered.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(pub(crate) String);

/// Whether a request is for this face: it says so in its header, in its query, or by being a `POST /`.
pub(crate) fn is_addressed(guard: &GuardContext<'_>) -> bool {
    addressed(&guard.head().method, guard.head().uri.path(), guard.head().uri.query(), guard.head().headers())
}

fn addressed(method: &Method, path: &str, query: Option<&str>, headers: &HeaderMap) -> bool {
    let in_query = || query.unwrap_or_default().split('&').any(|part| part.starts_with("Action="));
    let alone = path == "/" && method == Method::POST;
    !path.starts_with("/v1/") && (alone || headers.contains_key("x-acs-action") || in_query())
}

/// Every series at 0, so that a rate has a beginning.
pub(crate) fn begin_metrics() {
    let names = ACTIONS.iter().map(|row| row.name).chain(["other"]);
    for action in names {
        for outcome in ["ok", "failed", "refused", "error"] {
            counter!("carillon_mpaas_requests_total", "action" => action, "outcome" => outcome).absolute(0);
        }
    }
}

/// What every answer says of itself.
struct Ticket {
    request_id: String,
    host: String,
}

impl Ticket {
    fn of(request: &HttpRequest) -> Self {
        let kept = request.extensions().get::<RequestId>().map(|id| id.0.clone());
        Self { request_id: upper_uuid(kept.as_deref()), host: host(request.headers()) }
    }
}

/// The request's id where it is a UUID, else a new one: the SDKs expect upper case.
fn upper_uuid(id: Option<&str>) -> String {
    let id = id.and_then(|text| uuid::Uuid::try_parse(text).ok()).unwrap_or_else(uuid::Uuid::now_v7);
    id.to_string().to_uppercase()
}

fn host(headers: &HeaderMap) -> String {
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok());
    host.unwrap_or_default().to_owned()
}

/// Answers a call, whatever becomes of it.
pub(crate) async fn serve(
    state: web::Data<State>,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    let ticket = Ticket::of(&request);
    let (action, mut response) = unpanicked(call(&state, &request, payload, &ticket), &ticket).await;
    let failed = response.extensions_mut().remove::<Failed>().is_some();
    let outcome = match response.status().as_u16() {
        200 if failed => "failed",
        200 => "ok",
        500.. => "error",
        _ => "refused",
    };
    counter!("carillon_mpaas_requests_total", "action" => action, "outcome" => outcome).increment(1);
    response.extensions_mut().insert(Answered);
    response
}

/// Marks an answer of HTTP 200 that says no.
struct Failed;

/// The answer, also of what dies on its way to one.
async fn unpanicked(
    work: impl Future<Output = (&'static str, HttpResponse)>,
    ticket: &Ticket,
) -> (&'static str, HttpResponse) {
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_| {
        // The panic's own words are in the log already: the hook wrote them.
        let fault = Fault::new(Kind::Internal, "Something failed in the server.");
        ("other", fault.respond(&ticket.request_id, &ticket.host))
    })
}

async fn call(
    state: &web::Data<State>,
    request: &HttpRequest,
    payload: web::Payload,
    ticket: &Ticket,
) -> (&'static str, HttpResponse) {
    let refused = |fault: &Fault| fault.respond(&ticket.request_id, &ticket.host);
    let caller = match caller::prove(state, request, payload).await {
        Ok(caller) => caller,
        Err(fault) => return ("other", refused(&fault)),
    };
    let Some(row) = actions::find(&caller.action) else {
        let message = format!("The specified action {:?} is not one of this service.", caller.action);
        return ("other", refused(&Fault::new(Kind::ActionNotFound, message)));
    };
    let done = tokio::time::timeout(ACTION_TIMEOUT, act(state, row, caller)).await;
    let done = done.unwrap_or_else(|_| {
        let fault = Fault::unavailable("It took too long, and may or may not have been done.");
        Err(fault.into())
    });
    let response = match done {
        Ok(done) => HttpResponse::Ok().json(row.family.success(&ticket.request_id, done)),
        Err(Refused::Fault(fault)) => refused(&fault),
        Err(Refused::Failed(failure)) => {
            let mut response = HttpResponse::Ok().json(row.family.failure(&ticket.request_id, &failure));
            response.extensions_mut().insert(Failed);
            response
        }
    };
    (row.name, response)
}

async fn act(state: &web::Data<State>, row: &Row, caller: Caller) -> Result<answer::Done, Refused> {
    let call = Call::new(state.clone(), row, caller)?;
    (row.handler)(call).await
}

/// A refusal of the API's own manners (too long a header, no such path, …) in the words of this face,
/// when the request was for it.
pub(crate) fn reword(request: &HttpRequest, status: StatusCode, request_id: &str) -> Option<HttpResponse> {
    if !addressed(request.method(), request.path(), request.uri().query(), request.headers()) {
        return None;
    }
    let (kind, message) = match status.as_u16() {
        404 => (Kind::PathNotFound, "There is nothing at this path: actions are called at /."),
        405 => (Kind::MethodNotAllowed, "An action is called by POST, or by GET with the RPC signature."),
        408 => (Kind::BodyTimeout, "The body took too long to arrive."),
        413 => (Kind::BodyTooLarge, "The body is too long."),
        431 => (Kind::HeaderTooLarge, "Request line and headers are too long."),
        400..=499 => (Kind::Malformed, "The request cannot be read."),
        _ => (Kind::Internal, "Something failed in the server."),
    };
    let fault = Fault::new(kind, message);
    Some(fault.respond(&upper_uuid(Some(request_id)), &host(request.headers())))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn a_call_is_known_by_its_header_its_query_or_its_method() {
        let is = |method: Method, path: &str, query: Option<&str>, header: bool| {
            let mut headers = HeaderMap::new();
            if header {
                let name = HeaderName::from_static("x-acs-action");
                headers.insert(name, HeaderValue::from_static("PushSimple"));
            }
            addressed(&method, path, query, &headers)
        };
        assert!(is(Method::POST, "/", None, false));
        assert!(is(Method::GET, "/", Some("Format=JSON&Action=PushSimple"), false));
        assert!(is(Method::POST, "/nowhere", None, true));
        assert!(!is(Method::GET, "/", None, false), "the index page");
        assert!(!is(Method::GET, "/", Some("X-Action=1"), false));
        assert!(!is(Method::POST, "/v1/pushes", None, true));
    }

    #[actix_web::test]
    async fn a_call_that_panics_is_an_internal_error_in_json() {
        let ticket = Ticket { request_id: upper_uuid(None), host: "h:1".to_owned() };
        let (_, response) = unpanicked(async { panic!("on purpose") }, &ticket).await;
        assert_eq!(response.status(), 500);
        let body = actix_web::body::to_bytes(response.into_body()).await.unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((&body["Code"], &body["RequestId"]), (&"InternalError".into(), &ticket.request_id.into()));
    }

    #[test]
    fn a_request_id_is_an_upper_case_uuid() {
        let id = "0199c82c-c000-7abc-8def-0123456789ab";
        assert_eq!(upper_uuid(Some(id)), id.to_uppercase());
        assert_eq!(upper_uuid(Some("mine")).len(), 36);
    }
}

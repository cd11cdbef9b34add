//! What every request gets, whatever it asks for: a request id, a bound on its headers, the body of
//! a refusal, a line in the log, and its place in the metrics.

use std::time::Duration;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, ResponseError, web};
use carillon_sdk::KeyId;
use carillon_sdk::api::Problem;
use metrics::{counter, histogram};

use super::rate::Allowance;
use super::{Code, Refused, State, routes};
use crate::mpaas;

/// Longest request id taken from a caller, in bytes; a longer or stranger one is replaced.
const REQUEST_ID_BYTES_MAX: usize = 64;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Kept with the request for its log line and headers.
#[derive(Debug, Clone)]
pub(crate) struct Identified(pub(crate) KeyId);

/// Wraps the whole application.
pub(super) async fn manners(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let state = request.app_data::<web::Data<State>>().cloned();
    let began = state.as_ref().map(|state| state.engine.clock().elapsed());
    let id = request_id(request.headers());
    request.extensions_mut().insert(mpaas::RequestId(id.clone()));
    let too_long = state.as_ref().is_some_and(|state| head_bytes(&request) > state.http.header_bytes_max);
    let mut response = if too_long {
        request.into_response(Refused::new(Code::HeaderTooLarge).error_response())
    } else {
        next.call(request).await?.map_into_boxed_body()
    };
    let face = state.as_ref().is_some_and(|state| state.mpaas.enabled) && in_mpaas_words(&mut response, &id);
    let problem = if face { None } else { problem_of(&mut response) };
    let code = problem.as_ref().map(|problem| problem.code.clone());
    if let Some(mut problem) = problem {
        problem.request_id.clone_from(&id);
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        response = response.map_body(|_, _| BoxBody::new(body));
    }
    let rated = response.request().extensions().get::<Allowance>().copied();
    write_headers(response.headers_mut(), &id, rated);
    let took = state.zip(began).map(|(state, began)| state.engine.clock().elapsed().saturating_sub(began));
    count(&response, code.as_deref(), took.unwrap_or_default());
    log(&response, &id, code.as_deref(), took.unwrap_or_default());
    Ok(response)
}

/// True when the answer is the mPaaS face's: its own, or a refusal of ours that is put in its words.
fn in_mpaas_words(response: &mut ServiceResponse<BoxBody>, id: &str) -> bool {
    if response.response_mut().extensions_mut().remove::<mpaas::Answered>().is_some() {
        return true;
    }
    let reworded = (response.status().as_u16() >= 400)
        .then(|| mpaas::reword(response.request(), response.status(), id))
        .flatten();
    let Some(reworded) = reworded else { return false };
    response.response_mut().extensions_mut().remove::<Problem>();
    *response.response_mut() = reworded;
    true
}

/// The caller's id when it is harmless, else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let harmless = |id: &&str| {
        (1..=REQUEST_ID_BYTES_MAX).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:+/=".contains(&byte))
    };
    let given = headers.get(X_REQUEST_ID).and_then(|value| value.to_str().ok()).filter(harmless);
    given.map_or_else(|| uuid::Uuid::now_v7().to_string(), str::to_owned)
}

fn head_bytes(request: &ServiceRequest) -> usize {
    let line = request.uri().path().len() + request.uri().query().map_or(0, str::len);
    line + request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum::<usize>()
}

/// The refusal in a response: ours, or the one that stands for an error of the framework's own.
fn problem_of(response: &mut ServiceResponse<BoxBody>) -> Option<Problem> {
    let ours = response.response_mut().extensions_mut().remove::<Problem>();
    if ours.is_some() || response.status().as_u16() < 400 {
        return ours;
    }
    let code = match response.status().as_u16() {
        404 => Code::RouteUnknown,
        405 => Code::MethodNotAllowed,
        408 => Code::BodyTimeout,
        413 => Code::BodyTooLarge,
        415 => Code::ContentTypeUnsupported,
        431 => Code::HeaderTooLarge,
        400..=499 => Code::RequestMalformed,
        _ => Code::Internal,
    };
    let mut stands_for_it = Refused::new(code).error_response();
    *response.response_mut().status_mut() = code.status();
    let kind = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    stands_for_it.extensions_mut().remove::<Problem>()
}

fn write_headers(headers: &mut HeaderMap, id: &str, rated: Option<Allowance>) {
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(X_REQUEST_ID, id);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    let Some(Allowance { rate, left, retry_after_s, .. }) = rated else { return };
    let policy = format!("\"default\";q={};w={}", rate.burst, rate.burst.div_ceil(rate.per_s));
    let limit = format!("\"default\";r={left};t={retry_after_s}");
    for (name, value) in [("ratelimit-policy", policy), ("ratelimit", limit)] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

/// Labels come from the table of routes, never from the request.
fn count(response: &ServiceResponse<BoxBody>, code: Option<&str>, took: Duration) {
    let pattern = response.request().match_pattern().unwrap_or_default();
    let (method, route) = routes::label(response.request().method(), &pattern);
    let class = match response.status().as_u16() / 100 {
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    };
    counter!("carillon_api_requests_total", "method" => method, "route" => route, "code_class" => class)
        .increment(1);
    histogram!("carillon_api_request_duration_seconds", "method" => method, "route" => route)
        .record(took.as_secs_f64());
    if let Some(code) = Code::ALL.iter().find(|known| Some(known.as_str()) == code) {
        counter!("carillon_api_refusals_total", "code" => code.as_str()).increment(1);
    }
}

/// Every series at 0, so that a rate has a beginning.
pub(super) fn begin_metrics() {
    for (method, route) in routes::labels() {
        for class in ["2xx", "4xx", "5xx"] {
            counter!("carillon_api_requests_total", "method" => method, "route" => route, "code_class" => class)
                .absolute(0);
        }
    }
    for code in Code::ALL {
        counter!("carillon_api_refusals_total", "code" => code.as_str()).absolute(0);
        if code.status().as_u16() == 401 {
            counter!("carillon_api_auth_failures_total", "reason" => code.as_str()).absolute(0);
        }
    }
}

/// One line a request. What a caller does wrong is the caller's business, and a flood of it must not
/// fill a disk; a failure of ours is for the operator.
fn log(response: &ServiceResponse<BoxBody>, id: &str, code: Option<&str>, took: Duration) {
    let request = response.request();
    let status = response.status().as_u16();
    let key = request.extensions().get::<Identified>().map(|key| key.0.to_string());
    let (method, route) = (request.method(), request.match_pattern());
    let (route, key) = (route.as_deref().unwrap_or("none"), key.as_deref());
    let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    if status == 500 {
        tracing::error!(request_id = id, %method, route, status, code, key_id = key, took_us, "request failed");
    } else {
        tracing::debug!(request_id = id, %method, route, status, code, key_id = key, took_us, "request");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_of(given: &str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(X_REQUEST_ID, HeaderValue::from_bytes(given.as_bytes()).unwrap());
        request_id(&headers)
    }

    #[test]
    fn a_harmless_request_id_is_kept_and_any_other_replaced() {
        assert_eq!(id_of("abc-123.Z_9"), "abc-123.Z_9");
        assert_eq!(id_of(&"a".repeat(64)).len(), 64);
        for strange in ["", "a b", "<script>", "a\"b", &"a".repeat(65), "naïve"] {
            let id = id_of(strange);
            assert!(id != strange && id.len() == 36, "{strange:?} became {id:?}");
        }
    }
}

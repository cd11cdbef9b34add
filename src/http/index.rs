//! What anybody may read: where the documentation is.

use actix_web::{HttpResponse, Responder};
use serde::Serialize;

use super::openapi;

const ERRORS: &str = include_str!("../../docs/errors.md");

/// What is found at `/`.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Index {
    name: &'static str,
    version: &'static str,
    openapi: &'static str,
    errors: &'static str,
}

/// Find the documentation
#[utoipa::path(get, path = "/", tag = "documentation",
    responses((status = 200, description = "Where the documentation is", body = Index)))]
pub(super) async fn index() -> impl Responder {
    HttpResponse::Ok().json(Index {
        name: "carillon",
        version: env!("CARGO_PKG_VERSION"),
        openapi: "/openapi.json",
        errors: "/errors",
    })
}

/// Read about an error
///
/// The `type` of a problem points here: a heading for each code, what happened and what to do.
#[utoipa::path(get, path = "/errors", tag = "documentation",
    responses((status = 200, description = "docs/errors.md", body = String, content_type = "text/markdown")))]
pub(super) async fn errors() -> impl Responder {
    HttpResponse::Ok().content_type("text/markdown; charset=utf-8").body(ERRORS)
}

/// Read this description
#[utoipa::path(get, path = "/openapi.json", tag = "documentation",
    responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json")))]
pub(super) async fn openapi_json() -> impl Responder {
    HttpResponse::Ok().content_type("application/json").body(openapi::json())
}

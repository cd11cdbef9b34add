//! The OpenAPI 3.1 description, made from the handlers and the table of routes.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use carillon_sdk::api::{Problem, ProblemAt, TargetAnswer};
use utoipa::OpenApi;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder};

use super::routes::{Access, Entry, ROUTES};
use super::{Code, apps, audit, devices, index, keys, messages, pushes, settings, stats, templates, users};
use super::{analysis, revokes, schedules};
use super::{audiences, campaigns, endpoints, events, lists, tags, tokens};
use super::{vendor_receipts, vendors};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Carillon",
        description = "A self-hosted push platform. docs/http.md says how requests are signed; docs/errors.md has every code."
    ),
    paths(
        devices::register,
        devices::list,
        devices::read,
        devices::delete,
        devices::bind,
        devices::unbind,
        users::read,
        pushes::create,
        pushes::batch::batch,
        messages::read,
        analysis::figures,
        analysis::tasks,
        analysis::task,
        revokes::message,
        revokes::task,
        endpoints::create,
        endpoints::list,
        endpoints::read,
        endpoints::change,
        endpoints::delete,
        endpoints::rotate,
        endpoints::replay,
        endpoints::test,
        events::read,
        stats::read,
        campaigns::list,
        campaigns::create,
        campaigns::read,
        campaigns::watch::watch,
        campaigns::plan,
        campaigns::apply,
        campaigns::pause,
        campaigns::resume,
        campaigns::abort,
        tags::set_device,
        tags::change_device,
        tags::set_user,
        tags::change_user,
        tags::list,
        tags::delete,
        tags::members,
        tokens::read,
        tokens::set,
        tokens::withdraw,
        tokens::import,
        tokens::export,
        audiences::count,
        campaigns::revoke,
        lists::list,
        lists::upload,
        lists::read,
        lists::delete,
        keys::list,
        keys::create,
        keys::update,
        keys::rotate,
        keys::revoke,
        templates::create,
        templates::list,
        templates::read,
        templates::replace,
        templates::delete,
        templates::rendered,
        schedules::create,
        schedules::list,
        schedules::read,
        schedules::cancel,
        schedules::cancel_run,
        schedules::runs,
        audit::read,
        settings::read,
        settings::replace,
        settings::callback_key,
        settings::make_callback_key,
        vendors::list,
        vendors::read,
        vendors::put,
        vendors::remove,
        vendors::test,
        vendors::rotate,
        vendors::quota,
        vendor_receipts::take,
        apps::list,
        apps::create,
        apps::read,
        apps::update,
        apps::rotate_client_key,
        index::openapi_json,
        index::errors,
        index::index,
    ),
    components(schemas(Problem, ProblemAt, TargetAnswer))
)]
struct Description;

const SIGNED: &str = "signed";
const BEARER: &str = "bearer";
const CLIENT: &str = "client_key";

/// Any request may be refused so.
const ALWAYS: &[Code] = &[Code::HeaderTooLarge, Code::RequestMalformed, Code::Internal];

/// Any request with a key.
const WITH_KEY: &[Code] = &[
    Code::AuthorizationMissing,
    Code::AuthorizationInvalid,
    Code::ClockSkew,
    Code::SignatureInvalid,
    Code::NonceReplayed,
    Code::NoncesFull,
    Code::BearerRefused,
    Code::ScopeMissing,
    Code::AddressRefused,
    Code::AppDisabled,
    Code::RateLimited,
    Code::BodyTooLarge,
    Code::BodyTimeout,
    Code::Busy,
    Code::Unavailable,
];

/// Any request that changes something.
const WRITING: &[Code] = &[Code::OutcomeUnknown, Code::DiskFull];

/// Any request with a body.
const WITH_BODY: &[Code] = &[Code::ContentTypeUnsupported, Code::BodyMalformed, Code::BodyInvalid];

/// The description as it is served.
pub(super) fn json() -> &'static str {
    static TEXT: LazyLock<String> =
        LazyLock::new(|| serde_json::to_string_pretty(&describe()).unwrap_or_default());
    &TEXT
}

fn describe() -> utoipa::openapi::OpenApi {
    let mut api = Description::openapi();
    api.info.version = env!("CARGO_PKG_VERSION").to_owned();
    let components = api.components.get_or_insert_default();
    let scheme = |kind: HttpAuthScheme, description: &str| {
        let mut http = Http::new(kind);
        http.description = Some(description.to_owned());
        SecurityScheme::Http(http)
    };
    components.add_security_scheme(SIGNED, authorization_header("CARILLON1-HMAC-SHA256 …: see docs/http.md"));
    components.add_security_scheme(CLIENT, authorization_header("Client cp_…: the app's publishable key"));
    components.add_security_scheme(
        BEARER,
        scheme(HttpAuthScheme::Bearer, "<key id>.<secret>, over TLS or loopback, from a key that allows it"),
    );
    for entry in ROUTES {
        if let Some(operation) = operation(&mut api, entry) {
            complete(operation, entry);
        }
    }
    api
}

/// HTTP schemes of our own, which OpenAPI can only call an API key in a header.
fn authorization_header(description: &str) -> SecurityScheme {
    use utoipa::openapi::security::{ApiKey, ApiKeyValue};
    SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description("Authorization", description)))
}

fn operation<'a>(api: &'a mut utoipa::openapi::OpenApi, entry: &Entry) -> Option<&'a mut Operation> {
    let item = api.paths.paths.get_mut(entry.path)?;
    match entry.method {
        "GET" => item.get.as_mut(),
        "POST" => item.post.as_mut(),
        "PUT" => item.put.as_mut(),
        "DELETE" => item.delete.as_mut(),
        "PATCH" => item.patch.as_mut(),
        _ => None,
    }
}

/// Its name, who may call, and every refusal, by status.
fn complete(operation: &mut Operation, entry: &Entry) {
    // The handlers' names are unique in their module alone: `devices_list`, `keys_list`.
    let module = operation.tags.as_ref().and_then(|tags| tags.first());
    if let (Some(module), Some(handler)) = (module, &operation.operation_id) {
        operation.operation_id = Some(format!("{module}_{handler}"));
    }
    let require = |name: &str| SecurityRequirement::new(name, std::iter::empty::<String>());
    operation.security = Some(match entry.access {
        Access::Anybody => Vec::new(),
        Access::Key(_) => vec![require(SIGNED), require(BEARER)],
        Access::KeyOrClient(_) => vec![require(SIGNED), require(BEARER), require(CLIENT)],
    });
    if let Access::Key(scope) | Access::KeyOrClient(scope) = entry.access {
        let needs = format!("Needs a key with the scope `{}`.", format!("{scope:?}").to_lowercase());
        let description = operation.description.get_or_insert_default();
        *description = format!("{description}\n\n{needs}").trim().to_owned();
    }
    let mut by_status: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
    for code in refusals(entry, operation.request_body.is_some()) {
        by_status.entry(code.status().as_u16()).or_default().push(code.as_str());
    }
    for (status, codes) in by_status {
        let schema = RefOr::Ref(Ref::from_schema_name("Problem"));
        let content = ContentBuilder::new().schema(Some(schema)).build();
        let description = format!("`{}`", codes.join("`, `"));
        let response =
            ResponseBuilder::new().description(description).content("application/problem+json", content);
        operation.responses.responses.insert(status.to_string(), RefOr::T(response.build()));
    }
}

fn refusals(entry: &Entry, has_body: bool) -> Vec<Code> {
    let mut codes = ALWAYS.to_vec();
    if entry.access != Access::Anybody {
        codes.extend(WITH_KEY);
    }
    if entry.method != "GET" {
        codes.extend(WRITING);
    }
    if has_body {
        codes.extend(WITH_BODY);
    }
    codes.extend(entry.codes);
    codes
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_route_is_described_and_every_description_has_its_route() {
        let described: BTreeSet<_> = describe()
            .paths
            .paths
            .iter()
            .flat_map(|(path, item)| {
                let of = |method: &str, there: bool| there.then(|| format!("{method} {path}"));
                [
                    of("GET", item.get.is_some()),
                    of("POST", item.post.is_some()),
                    of("PUT", item.put.is_some()),
                    of("DELETE", item.delete.is_some()),
                    of("PATCH", item.patch.is_some()),
                ]
            })
            .flatten()
            .collect();
        let served: BTreeSet<_> =
            ROUTES.iter().map(|entry| format!("{} {}", entry.method, entry.path)).collect();
        assert_eq!(described, served);
    }

    #[test]
    fn every_code_is_in_some_description() {
        let text = json();
        let nowhere: Vec<_> = Code::ALL
            .iter()
            .filter(|code| !matches!(code, Code::RouteUnknown | Code::MethodNotAllowed))
            .filter(|code| !text.contains(&format!("`{}`", code.as_str())))
            .collect();
        assert!(nowhere.is_empty(), "{nowhere:?}");
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document: serde_json::Value = serde_json::from_str(json()).unwrap();
        assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
        for part in json().split("\"$ref\": \"#").skip(1) {
            let pointer = part.split('"').next().unwrap();
            assert!(document.pointer(pointer).is_some(), "{pointer}");
        }
    }

    #[test]
    fn operations_have_names_of_their_own() {
        let document: serde_json::Value = serde_json::from_str(json()).unwrap();
        let mut seen = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let name = operation["operationId"].as_str().unwrap();
                assert!(seen.insert(name.to_owned()), "{method} {path} is called {name} like another");
            }
        }
    }
}

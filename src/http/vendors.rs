//! `/v1/vendors`: an app's setups for phone makers' channels, and how those fare.

use actix_web::{HttpRequest, HttpResponse, web};
use carillon_actors::channel::{Draft, Error, Outcome, Tested};
use carillon_actors::model::App;
use carillon_sdk::Vendor;
use carillon_sdk::api::Scope;
use carillon_sdk::api::vendors::{
    RotateVendor, TestVendor, VendorList, VendorQuota, VendorRotated, VendorTested, VendorView, WriteVendor,
};
use serde_json::{Value, json};

use super::caller::Caller;
use super::version::{etag, if_match};
use super::{Code, Refused, State};

mod view;

use view::{access, limit, refusal, view};

/// Longest token that is tried: a subscription of a browser's is the longest there is.
const TOKEN_BYTES_MAX: usize = 4_096;

/// List vendors
///
/// All ten, set up or not, and how each fares.
#[utoipa::path(get, path = "/v1/vendors", tag = "vendors",
    responses((status = 200, description = "All ten", body = VendorList)))]
pub(super) async fn list(state: web::Data<State>, caller: Caller) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Manage)?;
    let vendors = Vendor::ALL.into_iter().map(|vendor| view(&state, app, vendor)).collect();
    Ok(HttpResponse::Ok().json(VendorList { vendors }))
}

/// Read a vendor's setup
///
/// All but the credential, and how its channel fares.
#[utoipa::path(get, path = "/v1/vendors/{vendor}", tag = "vendors",
    params(("vendor" = String, Path, description = "As `apns`, `fcm`, `huawei`")),
    responses((status = 200, description = "The setup", body = VendorView)))]
pub(super) async fn read(
    state: web::Data<State>,
    name: web::Path<String>,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Manage)?;
    shown(&state, app, set_up(&state, app, &name)?)
}

/// Set a vendor up
///
/// All of it, in place of what was; without a credential, the one that is there stays. It is checked by the
/// vendor's own rules; whether the vendor takes it, `POST /v1/vendors/{vendor}/test` says.
#[utoipa::path(put, path = "/v1/vendors/{vendor}", tag = "vendors", request_body = WriteVendor,
    params(("vendor" = String, Path, description = "As `apns`, `fcm`, `huawei`"),
        ("If-Match" = Option<String>, Header, description = "The ETag that is to be replaced")),
    responses((status = 200, description = "The setup as it is now", body = VendorView)))]
pub(super) async fn put(
    state: web::Data<State>,
    request: HttpRequest,
    name: web::Path<String>,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Manage)?;
    let vendor = named(&name)?;
    let revision = if_match(&request)?;
    let asked: WriteVendor = caller.json()?;
    hosts_fit(&asked)?;
    let audit = caller.audit_of("vendor.put", vendor, &seen(&asked));
    let draft = Draft {
        credential: asked.credential,
        settings: asked.settings,
        hosts: asked.hosts,
        ca_pem: asked.ca_pem,
        clock_offset_ms: asked.clock_offset_ms,
        enabled: asked.enabled,
        quotas: asked.quotas,
    };
    let setups = state.engine.channel_setups(app);
    setups.put(vendor, revision, draft, audit, caller.nonce()).await.map_err(refused)?;
    shown(&state, app, vendor)
}

/// Remove a vendor's setup
///
/// And whatever was got with it. What would have gone this way takes another road, or none.
#[utoipa::path(delete, path = "/v1/vendors/{vendor}", tag = "vendors",
    params(("vendor" = String, Path, description = "As `apns`, `fcm`, `huawei`")),
    responses((status = 204, description = "Removed")))]
pub(super) async fn remove(
    state: web::Data<State>,
    name: web::Path<String>,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Manage)?;
    let vendor = set_up(&state, app, &name)?;
    let audit = caller.audit("vendor.delete", vendor);
    state.engine.channel_setups(app).remove(vendor, audit, caller.nonce()).await.map_err(refused)?;
    Ok(HttpResponse::NoContent().finish())
}

/// Test a vendor's setup
///
/// Asks the vendor for access and, with a token, sends it a notification under the vendor's flag for tests.
/// Counts towards no quota of ours.
#[utoipa::path(post, path = "/v1/vendors/{vendor}/test", tag = "vendors", request_body = TestVendor,
    params(("vendor" = String, Path, description = "As `apns`, `fcm`, `huawei`")),
    responses((status = 200, description = "What came of it", body = VendorTested)))]
pub(super) async fn test(
    state: web::Data<State>,
    name: web::Path<String>,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Manage)?;
    let vendor = set_up(&state, app, &name)?;
    let token = token(caller.json::<TestVendor>()?.token)?;
    let tested = state.engine.test_channel(app, vendor, token).await.map_err(refused)?;
    Ok(HttpResponse::Ok().json(tested_view(tested)))
}

/// Rotate a vendor's credential
///
/// The new one is tried out first, as a test does; once the vendor has taken it, it replaces the old one,
/// which is used until then, and goes on when the new one is not taken.
#[utoipa::path(post, path = "/v1/vendors/{vendor}/rotate", tag = "vendors", request_body = RotateVendor,
    params(("vendor" = String, Path, description = "As `apns`, `fcm`, `huawei`")),
    responses((status = 200, description = "What came of it", body = VendorRotated)))]
pub(super) async fn rotate(
    state: web::Data<State>,
    name: web::Path<String>,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Manage)?;
    let vendor = set_up(&state, app, &name)?;
    let asked: RotateVendor = caller.json()?;
    if asked.credential.is_none() && !asked.new_receipts_url {
        return Err(Refused::at(Code::VendorInvalid, "/credential", "it, or new_receipts_url, is needed"));
    }
    let token = token(asked.token)?;
    let tested = match &asked.credential {
        None => None,
        Some(new) => {
            let proven = state.engine.prove_channel(app, vendor, new, token).await;
            Some(tested_view(proven.map_err(refused)?))
        }
    };
    let rotated = tested.as_ref().is_none_or(|tested| tested.passed);
    if rotated {
        let detail =
            json!({ "credential": asked.credential.is_some(), "receipts_url": asked.new_receipts_url });
        let audit = caller.audit_of("vendor.rotate", vendor, &detail);
        let setups = state.engine.channel_setups(app);
        let change = setups.rotate(vendor, asked.credential, asked.new_receipts_url, audit, caller.nonce());
        change.await.map_err(refused)?;
    }
    let vendor = view(&state, app, vendor);
    Ok(HttpResponse::Ok().json(VendorRotated { rotated, tested, vendor }))
}

/// Read a vendor's quota
///
/// Its limits by the day as published, or as the app's owner set them, and what is left of each.
#[utoipa::path(get, path = "/v1/vendors/{vendor}/quota", tag = "vendors",
    params(("vendor" = String, Path, description = "As `apns`, `fcm`, `huawei`")),
    responses((status = 200, description = "The limits", body = VendorQuota)))]
pub(super) async fn quota(
    state: web::Data<State>,
    name: web::Path<String>,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Read)?;
    let vendor = set_up(&state, app, &name)?;
    let limits = state.engine.channel_quotas(app, vendor).iter().map(limit).collect();
    Ok(HttpResponse::Ok().json(VendorQuota { vendor, limits }))
}

fn named(name: &str) -> Result<Vendor, Refused> {
    name.parse().map_err(|_| {
        let names = Vendor::ALL.map(Vendor::as_str).join(", ");
        Refused::because(Code::VendorUnknown, format!("it is one of {names}"))
    })
}

/// The vendor, if the app has a setup for it.
fn set_up(state: &State, app: App, name: &str) -> Result<Vendor, Refused> {
    let vendor = named(name)?;
    match state.engine.channel_setups(app).get(vendor) {
        Some(_) => Ok(vendor),
        None => Err(refused(Error::Unknown)),
    }
}

fn shown(state: &State, app: App, vendor: Vendor) -> Result<HttpResponse, Refused> {
    let view = view(state, app, vendor);
    let revision = view.setup.as_ref().and_then(|setup| setup.etag.parse().ok());
    let revision = revision.ok_or_else(|| refused(Error::Unknown))?;
    Ok(HttpResponse::Ok().insert_header(etag(revision)).json(view))
}

/// What the audit log shows of a setup: which fields were given, and nothing of what is in them, since a
/// vendor's settings may hold a secret too.
fn seen(asked: &WriteVendor) -> Value {
    let names = |value: &Value| -> Vec<String> {
        value.as_object().map(|fields| fields.keys().cloned().collect()).unwrap_or_default()
    };
    json!({
        "credential": asked.credential.is_some(),
        "settings": names(&asked.settings),
        "hosts": asked.hosts.keys().collect::<Vec<_>>(),
        "enabled": asked.enabled,
        "quotas": asked.quotas,
    })
}

fn hosts_fit(asked: &WriteVendor) -> Result<(), Refused> {
    let is_base = |text: &str| {
        reqwest::Url::parse(text).is_ok_and(|url| {
            let is_http = matches!(url.scheme(), "http" | "https") && url.has_host();
            let is_bare = url.query().is_none() && url.fragment().is_none();
            is_http && is_bare && url.username().is_empty() && url.password().is_none()
        })
    };
    match asked.hosts.iter().find(|(_, url)| !is_base(url)) {
        Some((name, _)) => {
            let why = "an http or https URL without user, query and fragment";
            Err(Refused::at(Code::VendorInvalid, format!("/hosts/{name}"), why))
        }
        None => Ok(()),
    }
}

fn token(token: Option<String>) -> Result<Option<String>, Refused> {
    match token {
        Some(token) if token.is_empty() || token.len() > TOKEN_BYTES_MAX => {
            let why = format!("1 to {TOKEN_BYTES_MAX} bytes");
            Err(Refused::at(Code::BodyInvalid, "/token", why))
        }
        token => Ok(token),
    }
}

fn tested_view(tested: Tested) -> VendorTested {
    let none =
        VendorTested { passed: false, access: None, refused: None, vendor_id: None, degraded: Vec::new() };
    let held = match tested.access {
        Ok(held) => access(held),
        Err(refused) => return VendorTested { refused: Some(refusal(&refused)), ..none },
    };
    let held = VendorTested { access: Some(held), ..none };
    match tested.sent {
        None => VendorTested { passed: true, ..held },
        Some(Outcome::Accepted(accepted)) => VendorTested {
            passed: true,
            vendor_id: accepted.vendor_id,
            degraded: accepted.degraded.into_iter().map(str::to_owned).collect(),
            ..held
        },
        Some(Outcome::Refused(refused)) => VendorTested { refused: Some(refusal(&refused)), ..held },
    }
}

fn refused(error: Error) -> Refused {
    match error {
        Error::Unknown => Refused::because(Code::VendorUnknown, "the app has no setup for this vendor"),
        Error::NoCredential => Refused::at(Code::VendorInvalid, "/credential", "it is needed"),
        Error::Invalid(invalid) => Refused::at(Code::VendorInvalid, invalid.pointer, invalid.why),
        Error::Changed => Refused::new(Code::VersionMismatch),
        Error::Closed => Refused::new(Code::Unavailable),
        Error::Store(error) => Refused::by_store(&error, Code::Internal),
    }
}

//! `/v1/apps`: the tenants, for the operator's key alone.

use actix_web::{HttpResponse, web};
use carillon_actors::model::App;
use carillon_actors::store::{self, AppInfo};
use carillon_sdk::api::{AppCreated, AppList, AppView, CreateApp, CreateKey, KeyCreated, UpdateApp};
use carillon_sdk::{AppId, WorkspaceId};
use serde::Deserialize;
use serde_json::json;

use super::caller::Caller;
use super::keys::is_name;
use super::{Code, Refused, State};

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AppsQuery {
    /// Only the workspaces of this app.
    app_id: Option<String>,
}

/// List apps
#[utoipa::path(get, path = "/v1/apps", tag = "apps", params(AppsQuery),
    responses((status = 200, description = "Every app, or every workspace of one", body = AppList)))]
pub(super) async fn list(state: web::Data<State>, caller: Caller) -> Result<HttpResponse, Refused> {
    caller.operator()?;
    let query: AppsQuery = caller.query()?;
    let asked = |app: &AppInfo| query.app_id.as_ref().is_none_or(|id| app.app_id.as_str() == id);
    let apps = state.engine.store().apps().into_iter().filter(asked).map(view).collect();
    Ok(HttpResponse::Ok().json(AppList { apps }))
}

/// Make an app
///
/// With its first key, whose secret is shown this once.
#[utoipa::path(post, path = "/v1/apps", tag = "apps", request_body = CreateApp,
    responses((status = 201, description = "The app and its first key", body = AppCreated)))]
pub(super) async fn create(state: web::Data<State>, caller: Caller) -> Result<HttpResponse, Refused> {
    caller.operator()?;
    let asked: CreateApp = caller.json()?;
    name_of(asked.name.as_deref())?;
    let store = state.engine.store();
    let audit = caller.audit_of("app.create", "", &json!({ "name": asked.name }));
    let made = match store.make_app(asked.clone(), Some(audit), caller.nonce()).await {
        Ok(app) => app,
        // An earlier request may have made the app and failed before its key: it is finished now.
        Err(store::Error::Exists) => keyless(store, &asked).ok_or_else(|| Refused::new(Code::AppExists))?,
        Err(error) => return Err(Refused::by_store(&error, Code::AppExists)),
    };
    let audit = caller.audit("key.create", "");
    let key = store.make_key(made.app, CreateKey::default(), Some(audit), None).await;
    let key = key.map_err(|error| Refused::by_store(&error, Code::AppExists))?;
    let key = KeyCreated { key: key.view, secret: key.secret };
    Ok(HttpResponse::Created().json(AppCreated { app: view(made), key }))
}

/// Read an app
#[utoipa::path(get, path = "/v1/apps/{app}/{workspace}", tag = "apps",
    params(("app" = String, Path, description = "The app's id"), ("workspace" = String, Path, description = "Its workspace")),
    responses((status = 200, description = "The app", body = AppView)))]
pub(super) async fn read(
    state: web::Data<State>,
    path: web::Path<(String, String)>,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    caller.operator()?;
    let app = state.engine.store().app(named(&state, &path)?).ok_or(Refused::new(Code::AppUnknown))?;
    Ok(HttpResponse::Ok().json(view(app)))
}

/// Rename, disable or enable an app
///
/// A disabled app's keys are refused and its devices sent away; nothing is deleted, and what waits
/// for its devices is there when it is enabled again, if it has not expired.
#[utoipa::path(patch, path = "/v1/apps/{app}/{workspace}", tag = "apps", request_body = UpdateApp,
    params(("app" = String, Path, description = "The app's id"), ("workspace" = String, Path, description = "Its workspace")),
    responses((status = 200, description = "The app as it is now", body = AppView)))]
pub(super) async fn update(
    state: web::Data<State>,
    path: web::Path<(String, String)>,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    caller.operator()?;
    let app = named(&state, &path)?;
    let update: UpdateApp = caller.json()?;
    name_of(update.name.as_deref())?;
    let store = state.engine.store();
    let before = store.app(app).ok_or(Refused::new(Code::AppUnknown))?;
    let detail = json!({
        "from": { "name": before.name, "enabled": before.disabled_at.is_none() },
        "to": update,
    });
    let audit = caller.audit_of("app.update", "", &detail);
    let disables = update.enabled == Some(false);
    let updated = store.update_app(app, update, Some(audit), caller.nonce()).await;
    let updated = updated.map_err(|error| Refused::by_store(&error, Code::AppExists))?;
    if disables {
        let engine = state.engine.clone();
        // It goes on though the operator hangs up; nobody new is let in meanwhile.
        actix_web::rt::spawn(async move { engine.send_away(app).await });
    }
    updated.map(|app| HttpResponse::Ok().json(view(app))).ok_or(Refused::new(Code::AppUnknown))
}

/// Rotate an app's client key
///
/// The one before registers no device from now on.
#[utoipa::path(post, path = "/v1/apps/{app}/{workspace}/client-key", tag = "apps",
    params(("app" = String, Path, description = "The app's id"), ("workspace" = String, Path, description = "Its workspace")),
    responses((status = 200, description = "The app with its new client key", body = AppView)))]
pub(super) async fn rotate_client_key(
    state: web::Data<State>,
    path: web::Path<(String, String)>,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    caller.operator()?;
    let app = named(&state, &path)?;
    let audit = caller.audit("app.rotate_client_key", "");
    let rotated = state.engine.store().rotate_client_key(app, Some(audit), caller.nonce()).await;
    let rotated = rotated.map_err(|error| Refused::by_store(&error, Code::AppExists))?;
    rotated.map(|app| HttpResponse::Ok().json(view(app))).ok_or(Refused::new(Code::AppUnknown))
}

fn named(state: &State, path: &(String, String)) -> Result<App, Refused> {
    let find = || {
        let (app_id, workspace_id) = (AppId::parse(&path.0).ok()?, WorkspaceId::parse(&path.1).ok()?);
        state.engine.store().find_app(&app_id, &workspace_id)
    };
    find().ok_or(Refused::new(Code::AppUnknown))
}

fn name_of(name: Option<&str>) -> Result<(), Refused> {
    if name.is_none_or(is_name) {
        return Ok(());
    }
    Err(Refused::at(Code::AppInvalid, "/name", "1 to 64 bytes without control characters"))
}

/// The app of that name, if it has never had a key.
fn keyless(store: &store::Store, asked: &CreateApp) -> Option<AppInfo> {
    let same = |app: &AppInfo| app.app_id == asked.app_id && app.workspace_id == asked.workspace_id;
    store.apps().into_iter().find(same).filter(|app| store.keys(app.app).is_empty())
}

fn view(app: AppInfo) -> AppView {
    AppView {
        app_id: app.app_id,
        workspace_id: app.workspace_id,
        name: app.name,
        client_key: app.client_key,
        created_at: app.created_at,
        enabled: app.disabled_at.is_none(),
    }
}

//! `/v1/apps`: the tenants, for the operator's key alone.

use actix_web::{HttpResponse, web};
use carillon_actors::store::{self, AppInfo};
use carillon_sdk::api::{AppCreated, AppList, AppView, CreateApp, CreateKey, KeyCreated};

use super::caller::Caller;
use super::keys::is_name;
use super::{Code, Refused, State};

/// List apps
#[utoipa::path(get, path = "/v1/apps", tag = "apps",
    responses((status = 200, description = "Every app", body = AppList)))]
pub(super) async fn list(state: web::Data<State>, caller: Caller) -> Result<HttpResponse, Refused> {
    caller.operator()?;
    let apps = state.engine.store().apps().into_iter().map(view).collect();
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
    if asked.name.as_deref().is_some_and(|name| !is_name(name)) {
        return Err(Refused::at(Code::AppInvalid, "/name", "1 to 64 bytes without control characters"));
    }
    let store = state.engine.store();
    let made = match store.create_app(asked.clone(), caller.nonce()).await {
        Ok(app) => app,
        // An earlier request may have made the app and failed before its key: it is finished now.
        Err(store::Error::Exists) => keyless(store, &asked).ok_or_else(|| Refused::new(Code::AppExists))?,
        Err(error) => return Err(Refused::by_store(&error, Code::AppExists)),
    };
    let key = store.create_key(made.app, CreateKey::default(), None).await;
    let key = key.map_err(|error| Refused::by_store(&error, Code::AppExists))?;
    let key = KeyCreated { key: key.view, secret: key.secret };
    Ok(HttpResponse::Created().json(AppCreated { app: view(made), key }))
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
    }
}

//! `/v1/settings`: how an app works.

use actix_web::{HttpRequest, HttpResponse, web};
use carillon_actors::model::App;
use carillon_actors::settings::{self, CallbackKey, Error, KeyError, Settings, public_key};
use carillon_sdk::api::Scope;
use carillon_sdk::api::settings::{
    Callback, CallbackKeyView, MakeCallbackKey, PushApi, Routing, SettingsView, WriteSettings,
};
use serde_json::json;

use super::caller::Caller;
use super::version::{etag, if_match};
use super::{Code, Refused, State};

const URL_BYTES_MAX: usize = 2_048;

impl State {
    /// Nothing, unless the app's owner has switched pushes by API off.
    pub(super) fn push_api_open(&self, app: App) -> Result<(), Refused> {
        if self.engine.settings(app).push_api.enabled { Ok(()) } else { Err(Refused::new(Code::PushApiOff)) }
    }
}

/// Read the settings
#[utoipa::path(get, path = "/v1/settings", tag = "settings",
    responses((status = 200, description = "The app's settings", body = SettingsView)))]
pub(super) async fn read(state: web::Data<State>, caller: Caller) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Read)?;
    let (settings, revision) = state.engine.settings_kept(app);
    Ok(shown(&state, app, settings, revision))
}

/// Replace the settings
///
/// All of them: what the body does not name gets its default. With `If-Match`, only over that revision.
#[utoipa::path(put, path = "/v1/settings", tag = "settings", request_body = WriteSettings,
    params(("If-Match" = Option<String>, Header, description = "The ETag that is to be replaced")),
    responses((status = 200, description = "The settings as they are now", body = SettingsView)))]
pub(super) async fn replace(
    state: web::Data<State>,
    request: HttpRequest,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Manage)?;
    let revision = if_match(&request)?;
    let asked = parsed(caller.json()?)?;
    let before = state.engine.settings(app);
    let detail = json!({ "from": seen(&before), "to": seen(&asked) });
    let audit = caller.audit_of("settings.update", "settings", &detail);
    let change = |before: Settings| Settings {
        push_api: asked.push_api.clone(),
        time_zone: asked.time_zone.clone(),
        callback: asked.callback.clone(),
        routing: asked.routing,
        ..before
    };
    let changed = state.engine.change_settings(app, revision, change, audit, caller.nonce()).await;
    let (settings, revision) = changed.map_err(refused)?;
    Ok(shown(&state, app, settings, revision))
}

/// Read the callback's public key
#[utoipa::path(get, path = "/v1/settings/callback-key", tag = "settings",
    responses((status = 200, description = "What verifies callbacks", body = CallbackKeyView)))]
pub(super) async fn callback_key(state: web::Data<State>, caller: Caller) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Read)?;
    let key = state.engine.callback_key(app).ok_or(Refused::new(Code::CallbackKeyUnknown))?;
    Ok(HttpResponse::Ok().json(key_view(key)))
}

/// Make or upload the callback's key
///
/// From now on callbacks are signed with it; the one before signs nothing more.
#[utoipa::path(post, path = "/v1/settings/callback-key", tag = "settings", request_body = MakeCallbackKey,
    responses((status = 201, description = "Its public half", body = CallbackKeyView)))]
pub(super) async fn make_callback_key(
    state: web::Data<State>,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Manage)?;
    let asked: MakeCallbackKey = caller.json()?;
    let uploaded = asked.private_key.is_some();
    let make = move || match asked.private_key {
        Some(pem) => CallbackKey::from_pem(&pem),
        None => CallbackKey::generate(),
    };
    // It takes a processor a while: on a thread for such work.
    let key = web::block(make).await.map_err(|_| Refused::new(Code::Busy))?.map_err(|error| match error {
        KeyError::Generate => Refused::new(Code::Internal),
        KeyError::Private | KeyError::Public => {
            Refused::at(Code::CallbackKeyInvalid, "/private_key", error.to_string())
        }
    })?;
    let audit = caller.audit_of("settings.callback_key", "callback_key", &json!({ "uploaded": uploaded }));
    let kept = state.engine.set_callback_key(app, key, audit, caller.nonce()).await;
    let kept = kept.map_err(|error| Refused::by_store(&error, Code::Internal))?;
    Ok(HttpResponse::Created().json(key_view(kept)))
}

/// What the audit log shows of settings: nothing of keys.
fn seen(settings: &Settings) -> serde_json::Value {
    json!({
        "push_api": settings.push_api.enabled,
        "public_key": settings.push_api.public_key.is_some(),
        "time_zone": settings.time_zone,
        "callback": settings.callback,
        "routing": settings.routing,
    })
}

fn parsed(asked: WriteSettings) -> Result<Settings, Refused> {
    let invalid = |pointer: &str, why: String| Refused::at(Code::SettingsInvalid, pointer, why);
    let own_key = asked.push_api.public_key.as_deref().map(public_key).transpose();
    let own_key = own_key.map_err(|error| invalid("/push_api/public_key", error.to_string()))?;
    if let Some(url) = &asked.callback.url
        && !is_url(url)
    {
        let why = format!("an http or https URL without user and fragment, at most {URL_BYTES_MAX} bytes");
        return Err(invalid("/callback/url", why));
    }
    Ok(Settings {
        push_api: settings::PushApi { enabled: asked.push_api.enabled, public_key: own_key },
        time_zone: asked.time_zone.unwrap_or_else(|| Settings::default().time_zone),
        callback: settings::Callback { enabled: asked.callback.enabled, url: asked.callback.url },
        routing: settings::Routing {
            route: asked.routing.route,
            vendor_after_s: asked.routing.vendor_after_s,
            fallback: asked.routing.fallback,
        },
        ..Settings::default()
    })
}

fn is_url(text: &str) -> bool {
    let parsed = reqwest::Url::parse(text);
    text.len() <= URL_BYTES_MAX
        && parsed.is_ok_and(|url| {
            let is_http = matches!(url.scheme(), "http" | "https") && url.has_host();
            is_http && url.username().is_empty() && url.password().is_none() && url.fragment().is_none()
        })
}

fn shown(state: &State, app: App, settings: Settings, revision: u64) -> HttpResponse {
    HttpResponse::Ok().insert_header(etag(revision)).json(SettingsView {
        version: settings.version,
        etag: revision.to_string(),
        updated_at: settings.updated_at,
        push_api: PushApi { enabled: settings.push_api.enabled, public_key: settings.push_api.public_key },
        time_zone: settings.time_zone,
        callback: Callback { enabled: settings.callback.enabled, url: settings.callback.url },
        routing: Routing {
            route: settings.routing.route,
            vendor_after_s: settings.routing.vendor_after_s,
            fallback: settings.routing.fallback,
        },
        callback_key: state.engine.callback_key(app).map(key_view),
    })
}

fn key_view(key: settings::CallbackKeyView) -> CallbackKeyView {
    CallbackKeyView { public_key: key.public_key, created_at: key.created_at, uploaded: key.uploaded }
}

fn refused(error: Error) -> Refused {
    match error {
        Error::Changed => Refused::new(Code::VersionMismatch),
        Error::Invalid { pointer, why } => Refused::at(Code::SettingsInvalid, pointer, why),
        Error::Store(error) => Refused::by_store(&error, Code::Internal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callback_goes_to_an_http_url() {
        for good in ["http://127.0.0.1:9/receipts", "https://example.org/r?app=1"] {
            assert!(is_url(good), "{good}");
        }
        let long = format!("https://example.org/{}", "x".repeat(2_048));
        for wrong in
            ["", "example.org", "ftp://example.org", "https://a:b@example.org", "https://e.org/#x", &long]
        {
            assert!(!is_url(wrong), "{wrong}");
        }
    }
}

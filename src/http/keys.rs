//! `/v1/keys`: an app's keys. Two may live at once, so that one can take over from the other.

use actix_web::{HttpResponse, web};
use carillon_sdk::KeyId;
use carillon_sdk::api::{CreateKey, KeyCreated, KeyList, Scope};

use super::caller::Caller;
use super::{Code, Refused, State};

/// Longest name of a key or app, in bytes.
pub(super) const NAME_BYTES_MAX: usize = 64;

/// Every scope that a key of an app may have.
const SCOPES: [Scope; 5] = [Scope::Push, Scope::Device, Scope::Read, Scope::Keys, Scope::Manage];

/// List keys
///
/// Revoked ones too, and never a secret.
#[utoipa::path(get, path = "/v1/keys", tag = "keys",
    responses((status = 200, description = "The app's keys", body = KeyList)))]
pub(super) async fn list(state: web::Data<State>, caller: Caller) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Keys)?;
    let keys = state.engine.store().keys(app).into_iter().map(|key| key.view).collect();
    Ok(HttpResponse::Ok().json(KeyList { keys }))
}

/// Make a key
///
/// The answer is the only one with its secret. A key gives away no scope that it has not itself.
#[utoipa::path(post, path = "/v1/keys", tag = "keys", request_body = CreateKey,
    responses((status = 201, description = "The key and its secret", body = KeyCreated)))]
pub(super) async fn create(state: web::Data<State>, caller: Caller) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Keys)?;
    let key = well_formed(caller.json()?)?;
    let asked = if key.scopes.is_empty() { &SCOPES[..] } else { &key.scopes };
    for scope in asked {
        caller.with(*scope)?;
    }
    let made = state.engine.store().create_key(app, key, caller.nonce()).await;
    let made = made.map_err(|error| Refused::by_store(&error, Code::KeysFull))?;
    Ok(HttpResponse::Created().json(KeyCreated { key: made.view, secret: made.secret }))
}

/// Revoke a key
///
/// From now on it is as if it had never been. Not by itself: an app would lock itself out.
#[utoipa::path(delete, path = "/v1/keys/{id}", tag = "keys",
    params(("id" = String, Path, description = "The key's id")),
    responses((status = 204, description = "Revoked")))]
pub(super) async fn revoke(
    state: web::Data<State>,
    id: web::Path<String>,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Keys)?;
    let unknown = || Refused::new(Code::KeyUnknown);
    let id = KeyId::parse(&id).map_err(|_| unknown())?;
    if caller.key().is_some_and(|own| own.view.key_id == id) {
        return Err(Refused::new(Code::KeyInUse));
    }
    let found = state.engine.store().revoke_key(app, &id, caller.nonce()).await;
    let found = found.map_err(|error| Refused::by_store(&error, Code::Internal))?;
    if found { Ok(HttpResponse::NoContent().finish()) } else { Err(unknown()) }
}

fn well_formed(key: CreateKey) -> Result<CreateKey, Refused> {
    if key.name.as_deref().is_some_and(|name| !is_name(name)) {
        let detail = format!("1 to {NAME_BYTES_MAX} bytes without control characters");
        return Err(Refused::at(Code::KeyInvalid, "/name", detail));
    }
    if let Some(at) = key.scopes.iter().position(|scope| !SCOPES.contains(scope)) {
        let detail = "only the operator's key has it";
        return Err(Refused::at(Code::KeyInvalid, format!("/scopes/{at}"), detail));
    }
    if let Some(at) = (1..key.scopes.len()).find(|at| key.scopes[..*at].contains(&key.scopes[*at])) {
        return Err(Refused::at(Code::KeyInvalid, format!("/scopes/{at}"), "named before"));
    }
    Ok(key)
}

pub(super) fn is_name(text: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_no_operator_scope_no_scope_twice_and_a_short_name() {
        let key = |name: Option<&str>, scopes: &[Scope]| {
            let key = CreateKey { name: name.map(str::to_owned), scopes: scopes.to_vec(), bearer: false };
            well_formed(key).map_err(|refused| refused.code())
        };
        assert!(key(Some("ci"), &[Scope::Push, Scope::Read]).is_ok());
        assert!(key(None, &[]).is_ok());
        assert_eq!(key(None, &[Scope::Operator]).unwrap_err(), Code::KeyInvalid);
        assert_eq!(key(None, &[Scope::Push, Scope::Push]).unwrap_err(), Code::KeyInvalid);
        assert_eq!(key(Some(""), &[]).unwrap_err(), Code::KeyInvalid);
        assert_eq!(key(Some(&"n".repeat(65)), &[]).unwrap_err(), Code::KeyInvalid);
    }
}

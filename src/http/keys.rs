//! `/v1/keys`: an app's keys. Two may live at once, so that one can take over from the other.

use actix_web::{HttpResponse, web};
use carillon_actors::store::KeyInfo;
use carillon_sdk::api::{CreateKey, KeyCreated, KeyList, KeyView, RotateKey, Scope, UpdateKey};
use carillon_sdk::{KeyId, Timestamp, Ttl};
use ipnet::IpNet;
use serde_json::json;

use super::caller::Caller;
use super::{Code, Refused, State};

/// Longest name of a key or app, in bytes.
pub(super) const NAME_BYTES_MAX: usize = 64;

/// Address ranges of one key.
const ALLOW_MAX: usize = 100;

/// Longest time for which a rotated key is still taken, in seconds.
const OVERLAP_S_MAX: u64 = 30 * 86_400;

/// Every scope that a key of an app may have.
const SCOPES: [Scope; 5] = [Scope::Push, Scope::Device, Scope::Read, Scope::Keys, Scope::Manage];

/// List keys
///
/// Revoked and expired ones too, and never a secret.
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
    let key = well_formed(caller.json()?, state.engine.clock().now())?;
    let asked = if key.scopes.is_empty() { &SCOPES[..] } else { &key.scopes };
    has_all(&caller, asked)?;
    let detail = json!({ "name": key.name, "scopes": asked, "bearer": key.bearer,
        "expires_at": key.expires_at, "allow": key.allow });
    let audit = caller.audit_of("key.create", "", &detail);
    let made = state.engine.store().make_key(app, key, Some(audit), caller.nonce()).await;
    let made = made.map_err(|error| Refused::by_store(&error, Code::KeysFull))?;
    Ok(HttpResponse::Created().json(KeyCreated { key: made.view, secret: made.secret }))
}

/// Change a key
///
/// Its name, the addresses from which it may be used, its end. What is absent stays.
#[utoipa::path(patch, path = "/v1/keys/{id}", tag = "keys", request_body = UpdateKey,
    params(("id" = String, Path, description = "The key's id")),
    responses((status = 200, description = "The key as it is now", body = KeyView)))]
pub(super) async fn update(
    state: web::Data<State>,
    id: web::Path<String>,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Keys)?;
    let (before, id) = live(&state, &caller, &id)?;
    let mut update: UpdateKey = caller.json()?;
    name_of(update.name.as_deref())?;
    end_of(update.expires_at, state.engine.clock().now())?;
    update.allow = update.allow.as_deref().map(ranges).transpose()?;
    if let Some(allow) = &update.allow
        && caller.key().is_some_and(|own| own.view.key_id == id)
        && !reaches(allow, &caller)
    {
        let detail = "from here, where it is used now, it could not be changed back";
        return Err(Refused::at(Code::KeyInUse, "/allow", detail));
    }
    let mut detail = serde_json::Map::new();
    let mut changed = |field: &str, old: serde_json::Value, new: Option<serde_json::Value>| {
        if let Some(new) = new {
            detail.insert(field.to_owned(), json!({ "from": old, "to": new }));
        }
    };
    changed("name", json!(before.view.name), update.name.as_ref().map(|new| json!(new)));
    changed("allow", json!(before.view.allow), update.allow.as_ref().map(|new| json!(new)));
    changed("expires_at", json!(before.view.expires_at), update.expires_at.map(|new| json!(new)));
    let audit = caller.audit_of("key.update", &id, &detail.into());
    let updated = state.engine.store().update_key(app, &id, update, Some(audit), caller.nonce()).await;
    let updated = updated.map_err(|error| Refused::by_store(&error, Code::Internal))?;
    let updated = updated.ok_or(Refused::new(Code::KeyUnknown))?;
    Ok(HttpResponse::Ok().json(updated.view))
}

/// Rotate a key
///
/// Makes its successor, with the same scopes, name and addresses. The key itself is taken for
/// `overlap_s` more: time for whoever uses it to change to the new one.
#[utoipa::path(post, path = "/v1/keys/{id}/rotate", tag = "keys", request_body = RotateKey,
    params(("id" = String, Path, description = "The id of the key to be replaced")),
    responses((status = 201, description = "The successor and its secret", body = KeyCreated)))]
pub(super) async fn rotate(
    state: web::Data<State>,
    id: web::Path<String>,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Keys)?;
    let (before, id) = live(&state, &caller, &id)?;
    // Its secret is told: whoever asks must have what it may do.
    has_all(&caller, &before.view.scopes)?;
    let RotateKey { overlap_s } = caller.json()?;
    if overlap_s > OVERLAP_S_MAX {
        return Err(Refused::at(Code::KeyInvalid, "/overlap_s", format!("0 to {OVERLAP_S_MAX}")));
    }
    let detail = json!({ "replaces": id, "overlap_s": overlap_s });
    let audit = caller.audit_of("key.rotate", "", &detail);
    let overlap = Ttl::from_secs(overlap_s);
    let made = state.engine.store().rotate_key(app, &id, overlap, Some(audit), caller.nonce()).await;
    let made = made.map_err(|error| Refused::by_store(&error, Code::KeysFull))?;
    let made = made.ok_or(Refused::new(Code::KeyUnknown))?;
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
    let audit = caller.audit("key.revoke", &id);
    let found = state.engine.store().revoke_key(app, &id, Some(audit), caller.nonce()).await;
    let found = found.map_err(|error| Refused::by_store(&error, Code::Internal))?;
    if found { Ok(HttpResponse::NoContent().finish()) } else { Err(unknown()) }
}

/// The key of that id, if it is the caller's app's and lives.
fn live(state: &State, caller: &Caller, id: &str) -> Result<(KeyInfo, KeyId), Refused> {
    let unknown = || Refused::new(Code::KeyUnknown);
    let id = KeyId::parse(id).map_err(|_| unknown())?;
    let app = caller.with(Scope::Keys)?;
    let now = state.engine.clock().now();
    let lives = |key: &KeyInfo| {
        let ended = key.view.expires_at.is_some_and(|expires_at| expires_at <= now);
        key.app == Some(app) && key.view.revoked_at.is_none() && !ended
    };
    let key = state.engine.store().key(&id).filter(lives).ok_or_else(unknown)?;
    Ok((key, id))
}

fn has_all(caller: &Caller, scopes: &[Scope]) -> Result<(), Refused> {
    scopes.iter().try_for_each(|scope| caller.with(*scope).map(drop))
}

fn well_formed(mut key: CreateKey, now: Timestamp) -> Result<CreateKey, Refused> {
    name_of(key.name.as_deref())?;
    if let Some(at) = key.scopes.iter().position(|scope| !SCOPES.contains(scope)) {
        let detail = "only the operator's key has it";
        return Err(Refused::at(Code::KeyInvalid, format!("/scopes/{at}"), detail));
    }
    if let Some(at) = (1..key.scopes.len()).find(|at| key.scopes[..*at].contains(&key.scopes[*at])) {
        return Err(Refused::at(Code::KeyInvalid, format!("/scopes/{at}"), "named before"));
    }
    end_of(key.expires_at, now)?;
    key.allow = ranges(&key.allow)?;
    Ok(key)
}

fn name_of(name: Option<&str>) -> Result<(), Refused> {
    if name.is_none_or(is_name) {
        return Ok(());
    }
    let detail = format!("1 to {NAME_BYTES_MAX} bytes without control characters");
    Err(Refused::at(Code::KeyInvalid, "/name", detail))
}

fn end_of(expires_at: Option<Timestamp>, now: Timestamp) -> Result<(), Refused> {
    if expires_at.is_none_or(|expires_at| expires_at > now) {
        return Ok(());
    }
    Err(Refused::at(Code::KeyInvalid, "/expires_at", "milliseconds since 1970, in the future"))
}

/// Addresses and ranges, each written in one way: `10.1.2.3` is `10.1.2.3/32`, `10.1.2.3/8` is
/// `10.0.0.0/8`.
fn ranges(texts: &[String]) -> Result<Vec<String>, Refused> {
    if texts.len() > ALLOW_MAX {
        return Err(Refused::at(Code::KeyInvalid, "/allow", format!("at most {ALLOW_MAX}")));
    }
    let range = |(at, text): (usize, &String)| {
        let address = || text.parse().map(|address: std::net::IpAddr| IpNet::from(address.to_canonical()));
        let range: Result<IpNet, _> = text.parse().or_else(|_| address());
        let wrong =
            |_| Refused::at(Code::KeyInvalid, format!("/allow/{at}"), "an address, or a range in CIDR");
        range.map(|range| range.trunc().to_string()).map_err(wrong)
    };
    texts.iter().enumerate().map(range).collect()
}

/// Whether the caller's address is of these ranges.
fn reaches(allow: &[String], caller: &Caller) -> bool {
    let from = caller.from().to_canonical();
    allow.is_empty()
        || allow.iter().any(|range| range.parse().is_ok_and(|range: IpNet| range.contains(&from)))
}

pub(super) fn is_name(text: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000);

    fn refusal(key: CreateKey) -> Option<Code> {
        well_formed(key, NOW).err().map(|refused| refused.code())
    }

    #[test]
    fn a_key_has_no_operator_scope_no_scope_twice_and_a_short_name() {
        let key = |name: Option<&str>, scopes: &[Scope]| {
            refusal(CreateKey {
                name: name.map(str::to_owned),
                scopes: scopes.to_vec(),
                ..CreateKey::default()
            })
        };
        assert_eq!(key(Some("ci"), &[Scope::Push, Scope::Read]), None);
        assert_eq!(key(None, &[]), None);
        assert_eq!(key(None, &[Scope::Operator]), Some(Code::KeyInvalid));
        assert_eq!(key(None, &[Scope::Push, Scope::Push]), Some(Code::KeyInvalid));
        assert_eq!(key(Some(""), &[]), Some(Code::KeyInvalid));
        assert_eq!(key(Some(&"n".repeat(65)), &[]), Some(Code::KeyInvalid));
    }

    #[test]
    fn a_key_ends_in_the_future() {
        let ending = |ms| CreateKey { expires_at: Some(Timestamp::from_millis(ms)), ..CreateKey::default() };
        assert_eq!(refusal(ending(1_001)), None);
        assert_eq!(refusal(ending(1_000)), Some(Code::KeyInvalid));
    }

    #[test]
    fn an_address_list_holds_addresses_and_ranges_in_one_form() {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let given = ["10.1.2.3", "10.1.2.3/8", "2001:db8::1", "::ffff:192.0.2.7"];
        let kept = ["10.1.2.3/32", "10.0.0.0/8", "2001:db8::1/128", "192.0.2.7/32"];
        assert_eq!(ranges(&texts(&given)).unwrap(), kept);
        for wrong in ["", "10.1.2", "10.1.2.3/33", "example.org", " 10.1.2.3"] {
            let refused = ranges(&texts(&["10.0.0.0/8", wrong])).unwrap_err();
            assert_eq!(refused.code(), Code::KeyInvalid, "{wrong}");
        }
        assert!(ranges(&vec!["10.1.2.3".to_owned(); 101]).is_err());
    }
}

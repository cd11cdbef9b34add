//! `/v1/devices`: registering, reading, binding, deleting.

use actix_web::{HttpRequest, HttpResponse, web};
use carillon_actors::model::{App, Device};
use carillon_actors::store::{DeviceInfo, Registered};
use carillon_sdk::api::{BindUser, DeviceList, DeviceRegistered, DeviceView, RegisterDevice, Scope};
use carillon_sdk::{DeviceId, UserId};

use super::caller::{self, Caller};
use super::page::{self, Kind, PageQuery};
use super::rate::party;
use super::{Code, Refused, State};

/// Longest app version, maker, locale or time zone, in bytes.
pub(super) const ATTRIBUTE_BYTES_MAX: usize = 64;

/// With which a device that registers again by itself shows that it is the one.
const CREDENTIAL_HEADER: &str = "X-Device-Credential";

/// Register a device
///
/// Returns the device's id, its credential and where it connects. With the id of a registered device
/// it updates that device and replaces its credential. The device itself may call this with the app's
/// publishable key, `Authorization: Client cp_…`; to register again it then shows the credential it
/// has in `X-Device-Credential`.
#[utoipa::path(post, path = "/v1/devices", tag = "devices", request_body = RegisterDevice,
    params(("X-Device-Credential" = Option<String>, Header, description = "The credential a device has, when it registers again with the client key")),
    responses((status = 201, description = "Registered", body = DeviceRegistered),
        (status = 200, description = "Registered before; the credential is new", body = DeviceRegistered)))]
pub(super) async fn register(
    state: web::Data<State>,
    request: HttpRequest,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    let registered = if let Some(app) = caller.client_of() {
        register_by_itself(&state, &request, &caller, app).await?
    } else {
        let app = caller.with(Scope::Device)?;
        let device = well_formed(caller.json()?)?;
        store_register(&state, &caller, app, device).await?
    };
    let body = DeviceRegistered {
        device_id: registered.device_id,
        credential: registered.credential,
        addresses: state.addresses.clone(),
        ca_pem: state.ca_pem.clone(),
        created: registered.created,
    };
    Ok(if body.created { HttpResponse::Created() } else { HttpResponse::Ok() }.json(body))
}

/// Anybody can have the client key, so it makes devices and takes none over: an id that is taken
/// needs the credential of whoever has it. The id is held meanwhile, so that of two who register the
/// same new id at once the second is refused, and does not inherit the device of the first.
async fn register_by_itself(
    state: &State,
    request: &HttpRequest,
    caller: &Caller,
    app: App,
) -> Result<Registered, Refused> {
    let address = party(caller::address(state, request));
    let allowance = state.clients.take(address, state.engine.clock().monotonic_ms());
    caller::refuse_when_spent(&allowance, "the client key, from one address,")?;
    let device: RegisterDevice = well_formed(caller.json()?)?;
    let exists = || Refused::new(Code::DeviceExists);
    let Some(id) = device.device_id.clone() else {
        return store_register(state, caller, app, device).await;
    };
    let _held = state.registering.hold(app, &id).ok_or_else(exists)?;
    if let Some(known) = state.engine.store().device(app, &id)
        // One that an app server spoke of is there for its device to come and claim.
        && !state.engine.store().is_unclaimed(known)
    {
        let shown = request.headers().get(CREDENTIAL_HEADER).and_then(|value| value.to_str().ok());
        let proven = shown.and_then(|credential| state.engine.store().verify_credential(credential));
        if proven != Some(known) {
            return Err(exists());
        }
    }
    store_register(state, caller, app, device).await
}

async fn store_register(
    state: &State,
    caller: &Caller,
    app: App,
    device: RegisterDevice,
) -> Result<Registered, Refused> {
    let registered = state.engine.store().register(app, device, caller.nonce()).await;
    registered.map_err(|error| Refused::by_store(&error, Code::DeviceExists))
}

/// Texts are short and printable; a locale and a time zone have their letters. Whether they name a
/// real place is not asked: lists of zones go out of date.
fn well_formed(device: RegisterDevice) -> Result<RegisterDevice, Refused> {
    let texts = [
        ("app_version", &device.app_version, ""),
        ("maker", &device.maker, ""),
        ("locale", &device.locale, "-_"),
        ("time_zone", &device.time_zone, "/_+-"),
    ];
    for (name, text, marks) in texts {
        let Some(text) = text else { continue };
        let refuse = |what| Err(Refused::at(Code::AttributeInvalid, format!("/{name}"), what));
        if text.is_empty() || text.len() > ATTRIBUTE_BYTES_MAX {
            return refuse(format!("{} bytes; it has 1 to {ATTRIBUTE_BYTES_MAX}", text.len()));
        }
        let free = marks.is_empty();
        if text
            .chars()
            .any(|c| if free { c.is_control() } else { !c.is_ascii_alphanumeric() && !marks.contains(c) })
        {
            return refuse("a character that does not belong".to_owned());
        }
    }
    Ok(device)
}

/// List devices
///
/// In order of registration.
#[utoipa::path(get, path = "/v1/devices", tag = "devices", params(PageQuery),
    responses((status = 200, description = "A page of devices", body = DeviceList)))]
pub(super) async fn list(state: web::Data<State>, caller: Caller) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Read)?;
    let query: PageQuery = caller.query()?;
    let limit = query.limit()?;
    let after = query.place(Kind::Devices)?.map(|place| place.parse::<u32>());
    let after = after.transpose().map_err(|_| Refused::new(Code::CursorInvalid))?;
    let mut found = state.engine.store().devices(app, after, limit + 1);
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more);
    let next = next.map(|last| page::cursor(Kind::Devices, &last.device.ordinal.to_string()));
    let devices = found.into_iter().map(view).collect();
    Ok(HttpResponse::Ok().json(DeviceList { devices, next }))
}

/// Read a device
#[utoipa::path(get, path = "/v1/devices/{id}", tag = "devices",
    params(("id" = String, Path, description = "The device's id")),
    responses((status = 200, description = "The device", body = DeviceView)))]
pub(super) async fn read(
    state: web::Data<State>,
    id: web::Path<String>,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    let device = find(&state, caller.with(Scope::Read)?, &id)?;
    let info = state.engine.store().device_info(device);
    Ok(HttpResponse::Ok().json(view(info.ok_or(Refused::new(Code::DeviceUnknown))?)))
}

/// Delete a device
///
/// Ends its session and forgets it; what waits for it is rejected.
#[utoipa::path(delete, path = "/v1/devices/{id}", tag = "devices",
    params(("id" = String, Path, description = "The device's id")),
    responses((status = 204, description = "Deleted")))]
pub(super) async fn delete(
    state: web::Data<State>,
    id: web::Path<String>,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    let device = find(&state, caller.with(Scope::Device)?, &id)?;
    state.engine.delete_device(device, caller.nonce()).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Bind a user
///
/// This user is logged in on this device, and nobody else.
#[utoipa::path(put, path = "/v1/devices/{id}/user", tag = "devices", request_body = BindUser,
    params(("id" = String, Path, description = "The device's id")),
    responses((status = 204, description = "Bound")))]
pub(super) async fn bind(
    state: web::Data<State>,
    id: web::Path<String>,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Device)?;
    let user: BindUser = caller.json()?;
    bind_to(&state, &caller, app, &id, Some(user.user_id)).await
}

/// Unbind
///
/// Nobody is logged in on this device. What waits for its user waits for that user elsewhere.
#[utoipa::path(delete, path = "/v1/devices/{id}/user", tag = "devices",
    params(("id" = String, Path, description = "The device's id")),
    responses((status = 204, description = "Unbound")))]
pub(super) async fn unbind(
    state: web::Data<State>,
    id: web::Path<String>,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Device)?;
    bind_to(&state, &caller, app, &id, None).await
}

async fn bind_to(
    state: &State,
    caller: &Caller,
    app: App,
    id: &str,
    user: Option<UserId>,
) -> Result<HttpResponse, Refused> {
    let device = find(state, app, id)?;
    state.engine.bind(device, user, caller.nonce()).await?;
    Ok(HttpResponse::NoContent().finish())
}

pub(super) fn find(state: &State, app: App, id: &str) -> Result<Device, Refused> {
    let id =
        DeviceId::parse(id).map_err(|error| Refused::because(Code::DeviceIdInvalid, error.to_string()))?;
    state.engine.store().device(app, &id).ok_or(Refused::new(Code::DeviceUnknown))
}

fn view(info: DeviceInfo) -> DeviceView {
    DeviceView {
        device_id: info.device_id,
        platform: info.platform,
        app_version: info.app_version,
        maker: info.maker,
        locale: info.locale,
        time_zone: info.time_zone,
        user_id: info.user_id,
        online: info.online,
        registered_at: info.registered_at,
        last_seen_at: info.last_seen_at,
        pending: info.pending,
        vendor_channels: info.vendors.iter().map(ToString::to_string).collect(),
        tags: info.tags,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_short_and_printable() {
        let with = |maker: &str, time_zone: &str| RegisterDevice {
            maker: Some(maker.to_owned()),
            time_zone: Some(time_zone.to_owned()),
            ..RegisterDevice::default()
        };
        assert!(well_formed(with("Nokia 3310 — 复刻", "America/Argentina/Buenos_Aires")).is_ok());
        for (maker, zone) in [("", "UTC"), ("a\nb", "UTC"), (&"x".repeat(65), "UTC"), ("ok", "Europe Paris")]
        {
            let refused = well_formed(with(maker, zone)).unwrap_err();
            assert_eq!(refused.code(), Code::AttributeInvalid, "{maker} {zone}");
        }
    }
}

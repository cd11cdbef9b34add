//! What a device asks about itself: which user is logged in on it, and a phone maker's token.

use carillon_sdk::sign::{BindToken, Invalid};
use carillon_sdk::wire::ErrorCode;
use carillon_sdk::{UserId, Vendor};

use crate::engine::{Engine, Refusal};
use crate::model::Device;
use crate::store::{self, By, Store};

/// Binds the user a token names, if the app's server signed it for this device and it still holds.
pub(crate) async fn by_token(engine: &Engine, device: Device, token: &str) -> Result<UserId, ErrorCode> {
    let user_id = verified(engine, device, token)?;
    match engine.bind_itself(device, Some(user_id.clone())).await {
        Ok(_) => Ok(user_id),
        Err(Refusal::DeviceUnknown) => Err(ErrorCode::CredentialInvalid),
        Err(_) => Err(ErrorCode::Unavailable),
    }
}

fn verified(engine: &Engine, device: Device, token: &str) -> Result<UserId, ErrorCode> {
    let store = engine.store();
    let key_id = BindToken::key_id(token).map_err(|_| ErrorCode::BindTokenInvalid)?;
    let key = store
        .key(&key_id)
        .filter(|key| key.app == Some(device.app) && key.view.revoked_at.is_none())
        .ok_or(ErrorCode::BindTokenInvalid)?;
    let content =
        BindToken::verify(token, &key.secret, engine.clock().now()).map_err(|invalid| match invalid {
            Invalid::Expired => ErrorCode::BindTokenExpired,
            _ => ErrorCode::BindTokenInvalid,
        })?;
    let app = store.app(device.app).ok_or(ErrorCode::BindTokenInvalid)?;
    let info = store.device_info(device).ok_or(ErrorCode::BindTokenInvalid)?;
    let ours = content.app_id == app.app_id
        && content.workspace_id == app.workspace_id
        && content.device_id == info.device_id;
    if ours { Ok(content.user_id) } else { Err(ErrorCode::BindTokenInvalid) }
}

/// Keeps the device's own token of a phone maker's channel; an empty one withdraws it.
pub(crate) async fn vendor_token(
    store: &Store,
    device: Device,
    channel: &str,
    token: &str,
) -> Result<(), ErrorCode> {
    let vendor: Vendor = channel.parse().map_err(|_| ErrorCode::VendorTokenInvalid)?;
    if !token.is_empty() && !store::is_token(token) {
        return Err(ErrorCode::VendorTokenInvalid);
    }
    let kept = store.vendor_token(device, vendor, token, By::Device).await;
    kept.map(drop).map_err(|error| match error {
        store::Error::DeviceUnknown => ErrorCode::CredentialInvalid,
        _ => ErrorCode::Unavailable,
    })
}

//! Devices as an app server speaks of them: who is logged in, which phone maker's token they have,
//! whether they are online.

use carillon_actors::model::Device;
use carillon_actors::store::{By, DeviceInfo, TOKEN_BYTES_MAX, is_token};
use carillon_sdk::api::{Platform, RegisterDevice};
use carillon_sdk::{DeviceId, UserId, Vendor};
use serde_json::json;

use super::actions::Call;
use super::answer::{Done, Refused};
use super::push::keep_activity;
use super::result::{Code, Failure};

/// Longest text of a device's attribute, in bytes; what is longer is cut, since it is for people.
const ATTRIBUTE_BYTES_MAX: usize = 64;

/// Apple's tokens have 64 digits at least, HarmonyOS's are longer.
const MAKERS_TOKEN_CHARS_MIN: usize = 64;

/// What a ThirdChannel is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Channel {
    Vendor(Vendor),
    /// DeliveryToken is the id of an activity, ThirdChannelDeviceToken the push token iOS gave it.
    LiveActivity,
}

/// This user is logged in on this device, and nobody else. An unknown device is registered.
pub(super) async fn bind(mut call: Call) -> Result<Done, Refused> {
    let id = token(&call)?;
    let user = user(&call)?;
    let platform = os_type(&call)?;
    let device = known_or_adopted(&mut call, RegisterDevice { platform, ..named(&id) }).await?;
    own_token(&call, device, platform, &id).await?;
    call.state.engine.bind(device, Some(user), call.nonce).await?;
    Ok(Done::Text(id.as_str().to_owned()))
}

/// This user is logged in on this device no more. Another user's login is left alone.
pub(super) async fn unbind(call: Call) -> Result<Done, Refused> {
    let id = token(&call)?;
    let user = user(&call)?;
    let store = call.state.engine.store();
    let device = store.device(call.app, &id).ok_or_else(|| unknown(&id))?;
    let bound = store.device_info(device).and_then(|info| info.user_id);
    if bound == Some(user) {
        call.state.engine.bind(device, None, call.nonce).await?;
    }
    Ok(Done::Text(id.as_str().to_owned()))
}

/// What an app server learnt of a device: its platform, its app's version, its maker's token.
pub(super) async fn report(mut call: Call) -> Result<Done, Refused> {
    let id = token(&call)?;
    let platform = os_type(&call)?;
    let channel = call.form.int("ThirdChannel")?.map(|number| channel(&call, number)).transpose()?;
    let vendor_token = call.form.owned("ThirdChannelDeviceToken");
    if let Some(token) = &vendor_token
        && (!is_token(token) || channel.is_none())
    {
        let most = format!("ThirdChannelDeviceToken has at most {TOKEN_BYTES_MAX} bytes, and a ThirdChannel");
        return Err(Code::InvalidParam.because(most).into());
    }
    let channel = match channel {
        Some(Channel::LiveActivity) => {
            let lacking = || Code::InvalidParam.because("a live activity has a ThirdChannelDeviceToken");
            keep_activity(&call, &id, &vendor_token.ok_or_else(lacking)?).await?;
            return Ok(Done::Text(id.as_str().to_owned()));
        }
        Some(Channel::Vendor(vendor)) => Some(vendor),
        None => None,
    };
    let body = RegisterDevice {
        platform,
        app_version: call.form.text("AppVersion").map(short),
        maker: channel.and_then(maker).map(str::to_owned),
        ..named(&id)
    };
    let nonce = call.nonce.take();
    let (device, _) = call.state.engine.store().adopt(call.app, body, nonce).await?;
    match (channel, vendor_token) {
        (Some(channel), Some(token)) => reported(&call, device, channel, &token).await?,
        _ => own_token(&call, device, platform, &id).await?,
    }
    Ok(Done::Text(id.as_str().to_owned()))
}

/// The contract has one channel a device: what was reported before is over. What the device says of
/// itself is not the contract's.
async fn reported(call: &Call, device: Device, channel: Vendor, token: &str) -> Result<(), Refused> {
    let store = call.state.engine.store();
    let by = By::Mpaas(call.key.view.key_id.clone());
    store.vendor_token(device, channel, token, by.clone()).await?;
    for other in store.tokens_of(device).await? {
        if other.vendor != channel && matches!(other.by, By::Mpaas(_)) {
            store.vendor_token(device, other.vendor, "", by.clone()).await?;
        }
    }
    Ok(())
}

/// An iPhone's DeliveryToken is its APNs token, says the contract, a HarmonyOS phone's its Push Kit's.
/// So it is for a device that no client of ours registered, until another token is reported: nothing
/// else reaches such a device.
async fn own_token(call: &Call, device: Device, platform: Platform, id: &DeviceId) -> Result<(), Refused> {
    let Some(vendor) = vendor_of_token(platform, id.as_str()) else { return Ok(()) };
    let store = call.state.engine.store();
    if store.is_unclaimed(device) && store.tokens_of(device).await?.is_empty() {
        let by = By::Mpaas(call.key.view.key_id.clone());
        store.vendor_token(device, vendor, id.as_str(), by).await?;
    }
    Ok(())
}

/// Whose token a DeliveryToken is by its looks: an app server may have names of its own for devices.
fn vendor_of_token(platform: Platform, id: &str) -> Option<Vendor> {
    let is_long = id.len() >= MAKERS_TOKEN_CHARS_MIN;
    match platform {
        Platform::Ios if is_long && id.bytes().all(|byte| byte.is_ascii_hexdigit()) => Some(Vendor::Apns),
        Platform::HarmonyOs if is_long && id.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Some(Vendor::HarmonyOs)
        }
        _ => None,
    }
}

/// One device's state; of a user's devices, the one that is online or was last.
pub(super) async fn state(call: Call) -> Result<Done, Refused> {
    let target = call.form.text("Target").ok_or(Code::TokenOrUserIdNull)?;
    let store = call.state.engine.store();
    let device = match call.form.choice("TargetType", &[1, 2])? {
        1 => store.device(call.app, &DeviceId::parse(target).map_err(|error| invalid("Target", &error))?),
        _ => {
            let user = UserId::parse(target).map_err(|error| invalid("Target", &error))?;
            let devices = store.known_user(call.app, &user).map(|user| store.user_devices(user));
            let infos =
                devices.unwrap_or_default().into_iter().filter_map(|device| store.device_info(device));
            infos.max_by_key(|info| (info.online, info.last_seen_at)).map(|info| info.device)
        }
    };
    let info = device.and_then(|device| store.device_info(device));
    let info = info.ok_or_else(|| Code::InvalidParam.because(format!("nothing is known of {target:?}")))?;
    // The one reported last; of two at once the one that carries.
    let carrier = store.carrier(info.device);
    let tokens = store.tokens_of(info.device).await?.into_iter();
    let newest = tokens.max_by_key(|token| (token.at, carrier == Some(token.vendor)));
    let id = info.device_id.as_str();
    Ok(Done::Data(json!({
        "DeliveryToken": id,
        "DeviceId": id,
        "Manufacturer": newest.as_ref().map_or_else(|| platform_name(info.platform), |token| manufacturer(token.vendor)),
        "Platform": platform_name(info.platform),
        "Statue": statue(&info),
        "ThirdToken": newest.as_ref().map_or("", |token| token.token.as_str()),
        "UserId": info.user_id.as_ref().map_or("", UserId::as_str),
    })))
}

async fn known_or_adopted(call: &mut Call, body: RegisterDevice) -> Result<Device, Refused> {
    let store = call.state.engine.store();
    let known = body.device_id.as_ref().and_then(|id| store.device(call.app, id));
    match known {
        Some(device) => Ok(device),
        None => Ok(store.adopt(call.app, body, None).await?.0),
    }
}

fn named(id: &DeviceId) -> RegisterDevice {
    RegisterDevice { device_id: Some(id.clone()), ..RegisterDevice::default() }
}

fn token(call: &Call) -> Result<DeviceId, Failure> {
    let text = call.form.text("DeliveryToken").ok_or(Code::NeedDeliveryToken)?;
    DeviceId::parse(text).map_err(|error| invalid("DeliveryToken", &error))
}

fn user(call: &Call) -> Result<UserId, Failure> {
    let text = call.form.text("UserId").ok_or(Code::NeedUserId)?;
    UserId::parse(text).map_err(|error| invalid("UserId", &error))
}

fn invalid(name: &str, error: &carillon_sdk::ids::Invalid) -> Failure {
    Code::InvalidParam.because(format!("{name}: {error}"))
}

fn unknown(id: &DeviceId) -> Failure {
    Code::InvalidParam.because(format!("no device {:?}", id.as_str()))
}

fn os_type(call: &Call) -> Result<Platform, Failure> {
    match call.form.int("OsType").map_err(|_| Code::OsTypeNotSupported)? {
        Some(1) => Ok(Platform::Android),
        Some(2) => Ok(Platform::Ios),
        Some(7) => Ok(Platform::HarmonyOs),
        other => Err(Code::OsTypeNotSupported.because(format!("{other:?} is none of 1, 2, 7"))),
    }
}

/// The contract names no number for Honor, HarmonyOS and live activities: those are settings.
fn channel(call: &Call, number: i64) -> Result<Channel, Failure> {
    let mpaas = &call.state.mpaas;
    let vendor = match number {
        2 => Vendor::Apns,
        4 => Vendor::Xiaomi,
        5 => Vendor::Huawei,
        6 => Vendor::Fcm,
        7 => Vendor::Oppo,
        8 => Vendor::Vivo,
        other if other == i64::from(mpaas.third_channel_honor) => Vendor::Honor,
        other if other == i64::from(mpaas.third_channel_harmonyos) => Vendor::HarmonyOs,
        other if other == i64::from(mpaas.third_channel_live_activity) => return Ok(Channel::LiveActivity),
        other => return Err(Code::InvalidParam.because(format!("ThirdChannel {other} is no channel"))),
    };
    Ok(Channel::Vendor(vendor))
}

/// Whose phone has a channel of its own; FCM and Web Push are on many.
const fn maker(vendor: Vendor) -> Option<&'static str> {
    match vendor {
        Vendor::Apns => Some("apple"),
        Vendor::Fcm | Vendor::WebPush => None,
        Vendor::HarmonyOs => Some("huawei"),
        maker => Some(maker.as_str()),
    }
}

/// The contract's name of those whose channel it is; it has none for Meizu and browsers.
const fn manufacturer(vendor: Vendor) -> &'static str {
    match vendor {
        Vendor::Apns => "ios",
        Vendor::Huawei => "hms",
        Vendor::Xiaomi => "miui",
        Vendor::Meizu => "android",
        Vendor::WebPush => "unknown",
        other => other.as_str(),
    }
}

fn short(text: &str) -> String {
    let mut end = text.len().min(ATTRIBUTE_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].chars().filter(|letter| !letter.is_control()).collect()
}

const fn platform_name(platform: Platform) -> &'static str {
    match platform {
        Platform::Android => "android",
        Platform::Ios => "ios",
        Platform::HarmonyOs => "harmonyos",
        Platform::Web | Platform::Other => "unknown",
    }
}

/// A phone that its maker's channel reaches is never known to be online, says the contract.
const fn statue(info: &DeviceInfo) -> &'static str {
    match (info.platform, info.online) {
        (Platform::Ios | Platform::HarmonyOs, _) => "UNKNOW",
        (_, true) => "ONLINE",
        (_, false) => "OFFLINE",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_makers_token_is_known_by_its_looks() {
        let hex = "ca".repeat(32);
        assert_eq!(vendor_of_token(Platform::Ios, &hex), Some(Vendor::Apns));
        assert_eq!(vendor_of_token(Platform::Ios, &hex[1..]), None);
        assert_eq!(vendor_of_token(Platform::Ios, &"x".repeat(64)), None);
        assert_eq!(vendor_of_token(Platform::HarmonyOs, &"MAMzLg".repeat(12)), Some(Vendor::HarmonyOs));
        assert_eq!(vendor_of_token(Platform::HarmonyOs, "phone-1"), None);
        assert_eq!(vendor_of_token(Platform::Android, &hex), None);
    }

    #[test]
    fn an_attribute_is_short_and_cut_between_letters() {
        assert_eq!(short("1.2\n3"), "1.23");
        assert_eq!(short(&"你".repeat(30)).len(), 63);
    }
}

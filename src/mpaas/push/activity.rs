//! Live Activities, kinds of target 5 and 6. To us each is a device of its own that APNs alone
//! reaches: by the push token that iOS gave the activity, or by the id under which `PushReport` told
//! us that token. Of the platform `other`, so that no broadcast to iPhones is for it.

use carillon_actors::model::Device;
use carillon_actors::order::{Named, Order, Recipients};
use carillon_actors::store::By;
use carillon_sdk::api::{Platform, RegisterDevice};
use carillon_sdk::{DeviceId, Vendor};

use super::super::actions::Call;
use super::super::answer::Refused;
use super::super::result::{Code, Failure};
use super::targets::Delivery;

/// Apple's name among makers: the one channel of a device of platform `other`.
const MAKER: &str = "apple";

/// Whether there is a road to an activity, where one is meant.
pub(super) fn possible(call: &Call, delivery: Delivery) -> Result<(), Failure> {
    let setup = || call.state.engine.channel_setups(call.app).get(Vendor::Apns);
    if delivery.is_activity() && setup().is_none_or(|setup| !setup.enabled) {
        let why = "a live activity goes by APNs, which is not set up";
        return Err(Code::DeliveryTypeNotSupported.because(why));
    }
    Ok(())
}

/// The order with each push token in the name of the activity that has it; a token that nobody
/// reported is an activity from now on.
pub(super) async fn addressed(call: &Call, mut order: Order, delivery: Delivery) -> Result<Order, Refused> {
    if delivery != Delivery::ActivityToken {
        return Ok(order);
    }
    let Recipients::Each(recipients) = &mut order.to else { return Ok(order) };
    for recipient in recipients {
        let Named::Device(token) = &recipient.to else { continue };
        let store = call.state.engine.store();
        let holder = store.token_holder(call.app, Vendor::Apns, token.as_str());
        let known = holder.and_then(|device| store.device_info(device)).map(|info| info.device_id);
        match known {
            Some(id) => recipient.to = Named::Device(id),
            None => _ = keep(call, token, token.as_str()).await?,
        }
    }
    Ok(order)
}

/// An activity and its token: a new one takes the place of the one before.
pub(in crate::mpaas) async fn keep(call: &Call, id: &DeviceId, token: &str) -> Result<Device, Refused> {
    let store = call.state.engine.store();
    let device = match store.device(call.app, id) {
        Some(known) => known,
        None => {
            let body = RegisterDevice {
                device_id: Some(id.clone()),
                platform: Platform::Other,
                maker: Some(MAKER.to_owned()),
                ..RegisterDevice::default()
            };
            store.adopt(call.app, body, None).await?.0
        }
    };
    let by = By::Mpaas(call.key.view.key_id.clone());
    store.vendor_token(device, Vendor::Apns, token, by).await?;
    Ok(device)
}

//! All ten vendors on loopback, the demo app set up for each, and a device at each that only its vendor
//! reaches: the first evening shows every road with no account anywhere.

use carillon_actors::channel::{Draft, Of};
use carillon_actors::engine::Engine;
use carillon_actors::model::App;
use carillon_actors::store::{Audit, By};
use carillon_sdk::api::{Platform, RegisterDevice};
use carillon_sdk::{DeviceId, UserId, Vendor};

use crate::cli::exit::Failure;
use crate::lab::{Lab, Options};

/// Whose devices are reached by vendors alone.
pub(super) const USER: &str = "carol";

/// Starts the laboratory and puts the demo app's setups in place of what a run before left: its ports,
/// keys and authority are new. Lenient, since its purpose here is to show and not to judge.
pub(super) async fn start(engine: &Engine, app: App) -> Result<Lab, Failure> {
    let options = Options { is_lenient: true, ..Options::default() };
    let lab = Lab::start(engine.clock().clone(), options).await.map_err(Failure::from_error)?;
    for vendor in Vendor::ALL {
        let setup = lab.setup(vendor);
        let before = engine.channel_setups(app).get(vendor);
        // A newcomer sends a device more than the two messages a day that vendors let market.
        let by_device = engine.channel_quotas(app, vendor).into_iter().filter(|quota| quota.of == Of::Device);
        let unlimited = || by_device.map(|quota| (quota.name.to_owned(), None)).collect();
        let draft = Draft {
            credential: Some(setup.credential),
            settings: setup.settings,
            hosts: setup.hosts,
            ca_pem: setup.ca_pem,
            clock_offset_ms: setup.clock_offset_ms,
            enabled: before.as_ref().is_none_or(|before| before.enabled),
            quotas: before.map_or_else(unlimited, |before| before.quotas),
        };
        // Nobody's deed, so it stands in no audit log.
        let put = engine.channel_setups(app).put(vendor, None, draft, None::<Audit>, None).await;
        let kept = put.map_err(Failure::from_error)?;
        // Some vendors are told in their console and not with each message.
        if let Some(url) = kept.receipts_key.and_then(|key| engine.channel_receipts_url(&key)) {
            lab.world().set_receipts_url(vendor, url);
        }
    }
    Ok(lab)
}

/// A device a vendor, of one user, never connected.
pub(super) async fn devices(engine: &Engine, app: App, lab: &Lab) -> Result<(), Failure> {
    for vendor in Vendor::ALL {
        let device_id = DeviceId::parse(&format!("{vendor}-1")).map_err(Failure::from_error)?;
        let request = RegisterDevice {
            device_id: Some(device_id),
            platform: platform(vendor),
            app_version: Some("1.0".to_owned()),
            maker: maker(vendor).map(str::to_owned),
            ..RegisterDevice::default()
        };
        let device = engine.store().register(app, request, None).await.map_err(Failure::from_error)?.device;
        let user = UserId::parse(USER).map_err(Failure::from_error)?;
        engine.bind(device, Some(user), None).await.map_err(Failure::from_error)?;
        let kept = engine.store().vendor_token(device, vendor, &token(vendor, lab), By::Device).await;
        kept.map_err(Failure::from_error)?;
    }
    Ok(())
}

/// One that the simulator takes for good, in the vendor's shape.
fn token(vendor: Vendor, lab: &Lab) -> String {
    match vendor {
        Vendor::Apns => "ca".repeat(32),
        Vendor::WebPush => lab.subscription("ok-webpush-1").to_string(),
        _ => format!("ok-{vendor}-1"),
    }
}

const fn platform(vendor: Vendor) -> Platform {
    match vendor {
        Vendor::Apns => Platform::Ios,
        Vendor::HarmonyOs => Platform::HarmonyOs,
        Vendor::WebPush => Platform::Web,
        _ => Platform::Android,
    }
}

const fn maker(vendor: Vendor) -> Option<&'static str> {
    match vendor {
        Vendor::Apns => Some("apple"),
        Vendor::Fcm => Some("google"),
        Vendor::Huawei | Vendor::HarmonyOs => Some("huawei"),
        Vendor::WebPush => None,
        other => Some(other.as_str()),
    }
}

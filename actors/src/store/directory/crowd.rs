//! A directory full of people, as a bench needs it.

use carillon_sdk::api::{Platform, RegisterDevice};
use carillon_sdk::{DeviceId, Timestamp, UserId, Vendor};

use super::{AudienceCount, OfApp, TagChange, When};
use crate::audience::Audience;
use crate::model::{App, Seq};

/// An app with many devices, one in ten bound to a user of its own, three tags of a thousand each.
pub struct Crowd(OfApp);

const TAGS: u32 = 1_000;
const DAY_MS: u64 = 86_400_000;

impl Crowd {
    pub const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);

    /// # Panics
    /// Never: the ids it makes are ids.
    #[must_use]
    pub fn of(devices: u32) -> Self {
        let id = "an id of letters and digits is an id";
        let people = OfApp::new(App(0));
        for n in 0..devices {
            // Neighbours have nothing in common, as devices that register one after the other.
            let mix = n.wrapping_mul(2_654_435_761);
            let device_id = DeviceId::parse(&format!("device-{n}")).expect(id);
            let ordinal = people.reserve(&device_id).ordinal;
            let body = RegisterDevice { device_id: Some(device_id), ..attributes(mix) };
            let ago = |days: u32| Timestamp::from_millis(Self::NOW.as_millis() - u64::from(days) * DAY_MS);
            people.register(ordinal, &body, ago(mix % 365), Some(1));
            people.seen(ordinal, ago(mix % 90), || mix % 50 == 0);
            if mix % 3 == 0 {
                let vendor = [Vendor::Fcm, Vendor::Huawei, Vendor::Xiaomi][(mix >> 8) as usize % 3];
                people.keep_token(ordinal, (vendor, &format!("t{n}")), When::Now(Self::NOW), || {
                    Seq(u64::from(n))
                });
            }
            let tags = [mix >> 4, mix >> 12, mix >> 20].map(|tag| format!("tag-{}", tag % TAGS));
            // A thousand tags and three each are within every limit.
            let _ = people.tag_device(ordinal, &TagChange::Set(tags.to_vec()));
            if n % 10 == 0 {
                let user = people.user(&UserId::parse(&format!("user-{n}")).expect(id));
                let _ = people.tag_user(user.ordinal, &TagChange::Set(tags.to_vec()));
                people.bind(ordinal, Some(user), Self::NOW);
            }
        }
        Self(people)
    }

    /// How many are in it, each of them found.
    #[must_use]
    pub fn find(&self, audience: &Audience) -> u64 {
        self.0.audience(audience).len()
    }

    #[must_use]
    pub fn count(&self, audience: &Audience) -> AudienceCount {
        self.0.audience_count(audience)
    }

    #[must_use]
    pub fn has(&self, ordinal: u32, audience: &Audience) -> bool {
        self.0.has(ordinal, audience)
    }
}

fn attributes(mix: u32) -> RegisterDevice {
    let one_of = |texts: &[&str], bits: u32| Some(texts[(mix >> bits) as usize % texts.len()].to_owned());
    RegisterDevice {
        device_id: None,
        platform: [Platform::Android, Platform::Ios, Platform::HarmonyOs][mix as usize % 3],
        app_version: Some(format!("2.{}", (mix >> 5) % 20)),
        maker: one_of(&["Huawei", "Xiaomi", "OPPO", "vivo", "Apple", "Samsung"], 7),
        locale: one_of(&["zh-CN", "zh-TW", "en-US", "de-DE"], 9),
        time_zone: None,
    }
}

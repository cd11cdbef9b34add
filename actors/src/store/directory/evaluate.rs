//! Who is in an audience: all of them as a bitmap, or whether one is.

use std::collections::BTreeMap;

use carillon_sdk::api::Platform;
use roaring::RoaringBitmap;

use super::OfApp;
use super::index::Index;
use crate::audience::{Audience, Facts, Mark, OWN_CHANNEL};

/// How many an audience has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AudienceCount {
    pub devices: u64,
    /// Different users bound to those devices.
    pub users: u64,
    pub by_platform: BTreeMap<Platform, u64>,
    /// A device with tokens of two channels is counted with both; one with none under `own`.
    pub by_channel: BTreeMap<String, u64>,
}

/// What a rule said of the devices there were.
pub(in crate::store) struct Judged {
    pub fitting: RoaringBitmap,
    /// Ordinals below were given out, and judged, but for the vacant ones.
    pub known: u32,
    /// Registrations under way.
    pub vacant: Vec<u32>,
}

impl OfApp {
    /// Who is in an audience at this moment, under one lock: whoever is not told of here comes later.
    #[must_use]
    pub(in crate::store) fn judge(&self, audience: &Audience) -> Judged {
        let devices = self.devices.read();
        Judged {
            fitting: evaluate(&devices.index, audience),
            known: devices.list.len() as u32,
            vacant: devices.reserved.iter().collect(),
        }
    }

    /// Every registered device.
    #[must_use]
    pub(in crate::store) fn registered(&self) -> RoaringBitmap {
        self.devices.read().index.all().clone()
    }

    /// The devices of an audience.
    #[must_use]
    pub(in crate::store) fn audience(&self, audience: &Audience) -> RoaringBitmap {
        evaluate(&self.devices.read().index, audience)
    }

    /// Whether the device is registered and in the audience.
    #[must_use]
    pub(in crate::store) fn has(&self, ordinal: u32, audience: &Audience) -> bool {
        let devices = self.devices.read();
        let Some(entry) = devices.entry(ordinal) else { return false };
        if *audience == Audience::Everybody {
            return true;
        }
        let index = &devices.index;
        let bears = |mark: Mark<'_>| match mark {
            Mark::Tag(tag) => index.tags.has_device(tag, ordinal),
            Mark::UserTag(tag) => index.tags.has_device_of_user(tag, ordinal),
            Mark::Channel(channel) => index.has_channel(channel, ordinal),
        };
        audience.has(&Facts {
            platform: entry.platform,
            app_version: entry.app_version.as_deref(),
            maker: entry.maker.as_deref(),
            locale: entry.locale.as_deref(),
            bound: entry.user.is_some(),
            times: index.times(ordinal),
            bears: &bears,
        })
    }

    #[must_use]
    pub(in crate::store) fn audience_count(&self, audience: &Audience) -> AudienceCount {
        let devices = self.devices.read();
        let index = &devices.index;
        let members = evaluate(index, audience);
        let mut count = AudienceCount { devices: members.len(), ..AudienceCount::default() };
        for platform in Platform::ALL {
            let of_platform = members.intersection_len(index.platform(platform));
            if of_platform > 0 {
                count.by_platform.insert(platform, of_platform);
            }
        }
        let mut own = members.clone();
        for (vendor, of_channel) in index.channels() {
            let here = members.intersection_len(of_channel);
            if here > 0 {
                count.by_channel.insert(vendor.as_str().to_owned(), here);
                own -= of_channel;
            }
        }
        if !own.is_empty() {
            count.by_channel.insert(OWN_CHANNEL.to_owned(), own.len());
        }
        let bound = members & index.bound();
        let users = bound.iter().filter_map(|ordinal| devices.entry(ordinal)?.user);
        count.users = users.collect::<RoaringBitmap>().len();
        count
    }
}

/// Registered devices only.
fn evaluate(index: &Index, audience: &Audience) -> RoaringBitmap {
    match audience {
        Audience::Everybody => index.all().clone(),
        Audience::Is(fact) => index.of(fact),
        Audience::Not(part) => index.all() - evaluate(index, part),
        Audience::Any(parts) => {
            parts.iter().fold(RoaringBitmap::new(), |any, part| any | evaluate(index, part))
        }
        Audience::All(parts) => {
            let mut parts = parts.iter();
            let Some(first) = parts.next() else { return index.all().clone() };
            let mut all = evaluate(index, first);
            for part in parts {
                if all.is_empty() {
                    break;
                }
                match part {
                    Audience::Not(part) => all -= evaluate(index, part),
                    part => all &= evaluate(index, part),
                }
            }
            all
        }
    }
}

//! The phone makers' own channels, and the browsers'.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A channel that is not ours. The number is its place on disk and never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[repr(u8)]
pub enum Vendor {
    Apns = 1,
    Fcm = 2,
    /// HMS Push Kit: HarmonyOS 3 and 4, EMUI.
    Huawei = 3,
    /// Push Kit v3: HarmonyOS NEXT and 5 on. Its tokens are not Huawei's.
    HarmonyOs = 4,
    Honor = 5,
    Xiaomi = 6,
    Oppo = 7,
    Vivo = 8,
    Meizu = 9,
    WebPush = 10,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected apns, fcm, huawei, harmonyos, honor, xiaomi, oppo, vivo, meizu or webpush")]
pub struct UnknownVendor;

impl Vendor {
    /// In the order of their numbers.
    pub const ALL: [Self; 10] = [
        Self::Apns,
        Self::Fcm,
        Self::Huawei,
        Self::HarmonyOs,
        Self::Honor,
        Self::Xiaomi,
        Self::Oppo,
        Self::Vivo,
        Self::Meizu,
        Self::WebPush,
    ];

    /// As the API, statistics, metrics and device frames have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Apns => "apns",
            Self::Fcm => "fcm",
            Self::Huawei => "huawei",
            Self::HarmonyOs => "harmonyos",
            Self::Honor => "honor",
            Self::Xiaomi => "xiaomi",
            Self::Oppo => "oppo",
            Self::Vivo => "vivo",
            Self::Meizu => "meizu",
            Self::WebPush => "webpush",
        }
    }

    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        // Numbers are places in the list, which begins with 1.
        match code {
            1..=10 => Some(Self::ALL[code as usize - 1]),
            _ => None,
        }
    }
}

impl fmt::Display for Vendor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Vendor {
    type Err = UnknownVendor;

    fn from_str(text: &str) -> Result<Self, UnknownVendor> {
        Self::ALL.into_iter().find(|vendor| vendor.as_str() == text).ok_or(UnknownVendor)
    }
}

/// The road a message takes to a device that a vendor's channel reaches too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Route {
    /// The vendor's where the device has a token of it, else our own socket.
    #[default]
    VendorFirst,
    /// Our own socket while the device is connected, else the vendor's.
    OnlineFirst,
    /// Our own socket; the vendor's too, when nobody acked after so many seconds.
    VendorAfter,
    /// Our own socket and nothing else.
    OwnOnly,
}

/// What follows when a vendor refused a message for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Fallback {
    /// Nothing: the refusal is the verdict.
    None,
    /// It waits for the device's own socket, until it expires.
    #[default]
    Own,
}

/// What kind of message it is; each vendor has its own word for it. mPaaS numbers them 1 to 14 in
/// this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Category {
    Im,
    Voip,
    Subscription,
    Travel,
    Health,
    Work,
    Account,
    Express,
    Finance,
    DeviceReminder,
    SystemReminder,
    Mail,
    PlayVoice,
    Marketing,
}

/// APNs' interruption level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Level {
    Passive,
    Active,
    TimeSensitive,
    Critical,
}

impl Category {
    /// In the order of mPaaS's numbers, which begin with 1.
    pub const ALL: [Self; 14] = [
        Self::Im,
        Self::Voip,
        Self::Subscription,
        Self::Travel,
        Self::Health,
        Self::Work,
        Self::Account,
        Self::Express,
        Self::Finance,
        Self::DeviceReminder,
        Self::SystemReminder,
        Self::Mail,
        Self::PlayVoice,
        Self::Marketing,
    ];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Im => "im",
            Self::Voip => "voip",
            Self::Subscription => "subscription",
            Self::Travel => "travel",
            Self::Health => "health",
            Self::Work => "work",
            Self::Account => "account",
            Self::Express => "express",
            Self::Finance => "finance",
            Self::DeviceReminder => "device_reminder",
            Self::SystemReminder => "system_reminder",
            Self::Mail => "mail",
            Self::PlayVoice => "play_voice",
            Self::Marketing => "marketing",
        }
    }
}

impl Route {
    pub const ALL: [Self; 4] = [Self::VendorFirst, Self::OnlineFirst, Self::VendorAfter, Self::OwnOnly];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::VendorFirst => "vendor_first",
            Self::OnlineFirst => "online_first",
            Self::VendorAfter => "vendor_after",
            Self::OwnOnly => "own_only",
        }
    }
}

impl Fallback {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Own => "own",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_and_a_number_read_back() {
        for vendor in Vendor::ALL {
            assert_eq!(vendor.as_str().parse(), Ok(vendor));
            assert_eq!(Vendor::from_code(vendor as u8), Some(vendor));
            assert_eq!(serde_json::to_string(&vendor).unwrap(), format!("\"{vendor}\""));
        }
        assert_eq!("own".parse::<Vendor>(), Err(UnknownVendor));
        assert_eq!(Vendor::from_code(0), None);
    }

    #[test]
    fn categories_are_numbered_as_mpaas_numbers_them() {
        let names: Vec<_> = Category::ALL.iter().map(|category| category.as_str()).collect();
        assert_eq!((names[0], names[13]), ("im", "marketing"));
        for category in Category::ALL {
            assert_eq!(serde_json::to_value(category).unwrap(), category.as_str());
        }
    }
}

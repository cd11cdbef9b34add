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
#[error("no such channel")]
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
}

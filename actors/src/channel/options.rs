//! What a message brings along for vendors alone: the JSON of `Message::options`, read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A field that is missing or of another kind than expected is as if it were not there: options were
/// checked where they came in, and a message is not lost over one.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// What kind of message it is; each vendor has its own word for it.
    pub category: Option<Category>,
    /// The vendor's own word, by vendor: goes before `category`. Keys as `Vendor::as_str`, and mPaaS's
    /// `hms`, `mi` and `fcm`.
    pub third_channel_category: BTreeMap<String, String>,
    /// By vendor: `hms` 1 low, 2 normal; OPPO 1, 2, 16.
    pub notify_level: BTreeMap<String, Value>,
    /// vivo: `0` operation, `1` system.
    pub classification: Option<String>,
    /// Xiaomi's `channel_id`.
    pub mi_channel_id: Option<String>,
    /// The name of a template at the vendor.
    pub vendor_template: Option<String>,
    /// Pass-through data in place of a notification, by vendor.
    pub transparent_payload: BTreeMap<String, Value>,
    /// `HIGH` or `NORMAL`: Huawei, Honor, HarmonyOS.
    pub transparent_urgency: Option<String>,
    pub live_activity: Option<Activity>,
    pub subtitle: Option<String>,
    /// Absolute; 0 clears it.
    pub badge: Option<u32>,
    /// Added to what is there (Huawei, Honor, HarmonyOS).
    pub badge_add: Option<u32>,
    /// The Android activity that wears the badge (Huawei, Honor).
    pub badge_class: Option<String>,
    pub sound: Option<String>,
    pub thread_id: Option<String>,
    pub level: Option<Level>,
    /// APNs: the app's extension may change it before it is shown.
    pub mutable_content: bool,
    /// The vendor's test quota and rules, where it has any.
    pub is_test: bool,
}

/// mPaaS numbers them 1 to 14 in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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
pub enum Level {
    Passive,
    Active,
    TimeSensitive,
    Critical,
}

/// A Live Activity: iOS.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Activity {
    /// `start`, `update` or `end`.
    pub event: Option<String>,
    pub content_state: Option<Value>,
    pub dismissal_date_s: Option<u64>,
    pub stale_date_s: Option<u64>,
    pub attributes_type: Option<String>,
    pub attributes: Option<Value>,
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

impl Options {
    /// Of a message; nothing where it has none.
    #[must_use]
    pub fn read(text: Option<&str>) -> Self {
        let Some(text) = text else { return Self::default() };
        let Ok(Value::Object(fields)) = serde_json::from_str::<Value>(text) else { return Self::default() };
        // One field of a wrong kind must not take the others along.
        let kept = fields.into_iter().filter(|(name, value)| {
            let alone = Value::Object([(name.clone(), value.clone())].into_iter().collect());
            serde_json::from_value::<Self>(alone).is_ok()
        });
        serde_json::from_value(Value::Object(kept.collect())).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_wrong_field_takes_no_other_along() {
        let options = Options::read(Some(r#"{"badge":"many","sound":"ping","category":"im","sms":{}}"#));
        assert_eq!(options.sound.as_deref(), Some("ping"));
        assert_eq!((options.badge, options.category), (None, Some(Category::Im)));
        assert_eq!(Options::read(Some("[]")), Options::default());
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

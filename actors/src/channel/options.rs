//! What a message brings along for vendors alone: the JSON of `Message::options`, read.

use std::collections::BTreeMap;

use carillon_sdk::vendor::{Category, Fallback, Level, Route};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A field that is missing or of another kind than expected is as if it were not there: options were
/// checked where they came in, and a message is not lost over one.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// In place of the app's own.
    pub route: Option<Route>,
    /// With `vendor_after`: so long the own socket has it to itself.
    pub vendor_after_s: Option<u64>,
    pub fallback: Option<Fallback>,
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
    /// The text is shown unfolded, where the vendor has such a style (Huawei, Xiaomi).
    pub big_text: bool,
    /// The vendor's test quota and rules, where it has any.
    pub is_test: bool,
    /// Images in place of the look's own, by vendor: mPaaS's `hmsUrl`, `miuiUrl`, ….
    pub image_urls: BTreeMap<String, String>,
    /// mPaaS's own limits hold on title and body, also where the vendor takes more.
    pub contract_limits: bool,
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

impl Options {
    /// Someone waits for it: a call or a chat.
    #[must_use]
    pub(crate) fn is_urgent(&self) -> bool {
        matches!(self.category, Some(Category::Im | Category::Voip))
    }

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
}

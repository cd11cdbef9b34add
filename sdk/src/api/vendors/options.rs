//! What a push brings along for vendors.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::vendor::{Category, Fallback, Level, Route};

/// What a push says of its road and to vendors alone. All of it together is at most 4,096 bytes of
/// JSON. What a vendor cannot carry it does not get, which is counted and no failure.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VendorOptions {
    /// In place of the app's own (`routing` in its settings).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<Route>,
    /// With `vendor_after`: after so many seconds without an ack, 1 to 86,400.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 86_400))]
    pub vendor_after_s: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Fallback>,
    /// What kind of message it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<Category>,
    /// A vendor's own word for it, by vendor: goes before `category`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub third_channel_category: BTreeMap<String, String>,
    /// By vendor: `huawei` 1 low, 2 normal; `oppo` 1, 2, 16.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub notify_level: BTreeMap<String, u32>,
    /// vivo: `0` operation, `1` system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classification: Option<String>,
    /// Xiaomi's channel, in place of the settings' for the category.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mi_channel_id: Option<String>,
    /// The name of a template at the vendor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor_template: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subtitle: Option<String>,
    /// Absolute; 0 clears it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub badge: Option<u32>,
    /// Added to what is there: Huawei, HarmonyOS, Honor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub badge_add: Option<u32>,
    /// The Android activity that wears the badge: Huawei, Honor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub badge_class: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sound: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
    /// APNs: the app's extension may change it before it is shown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mutable_content: bool,
    /// The text is shown unfolded, where the vendor has such a style: Huawei, Xiaomi.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub big_text: bool,
    /// Pass-through data in place of a notification, by vendor.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = BTreeMap<String, Object>))]
    pub transparent_payload: BTreeMap<String, Value>,
    /// How soon that is delivered: Huawei, HarmonyOS, Honor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transparent_urgency: Option<Urgency>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live_activity: Option<LiveActivity>,
    /// The vendor's test quota and rules, where it has any.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_test: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Urgency {
    High,
    Normal,
}

/// A Live Activity: iOS.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LiveActivity {
    pub event: ActivityEvent,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub content_state: Option<Value>,
    /// Seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dismissal_date_s: Option<u64>,
    /// Seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale_date_s: Option<u64>,
    /// With `start`: the app's type of activity, and what it begins with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attributes_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub attributes: Option<Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ActivityEvent {
    Start,
    Update,
    End,
}

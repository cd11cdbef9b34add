//! The settings of an app.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;
use crate::vendor::{Fallback, Route};

/// `PUT /v1/settings`: all of them, in place of what was; a field that is absent gets its default.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WriteSettings {
    #[serde(default)]
    pub push_api: PushApi,
    /// An IANA time zone, as `Asia/Shanghai`: of schedules, and of the days of quiet hours and caps.
    /// UTC when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    #[serde(default)]
    pub callback: Callback,
    #[serde(default)]
    pub routing: Routing,
}

/// Which road a message takes where there are two, unless it says so itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Routing {
    #[serde(default)]
    pub route: Route,
    /// With `vendor_after`: after so many seconds without an ack, 1 to 86,400.
    #[serde(default = "half_a_minute")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 86_400))]
    pub vendor_after_s: u64,
    #[serde(default)]
    pub fallback: Fallback,
}

const fn half_a_minute() -> u64 {
    30
}

impl Default for Routing {
    fn default() -> Self {
        Self { route: Route::default(), vendor_after_s: half_a_minute(), fallback: Fallback::default() }
    }
}

/// Pushes by API, on both faces.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PushApi {
    /// False: pushes by API are refused; schedules and campaigns go on.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// The owner's own RSA public key, PEM or bare base64; kept and shown as PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
}

const fn yes() -> bool {
    true
}

impl Default for PushApi {
    fn default() -> Self {
        Self { enabled: true, public_key: None }
    }
}

/// The mPaaS callback: receipts POSTed to a URL, signed with the app's callback key.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Callback {
    #[serde(default)]
    pub enabled: bool,
    /// `http://` or `https://`, at most 2,048 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// `GET /v1/settings`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SettingsView {
    /// One more with every change; 0 when nobody has written any.
    pub version: u64,
    /// As the header ETag has it, without its quotation marks: for If-Match.
    pub etag: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u64>))]
    pub updated_at: Option<Timestamp>,
    pub push_api: PushApi,
    pub time_zone: String,
    pub callback: Callback,
    #[serde(default)]
    pub routing: Routing,
    /// What signs callbacks; absent when there is none yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback_key: Option<CallbackKeyView>,
}

/// The public half of the key that signs an app's callbacks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CallbackKeyView {
    /// SubjectPublicKeyInfo, in PEM.
    pub public_key: String,
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    pub created_at: Timestamp,
    /// True when the owner brought it along.
    pub uploaded: bool,
}

/// `POST /v1/settings/callback-key`.
#[derive(Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MakeCallbackKey {
    /// An RSA key of 2048 to 4096 bits, PKCS#8 in PEM, never shown again; the server makes one of
    /// 2048 bits when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_key: Option<String>,
}

impl std::fmt::Debug for MakeCallbackKey {
    /// A private key does not print.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MakeCallbackKey({})", if self.private_key.is_some() { "one" } else { "none" })
    }
}

impl SettingsView {
    /// What would write these settings.
    #[must_use]
    pub fn to_write(&self) -> WriteSettings {
        WriteSettings {
            push_api: self.push_api.clone(),
            time_zone: Some(self.time_zone.clone()),
            callback: self.callback.clone(),
            routing: self.routing,
        }
    }
}

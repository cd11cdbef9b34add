//! Vendor channels: an app's setups for them, and what a push brings along.

mod options;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::options::{ActivityEvent, LiveActivity, Urgency, VendorOptions};
use crate::time::Timestamp;
use crate::vendor::Vendor;

/// `PUT /v1/vendors/{vendor}`: all of it, in place of what was.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WriteVendor {
    /// The vendor's own shape, as docs/vendors.md has it. Goes in and never comes out; absent, the one
    /// that is there stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub credential: Option<Value>,
    /// What is no secret: the vendor's shape too.
    #[serde(default = "no_settings")]
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub settings: Value,
    /// Base URLs in place of the vendor's own, by the name docs/vendors.md gives each: `send`, `auth`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hosts: BTreeMap<String, String>,
    /// Authorities believed in place of the web's, in PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_pem: Option<String>,
    /// Added to the server's clock in all that the vendor compares with its own.
    #[serde(default)]
    pub clock_offset_ms: i64,
    /// False: what would go this way takes another road, or none.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Messages a day in place of the published limit of that name; `null` is no limit.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub quotas: BTreeMap<String, Option<u64>>,
}

const fn yes() -> bool {
    true
}

fn no_settings() -> Value {
    Value::Object(serde_json::Map::new())
}

impl Default for WriteVendor {
    fn default() -> Self {
        Self {
            credential: None,
            settings: no_settings(),
            hosts: BTreeMap::new(),
            ca_pem: None,
            clock_offset_ms: 0,
            enabled: true,
            quotas: BTreeMap::new(),
        }
    }
}

/// `GET /v1/vendors`: all ten, in the order of their numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VendorList {
    pub vendors: Vec<VendorView>,
}

/// `GET /v1/vendors/{vendor}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VendorView {
    pub vendor: Vendor,
    pub status: VendorStatus,
    /// Absent when the app has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setup: Option<VendorSetup>,
    /// How its channel fares; absent while it does not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<VendorChannel>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum VendorStatus {
    /// The app has no setup for it.
    Absent,
    /// Its owner turned it off.
    Off,
    /// Its channel does not run: nothing was asked of it yet.
    Idle,
    Well,
    /// The vendor gives no access; it is asked again.
    NoAccess,
    /// The channel gave up until somebody mends it, but for a probe now and then.
    Stopped,
}

/// A setup as its owner sees it: all but the credential.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VendorSetup {
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub settings: Value,
    #[serde(default)]
    pub hosts: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_pem: Option<String>,
    pub clock_offset_ms: i64,
    pub enabled: bool,
    #[serde(default)]
    pub quotas: BTreeMap<String, Option<u64>>,
    /// Where the vendor is told to send receipts. Whoever knows it may send some: it is for the
    /// vendor's console. Absent when the server has no public address (`vendors.public_url`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipts_url: Option<String>,
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    pub created_at: Timestamp,
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    pub updated_at: Timestamp,
    /// When the credential was given.
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    pub credential_at: Timestamp,
    /// As the header ETag has it, without its quotation marks: for If-Match.
    pub etag: String,
}

/// How a channel fares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VendorChannel {
    /// Why it gave up, while it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<VendorStop>,
    pub access: VendorAccess,
    /// When the credential itself ends: of a certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u64>))]
    pub credential_ends_at: Option<Timestamp>,
    /// Devices a second that it sends to now, at most.
    pub rate_per_s: u32,
    /// Calls under way.
    pub in_flight: u64,
    /// Messages at hand that are not under way.
    pub waiting: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u64>))]
    pub last_accepted_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<VendorError>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VendorStop {
    /// The vendor's code, or ours.
    pub code: String,
    pub text: String,
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    pub since: Timestamp,
    /// When one call is let through to see.
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    pub probe_at: Timestamp,
}

/// What calls to the vendor have to show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum VendorAccess {
    /// None was needed yet, or none ever is.
    None,
    Held {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(value_type = Option<u64>))]
        ends_at: Option<Timestamp>,
    },
    /// The vendor gave none; it is asked again then.
    Failed {
        #[cfg_attr(feature = "openapi", schema(value_type = u64))]
        until: Timestamp,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VendorError {
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    pub at: Timestamp,
    #[serde(flatten)]
    pub refused: VendorRefusal,
}

/// What a vendor said no with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VendorRefusal {
    /// `retry`, `throttle`, `unbind`, `reauth`, `perm` or `config`.
    pub class: String,
    /// Whom it concerns: `message`, `device`, `app`, `category`, `endpoint`, `connection`, `platform`.
    pub scope: String,
    /// As the vendor wrote it, or ours: `timeout`, `connect`, `http_502`.
    pub code: String,
    /// The vendor's words, for people.
    pub text: String,
}

/// `POST /v1/vendors/{vendor}/test`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TestVendor {
    /// Sent a notification too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// What came of trying a channel out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VendorTested {
    /// True when access was given and, with a token, the message was taken.
    pub passed: bool,
    /// What it holds; absent when it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<VendorAccess>,
    /// Why there is no access, or why the message was not taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<VendorRefusal>,
    /// The vendor's name of the message that it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor_id: Option<String>,
    /// What of the message the vendor cannot carry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub degraded: Vec<String>,
}

/// `POST /v1/vendors/{vendor}/rotate`.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RotateVendor {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub credential: Option<Value>,
    /// Proven by a notification to it too: where a vendor gives no access apart from sending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Another address for receipts: the one before is nobody's from now on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub new_receipts_url: bool,
}

/// What came of it. When it was not proven, the old credential goes on being used, and the address
/// for receipts is as it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VendorRotated {
    pub rotated: bool,
    /// Of the credential; absent when none was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tested: Option<VendorTested>,
    pub vendor: VendorView,
}

/// `GET /v1/vendors/{vendor}/quota`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VendorQuota {
    pub vendor: Vendor,
    /// Empty: the vendor counts no days.
    pub limits: Vec<VendorLimit>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VendorLimit {
    /// By which a setup's `quotas` replace it.
    pub name: String,
    /// Which messages count: `test`, `marketing`, `service` or `default`.
    pub sort: String,
    /// `app`, or `device`: for each device.
    pub of: String,
    /// Absent: the owner lifted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_day: Option<u64>,
    /// Today; of a limit by device, the devices that had as many as they may.
    pub used: u64,
    /// Absent without a limit, and of one by device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remaining: Option<u64>,
    /// The vendor itself said that the day's share is spent.
    pub spent_by_vendor: bool,
    /// When the vendor's day turns.
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    pub renews_at: Timestamp,
    /// Where the vendor says so, and as of when.
    pub source: String,
}

impl VendorStatus {
    /// As it stands in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Off => "off",
            Self::Idle => "idle",
            Self::Well => "well",
            Self::NoAccess => "no_access",
            Self::Stopped => "stopped",
        }
    }
}

impl VendorSetup {
    /// What would write this setup, with the credential that is there.
    #[must_use]
    pub fn to_write(&self) -> WriteVendor {
        WriteVendor {
            credential: None,
            settings: self.settings.clone(),
            hosts: self.hosts.clone(),
            ca_pem: self.ca_pem.clone(),
            clock_offset_ms: self.clock_offset_ms,
            enabled: self.enabled,
            quotas: self.quotas.clone(),
        }
    }
}

/// Credentials do not print.
impl fmt::Debug for WriteVendor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteVendor").field("enabled", &self.enabled).finish_non_exhaustive()
    }
}

impl fmt::Debug for RotateVendor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RotateVendor").finish_non_exhaustive()
    }
}

//! Carillon's contract: what server, engine, clients and load generator share.
//!
//! Typed ids and quantities, the bodies of the HTTP API, request signing, the device wire protocol
//! (sans-io), and, behind the feature `client`, a device client and an app-server client.
//! No actix, no sled.

pub mod api;
#[cfg(feature = "client")]
pub mod client;
pub mod ids;
pub mod sign;
pub mod time;
pub mod vendor;
pub mod wire;

pub use ids::{AppId, DeviceId, KeyId, MessageId, UserId, WorkspaceId};
pub use time::{Timestamp, Ttl};
pub use vendor::{Fallback, Route, Vendor};

//! Vendor channels: what one vendor carries for one app. Each is an actor of its own with queue,
//! credential, pace, retry and breaker; it knows a [`Gateway`], and no protocol.

mod gateway;
mod options;
mod outcome;

pub use self::gateway::{Access, Address, Gateway, Gateways, Invalid, Manners, Parcel, Setup};
pub use self::options::{Activity, Options};
pub use self::outcome::{Accepted, Class, Outcome, Pause, Refused, Scope};
pub use carillon_sdk::vendor::{Category, Level};

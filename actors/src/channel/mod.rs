//! Vendor channels: what one vendor carries for one app. Each is an actor of its own with queue,
//! credential, pace, retry and breaker; it knows a [`Gateway`], and no protocol.

mod gateway;
mod options;
mod outcome;
mod receipt;

mod keep;
mod proving;
mod setup;
mod state;
mod trial;

mod actor;
mod desk;
mod office;

mod batch;
mod breaker;
mod course;
mod credential;
mod guard;
mod lanes;
mod pace;
mod quota;
mod quotas;
mod retry;

mod counted;

mod work;

#[cfg(test)]
pub(crate) mod fake;

pub use self::gateway::{Access, Address, Gateway, Gateways, Invalid, Manners, Parcel, Setup};
pub(crate) use self::office::{CrashChannel, Office};
pub use self::options::{Activity, Options};
pub use self::outcome::{Accepted, Class, Outcome, Pause, Refused, Scope};
pub use self::quota::{Limit, Of, QuotaView, Sort};
pub use self::receipt::{BadPost, News, Receipt, ReceiptPost};
pub(crate) use self::setup::is_enabled;
pub use self::setup::{Draft, Error, SetupView, Setups};
pub(crate) use self::state::Board;
pub use self::state::{AccessView, BreakerView, LastError, State, Tested};
pub use self::work::{Claimed, End, Errand, ErrandId, ErrandLane, Errands, Works};
pub use carillon_sdk::vendor::{Category, Level};

/// How the server goes about its channels.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// The public address under which vendors' receipts come in, without a setup's `receipts_key`.
    /// None when vendors cannot reach this server.
    pub receipts_url: Option<String>,
}

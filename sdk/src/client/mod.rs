//! The two clients: a device's, and an app server's.

pub mod address;
mod backoff;
pub mod connection;
pub mod device;
mod inbox;
mod register;
pub mod server;
pub mod tls;

pub use address::{Address, Trust};
pub use connection::Connection;
pub use device::{DeviceClient, Options};
pub use register::register;
pub use server::AppServer;

use crate::time::Timestamp;

/// Wall time, which a signature carries. The only place of this crate that reads it; a device goes
/// by the server's clock, which Welcome told.
fn wall_now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "a client has no server's clock to take it from")]
    let now = std::time::SystemTime::now();
    let since = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// A random number below `bound`, for jitter: evenly enough.
fn random_below(bound: u64) -> u64 {
    match getrandom::u64() {
        Ok(random) => random % bound.max(1),
        // Without random bytes there is no jitter, which costs politeness alone.
        Err(_) => bound / 2,
    }
}

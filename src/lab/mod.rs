//! The laboratory: simulators of the ten vendors on loopback, as strict as their documents, so that
//! every road can be seen without an account anywhere, and every fault be made.
//!
//! ```text
//!  listener × vendor ──Asked──▶ Simulator ──Reply──▶ bytes (or silence, or half of them)
//!                                  │ fates of tokens · clock · buckets · capture · receipts back
//!                                  ▼
//!                                World
//! ```
//!
//! What becomes of a token is told by its beginning ([`Fate`]); what a vendor does as a whole (down,
//! a quota spent, its clock ahead) is set in the [`World`]. A simulator checks signatures, expiry,
//! lengths and counts as the vendor does; `lenient` lets through what the documents leave unsure.

mod apns;
#[cfg(test)]
mod asking;
mod capture;
mod control;
mod course;
mod fate;
mod fcm;
mod front;
mod harmony;
mod honor;
mod huawei;
mod issued;
mod jwt;
mod keys;
mod meizu;
mod oppo;
mod outbox;
mod receipts;
mod ruling;
mod shape;
mod simulator;
mod start;
mod statuses;
mod tls;
mod vivo;
mod webpush;
mod wire;
mod world;
mod xiaomi;

pub use self::apns::Apns;
pub use self::capture::{Capture, Captured, Posted, Taken};
pub use self::fate::{Fate, fate_of};
pub use self::fcm::Fcm;
pub use self::harmony::Harmony;
pub use self::honor::Honor;
pub use self::huawei::Huawei;
pub use self::meizu::Meizu;
pub use self::oppo::Oppo;
pub use self::outbox::{Letter, Outbox, Posting};
pub use self::simulator::{Asked, Reply, Simulator};
pub use self::start::{Error, Lab, Options};
pub use self::vivo::Vivo;
pub use self::webpush::WebPush;
pub use self::world::{Condition, Quotas, World};
pub use self::xiaomi::Xiaomi;

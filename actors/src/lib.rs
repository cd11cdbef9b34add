//! The engine: every actor, the pure core beside it, and the store. No HTTP, no TLS, no
//! configuration files. ARCHITECTURE.md has the drawings.
//!
//! Asks go down one rank order, and everything else is told: edge → Shard → User → Store.

pub mod clock;
pub mod limits;
pub mod model;
pub mod encoded;
pub mod link;
pub mod engine;
pub mod store;
pub mod names;
pub mod root;
mod push;
mod router;
mod supervise;
mod shard;
mod user;
mod connection;
mod live;
mod session;
mod framed;
mod registry;
mod binding;
mod scheduler;
mod metrics;
mod counters;

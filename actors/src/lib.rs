//! The engine: every actor, the pure core beside it, and the store. No HTTP, no TLS, no
//! configuration files. ARCHITECTURE.md has the drawings.
//!
//! Asks go down one rank order, and everything else is told: edge → Campaigns → Shard → User → Store.

// In the order to read them; each group is a layer.

pub mod engine;
pub mod order;
mod push;
pub mod revoke;
mod routing;

pub mod analysis;
pub mod audience;
pub mod campaign;
pub mod lists;
pub mod settings;
pub mod template;
pub mod templates;

pub mod limits;
pub mod model;

pub mod clock;
pub mod encoded;
pub mod link;

pub mod root;
mod router;
mod supervise;

mod shard;

pub mod receipts;

pub mod channel;

mod turns;
mod user;

mod connection;
mod live;
mod session;

mod binding;
mod framed;
mod registry;

pub mod store;

pub mod schedule;

mod metrics;
mod scheduler;

mod counters;
pub mod names;

#[doc(hidden)]
pub mod measured;

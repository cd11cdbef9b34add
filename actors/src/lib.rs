//! The engine: every actor, the pure core beside it, and the store. No HTTP, no TLS, no
//! configuration files. ARCHITECTURE.md has the drawings.
//!
//! Asks go down one rank order, and everything else is told: edge → Shard → User → Store.

pub mod clock;
pub mod limits;
pub mod model;
pub mod encoded;
pub mod link;
pub mod store;
pub mod engine;

//! The way out: receipts as HTTP requests to app servers, which may name any URL they like. So what
//! an address is decides whether it is called, and the one that was looked at is the one called.
//!
//! ```text
//!  Post ─▶ URL parsed ─▶ name resolved, once ─▶ every address allowed? ─▶ POST to those, pinned
//!  Answer ◀── status ◀── at most 64 KiB of the body, unread ◀───────────────┘  no redirect, no proxy
//! ```

mod gateway;
pub(crate) mod guard;

use std::sync::Arc;

use carillon_actors::engine::Engine;
use carillon_actors::receipts;

use crate::config;
pub use gateway::{Outbound, SetupError};
pub use guard::{Refusal, parse_url};

/// Opens the way out for the engine's receipts.
pub fn open(engine: &Engine, config: &config::Receipts) -> Result<(), SetupError> {
    let gateway = Outbound::new(config, engine.clock().clone())?;
    let config = receipts::Config { patience: config.patience, endpoints_max: config.endpoints_max };
    engine.open_receipts(Arc::new(gateway), config);
    Ok(())
}

//! The doors devices come in by: listeners on every shard's arbiter, the porch where a socket
//! waits until its Hello is verified, and the transports the engine then owns.
//!
//! ```text
//!  listener ──accept──▶ Guest ──TLS──▶ ──upgrade──▶ ──Hello──▶ verified ──Arrival──▶ Engine
//!  (each arbiter)         │ the porch: bounded in number and time │        the socket moves to
//!                         └─ a coded close for everything else ◀──┘        its shard's arbiter
//! ```
//!
//! Limits: guests on the porch, seconds until the Hello, bytes of Hello, one TLS step an arbiter
//! at a time. Nothing here decides about delivery.

mod counts;
mod guest;
mod hello;
mod listen;
mod porch;
mod tcp;
mod tls;

pub use listen::{Doors, Error, OpenDoors, Settings};
pub use tls::certificate::{self, Certificate};

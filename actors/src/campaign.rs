//! Campaigns: one content, or one content in each target's own words, to many, at a pace. Planned
//! first, then applied by the plan's hash, and from there to its end by itself.
//!
//! ```text
//!            apply              canary out            resume
//!  planned ────────▶ running ──────────────▶ holding ────────▶ running
//!                    │  ▲ │
//!              pause ▼  │ └─ all let go ─▶ settling ─ every verdict in, or expired ─▶ finished
//!                   paused
//!  anything but the end ─ abort ─▶ aborted · revoke ─▶ revoking ─▶ revoked · cannot go on ─▶ failed
//! ```
//!
//! ```text
//!  edge ──Do──▶ Office ──Do──▶ Runner × campaign ──▶ store
//!                 ▲──Rested, Mourn──┘
//! ```
//!
//! [`record`] is what is kept and which state follows which, [`plan`] what applying would do; both
//! are pure. Each change of a campaign goes through its runner, one at a time, and is on disk
//! before anything follows from it.

mod record;

mod pace;
mod plan;

mod desk;
mod keep;

mod office;
mod runner;

mod audience;
mod list;
mod orders;
mod step;

mod board;
mod counts;
mod frozen;
mod view;

pub(crate) use self::board::Board;
pub(crate) use self::keep::{states, uses_list};
pub(crate) use self::office::{CrashRunner, Office};

pub use self::desk::{By, Error};
pub use self::pace::Pace;
pub use self::plan::Slice;
pub use self::record::{Campaign, Command, Share, Spec, To};

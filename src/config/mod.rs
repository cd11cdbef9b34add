//! The settings, read once, in one place, and passed down in pieces.
//!
//! ```text
//!  default.toml ─┐
//!  dev.toml ─────┤
//!  --config ─────┼─▶ layers ─▶ Reader (one key at a time) ─▶ Config and origins,
//!  environment ──┤                                          or every mistake there is
//!  flags ────────┘
//! ```
//!
//! `config/default.toml` is the lowest layer and the manual: a key that is not in it does not exist.

mod layer;
mod reader;
mod sections;
mod value;

pub use layer::{Given, Layer, Origin, Raw};
pub use reader::Mistake;
pub use sections::{
    Config, Devices, Drain, Engine, Http, Log, LogFormat, Mpaas, Operations, Rate, Rates, Receipts, Secret,
    Store, TlsFiles, Vendors,
};
pub(crate) use value::span_of;

/// What `config print --show-origin` prints of one key. A secret's value reads `"***"`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Setting {
    pub key: String,
    /// As TOML has it.
    pub value: String,
    pub origin: String,
}

/// The settings and where each came from, in the order of default.toml's sections and keys.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub config: Config,
    pub settings: Vec<Setting>,
}

/// Reads the settings from `layers`, the later over the earlier; default.toml lies below them all.
/// Either everything is right, or every mistake is told.
pub fn load(layers: &[Layer]) -> Result<Loaded, Vec<Mistake>> {
    let defaults = Layer::defaults();
    let mut reader = reader::Reader::new(&defaults, layers);
    let config = sections::read(&mut reader);
    sections::check(&config, &mut reader);
    let settings = reader.settings();
    let mistakes = reader.finish();
    if mistakes.is_empty() { Ok(Loaded { config, settings }) } else { Err(mistakes) }
}

#[cfg(test)]
mod tests;

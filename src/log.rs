//! What the process says of itself, on standard error: standard output belongs to data.

use std::io::{self, IsTerminal};

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

use crate::config::{Log, LogFormat};

/// Holds the level, which SIGHUP may change.
#[derive(Debug, Clone)]
pub struct Logging(reload::Handle<EnvFilter, Registry>);

/// Starts logging. A process has one log; a second call changes nothing.
#[must_use]
pub fn start(settings: &Log) -> Logging {
    let (level, handle) = reload::Layer::new(level(settings));
    let registry = tracing_subscriber::registry().with(level);
    // An error says that there is a log already, as in tests.
    let _ = match settings.format {
        LogFormat::Text => {
            let colour = io::stderr().is_terminal()
                && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
            registry.with(fmt::layer().with_writer(io::stderr).with_ansi(colour)).try_init()
        }
        LogFormat::Json => registry.with(fmt::layer().json().with_writer(io::stderr)).try_init(),
    };
    Logging(handle)
}

impl Logging {
    /// From now on, this level; the format stays.
    pub fn reload(&self, settings: &Log) {
        if let Err(error) = self.0.reload(level(settings)) {
            tracing::warn!(%error, "the log level could not be changed");
        }
    }
}

/// The configuration has parsed it once already.
fn level(settings: &Log) -> EnvFilter {
    EnvFilter::try_new(&settings.level).unwrap_or_else(|_| EnvFilter::new("info"))
}

//! The command line. Every command has its file; what they share is where they connect
//! ([`server`]), what they print ([`out`]) and what they end with ([`exit`]).

pub mod analysis;
pub mod app;
pub mod audience;
pub mod audit;
pub mod batch;
pub mod campaign;
pub mod config;
pub mod curl;
pub mod device;
pub mod endpoint;
pub mod events;
pub mod exit;
pub mod key;
pub mod lab;
pub mod list;
pub mod message;
pub mod out;
pub mod push;
pub mod schedule;
pub mod server;
pub mod settings;
pub mod stats;
pub mod tag;
pub mod task;
pub mod template;
pub mod token;
pub mod vendor;

use clap::{Parser, Subcommand};

use self::exit::Failure;

/// Carillon: a self-hosted push platform. Without a command it runs `dev`.
#[derive(Debug, Parser)]
#[command(name = "carillon", version, about, disable_help_subcommand = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// A ready server for development: demo app, key and sample devices
    Dev(crate::dev::Args),
    /// The production server
    Serve(crate::serve::Args),
    /// Send a message
    Push(Box<push::Args>),
    /// Send a message to many, to each in its own words
    Batch(batch::Args),
    /// Be a device: print each message that arrives; or show, import and export devices' tokens
    Device(Box<device::Args>),
    /// The story of a message: each step, each device
    Message(message::Args),
    /// What happened, one device at a time; with --follow as it happens
    Events(events::Args),
    /// Plan, apply, steer and watch campaigns
    Campaign(campaign::Args),
    /// Tags of devices and users: list, give, take, upload
    Tag(tag::Args),
    /// Count whom an expression is about
    Audience(audience::Args),
    /// Upload, list and delete lists of targets
    List(list::Args),
    /// Where receipts go: make, list, test and replay endpoints
    Endpoint(endpoint::Args),
    /// List, show and take back tasks: multiple pushes, broadcasts, campaigns
    Task(task::Args),
    /// Counts by minute, hour or day
    Stats(stats::Args),
    /// Sums and rates of what became of pushes
    Analysis(analysis::Args),
    /// Make, change, preview and delete templates
    Template(template::Args),
    /// Pushes at a time to come: make, list, show and cancel
    Schedule(schedule::Args),
    /// Read and change the app's settings
    Settings(settings::Args),
    /// Phone makers' channels: set up, test, list, quota, rotate
    Vendor(vendor::Args),
    /// All ten vendors on this machine, to try their roads without an account
    Lab(lab::Args),
    /// Who changed what
    Audit(audit::Args),
    /// Make, list and revoke API keys
    Key(key::Args),
    /// Make and list apps (the operator's key)
    App(app::Args),
    /// Tokens with which a device binds a user
    Token(token::Args),
    /// A signed request to any path of the API
    Curl(curl::Args),
    /// Check or print the configuration
    Config(config::Args),
    /// The version, the protocol and the platform
    Version {
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
}

/// Every TLS of this process stands on ring.
pub fn install_crypto() {
    // An error says that one is installed already, which can only be this one.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Runs a client command: one thread is enough.
pub fn client(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(Failure::from_error)?.block_on(command)
}

pub fn version(json: bool) -> Result<(), Failure> {
    let (version, protocol) = (env!("CARGO_PKG_VERSION"), carillon_sdk::wire::VERSION);
    let platform = format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS);
    if json {
        return out::json(
            &serde_json::json!({ "version": version, "protocol": protocol, "platform": platform }),
        );
    }
    out::line(&format!("carillon {version} (device protocol {protocol}, {platform})"))
}

#[cfg(test)]
mod tests;

//! A fleet of devices and app servers that measures Carillon from outside.
//! docs/performance.md says how to repeat its report.

mod app_server;
mod args;
mod clock;
mod fleet;
mod floor;
mod goals;
mod http;
mod lab;
mod process;
mod progress;
mod report;
mod scenario;
mod server;
mod suite;
mod turns;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use args::{Args, Command};

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("loadtest: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> Result<()> {
    match args.command {
        Command::Fleet => fleet::child::run(),
        Command::FloorServer { durable } => floor::run(durable),
        command => {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
            runtime.block_on(suite::run(&args.common, command))
        }
    }
}

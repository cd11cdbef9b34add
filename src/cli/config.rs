//! `carillon config`: the settings, checked or printed, without starting anything.

use std::path::PathBuf;

use clap::Subcommand;

use super::exit::{Code, Failure};
use super::out;
use crate::config::Layer;
use crate::data_dir::DirFacts;
use crate::serve::refusals;
use crate::settings::{self, Base};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Every mistake at once, and what `serve` would refuse; nothing listens and nothing is opened
    Check {
        #[arg(value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// The settings in force
    Print {
        #[arg(value_name = "FILE")]
        config: Option<PathBuf>,
        /// Say of each where it came from
        #[arg(long)]
        show_origin: bool,
        #[arg(long)]
        json: bool,
    },
}

pub fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::Check { config } => {
            let loaded = settings::read(Base::Serve, config.as_deref(), Layer::default())?;
            let refusals = refusals(&loaded.config, DirFacts::of(&loaded.config.store.dir));
            if refusals.is_empty() {
                out::note("the configuration is good");
                return Ok(());
            }
            Err(Failure::new(Code::Configuration, refusals.join("\n")))
        }
        Command::Print { config, show_origin, json } => {
            let loaded = settings::read(Base::Serve, config.as_deref(), Layer::default())?;
            if json {
                return out::json(&loaded.settings);
            }
            for setting in &loaded.settings {
                let origin = if show_origin { format!("  # {}", setting.origin) } else { String::new() };
                out::line(&format!("{} = {}{origin}", setting.key, setting.value))?;
            }
            Ok(())
        }
    }
}

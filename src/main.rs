//! The `carillon` binary: the command line, and nothing else.

use std::process::ExitCode;

use carillon::cli::exit::Failure;
use carillon::cli::{self, Cli, Command};
use carillon::{dev, serve};
use clap::Parser;

fn main() -> ExitCode {
    let cli = Cli::parse();
    cli::install_crypto();
    let command = cli.command.unwrap_or_else(|| Command::Dev(dev::Args::default()));
    match run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.text.is_empty() {
                cli::out::note(&format!("carillon: {failure}"));
            }
            failure.code.into()
        }
    }
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Dev(args) => dev::run(&args),
        Command::Serve(args) => serve::run(&args),
        Command::Push(args) => cli::client(cli::push::run(*args)),
        Command::Batch(args) => cli::client(cli::batch::run(args)),
        Command::Device(args) => cli::client(cli::device::run(*args)),
        Command::Message(args) => cli::client(cli::message::run(args)),
        Command::Task(args) => cli::client(cli::task::run(args)),
        Command::Endpoint(args) => cli::client(cli::endpoint::run(args)),
        Command::Events(args) => cli::client(cli::events::run(args)),
        Command::Campaign(args) => cli::client(cli::campaign::run(args)),
        Command::Tag(args) => cli::client(cli::tag::run(args)),
        Command::Audience(args) => cli::client(cli::audience::run(args)),
        Command::List(args) => cli::client(cli::list::run(args)),
        Command::Stats(args) => cli::client(cli::stats::run(args)),
        Command::Analysis(args) => cli::client(cli::analysis::run(args)),
        Command::Schedule(args) => cli::client(cli::schedule::run(args)),
        Command::Template(args) => cli::client(cli::template::run(args)),
        Command::Settings(args) => cli::client(cli::settings::run(args)),
        Command::Vendor(args) => cli::client(cli::vendor::run(args)),
        Command::Lab(args) => cli::client(cli::lab::run(args)),
        Command::Audit(args) => cli::client(cli::audit::run(args)),
        Command::Key(args) => cli::client(cli::key::run(args)),
        Command::App(args) => cli::client(cli::app::run(args)),
        Command::Curl(args) => cli::client(cli::curl::run(args)),
        Command::Token(args) => cli::token::run(args),
        Command::Config(args) => cli::config::run(args),
        Command::Version { json } => cli::version(json),
    }
}

//! `carillon token mint`: what an app server gives a device so that it may bind a user.

use carillon_sdk::sign::BIND_TOKEN_TTL_MAX;
use carillon_sdk::{DeviceId, UserId};
use clap::Subcommand;

use super::exit::{Code, Failure};
use super::out;
use super::server::{ServerArgs, Span};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// A token with which one device binds one user, signed here with the key's secret
    Mint {
        #[command(flatten)]
        server: ServerArgs,
        #[arg(long)]
        user: UserId,
        #[arg(long)]
        device: DeviceId,
        /// At most ten minutes
        #[arg(long, value_name = "SPAN", default_value = "5m")]
        ttl: Span,
    },
}

pub fn run(args: Args) -> Result<(), Failure> {
    let Command::Mint { server, user, device, ttl } = args.command;
    if ttl.0 > BIND_TOKEN_TTL_MAX {
        return Err(Failure::new(Code::Usage, "a bind token lives ten minutes at most"));
    }
    out::line(&server.bind_token(device, user, ttl.0)?)
}

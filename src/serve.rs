//! `carillon serve`: production, which refuses what is not safe.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::cli::exit::{Code, Failure};
use crate::config::{Config, Layer, Secret};
use crate::data_dir::{DataDir, DirFacts};
use crate::devices::Certificate;
use crate::lifecycle::{self, Reload, Server, Setup};
use crate::log;
use crate::settings::{self, Base};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The settings; config/default.toml explains each
    #[arg(long, env = "CARILLON_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// A proxy ends TLS before us, for the API and for devices
    #[arg(long)]
    behind_proxy: bool,
    /// The data directory, over the settings
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// Fewer different bytes than this among 32 are no random secret.
const DISTINCT_BYTES_MIN: usize = 12;

pub fn run(args: &Args) -> Result<(), Failure> {
    let config = read(args)?;
    let refusals = refusals(&config, DirFacts::of(&config.store.dir));
    if !refusals.is_empty() {
        return Err(Failure::new(Code::Configuration, refusals.join("\n")));
    }
    let logging = log::start(&config.log);
    lifecycle::in_system(async {
        let dir = DataDir::open(&config.store.dir).map_err(Failure::from_error)?;
        let master = lifecycle::master(&config, &dir)?;
        let http = certificate(config.http.tls.as_ref())?;
        let devices = certificate(config.devices.tls_files.as_ref())?;
        let setup =
            Setup { http_certificate: http.clone(), device_certificate: devices.clone(), ..Setup::default() };
        let server = Server::start(&config, master, setup).await?;
        server.keep_operator_key(&dir)?;
        server.announce();
        server.run_until_stopped(|| reload(args, &logging, http.as_ref(), devices.as_ref())).await
    })
}

fn read(args: &Args) -> Result<Config, Failure> {
    let mut flags = Vec::new();
    if args.behind_proxy {
        flags.push(("http.behind_proxy", "behind-proxy", "true".to_owned()));
        flags.push(("devices.behind_proxy", "behind-proxy", "true".to_owned()));
    }
    if let Some(data) = &args.data {
        flags.push(("store.dir", "data", data.display().to_string()));
    }
    Ok(settings::read(Base::Serve, args.config.as_deref(), Layer::flags(flags))?.config)
}

fn certificate(files: Option<&crate::config::TlsFiles>) -> Result<Option<Certificate>, Failure> {
    let Some(files) = files else { return Ok(None) };
    let certificate = Certificate::load(&files.cert, &files.key)
        .map_err(|error| Failure::of(Code::Configuration, &error))?;
    Ok(Some(certificate))
}

/// What SIGHUP reloads: the certificates and the log level. Everything else wants a restart.
fn reload(
    args: &Args,
    logging: &log::Logging,
    http: Option<&Certificate>,
    devices: Option<&Certificate>,
) -> Reload {
    let config = match read(args) {
        Ok(config) => config,
        Err(failure) => return Reload::Refused(failure.text),
    };
    logging.reload(&config.log);
    for (certificate, files) in [(http, &config.http.tls), (devices, &config.devices.tls_files)] {
        if let (Some(certificate), Some(files)) = (certificate, files)
            && let Err(error) = certificate.reload(&files.cert, &files.key)
        {
            return Reload::Refused(error.to_string());
        }
    }
    Reload::Done
}

/// Why `serve` does not run under these settings, each in a sentence; nothing when it does.
#[must_use]
pub fn refusals(config: &Config, dir: DirFacts) -> Vec<String> {
    let mut refusals = Vec::new();
    let mut in_the_clear = |what: &str, address: Option<SocketAddr>, cure: &str| {
        if let Some(address) = address.filter(|address| !address.ip().is_loopback()) {
            refusals.push(format!(
                "{what} listens on {address}, which is public, without TLS: {cure}, listen on loopback, or give \
                 --behind-proxy when a proxy ends TLS."
            ));
        }
    };
    if config.http.tls.is_none() && !config.http.behind_proxy {
        in_the_clear("http.listen", Some(config.http.listen), "set http.tls_cert and http.tls_key");
    }
    if !config.devices.behind_proxy {
        in_the_clear("devices.tcp", config.devices.tcp, "use devices.tls instead");
        in_the_clear("devices.ws", config.devices.ws, "use devices.wss instead");
    }
    for (key, address) in [("devices.tls", config.devices.tls), ("devices.wss", config.devices.wss)] {
        if address.is_some() && config.devices.tls_files.is_none() {
            refusals.push(format!("{key} needs devices.tls_cert and devices.tls_key, and they are not set."));
        }
    }
    if config.store.master.as_ref().is_some_and(is_guessable) {
        refusals.push(
            "store.master_secret can be guessed: draw 64 random hexadecimal digits, or leave it empty and one is \
             drawn."
                .to_owned(),
        );
    }
    if dir.open_to_others() {
        refusals.push(format!(
            "the data directory {} has mode {:o}, so others can read it: chmod 700 it.",
            config.store.dir.display(),
            dir.mode.unwrap_or_default()
        ));
    }
    refusals
}

/// A secret somebody typed: few different bytes, or one byte counting up to the next.
fn is_guessable(secret: &Secret) -> bool {
    let bytes = secret.bytes();
    let distinct = bytes.iter().collect::<std::collections::BTreeSet<_>>().len();
    let steps = bytes.windows(2).map(|pair| pair[1].wrapping_sub(pair[0]));
    let distinct_steps = steps.collect::<std::collections::BTreeSet<_>>().len();
    distinct < DISTINCT_BYTES_MIN || distinct_steps < DISTINCT_BYTES_MIN / 2
}

#[cfg(test)]
mod tests;

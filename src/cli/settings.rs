//! `carillon settings`: how an app works.

use std::path::PathBuf;

use carillon_sdk::api::settings::{MakeCallbackKey, SettingsView};
use carillon_sdk::{Fallback, Route};
use clap::Subcommand;

use super::exit::Failure;
use super::out;
use super::server::{ServerArgs, failure};
use super::template::text_of;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The app's settings
    Get {
        #[command(flatten)]
        server: ServerArgs,
        #[arg(long)]
        json: bool,
    },
    /// Change some of them; what is not given stays
    Set {
        /// Pushes by API; schedules and campaigns go on
        #[arg(long, value_name = "ON")]
        push_api: Option<bool>,
        /// Your RSA public key, a PEM file; kept and shown
        #[arg(long, value_name = "FILE")]
        public_key_file: Option<PathBuf>,
        /// An IANA time zone, as Asia/Shanghai
        #[arg(long, value_name = "ZONE")]
        time_zone: Option<String>,
        /// The mPaaS callback
        #[arg(long, value_name = "ON")]
        callback: Option<bool>,
        /// Where it goes
        #[arg(long, value_name = "URL")]
        callback_url: Option<String>,
        /// The road of a push that does not say: vendor-first, online-first, vendor-after, own-only
        #[arg(long, value_name = "ROUTE", value_parser = route)]
        route: Option<Route>,
        /// With vendor-after: seconds without an ack, 1 to 86400
        #[arg(long, value_name = "SECONDS")]
        vendor_after: Option<u64>,
        /// What follows a vendor's refusal: own, none
        #[arg(long, value_name = "FALLBACK", value_parser = fallback)]
        fallback: Option<Fallback>,
        #[command(flatten)]
        server: ServerArgs,
        #[arg(long)]
        json: bool,
    },
    /// Make the key that signs callbacks, or bring one along; prints its public half
    CallbackKey {
        /// An RSA key, PKCS#8 in PEM; `-` is stdin; made on the server when absent
        #[arg(long, value_name = "FILE")]
        private_key_file: Option<PathBuf>,
        /// Only print the public half of the one there is
        #[arg(long, conflicts_with = "private_key_file")]
        show: bool,
        #[command(flatten)]
        server: ServerArgs,
        #[arg(long)]
        json: bool,
    },
}

pub async fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::Get { server, json } => {
            shown(&server.connect()?.client.settings().await.map_err(failure)?, json)
        }
        Command::Set {
            push_api,
            public_key_file,
            time_zone,
            callback,
            callback_url,
            route,
            vendor_after,
            fallback,
            server,
            json,
        } => {
            let client = server.connect()?.client;
            let before = client.settings().await.map_err(failure)?;
            let mut settings = before.to_write();
            settings.push_api.enabled = push_api.unwrap_or(settings.push_api.enabled);
            if let Some(path) = &public_key_file {
                settings.push_api.public_key = Some(text_of(path)?);
            }
            settings.time_zone = time_zone.or(settings.time_zone);
            settings.callback.enabled = callback.unwrap_or(settings.callback.enabled);
            settings.callback.url = callback_url.or(settings.callback.url);
            settings.routing.route = route.unwrap_or(settings.routing.route);
            settings.routing.vendor_after_s = vendor_after.unwrap_or(settings.routing.vendor_after_s);
            settings.routing.fallback = fallback.unwrap_or(settings.routing.fallback);
            let etag = Some(before.etag.as_str());
            shown(&client.replace_settings(&settings, etag).await.map_err(failure)?, json)
        }
        Command::CallbackKey { private_key_file, show, server, json } => {
            let client = server.connect()?.client;
            let key = if show {
                client.callback_key().await
            } else {
                let private_key = private_key_file.as_deref().map(text_of).transpose()?;
                client.make_callback_key(&MakeCallbackKey { private_key }).await
            };
            let key = key.map_err(failure)?;
            if json { out::json(&key) } else { out::line(key.public_key.trim_end()) }
        }
    }
}

fn shown(settings: &SettingsView, json: bool) -> Result<(), Failure> {
    if json {
        return out::json(settings);
    }
    let on = |on: bool| if on { "on" } else { "off" }.to_owned();
    let there = |key: bool| if key { "there" } else { "-" }.to_owned();
    let rows = [
        ("push api", on(settings.push_api.enabled)),
        ("public key", there(settings.push_api.public_key.is_some())),
        ("time zone", settings.time_zone.clone()),
        ("callback", on(settings.callback.enabled)),
        ("callback url", settings.callback.url.clone().unwrap_or_else(|| "-".to_owned())),
        ("callback key", there(settings.callback_key.is_some())),
        ("route", settings.routing.route.as_str().to_owned()),
        ("vendor after", format!("{} s", settings.routing.vendor_after_s)),
        ("fallback", settings.routing.fallback.as_str().to_owned()),
        ("version", settings.version.to_string()),
    ];
    let rows: Vec<Vec<String>> = rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect();
    out::table(&["setting", "value"], &rows)
}

/// Words of a command line have hyphens, those of the API underscores.
pub(super) fn route(text: &str) -> Result<Route, String> {
    let known = Route::ALL.into_iter().find(|route| route.as_str().replace('_', "-") == text);
    known.ok_or_else(|| "vendor-first, online-first, vendor-after or own-only".to_owned())
}

pub(super) fn fallback(text: &str) -> Result<Fallback, String> {
    let known = [Fallback::Own, Fallback::None].into_iter().find(|fallback| fallback.as_str() == text);
    known.ok_or_else(|| "own or none".to_owned())
}

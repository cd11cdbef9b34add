//! `carillon dev`: a ready server for development, with an app, a key and devices to play with.

mod certificate;
mod lab;
mod samples;

use std::path::PathBuf;

use carillon_actors::engine::Engine;
use carillon_actors::model::App;
use carillon_actors::store::{AppInfo, KeyInfo, Store};
use carillon_sdk::api::{CreateApp, CreateKey, DeviceAddresses};
use carillon_sdk::{AppId, WorkspaceId};
use serde::Serialize;

use crate::cli::exit::{Code, Failure};
use crate::cli::out;
use crate::config::{Config, Layer};
use crate::data_dir::DataDir;
use crate::devices::Certificate;
use crate::lifecycle::{self, Reload, Server, Setup};
use crate::log;
use crate::settings::{self, Base};

const APP_ID: &str = "demo";
const WORKSPACE: &str = "default";

#[derive(Debug, Default, clap::Args)]
pub struct Args {
    /// Keep everything here; a fresh temporary directory when absent
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// A free port for every listener
    #[arg(long)]
    ephemeral_ports: bool,
    /// No sample devices, and no simulators of vendors
    #[arg(long)]
    no_samples: bool,
    /// Simulators of vendors without the sample devices
    #[arg(long, requires = "no_samples")]
    lab: bool,
    /// When ready, print one JSON object and nothing else
    #[arg(long)]
    json: bool,
}

/// The line of `--json`. Its names are part of the contract.
#[derive(Debug, Serialize)]
struct Ready<'a> {
    ready: bool,
    http: String,
    devices_tcp: &'a str,
    devices_tls: &'a str,
    devices_ws: &'a str,
    operations: String,
    app_id: &'a str,
    workspace_id: &'a str,
    key_id: &'a str,
    key_secret: &'a str,
    pid: u32,
    data: String,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    // Lives until the end, and goes with it.
    let temporary = match args.data {
        Some(_) => None,
        None => Some(tempfile::Builder::new().prefix("carillon-").tempdir().map_err(Failure::from_error)?),
    };
    let data = args.data.clone().or_else(|| temporary.as_ref().map(|dir| dir.path().to_owned()));
    let data = data.ok_or_else(|| Failure::new(Code::Internal, "no data directory"))?;
    let dir = DataDir::open(&data).map_err(Failure::from_error)?;
    let config = settings::read(Base::Dev, None, flags(args, &dir))?.config;
    let _logging = log::start(&config.log);
    lifecycle::in_system(serve(args, &dir, &config))
}

async fn serve(args: &Args, dir: &DataDir, config: &Config) -> Result<(), Failure> {
    let made = certificate::in_dir(dir)?;
    let certificate = Certificate::load(&made.certificate, &made.key).map_err(Failure::from_error)?;
    let master = lifecycle::master(config, dir)?;
    let setup = Setup {
        device_certificate: Some(certificate),
        ca_pem: Some(made.ca_pem),
        panics: true,
        vendors_are_here: true,
        any_port: true,
        ..Setup::default()
    };
    let server = Server::start(config, master, setup).await?;
    server.keep_operator_key(dir)?;
    let app = app(server.engine.store()).await?;
    let key = key(server.engine.store(), &app).await?;
    say(args, dir, &server, &app, &key)?;
    if !args.no_samples {
        samples::start(&server.engine, &app, &server.addresses, args.json).await?;
    }
    if args.lab || !args.no_samples {
        actix_rt::spawn(vendors(server.engine.clone(), app.app, !args.no_samples));
    }
    server.run_until_stopped(|| Reload::Refused("dev has nothing to reload".to_owned())).await
}

/// Simulators of the ten vendors, until the process ends. Their keys take a second or two to make, for
/// which nobody waits.
async fn vendors(engine: Engine, app: App, samples: bool) {
    let started = async {
        let lab = lab::start(&engine, app).await?;
        if samples {
            lab::devices(&engine, app, &lab).await?;
        }
        Ok::<_, Failure>(lab)
    };
    match started.await {
        Ok(lab) => {
            tracing::info!("ten vendors are simulated");
            // It ends when it is dropped.
            std::future::pending::<()>().await;
            drop(lab);
        }
        Err(failure) => tracing::error!(%failure, "no vendor is simulated"),
    }
}

fn flags(args: &Args, dir: &DataDir) -> Layer {
    let mut flags = vec![("store.dir", "data", dir.path().display().to_string())];
    if args.ephemeral_ports {
        for key in ["http.listen", "devices.tcp", "devices.tls", "devices.ws", "operations.listen"] {
            flags.push((key, "ephemeral-ports", "127.0.0.1:0".to_owned()));
        }
    }
    Layer::flags(flags)
}

/// The demo app, made at the first start.
async fn app(store: &Store) -> Result<AppInfo, Failure> {
    let id = AppId::parse(APP_ID).map_err(Failure::from_error)?;
    let workspace = WorkspaceId::parse(WORKSPACE).map_err(Failure::from_error)?;
    let kept = store.apps().into_iter().find(|app| app.app_id == id && app.workspace_id == workspace);
    if let Some(app) = kept {
        return Ok(app);
    }
    let request = CreateApp { app_id: id, workspace_id: workspace, name: Some("Demo".to_owned()) };
    store.create_app(request, None).await.map_err(Failure::from_error)
}

/// The app's key: the first that Bearer is allowed for, else any that works, else a new one. Its
/// secret is derived from the master secret, so a restart finds the same.
async fn key(store: &Store, app: &AppInfo) -> Result<KeyInfo, Failure> {
    let mut live: Vec<KeyInfo> =
        store.keys(app.app).into_iter().filter(|key| key.view.revoked_at.is_none()).collect();
    live.sort_by_key(|key| (!key.view.bearer, key.view.created_at));
    if let Some(key) = live.into_iter().next() {
        return Ok(key);
    }
    let request = CreateKey { name: Some("dev".to_owned()), bearer: true, ..CreateKey::default() };
    store.create_key(app.app, request, None).await.map_err(Failure::from_error)
}

fn say(args: &Args, dir: &DataDir, server: &Server, app: &AppInfo, key: &KeyInfo) -> Result<(), Failure> {
    let DeviceAddresses { tcp, tls, ws } = &server.addresses;
    let ready = Ready {
        ready: true,
        http: format!("http://{}", server.http),
        devices_tcp: tcp.as_deref().unwrap_or_default(),
        devices_tls: tls.as_deref().unwrap_or_default(),
        devices_ws: ws.as_deref().unwrap_or_default(),
        operations: format!("http://{}", server.operations),
        app_id: app.app_id.as_str(),
        workspace_id: app.workspace_id.as_str(),
        key_id: key.view.key_id.as_str(),
        key_secret: &key.secret,
        pid: std::process::id(),
        data: dir.path().display().to_string(),
    };
    if args.json { out::json(&ready) } else { out::line(&ready.for_people(!args.no_samples)) }
}

impl Ready<'_> {
    fn for_people(&self, samples: bool) -> String {
        let Self {
            http,
            devices_tcp,
            devices_tls,
            devices_ws,
            operations,
            app_id,
            key_id,
            key_secret,
            data,
            ..
        } = self;
        let program = program(&std::env::args().next().unwrap_or_default());
        let title = out::bold("Carillon is ready.");
        let curl = out::bold("Paste this into another terminal:");
        let cli = out::bold("or this, after which every command knows the server:");
        let samples = if samples {
            "\nphone-1 and tablet-1 (user alice) and phone-2 (user bob) are connected; what reaches them \
             is printed here.\n"
        } else {
            ""
        };
        let roads = if samples.is_empty() { String::new() } else { roads(&program) };
        format!(
            "{title}

  HTTP API     {http}
  devices      tcp {devices_tcp}   tls {devices_tls}   {devices_ws}
  operations   {operations}   (/metrics, /livez, /readyz)
  app          {app_id}
  key          {key_id}
  secret       {key_secret}
  data         {data}

{curl}

curl -s {http}/v1/pushes -H 'Authorization: Bearer {key_id}.{key_secret}' \\
  -H 'Content-Type: application/json' \\
  -d '{{\"to\":{{\"users\":[\"alice\"]}},\"title\":\"Hello\",\"body\":\"from curl\"}}'

{cli}

export CARILLON_SERVER={http} CARILLON_APP_ID={app_id} CARILLON_KEY_ID={key_id} CARILLON_KEY_SECRET={key_secret}
{program} push --user alice --title Hello --body 'from the command line'
{samples}{roads}"
        )
    }
}

/// How this program was called, as one calls it again.
fn program(called: &str) -> String {
    let by_cargo = ["release", "debug"].into_iter().find(|kind| called.contains(&format!("target/{kind}/")));
    match by_cargo {
        Some("release") => "cargo run -q --release --".to_owned(),
        Some(_) => "cargo run -q --".to_owned(),
        None if called.contains('/') => called.to_owned(),
        None => "carillon".to_owned(),
    }
}

/// What shows every road.
fn roads(program: &str) -> String {
    let title = out::bold(
        "Ten vendors are simulated here, and user carol has a phone at each, which only it reaches:",
    );
    format!(
        "
{title}

{program} push --user carol --title Hello --body 'by ten roads'
{program} message ID              the ID that push printed: each road, and what came back
{program} device watch xiaomi-1   the same of one phone, as it happens
{program} vendor list             how each vendor fares
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_to_paste_call_this_program_as_it_was_called() {
        for (called, again) in [
            ("target/release/carillon", "cargo run -q --release --"),
            ("/work/target/debug/carillon", "cargo run -q --"),
            ("./carillon", "./carillon"),
            ("carillon", "carillon"),
        ] {
            assert_eq!(program(called), again);
        }
    }

    #[test]
    fn the_ready_line_has_exactly_the_members_of_the_contract() {
        let ready = Ready {
            ready: true,
            http: "http://127.0.0.1:1".to_owned(),
            devices_tcp: "127.0.0.1:2",
            devices_tls: "127.0.0.1:3",
            devices_ws: "ws://127.0.0.1:4/v1/socket",
            operations: "http://127.0.0.1:5".to_owned(),
            app_id: "demo",
            workspace_id: "default",
            key_id: "k",
            key_secret: "s",
            pid: 7,
            data: "/tmp/x".to_owned(),
        };
        assert_eq!(
            serde_json::to_string(&ready).unwrap(),
            "{\"ready\":true,\"http\":\"http://127.0.0.1:1\",\"devices_tcp\":\"127.0.0.1:2\",\
             \"devices_tls\":\"127.0.0.1:3\",\"devices_ws\":\"ws://127.0.0.1:4/v1/socket\",\
             \"operations\":\"http://127.0.0.1:5\",\"app_id\":\"demo\",\"workspace_id\":\"default\",\
             \"key_id\":\"k\",\"key_secret\":\"s\",\"pid\":7,\"data\":\"/tmp/x\"}"
        );
    }
}

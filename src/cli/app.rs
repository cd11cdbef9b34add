//! `carillon app`: the apps of a server, with the operator's key.

use std::path::PathBuf;

use carillon_sdk::api::{AppView, CreateApp, UpdateApp};
use carillon_sdk::{AppId, WorkspaceId};
use clap::Subcommand;

use super::exit::{Code, Failure};
use super::out;
use super::server::{Connected, ServerArgs, failure, parsed};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Args)]
struct Operator {
    #[command(flatten)]
    server: ServerArgs,
    /// `operator.key` of the data directory; instead of a key id and secret
    #[arg(long, env = "CARILLON_OPERATOR_KEY_FILE", value_name = "FILE")]
    operator_key_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// An app with its first key, whose secret is shown once
    Create {
        #[arg(value_name = "APP")]
        app: String,
        /// Shown to people
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        operator: Operator,
        #[arg(long)]
        json: bool,
    },
    /// Every app, or every workspace of one
    List {
        #[arg(value_name = "APP")]
        app: Option<AppId>,
        #[command(flatten)]
        operator: Operator,
        #[arg(long)]
        json: bool,
    },
    /// One app in one workspace (--workspace-id)
    Get(One),
    /// Another name for people
    Rename {
        #[command(flatten)]
        one: One,
        #[arg(long)]
        name: String,
    },
    /// Shut an app: its keys are refused and its devices sent away; nothing is deleted
    Disable(One),
    /// Open it again
    Enable(One),
    /// Another client key; the one before registers nothing from now on
    RotateClientKey(One),
}

#[derive(Debug, clap::Args)]
struct One {
    #[arg(value_name = "APP")]
    app: AppId,
    #[command(flatten)]
    operator: Operator,
    #[arg(long)]
    json: bool,
}

impl One {
    async fn update(self, update: UpdateApp) -> Result<(), Failure> {
        let workspace = self.operator.workspace()?;
        let client = self.operator.connect()?.client;
        let app = client.update_app(&self.app, &workspace, &update).await.map_err(failure)?;
        shown(&[app], self.json)
    }
}

impl Operator {
    fn workspace(&self) -> Result<WorkspaceId, Failure> {
        parsed(WorkspaceId::parse(&self.server.workspace_id), "the workspace id")
    }

    fn connect(&self) -> Result<Connected, Failure> {
        let Some(path) = &self.operator_key_file else { return self.server.connect() };
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::new(Code::Usage, format!("read {}: {error}", path.display())))?;
        let mut words = text.split_whitespace();
        match (words.next(), words.next(), words.next()) {
            (Some(key_id), Some(secret), None) => self.server.connect_as(key_id, secret.to_owned()),
            _ => Err(Failure::new(
                Code::Usage,
                format!("{} does not hold a key id and a secret", path.display()),
            )),
        }
    }
}

pub async fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::Create { app, name, operator, json } => {
            let request = CreateApp {
                app_id: parsed(AppId::parse(&app), "the app id")?,
                workspace_id: parsed(WorkspaceId::parse(&operator.server.workspace_id), "the workspace id")?,
                name,
            };
            let created = operator.connect()?.client.create_app(&request).await.map_err(failure)?;
            if json {
                return out::json(&created);
            }
            out::line(&format!("CARILLON_APP_ID={}", created.app.app_id))?;
            out::line(&format!("CARILLON_WORKSPACE_ID={}", created.app.workspace_id))?;
            out::line(&format!("CARILLON_KEY_ID={}", created.key.key.key_id))?;
            out::line(&format!("CARILLON_KEY_SECRET={}", created.key.secret))?;
            out::line(&format!("CARILLON_CLIENT_KEY={}", created.app.client_key))?;
            out::note("the secret is not shown again");
            Ok(())
        }
        Command::List { app, operator, json } => {
            let client = operator.connect()?.client;
            let apps = match &app {
                Some(app) => client.workspaces(app).await,
                None => client.apps().await,
            };
            let apps = apps.map_err(failure)?;
            if json { out::json(&apps) } else { shown(&apps.apps, false) }
        }
        Command::Get(one) => {
            let workspace = one.operator.workspace()?;
            let app = one.operator.connect()?.client.app(&one.app, &workspace).await.map_err(failure)?;
            shown(&[app], one.json)
        }
        Command::Rename { one, name } => {
            one.update(UpdateApp { name: Some(name), ..UpdateApp::default() }).await
        }
        Command::Disable(one) => one.update(UpdateApp { enabled: Some(false), ..UpdateApp::default() }).await,
        Command::Enable(one) => one.update(UpdateApp { enabled: Some(true), ..UpdateApp::default() }).await,
        Command::RotateClientKey(one) => {
            let workspace = one.operator.workspace()?;
            let client = one.operator.connect()?.client;
            let app = client.rotate_client_key(&one.app, &workspace).await.map_err(failure)?;
            shown(&[app], one.json)
        }
    }
}

fn shown(apps: &[AppView], json: bool) -> Result<(), Failure> {
    if json {
        return apps.iter().try_for_each(out::json);
    }
    let row = |app: &AppView| {
        vec![
            app.app_id.to_string(),
            app.workspace_id.to_string(),
            app.name.clone().unwrap_or_else(|| "-".to_owned()),
            app.client_key.clone(),
            out::time(app.created_at),
            if app.enabled { "open" } else { "disabled" }.to_owned(),
        ]
    };
    let rows: Vec<Vec<String>> = apps.iter().map(row).collect();
    out::table(&["app", "workspace", "name", "client key", "created", "state"], &rows)
}

//! Where client commands connect, as whom, and what their errors mean.

use std::path::PathBuf;
use std::str::FromStr;

use carillon_sdk::client::server::Error;
use carillon_sdk::client::{AppServer, Trust};
use carillon_sdk::sign::BindToken;
use carillon_sdk::{AppId, DeviceId, KeyId, Ttl, UserId, WorkspaceId};

use super::exit::{Code, Failure};

/// The server and the key, from flags or from the environment.
#[derive(Debug, clap::Args)]
pub struct ServerArgs {
    /// Base of the HTTP API
    #[arg(long, env = "CARILLON_SERVER", value_name = "URL", default_value = "http://127.0.0.1:7700")]
    pub server: String,
    /// The app the key belongs to
    #[arg(long, env = "CARILLON_APP_ID", value_name = "APP")]
    pub app_id: Option<String>,
    /// The workspace of the app
    #[arg(long, env = "CARILLON_WORKSPACE_ID", value_name = "WORKSPACE", default_value = "default")]
    pub workspace_id: String,
    #[arg(long, env = "CARILLON_KEY_ID", value_name = "KEY")]
    pub key_id: Option<String>,
    /// Better in the environment, or in a file: others on this machine can read a command line
    #[arg(long, env = "CARILLON_KEY_SECRET", value_name = "SECRET", hide_env_values = true)]
    pub key_secret: Option<String>,
    /// A file that holds the secret
    #[arg(long, env = "CARILLON_KEY_SECRET_FILE", value_name = "FILE")]
    pub key_secret_file: Option<PathBuf>,
    /// Certificate authorities to trust for https and tls, a PEM file; the web's when absent
    #[arg(long, env = "CARILLON_CA_FILE", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
}

/// A span of time on the command line: `60s`, `1h30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub Ttl);

impl FromStr for Span {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        crate::config::span_of(text)
            .map(Self)
            .ok_or("expected a number and ms, s, m, h or d, such as 90s or 1h30m")
    }
}

impl Span {
    /// Part of a second counts as one.
    #[must_use]
    pub fn whole_seconds(self) -> u64 {
        self.0.as_millis().div_ceil(1000)
    }
}

/// A client and the key it signs with.
pub struct Connected {
    pub client: AppServer,
    key_id: KeyId,
    secret: String,
}

impl ServerArgs {
    /// The client, once there is a key.
    pub fn connect(&self) -> Result<Connected, Failure> {
        let missing = |what: &str, variable: &str| {
            Failure::new(Code::Usage, format!("no {what}: give --{what} or set {variable}"))
        };
        let key_id = given(self.key_id.as_deref()).ok_or_else(|| missing("key-id", "CARILLON_KEY_ID"))?;
        let secret = self.secret()?.ok_or_else(|| missing("key-secret", "CARILLON_KEY_SECRET"))?;
        self.connect_as(key_id, secret)
    }

    /// The client with a key that came from somewhere else.
    pub fn connect_as(&self, key_id: &str, secret: String) -> Result<Connected, Failure> {
        let key_id = parsed(KeyId::parse(key_id), "the key id")?;
        let trust = self.trust()?;
        let client = AppServer::new(&self.server, key_id.clone(), secret.clone(), &trust).map_err(failure)?;
        Ok(Connected { client, key_id, secret })
    }

    pub fn trust(&self) -> Result<Trust, Failure> {
        let Some(path) = &self.ca_file else { return Ok(Trust::Web) };
        let pem = std::fs::read_to_string(path)
            .map_err(|error| Failure::new(Code::Usage, format!("read {}: {error}", path.display())))?;
        Ok(Trust::Pem(pem))
    }

    fn secret(&self) -> Result<Option<String>, Failure> {
        if let Some(secret) = given(self.key_secret.as_deref()) {
            return Ok(Some(secret.to_owned()));
        }
        let Some(path) = &self.key_secret_file else { return Ok(None) };
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::new(Code::Usage, format!("read {}: {error}", path.display())))?;
        Ok(Some(text.trim().to_owned()))
    }

    /// A token with which `device` binds `user`, signed with the key.
    pub fn bind_token(&self, device_id: DeviceId, user_id: UserId, ttl: Ttl) -> Result<String, Failure> {
        let Connected { key_id, secret, .. } = self.connect()?;
        let app_id = given(self.app_id.as_deref())
            .ok_or_else(|| Failure::new(Code::Usage, "no app-id: give --app-id or set CARILLON_APP_ID"))?;
        let token = BindToken {
            app_id: parsed(AppId::parse(app_id), "the app id")?,
            workspace_id: parsed(WorkspaceId::parse(&self.workspace_id), "the workspace id")?,
            device_id,
            user_id,
            expires_at: carillon_actors::clock::Clock::system().now() + ttl,
        };
        Ok(token.mint(&key_id, &secret))
    }
}

/// What an empty variable or flag says is nothing.
fn given(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

/// An id of the command line, parsed.
pub fn parsed<T>(id: Result<T, carillon_sdk::ids::Invalid>, what: &str) -> Result<T, Failure> {
    id.map_err(|error| Failure::new(Code::Usage, format!("{what}: {error}")))
}

/// What an error of the client means to the shell.
pub fn failure(error: Error) -> Failure {
    let code = match &error {
        Error::Base(_) | Error::IdempotencyKey | Error::Etag | Error::Tls(_) | Error::Dots(_) => Code::Usage,
        Error::Http(_) => Code::Temporary,
        Error::Problem(problem) => code_of(problem.status),
        Error::Answer { status, .. } => code_of(*status),
    };
    let mut failure = Failure::of(code, &error);
    if let Error::Problem(problem) = error {
        failure.text = told(&problem);
    }
    failure
}

/// An HTTP status as an exit code.
#[must_use]
pub fn code_of(status: u16) -> Code {
    match status {
        404 => Code::NotFound,
        400..=499 => Code::Refused,
        502..=504 => Code::Temporary,
        _ => Code::Failure,
    }
}

fn told(problem: &carillon_sdk::api::Problem) -> String {
    let mut text = format!("{} ({} {})", problem.title, problem.status, problem.code);
    if !problem.detail.is_empty() {
        text = format!("{text}: {}", problem.detail);
    }
    for at in &problem.errors {
        text = format!("{text}\n  {}: {}", at.pointer, at.detail);
    }
    for target in problem.targets.iter().filter(|target| !target.accepted) {
        let device = target.device_id.as_ref().map(DeviceId::as_str);
        let name = device.or(target.user_id.as_ref().map(UserId::as_str)).unwrap_or("?");
        text = format!("{text}\n  {name}: {}", target.code.as_deref().unwrap_or("refused"));
    }
    text
}

//! `carillon tag`: tags of devices and users.

use std::path::PathBuf;

use carillon_sdk::api::tags::{ChangeTags, MemberKind, MemberMode, Tags};
use carillon_sdk::client::server::MemberForm;
use carillon_sdk::{DeviceId, UserId};
use clap::{Subcommand, ValueEnum};

use super::exit::{Code, Failure};
use super::out;
use super::server::{ServerArgs, failure};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Every tag, with how many have it
    List {
        #[command(flatten)]
        server: ServerArgs,
        /// One JSON object a page
        #[arg(long)]
        json: bool,
    },
    /// Give tags to a device or user
    Add(One),
    /// Take tags from a device or user
    Remove(One),
    /// These tags for a device or user, and no others
    Set(One),
    /// Give a tag to all whom a file names: one id a line, or parted by commas
    Upload {
        #[arg(value_name = "TAG")]
        tag: String,
        #[arg(value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        server: ServerArgs,
        /// Whose ids they are
        #[arg(long, value_enum, default_value = "devices")]
        kind: KindArg,
        #[arg(long, value_enum, default_value = "add")]
        mode: ModeArg,
        /// By the end of the file's name when absent: .csv has commas, .ndjson JSON, and others lines
        #[arg(long, value_enum)]
        form: Option<FormArg>,
        /// Leave out what cannot be read, instead of refusing the whole
        #[arg(long)]
        skip: bool,
        /// The server's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Take a tag from everybody
    Delete {
        #[arg(value_name = "TAG")]
        tag: String,
        #[command(flatten)]
        server: ServerArgs,
    },
}

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("whose").required(true).args(["device", "user"]))]
struct One {
    #[arg(value_name = "TAG")]
    tags: Vec<String>,
    #[arg(long, value_name = "DEVICE")]
    device: Option<DeviceId>,
    #[arg(long, value_name = "USER")]
    user: Option<UserId>,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum KindArg {
    Devices,
    Users,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ModeArg {
    Add,
    Remove,
    /// Every other of the kind loses it
    Replace,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FormArg {
    Lines,
    Commas,
    Ndjson,
}

pub async fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::List { server, json } => list(&server, json).await,
        Command::Add(one) => one.change(|tags| ChangeTags { add: tags, remove: Vec::new() }).await,
        Command::Remove(one) => one.change(|tags| ChangeTags { add: Vec::new(), remove: tags }).await,
        Command::Set(one) => one.set().await,
        Command::Upload { tag, file, server, kind, mode, form, skip, json } => {
            let form = form.unwrap_or_else(|| form_of(&file));
            let bytes = std::fs::read(&file)
                .map_err(|error| Failure::new(Code::Usage, format!("read {}: {error}", file.display())))?;
            let client = server.connect()?.client;
            let uploaded =
                client.upload_members(&tag, (kind.into(), mode.into()), (form.into(), bytes.into()), skip);
            let uploaded = uploaded.await.map_err(failure)?;
            if json {
                return out::json(&uploaded);
            }
            for error in &uploaded.errors {
                out::note(&format!("line {}: {}", error.line, error.detail));
            }
            out::line(&format!(
                "{tag}: {} members, {} others removed, {} left out",
                uploaded.members, uploaded.removed, uploaded.skipped
            ))
        }
        Command::Delete { tag, server } => server.connect()?.client.delete_tag(&tag).await.map_err(failure),
    }
}

impl One {
    async fn change(self, change: fn(Vec<String>) -> ChangeTags) -> Result<(), Failure> {
        let client = self.server.connect()?.client;
        let change = change(self.tags);
        let tags = match (&self.device, &self.user) {
            (Some(device), _) => client.change_device_tags(device, &change).await,
            (None, Some(user)) => client.change_user_tags(user, &change).await,
            (None, None) => return Ok(()),
        };
        print(&tags.map_err(failure)?)
    }

    async fn set(self) -> Result<(), Failure> {
        let client = self.server.connect()?.client;
        let tags = Tags { tags: self.tags };
        let tags = match (&self.device, &self.user) {
            (Some(device), _) => client.set_device_tags(device, &tags).await,
            (None, Some(user)) => client.set_user_tags(user, &tags).await,
            (None, None) => return Ok(()),
        };
        print(&tags.map_err(failure)?)
    }
}

fn print(tags: &Tags) -> Result<(), Failure> {
    tags.tags.iter().try_for_each(|tag| out::line(tag))
}

fn form_of(file: &std::path::Path) -> FormArg {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("csv") => FormArg::Commas,
        Some("ndjson" | "jsonl") => FormArg::Ndjson,
        _ => FormArg::Lines,
    }
}

impl From<KindArg> for MemberKind {
    fn from(kind: KindArg) -> Self {
        match kind {
            KindArg::Devices => Self::Devices,
            KindArg::Users => Self::Users,
        }
    }
}

impl From<ModeArg> for MemberMode {
    fn from(mode: ModeArg) -> Self {
        match mode {
            ModeArg::Add => Self::Add,
            ModeArg::Remove => Self::Remove,
            ModeArg::Replace => Self::Replace,
        }
    }
}

impl From<FormArg> for MemberForm {
    fn from(form: FormArg) -> Self {
        match form {
            FormArg::Lines => Self::Lines,
            FormArg::Commas => Self::Commas,
            FormArg::Ndjson => Self::Ndjson,
        }
    }
}

async fn list(server: &ServerArgs, json: bool) -> Result<(), Failure> {
    let client = server.connect()?.client;
    let (mut cursor, mut rows) = (None, Vec::new());
    loop {
        let page = client.tags(cursor.as_deref()).await.map_err(failure)?;
        if json {
            out::json(&page)?;
        }
        rows.extend(
            page.tags.iter().map(|tag| vec![tag.tag.clone(), tag.devices.to_string(), tag.users.to_string()]),
        );
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    if json { Ok(()) } else { out::table(&["tag", "devices", "users"], &rows) }
}

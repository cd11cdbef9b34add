//! `carillon template`: the templates of an app.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use carillon_sdk::api::templates::{PreviewTemplate, TemplateView, WriteTemplate};
use clap::Subcommand;

use super::exit::{Code, Failure};
use super::out;
use super::server::{ServerArgs, failure};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

/// What a template says.
#[derive(Debug, clap::Args)]
struct Words {
    /// The whole template as a file of JSON, as the API takes it; `-` is stdin
    #[arg(long, value_name = "FILE", conflicts_with_all = ["title", "body", "uri", "description", "silent"])]
    file: Option<PathBuf>,
    /// `#name#` stands for the value of the variable `name`, here and in body and URI
    #[arg(long)]
    title: Option<String>,
    #[arg(long)]
    body: Option<String>,
    /// Where a tap leads
    #[arg(long)]
    uri: Option<String>,
    /// For people
    #[arg(long)]
    description: Option<String>,
    /// For the app alone: nothing is shown
    #[arg(long)]
    silent: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// A new template
    Create {
        #[arg(value_name = "NAME")]
        name: String,
        #[command(flatten)]
        words: Words,
        #[command(flatten)]
        server: ServerArgs,
        #[arg(long)]
        json: bool,
    },
    /// Every template of the app
    List {
        #[command(flatten)]
        server: ServerArgs,
        /// One JSON object a page
        #[arg(long)]
        json: bool,
    },
    /// One template, as JSON
    Get {
        #[arg(value_name = "NAME")]
        name: String,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Other words under the same name: what is not given is gone
    Update {
        #[arg(value_name = "NAME")]
        name: String,
        #[command(flatten)]
        words: Words,
        /// Only over this revision, as `get` printed it
        #[arg(long, value_name = "ETAG")]
        if_match: Option<String>,
        #[command(flatten)]
        server: ServerArgs,
        #[arg(long)]
        json: bool,
    },
    /// Forget a template; what was ordered in its words goes on
    Delete {
        #[arg(value_name = "NAME")]
        name: String,
        /// Only this revision, as `get` printed it
        #[arg(long, value_name = "ETAG")]
        if_match: Option<String>,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Its words with these values, and which channels would refuse or cut them
    Preview {
        #[arg(value_name = "NAME")]
        name: String,
        /// A variable and its text; may be given several times
        #[arg(long, value_name = "NAME=TEXT", value_parser = variable)]
        value: Vec<(String, String)>,
        #[command(flatten)]
        server: ServerArgs,
        #[arg(long)]
        json: bool,
    },
}

pub async fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::Create { name, words, server, json } => {
            let template = WriteTemplate { name: Some(name), ..words.read()? };
            let made = server.connect()?.client.create_template(&template).await.map_err(failure)?;
            written(&made, json)
        }
        Command::List { server, json } => list(&server, json).await,
        Command::Get { name, server } => {
            out::json(&server.connect()?.client.template(&name).await.map_err(failure)?)
        }
        Command::Update { name, words, if_match, server, json } => {
            let template = words.read()?;
            let client = server.connect()?.client;
            let now =
                client.replace_template(&name, &template, if_match.as_deref()).await.map_err(failure)?;
            written(&now, json)
        }
        Command::Delete { name, if_match, server } => {
            let client = server.connect()?.client;
            client.delete_template(&name, if_match.as_deref()).await.map_err(failure)?;
            out::note(&format!("{name} is deleted"));
            Ok(())
        }
        Command::Preview { name, value, server, json } => {
            let values = PreviewTemplate { values: value.into_iter().collect::<BTreeMap<_, _>>() };
            let shown = server.connect()?.client.preview_template(&name, &values).await.map_err(failure)?;
            if json {
                return out::json(&shown);
            }
            for (what, text) in [("title", &shown.title), ("body", &shown.body), ("uri", &shown.uri)] {
                if let Some(text) = text {
                    out::line(&format!("{what}: {text}"))?;
                }
            }
            out::line(&format!("{} bytes", shown.payload_bytes))?;
            for breach in &shown.breaches {
                let what = format!("{} of {} {}", breach.has, breach.most, breach.unit);
                out::note(&format!("{} {}: {what}, {}", breach.channel, breach.field, breach.effect));
            }
            Ok(())
        }
    }
}

async fn list(server: &ServerArgs, json: bool) -> Result<(), Failure> {
    let client = server.connect()?.client;
    let (mut cursor, mut rows) = (None, Vec::new());
    loop {
        let page = client.templates(cursor.as_deref()).await.map_err(failure)?;
        if json {
            out::json(&page)?;
        }
        rows.extend(page.templates.iter().map(row));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    if json { Ok(()) } else { out::table(&["name", "version", "variables", "title", "updated"], &rows) }
}

fn row(template: &TemplateView) -> Vec<String> {
    vec![
        template.name.clone(),
        template.version.to_string(),
        if template.variables.is_empty() { "-".to_owned() } else { template.variables.join(",") },
        template.title.clone().unwrap_or_else(|| "-".to_owned()),
        out::time(template.updated_at),
    ]
}

fn written(template: &TemplateView, json: bool) -> Result<(), Failure> {
    if json {
        return out::json(template);
    }
    out::line(&format!("{} version {}, etag {}", template.name, template.version, template.etag))
}

impl Words {
    fn read(self) -> Result<WriteTemplate, Failure> {
        if let Some(path) = &self.file {
            return serde_json::from_str(&text_of(path)?).map_err(|error| {
                Failure::new(Code::Usage, format!("{} is no template: {error}", path.display()))
            });
        }
        Ok(WriteTemplate {
            title: self.title,
            body: self.body,
            uri: self.uri,
            description: self.description,
            silent: self.silent,
            ..WriteTemplate::default()
        })
    }
}

/// A file's text; `-` is stdin.
pub(super) fn text_of(path: &Path) -> Result<String, Failure> {
    let read = if path == Path::new("-") {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(path)
    };
    read.map_err(|error| Failure::new(Code::Usage, format!("read {}: {error}", path.display())))
}

/// `name=text` of the command line.
pub(super) fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=TEXT")?;
    Ok((name.to_owned(), value.to_owned()))
}

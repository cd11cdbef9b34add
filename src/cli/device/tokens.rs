//! `carillon device tokens`, `import`, `export`: what phone makers' channels call devices by.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use carillon_sdk::api::tokens::{TokenChange, TokenView, TokensImported};
use carillon_sdk::client::server::TokenForm;
use carillon_sdk::{DeviceId, Vendor};
use clap::ValueEnum;

use super::super::exit::{Code, Failure};
use super::super::out;
use super::super::server::{ServerArgs, failure};

#[derive(Debug, clap::Args)]
pub(super) struct Show {
    #[arg(value_name = "DEVICE")]
    device: DeviceId,
    #[command(flatten)]
    server: ServerArgs,
    /// The server's answer as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Import {
    /// A JSON object a line, or CSV with a header: channel, token, device_id, platform, maker,
    /// user_id, registered_at. With --channel also a token a line, and nothing else
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    server: ServerArgs,
    /// By the end of the file's name when absent
    #[arg(long, value_enum)]
    form: Option<ImportForm>,
    /// Of lines that name none
    #[arg(long, value_name = "CHANNEL")]
    channel: Option<Vendor>,
    /// Leave out what cannot be read, instead of refusing the whole
    #[arg(long)]
    skip: bool,
    /// The server's answer as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Export {
    /// Where to write them: a file that is not there yet; stdout when absent
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    server: ServerArgs,
    /// By the end of the file's name when absent
    #[arg(long, value_enum)]
    form: Option<FormArg>,
    /// Of this channel alone
    #[arg(long, value_name = "CHANNEL")]
    channel: Option<Vendor>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ImportForm {
    Ndjson,
    Csv,
    Lines,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FormArg {
    Ndjson,
    Csv,
}

impl Show {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let tokens = self.server.connect()?.client.device_tokens(&self.device).await.map_err(failure)?;
        if self.json {
            return out::json(&tokens);
        }
        let carries = |token: &TokenView| if tokens.carrier == Some(token.channel) { "carries" } else { "" };
        let row = |token: &TokenView| {
            let at = token.registered_at.map_or_else(|| "-".to_owned(), out::time);
            vec![
                token.channel.to_string(),
                at,
                token.by.clone(),
                carries(token).to_owned(),
                token.digest.clone(),
                printable(&token.token),
            ]
        };
        let rows: Vec<_> = tokens.tokens.iter().map(row).collect();
        out::table(&["channel", "registered", "by", "", "digest", "token"], &rows)?;
        out::line("")?;
        let rows: Vec<_> = tokens.history.iter().map(change).collect();
        out::table(&["at", "channel", "digest", "change", "by", ""], &rows)
    }
}

fn change(change: &TokenChange) -> Vec<String> {
    let other = change.other_device.as_ref().map(|device| printable(device.as_str()));
    vec![
        out::time(change.at),
        change.channel.to_string(),
        change.digest.clone(),
        change.change.as_str().to_owned(),
        change.by.clone(),
        other.or(change.reason.as_deref().map(printable)).unwrap_or_default(),
    ]
}

/// A control character would let a token write over the terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '␣' } else { c }).collect()
}

impl Import {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let is_plain = self.file.extension().is_some_and(|of| of == "txt");
        let form = match self.form {
            Some(ImportForm::Ndjson) => Some(TokenForm::Ndjson),
            Some(ImportForm::Csv) => Some(TokenForm::Csv),
            Some(ImportForm::Lines) => None,
            None if is_plain => None,
            None => Some(form_of(None, Some(&self.file))),
        };
        let bytes = std::fs::read(&self.file)
            .map_err(|error| Failure::new(Code::Usage, format!("read {}: {error}", self.file.display())))?;
        let client = self.server.connect()?.client;
        let imported = match (self.channel, form) {
            (Some(channel), form) => client.import_tokens_of(channel, form, bytes.into(), self.skip).await,
            (None, Some(form)) => client.import_tokens(form, bytes.into(), self.skip).await,
            (None, None) => {
                let text = "--channel has to say whose tokens they are, a line each";
                return Err(Failure::new(Code::Usage, text));
            }
        };
        let imported = imported.map_err(failure)?;
        if self.json {
            return out::json(&imported);
        }
        for error in &imported.errors {
            out::note(&format!("line {}: {}", error.line, error.detail));
        }
        let TokensImported { new, replaced, same, moved, stale, devices, bound, skipped, .. } = imported;
        out::line(&format!(
            "{new} new, {replaced} replaced, {moved} moved, {same} known, {stale} stale, {skipped} left out; \
             {devices} devices registered, {bound} bound"
        ))
    }
}

impl Export {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let form = form_of(self.form, self.file.as_deref());
        let written = |error: io::Error| Failure::new(Code::Failure, format!("write tokens: {error}"));
        let mut to: Box<dyn Write> =
            match &self.file {
                // Never over another: it may be the only copy of what was there.
                Some(path) => Box::new(File::create_new(path).map_err(|error| {
                    Failure::new(Code::Usage, format!("write {}: {error}", path.display()))
                })?),
                None => Box::new(io::stdout().lock()),
            };
        let mut export =
            self.server.connect()?.client.export_tokens(form, self.channel).await.map_err(failure)?;
        while let Some(piece) = export.next().await.map_err(failure)? {
            to.write_all(&piece).map_err(written)?;
        }
        to.flush().map_err(written)
    }
}

fn form_of(form: Option<FormArg>, file: Option<&Path>) -> TokenForm {
    match form {
        Some(FormArg::Csv) => TokenForm::Csv,
        Some(FormArg::Ndjson) => TokenForm::Ndjson,
        None if file.is_some_and(|file| file.extension().is_some_and(|of| of == "csv")) => TokenForm::Csv,
        None => TokenForm::Ndjson,
    }
}

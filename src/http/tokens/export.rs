//! Every token on record, as a stream: an export of any length costs the memory of a page.

use std::collections::VecDeque;

use actix_web::http::header;
use actix_web::web::{self, Bytes};
use actix_web::{HttpResponse, error};
use carillon_actors::engine::Engine;
use carillon_actors::model::App;
use carillon_actors::store::{DeviceInfo, TokenInfo};
use carillon_sdk::Vendor;
use carillon_sdk::api::Scope;
use carillon_sdk::api::tokens::TokenLine;
use futures_util::stream;
use serde::Deserialize;

use super::super::caller::Caller;
use super::super::{Refused, State};
use super::lines::COLUMNS;

/// Devices read at a time.
const PAGE: usize = 500;

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct ExportQuery {
    /// `ndjson` or `csv`; `ndjson` when absent.
    #[serde(default)]
    #[param(inline)]
    format: Format,
    /// Of this channel alone.
    channel: Option<Vendor>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum Format {
    #[default]
    Ndjson,
    Csv,
}

/// Export tokens
///
/// Every token on record, a line each, in the order in which their devices were registered; what is
/// exported can be imported. A token that changes meanwhile may be there as it was or as it is. An
/// export that is broken off ends without the end of its transfer.
#[utoipa::path(get, path = "/v1/tokens", tag = "tokens", params(ExportQuery),
    responses((status = 200, description = "The tokens",
        content((String = "application/x-ndjson"), (String = "text/csv")))))]
pub(in crate::http) async fn export(
    state: web::Data<State>,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Device)?;
    let query: ExportQuery = caller.query()?;
    let content_type = match query.format {
        Format::Ndjson => "application/x-ndjson",
        Format::Csv => "text/csv; charset=utf-8",
    };
    let head = match query.format {
        Format::Ndjson => None,
        Format::Csv => Some(Bytes::from(format!("{}\n", COLUMNS.join(",")))),
    };
    let export = Export {
        engine: state.engine.clone(),
        app,
        query,
        from: Some(0),
        waiting: head.into_iter().collect(),
    };
    Ok(HttpResponse::Ok()
        .content_type(content_type)
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .streaming(stream::try_unfold(export, Export::next)))
}

struct Export {
    engine: Engine,
    app: App,
    query: ExportQuery,
    /// The next device; none at the end.
    from: Option<u32>,
    waiting: VecDeque<Bytes>,
}

impl Export {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, actix_web::Error> {
        loop {
            if let Some(piece) = self.waiting.pop_front() {
                return Ok(Some((piece, self)));
            }
            let Some(from) = self.from else { return Ok(None) };
            let page = self.engine.store().token_page(self.app, self.query.channel, from, PAGE).await;
            // Too late for another status: the connection breaks off.
            let (rows, next) = page.map_err(error::ErrorServiceUnavailable)?;
            self.from = next;
            let mut text = String::new();
            for (device, token) in rows {
                line(self.query.format, device, token, &mut text);
            }
            if !text.is_empty() {
                self.waiting.push_back(Bytes::from(text));
            }
        }
    }
}

fn line(format: Format, device: DeviceInfo, token: TokenInfo, to: &mut String) {
    let line = TokenLine {
        device_id: Some(device.device_id),
        channel: token.vendor,
        token: token.token,
        platform: Some(device.platform),
        maker: device.maker,
        user_id: device.user_id,
        registered_at: super::known(token.at),
    };
    match format {
        // Texts and numbers always serialize.
        Format::Ndjson => to.push_str(&serde_json::to_string(&line).unwrap_or_default()),
        Format::Csv => to.push_str(&cells(&line)),
    }
    to.push('\n');
}

/// As it is, even where a spreadsheet would take it for a formula: what is exported is imported.
fn cells(line: &TokenLine) -> String {
    let at = line.registered_at.map(|at| at.as_millis().to_string());
    let id = |id: Option<&str>| quoted(id.unwrap_or_default());
    [
        id(line.device_id.as_ref().map(|id| id.as_str())),
        line.channel.to_string(),
        quoted(&line.token),
        id(line.platform.map(|platform| platform.as_str())),
        id(line.maker.as_deref()),
        id(line.user_id.as_ref().map(|id| id.as_str())),
        at.unwrap_or_default(),
    ]
    .join(",")
}

fn quoted(text: &str) -> String {
    let plain = !text.contains([',', '"', '\n', '\r']) && text.trim() == text;
    if plain { text.to_owned() } else { format!("\"{}\"", text.replace('"', "\"\"")) }
}

//! `/v1/lists`: files of targets, each with words and data of its own, for campaigns.

mod lines;

use actix_web::{HttpResponse, web};
use carillon_actors::lists::{Error, Kept, Report, Upload};
use carillon_sdk::api::Scope;
use carillon_sdk::api::lists::{LineError, ListList, ListUploaded, ListView};
use serde::Deserialize;

use super::caller::Caller;
use super::keys::is_name;
use super::page::{self, Kind, PageQuery};
use super::spool::{Form, Uploaded};
use super::{Code, Refused, State};

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct UploadQuery {
    /// For people, at most 64 bytes.
    name: Option<String>,
    /// `skip` leaves lines out that cannot be read; without it they refuse the whole.
    on_error: Option<String>,
}

/// Upload a list
///
/// NDJSON, a target a line: `device_id` or `user_id`, and if you like `key`, `values`, `data`. Or CSV
/// with a header: those columns, and every other one a value of its name. It is on disk before the
/// answer. The first thousand lines that cannot be read are named.
#[utoipa::path(post, path = "/v1/lists", tag = "lists", params(UploadQuery),
    request_body(content((String = "application/x-ndjson"), (String = "text/csv")), description = "The lines"),
    responses((status = 201, description = "The list", body = ListUploaded)))]
pub(super) async fn upload(state: web::Data<State>, uploaded: Uploaded) -> Result<HttpResponse, Refused> {
    let Uploaded { caller, file } = uploaded;
    let app = caller.with(Scope::Push)?;
    let query: UploadQuery = caller.query()?;
    if query.name.as_deref().is_some_and(|name| !is_name(name)) {
        return Err(Refused::because(Code::QueryInvalid, "name: 1 to 64 bytes without control characters"));
    }
    let skip = match query.on_error.as_deref() {
        None | Some("refuse") => false,
        Some("skip") => true,
        Some(_) => return Err(Refused::because(Code::QueryInvalid, "on_error is refuse or skip")),
    };
    let upload = Upload {
        name: query.name,
        by: caller.key().map(|key| key.view.key_id.to_string()).unwrap_or_default(),
        skip,
        audit: caller.audit("list.upload", ""),
        nonce: caller.nonce(),
    };
    let kept = match file.form {
        Form::Ndjson => state.engine.keep_list(app, upload, lines::of_ndjson(file.reader())).await,
        Form::Csv => state.engine.keep_list(app, upload, lines::of_csv(file.reader())).await,
        Form::Lines => {
            let detail = "application/x-ndjson or text/csv";
            return Err(Refused::because(Code::ContentTypeUnsupported, detail));
        }
    };
    let (kept, report) = kept.map_err(refused)?;
    let errors = report.errors.into_iter().map(|(line, detail)| LineError { line, detail }).collect();
    Ok(HttpResponse::Created().json(ListUploaded { list: view(&kept), errors }))
}

/// List lists
#[utoipa::path(get, path = "/v1/lists", tag = "lists", params(PageQuery),
    responses((status = 200, description = "A page of lists", body = ListList)))]
pub(super) async fn list(state: web::Data<State>, caller: Caller) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Read)?;
    let query: PageQuery = caller.query()?;
    let limit = query.limit()?;
    let after = query.place(Kind::Lists)?;
    let mut kept = state.engine.lists(app, after.as_deref(), limit + 1);
    let more = kept.len() > limit;
    kept.truncate(limit);
    let next = kept.last().filter(|_| more).map(|kept| page::cursor(Kind::Lists, &kept.id));
    Ok(HttpResponse::Ok().json(ListList { lists: kept.iter().map(view).collect(), next }))
}

/// Read a list
///
/// What it holds, but for its lines.
#[utoipa::path(get, path = "/v1/lists/{id}", tag = "lists",
    params(("id" = String, Path, description = "The list's id")),
    responses((status = 200, description = "The list", body = ListView)))]
pub(super) async fn read(
    state: web::Data<State>,
    id: web::Path<String>,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Read)?;
    let kept = state.engine.list(app, &id).ok_or(Refused::new(Code::ListUnknown))?;
    Ok(HttpResponse::Ok().json(view(&kept)))
}

/// Delete a list
///
/// Not while a campaign that is not over is for it.
#[utoipa::path(delete, path = "/v1/lists/{id}", tag = "lists",
    params(("id" = String, Path, description = "The list's id")),
    responses((status = 204, description = "Deleted")))]
pub(super) async fn delete(
    state: web::Data<State>,
    id: web::Path<String>,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Push)?;
    let audit = caller.audit("list.delete", &*id);
    state.engine.delete_list(app, &id, audit, caller.nonce()).await.map_err(refused)?;
    Ok(HttpResponse::NoContent().finish())
}

fn view(kept: &Kept) -> ListView {
    let list = &kept.list;
    ListView {
        list_id: kept.id.clone(),
        name: list.name.clone(),
        lines: list.lines,
        devices: list.devices,
        users: list.users,
        bytes: list.bytes,
        digest: list.digest.clone(),
        skipped: list.skipped,
        by: list.by.clone(),
        created_at: list.created_at,
    }
}

fn refused(error: Error) -> Refused {
    match error {
        Error::Unknown => Refused::new(Code::ListUnknown),
        Error::InUse => Refused::new(Code::ListInUse),
        Error::Full => Refused::new(Code::ListsFull),
        Error::Invalid(report) => invalid(&report),
        Error::Io(error) => {
            tracing::error!(%error, "a list could not be kept");
            Refused::new(match error.kind() {
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Code::DiskFull,
                _ => Code::Internal,
            })
        }
        Error::Store(error) => Refused::by_store(&error, Code::ListsFull),
    }
}

/// The line is the pointer's first part, from 1.
fn invalid(report: &Report) -> Refused {
    if report.error_count == 0 {
        let detail = match report.lines {
            0 => "no line".to_owned(),
            lines => format!("more than {} lines", lines - 1),
        };
        return Refused::because(Code::ListInvalid, detail);
    }
    let detail = format!("{} lines cannot be read; nothing was kept", report.error_count);
    let refused = Refused::because(Code::ListInvalid, detail);
    report.errors.iter().fold(refused, |refused, (line, why)| refused.and_at(format!("/{line}"), why))
}

//! `/v1/templates`: what an app says often.

use actix_web::{HttpRequest, HttpResponse, web};
use carillon_actors::templates::{Breach, Draft, Error, Kept, preview};
use carillon_sdk::api::Scope;
use carillon_sdk::api::templates::{
    ChannelBreach, PreviewTemplate, TemplateList, TemplatePreview, TemplateView, WriteTemplate,
};
use serde_json::json;

use super::caller::Caller;
use super::page::{Kind, PageQuery, cursor};
use super::pushes::{data_text, variables_missing};
use super::version::{etag, if_match};
use super::{Code, Refused, State};

/// Make a template
#[utoipa::path(post, path = "/v1/templates", tag = "templates", request_body = WriteTemplate,
    responses((status = 201, description = "The template", body = TemplateView)))]
pub(super) async fn create(state: web::Data<State>, caller: Caller) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Manage)?;
    let mut asked: WriteTemplate = caller.json()?;
    let unnamed = || Refused::at(Code::TemplateInvalid, "/name", "a template has a name");
    let name = asked.name.take().ok_or_else(unnamed)?;
    let audit = caller.audit("template.create", &name);
    let made = state.engine.templates(app).create(&name, draft(asked)?, audit, caller.nonce()).await;
    Ok(shown(HttpResponse::Created(), made.map_err(refused)?))
}

/// List templates
#[utoipa::path(get, path = "/v1/templates", tag = "templates", params(PageQuery),
    responses((status = 200, description = "A page of templates, in order of their names", body = TemplateList)))]
pub(super) async fn list(state: web::Data<State>, caller: Caller) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Read)?;
    let query: PageQuery = caller.query()?;
    let limit = query.limit()?;
    let after = query.place(Kind::Templates)?;
    let mut page = state.engine.templates(app).list(after.as_deref(), limit + 1);
    let more = page.len() > limit;
    page.truncate(limit);
    let next = page.last().filter(|_| more).map(|last| cursor(Kind::Templates, &last.template.name));
    Ok(HttpResponse::Ok().json(TemplateList { templates: page.into_iter().map(view).collect(), next }))
}

/// Read a template
#[utoipa::path(get, path = "/v1/templates/{name}", tag = "templates",
    params(("name" = String, Path, description = "The template's name")),
    responses((status = 200, description = "The template", body = TemplateView)))]
pub(super) async fn read(
    state: web::Data<State>,
    name: web::Path<String>,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Read)?;
    let found = state.engine.templates(app).get(&name).ok_or(Refused::new(Code::TemplateUnknown))?;
    Ok(shown(HttpResponse::Ok(), found))
}

/// Replace a template
///
/// All of it: what the body does not name is gone. With `If-Match`, only over that revision.
#[utoipa::path(put, path = "/v1/templates/{name}", tag = "templates", request_body = WriteTemplate,
    params(("name" = String, Path, description = "The template's name"),
        ("If-Match" = Option<String>, Header, description = "The ETag that is to be replaced")),
    responses((status = 200, description = "The template as it is now", body = TemplateView)))]
pub(super) async fn replace(
    state: web::Data<State>,
    request: HttpRequest,
    name: web::Path<String>,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Manage)?;
    let revision = if_match(&request)?;
    let mut asked: WriteTemplate = caller.json()?;
    if asked.name.take().is_some_and(|asked| asked != *name) {
        return Err(Refused::at(Code::TemplateInvalid, "/name", "it is not the path's; a name stays"));
    }
    let templates = state.engine.templates(app);
    let version = templates.get(&name).map(|kept| kept.template.version);
    let audit = caller.audit_of("template.update", &*name, &json!({ "from_version": version }));
    let replaced = templates.replace(&name, draft(asked)?, revision, audit, caller.nonce()).await;
    Ok(shown(HttpResponse::Ok(), replaced.map_err(refused)?))
}

/// Delete a template
///
/// What was ordered in its words goes on.
#[utoipa::path(delete, path = "/v1/templates/{name}", tag = "templates",
    params(("name" = String, Path, description = "The template's name"),
        ("If-Match" = Option<String>, Header, description = "The ETag that is to be deleted")),
    responses((status = 204, description = "Deleted")))]
pub(super) async fn delete(
    state: web::Data<State>,
    request: HttpRequest,
    name: web::Path<String>,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Manage)?;
    let revision = if_match(&request)?;
    let audit = caller.audit("template.delete", &*name);
    let deleted = state.engine.templates(app).delete(&name, revision, audit, caller.nonce()).await;
    deleted.map(|_| HttpResponse::NoContent().finish()).map_err(refused)
}

/// Preview a template
///
/// Its final words with these values, and which channels would refuse or cut them. Nothing is sent.
#[utoipa::path(post, path = "/v1/templates/{name}/preview", tag = "templates", request_body = PreviewTemplate,
    params(("name" = String, Path, description = "The template's name")),
    responses((status = 200, description = "The words", body = TemplatePreview)))]
pub(super) async fn rendered(
    state: web::Data<State>,
    name: web::Path<String>,
    caller: Caller,
) -> Result<HttpResponse, Refused> {
    let app = caller.with(Scope::Read)?;
    let asked: PreviewTemplate = caller.json()?;
    let found = state.engine.templates(app).get(&name).ok_or(Refused::new(Code::TemplateUnknown))?;
    let content = found.template.content();
    variables_missing(&content, &asked.values, &[])?;
    let preview = preview(&content, &asked.values)
        .map_err(|missing| Refused::because(Code::VariableMissing, missing.to_string()))?;
    let mut breaches: Vec<ChannelBreach> = preview.breaches.iter().map(breach).collect();
    let most = state.engine.limits().payload_bytes_max;
    if preview.payload_bytes > most {
        breaches.insert(0, of_our_own(preview.payload_bytes, most));
    }
    Ok(HttpResponse::Ok().json(TemplatePreview {
        title: preview.content.title,
        body: preview.content.body,
        uri: preview.content.uri,
        payload_bytes: preview.payload_bytes as u64,
        breaches,
    }))
}

fn breach(breach: &Breach) -> ChannelBreach {
    ChannelBreach {
        channel: breach.channel.to_owned(),
        field: breach.field.to_owned(),
        most: breach.most as u64,
        has: breach.has as u64,
        unit: breach.unit.as_str().to_owned(),
        effect: breach.effect.as_str().to_owned(),
    }
}

fn of_our_own(has: usize, most: usize) -> ChannelBreach {
    ChannelBreach {
        channel: "own".to_owned(),
        field: "message".to_owned(),
        most: most as u64,
        has: has as u64,
        unit: "bytes".to_owned(),
        effect: "refused".to_owned(),
    }
}

fn draft(asked: WriteTemplate) -> Result<Draft, Refused> {
    Ok(Draft {
        description: asked.description,
        title: asked.title,
        body: asked.body,
        uri: asked.uri,
        data: asked.data.map(|data| data_text(&data, "/data")).transpose()?,
        look: asked.look,
        silent: asked.silent,
        options: asked.options.map(|options| data_text(&options, "/options")).transpose()?,
        declared: asked.variables,
    })
}

fn shown(mut response: actix_web::HttpResponseBuilder, kept: Kept) -> HttpResponse {
    response.insert_header(etag(kept.revision)).json(view(kept))
}

fn view(kept: Kept) -> TemplateView {
    let Kept { template, revision } = kept;
    let object = |text: Option<String>| text.and_then(|text| serde_json::from_str(&text).ok());
    TemplateView {
        id: template.id,
        name: template.name,
        version: template.version,
        etag: revision.to_string(),
        description: template.text.description,
        title: template.text.title,
        body: template.text.body,
        uri: template.text.uri,
        data: object(template.text.data),
        look: template.text.look,
        silent: template.text.silent,
        variables: template.variables,
        options: object(template.text.options),
        created_at: template.created_at,
        updated_at: template.updated_at,
    }
}

pub(super) fn refused(error: Error) -> Refused {
    match error {
        Error::Exists => Refused::new(Code::TemplateExists),
        Error::Unknown => Refused::new(Code::TemplateUnknown),
        Error::Changed => Refused::new(Code::VersionMismatch),
        Error::Full(most) => Refused::because(Code::TemplatesFull, format!("an app keeps at most {most}")),
        Error::Invalid { field, why } => Refused::at(Code::TemplateInvalid, format!("/{field}"), why),
        Error::Store(error) => Refused::by_store(&error, Code::TemplateExists),
    }
}

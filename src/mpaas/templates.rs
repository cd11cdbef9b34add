//! Templates: the same that `/v1/templates` has, in the contract's words.

use std::collections::BTreeMap;

use carillon_actors::templates::{Draft, Error, Kept, is_name};
use carillon_sdk::Timestamp;
use carillon_sdk::wire::{Look, Style, TapAction};
use serde_json::{Map, Value, json};

use super::actions::Call;
use super::answer::{Done, Refused};
use super::fault::Fault;
use super::form::{Form, object_of};
use super::push::{action, default_url, style};
use super::result::{Code, Failure};

/// Letters of a title, of a content, of a description.
const TEXT_CHARS_MAX: usize = 200;

const PAGE_SIZE_DEFAULT: i64 = 100;
const PAGE_SIZE_MAX: i64 = 500;

pub(super) async fn create(call: Call) -> Result<Done, Refused> {
    let name = call.form.text("TemplateName").ok_or(Code::TemplateNameNull)?;
    if !is_name(name) {
        return Err(Code::TemplateNameInvalid.because("1 to 200 letters, digits and underscores").into());
    }
    let draft = draft(&call.form)?;
    let audit = call.audit("template.create", name);
    let made = call.state.engine.templates(call.app).create(name, draft, audit, call.nonce.clone()).await;
    Ok(Done::Text(made.map_err(refused)?.template.id))
}

pub(super) async fn get(call: Call) -> Result<Done, Refused> {
    Ok(Done::Data(view(&find(&call)?)))
}

pub(super) async fn delete(call: Call) -> Result<Done, Refused> {
    let found = find(&call)?;
    let name = found.template.name;
    let audit = call.audit("template.delete", &name);
    let templates = call.state.engine.templates(call.app);
    templates.delete(&name, None, audit, call.nonce.clone()).await.map_err(refused)?;
    Ok(Done::Nothing)
}

/// The newest first.
pub(super) async fn list(call: Call) -> Result<Done, Refused> {
    let (page, size) = paging(&call.form, "CurrentPage", PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX)?;
    let mut all = call.state.engine.templates(call.app).all();
    all.reverse();
    let total = all.len();
    let rows: Vec<Value> = all.iter().skip((page - 1).saturating_mul(size)).take(size).map(view).collect();
    let beside = json!({"CurrentPage": page, "PageSize": size, "TotalSize": total});
    let Value::Object(beside) = beside else { return Ok(Done::Nothing) };
    Ok(Done::Page { data: Value::Array(rows), beside })
}

/// A page's number, from 1, and its size.
pub(super) fn paging(form: &Form, name: &str, default: i64, most: i64) -> Result<(usize, usize), Failure> {
    let positive = |name: &str, default: i64| {
        let given = form.int(name)?.unwrap_or(default);
        usize::try_from(given)
            .ok()
            .filter(|given| *given > 0)
            .ok_or_else(|| Code::InvalidParam.because(format!("{name} is at least 1")))
    };
    let size = positive("PageSize", default)?;
    if size > usize::try_from(most).unwrap_or_default() {
        return Err(Code::InvalidParam.because(format!("PageSize is at most {most}")));
    }
    Ok((positive(name, 1)?, size))
}

/// By id, else by name.
fn find(call: &Call) -> Result<Kept, Failure> {
    let templates = call.state.engine.templates(call.app);
    let (id, name) = (call.form.text("TemplateId"), call.form.text("TemplateName"));
    let found = match (id, name) {
        (Some(id), _) => templates.by_id(id),
        (None, Some(name)) => templates.get(name),
        (None, None) => return Err(Code::TemplateNameNull.because("TemplateId or TemplateName")),
    };
    found.ok_or_else(|| Code::TemplateNotExist.because(id.or(name).unwrap_or_default()))
}

fn draft(form: &Form) -> Result<Draft, Failure> {
    let long =
        |text: &Option<String>| text.as_ref().is_some_and(|text| text.chars().count() > TEXT_CHARS_MAX);
    let letters = format!("1 to {TEXT_CHARS_MAX} letters");
    let (title, body) = (form.owned("Title"), form.owned("Content"));
    if title.is_none() || long(&title) {
        return Err(Code::TemplateTitleInvalid.because(letters));
    }
    if body.is_none() || long(&body) {
        return Err(Code::TemplateContentInvalid.because(letters));
    }
    let description = form.owned("DescInfo");
    if long(&description) {
        return Err(Code::TemplateDescInfoInvalid.because(format!("at most {TEXT_CHARS_MAX} letters")));
    }
    let mut look = Look {
        style: style(form.choice("PushStyle", &[0, 1, 2])?),
        action: action(form.choice("JumpAction", &[0, 1])?),
        ..Look::default()
    };
    let mut options = Map::new();
    let urls =
        [("IconUrls", "icon_urls", &mut look.icon_url), ("ImageUrls", "image_urls", &mut look.image_url)];
    for (name, ours, url) in urls {
        if let Some(text) = form.text(name) {
            *url = default_url(name, text)?;
            options.insert(ours.to_owned(), Value::Object(object_of(text).unwrap_or_default()));
        }
    }
    Ok(Draft {
        description,
        title,
        body,
        uri: form.owned("Uri"),
        data: None,
        look: (look != Look::default()).then_some(look),
        silent: form.choice("ShowStyle", &[0, 1])? == 1,
        options: (!options.is_empty()).then(|| Value::Object(options).to_string()),
        // What a caller believes the placeholders to be is not held against the text: it counts.
        declared: None,
    })
}

fn refused(error: Error) -> Refused {
    let failure = match error {
        Error::Exists => Code::TemplateAlreadyExist.into(),
        Error::Unknown => Code::TemplateNotExist.into(),
        Error::Changed => {
            return Fault::from(carillon_actors::engine::Refusal::Busy).into();
        }
        Error::Full(most) => Code::InvalidParam.because(format!("an app has at most {most} templates")),
        Error::Invalid { field, why } => match field {
            "name" => Code::TemplateNameInvalid.because(why),
            "description" => Code::TemplateDescInfoInvalid.because(why),
            "uri" => Code::TemplateUriInvalid.because(why),
            "body" => Code::TemplateContentInvalid.because(why),
            other => Code::InvalidParam.because(format!("{other}: {why}")),
        },
        Error::Store(error) => return error.into(),
    };
    failure.into()
}

/// Every member a text, says the SDK.
fn view(kept: &Kept) -> Value {
    let template = &kept.template;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let look = template.text.look.clone().unwrap_or_default();
    let options: BTreeMap<String, Value> =
        template.text.options.as_ref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let urls = |ours: &str, own: &Option<String>| match (options.get(ours), own) {
        (Some(object), _) => object.to_string(),
        (None, Some(url)) => json!({ "defaultUrl": url }).to_string(),
        (None, None) => String::new(),
    };
    json!({
        "Id": template.id,
        "Name": template.name,
        "Title": text(&template.text.title),
        "Content": text(&template.text.body),
        "Uri": text(&template.text.uri),
        "DescInfo": text(&template.text.description),
        "Action": if look.action == TapAction::App { "1" } else { "0" },
        "PushStyle": style_number(look.style),
        "ShowStyle": if template.text.silent { "1" } else { "0" },
        "IconUrls": urls("icon_urls", &look.icon_url),
        "ImageUrls": urls("image_urls", &look.image_url),
        "Variables": template.variables.join(","),
        "GmtCreate": date(template.created_at),
        "GmtModified": date(template.updated_at),
    })
}

const fn style_number(style: Style) -> &'static str {
    match style {
        Style::Text => "0",
        Style::BigText => "1",
        Style::Rich => "2",
    }
}

/// Milliseconds since 1970, as a text: the contract shows no form, and this one needs no zone.
fn date(at: Timestamp) -> String {
    at.as_millis().to_string()
}

//! What a push says: its own words, or a template's with its values.

use carillon_actors::limits::Limits;
use carillon_actors::model::App;
use carillon_actors::order::{Content, Recipient};
use carillon_actors::template::Values;
use carillon_actors::templates::{lacking, preview};
use carillon_sdk::api::PushRequest;

use super::super::{Code, Refused, State};
use super::vendor::options;

/// Recipients without a value that a refusal names.
const LACKING_SHOWN_MAX: usize = 100;

/// Puts the words of the template that the request names into the request, and gives back its
/// options: its own over the template's.
pub(super) fn of_template(
    state: &State,
    app: App,
    request: &mut PushRequest,
) -> Result<Option<String>, Refused> {
    let Some(name) = request.template.clone() else {
        return match request.values.is_empty() {
            true => options(request.vendor.as_ref(), None),
            false => Err(Refused::at(Code::BodyInvalid, "/values", "values are for a template")),
        };
    };
    let given = [
        ("/title", request.title.is_some()),
        ("/body", request.body.is_some()),
        ("/uri", request.uri.is_some()),
        ("/look", request.look.is_some()),
        ("/silent", request.silent),
    ];
    own_words(&given)?;
    let content = content_of(state, app, &name)?;
    variables_missing(&content, &request.values, &[])?;
    let content = rendered(&content, &request.values, state.engine.limits())?;
    request.title = content.title;
    request.body = content.body;
    request.uri = content.uri;
    request.look = content.look;
    request.silent = content.silent;
    if request.data.is_none() {
        request.data = content.data.and_then(|text| serde_json::from_str(&text).ok());
    }
    options(request.vendor.as_ref(), content.options)
}

/// Refuses the first field of those that a template has itself.
pub(in super::super) fn own_words(given: &[(&str, bool)]) -> Result<(), Refused> {
    match given.iter().find(|(_, given)| *given) {
        Some((pointer, _)) => {
            Err(Refused::at(Code::BodyInvalid, *pointer, "a push has its own words or a template's"))
        }
        None => Ok(()),
    }
}

pub(super) fn content_of(state: &State, app: App, name: &str) -> Result<Content, Refused> {
    let found = state.engine.templates(app).get(name);
    let found = found.ok_or_else(|| Refused::at(Code::TemplateUnknown, "/template", "no such template"))?;
    Ok(found.template.content())
}

/// The final words, within the limit of a payload.
pub(super) fn rendered(content: &Content, values: &Values, limits: &Limits) -> Result<Content, Refused> {
    let preview = preview(content, values)
        .map_err(|missing| Refused::because(Code::VariableMissing, missing.to_string()))?;
    if preview.payload_bytes > limits.payload_bytes_max {
        let most = limits.payload_bytes_max;
        let detail = format!("{} bytes with the values; at most {most} are taken", preview.payload_bytes);
        return Err(Refused::because(Code::PayloadTooLarge, detail));
    }
    Ok(preview.content)
}

/// Names every recipient and variable without a value.
pub(in super::super) fn variables_missing(
    content: &Content,
    common: &Values,
    recipients: &[Recipient],
) -> Result<(), Refused> {
    let lacking = lacking(content, common, recipients, LACKING_SHOWN_MAX);
    let Some(first) = lacking.first() else { return Ok(()) };
    let detail = match &first.target {
        Some(target) => format!("{target} has no value for #{}#", first.variables[0]),
        None => format!("no value for #{}#", first.variables[0]),
    };
    let mut refused = Refused::because(Code::VariableMissing, detail);
    for one in &lacking {
        let whose = one.target.as_ref().map(|target| format!("{target}: ")).unwrap_or_default();
        for variable in &one.variables {
            let pointer = match one.target {
                Some(_) => format!("/entries/{}/values/{variable}", one.at),
                None => format!("/values/{variable}"),
            };
            refused = refused.and_at(pointer, format!("{whose}no value for #{variable}#"));
        }
    }
    Err(refused)
}

//! What a template may hold.

use std::collections::BTreeSet;

use super::{Draft, Error};
use crate::limits::Limits;
use crate::template::placeholders;

const NAME_CHARS_MAX: usize = 200;
const DESCRIPTION_CHARS_MAX: usize = 200;
const URI_BYTES_MAX: usize = 2_048;
/// Different variables in one template.
const VARIABLES_MAX: usize = 50;

/// Whether this may name a template: 1 to 200 ASCII letters, digits and underscores.
#[must_use]
pub fn is_name(name: &str) -> bool {
    (1..=NAME_CHARS_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

pub(super) fn name(name: &str) -> Result<(), Error> {
    let why = || format!("1 to {NAME_CHARS_MAX} letters, digits and underscores");
    if is_name(name) { Ok(()) } else { Err(invalid("name", why())) }
}

/// The template's variables, in the order in which they come first.
pub(super) fn check(draft: &Draft, limits: &Limits) -> Result<Vec<String>, Error> {
    let chars = |text: &Option<String>| text.as_ref().map_or(0, |text| text.chars().count());
    let bytes = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    if chars(&draft.description) > DESCRIPTION_CHARS_MAX {
        return Err(invalid("description", format!("at most {DESCRIPTION_CHARS_MAX} characters")));
    }
    if bytes(&draft.uri) > URI_BYTES_MAX {
        return Err(invalid("uri", format!("at most {URI_BYTES_MAX} bytes")));
    }
    for (field, text) in [("data", &draft.data), ("options", &draft.options)] {
        let is_object = |text: &String| {
            serde_json::from_str::<serde_json::Value>(text).is_ok_and(|value| value.is_object())
        };
        if text.as_ref().is_some_and(|text| !is_object(text)) {
            return Err(invalid(field, "a JSON object".to_owned()));
        }
    }
    let says_nothing = bytes(&draft.title) == 0 && bytes(&draft.body) == 0 && draft.data.is_none();
    if says_nothing && !draft.silent {
        return Err(invalid("body", "title, body or data, unless it is silent".to_owned()));
    }
    let parts = [&draft.title, &draft.body, &draft.uri, &draft.data, &draft.options];
    let size: usize = parts.into_iter().map(bytes).sum();
    if size > limits.payload_bytes_max {
        let why = format!("{size} bytes with the rest; at most {} together", limits.payload_bytes_max);
        return Err(invalid("body", why));
    }
    variables(draft)
}

fn variables(draft: &Draft) -> Result<Vec<String>, Error> {
    let mut variables: Vec<String> = Vec::new();
    for text in [&draft.title, &draft.body, &draft.uri].into_iter().flatten() {
        for name in placeholders(text) {
            if !variables.iter().any(|known| known == name) {
                variables.push(name.to_owned());
            }
        }
    }
    if variables.len() > VARIABLES_MAX {
        return Err(invalid("variables", format!("at most {VARIABLES_MAX} different ones")));
    }
    let Some(declared) = &draft.declared else { return Ok(variables) };
    let names: BTreeSet<&String> = declared.iter().collect();
    if names.len() != declared.len() {
        return Err(invalid("variables", "one is declared twice".to_owned()));
    }
    if let Some(unused) = declared.iter().find(|name| !variables.contains(name)) {
        return Err(invalid("variables", format!("nothing has the placeholder #{unused}#")));
    }
    if let Some(missing) = variables.iter().find(|name| !names.contains(name)) {
        return Err(invalid("variables", format!("#{missing}# is not declared")));
    }
    Ok(variables)
}

fn invalid(field: &'static str, why: String) -> Error {
    Error::Invalid { field, why }
}

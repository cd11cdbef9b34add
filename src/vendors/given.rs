//! What an app's owner gave, read field by field. A refusal names the field and never its value.

use carillon_actors::channel::{Class, Scope};
use carillon_actors::channel::{Invalid, Refused, Setup};
use carillon_sdk::Timestamp;
use serde_json::Value;

/// A text that has to be there; `root` is `credential` or `settings`.
pub(super) fn text<'a>(setup: &'a Setup, root: &str, name: &str) -> Result<&'a str, Invalid> {
    maybe(setup, root, name)?.ok_or_else(|| Invalid::new(format!("/{root}/{name}"), "a text is needed"))
}

/// A text that may be missing.
pub(super) fn maybe<'a>(setup: &'a Setup, root: &str, name: &str) -> Result<Option<&'a str>, Invalid> {
    let part = if root == "credential" { &setup.credential } else { &setup.settings };
    match part.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if !text.trim().is_empty() => Ok(Some(text)),
        Some(_) => Err(Invalid::new(format!("/{root}/{name}"), "a text is needed")),
    }
}

/// The base URL a call goes to, without a slash at its end.
pub(super) fn host(setup: &Setup, name: &str, default: &str) -> Result<String, Invalid> {
    let Some(host) = setup.hosts.get(name) else { return Ok(default.to_owned()) };
    let is_url = reqwest::Url::parse(host).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    let wrong = || Invalid::new(format!("/hosts/{name}"), "a URL with http:// or https:// is needed");
    is_url.then(|| host.trim_end_matches('/').to_owned()).ok_or_else(wrong)
}

/// A time by our clock as the vendor's clock has it.
pub(super) fn theirs(ours: Timestamp, offset_ms: i64) -> Timestamp {
    Timestamp::from_millis(ours.as_millis().saturating_add_signed(offset_ms))
}

/// Of an answer that holds none of the vendor's words: by its status alone.
pub(super) fn bare(status: u16) -> Refused {
    if (200..300).contains(&status) {
        // It may have been taken, and we cannot read that it was.
        let refused = Refused::new(Class::Retry, Scope::Platform, "garbage");
        return Refused { is_ambiguous: true, ..refused };
    }
    let class = Class::of_status(status);
    let scope = match class {
        Class::Retry => Scope::Platform,
        Class::Perm => Scope::Message,
        _ => Scope::App,
    };
    Refused::new(class, scope, format!("http_{status}"))
}

/// What no vendor needs to be asked: this message will not go.
pub(super) fn unfit(code: &'static str, why: &str) -> Refused {
    Refused::new(Class::Perm, Scope::Message, code).because(why)
}

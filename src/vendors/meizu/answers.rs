//! Meizu's words in ours. The same number may mean one thing of the call and another of a token.

use std::collections::HashMap;

use carillon_actors::channel::{Accepted, Address, Class, Outcome, Pause, Refused, Scope};
use carillon_sdk::Ttl;
use serde_json::Value;

use crate::vendors::{Answer, given};

type Meaning = (&'static str, Class, Scope, Option<Pause>);

const DAY: Option<Pause> = Some(Pause::NextDay);
/// More than five a minute for one device: folded away.
const MINUTE: Option<Pause> = Some(Pause::For(Ttl::from_secs(60)));

/// Said of the call.
pub(super) const TOP: &[Meaning] = &[
    ("500", Class::Retry, Scope::Platform, None),
    ("1001", Class::Retry, Scope::Platform, None),
    ("1003", Class::Retry, Scope::Platform, None),
    ("1005", Class::Perm, Scope::Message, None),
    ("1006", Class::Config, Scope::App, None),
    ("110000", Class::Config, Scope::App, None),
    ("110001", Class::Config, Scope::App, None),
    ("110004", Class::Perm, Scope::Message, None),
    ("110009", Class::Config, Scope::App, None),
    // Too fast. Of a token the same number means that its owner turned pushes off.
    ("110010", Class::Throttle, Scope::App, None),
    ("110019", Class::Throttle, Scope::App, DAY),
    ("110031", Class::Perm, Scope::Message, None),
    ("110032", Class::Perm, Scope::Message, None),
    ("110033", Class::Config, Scope::App, None),
    ("110051", Class::Throttle, Scope::App, DAY),
    ("110053", Class::Throttle, Scope::App, DAY),
];

/// Said of a token, in `value`.
pub(super) const OF_TOKENS: &[Meaning] = &[
    ("201", Class::Config, Scope::App, None),
    // Overload: later, and not at once one by one as what is wrong with a device would be.
    ("501", Class::Retry, Scope::Message, None),
    ("513", Class::Retry, Scope::Message, None),
    ("519", Class::Retry, Scope::Message, None),
    ("520", Class::Throttle, Scope::Device, MINUTE),
    ("110002", Class::Unbind, Scope::Device, None),
    ("110003", Class::Unbind, Scope::Device, None),
    ("110005", Class::Perm, Scope::Device, None),
    // Its owner may turn them on again: the token lives.
    ("110010", Class::Perm, Scope::Device, None),
    ("110011", Class::Throttle, Scope::Device, DAY),
];

/// What an answer asks for.
pub(super) enum Read {
    Outcomes(Vec<Outcome>),
    /// The same call once more, there.
    Elsewhere(String),
}

pub(super) fn read(answer: &Answer, to: &[Address], degraded: &[&'static str]) -> Read {
    let all = |refused: Refused| Read::Outcomes(vec![refused.into(); to.len()]);
    let body = serde_json::from_slice::<Value>(&answer.body).ok();
    let Some((body, code)) = body.as_ref().and_then(|body| Some((body, word(&body["code"])?))) else {
        return all(given::bare(answer.status).pausing(answer.retry_after()));
    };
    let text = body["message"].as_str().unwrap_or_default();
    match code.as_str() {
        "200" => Read::Outcomes(each(body, to, degraded)),
        "300" => match body["redirect"].as_str().filter(|url| !url.is_empty()) {
            Some(url) => Read::Elsewhere(url.to_owned()),
            None => all(Refused::new(Class::Retry, Scope::Platform, code)),
        },
        _ => {
            let known = TOP.iter().find(|(known, ..)| *known == code);
            // Of a call with one token a word about it may stand on top.
            let known = known
                .or_else(|| OF_TOKENS.iter().find(|(known, ..)| *known == code).filter(|_| to.len() == 1));
            all(known.map_or_else(|| Refused::unknown(answer.status, &*code), meant).because(text))
        }
    }
}

fn each(body: &Value, to: &[Address], degraded: &[&'static str]) -> Vec<Outcome> {
    let said = said(&body["value"], to);
    let id = body["msgId"].as_str().filter(|id| !id.is_empty()).map(str::to_owned);
    let one = |address: &Address| match said.get(address.token.as_str()) {
        None => Outcome::Accepted(Accepted { vendor_id: id.clone(), degraded: degraded.to_vec() }),
        Some(code) => {
            let known = OF_TOKENS.iter().find(|(known, ..)| known == code);
            // A word about one token is no word about the app.
            let unknown = || Refused { scope: Scope::Device, ..Refused::unknown(200, code.as_str()) };
            known.map_or_else(unknown, meant).into()
        }
    };
    to.iter().map(one).collect()
}

fn meant(&(code, class, scope, pause): &Meaning) -> Refused {
    Refused::new(class, scope, code).pausing(pause)
}

/// Token → code. The document has code → tokens; a client was seen to expect the other way round.
fn said<'a>(value: &'a Value, to: &'a [Address]) -> HashMap<&'a str, String> {
    let mut said = HashMap::new();
    for (name, value) in value.as_object().into_iter().flatten() {
        if let Value::Array(tokens) = value {
            said.extend(tokens.iter().filter_map(|token| Some((token.as_str()?, name.clone()))));
        } else if let Some(text) = word(value) {
            if to.iter().any(|address| address.token == *name) {
                said.insert(name.as_str(), text);
            } else if let Some(token) = value.as_str() {
                said.insert(token, name.clone());
            }
        }
    }
    said
}

/// A code is a text, and a number with some.
fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
#[path = "answers_tests.rs"]
mod tests;

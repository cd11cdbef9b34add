//! What Huawei's two protocols and Honor's, which grew out of them, have in common.

use carillon_actors::channel::{Address, Class, Options, Outcome, Parcel, Refused, Scope};
use carillon_sdk::Vendor;
use carillon_sdk::vendor::Category;
use carillon_sdk::wire::{Lane, Style, TapAction};
use serde_json::{Map, Value};

use super::{Answer, content, given, limits};

/// Of the body without its tokens.
pub(super) const BODY_BYTES_MAX: usize = 4_096;
/// 15 days. A message for devices that are online alone gets the least there is: whether 0 means
/// now or never is written nowhere.
const TTL_S: (u64, u64) = (1, 1_296_000);
/// A badge shows no more.
const BADGE_MAX: u32 = 99;

pub(super) fn ttl_s(parcel: &Parcel) -> u64 {
    content::left_s(parcel).clamp(TTL_S.0, TTL_S.1)
}

/// One call has one tag for all its tokens; with the token in the receipt it names the device again.
pub(super) fn tag(parcel: &Parcel) -> String {
    match &parcel.to[..] {
        [alone] => alone.receipt.clone(),
        _ => parcel.message.id.to_string(),
    }
}

/// The caller's data, and our id of the message.
pub(super) fn data(parcel: &Parcel) -> Map<String, Value> {
    let mut data = content::data(&parcel.message);
    data.insert(content::ID.to_owned(), parcel.message.id.to_string().into());
    data
}

/// What a message without a notification carries, as text; none when it is one with.
pub(super) fn silent(parcel: &Parcel, vendors: &[Vendor]) -> Option<String> {
    let transparent = vendors.iter().find_map(|&vendor| content::transparent(&parcel.options, vendor));
    match transparent {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Object(fields)) => {
            let mut fields = fields.clone();
            fields.entry(content::ID).or_insert_with(|| parcel.message.id.to_string().into());
            Some(Value::Object(fields).to_string())
        }
        Some(other) => Some(other.to_string()),
        None if parcel.message.silent => Some(Value::Object(data(parcel)).to_string()),
        None => None,
    }
}

/// Title and body, both of which are wanted.
pub(super) fn texts(parcel: &Parcel, vendor: Vendor) -> Result<(&str, &str), Refused> {
    let text = |text: &'_ Option<String>| text.as_deref().is_some_and(|text| !text.trim().is_empty());
    let message = &parcel.message;
    if !text(&message.title) {
        return Err(given::unfit("title_missing", "a notification needs a title here"));
    }
    if !text(&message.body) {
        return Err(given::unfit("body_missing", "a notification needs a text here"));
    }
    limits::check(parcel, vendor)?;
    Ok((message.title.as_deref().unwrap_or_default(), message.body.as_deref().unwrap_or_default()))
}

/// Huawei's word for the message's kind: the caller's own (mPaaS gives its number), else by ours.
pub(super) fn category(options: &Options, names: &[&str]) -> Option<String> {
    let word = names.iter().find_map(|&name| options.third_channel_category.get(name));
    let Some(word) = word.map(|word| word.trim()).filter(|word| !word.is_empty()) else {
        return options.category.map(|category| category.as_str().to_ascii_uppercase());
    };
    let numbered = word.parse::<usize>().ok().and_then(|number| Category::ALL.get(number.checked_sub(1)?));
    Some(numbered.map_or(word, |category| category.as_str()).to_ascii_uppercase())
}

/// LOW is what may be held back, NORMAL what is shown; HIGH needs a right of its own and is never
/// asked for.
pub(super) fn importance(parcel: &Parcel, names: &[&str]) -> &'static str {
    let options = &parcel.options;
    let level = names.iter().find_map(|&name| options.notify_level.get(name));
    match level.map(|level| level.as_str().map_or_else(|| level.to_string(), str::to_owned)).as_deref() {
        Some("1" | "LOW") => return "LOW",
        Some("2" | "NORMAL") => return "NORMAL",
        _ => {}
    }
    match options.category {
        Some(Category::Marketing) => "LOW",
        Some(_) => "NORMAL",
        None if parcel.message.lane == Lane::Bulk => "LOW",
        None => "NORMAL",
    }
}

/// What is added to the badge, and to what it is set.
pub(super) fn badge(options: &Options) -> (Option<u32>, Option<u32>) {
    let added = options.badge_add.filter(|&added| added > 0).map(|added| added.min(BADGE_MAX));
    (added, options.badge.map(|set| set.min(BADGE_MAX)))
}

pub(super) fn is_big(parcel: &Parcel) -> bool {
    let look = parcel.message.look.as_ref();
    parcel.options.big_text || look.is_some_and(|look| look.style == Style::BigText)
}

/// Where a tap leads.
pub(super) enum Click {
    App,
    Page(String),
    Intent(String),
}

/// A page has to be https; all else is for the app, as an intent that Android understands.
pub(super) fn click(parcel: &Parcel, package: Option<&str>) -> Click {
    let Some(uri) = parcel.message.uri.as_deref().filter(|uri| !uri.is_empty()) else { return Click::App };
    let action = parcel.message.look.as_ref().map(|look| look.action).unwrap_or_default();
    if action == TapAction::Web && uri.starts_with("https://") {
        return Click::Page(uri.to_owned());
    }
    if uri.starts_with("intent:") {
        return Click::Intent(uri.to_owned());
    }
    let Some((scheme, rest)) = uri.split_once("://") else { return Click::App };
    // What stands behind `#Intent` is Android's.
    let rest = rest.replace('#', "%23");
    let package = package.map(|name| format!("package={name};")).unwrap_or_default();
    let id = format!("S.{}={};", content::ID, parcel.message.id);
    Click::Intent(format!("intent://{rest}#Intent;scheme={scheme};{package}{id}end"))
}

/// The tokens, each once: a second one is refused with all of the call.
pub(super) fn distinct(to: &[Address]) -> Vec<&str> {
    let mut seen = std::collections::HashSet::new();
    to.iter().map(|address| address.token.as_str()).filter(|token| seen.insert(*token)).collect()
}

pub(super) fn fits(body: &Value) -> Result<(), Refused> {
    if body.to_string().len() > BODY_BYTES_MAX {
        return Err(given::unfit("payload_too_large", "more than 4096 bytes without the tokens"));
    }
    Ok(())
}

/// What all three say; `code` is a text with Huawei and a number with Honor.
pub(super) struct Said {
    pub(super) code: String,
    pub(super) text: String,
    pub(super) body: Value,
}

impl Said {
    /// None when it is none of the vendor's words.
    pub(super) fn read(answer: &Answer, text: &str) -> Option<Self> {
        let body: Value = serde_json::from_slice(&answer.body).ok()?;
        let code = match body.get("code")? {
            Value::String(code) => code.clone(),
            Value::Number(code) => code.to_string(),
            _ => return None,
        };
        let text = body.get(text).and_then(Value::as_str).unwrap_or_default().to_owned();
        Some(Self { code, text, body })
    }
}

pub(super) type Row = (&'static str, Class, Scope);

/// Of a status whose body says nothing known.
const STATUSES: [(u16, Class, Scope); 6] = [
    (401, Class::Reauth, Scope::App),
    (403, Class::Reauth, Scope::App),
    (404, Class::Config, Scope::App),
    (500, Class::Retry, Scope::Platform),
    (502, Class::Retry, Scope::Platform),
    (503, Class::Throttle, Scope::App),
];

/// By the vendor's code, else by the status. `said` is none where the body is not the vendor's.
pub(super) fn refused(answer: &Answer, said: Option<&Said>, codes: &[Row]) -> Refused {
    let by_status = STATUSES.iter().find(|(status, ..)| *status == answer.status).copied();
    let refused = match said {
        None => match by_status {
            Some((status, class, scope)) => Refused::new(class, scope, format!("http_{status}")),
            None => given::bare(answer.status),
        },
        Some(said) => {
            let known = codes.iter().find(|(code, ..)| *code == said.code);
            let refused = match (known, by_status) {
                (Some((code, class, scope)), _) => Refused::new(*class, *scope, *code),
                (None, Some((_, class, scope))) => {
                    Refused { is_unknown: true, ..Refused::new(class, scope, said.code.as_str()) }
                }
                (None, None) => Refused::unknown(answer.status, said.code.as_str()),
            };
            refused.because(said.text.as_str())
        }
    };
    refused.pausing(answer.retry_after())
}

/// What a vendor said of a batch may be of one token alone: each is asked by itself, and none is
/// unbound for the others'.
pub(super) fn alone(code: &str) -> Refused {
    Refused::new(Class::Retry, Scope::Device, code).because("said of the whole batch; each is asked alone")
}

pub(super) fn all(to: &[Address], refused: Refused) -> Vec<Outcome> {
    vec![refused.into(); to.len()]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::vendors::content::tests::parcel;

    #[test]
    fn mpaas_numbers_and_words_name_a_category() {
        for (options, word) in [
            (json!({"category": "device_reminder"}), Some("DEVICE_REMINDER")),
            (json!({"category": "im", "third_channel_category": {"hms": "8"}}), Some("EXPRESS")),
            (json!({"third_channel_category": {"hms": "14"}}), Some("MARKETING")),
            (json!({"third_channel_category": {"hms": "15"}}), Some("15")),
            (json!({"third_channel_category": {"huawei": "travel", "hms": "1"}}), Some("TRAVEL")),
            (json!({}), None),
        ] {
            let found = category(&parcel("t", &options, |_| {}).options, &["huawei", "hms"]);
            assert_eq!(found.as_deref(), word, "{options}");
        }
    }

    #[test]
    fn a_deep_link_becomes_an_intent_and_a_page_stays_one() {
        let of = |uri: &str| {
            let parcel = parcel("t", &json!({}), |message| message.uri = Some(uri.to_owned()));
            let id = parcel.message.id.to_string();
            match click(&parcel, Some("com.example")) {
                Click::App => "app".to_owned(),
                Click::Page(url) => url,
                Click::Intent(intent) => intent.replace(&id, "ID"),
            }
        };
        assert_eq!(of("https://example.com/o#7"), "https://example.com/o#7");
        let intent = "intent://order/7781%23top#Intent;scheme=app;package=com.example;S.carillon_id=ID;end";
        assert_eq!(of("app://order/7781#top"), intent);
        assert_eq!(of("intent://x#Intent;end"), "intent://x#Intent;end");
        assert_eq!(of("nonsense"), "app");
    }
}

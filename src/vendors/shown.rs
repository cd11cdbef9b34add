//! What the notifications of Xiaomi, OPPO, vivo and Meizu have in common: a number by which one
//! replaces another, a tap that leads somewhere, what has no place, tokens that go in a list.

use std::collections::BTreeMap;

use carillon_actors::channel::{Address, Class, Invalid, Outcome, Parcel, Refused, Scope, Setup};
use carillon_actors::model::Message;
use carillon_sdk::Vendor;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::content;

/// Where a tap leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tap<'a> {
    App,
    Web(&'a str),
    /// An intent, or the app's own scheme.
    Page(&'a str),
}

pub(super) fn tap(message: &Message) -> Tap<'_> {
    match message.uri.as_deref().map(str::trim) {
        None | Some("") => Tap::App,
        Some(uri) if uri.starts_with("http://") || uri.starts_with("https://") => Tap::Web(uri),
        Some(uri) => Tap::Page(uri),
    }
}

/// 1 to 2^31-1, the same for the same text.
pub(super) fn number(text: &str) -> u32 {
    let digest = Sha256::digest(text);
    let [a, b, c, d, ..] = digest[..] else { return 1 };
    (u32::from_be_bytes([a, b, c, d]) & 0x7fff_ffff).max(1)
}

/// Texts by name, in the settings: none where there is none.
pub(super) fn words(setup: &Setup, name: &str) -> Result<BTreeMap<String, String>, Invalid> {
    let wrong = || Invalid::new(format!("/settings/{name}"), "an object of texts is needed");
    match setup.settings.get(name) {
        None | Some(Value::Null) => Ok(BTreeMap::new()),
        Some(words) => serde_json::from_value(words.clone()).map_err(|_| wrong()),
    }
}

/// The message's data, with its id.
pub(super) fn data(message: &Message) -> Map<String, Value> {
    let mut data = content::data(message);
    data.insert(content::ID.to_owned(), json!(message.id.to_string()));
    data
}

/// What the message has of these and the vendor has no place for, by our names.
pub(super) fn lost(parcel: &Parcel, vendor: Vendor, carried: &[&str]) -> Vec<&'static str> {
    let (message, options) = (&parcel.message, &parcel.options);
    let look = message.look.as_ref();
    [
        ("image_url", content::image(parcel, vendor).is_some()),
        ("icon_url", look.is_some_and(|look| look.icon_url.is_some())),
        ("subtitle", options.subtitle.is_some()),
        ("badge", options.badge.is_some()),
        ("badge_add", options.badge_add.is_some()),
        ("sound", options.sound.is_some()),
        ("live_activity", options.live_activity.is_some()),
        ("transparent_payload", content::transparent(options, vendor).is_some()),
        ("vendor_template", options.vendor_template.is_some()),
        ("is_test", options.is_test),
    ]
    .into_iter()
    .filter(|(name, is_there)| *is_there && !carried.contains(name))
    .map(|(name, _)| name)
    .collect()
}

/// A token that would not stay one field of a list: no vendor gave it out.
pub(super) fn malformed(token: &str) -> Option<Outcome> {
    let is_plain = !token.is_empty()
        && token.len() <= 512
        && token.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b',' | b';' | b'"' | b'\\'));
    let refused = || Refused::new(Class::Unbind, Scope::Device, "token_malformed");
    (!is_plain).then(|| refused().because("no vendor's token has such characters").into())
}

/// Sends to those whose token can be one; the others' outcome is known. In the order of `to`.
pub(super) async fn each_well_formed<Sending: Future<Output = Vec<Outcome>>>(
    to: Vec<Address>,
    send: impl FnOnce(Vec<Address>) -> Sending,
) -> Vec<Outcome> {
    let known: Vec<Option<Outcome>> = to.iter().map(|address| malformed(&address.token)).collect();
    let asked = to.into_iter().zip(&known).filter(|(_, known)| known.is_none()).map(|(address, _)| address);
    let asked: Vec<Address> = asked.collect();
    let mut told = if asked.is_empty() { Vec::new() } else { send(asked).await }.into_iter();
    let outcome =
        |known: Option<Outcome>| known.or_else(|| told.next()).unwrap_or_else(|| Refused::silent().into());
    known.into_iter().map(outcome).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_cannot_smuggle_another_into_a_list() {
        for bad in ["a,b", "a;b", "", "a b", "a\nb", "\"", "汉"] {
            assert!(malformed(bad).is_some(), "{bad:?}");
        }
        for good in ["OPPO_CN_0123", "d//igwEhgBGCI2TG6lWqlB+e=", "ok-1"] {
            assert!(malformed(good).is_none(), "{good}");
        }
    }

    #[test]
    fn a_number_is_positive_and_the_same_for_the_same() {
        assert_eq!(number("orders"), number("orders"));
        assert_ne!(number("orders"), number("order"));
        assert!((1..1 << 31).contains(&number("")));
    }
}

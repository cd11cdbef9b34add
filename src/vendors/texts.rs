//! A title and a body in the room a vendor has for them. What is too long is cut where a reader sees a
//! character end, with `…` for the rest, and counted as degraded: a vendor would refuse it whole, and
//! who is not reached has read less than half of it.

use std::borrow::Cow;

use carillon_actors::channel::{Parcel, Refused};
use carillon_sdk::Vendor;
use unicode_segmentation::UnicodeSegmentation as _;

use super::{given, limits};

/// What a vendor takes, in its own measure.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub(super) title: usize,
    pub(super) body: usize,
}

/// Unicode scalar values: an emoji of one is one, a family of seven is seven.
pub(super) fn scalars(text: &str) -> usize {
    text.chars().count()
}

/// Title and body, for a vendor that shows both or nothing.
pub(super) fn shown<'a>(
    parcel: &'a Parcel,
    vendor: Vendor,
    room: Room,
    length: impl Fn(&str) -> usize,
    degraded: &mut Vec<&'static str>,
) -> Result<(Cow<'a, str>, Cow<'a, str>), Refused> {
    let message = &*parcel.message;
    if message.revokes.is_some() {
        return Err(given::unfit("revoke_unsupported", "this vendor takes nothing back"));
    }
    if message.silent {
        return Err(given::unfit("silent_unsupported", "this vendor shows whatever it carries"));
    }
    let title = there(message.title.as_deref());
    let title = title.ok_or_else(|| given::unfit("title_missing", "this vendor wants a title"))?;
    let body = there(message.body.as_deref());
    let body = body.ok_or_else(|| given::unfit("body_missing", "this vendor wants a body"))?;
    limits::check(parcel, vendor)?;
    let mut fitted = |name, text, max| {
        let fitted = fit(text, max, &length);
        if matches!(fitted, Cow::Owned(_)) {
            degraded.push(name);
        }
        fitted
    };
    Ok((fitted("title", title, room.title), fitted("body", body, room.body)))
}

fn there(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

/// The text, or its beginning and `…`.
pub(super) fn fit(text: &str, max: usize, length: impl Fn(&str) -> usize) -> Cow<'_, str> {
    if length(text) <= max {
        return Cow::Borrowed(text);
    }
    let room = max.saturating_sub(length("…"));
    let (mut taken, mut end) = (0, 0);
    for (at, seen) in text.grapheme_indices(true) {
        taken += length(seen);
        if taken > room {
            break;
        }
        end = at + seen.len();
    }
    Cow::Owned(format!("{}…", text[..end].trim_end()))
}

#[cfg(test)]
mod tests {
    use carillon_actors::model::Message;
    use serde_json::Value;

    use super::*;
    use crate::vendors::content::tests::parcel;

    const ROOM: Room = Room { title: 4, body: 10 };

    #[test]
    fn what_a_vendor_cannot_show_at_all_is_refused_with_a_reason() {
        let code = |change: fn(&mut Message)| {
            let parcel = parcel("t", &Value::Null, change);
            shown(&parcel, Vendor::Xiaomi, ROOM, scalars, &mut Vec::new())
                .map_err(|refused| refused.code)
                .err()
        };
        assert_eq!(code(|_| {}), None);
        for (change, expected) in [
            ((|message| message.title = None) as fn(&mut Message), "title_missing"),
            (|message| message.body = Some(" ".to_owned()), "body_missing"),
            (|message| message.silent = true, "silent_unsupported"),
        ] {
            assert_eq!(code(change), Some(expected.to_owned()));
        }
    }

    #[test]
    fn a_text_that_is_too_long_is_cut_and_said_to_be() {
        let parcel = parcel("t", &Value::Null, |message| {
            message.title = Some("Paid!".to_owned());
            message.body = Some("汉".repeat(11));
        });
        let mut degraded = vec!["sound"];
        let (title, body) = shown(&parcel, Vendor::Xiaomi, ROOM, scalars, &mut degraded).unwrap();
        assert_eq!((&*title, &*body), ("Pai…", "汉汉汉汉汉汉汉汉汉…"));
        assert_eq!(degraded, ["sound", "title", "body"]);
    }

    #[test]
    fn it_is_cut_where_a_reader_sees_a_character_end() {
        let wide = |text: &str| text.chars().map(|letter| if letter.is_ascii() { 1 } else { 2 }).sum();
        for (text, max, expected) in [
            ("Paid", 4, "Paid"),
            ("Order 7781", 8, "Order 7…"),
            ("Order 7781", 7, "Order…"),
            // A family is seven scalar values, and one character.
            ("Hi 👨‍👩‍👧‍👦!", 10, "Hi…"),
            ("Hi 👨‍👩‍👧‍👦!!", 11, "Hi 👨‍👩‍👧‍👦…"),
            // An accent stays with its letter, a flag whole.
            ("cafe\u{301} now", 5, "caf…"),
            ("🇨🇳🇨🇳🇨🇳", 4, "🇨🇳…"),
            ("汉", 0, "…"),
        ] {
            let fitted = fit(text, max, scalars);
            assert_eq!(fitted, expected, "{text} {max}");
            assert!(scalars(&fitted) <= max.max(1));
        }
        assert_eq!(fit("汉字汉字", 6, wide), "汉字…", "the dots are wide as well");
    }
}

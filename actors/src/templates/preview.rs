//! How a text fares on each channel: what it breaks there, before anybody has seen it.

use crate::order::Content;
use crate::template::{Missing, Values};

/// A text in its final words.
#[derive(Debug, Clone, PartialEq)]
pub struct Preview {
    pub content: Content,
    /// As limits of payload count it.
    pub payload_bytes: usize,
    pub breaches: Vec<Breach>,
}

/// A limit that the text does not keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breach {
    pub channel: &'static str,
    /// `title`, `body`, or `message` for the whole.
    pub field: &'static str,
    pub most: usize,
    pub has: usize,
    pub unit: Unit,
    pub effect: Effect,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Chars,
    /// Ideographs and the like count two, all else one.
    Columns,
    Bytes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The channel takes no such message.
    Refused,
    /// The device shows the beginning.
    Cut,
}

impl Unit {
    /// As the API has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chars => "chars",
            Self::Columns => "columns",
            Self::Bytes => "bytes",
        }
    }
}

impl Effect {
    /// As the API has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Cut => "cut",
        }
    }
}

struct Bound {
    channel: &'static str,
    field: &'static str,
    most: usize,
    unit: Unit,
    effect: Effect,
}

const fn refused(channel: &'static str, field: &'static str, most: usize, unit: Unit) -> Bound {
    Bound { channel, field, most, unit, effect: Effect::Refused }
}

const fn cut(channel: &'static str, field: &'static str, most: usize, unit: Unit) -> Bound {
    Bound { channel, field, most, unit, effect: Effect::Cut }
}

/// What the vendors publish, as the mPaaS documentation collects it (its page 311229): the whole
/// message at most 2 KB on every phone; `20 CJK / 40 ASCII` is 40 columns. Our own channel has no
/// limit but the payload's. A text that a channel refuses is not shown at all; APNs shows what fits,
/// and Xiaomi, OPPO and vivo are sent no more than that.
const BOUNDS: &[Bound] = &[
    cut("xiaomi", "title", 50, Unit::Chars),
    cut("xiaomi", "body", 128, Unit::Chars),
    refused("huawei", "title", 40, Unit::Chars),
    refused("huawei", "body", 1_024, Unit::Chars),
    cut("oppo", "title", 32, Unit::Chars),
    cut("oppo", "body", 200, Unit::Chars),
    cut("vivo", "title", 40, Unit::Columns),
    cut("vivo", "body", 100, Unit::Columns),
    refused("honor", "title", 60, Unit::Columns),
    refused("honor", "body", 4_096, Unit::Columns),
    refused("harmonyos", "title", 60, Unit::Columns),
    refused("harmonyos", "body", 4_096, Unit::Columns),
    cut("apns", "title", 40, Unit::Columns),
    cut("apns", "body", 110, Unit::Columns),
    refused("android", "message", 2_048, Unit::Bytes),
    refused("apns", "message", 2_048, Unit::Bytes),
];

/// The text with these values, and what it breaks where.
pub fn preview(content: &Content, values: &Values) -> Result<Preview, Missing> {
    let content = content.render(&[values])?;
    let parts = [&content.title, &content.body, &content.uri, &content.data, &content.options];
    let payload_bytes = parts.into_iter().flatten().map(String::len).sum();
    let breach = |bound: &Bound| {
        let has = match bound.field {
            "title" => measure(content.title.as_deref().unwrap_or_default(), bound.unit),
            "body" => measure(content.body.as_deref().unwrap_or_default(), bound.unit),
            _ => payload_bytes,
        };
        let Bound { channel, field, most, unit, effect } = *bound;
        (has > most).then_some(Breach { channel, field, most, has, unit, effect })
    };
    let breaches = BOUNDS.iter().filter_map(breach).collect();
    Ok(Preview { content, payload_bytes, breaches })
}

fn measure(text: &str, unit: Unit) -> usize {
    match unit {
        Unit::Bytes => text.len(),
        Unit::Chars => text.chars().count(),
        Unit::Columns => text.chars().map(|char| if is_wide(char) { 2 } else { 1 }).sum(),
    }
}

/// Ideographs, kana, hangul, full-width forms, and what stands beyond the first plane.
const fn is_wide(char: char) -> bool {
    matches!(char as u32, 0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff
        | 0xfe30..=0xfe4f | 0xff00..=0xff60 | 0xffe0..=0xffe6 | 0x1f000..=0x1faff | 0x20000..)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaches(title: &str, body: &str) -> Vec<(&'static str, &'static str, usize)> {
        let content =
            Content { title: Some(title.to_owned()), body: Some(body.to_owned()), ..Content::default() };
        let preview = preview(&content, &Values::new()).unwrap();
        preview.breaches.iter().map(|breach| (breach.channel, breach.field, breach.has)).collect()
    }

    #[test]
    fn a_short_text_fits_everywhere() {
        assert_eq!(breaches("Your parcel", "It is at the door."), []);
    }

    #[test]
    fn an_ideograph_takes_two_columns_where_columns_count() {
        assert_eq!(breaches(&"好".repeat(20), "ok"), []);
        assert_eq!(breaches(&"好".repeat(21), "ok"), [("vivo", "title", 42), ("apns", "title", 42)]);
    }

    #[test]
    fn a_title_of_41_characters_is_too_long_for_huawei_and_not_for_xiaomi() {
        let found = breaches(&"t".repeat(41), "ok");
        assert!(found.contains(&("huawei", "title", 41)) && !found.iter().any(|found| found.0 == "xiaomi"));
    }

    #[test]
    fn the_whole_message_is_counted_in_bytes() {
        let found = breaches("t", &"é".repeat(1024));
        assert!(found.contains(&("android", "message", 2_049)), "{found:?}");
    }
}

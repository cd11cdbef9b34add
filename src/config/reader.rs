//! Takes one key after another out of the layers, and notes what is wrong instead of stopping.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;

use carillon_sdk::Ttl;

use super::Setting;
use super::layer::{Given, Layer, Origin, Raw, SECRETS};
use super::value;

/// One thing wrong with the settings, in words for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Empty when the file could not be read as TOML.
    pub key: String,
    pub origin: Origin,
    pub what: String,
}

impl Mistake {
    pub(super) fn unknown<'a>(key: &str, origin: Origin, known: impl Iterator<Item = &'a String>) -> Self {
        let nearest = known.map(|known| (distance(key, known), known)).min();
        let what = match nearest {
            Some((far, known)) if far <= 3 => format!("no such setting; did you mean {known}?"),
            _ => "no such setting".to_owned(),
        };
        Self { key: key.to_owned(), origin, what }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() {
            write!(f, "{}: {}", self.origin, self.what)
        } else {
            write!(f, "{} ({}): {}", self.key, self.origin, self.what)
        }
    }
}

pub(super) struct Reader<'a> {
    /// Every key there is, with what stands for it: the highest layer's word.
    merged: BTreeMap<&'a str, &'a Given>,
    /// Keys not yet asked for: a test says that none remains.
    unread: BTreeMap<&'a str, ()>,
    mistakes: Vec<Mistake>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(defaults: &'a Layer, layers: &'a [Layer]) -> Self {
        let mut merged: BTreeMap<&str, &Given> =
            defaults.given.iter().map(|(key, given)| (key.as_str(), given)).collect();
        let unread = merged.keys().map(|key| (*key, ())).collect();
        let mut mistakes = defaults.mistakes.clone();
        for layer in layers {
            mistakes.extend(layer.mistakes.iter().cloned());
            for (key, given) in &layer.given {
                match merged.get_mut(key.as_str()) {
                    Some(slot) => *slot = given,
                    None => {
                        let origin = given.origin.clone();
                        mistakes.push(Mistake::unknown(key, origin, defaults.given.keys()));
                    }
                }
            }
        }
        Self { merged, unread, mistakes }
    }

    /// What `parse` makes of the key's value; a mistake, and `fallback`, when it makes nothing.
    pub(super) fn read<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        fallback: T,
        parse: impl Fn(&Raw) -> Option<T>,
    ) -> T {
        self.unread.remove(key);
        let Some(given) = self.merged.get(key).copied() else {
            self.mistakes.push(Mistake {
                key: key.to_owned(),
                origin: Origin::Default,
                what: "is read but not in default.toml".to_owned(),
            });
            return fallback;
        };
        if let Some(value) = parse(&given.raw) {
            return value;
        }
        let found = if SECRETS.contains(&key) { "what is given".to_owned() } else { given.raw.to_string() };
        let what = format!("{found} will not do; expected {expected}");
        self.mistakes.push(Mistake { key: key.to_owned(), origin: given.origin.clone(), what });
        fallback
    }

    pub(super) fn span(&mut self, key: &'static str, within: RangeInclusive<Ttl>) -> Ttl {
        let expected = format!(
            "a span of time from {} to {}, such as \"90s\" or \"24h\"",
            spell_span(*within.start()),
            spell_span(*within.end())
        );
        self.read(key, &expected, *within.start(), |raw| {
            value::span(raw, key).filter(|span| within.contains(span))
        })
    }

    pub(super) fn size(&mut self, key: &'static str, within: RangeInclusive<u64>) -> u64 {
        let expected = format!("a size from {} to {} bytes, such as \"64KiB\"", within.start(), within.end());
        self.read(key, &expected, *within.start(), |raw| {
            value::size(raw, key).filter(|size| within.contains(size))
        })
    }

    pub(super) fn count(&mut self, key: &'static str, within: RangeInclusive<u64>) -> u64 {
        let expected = format!("a number from {} to {}", within.start(), within.end());
        self.read(key, &expected, *within.start(), |raw| {
            value::count(raw).filter(|count| within.contains(count))
        })
    }

    /// A count that must fit its narrower type: `within` sees to that.
    pub(super) fn number<T>(&mut self, key: &'static str, within: RangeInclusive<u64>) -> T
    where
        T: TryFrom<u64> + Default,
    {
        T::try_from(self.count(key, within)).unwrap_or_default()
    }

    pub(super) fn boolean(&mut self, key: &'static str) -> bool {
        self.read(key, "true or false", false, value::boolean)
    }

    pub(super) fn text(&mut self, key: &'static str) -> String {
        self.read(key, "a text", String::new(), value::text)
    }

    /// None for an empty text.
    pub(super) fn optional_text(&mut self, key: &'static str) -> Option<String> {
        Some(self.text(key)).filter(|text| !text.is_empty())
    }

    pub(super) fn address(&mut self, key: &'static str) -> SocketAddr {
        let fallback = SocketAddr::from(([127, 0, 0, 1], 0));
        self.read(key, "an address and port, such as \"127.0.0.1:8080\"", fallback, |raw| {
            value::text(raw)?.parse().ok()
        })
    }

    /// None for an empty text.
    pub(super) fn optional_address(&mut self, key: &'static str) -> Option<SocketAddr> {
        let expected = "an address and port, such as \"0.0.0.0:8081\", or nothing";
        self.read(key, expected, None, |raw| {
            let text = value::text(raw)?;
            if text.is_empty() { Some(None) } else { text.parse().ok().map(Some) }
        })
    }

    /// A mistake in how settings go together, told at `key`.
    pub(super) fn object(&mut self, key: &str, what: impl Into<String>) {
        let origin = self.merged.get(key).map_or(Origin::Default, |given| given.origin.clone());
        self.mistakes.push(Mistake { key: key.to_owned(), origin, what: what.into() });
    }

    pub(super) fn settings(&self) -> Vec<Setting> {
        let show = |(key, given): (&&str, &&Given)| Setting {
            key: (*key).to_owned(),
            value: match (&given.raw, SECRETS.contains(key)) {
                (Raw::Text(text), true) if !text.is_empty() => "\"***\"".to_owned(),
                (raw, _) => raw.to_string(),
            },
            origin: given.origin.to_string(),
        };
        self.merged.iter().map(show).collect()
    }

    /// Keys of default.toml that nothing read are a mistake of ours, found by any test that loads.
    pub(super) fn finish(self) -> Vec<Mistake> {
        let mut mistakes = self.mistakes;
        mistakes.extend(self.unread.keys().map(|key| Mistake {
            key: (*key).to_owned(),
            origin: Origin::Default,
            what: "is in default.toml but nothing reads it".to_owned(),
        }));
        mistakes
    }
}

fn spell_span(span: Ttl) -> String {
    match span.as_millis() {
        0 => "0s".to_owned(),
        ms if ms % 86_400_000 == 0 => format!("{}d", ms / 86_400_000),
        ms if ms % 3_600_000 == 0 => format!("{}h", ms / 3_600_000),
        ms if ms % 60_000 == 0 => format!("{}m", ms / 60_000),
        ms if ms % 1000 == 0 => format!("{}s", ms / 1000),
        ms => format!("{ms}ms"),
    }
}

/// How many letters to change, add or drop (Levenshtein), to suggest the key that was meant.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.iter().enumerate() {
            let substituted = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[other.len()]
}

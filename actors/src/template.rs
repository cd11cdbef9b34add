//! Placeholders: `#name#` in a text, a name of letters, digits and underscores. Any other `#` is
//! itself. Pure.

use std::collections::BTreeMap;

/// Placeholder → its text.
pub type Values = BTreeMap<String, String>;

/// A placeholder for which nobody gave a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no value for #{0}#")]
pub struct Missing(pub String);

/// The text with each placeholder's value in its place: of the first map that has one.
pub fn render(text: &str, values: &[&Values]) -> Result<String, Missing> {
    let mut rendered = String::with_capacity(text.len());
    for part in parts(text) {
        match part {
            Part::Text(text) => rendered.push_str(text),
            Part::Placeholder(name) => {
                let value = values.iter().find_map(|values| values.get(name));
                rendered.push_str(value.ok_or_else(|| Missing(name.to_owned()))?);
            }
        }
    }
    Ok(rendered)
}

/// The names of a text's placeholders, in their order, repeats included.
pub fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    parts(text).filter_map(|part| match part {
        Part::Placeholder(name) => Some(name),
        Part::Text(_) => None,
    })
}

enum Part<'a> {
    Text(&'a str),
    Placeholder(&'a str),
}

fn parts(text: &str) -> impl Iterator<Item = Part<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if let Some(after) = rest.strip_prefix('#')
            && let Some(end) = after.find('#')
            && is_name(&after[..end])
        {
            rest = &after[end + 1..];
            return Some(Part::Placeholder(&after[..end]));
        }
        // A lone mark is text, up to the next.
        let marks = rest.char_indices().skip(1);
        let end = marks.into_iter().find(|(_, char)| *char == '#').map_or(rest.len(), |(at, _)| at);
        let (text, after) = rest.split_at(end);
        rest = after;
        Some(Part::Text(text))
    })
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|char| char.is_alphanumeric() || char == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&str, &str)]) -> Values {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_placeholder_becomes_its_value_and_any_other_mark_stays() {
        let values = values(&[("name", "Ann"), ("名", "安")]);
        for (text, expected) in [
            ("Hi #name#!", "Hi Ann!"),
            ("#name##name#", "AnnAnn"),
            ("#名#", "安"),
            ("no. #1 of # # 3", "no. #1 of # # 3"),
            ("##name#", "#Ann"),
            ("#", "#"),
            ("", ""),
        ] {
            assert_eq!(render(text, &[&values]).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn the_first_map_that_has_a_value_gives_it() {
        let (own, common) = (values(&[("a", "own")]), values(&[("a", "common"), ("b", "common")]));
        assert_eq!(render("#a# #b#", &[&own, &common]).unwrap(), "own common");
    }

    #[test]
    fn a_missing_value_is_named() {
        assert_eq!(render("#a##b#", &[&values(&[("a", "x")])]), Err(Missing("b".to_owned())));
    }
}

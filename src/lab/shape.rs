//! A body looked into field by field, as a vendor that takes its own documents seriously would.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

/// An object of a body. A field that is `null` is absent. Errors say where and what, for a
/// developer who looks at the answer.
#[derive(Clone)]
pub(super) struct Shape<'a> {
    at: String,
    fields: &'a Map<String, Value>,
}

impl<'a> Shape<'a> {
    pub(super) fn of(value: &'a Value, at: &str) -> Result<Self, String> {
        let fields = value.as_object().ok_or_else(|| format!("{at}: not an object"))?;
        Ok(Self { at: at.to_owned(), fields })
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        self.fields.get(name).filter(|value| !value.is_null())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// No field but these: a misspelt one is ignored by most vendors, and found here.
    pub(super) fn only(&self, names: &[&str]) -> Result<(), String> {
        match self.fields.keys().find(|name| !names.contains(&name.as_str())) {
            Some(name) => Err(format!("{}.{name}: no such field", self.at)),
            None => Ok(()),
        }
    }

    pub(super) fn need(&self, names: &[&str]) -> Result<(), String> {
        match names.iter().find(|name| !self.has(name)) {
            Some(name) => Err(self.wrong(name, "missing")),
            None => Ok(()),
        }
    }

    /// In characters.
    pub(super) fn text(&self, name: &str, length: RangeInclusive<usize>) -> Result<Option<&'a str>, String> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let text = value.as_str().ok_or_else(|| self.wrong(name, "not a string"))?;
        if !length.contains(&text.chars().count()) {
            let bounds = format!("not {} to {} characters", length.start(), length.end());
            return Err(self.wrong(name, &bounds));
        }
        Ok(Some(text))
    }

    pub(super) fn integer(&self, name: &str, bounds: RangeInclusive<i64>) -> Result<Option<i64>, String> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let number = value.as_i64().ok_or_else(|| self.wrong(name, "not an integer"))?;
        if !bounds.contains(&number) {
            return Err(self.wrong(name, &format!("not in {}..={}", bounds.start(), bounds.end())));
        }
        Ok(Some(number))
    }

    pub(super) fn word(&self, name: &str, words: &[&str]) -> Result<Option<&'a str>, String> {
        let word = self.text(name, 0..=usize::MAX)?;
        match word {
            Some(word) if !words.contains(&word) => Err(self.wrong(name, "none of its words")),
            _ => Ok(word),
        }
    }

    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, String> {
        let Some(value) = self.get(name) else { return Ok(None) };
        value.as_bool().map(Some).ok_or_else(|| self.wrong(name, "not a boolean"))
    }

    pub(super) fn object(&self, name: &str) -> Result<Option<Self>, String> {
        let Some(value) = self.get(name) else { return Ok(None) };
        Self::of(value, &format!("{}.{name}", self.at)).map(Some)
    }

    pub(super) fn list(&self, name: &str, length_max: usize) -> Result<Option<&'a [Value]>, String> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let list = value.as_array().ok_or_else(|| self.wrong(name, "not an array"))?;
        if list.len() > length_max {
            return Err(self.wrong(name, &format!("more than {length_max}")));
        }
        Ok(Some(list))
    }

    /// An array of strings, however many.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<String>, String> {
        let list = self.list(name, usize::MAX)?.unwrap_or_default();
        let texts = list.iter().map(|value| value.as_str().map(str::to_owned));
        texts.collect::<Option<_>>().ok_or_else(|| self.wrong(name, "not strings alone"))
    }

    pub(super) fn wrong(&self, name: &str, why: &str) -> String {
        format!("{}.{name}: {why}", self.at)
    }
}

/// The first that is there a second time.
pub(super) fn repeated(tokens: &[String]) -> Option<&String> {
    let mut seen = std::collections::HashSet::new();
    tokens.iter().find(|token| !seen.insert(token.as_str()))
}

/// Bytes of a body but for the token list, which vendors do not count.
pub(super) fn bytes_without(body: &Value, pointer: &str) -> usize {
    let mut body = body.clone();
    if let Some(tokens) = body.pointer_mut(pointer) {
        *tokens = Value::Array(Vec::new());
    }
    body.to_string().len()
}

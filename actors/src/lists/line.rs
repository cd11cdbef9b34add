//! One line of a list: a target, and what is its own. Pure.

use carillon_sdk::{DeviceId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::order::Named;
use crate::template::Values;

/// Longest line, in bytes.
pub const LINE_BYTES_MAX: usize = 64 * 1024;

/// Values of a line, and bytes of one.
const VALUES_MAX: usize = 100;
const VALUE_BYTES_MAX: usize = 1_024;
const KEY_BYTES_MAX: usize = 256;
/// Deepest nesting of `data`, as in a push.
const DATA_DEPTH_MAX: usize = 16;

#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    pub to: Named,
    /// The caller's own name for the message.
    pub key: Option<String>,
    pub values: Values,
    /// A JSON object, as text, in place of the campaign's.
    pub data: Option<String>,
}

/// A line as it stands in a file.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    device_id: Option<DeviceId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_id: Option<UserId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(default, skip_serializing_if = "Values::is_empty")]
    values: Values,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<Map<String, Value>>,
}

impl Line {
    /// Reads a line of NDJSON, or says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        // A sequence would be taken for the fields in their order.
        if !text.trim_start().starts_with('{') {
            return Err("expected a JSON object".to_owned());
        }
        let row: Row = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let to = match (row.device_id, row.user_id) {
            (Some(device), None) => Named::Device(device),
            (None, Some(user)) => Named::User(user),
            _ => return Err("expected exactly one of device_id and user_id".to_owned()),
        };
        Self {
            to,
            key: row.key,
            values: row.values,
            data: row.data.map(|data| Value::Object(data).to_string()),
        }
        .checked()
    }

    /// The line itself, when it is within its limits.
    pub fn checked(self) -> Result<Self, String> {
        if self.key.as_ref().is_some_and(|key| key.is_empty() || key.len() > KEY_BYTES_MAX) {
            return Err(format!("a key has 1 to {KEY_BYTES_MAX} bytes"));
        }
        if self.values.len() > VALUES_MAX {
            return Err(format!("{} values; at most {VALUES_MAX}", self.values.len()));
        }
        if let Some((name, _)) = self.values.iter().find(|(_, value)| value.len() > VALUE_BYTES_MAX) {
            return Err(format!("the value of {name} has more than {VALUE_BYTES_MAX} bytes"));
        }
        if self.data.as_deref().is_some_and(|data| depth(data) > DATA_DEPTH_MAX) {
            return Err(format!("data is nested deeper than {DATA_DEPTH_MAX}"));
        }
        Ok(self)
    }

    /// As NDJSON, without its end.
    #[must_use]
    pub fn text(&self) -> String {
        let (device_id, user_id) = match &self.to {
            Named::Device(id) => (Some(id.clone()), None),
            Named::User(id) => (None, Some(id.clone())),
        };
        let row = Row {
            device_id,
            user_id,
            key: self.key.clone(),
            values: self.values.clone(),
            data: self.data.as_deref().and_then(|text| serde_json::from_str(text).ok()),
        };
        // Texts and maps with text keys always serialize.
        serde_json::to_string(&row).unwrap_or_default()
    }
}

/// Objects and arrays within each other, in compact JSON.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest, mut quoted, mut escaped) = (0_usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_reads_back_as_it_was_written() {
        for text in [
            r#"{"device_id":"d1"}"#,
            r#"{"user_id":"ann","key":"k1","values":{"name":"Ann","名":"安"},"data":{"a":[1,{"b":"]\"}"}]}}"#,
        ] {
            let line = Line::parse(text).unwrap();
            assert_eq!(line.text(), text);
            assert_eq!(Line::parse(&line.text()).unwrap(), line);
        }
    }

    #[test]
    fn what_is_wrong_with_a_line_is_said() {
        let long = "x".repeat(1_025);
        let deep = format!("{}{}", r#"{"a":"#.repeat(17), "}".repeat(17)).replace(":}", ":1}");
        for (text, said) in [
            ("", "expected a JSON object"),
            ("[]", "expected a JSON object"),
            (r#"["d"]"#, "expected a JSON object"),
            ("{", "EOF"),
            ("{}", "exactly one"),
            (r#"{"device_id":"d","user_id":"u"}"#, "exactly one"),
            (r#"{"device_id":""}"#, "1 to 256"),
            (r#"{"device_id":"d","shoe":1}"#, "unknown field"),
            (r#"{"device_id":"d","values":{"a":1}}"#, "expected a string"),
            (r#"{"device_id":"d","data":[1]}"#, "expected a map"),
            (r#"{"device_id":"d","key":""}"#, "a key has"),
            (&format!(r#"{{"device_id":"d","values":{{"a":"{long}"}}}}"#), "the value of a"),
            (&format!(r#"{{"device_id":"d","data":{deep}}}"#), "nested deeper"),
        ] {
            let error = Line::parse(text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn brackets_within_texts_are_no_depth() {
        assert_eq!(depth(r#"{"a":"[[[{{{","b":"\"[["}"#), 1);
        assert_eq!(depth(r#"{"a":[{"b":1}],"c":[]}"#), 3);
    }
}

//! The parameters of a call: flat names with dots, as a form has them, read one by one.
//!
//! `TargetMsg.1.Target` is a member of the first of a list; `TransparentMessagePayload.hms.k` one of
//! an object that the SDK took apart. Such an object may also come whole, as one field of JSON.

use std::collections::BTreeMap;
use std::ops::Bound;

use serde_json::{Map, Value};

use super::fault::{Fault, Kind};
use super::result::{Code, Failure};

/// Most parameters of one call: a hundred targets with four members each, and the rest.
const PARAMETERS_MAX: usize = 2_000;

/// Deepest nesting of an object made from dotted names.
const DEPTH_MAX: usize = 16;

/// Every parameter once, in order of its name.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Form(BTreeMap<String, String>);

/// A call whose parameters are not text: the one failure that is found before the action is known.
#[derive(Debug)]
pub(crate) enum Unread {
    NotUtf8,
    Fault(Fault),
}

impl Form {
    pub(crate) fn new(pairs: Vec<(Vec<u8>, Vec<u8>)>) -> Result<Self, Unread> {
        let invalid = |message: String| Unread::Fault(Fault::new(Kind::InvalidParameter, message));
        if pairs.len() > PARAMETERS_MAX {
            return Err(invalid(format!("{} parameters; at most {PARAMETERS_MAX}.", pairs.len())));
        }
        let mut fields = BTreeMap::new();
        for (name, value) in pairs {
            let text = |bytes: Vec<u8>| String::from_utf8(bytes).map_err(|_| Unread::NotUtf8);
            let name = text(name)?;
            if fields.insert(name.clone(), text(value)?).is_some() {
                return Err(invalid(format!("The parameter {name} is given twice.")));
            }
        }
        Ok(Self(fields))
    }

    /// None when absent or empty: the SDK sends an empty text for what was set to one.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    pub(crate) fn owned(&self, name: &str) -> Option<String> {
        self.text(name).map(str::to_owned)
    }

    pub(crate) fn int(&self, name: &str) -> Result<Option<i64>, Failure> {
        let parse = |text: &str| text.trim().parse().ok();
        self.text(name)
            .map(|text| {
                parse(text).ok_or_else(|| Code::InvalidParam.because(format!("{name} is no integer")))
            })
            .transpose()
    }

    /// An integer that is one of these; the first when it is absent.
    pub(crate) fn choice(&self, name: &str, of: &[i64]) -> Result<i64, Failure> {
        let given = self.int(name)?.unwrap_or(of[0]);
        if of.contains(&given) {
            return Ok(given);
        }
        Err(Code::InvalidParam.because(format!("{name} is {given}; it may be one of {of:?}")))
    }

    /// A JSON object in one field.
    pub(crate) fn object(&self, name: &str) -> Result<Option<Map<String, Value>>, ()> {
        self.text(name).map(object_of).transpose()
    }

    /// An object taken apart by dots, or whole in one field; both, and it is neither.
    pub(crate) fn any(&self, name: &str) -> Result<Option<Value>, Failure> {
        let invalid = |what: &str| Code::InvalidParam.because(format!("{name} {what}"));
        let prefix = format!("{name}.");
        let mut parts = self.under(&prefix).peekable();
        if let Some(text) = self.text(name) {
            if parts.peek().is_some() {
                return Err(invalid("is given both whole and in parts"));
            }
            return object_of(text)
                .map(|object| Some(Value::Object(object)))
                .map_err(|()| invalid("is no JSON object"));
        }
        let mut built = Value::Null;
        for (path, value) in parts {
            let steps: Vec<&str> = path.split('.').collect();
            if steps.len() > DEPTH_MAX {
                return Err(invalid("is nested too deep"));
            }
            put(&mut built, &steps, value)
                .map_err(|()| invalid("has a part that is both text and object"))?;
        }
        Ok((!built.is_null()).then(|| listed(built)))
    }

    /// The members of each of a dotted list, in order of their numbers: `1`, `2`, …
    pub(crate) fn list(&self, name: &str) -> Result<Vec<Self>, Failure> {
        let prefix = format!("{name}.");
        let mut items: BTreeMap<u32, Self> = BTreeMap::new();
        for (path, value) in self.under(&prefix) {
            let numbered = path.split_once('.').and_then(|(at, rest)| Some((at.parse::<u32>().ok()?, rest)));
            let Some((at, member)) = numbered else {
                return Err(Code::InvalidParam.because(format!("{prefix}{path} is no member of a list")));
            };
            items.entry(at).or_default().0.insert(member.to_owned(), value.to_owned());
        }
        if items.keys().copied().ne(1..=u32::try_from(items.len()).unwrap_or(u32::MAX)) {
            return Err(Code::InvalidParam.because(format!("{name} is not numbered 1, 2, … without gaps")));
        }
        Ok(items.into_values().collect())
    }

    fn under<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let from = self.0.range::<str, _>((Bound::Included(prefix), Bound::Unbounded));
        from.map_while(move |(name, value)| Some((name.strip_prefix(prefix)?, value.as_str())))
    }
}

/// The object that a text is.
pub(crate) fn object_of(text: &str) -> Result<Map<String, Value>, ()> {
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) | Err(_) => Err(()),
    }
}

/// A value as the text that a device or a template gets: a text bare, everything else as JSON.
pub(crate) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn put(into: &mut Value, steps: &[&str], value: &str) -> Result<(), ()> {
    let Some((step, rest)) = steps.split_first() else {
        if !into.is_null() {
            return Err(());
        }
        *into = Value::from(value);
        return Ok(());
    };
    if into.is_null() {
        *into = Value::Object(Map::new());
    }
    let Value::Object(fields) = into else { return Err(()) };
    put(fields.entry(*step).or_insert(Value::Null), rest, value)
}

/// An object whose names are 1, 2, … was a list before the SDK took it apart.
fn listed(value: Value) -> Value {
    let Value::Object(fields) = value else { return value };
    let count = fields.len();
    let is_list = count > 0 && (1..=count).all(|at| fields.contains_key(&at.to_string()));
    let mut fields: Map<String, Value> =
        fields.into_iter().map(|(name, value)| (name, listed(value))).collect();
    if !is_list {
        return Value::Object(fields);
    }
    Value::Array((1..=count).filter_map(|at| fields.remove(&at.to_string())).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::sign::pairs;
    use super::*;

    fn form(text: &str) -> Form {
        Form::new(pairs(text.as_bytes())).unwrap()
    }

    #[test]
    fn a_list_is_in_order_of_its_numbers() {
        let form =
            form("L.10.A=j&L.2.A=b&L.1.A=a&L.1.B.C=x&L.3.A=&L.4.A=d&L.5.A=e&L.6.A=f&L.7.A=g&L.8.A=h&L.9.A=i");
        let list = form.list("L").unwrap();
        let names: Vec<_> = list.iter().map(|item| item.text("A").unwrap_or("-")).collect();
        assert_eq!(names.concat(), "ab-defghij");
        assert_eq!(list[0].text("B.C"), Some("x"));
        assert!(form.list("M").unwrap().is_empty());
    }

    #[test]
    fn a_list_with_a_gap_or_without_numbers_is_refused() {
        for wrong in ["L.1.A=a&L.3.A=b", "L.0.A=a", "L.A=1", "L.x.A=1"] {
            assert_eq!(form(wrong).list("L").unwrap_err().code, Code::InvalidParam, "{wrong}");
        }
    }

    #[test]
    fn an_object_is_the_same_whole_and_in_parts() {
        let whole = form("P=%7B%22hms%22%3A%7B%22k%22%3A%22v%22%7D%2C%22l%22%3A%5B%22a%22%2C%22b%22%5D%7D");
        let parts = form("P.hms.k=v&P.l.1=a&P.l.2=b");
        assert_eq!(whole.any("P").unwrap(), parts.any("P").unwrap());
        assert_eq!(whole.any("P").unwrap(), Some(json!({"hms": {"k": "v"}, "l": ["a", "b"]})));
        assert_eq!(form("Q=1").any("P").unwrap(), None);
        for wrong in ["P=x", "P=%5B%5D", "P={}&P.a=1", "P.a=1&P.a.b=2"] {
            assert_eq!(form(wrong).any("P").unwrap_err().code, Code::InvalidParam, "{wrong}");
        }
    }

    #[test]
    fn what_is_given_twice_or_is_no_text_is_refused() {
        assert!(matches!(Form::new(pairs(b"A=1&A=1")), Err(Unread::Fault(_))));
        assert!(matches!(Form::new(pairs(b"A=%ff")), Err(Unread::NotUtf8)));
    }

    #[test]
    fn an_integer_is_an_integer_and_a_choice_one_of_its_kinds() {
        let form = form("A=7&B=x&C=");
        assert_eq!(form.int("A"), Ok(Some(7)));
        assert_eq!(form.int("C"), Ok(None));
        assert_eq!(form.int("B").unwrap_err().code, Code::InvalidParam);
        assert_eq!(form.choice("C", &[0, 1]), Ok(0));
        assert!(form.choice("A", &[0, 1]).is_err());
    }
}

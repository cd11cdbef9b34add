//! Where settings are given: files, the environment, flags. Each becomes a layer, a map from key to
//! what was given and where.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;

use super::reader::Mistake;

const DEFAULT_TOML: &str = include_str!("../../config/default.toml");
const DEV_TOML: &str = include_str!("../../config/dev.toml");

/// Every variable of ours begins so.
const PREFIX: &str = "CARILLON_";

/// Keys whose value is secret: it may stand in a file that the environment names, and never prints.
pub(super) const SECRETS: &[&str] = &["store.master_secret"];

/// Where a setting was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Default,
    /// config/dev.toml, built in.
    Dev,
    File {
        name: String,
        line: usize,
    },
    Environment(String),
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Dev => f.write_str("dev"),
            Self::File { name, line } => write!(f, "{name}:{line}"),
            Self::Environment(name) => f.write_str(name),
            Self::Flag(name) => write!(f, "--{name}"),
        }
    }
}

/// A value before its type is known. The environment and flags give only texts.
#[derive(Debug, Clone, PartialEq)]
pub enum Raw {
    Text(String),
    Int(i64),
    Bool(bool),
    /// Of no kind that any setting has.
    Other(&'static str),
}

impl fmt::Display for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Int(n) => write!(f, "{n}"),
            Self::Bool(b) => write!(f, "{b}"),
            Self::Other(kind) => f.write_str(kind),
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Given {
    pub raw: Raw,
    pub origin: Origin,
}

/// One place's settings.
#[derive(Debug, Clone, Default)]
pub struct Layer {
    pub(super) given: BTreeMap<String, Given>,
    pub(super) mistakes: Vec<Mistake>,
}

impl Layer {
    pub(super) fn defaults() -> Self {
        Self::toml(DEFAULT_TOML, |_| Origin::Default)
    }

    /// What `carillon dev` changes.
    #[must_use]
    pub fn dev() -> Self {
        Self::toml(DEV_TOML, |_| Origin::Dev)
    }

    /// A TOML file's settings; `name` is how mistakes call it.
    #[must_use]
    pub fn file(name: &str, text: &str) -> Self {
        Self::toml(text, |line| Origin::File { name: name.to_owned(), line })
    }

    /// The variables of ours among `variables`; `read` reads the files that `…_FILE` names.
    /// A variable of a section we have must name a key of it. Others are not ours to judge:
    /// Kubernetes makes up `CARILLON_SERVICE_HOST` and the like, and the clients have their own.
    pub fn environment(
        variables: impl IntoIterator<Item = (String, String)>,
        read: impl Fn(&Path) -> io::Result<String>,
    ) -> Self {
        let keys: BTreeMap<String, String> =
            Self::defaults().given.into_keys().map(|key| (variable(&key), key)).collect();
        let sections: Vec<String> =
            keys.values().filter_map(|key| Some(variable(key.split_once('.')?.0) + "_")).collect();
        let mut layer = Self::default();
        for (name, value) in variables {
            let file_of = name.strip_suffix("_FILE").and_then(|name| keys.get(name));
            let secret_file = file_of.filter(|key| SECRETS.contains(&key.as_str()));
            if value.is_empty() {
                continue;
            }
            if let Some(key) = keys.get(&name) {
                layer.give(key, Raw::Text(value), Origin::Environment(name));
            } else if let Some(key) = secret_file {
                match read(Path::new(&value)) {
                    Ok(text) => {
                        layer.give(key, Raw::Text(text.trim().to_owned()), Origin::Environment(name));
                    }
                    Err(error) => layer.mistakes.push(Mistake {
                        key: key.clone(),
                        origin: Origin::Environment(name),
                        what: format!("the file {value:?} cannot be read: {error}"),
                    }),
                }
            } else if sections.iter().any(|section| name.starts_with(section)) && !kubernetes_made(&name) {
                layer.mistakes.push(Mistake::unknown(&name, Origin::Environment(name.clone()), keys.keys()));
            }
        }
        layer
    }

    /// Flags of the command line: key, the flag's name, its value.
    pub fn flags<'a>(flags: impl IntoIterator<Item = (&'a str, &'a str, String)>) -> Self {
        let mut layer = Self::default();
        for (key, flag, value) in flags {
            layer.give(key, Raw::Text(value), Origin::Flag(flag.to_owned()));
        }
        layer
    }

    fn give(&mut self, key: &str, raw: Raw, origin: Origin) {
        self.given.insert(key.to_owned(), Given { raw, origin });
    }

    /// Sections and their keys; deeper tables do not exist. Every syntax error is told, not only
    /// the first.
    fn toml(text: &str, origin: impl Fn(usize) -> Origin) -> Self {
        let mut layer = Self::default();
        let line = |at: usize| text.get(..at).map_or(1, |before| before.matches('\n').count() + 1);
        let (table, errors) = toml::de::DeTable::parse_recoverable(text);
        for error in errors {
            let at = error.span().map_or(1, |span| line(span.start));
            layer.mistakes.push(Mistake {
                key: String::new(),
                origin: origin(at),
                what: format!("not TOML: {}", error.message()),
            });
        }
        for (section, keys) in table.get_ref() {
            let toml::de::DeValue::Table(keys) = keys.get_ref() else {
                layer.mistakes.push(Mistake {
                    key: section.get_ref().to_string(),
                    origin: origin(line(section.span().start)),
                    what: "a key outside any section; expected a [section] before it".to_owned(),
                });
                continue;
            };
            for (key, value) in keys {
                let name = format!("{}.{}", section.get_ref(), key.get_ref());
                layer.give(&name, raw(value.get_ref()), origin(line(key.span().start)));
            }
        }
        layer
    }
}

/// `http.tls_cert` is `CARILLON_HTTP_TLS_CERT`.
fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "_").to_uppercase())
}

/// What Kubernetes puts into the environment for a service named, say, `carillon-http`.
fn kubernetes_made(name: &str) -> bool {
    ["_SERVICE_HOST", "_PORT"].iter().any(|end| name.ends_with(end))
        || ["_SERVICE_PORT", "_PORT_"].iter().any(|part| name.contains(part))
}

fn raw(value: &toml::de::DeValue<'_>) -> Raw {
    use toml::de::DeValue;
    match value {
        DeValue::String(text) => Raw::Text(text.to_string()),
        DeValue::Integer(n) => i64::from_str_radix(&n.as_str().replace('_', ""), n.radix())
            .map_or(Raw::Other("a number out of all bounds"), Raw::Int),
        DeValue::Boolean(b) => Raw::Bool(*b),
        DeValue::Float(_) => Raw::Other("a number with a fraction"),
        DeValue::Datetime(_) => Raw::Other("a date"),
        DeValue::Array(_) => Raw::Other("a list"),
        DeValue::Table(_) => Raw::Other("a table"),
    }
}

//! The fields of one notification, held to the document.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Characters; the document says fewer than 50 and fewer than 128.
const TITLE_BELOW: usize = 50;
const DESCRIPTION_BELOW: usize = 128;
/// Ten days: what a private message is kept at most.
const KEPT_MS_MAX: u64 = 864_000_000;
/// The older document's two weeks.
const KEPT_MS_OLD: u64 = 1_209_600_000;
const EXTRAS_MAX: usize = 10;
const EXTRA_CHARS_MAX: usize = 1_024;
const JOBKEY_MAX: usize = 20;
const CALLBACK_PARAM_MAX: usize = 256;
/// Bits of `extra.callback.type` that mean something.
const RECEIPTS: u32 = 1 | 2 | 16 | 32 | 64 | 128 | 1_024;

pub(super) struct Fields(BTreeMap<String, String>);

/// A refusal.
pub(super) struct Wrong {
    pub(super) code: u32,
    pub(super) why: String,
}

impl Wrong {
    pub(super) fn missing(name: &str) -> Self {
        Self { code: 10_016, why: format!("{name} is missing") }
    }

    pub(super) fn value(name: &str) -> Self {
        Self { code: 10_017, why: format!("{name} has a wrong value") }
    }

    pub(super) fn regid() -> Self {
        Self { code: 66_007, why: "Invalid regId".to_owned() }
    }
}

impl Fields {
    pub(super) fn new(form: Vec<(String, String)>) -> Result<Self, Wrong> {
        let mut fields = BTreeMap::new();
        for (name, value) in form {
            if fields.insert(name.clone(), value).is_some() {
                return Err(Wrong::value(&name));
            }
        }
        Ok(Self(fields))
    }

    /// The same as an object: extras either flat (`extra.jobkey`) or in an object `extra`.
    pub(super) fn of_json(message: &Value) -> Result<Self, Wrong> {
        let Value::Object(object) = message else { return Err(Wrong::missing("message")) };
        let mut fields = BTreeMap::new();
        let plain = |value: &Value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        for (name, value) in object {
            match value {
                Value::Object(extras) if name == "extra" => {
                    fields.extend(extras.iter().map(|(name, value)| (format!("extra.{name}"), plain(value))));
                }
                _ => _ = fields.insert(name.clone(), plain(value)),
            }
        }
        Ok(Self(fields))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// What the device would show.
    pub(super) fn content(&self) -> Value {
        let shown = self.0.iter().filter(|(name, _)| *name != "registration_id");
        Value::Object(shown.map(|(name, value)| (name.clone(), json!(value))).collect())
    }

    pub(super) fn check(&self, package: &str, is_lenient: bool) -> Result<(), Wrong> {
        match self.get("restricted_package_name") {
            Some(name) if name == package => {}
            Some(_) => return Err(Wrong { code: 22_022, why: "the package is not this app's".to_owned() }),
            None if is_lenient => {}
            None => return Err(Wrong::missing("restricted_package_name")),
        }
        match self.get("pass_through") {
            None | Some("0") => {}
            // Discontinued for apps that are not Xiaomi's, since 2022-09-12.
            _ => return Err(Wrong { code: 10_017, why: "pass_through is not supported".to_owned() }),
        }
        self.check_text("title", TITLE_BELOW, is_lenient)?;
        self.check_text("description", DESCRIPTION_BELOW, is_lenient)?;
        self.check_numbers(is_lenient)?;
        self.check_tap()?;
        self.check_extras()?;
        self.check_template(is_lenient)?;
        self.check_callback()
    }

    fn check_text(&self, name: &str, below: usize, is_lenient: bool) -> Result<(), Wrong> {
        let text = self.get(name).ok_or_else(|| Wrong::missing(name))?;
        if text.trim().is_empty() {
            return Err(Wrong { code: 10_041, why: format!("{name} is blank") });
        }
        let chars = text.chars().count();
        let is_too_long = chars > below || chars == below && !is_lenient;
        if is_too_long { Err(Wrong::value(name)) } else { Ok(()) }
    }

    fn check_numbers(&self, is_lenient: bool) -> Result<(), Wrong> {
        let kept_max = if is_lenient { KEPT_MS_OLD } else { KEPT_MS_MAX };
        let is_kept = |ms: i64| u64::try_from(ms).is_ok_and(|ms| ms <= kept_max);
        self.check_number("time_to_live", is_kept)?;
        self.check_number("notify_type", |kind| (-1..=7).contains(&kind))?;
        self.check_number("notify_id", |id| (0..=i64::from(i32::MAX)).contains(&id))?;
        self.check_number("time_to_send", |ms| ms >= 0)?;
        self.check_number("extra.notify_foreground", |flag| matches!(flag, 0 | 1))?;
        self.check_number("extra.only_send_once", |flag| matches!(flag, 0 | 1))?;
        self.check_number("extra.flow_control", |qps| qps >= 3_000)
    }

    fn check_number(&self, name: &str, is_good: impl Fn(i64) -> bool) -> Result<(), Wrong> {
        let Some(text) = self.get(name) else { return Ok(()) };
        let number = text.parse().ok().filter(|number| is_good(*number));
        number.map(|_| ()).ok_or_else(|| Wrong::value(name))
    }

    fn check_tap(&self) -> Result<(), Wrong> {
        match self.get("extra.notify_effect") {
            None | Some("1") => Ok(()),
            Some("2") => self.get("extra.intent_uri").map(|_| ()).ok_or(Wrong::missing("extra.intent_uri")),
            Some("3") => {
                let uri = self.get("extra.web_uri").ok_or(Wrong::missing("extra.web_uri"))?;
                let is_web = uri.starts_with("http://") || uri.starts_with("https://");
                if is_web { Ok(()) } else { Err(Wrong::value("extra.web_uri")) }
            }
            Some(_) => Err(Wrong::value("extra.notify_effect")),
        }
    }

    fn check_extras(&self) -> Result<(), Wrong> {
        let extras: Vec<_> = self.0.iter().filter(|(name, _)| name.starts_with("extra.")).collect();
        let chars: usize = extras.iter().map(|(name, value)| name.len() - 6 + value.chars().count()).sum();
        if extras.len() > EXTRAS_MAX || chars > EXTRA_CHARS_MAX {
            return Err(Wrong::value("extra"));
        }
        let is_long = self.get("extra.jobkey").is_some_and(|key| key.chars().count() > JOBKEY_MAX);
        if is_long { Err(Wrong::value("extra.jobkey")) } else { Ok(()) }
    }

    /// A private message names its template with the values of its variables (2314, 2026-06-02).
    fn check_template(&self, is_lenient: bool) -> Result<(), Wrong> {
        if self.get("extra.template_id").is_none() {
            return Ok(());
        }
        if self.get("extra.channel_id").is_none() {
            return Err(Wrong::missing("extra.channel_id"));
        }
        let Some(text) = self.get("extra.template_param") else {
            return if is_lenient { Ok(()) } else { Err(Wrong::missing("extra.template_param")) };
        };
        let Ok(Value::Object(params)) = serde_json::from_str(text) else {
            return Err(Wrong::value("extra.template_param"));
        };
        let is_good = |value: &Value| {
            value.as_str().is_some_and(|text| !text.trim().is_empty() && text.chars().count() <= 128)
        };
        let is_good = params.len() <= 9 && params.values().all(is_good);
        if is_good { Ok(()) } else { Err(Wrong::value("extra.template_param")) }
    }

    fn check_callback(&self) -> Result<(), Wrong> {
        let Some(url) = self.get("extra.callback") else { return Ok(()) };
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(Wrong { code: 65_036, why: "extra.callback is no URL".to_owned() });
        }
        if self.get("extra.callback.param").is_some_and(|param| param.len() > CALLBACK_PARAM_MAX) {
            return Err(Wrong { code: 65_038, why: "extra.callback.param is too long".to_owned() });
        }
        let Some(bits) = self.get("extra.callback.type") else { return Ok(()) };
        let is_known = bits.parse().is_ok_and(|bits: u32| bits > 0 && bits & !RECEIPTS == 0);
        if is_known { Ok(()) } else { Err(Wrong { code: 65_035, why: "extra.callback.type".to_owned() }) }
    }
}

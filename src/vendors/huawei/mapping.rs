//! Our message in Huawei's words.

use carillon_actors::channel::{Parcel, Refused};
use carillon_sdk::Vendor;
use serde_json::{Value, json};

use super::credential::Settings;
use crate::vendors::content;
use crate::vendors::pushkit::{self, Click};
use crate::vendors::shown;

const NAMES: [&str; 2] = ["huawei", "hms"];
/// A category for data alone.
const PLAY_VOICE: &str = "PLAY_VOICE";

#[derive(Debug, Clone)]
pub(super) struct Content {
    /// `message`, without its tokens.
    message: Value,
    pub(super) degraded: Vec<&'static str>,
}

impl Content {
    pub(super) fn body(&self, tokens: &[&str]) -> String {
        let mut message = self.message.clone();
        message["token"] = json!(tokens);
        json!({"validate_only": false, "message": message}).to_string()
    }

    /// Without what needs a right that the app was found not to have; none when it asks for none.
    pub(super) fn lowered(&self) -> Option<Self> {
        if self.message["android"]["urgency"] != "HIGH" {
            return None;
        }
        let Self { mut message, mut degraded } = self.clone();
        message["android"]["urgency"] = json!("NORMAL");
        degraded.push("transparent_urgency");
        Some(Self { message, degraded })
    }
}

pub(super) fn content(parcel: &Parcel, settings: &Settings) -> Result<Content, Refused> {
    let options = &*parcel.options;
    let carried = ["image_url", "subtitle", "badge", "badge_add", "sound", "transparent_payload", "is_test"];
    let mut degraded = shown::lost(parcel, Vendor::Huawei, &carried);
    let mut android = json!({
        // Keeps all: of the hundred groups that there are, two of our keys would share one, and a
        // message would be lost for another's sake. On the screen the tag replaces.
        "collapse_key": -1,
        "ttl": format!("{}s", pushkit::ttl_s(parcel)),
        "bi_tag": pushkit::tag(parcel),
        "target_user_type": u8::from(options.is_test),
    });
    if let Some(id) = &settings.receipt_id {
        android["receipt_id"] = json!(id);
    }
    let silent = pushkit::silent(parcel, &[Vendor::Huawei]);
    match pushkit::category(options, &NAMES) {
        Some(word) if word == PLAY_VOICE && silent.is_none() => degraded.push("category"),
        Some(word) => android["category"] = json!(word),
        None => {}
    }
    let message = if let Some(data) = silent {
        android["urgency"] = json!(urgency(parcel));
        json!({"data": data, "android": android})
    } else {
        android["notification"] = notification(parcel, settings, &mut degraded)?;
        json!({"data": Value::Object(pushkit::data(parcel)).to_string(), "android": android})
    };
    pushkit::fits(&json!({"validate_only": false, "message": message}))?;
    Ok(Content { message, degraded })
}

/// HIGH needs a right, and is for who asked for it alone.
fn urgency(parcel: &Parcel) -> &'static str {
    let is_high =
        parcel.options.transparent_urgency.as_deref().map(|urgency| urgency.eq_ignore_ascii_case("high"));
    if is_high == Some(true) { "HIGH" } else { "NORMAL" }
}

fn notification(
    parcel: &Parcel,
    settings: &Settings,
    degraded: &mut Vec<&'static str>,
) -> Result<Value, Refused> {
    let (message, options) = (&*parcel.message, &*parcel.options);
    let (title, body) = pushkit::texts(parcel, Vendor::Huawei)?;
    let mut shown = json!({
        "title": title,
        "body": body,
        "click_action": click(parcel, settings, degraded),
        "importance": pushkit::importance(parcel, &NAMES),
        "foreground_show": true,
    });
    if pushkit::is_big(parcel) {
        (shown["style"], shown["big_title"], shown["big_body"]) = (json!(1), json!(title), json!(body));
    }
    if let Some(key) = message.collapse_key.as_deref().filter(|key| !key.is_empty()) {
        shown["notify_id"] = json!(shown::number(key));
    }
    match content::image(parcel, Vendor::Huawei) {
        Some(url) if url.starts_with("https://") => shown["image"] = json!(url),
        Some(_) => degraded.push("image_url"),
        None => {}
    }
    let channel = message.look.as_ref().and_then(|look| look.channel_id.as_deref());
    for (name, text) in [
        ("notify_summary", options.subtitle.as_deref()),
        ("group", options.thread_id.as_deref()),
        ("sound", options.sound.as_deref().filter(|sound| *sound != "default")),
        ("channel_id", channel),
    ] {
        if let Some(text) = text {
            shown[name] = json!(text);
        }
    }
    if let (added, set) = pushkit::badge(options)
        && (added.is_some() || set.is_some())
    {
        match options.badge_class.as_deref().or(settings.badge_class.as_deref()) {
            Some(class) => {
                let mut badge = json!({"class": class});
                // Both are taken, and what is set wins.
                if let Some(added) = added {
                    badge["add_num"] = json!(added);
                }
                if let Some(set) = set {
                    badge["set_num"] = json!(set);
                }
                shown["badge"] = badge;
            }
            None => degraded.push("badge"),
        }
    }
    Ok(shown)
}

fn click(parcel: &Parcel, settings: &Settings, degraded: &mut Vec<&'static str>) -> Value {
    match pushkit::click(parcel, settings.package.as_deref()) {
        Click::Page(url) => json!({"type": 2, "url": url}),
        Click::Intent(intent) => json!({"type": 1, "intent": intent}),
        Click::App => {
            if parcel.message.uri.as_deref().is_some_and(|uri| !uri.is_empty()) {
                degraded.push("uri");
            }
            json!({"type": 3})
        }
    }
}

#[cfg(test)]
#[path = "mapping_tests.rs"]
mod tests;

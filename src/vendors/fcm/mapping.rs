//! Our message in Google's words.

use carillon_actors::channel::{Parcel, Refused};
use carillon_actors::model::Message;
use carillon_sdk::Vendor;
use carillon_sdk::vendor::Level;
use carillon_sdk::wire::Lane;
use serde_json::{Map, Value, json};

use crate::vendors::{content, given, shown};

/// Bytes of notification and data.
const PAYLOAD_MAX: usize = 4_096;
/// 28 days.
const KEPT_S_MAX: u64 = 2_419_200;

/// A message without its token.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) message: Map<String, Value>,
    pub(super) degraded: Vec<&'static str>,
}

pub(super) fn content(parcel: &Parcel, package: Option<&str>) -> Result<Content, Refused> {
    let (message, options) = (&*parcel.message, &*parcel.options);
    let transparent = content::transparent(options, Vendor::Fcm);
    let is_silent = message.silent || transparent.is_some();
    let carried = ["image_url", "badge", "sound", "transparent_payload", "is_test"];
    let mut degraded = shown::lost(parcel, Vendor::Fcm, &carried);
    let data = data(message, transparent, &mut degraded);
    let mut android = Map::new();
    // High that shows nothing is taken for abuse, and lowered.
    let is_high = !is_silent && message.lane != Lane::Bulk && options.level != Some(Level::Passive);
    android.insert("priority".to_owned(), json!(if is_high { "HIGH" } else { "NORMAL" }));
    android.insert("ttl".to_owned(), json!(format!("{}s", content::left_s(parcel).min(KEPT_S_MAX))));
    if let Some(key) = &message.collapse_key {
        android.insert("collapse_key".to_owned(), json!(key));
    }
    if let Some(package) = package {
        android.insert("restricted_package_name".to_owned(), json!(package));
    }
    let mut whole = Map::new();
    if !is_silent {
        if message.title.is_none() && message.body.is_none() {
            return Err(given::unfit("nothing_to_show", "a notification needs a title or a body"));
        }
        whole.insert("notification".to_owned(), notification(parcel));
        android.insert("notification".to_owned(), look(parcel));
    }
    whole.insert("data".to_owned(), Value::Object(data));
    let size = |name: &str| whole.get(name).map_or(0, |part| part.to_string().len());
    if size("notification") + size("data") > PAYLOAD_MAX {
        return Err(given::unfit("payload_too_large", "Google takes 4096 bytes"));
    }
    whole.insert("android".to_owned(), Value::Object(android));
    if let Some(label) = message.task.map(|task| format!("t{task}")) {
        whole.insert("fcm_options".to_owned(), json!({"analytics_label": label}));
    }
    Ok(Content { message: whole, degraded })
}

pub(super) fn body(content: &Content, token: &str, is_test: bool) -> Vec<u8> {
    let mut message = content.message.clone();
    message.insert("token".to_owned(), json!(token));
    json!({"validate_only": is_test, "message": message}).to_string().into_bytes()
}

fn notification(parcel: &Parcel) -> Value {
    let message = &parcel.message;
    let image = content::image(parcel, Vendor::Fcm);
    object([
        ("title", message.title.as_ref().map(|text| json!(text))),
        ("body", message.body.as_ref().map(|text| json!(text))),
        ("image", image.map(|url| json!(url))),
    ])
}

fn look(parcel: &Parcel) -> Value {
    let (message, options) = (&*parcel.message, &*parcel.options);
    // What the app calls its channel is for the app to say; our kinds have no word at Google.
    let channel = message.look.as_ref().and_then(|look| look.channel_id.as_deref());
    let channel = channel.or_else(|| content::word(options, Vendor::Fcm));
    object([
        ("channel_id", channel.map(|id| json!(id))),
        ("tag", message.collapse_key.as_ref().map(|key| json!(key))),
        ("sound", options.sound.as_ref().map(|sound| json!(sound))),
        ("notification_count", options.badge.map(|count| json!(count))),
    ])
}

/// Texts alone; a value that is none becomes its JSON. Google's own names are ours under another, and
/// that is said.
fn data(
    message: &Message,
    transparent: Option<&Value>,
    degraded: &mut Vec<&'static str>,
) -> Map<String, Value> {
    let mut fields = content::data(message);
    match transparent {
        None => {}
        Some(Value::Object(more)) => fields.extend(more.clone()),
        Some(other) => _ = fields.insert("payload".to_owned(), other.clone()),
    }
    let mut data = Map::new();
    for (name, value) in fields {
        let is_reserved = matches!(&*name, "from" | "message_type")
            || name.starts_with("google")
            || name.starts_with("gcm");
        if is_reserved && !degraded.contains(&"data") {
            degraded.push("data");
        }
        let name = if is_reserved { format!("x_{name}") } else { name };
        let text = if let Value::String(text) = value { text } else { value.to_string() };
        data.insert(name, Value::String(text));
    }
    if let Some(uri) = &message.uri {
        data.entry("uri").or_insert_with(|| json!(uri));
    }
    data.insert(content::ID.to_owned(), json!(message.id.to_string()));
    data
}

fn object<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    let fields = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(fields.collect())
}

#[cfg(test)]
mod tests {
    use carillon_actors::model::Task;
    use carillon_sdk::Ttl;

    use super::*;
    use crate::vendors::content::tests::parcel;

    fn mapped(options: &Value, change: impl FnOnce(&mut Message)) -> (Value, Vec<&'static str>) {
        let parcel = parcel("tok", options, change);
        let content = content(&parcel, Some("com.example")).unwrap();
        let mut body: Value = serde_json::from_slice(&body(&content, "tok", parcel.options.is_test)).unwrap();
        assert_eq!(body["validate_only"], false);
        (body["message"].take(), content.degraded)
    }

    #[test]
    fn a_notification_has_all_that_google_has_a_word_for() {
        let (message, degraded) =
            mapped(&json!({"badge": 3, "badge_add": 1, "sound": "ping", "subtitle": "s"}), |message| {
                message.data =
                    Some(r#"{"oid":7781,"note":"n","deep":{"a":[1]},"from":"me","gcm.x":"y"}"#.to_owned());
                message.uri = Some("app://order".to_owned());
                message.collapse_key = Some("order".to_owned());
                message.task = Some(Task(42));
                message.look = Some(carillon_sdk::wire::Look {
                    image_url: Some("https://example.com/i.png".to_owned()),
                    channel_id: Some("orders".to_owned()),
                    ..Default::default()
                });
            });
        let id = parcel("t", &Value::Null, |_| {}).message.id.to_string();
        assert_eq!(
            message,
            json!({
                "token": "tok",
                "notification": {"title": "Paid", "body": "Order 7781", "image": "https://example.com/i.png"},
                "data": {"oid": "7781", "note": "n", "deep": "{\"a\":[1]}", "x_from": "me", "x_gcm.x": "y",
                    "uri": "app://order", "carillon_id": id},
                "android": {"priority": "HIGH", "ttl": "3600s", "collapse_key": "order",
                    "restricted_package_name": "com.example",
                    "notification": {"channel_id": "orders", "tag": "order", "sound": "ping",
                        "notification_count": 3}},
                "fcm_options": {"analytics_label": "t42"},
            })
        );
        assert_eq!(degraded, ["subtitle", "badge_add", "data"]);
    }

    #[test]
    fn a_silent_message_is_data_alone() {
        let (message, _) = mapped(&Value::Null, |message| message.silent = true);
        assert!(message.get("notification").is_none() && message["android"].get("notification").is_none());
        assert_eq!(message["android"]["priority"], "NORMAL");
        let (message, _) = mapped(&json!({"transparent_payload": {"fcm": {"k": 1}}}), |_| {});
        assert_eq!(message["data"]["k"], "1");
        assert!(message.get("notification").is_none());
    }

    #[test]
    fn the_time_to_live_is_what_is_left_within_28_days() {
        let ttl = |left: Ttl| {
            let (message, _) =
                mapped(&Value::Null, |message| message.expires_at = message.accepted_at + left);
            message["android"]["ttl"].as_str().unwrap().to_owned()
        };
        assert_eq!(ttl(Ttl::ZERO), "0s");
        assert_eq!(ttl(Ttl::from_millis(1_500)), "2s");
        assert_eq!(ttl(Ttl::from_secs(90 * 86_400)), "2419200s");
    }

    #[test]
    fn what_google_would_refuse_is_not_sent() {
        let code =
            |change: fn(&mut Message)| content(&parcel("t", &Value::Null, change), None).unwrap_err().code;
        assert_eq!(code(|message| message.body = Some("x".repeat(4_096))), "payload_too_large");
        assert_eq!(code(|message| (message.title, message.body) = (None, None)), "nothing_to_show");
    }
}

//! What only phone makers' channels and other roads need: checked, and kept with the record for them.

use carillon_sdk::{Fallback, Route};
use serde_json::{Map, Value, json};

use super::super::form::{Form, object_of};
use super::super::result::{Code, Failure};
use super::content::Extended;
use super::targets::Delivery;
use super::vendors::{by_vendor, categories, honors_level};

/// Plain texts, by the contract's name and ours.
const TEXTS: [(&str, &str); 2] = [("MiChannelId", "mi_channel_id"), ("VendorTemplate", "vendor_template")];

/// URLs by vendor: what is shown with style 2, and with no other.
const URLS: [(&str, &str); 2] = [("IconUrls", "icon_urls"), ("ImageUrls", "image_urls")];

const SMS: [(&str, &str); 3] = [
    ("SmsSignName", "sign_name"),
    ("SmsTemplateCode", "template_code"),
    ("SmsTemplateParam", "template_param"),
];

/// All of them together, in bytes of JSON.
const OPTIONS_BYTES_MAX: usize = 4_096;

/// The call's options over a template's, as a JSON object. `is_rich` is what the style says, the
/// call's or the template's.
pub(super) fn kept(
    form: &Form,
    extended: &Extended,
    of_template: Option<&str>,
    is_rich: bool,
    delivery: Delivery,
) -> Result<String, Failure> {
    let mut options = of_template.and_then(|text| object_of(text).ok()).unwrap_or_default();
    for (name, ours) in TEXTS {
        if let Some(text) = form.text(name) {
            options.insert(ours.to_owned(), Value::from(text));
        }
    }
    for (name, ours) in URLS {
        if let Some(urls) = object(form, name)? {
            options.insert(ours.to_owned(), Value::Object(urls));
        }
        if !is_rich {
            options.remove(ours);
        }
    }
    sort(form, &mut options)?;
    road(form, &mut options)?;
    if let Some(Value::Object(payload)) = form.any("TransparentMessagePayload")? {
        options.insert("transparent_payload".to_owned(), Value::Object(by_vendor(payload)));
    }
    one_of(form, &mut options, "TransparentMessageUrgency", "transparent_urgency", &["HIGH", "NORMAL"])?;
    if options.contains_key("transparent_urgency") && !options.contains_key("transparent_payload") {
        return Err(Code::InvalidParam.because("TransparentMessageUrgency without a payload"));
    }
    if delivery.is_activity() {
        live_activity(form, &mut options)?;
    }
    of_extended(extended, &mut options);
    sms(form, &mut options)?;
    // What the contract's limits say is refused, also where the vendor itself might take it.
    options.insert("contract_limits".to_owned(), Value::from(true));
    let text = Value::Object(options).to_string();
    if text.len() > OPTIONS_BYTES_MAX {
        let detail = format!("{} bytes of options; at most {OPTIONS_BYTES_MAX}", text.len());
        return Err(Code::MsgPayloadTooLong.because(detail));
    }
    Ok(text)
}

/// An object in one field that has members.
fn object(form: &Form, name: &str) -> Result<Option<Map<String, Value>>, Failure> {
    let object =
        form.object(name).map_err(|()| Code::InvalidParam.because(format!("{name} is no JSON object")))?;
    Ok(object.filter(|object| !object.is_empty()))
}

/// What kind of message it is to each vendor.
fn sort(form: &Form, options: &mut Map<String, Value>) -> Result<(), Failure> {
    let level = object(form, "NotifyLevel")?.map(by_vendor);
    let kinds = object(form, "ThirdChannelCategory")?.map(categories);
    let mut level = level.unwrap_or_default();
    if let Some(of_honor) = kinds.as_ref().and_then(honors_level) {
        level.entry("honor").or_insert(of_honor);
    }
    if !level.is_empty() {
        options.insert("notify_level".to_owned(), Value::Object(level));
    }
    if let Some(kinds) = kinds {
        options.insert("third_channel_category".to_owned(), Value::Object(kinds));
    }
    one_of(form, options, "Classification", "classification", &["0", "1"])?;
    // Of the system's class, says the contract, unless something else says what it is.
    let says = |name: &str| options.contains_key(name);
    let of_vivo = options.get("third_channel_category").is_some_and(|kinds| kinds.get("vivo").is_some());
    if !says("classification") && !says("category") && !of_vivo {
        options.insert("classification".to_owned(), Value::from("1"));
    }
    Ok(())
}

/// Which road it takes, where the call says so.
fn road(form: &Form, options: &mut Map<String, Value>) -> Result<(), Failure> {
    one_of(form, options, "NotifyType", "notify_type", &["transparent", "notify"])?;
    if form.text("AndroidChannel").is_some() {
        let own = form.choice("AndroidChannel", &[1, 2])? == 1;
        options.insert("notify_type".to_owned(), Value::from(if own { "transparent" } else { "notify" }));
    }
    if options.get("notify_type").is_some_and(|kind| kind == "transparent") {
        options.insert("route".to_owned(), Value::from(Route::OwnOnly.as_str()));
    }
    Ok(())
}

fn one_of(
    form: &Form,
    options: &mut Map<String, Value>,
    name: &str,
    ours: &str,
    of: &[&str],
) -> Result<(), Failure> {
    let Some(text) = form.text(name) else { return Ok(()) };
    if !of.contains(&text) {
        return Err(Code::InvalidParam.because(format!("{name} is {text:?}; it may be one of {of:?}")));
    }
    options.insert(ours.to_owned(), Value::from(text));
    Ok(())
}

/// Members of ExtendedParams that have a meaning on a vendor's channel. They reach the app all the
/// same; one that is no number where it should be is the app's alone.
fn of_extended(extended: &Extended, options: &mut Map<String, Value>) {
    let text = |name: &str| extended.common.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    for (name, ours) in [("sound", "sound"), ("badge_class", "badge_class")] {
        if let Some(text) = text(name) {
            options.insert(ours.to_owned(), Value::from(text));
        }
    }
    for (name, ours) in [("badge", "badge"), ("badge_add_num", "badge_add")] {
        if let Some(number) = text(name).and_then(|text| text.parse::<u32>().ok()) {
            options.insert(ours.to_owned(), Value::from(number));
        }
    }
    for (name, ours) in [("mutable-content", "mutable_content"), ("big_text", "big_text")] {
        if text(name).is_some_and(|text| matches!(text, "1" | "true")) {
            options.insert(ours.to_owned(), Value::from(true));
        }
    }
}

/// Goes by APNs or not at all: an activity has no socket.
fn live_activity(form: &Form, options: &mut Map<String, Value>) -> Result<(), Failure> {
    let mut activity = Map::new();
    one_of(form, &mut activity, "ActivityEvent", "event", &["update", "end"])?;
    let is_end = activity.get("event").is_some_and(|event| event == "end");
    match form.any("ActivityContentState")? {
        Some(state) => _ = activity.insert("content_state".to_owned(), state),
        None if is_end => {}
        None => return Err(Code::InvalidParam.because("an update needs ActivityContentState")),
    }
    if let Some(date) = form.int("DismissalDate")? {
        if date < 0 {
            return Err(Code::InvalidParam.because("DismissalDate is in seconds since 1970"));
        }
        activity.insert("dismissal_date_s".to_owned(), Value::from(date));
    }
    options.insert("live_activity".to_owned(), Value::Object(activity));
    options.insert("route".to_owned(), Value::from(Route::VendorFirst.as_str()));
    options.insert("fallback".to_owned(), Value::from(Fallback::None.as_str()));
    Ok(())
}

/// There is no road for SMS here: what was wished is kept, and said not to be sent.
fn sms(form: &Form, options: &mut Map<String, Value>) -> Result<(), Failure> {
    let strategy = form.choice("SmsStrategy", &[0, 1, 2])?;
    if strategy == 0 {
        return Ok(());
    }
    let mut sms =
        Map::from_iter([("strategy".to_owned(), Value::from(strategy)), ("sent".to_owned(), json!(false))]);
    for (name, ours) in SMS {
        if let Some(text) = form.text(name) {
            sms.insert(ours.to_owned(), Value::from(text));
        } else if name != "SmsTemplateParam" {
            return Err(Code::InvalidParam.because(format!("SmsStrategy {strategy} needs {name}")));
        }
    }
    if form.object("SmsTemplateParam").is_err() {
        return Err(Code::InvalidParam.because("SmsTemplateParam is no JSON object"));
    }
    options.insert("sms".to_owned(), Value::Object(sms));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::super::sign::pairs;
    use super::*;

    /// Without what every push has.
    fn as_kind(text: &str, delivery: Delivery) -> Result<Value, Code> {
        let form = Form::new(pairs(text.as_bytes())).unwrap();
        let extended = super::super::content::extended(&form).unwrap();
        let is_rich = text.contains("PushStyle=2");
        let kept = kept(&form, &extended, None, is_rich, delivery).map_err(|failure| failure.code)?;
        let mut kept = object_of(&kept).unwrap();
        assert_eq!(kept.remove("contract_limits"), Some(json!(true)));
        if kept.get("classification") == Some(&json!("1")) && !text.contains("Classification") {
            kept.remove("classification");
        }
        Ok(Value::Object(kept))
    }

    fn of(text: &str) -> Result<Value, Code> {
        as_kind(text, Delivery::Device)
    }

    #[test]
    fn what_other_roads_need_is_kept_in_our_words() {
        assert_eq!(of("Title=x"), Ok(json!({})));
        let text = "NotifyType=transparent&MiChannelId=c&NotifyLevel={\"hms\":\"2\"}&Classification=0\
            &TransparentMessagePayload.hms.k=v&TransparentMessageUrgency=HIGH\
            &ThirdChannelCategory={\"hms\":8,\"harmonyos\":\"11\",\"honor\":\"2\"}";
        let expected = json!({
            "notify_type": "transparent", "route": "own_only", "mi_channel_id": "c",
            "notify_level": {"huawei": "2", "honor": "2"}, "classification": "0",
            "third_channel_category": {"huawei": "EXPRESS", "harmonyos": "MAIL", "honor": "2"},
            "transparent_payload": {"huawei": {"k": "v"}}, "transparent_urgency": "HIGH",
        });
        assert_eq!(of(text), Ok(expected));
    }

    #[test]
    fn a_message_is_of_the_systems_class_unless_something_says_what_it_is() {
        let class = |text: &str, template: Option<&str>| {
            let form = Form::new(pairs(text.as_bytes())).unwrap();
            let kept = kept(&form, &Extended::default(), template, false, Delivery::Device).unwrap();
            object_of(&kept).unwrap().get("classification").cloned()
        };
        assert_eq!(class("Title=x", None), Some(json!("1")));
        assert_eq!(class("Classification=0", None), Some(json!("0")));
        assert_eq!(class("ThirdChannelCategory={\"vivo\":\"NEWS\"}", None), None);
        assert_eq!(class("ThirdChannelCategory={\"hms\":\"1\"}", None), Some(json!("1")));
        assert_eq!(class("Title=x", Some("{\"category\":\"marketing\"}")), None);
    }

    #[test]
    fn urls_by_vendor_are_for_a_rich_message_alone() {
        let urls = "IconUrls={\"hmsUrl\":\"https://i\"}&ImageUrls={\"hmsUrl\":\"https://p\"}";
        let kept = of(&format!("{urls}&PushStyle=2")).unwrap();
        assert_eq!(kept["image_urls"], json!({"hmsUrl": "https://p"}));
        assert_eq!(of(urls), Ok(json!({})));
    }

    #[test]
    fn a_live_activity_goes_by_apns_or_not_at_all() {
        let of = |text: &str| as_kind(text, Delivery::Activity);
        let text = "ActivityEvent=end&DismissalDate=5&ActivityContentState={\"eta\":5}";
        let expected = json!({
            "live_activity": {"event": "end", "dismissal_date_s": 5, "content_state": {"eta": 5}},
            "route": "vendor_first", "fallback": "none",
        });
        assert_eq!(of(text), Ok(expected));
        assert_eq!(of("ActivityEvent=end").unwrap()["live_activity"], json!({"event": "end"}));
        for wrong in
            ["ActivityEvent=begin", "ActivityEvent=update", "Title=x", "ActivityEvent=end&DismissalDate=-1"]
        {
            assert_eq!(of(wrong), Err(Code::InvalidParam), "{wrong}");
        }
        assert_eq!(super::tests::of(text), Ok(json!({})), "of a device they mean nothing");
    }

    #[test]
    fn extended_params_that_vendors_know_are_for_them_too() {
        let text = "ExtendedParams={\"sound\":\"ping\",\"badge\":3,\"mutable-content\":\"1\",\"badge_add_num\":\"2\",\
            \"badge_class\":\"a.B\",\"big_text\":1,\"own\":\"x\"}";
        let expected = json!({
            "sound": "ping", "badge": 3, "mutable_content": true, "badge_add": 2, "badge_class": "a.B",
            "big_text": true,
        });
        assert_eq!(of(text), Ok(expected));
        assert_eq!(of("ExtendedParams={\"badge\":\"many\"}"), Ok(json!({})));
    }

    #[test]
    fn an_sms_is_kept_and_said_not_to_be_sent() {
        let sms = of("SmsStrategy=1&SmsSignName=s&SmsTemplateCode=c&SmsTemplateParam={}").unwrap();
        assert_eq!(sms["sms"]["sent"], json!(false));
        assert_eq!(of("SmsStrategy=0&SmsSignName=s"), Ok(json!({})));
    }

    #[test]
    fn what_is_none_of_its_kinds_is_refused() {
        for wrong in [
            "NotifyType=loud",
            "Classification=2",
            "NotifyLevel=x",
            "TransparentMessageUrgency=HIGH",
            "SmsStrategy=3",
            "SmsStrategy=1&SmsSignName=s",
            "SmsStrategy=2&SmsSignName=s&SmsTemplateCode=c&SmsTemplateParam=x",
            "AndroidChannel=3",
        ] {
            assert_eq!(of(wrong), Err(Code::InvalidParam), "{wrong}");
        }
    }
}

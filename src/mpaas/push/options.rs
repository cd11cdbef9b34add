//! What only phone makers' channels and other roads need: checked, and kept with the record for them.

use carillon_sdk::Route;
use serde_json::{Map, Value, json};

use super::super::form::{Form, object_of};
use super::super::result::{Code, Failure};
use super::content::Extended;

/// Plain texts, by the contract's name and ours.
const TEXTS: [(&str, &str); 2] = [("MiChannelId", "mi_channel_id"), ("VendorTemplate", "vendor_template")];

/// JSON objects in one field.
const OBJECTS: [(&str, &str); 4] = [
    ("NotifyLevel", "notify_level"),
    ("ThirdChannelCategory", "third_channel_category"),
    ("IconUrls", "icon_urls"),
    ("ImageUrls", "image_urls"),
];

const SMS: [(&str, &str); 3] = [
    ("SmsSignName", "sign_name"),
    ("SmsTemplateCode", "template_code"),
    ("SmsTemplateParam", "template_param"),
];

/// All of them together, in bytes of JSON.
const OPTIONS_BYTES_MAX: usize = 4_096;

/// The call's options over a template's, as a JSON object; none when there is nothing to keep.
pub(super) fn kept(
    form: &Form,
    extended: &Extended,
    of_template: Option<&str>,
) -> Result<Option<String>, Failure> {
    let mut options = of_template.and_then(|text| object_of(text).ok()).unwrap_or_default();
    for (name, ours) in TEXTS {
        if let Some(text) = form.text(name) {
            options.insert(ours.to_owned(), Value::from(text));
        }
    }
    for (name, ours) in OBJECTS {
        let object = form
            .object(name)
            .map_err(|()| Code::InvalidParam.because(format!("{name} is no JSON object")))?;
        if let Some(object) = object.filter(|object| !object.is_empty()) {
            options.insert(ours.to_owned(), Value::Object(object));
        }
    }
    one_of(form, &mut options, "NotifyType", "notify_type", &["transparent", "notify"])?;
    one_of(form, &mut options, "Classification", "classification", &["0", "1"])?;
    if form.text("AndroidChannel").is_some() {
        let own = form.choice("AndroidChannel", &[1, 2])? == 1;
        options.insert("notify_type".to_owned(), Value::from(if own { "transparent" } else { "notify" }));
    }
    if options.get("notify_type").is_some_and(|kind| kind == "transparent") {
        options.insert("route".to_owned(), Value::from(Route::OwnOnly.as_str()));
    }
    if let Some(payload) = form.any("TransparentMessagePayload")? {
        options.insert("transparent_payload".to_owned(), payload);
    }
    one_of(form, &mut options, "TransparentMessageUrgency", "transparent_urgency", &["HIGH", "NORMAL"])?;
    if options.contains_key("transparent_urgency") && !options.contains_key("transparent_payload") {
        return Err(Code::InvalidParam.because("TransparentMessageUrgency without a payload"));
    }
    live_activity(form, &mut options)?;
    of_extended(extended, &mut options);
    sms(form, &mut options)?;
    if options.is_empty() {
        return Ok(None);
    }
    let text = Value::Object(options).to_string();
    if text.len() > OPTIONS_BYTES_MAX {
        let detail = format!("{} bytes of options; at most {OPTIONS_BYTES_MAX}", text.len());
        return Err(Code::MsgPayloadTooLong.because(detail));
    }
    Ok(Some(text))
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

fn live_activity(form: &Form, options: &mut Map<String, Value>) -> Result<(), Failure> {
    let mut activity = Map::new();
    one_of(form, &mut activity, "ActivityEvent", "event", &["update", "end"])?;
    if let Some(state) = form.any("ActivityContentState")? {
        activity.insert("content_state".to_owned(), state);
    }
    if let Some(date) = form.int("DismissalDate")? {
        if date < 0 {
            return Err(Code::InvalidParam.because("DismissalDate is in seconds since 1970"));
        }
        activity.insert("dismissal_date_s".to_owned(), Value::from(date));
    }
    if !activity.is_empty() {
        options.insert("live_activity".to_owned(), Value::Object(activity));
    }
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

    fn of(text: &str) -> Result<Value, Code> {
        let form = Form::new(pairs(text.as_bytes())).unwrap();
        let extended = super::super::content::extended(&form).unwrap();
        let kept = kept(&form, &extended, None).map_err(|failure| failure.code)?;
        Ok(kept.map_or(Value::Null, |text| serde_json::from_str(&text).unwrap()))
    }

    #[test]
    fn what_other_roads_need_is_kept_in_our_words() {
        assert_eq!(of("Title=x"), Ok(Value::Null));
        let text = "NotifyType=transparent&MiChannelId=c&NotifyLevel={\"hms\":\"2\"}&Classification=0\
            &TransparentMessagePayload.hms.k=v&TransparentMessageUrgency=HIGH&ActivityEvent=end&DismissalDate=5";
        let expected = json!({
            "notify_type": "transparent", "route": "own_only", "mi_channel_id": "c", "notify_level": {"hms": "2"},
            "classification": "0", "transparent_payload": {"hms": {"k": "v"}}, "transparent_urgency": "HIGH",
            "live_activity": {"event": "end", "dismissal_date_s": 5},
        });
        assert_eq!(of(text), Ok(expected));
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
        assert_eq!(of("ExtendedParams={\"badge\":\"many\"}"), Ok(Value::Null));
    }

    #[test]
    fn an_sms_is_kept_and_said_not_to_be_sent() {
        let sms = of("SmsStrategy=1&SmsSignName=s&SmsTemplateCode=c&SmsTemplateParam={}").unwrap();
        assert_eq!(sms["sms"]["sent"], json!(false));
        assert_eq!(of("SmsStrategy=0&SmsSignName=s"), Ok(Value::Null));
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
            "ActivityEvent=begin",
            "DismissalDate=-1",
        ] {
            assert_eq!(of(wrong), Err(Code::InvalidParam), "{wrong}");
        }
    }
}

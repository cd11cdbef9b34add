//! What a push brings along for vendors: checked here, kept as the message's options.

use carillon_actors::settings::VENDOR_AFTER_S_MAX;
use carillon_sdk::api::vendors::VendorOptions;
use serde_json::{Map, Value};

use super::super::{Code, Refused};

/// All of it together, a template's included, in bytes of JSON.
const OPTIONS_BYTES_MAX: usize = 4_096;
/// Deepest nesting, the outermost object included.
const DEPTH_MAX: usize = 16;

/// The push's over the template's, field by field, as JSON; none when neither says anything.
pub(in super::super) fn options(
    of_push: Option<&VendorOptions>,
    of_template: Option<String>,
) -> Result<Option<String>, Refused> {
    let Some(vendor) = of_push else { return Ok(of_template) };
    if vendor.vendor_after_s.is_some_and(|after| !(1..=VENDOR_AFTER_S_MAX).contains(&after)) {
        return Err(refused("/vendor/vendor_after_s", format!("1 to {VENDOR_AFTER_S_MAX} seconds")));
    }
    if vendor.classification.as_deref().is_some_and(|of| !matches!(of, "0" | "1")) {
        return Err(refused("/vendor/classification", "0 or 1".to_owned()));
    }
    let Ok(Value::Object(own)) = serde_json::to_value(vendor) else {
        return Err(refused("/vendor", "an object".to_owned()));
    };
    let kept = of_template.and_then(|text| serde_json::from_str::<Map<String, Value>>(&text).ok());
    let mut options = kept.unwrap_or_default();
    options.extend(own);
    if options.is_empty() {
        return Ok(None);
    }
    let options = Value::Object(options);
    if !super::parse::shallow(&options, DEPTH_MAX) {
        return Err(refused("/vendor", format!("nested deeper than {DEPTH_MAX}")));
    }
    let text = options.to_string();
    if text.len() > OPTIONS_BYTES_MAX {
        return Err(refused(
            "/vendor",
            format!("{} bytes; at most {OPTIONS_BYTES_MAX} are taken", text.len()),
        ));
    }
    Ok(Some(text))
}

fn refused(pointer: &str, detail: String) -> Refused {
    Refused::at(Code::VendorOptionsInvalid, pointer, detail)
}

#[cfg(test)]
mod tests {
    use carillon_actors::channel::Options;
    use carillon_sdk::Route;
    use serde_json::json;

    use super::*;

    fn of(vendor: Value, template: Option<&str>) -> Result<Option<String>, Code> {
        let vendor = serde_json::from_value(vendor).unwrap();
        options(Some(&vendor), template.map(str::to_owned)).map_err(|refused| refused.code())
    }

    #[test]
    fn a_pushs_fields_go_before_its_templates() {
        let text = of(json!({"badge": 2, "route": "own_only"}), Some(r#"{"badge":1,"sound":"s"}"#)).unwrap();
        let options = Options::read(text.as_deref());
        assert_eq!((options.badge, options.sound.as_deref()), (Some(2), Some("s")));
        assert_eq!(options.route, Some(Route::OwnOnly));
        assert_eq!(of(json!({}), None), Ok(None));
    }

    #[test]
    fn every_field_the_api_takes_the_channels_read() {
        let all = json!({
            "route": "vendor_after", "vendor_after_s": 5, "fallback": "none", "category": "express",
            "third_channel_category": {"huawei": "EXPRESS"}, "notify_level": {"oppo": 16},
            "classification": "1", "mi_channel_id": "c", "vendor_template": "t", "subtitle": "s",
            "badge": 1, "badge_add": 2, "badge_class": "a.B", "sound": "ping", "thread_id": "t",
            "level": "time-sensitive", "mutable_content": true, "big_text": true, "transparent_payload": {"huawei": {"k": "v"}},
            "transparent_urgency": "HIGH", "is_test": true,
            "live_activity": {"event": "update", "content_state": {"a": 1}, "dismissal_date_s": 1,
                "stale_date_s": 2, "attributes_type": "A", "attributes": {}},
        });
        let text = of(all.clone(), None).unwrap().unwrap();
        let mut read = serde_json::to_value(Options::read(Some(&text))).unwrap();
        // Only the mPaaS face says these.
        let fields = read.as_object_mut().unwrap();
        assert!(["contract_limits", "image_urls"].iter().all(|name| fields.remove(*name).is_some()));
        assert_eq!(read, all);
    }

    #[test]
    fn what_is_out_of_bounds_is_refused_with_its_place() {
        for wrong in [
            json!({"vendor_after_s": 0}),
            json!({"vendor_after_s": 86_401}),
            json!({"classification": "2"}),
            json!({"sound": "s".repeat(4_096)}),
        ] {
            assert_eq!(of(wrong.clone(), None), Err(Code::VendorOptionsInvalid), "{wrong}");
        }
    }
}

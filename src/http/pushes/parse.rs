//! A push's body into what the engine takes: parsed once, within every limit, and never doubted again.

use std::collections::HashSet;
use std::hash::Hash;

use carillon_actors::audience::Audience;
use carillon_actors::limits::Limits;
use carillon_sdk::api::{Lane, Look, PushRequest, Target};
use carillon_sdk::{DeviceId, Timestamp, Ttl, UserId};
use serde_json::Value;

use super::super::audiences::parsed;
use super::super::{Code, Refused};

/// Deepest nesting of `data`: objects and arrays, the outermost included.
const DATA_DEPTH_MAX: usize = 16;
const COLLAPSE_KEY_BYTES_MAX: usize = 64;

/// A push within its limits, before its devices are looked up.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Draft {
    pub(super) targets: Targets,
    pub(super) title: Option<String>,
    pub(super) body: Option<String>,
    /// A JSON object, as text.
    pub(super) data: Option<String>,
    pub(super) uri: Option<String>,
    pub(super) look: Option<Look>,
    pub(super) ttl: Ttl,
    pub(super) lane: Lane,
    pub(super) collapse_key: Option<String>,
    pub(super) silent: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Targets {
    Devices(Vec<DeviceId>),
    Users(Vec<UserId>),
    Audience(Audience),
    All,
}

/// `now` is when the spans of an audience end.
pub(super) fn parse_push(request: PushRequest, limits: &Limits, now: Timestamp) -> Result<Draft, Refused> {
    let targets = targets(request.to, limits.targets_max, now)?;
    let data = request.data.as_ref().map(|data| data_text(data, "/data")).transpose()?;
    let empty = |text: &Option<String>| text.as_ref().is_none_or(String::is_empty);
    if !request.silent && empty(&request.title) && empty(&request.body) && data.is_none() {
        return Err(Refused::because(Code::ContentMissing, "title, body or data, unless it is silent"));
    }
    let size = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let bytes = size(&request.title) + size(&request.body) + size(&data) + size(&request.uri);
    if bytes > limits.payload_bytes_max {
        let detail = format!("{bytes} bytes; at most {} are taken", limits.payload_bytes_max);
        return Err(Refused::because(Code::PayloadTooLarge, detail));
    }
    Ok(Draft {
        ttl: ttl(request.ttl_s, &targets, limits)?,
        targets,
        title: request.title,
        body: request.body,
        data,
        uri: request.uri,
        look: request.look,
        lane: lane(request.lane)?,
        collapse_key: request.collapse_key.map(collapse_key).transpose()?,
        silent: request.silent,
    })
}

fn targets(to: Target, most: usize, now: Timestamp) -> Result<Targets, Refused> {
    match (to.devices.is_empty(), to.users.is_empty(), to.all, to.audience) {
        (false, true, false, None) => {
            few_and_different(to.devices, "/to/devices", most).map(Targets::Devices)
        }
        (true, false, false, None) => few_and_different(to.users, "/to/users", most).map(Targets::Users),
        (true, true, true, None) => Ok(Targets::All),
        (true, true, false, Some(text)) => parsed(&text, "/to/audience", now).map(Targets::Audience),
        _ => Err(Refused::at(Code::TargetInvalid, "/to", "exactly one of devices, users, audience and all")),
    }
}

fn few_and_different<T: Hash + Eq>(ids: Vec<T>, pointer: &str, most: usize) -> Result<Vec<T>, Refused> {
    if ids.len() > most {
        let detail = format!("{} targets; a push names at most {most}", ids.len());
        return Err(Refused::at(Code::TargetsTooMany, pointer, detail));
    }
    let mut seen = HashSet::with_capacity(ids.len());
    if let Some(twice) = ids.iter().position(|id| !seen.insert(id)) {
        return Err(Refused::at(Code::TargetDuplicate, format!("{pointer}/{twice}"), "named before"));
    }
    Ok(ids)
}

/// A JSON object of bounded depth, as text.
pub(in super::super) fn data_text(value: &Value, pointer: &str) -> Result<String, Refused> {
    if !value.is_object() {
        return Err(Refused::at(Code::DataInvalid, pointer, "expected an object"));
    }
    if !shallow(value, DATA_DEPTH_MAX) {
        let detail = format!("nested deeper than {DATA_DEPTH_MAX}");
        return Err(Refused::at(Code::DataInvalid, pointer, detail));
    }
    Ok(value.to_string())
}

/// At most `levels` containers within each other. The JSON parser bounds the recursion at 128.
pub(super) fn shallow(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(items) => levels > 0 && items.iter().all(|item| shallow(item, levels - 1)),
        Value::Object(fields) => levels > 0 && fields.values().all(|field| shallow(field, levels - 1)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

fn ttl(seconds: Option<u64>, targets: &Targets, limits: &Limits) -> Result<Ttl, Refused> {
    let ttl = seconds.map_or(limits.ttl_default, Ttl::from_secs);
    let most = limits.ttl_max.as_millis() / 1000;
    if ttl > limits.ttl_max {
        return Err(Refused::at(Code::TtlOutOfRange, "/ttl_s", format!("it is 0 to {most} seconds")));
    }
    if ttl.is_zero() && matches!(targets, Targets::All | Targets::Audience(_)) {
        let detail = format!(
            "for all or an audience, it is 1 to {most} seconds: a broadcast is kept, and says who has it"
        );
        return Err(Refused::at(Code::TtlOutOfRange, "/ttl_s", detail));
    }
    Ok(ttl)
}

pub(super) fn lane(lane: Lane) -> Result<Lane, Refused> {
    match lane {
        Lane::High | Lane::Normal => Ok(lane),
        Lane::Bulk => Err(Refused::at(Code::LaneInvalid, "/lane", "it is high or normal")),
    }
}

pub(in super::super) fn collapse_key(key: String) -> Result<String, Refused> {
    if key.is_empty() || key.len() > COLLAPSE_KEY_BYTES_MAX || key.chars().any(char::is_control) {
        let detail = format!("1 to {COLLAPSE_KEY_BYTES_MAX} bytes without control characters");
        return Err(Refused::at(Code::CollapseKeyInvalid, "/collapse_key", detail));
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(body: Value) -> Result<Draft, Code> {
        let request = serde_json::from_value(body).unwrap();
        parse_push(request, &Limits::default(), Timestamp::default()).map_err(|refused| refused.code())
    }

    fn with(field: &str, value: Value) -> Result<Draft, Code> {
        let mut body = json!({"to": {"users": ["ann"]}, "title": "hello"});
        body[field] = value;
        parse(body)
    }

    fn nested(levels: usize) -> Value {
        (1..levels).fold(json!({}), |inner, _| json!({ "a": inner }))
    }

    #[test]
    fn a_push_without_options_has_the_defaults() {
        let draft = parse(json!({"to": {"users": ["ann"]}, "title": "hello"})).unwrap();
        assert_eq!(draft.ttl, Ttl::from_secs(24 * 3600));
        assert_eq!(draft.lane, Lane::Normal);
        assert_eq!(draft.targets, Targets::Users(vec![UserId::parse("ann").unwrap()]));
    }

    #[test]
    fn a_push_goes_to_devices_or_users_or_all() {
        for to in [
            json!({}),
            json!({"devices": [], "users": []}),
            json!({"devices": ["d"], "users": ["u"]}),
            json!({"devices": ["d"], "all": true}),
            json!({"all": false}),
        ] {
            assert_eq!(with("to", to.clone()), Err(Code::TargetInvalid), "{to}");
        }
        assert_eq!(with("to", json!({"all": true})).unwrap().targets, Targets::All);
    }

    #[test]
    fn a_target_is_named_once_and_a_thousand_are_enough() {
        assert_eq!(with("to", json!({"users": ["a", "b", "a"]})), Err(Code::TargetDuplicate));
        let names = |count: usize| (0..count).map(|n| n.to_string()).collect::<Vec<_>>();
        assert!(with("to", json!({"devices": names(1000)})).is_ok());
        assert_eq!(with("to", json!({"devices": names(1001)})), Err(Code::TargetsTooMany));
    }

    #[test]
    fn there_is_something_to_say_unless_it_is_silent() {
        assert_eq!(parse(json!({"to": {"all": true}})), Err(Code::ContentMissing));
        assert_eq!(parse(json!({"to": {"all": true}, "title": ""})), Err(Code::ContentMissing));
        assert!(parse(json!({"to": {"all": true}, "silent": true})).is_ok());
        assert!(parse(json!({"to": {"all": true}, "data": {}})).is_ok());
    }

    #[test]
    fn title_body_and_data_fit_in_four_kibibytes_together() {
        let push = |title: usize, body: usize| {
            parse(
                json!({"to": {"all": true}, "title": "t".repeat(title), "body": "b".repeat(body), "data": {}}),
            )
        };
        assert!(push(2000, 2094).is_ok());
        assert_eq!(push(2000, 2095), Err(Code::PayloadTooLarge));
    }

    #[test]
    fn data_is_an_object_of_bounded_depth() {
        for wrong in [json!([1]), json!("text"), json!(1), nested(17), json!({"a": [[[[nested(13)]]]]})] {
            assert_eq!(with("data", wrong.clone()), Err(Code::DataInvalid), "{wrong}");
        }
        assert_eq!(with("data", nested(16)).unwrap().data.unwrap(), nested(16).to_string());
    }

    #[test]
    fn validity_is_nothing_to_seven_days() {
        assert_eq!(with("ttl_s", json!(0)).unwrap().ttl, Ttl::ZERO);
        assert!(with("ttl_s", json!(7 * 24 * 3600)).is_ok());
        assert_eq!(with("ttl_s", json!(7 * 24 * 3600 + 1)), Err(Code::TtlOutOfRange));
        assert_eq!(with("ttl_s", json!(u64::MAX)), Err(Code::TtlOutOfRange));
    }

    #[test]
    fn a_broadcast_is_never_online_only() {
        let push = json!({"to": {"all": true}, "title": "x", "ttl_s": 0});
        assert_eq!(parse(push), Err(Code::TtlOutOfRange));
    }

    #[test]
    fn nobody_chooses_the_bulk_lane() {
        assert_eq!(with("lane", json!("bulk")), Err(Code::LaneInvalid));
        assert_eq!(with("lane", json!("high")).unwrap().lane, Lane::High);
    }

    #[test]
    fn a_collapse_key_is_short_and_printable() {
        for wrong in [String::new(), "k".repeat(65), "a\nb".to_owned()] {
            assert_eq!(with("collapse_key", json!(wrong)), Err(Code::CollapseKeyInvalid));
        }
        assert!(with("collapse_key", json!("k".repeat(64))).is_ok());
    }
}

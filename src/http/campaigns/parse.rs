//! A campaign's body into what the engine takes.

use std::collections::BTreeMap;

use carillon_actors::audience::Audience;
use carillon_actors::campaign::{Pace, Share, Spec, To};
use carillon_actors::limits::Limits;
use carillon_actors::order::Content;
use carillon_actors::templates::Template;
use carillon_sdk::api::campaigns::{CampaignPace, CampaignTarget, CreateCampaign};
use carillon_sdk::{Timestamp, Ttl};

use super::super::keys::is_name;
use super::super::pushes::{collapse_key, data_text, options, own_words};
use super::super::{Code, Refused};

/// Values of a campaign, and bytes of one.
const VALUES_MAX: usize = 100;
const VALUE_BYTES_MAX: usize = 1_024;
const URI_BYTES_MAX: usize = 2_048;

/// `template` is the one that the request names.
pub(super) fn parse_campaign(
    asked: CreateCampaign,
    template: Option<&Template>,
    limits: &Limits,
    now: Timestamp,
) -> Result<Spec, Refused> {
    let invalid = |pointer: &str, detail: String| Refused::at(Code::CampaignInvalid, pointer, detail);
    if asked.name.as_deref().is_some_and(|name| !is_name(name)) {
        return Err(invalid("/name", "1 to 64 bytes without control characters".to_owned()));
    }
    let canary = asked
        .canary
        .map(|share| Share::parse(share).ok_or_else(|| invalid("/canary", "above 0 and below 1".to_owned())));
    values_fit(&asked.values)?;
    Ok(Spec {
        canary: canary.transpose()?,
        to: target(&asked.to, now)?,
        template: template.map(|template| (template.name.clone(), template.version)),
        pace: pace(asked.pace.unwrap_or_default())?,
        ttl: ttl(asked.ttl_s, limits)?,
        collapse_key: asked.collapse_key.clone().map(collapse_key).transpose()?,
        name: asked.name.clone(),
        values: asked.values.clone(),
        content: content(asked, template)?,
    })
}

fn content(asked: CreateCampaign, template: Option<&Template>) -> Result<Content, Refused> {
    let data = asked.data.as_ref().map(|data| data_text(data, "/data")).transpose()?;
    if let Some(template) = template {
        let given = [
            ("/title", asked.title.is_some()),
            ("/body", asked.body.is_some()),
            ("/uri", asked.uri.is_some()),
            ("/look", asked.look.is_some()),
            ("/silent", asked.silent),
        ];
        own_words(&given)?;
        let content = template.content();
        let options = options(asked.vendor.as_ref(), content.options)?;
        return Ok(Content { data: data.or(content.data), options, ..content });
    }
    let empty = |text: &Option<String>| text.as_ref().is_none_or(String::is_empty);
    if !asked.silent && empty(&asked.title) && empty(&asked.body) && data.is_none() {
        return Err(Refused::because(Code::ContentMissing, "title, body or data, unless it is silent"));
    }
    if asked.uri.as_ref().is_some_and(|uri| uri.len() > URI_BYTES_MAX) {
        let detail = format!("at most {URI_BYTES_MAX} bytes");
        return Err(Refused::at(Code::CampaignInvalid, "/uri", detail));
    }
    Ok(Content {
        title: asked.title,
        body: asked.body,
        uri: asked.uri,
        data,
        look: asked.look,
        silent: asked.silent,
        options: options(asked.vendor.as_ref(), None)?,
    })
}

fn target(to: &CampaignTarget, now: Timestamp) -> Result<To, Refused> {
    match (to.all, &to.audience, &to.list) {
        (true, None, None) => Ok(To::Audience { text: None, audience: Audience::Everybody }),
        (false, None, Some(id)) => Ok(To::List(id.clone())),
        (false, Some(text), None) => {
            let audience = Audience::parse(text, now)
                .map_err(|error| Refused::at(Code::TargetInvalid, "/to/audience", error.to_string()))?;
            Ok(To::Audience { text: Some(text.clone()), audience })
        }
        _ => Err(Refused::at(Code::TargetInvalid, "/to", "exactly one of all, audience and list")),
    }
}

fn pace(pace: CampaignPace) -> Result<Pace, Refused> {
    for (name, rate) in [("per_second", pace.per_second), ("per_minute", pace.per_minute)] {
        if rate == Some(0) {
            return Err(Refused::at(Code::CampaignInvalid, format!("/pace/{name}"), "at least 1"));
        }
    }
    Ok(Pace { per_second: pace.per_second, per_minute: pace.per_minute })
}

fn ttl(seconds: Option<u64>, limits: &Limits) -> Result<Ttl, Refused> {
    let ttl = seconds.map_or(limits.ttl_default, Ttl::from_secs);
    if ttl.is_zero() || ttl > limits.ttl_max {
        let most = limits.ttl_max.as_millis() / 1_000;
        return Err(Refused::at(Code::TtlOutOfRange, "/ttl_s", format!("it is 1 to {most} seconds")));
    }
    Ok(ttl)
}

fn values_fit(values: &BTreeMap<String, String>) -> Result<(), Refused> {
    if values.len() > VALUES_MAX {
        let detail = format!("at most {VALUES_MAX}");
        return Err(Refused::at(Code::CampaignInvalid, "/values", detail));
    }
    match values.iter().find(|(_, value)| value.len() > VALUE_BYTES_MAX) {
        Some((name, _)) => {
            let detail = format!("{name}: at most {VALUE_BYTES_MAX} bytes");
            Err(Refused::at(Code::CampaignInvalid, "/values", detail))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parse(field: &str, value: Value) -> Result<Spec, Code> {
        let mut body = json!({"to": {"all": true}, "title": "hello"});
        body[field] = value;
        let asked = serde_json::from_value(body).unwrap();
        parse_campaign(asked, None, &Limits::default(), Timestamp::default())
            .map_err(|refused| refused.code())
    }

    #[test]
    fn what_is_out_of_bounds_is_refused_by_its_code() {
        for (field, value, code) in [
            ("name", json!(""), Code::CampaignInvalid),
            ("canary", json!(0), Code::CampaignInvalid),
            ("canary", json!(1), Code::CampaignInvalid),
            ("pace", json!({"per_second": 0}), Code::CampaignInvalid),
            ("pace", json!({"per_minute": 0}), Code::CampaignInvalid),
            ("values", json!({"a": "x".repeat(1_025)}), Code::CampaignInvalid),
            ("uri", json!("x".repeat(2_049)), Code::CampaignInvalid),
            ("to", json!({}), Code::TargetInvalid),
            ("to", json!({"all": true, "audience": "bound"}), Code::TargetInvalid),
            ("to", json!({"audience": "bound and"}), Code::TargetInvalid),
            ("title", json!(""), Code::ContentMissing),
            ("data", json!([1]), Code::DataInvalid),
            ("ttl_s", json!(0), Code::TtlOutOfRange),
            ("ttl_s", json!(u64::MAX), Code::TtlOutOfRange),
            ("collapse_key", json!(""), Code::CollapseKeyInvalid),
        ] {
            assert_eq!(parse(field, value.clone()), Err(code), "{field}: {value}");
        }
    }

    #[test]
    fn a_campaign_without_options_has_the_defaults() {
        let spec = parse("silent", json!(false)).unwrap();
        assert_eq!((spec.ttl, spec.canary), (Ttl::from_secs(24 * 3_600), None));
        let everybody = To::Audience { text: None, audience: Audience::Everybody };
        assert_eq!((spec.pace, spec.to), (Pace::default(), everybody));
    }
}

//! What a push says and how it looks.

use carillon_actors::order::{Content, Order, Recipients};
use carillon_actors::template::Values;
use carillon_sdk::Ttl;
use carillon_sdk::wire::{Look, Style, TapAction};
use serde_json::{Map, Value};

use super::super::actions::Call;
use super::super::form::{Form, object_of, plain};
use super::super::result::{Code, Failure};
use super::texts;

/// Members of an ExtendedParams; of a target's own, fewer than ten.
const EXTENDED_MAX: usize = 20;
const INNER_EXTENDED_MAX: usize = 9;

const URI_BYTES_MAX: usize = 2_048;
const CHANNEL_BYTES_MAX: usize = 256;

/// The members of ExtendedParams, each as the text that reaches the device.
#[derive(Debug, Default)]
pub(super) struct Extended {
    pub(super) common: Map<String, Value>,
}

impl Extended {
    #[cfg(test)]
    pub(super) fn of(pairs: &[(&str, &str)]) -> Self {
        let common = pairs.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value)));
        Self { common: common.collect() }
    }
}

pub(super) fn extended(form: &Form) -> Result<Extended, Failure> {
    let object = form
        .object("ExtendedParams")
        .map_err(|()| Code::InvalidExtendParam.because("ExtendedParams is no JSON object"))?
        .unwrap_or_default();
    if object.len() > EXTENDED_MAX {
        let detail = format!("{} members; at most {EXTENDED_MAX}", object.len());
        return Err(Code::ExtendParamTooMuch.because(detail));
    }
    Ok(Extended { common: as_texts(object) })
}

/// A target's own members, over those of all. None when it has none.
pub(super) fn inner(target: &Form, of_all: &Extended) -> Result<Option<String>, Failure> {
    let object = target
        .object("ExtendedParams")
        .map_err(|()| Code::InvalidExtendParam.because("a target's ExtendedParams is no JSON object"))?;
    let Some(object) = object else { return Ok(None) };
    if object.len() > INNER_EXTENDED_MAX {
        let detail = format!("{} members; at most {INNER_EXTENDED_MAX}", object.len());
        return Err(Code::InnerExtendParamTooMuch.because(detail));
    }
    let mut all = of_all.common.clone();
    all.extend(as_texts(object));
    Ok(Some(data(&all)))
}

fn as_texts(object: Map<String, Value>) -> Map<String, Value> {
    object.into_iter().map(|(name, value)| (name, Value::from(plain(&value)))).collect()
}

pub(super) fn data(object: &Map<String, Value>) -> String {
    Value::Object(object.clone()).to_string()
}

/// A simple push's own words. Both title and content, says the contract, of a silent one too.
pub(super) fn own(form: &Form) -> Result<Content, Failure> {
    let (title, body) = (form.owned("Title"), form.owned("Content"));
    if title.is_none() || body.is_none() {
        return Err(Code::PayloadNotEnough.because("Title and Content"));
    }
    let uri = form.owned("Uri");
    if uri.as_ref().is_some_and(|uri| uri.len() > URI_BYTES_MAX) {
        return Err(Code::InvalidParam.because(format!("Uri has at most {URI_BYTES_MAX} bytes")));
    }
    Ok(Content { title, body, uri, ..Content::default() })
}

/// The template's name and words.
pub(super) fn of_template(call: &Call) -> Result<(String, Content), Failure> {
    let name = call.form.text("TemplateName").ok_or(Code::NeedTemplate)?;
    let found = call.state.engine.templates(call.app).get(name);
    let found = found.ok_or_else(|| Code::TemplateNotExist.because(format!("no template {name:?}")))?;
    Ok((name.to_owned(), found.template.content()))
}

pub(super) fn values(form: &Form) -> Result<Values, Failure> {
    let object = form
        .object("TemplateKeyValue")
        .map_err(|()| Code::InvalidParam.because("TemplateKeyValue is no JSON object"))?;
    Ok(object.map(texts).unwrap_or_default())
}

/// Seconds from now.
pub(super) fn validity(form: &Form, most: Ttl) -> Result<Ttl, Failure> {
    let seconds = form.int("ExpiredSeconds").map_err(|_| Code::ExpiredSecondsWrong)?.unwrap_or_default();
    let seconds = u64::try_from(seconds).ok().filter(|seconds| *seconds > 0);
    let seconds = seconds.ok_or_else(|| Code::ExpiredSecondsWrong.because("it is at least 1"))?;
    let most_s = most.as_millis() / 1_000;
    if seconds > most_s {
        return Err(Code::ExpiredTimeTooLong.because(format!("at most {most_s} seconds")));
    }
    Ok(Ttl::from_secs(seconds))
}

/// How it is shown: what the call names goes before what a template has.
pub(super) fn dress(content: &mut Content, form: &Form) -> Result<(), Failure> {
    if form.text("Silent").is_some() {
        content.silent = form.choice("Silent", &[0, 1])? == 1;
    }
    let mut look = content.look.take().unwrap_or_default();
    if form.text("PushStyle").is_some() {
        look.style = style(form.choice("PushStyle", &[0, 1, 2])?);
    }
    if form.text("PushAction").is_some() {
        look.action = action(form.choice("PushAction", &[0, 1])?);
    }
    for (name, url) in [("IconUrls", &mut look.icon_url), ("ImageUrls", &mut look.image_url)] {
        if let Some(text) = form.text(name) {
            *url = default_url(name, text)?;
        }
    }
    if let Some(channel) = form.text("ChannelId") {
        if channel.len() > CHANNEL_BYTES_MAX {
            return Err(
                Code::InvalidParam.because(format!("ChannelId has at most {CHANNEL_BYTES_MAX} bytes"))
            );
        }
        look.channel_id = Some(channel.to_owned());
    }
    if look.style != Style::Rich {
        // The contract's style 2 alone shows them.
        (look.icon_url, look.image_url) = (None, None);
    }
    content.look = (look != Look::default()).then_some(look);
    Ok(())
}

/// Whether icon and image are shown.
pub(super) fn is_rich(content: &Content) -> bool {
    content.look.as_ref().is_some_and(|look| look.style == Style::Rich)
}

pub(in crate::mpaas) const fn style(number: i64) -> Style {
    match number {
        1 => Style::BigText,
        2 => Style::Rich,
        _ => Style::Text,
    }
}

pub(in crate::mpaas) const fn action(number: i64) -> TapAction {
    if number == 1 { TapAction::App } else { TapAction::Web }
}

/// Of `{defaultUrl, oppoUrl, …}` the one for our own road; the others are kept for theirs.
pub(in crate::mpaas) fn default_url(name: &str, text: &str) -> Result<Option<String>, Failure> {
    let object =
        object_of(text).map_err(|()| Code::InvalidParam.because(format!("{name} is no JSON object")))?;
    for url in object.values() {
        if url.as_str().is_none_or(|url| url.len() > URI_BYTES_MAX) {
            let detail = format!("{name} holds what is no text of at most {URI_BYTES_MAX} bytes");
            return Err(Code::InvalidParam.because(detail));
        }
    }
    Ok(object.get("defaultUrl").and_then(Value::as_str).filter(|url| !url.is_empty()).map(str::to_owned))
}

/// Each recipient's words, rendered, within the bound: what phone makers carry.
pub(super) fn fits(order: &Order, most: usize) -> Result<(), Failure> {
    let size = |values: &[&Values], data: Option<&String>| -> usize {
        let Ok(said) = order.content.render(values) else { return 0 };
        let texts = [said.title.as_ref(), said.body.as_ref(), said.uri.as_ref(), data.or(said.data.as_ref())];
        texts.into_iter().flatten().map(String::len).sum()
    };
    let largest = match &order.to {
        Recipients::Audience(_) => size(&[&order.values], None),
        Recipients::Each(recipients) => recipients
            .iter()
            .map(|recipient| size(&[&recipient.values, &order.values], recipient.data.as_ref()))
            .max()
            .unwrap_or_default(),
    };
    if largest > most {
        return Err(Code::MsgPayloadTooLong.because(format!("{largest} bytes; at most {most}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::super::sign::pairs;
    use super::*;

    fn form(text: &str) -> Form {
        Form::new(pairs(text.as_bytes())).unwrap()
    }

    #[test]
    fn a_validity_is_a_second_to_the_most() {
        let of = |text: &str| validity(&form(text), Ttl::from_secs(100)).map_err(|failure| failure.code);
        assert_eq!(of("ExpiredSeconds=100"), Ok(Ttl::from_secs(100)));
        assert_eq!(of("ExpiredSeconds=101"), Err(Code::ExpiredTimeTooLong));
        for wrong in ["ExpiredSeconds=0", "ExpiredSeconds=-1", "ExpiredSeconds=1.5", ""] {
            assert_eq!(of(wrong), Err(Code::ExpiredSecondsWrong), "{wrong}");
        }
    }

    #[test]
    fn extended_params_are_twenty_texts() {
        let object = |count: usize| {
            let pairs: Vec<_> = (0..count).map(|at| format!("\"k{at}\":{at}")).collect();
            form(&format!("ExtendedParams={{{}}}", pairs.join(",")))
        };
        assert_eq!(extended(&object(20)).unwrap().common["k7"], "7");
        assert_eq!(extended(&object(21)).unwrap_err().code, Code::ExtendParamTooMuch);
        assert_eq!(extended(&form("ExtendedParams=x")).unwrap_err().code, Code::InvalidExtendParam);
        let none = Extended::default();
        assert!(inner(&object(9), &none).is_ok());
        assert_eq!(inner(&object(10), &none).unwrap_err().code, Code::InnerExtendParamTooMuch);
    }

    #[test]
    fn a_look_is_what_was_asked_for() {
        let text = "Silent=1&PushStyle=2&PushAction=1&IconUrls={\"defaultUrl\":\"https://i\",\"oppoUrl\":\"https://o\"}\
            &ChannelId=news";
        let mut content = Content::default();
        dress(&mut content, &form(text)).unwrap();
        let look = content.look.unwrap();
        assert!(content.silent);
        assert_eq!((look.style, look.action), (Style::Rich, TapAction::App));
        assert_eq!(look.icon_url.as_deref(), Some("https://i"));
        assert_eq!(look.channel_id.as_deref(), Some("news"));
        let mut plain = Content::default();
        dress(&mut plain, &form("ImageUrls={\"defaultUrl\":\"https://i\"}")).unwrap();
        assert_eq!(plain.look, None, "an image is a rich message's");
        for wrong in ["Silent=2", "PushStyle=3", "PushAction=2", "IconUrls=x", "ImageUrls={\"defaultUrl\":1}"]
        {
            let refused = dress(&mut Content::default(), &form(wrong)).unwrap_err();
            assert_eq!(refused.code, Code::InvalidParam, "{wrong}");
        }
    }
}

//! Whom a push is for, in the contract's words.

use carillon_actors::order::{Named, Recipient};
use carillon_actors::template::Values;
use carillon_sdk::{DeviceId, UserId};

use super::super::form::{Form, plain};
use super::super::result::{Code, Failure};
use super::content::{self, Extended};
use super::texts;

/// Pairs of a TargetMsgkey.
const PAIRS_MAX: usize = 10;

/// Members of a TargetMsg.
const TARGETS_MAX: usize = 100;

/// Longest msgKey, in bytes.
const KEY_BYTES_MAX: usize = 256;

/// What a target's name is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    Device,
    User,
    /// A Live Activity, by its push token.
    ActivityToken,
    /// The same, by the id under which its token was reported.
    Activity,
}

impl Delivery {
    pub(super) const fn is_activity(self) -> bool {
        matches!(self, Self::ActivityToken | Self::Activity)
    }
}

pub(super) fn delivery(form: &Form, of: &[i64]) -> Result<Delivery, Failure> {
    let refused =
        |given: &str| Code::DeliveryTypeNotSupported.because(format!("{given}; it may be one of {of:?}"));
    match form.int("DeliveryType").map_err(|_| refused("no integer"))? {
        Some(kind) if !of.contains(&kind) => Err(refused(&kind.to_string())),
        Some(3) => Ok(Delivery::User),
        Some(5) => Ok(Delivery::ActivityToken),
        Some(6) => Ok(Delivery::Activity),
        Some(_) => Ok(Delivery::Device),
        None => Err(refused("DeliveryType is missing")),
    }
}

fn named(delivery: Delivery, target: &str) -> Result<Named, Failure> {
    let invalid = |error: carillon_sdk::ids::Invalid| Code::InvalidParam.because(format!("target: {error}"));
    match delivery {
        Delivery::User => UserId::parse(target).map(Named::User).map_err(invalid),
        Delivery::Device | Delivery::ActivityToken | Delivery::Activity => {
            DeviceId::parse(target).map(Named::Device).map_err(invalid)
        }
    }
}

fn key(text: &str) -> Result<String, Failure> {
    if text.is_empty() || text.len() > KEY_BYTES_MAX {
        return Err(Code::InvalidParam.because(format!("a msgKey has 1 to {KEY_BYTES_MAX} bytes")));
    }
    Ok(text.to_owned())
}

/// `{target: msgKey}`, a message each.
pub(super) fn msg_keys(form: &Form, delivery: Delivery) -> Result<Vec<Recipient>, Failure> {
    let object = form
        .object("TargetMsgkey")
        .map_err(|()| Code::InvalidParam.because("TargetMsgkey is no JSON object"))?
        .filter(|object| !object.is_empty())
        .ok_or_else(|| Code::TokenOrUserIdNull.because("TargetMsgkey names nobody"))?;
    if object.len() > PAIRS_MAX {
        let detail = format!("{} targets; at most {PAIRS_MAX}", object.len());
        return Err(Code::SinglePushTargetTooMuch.because(detail));
    }
    let recipient = |(target, msg_key): (&String, &serde_json::Value)| {
        let key = Some(key(&plain(msg_key))?);
        Ok(Recipient { to: named(delivery, target)?, key, values: Values::new(), data: None })
    };
    object.iter().map(recipient).collect()
}

/// `TargetMsg.N.*`, each with words of its own.
pub(super) fn list(form: &Form, delivery: Delivery, common: &Extended) -> Result<Vec<Recipient>, Failure> {
    let targets = form.list("TargetMsg")?;
    if targets.is_empty() {
        return Err(Code::TokenOrUserIdNull.because("TargetMsg names nobody"));
    }
    if targets.len() > TARGETS_MAX {
        let detail = format!("{} targets; at most {TARGETS_MAX}", targets.len());
        return Err(Code::InvalidParam.because(detail));
    }
    let recipient = |target: &Form| {
        let name = target.text("Target").ok_or(Code::TokenOrUserIdNull)?;
        let key = key(target.text("MsgKey").unwrap_or_default())?;
        let values = target
            .object("TemplateKeyValue")
            .map_err(|()| Code::InvalidParam.because("a TemplateKeyValue is no JSON object"))?;
        let data = content::inner(target, common)?;
        let values = values.map(texts).unwrap_or_default();
        Ok(Recipient { to: named(delivery, name)?, key: Some(key), values, data })
    };
    targets.iter().map(recipient).collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::sign::pairs;
    use super::*;

    fn form(text: &str) -> Form {
        Form::new(pairs(text.as_bytes())).unwrap()
    }

    fn keys(json: &str) -> Result<Vec<Recipient>, Code> {
        let form = form(&format!("TargetMsgkey={json}"));
        msg_keys(&form, Delivery::User).map_err(|failure| failure.code)
    }

    #[test]
    fn ten_pairs_are_enough_and_nobody_is_too_few() {
        let object = |count: usize| {
            let pairs: Vec<_> = (0..count).map(|at| format!("\"u{at}\":\"k{at}\"")).collect();
            format!("{{{}}}", pairs.join(","))
        };
        assert_eq!(keys(&object(10)).unwrap().len(), 10);
        assert_eq!(keys(&object(11)), Err(Code::SinglePushTargetTooMuch));
        assert_eq!(keys("{}"), Err(Code::TokenOrUserIdNull));
        assert_eq!(keys(""), Err(Code::TokenOrUserIdNull));
        assert_eq!(keys("[\"u\"]"), Err(Code::InvalidParam));
        assert_eq!(keys("{\"u\":\"\"}"), Err(Code::InvalidParam));
        assert_eq!(keys("{\"u\":7}").unwrap()[0].key.as_deref(), Some("7"));
    }

    #[test]
    fn a_delivery_type_is_a_device_a_user_or_where_they_may_be_an_activity() {
        let of = |text: &str| delivery(&form(text), &[1, 2, 3, 7]).map_err(|failure| failure.code);
        assert_eq!(of("DeliveryType=3"), Ok(Delivery::User));
        assert_eq!(of("DeliveryType=7"), Ok(Delivery::Device));
        let all = |text: &str| delivery(&form(text), &[1, 2, 3, 5, 6, 7]).unwrap();
        assert_eq!(all("DeliveryType=5"), Delivery::ActivityToken);
        assert_eq!(all("DeliveryType=6"), Delivery::Activity);
        for wrong in ["DeliveryType=5", "DeliveryType=4", "DeliveryType=x", ""] {
            assert_eq!(of(wrong), Err(Code::DeliveryTypeNotSupported), "{wrong}");
        }
    }

    #[test]
    fn a_hundred_targets_have_values_and_data_of_their_own() {
        let common = Extended::of(&[("a", "1"), ("b", "1")]);
        let text = "TargetMsg.1.Target=u1&TargetMsg.1.MsgKey=k1&TargetMsg.1.TemplateKeyValue={\"n\":1}\
            &TargetMsg.1.ExtendedParams={\"b\":\"2\"}&TargetMsg.2.Target=u2&TargetMsg.2.MsgKey=k2";
        let list = list(&form(text), Delivery::User, &common).unwrap();
        assert_eq!(list[0].values["n"], "1");
        assert_eq!(list[0].data.as_deref(), Some("{\"a\":\"1\",\"b\":\"2\"}"));
        assert_eq!(list[1].data, None);
        let many = (1..=101).map(|at| format!("TargetMsg.{at}.Target=u&TargetMsg.{at}.MsgKey=k{at}"));
        let many = form(&many.collect::<Vec<_>>().join("&"));
        let refused = super::list(&many, Delivery::User, &common).unwrap_err();
        assert_eq!(refused.code, Code::InvalidParam);
    }
}

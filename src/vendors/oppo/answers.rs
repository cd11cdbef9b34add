//! OPPO's words in ours: "return codes" of open.oppomobile.com.

use std::collections::HashMap;

use carillon_actors::channel::{Accepted, Address, Class, Outcome, Pause, Refused, Scope};
use serde_json::Value;

use crate::vendors::halves::Told;
use crate::vendors::{Answer, given};

type Row = (&'static [i64], Class, Scope, Option<Pause>);

pub(super) const CODES: &[Row] = &[
    (&[-1], Class::Retry, Scope::Platform, None),
    // Flow control of the whole platform.
    (&[-2], Class::Throttle, Scope::Platform, None),
    (&[11, 29], Class::Reauth, Scope::App, None),
    // Calls, frequency, and the limit over all of them.
    (&[13, 55, 69], Class::Throttle, Scope::App, None),
    // Messages of the day, saved ones, pictures: content and marketing alone have such a limit.
    (&[33, 42, 34], Class::Throttle, Scope::Category, Some(Pause::NextDay)),
    // App key, signature and timestamp, missing or wrong. 19 is a clock that goes wrong.
    (&[14, 15, 16, 17, 18, 19], Class::Config, Scope::App, None),
    // Our address is on a list, the app is off or has no right.
    (&[26, 27, 28, 30], Class::Config, Scope::App, None),
    // The category or its level was not granted: others go on.
    (&[59, NO_CATEGORY], Class::Config, Scope::Category, None),
    (&[12, 20, 21, 22, 23, 24, 25, 31, 32, 40, 41, 51], Class::Perm, Scope::Message, None),
    (&[10_000], Class::Unbind, Scope::Device, None),
];

/// The app was not granted this category. The same without one may go.
const NO_CATEGORY: i64 = 67;

/// Codes of business: none of them passes by itself.
const BUSINESS: std::ops::RangeInclusive<i64> = 10_001..=19_999;

pub(super) fn refused(status: u16, code: i64, text: Option<&str>) -> Refused {
    let row = CODES.iter().find(|(codes, ..)| codes.contains(&code));
    let refused = match row {
        Some((_, class, scope, pause)) => Refused::new(*class, *scope, code.to_string()).pausing(*pause),
        None if BUSINESS.contains(&code) => Refused::new(Class::Perm, Scope::Message, code.to_string()),
        None => Refused::unknown(status, code.to_string()),
    };
    refused.because(text.unwrap_or_default())
}

/// Of an answer; it may come as a text.
pub(super) fn code(body: &Value) -> Option<i64> {
    number(&body["code"])
}

pub(super) fn read(answer: &Answer, to: &[Address], degraded: &[&'static str]) -> Told {
    let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let Some((body, code)) = body.as_ref().and_then(|body| Some((body, code(body)?))) else {
        return Told::Whole(given::bare(answer.status).pausing(answer.retry_after()));
    };
    if code != 0 {
        return Told::Whole(refused(answer.status, code, body["message"].as_str()));
    }
    match &body["data"] {
        Value::Array(items) => Told::Each(batch(items, to, degraded)),
        data => match id(data) {
            Some(id) if to.len() == 1 => Told::Each(vec![accepted(id, degraded)]),
            _ => Told::Whole(given::bare(200)),
        },
    }
}

/// Those refused for their category, by their places: nothing was sent to them.
pub(super) fn of_category(outcomes: &[Outcome]) -> Vec<usize> {
    let code = NO_CATEGORY.to_string();
    let is_it = |outcome: &Outcome| matches!(outcome, Outcome::Refused(refused) if refused.code == code);
    let places = outcomes.iter().enumerate().filter(|(_, outcome)| is_it(outcome));
    places.map(|(place, _)| place).collect()
}

/// By registration id; an item without one is the next device's.
fn batch(items: &[Value], to: &[Address], degraded: &[&'static str]) -> Vec<Outcome> {
    let named = |item: &Value| {
        let names = ["registrationId", "registration_id"];
        names.into_iter().find_map(|name| item[name].as_str().map(str::to_owned))
    };
    let mut by_id: HashMap<String, &Value> = HashMap::new();
    for (place, item) in items.iter().enumerate() {
        let of_place = || to.get(place).map(|address| address.token.clone());
        if let Some(token) = named(item).or_else(of_place) {
            by_id.insert(token, item);
        }
    }
    let outcome = |address: &Address| match by_id.get(&address.token) {
        Some(item) => one(item, degraded),
        None => Refused::silent().into(),
    };
    to.iter().map(outcome).collect()
}

fn one(item: &Value, degraded: &[&'static str]) -> Outcome {
    let code = ["errorCode", "error_code"].into_iter().find_map(|name| number(&item[name]));
    match (code, id(item)) {
        (None | Some(0), Some(id)) => accepted(id, degraded),
        (None | Some(0), None) => Refused::silent().into(),
        (Some(code), _) => refused(200, code, item["errorMessage"].as_str()).into(),
    }
}

fn accepted(id: String, degraded: &[&'static str]) -> Outcome {
    Outcome::Accepted(Accepted { vendor_id: Some(id), degraded: degraded.to_vec() })
}

/// OPPO spells it both ways.
fn id(value: &Value) -> Option<String> {
    let id = ["messageId", "message_id"].into_iter().find_map(|name| value[name].as_str());
    id.filter(|id| !id.is_empty()).map(str::to_owned)
}

fn number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(status: u16, body: &Value, tokens: &[&str]) -> Told {
        let to = tokens.iter().map(|token| Address { token: (*token).to_owned(), receipt: String::new() });
        let answer = Answer { status, headers: vec![], body: body.to_string().into() };
        read(&answer, &to.collect::<Vec<_>>(), &[])
    }

    fn whole(status: u16, body: &Value) -> Refused {
        match told(status, body, &["t"]) {
            Told::Whole(refused) => refused,
            Told::Each(each) => panic!("{each:?}"),
        }
    }

    #[test]
    fn every_code_has_its_class() {
        let day = Some(Pause::NextDay);
        for (codes, class, scope, pause) in [
            (&[-1][..], Class::Retry, Scope::Platform, None),
            (&[-2], Class::Throttle, Scope::Platform, None),
            (&[11, 29], Class::Reauth, Scope::App, None),
            (&[13, 55, 69], Class::Throttle, Scope::App, None),
            (&[33, 42, 34], Class::Throttle, Scope::Category, day),
            (&[14, 15, 16, 17, 18, 19], Class::Config, Scope::App, None),
            (&[26, 27, 28, 30], Class::Config, Scope::App, None),
            (&[59, 67], Class::Config, Scope::Category, None),
            (&[12, 20, 21, 22, 23, 24, 25, 31, 32, 40, 41, 51], Class::Perm, Scope::Message, None),
            (&[10_000], Class::Unbind, Scope::Device, None),
            (&[10_001, 10_500, 19_999], Class::Perm, Scope::Message, None),
        ] {
            for code in codes {
                let refused = whole(200, &json!({"code": code, "message": "why"}));
                assert_eq!((refused.class, refused.scope, refused.pause), (class, scope, pause), "{code}");
                assert_eq!((refused.text.as_str(), refused.is_unknown), ("why", false), "{code}");
            }
        }
        assert!(whole(200, &json!({"code": 77})).is_unknown);
    }

    #[test]
    fn each_of_a_batch_has_its_own_outcome() {
        let body = json!({"code": 0, "data": [
            {"registrationId": "b", "errorCode": 10000, "errorMessage": "Invalid registration_id"},
            {"registrationId": "a", "messageId": "30-1-1-a"},
            {"registrationId": "c", "errorCode": "13", "errorMessage": "too fast"},
        ]});
        let Told::Each(each) = told(200, &body, &["a", "b", "c", "d"]) else { panic!("refused") };
        let class = |outcome: &Outcome| match outcome {
            Outcome::Accepted(accepted) => Err(accepted.vendor_id.clone().unwrap()),
            Outcome::Refused(refused) => Ok((refused.class, refused.is_ambiguous)),
        };
        let classes: Vec<_> = each.iter().map(class).collect();
        let expected = [
            Err("30-1-1-a".to_owned()),
            Ok((Class::Unbind, false)),
            Ok((Class::Throttle, false)),
            // Whoever is not spoken of may have been sent to.
            Ok((Class::Retry, true)),
        ];
        assert_eq!(classes, expected);
    }

    #[test]
    fn a_single_ones_id_is_read_in_both_spellings() {
        for name in ["messageId", "message_id"] {
            let Told::Each(each) = told(200, &json!({"code": 0, "data": {name: "30-1-1-a"}}), &["a"]) else {
                panic!("refused")
            };
            assert_eq!(each, [Outcome::accepted(Some("30-1-1-a".to_owned()))]);
        }
        assert_eq!(whole(200, &json!({"code": 0})).code, "garbage");
        assert_eq!(whole(502, &json!("<html>")).class, Class::Retry);
    }
}

//! Xiaomi's words in ours: dev.mi.com pId=1560 (2024-10-18), and what of 1656 concerns answers.

use carillon_actors::channel::{Accepted, Class, Outcome, Pause, Refused, Scope};
use serde_json::Value;

use crate::vendors::halves::Told;
use crate::vendors::{Answer, given};

type Row = (&'static [i64], Class, Scope, Option<Pause>);

pub(super) const CODES: &[Row] = &[
    // The system, busy or broken.
    (&[-1, 1, 10_001, 10_002, 10_003, 20_607, 26_003, 65_029], Class::Retry, Scope::Platform, None),
    // The request expired on its way: ours or their clock, for the moment.
    (&[10_037], Class::Retry, Scope::Platform, None),
    (&[10_022, 10_023, 10_024, 10_027, 200_002], Class::Throttle, Scope::App, None),
    // The channel's share of the day.
    (&[10_034, 200_001, 26_004], Class::Throttle, Scope::Category, Some(Pause::NextDay)),
    (
        &[
            10_008, 10_012, 10_016, 10_017, 10_041, 20_209, 65_008, 65_009, 65_010, 65_011, 65_012, 65_013,
            65_014, 65_015, 65_016, 65_017, 65_035, 65_036, 65_037, 65_038,
        ],
        Class::Perm,
        Scope::Message,
        None,
    ),
    // The regId. 10029 and 20301 are a guess unless the call had one alone.
    (&[66_007, 10_029, 20_301], Class::Unbind, Scope::Device, None),
    (
        &[21_301, 21_302, 21_303, 22_000, 22_006, 22_007, 22_022, 10_031, 10_033, 10_036, 26_006, 27_001],
        Class::Config,
        Scope::App,
        None,
    ),
];

/// The device is not there just now, which is no failure.
const OFFLINE: i64 = 65_003;

pub(super) fn read(answer: &Answer, count: usize, degraded: &[&'static str]) -> Told {
    let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let Some((body, code)) = body.as_ref().and_then(|body| Some((body, number(&body["code"])?))) else {
        return Told::Whole(given::bare(answer.status).pausing(answer.retry_after()));
    };
    if code == 0 || code == OFFLINE {
        // A call over its channel's quota is told so beside the success.
        let is_over = [&body["data"], body].into_iter().any(|part| is_set(&part["channel_exceed_quota"]));
        if is_over {
            let refused = Refused::new(Class::Throttle, Scope::Category, "channel_exceed_quota");
            return Told::Whole(refused.pausing(Some(Pause::NextDay)));
        }
        let vendor_id = body["data"]["id"].as_str().map(str::to_owned);
        if vendor_id.is_none() && code == 0 {
            return Told::Whole(given::bare(200));
        }
        let accepted = Accepted { vendor_id, degraded: degraded.to_vec() };
        return Told::Each(vec![Outcome::Accepted(accepted); count]);
    }
    let text = ["reason", "description"].into_iter().find_map(|name| body[name].as_str()).unwrap_or_default();
    Told::Whole(refused(answer.status, code).because(text))
}

fn refused(status: u16, code: i64) -> Refused {
    let row = CODES.iter().find(|(codes, ..)| codes.contains(&code));
    match row {
        Some((_, class, scope, pause)) => Refused::new(*class, *scope, code.to_string()).pausing(*pause),
        None => Refused::unknown(status, code.to_string()),
    }
}

/// A code may come as a text.
fn number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

fn is_set(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
        Value::String(text) => !text.is_empty(),
        Value::Number(count) => count.as_i64() != Some(0),
        Value::Bool(true) => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(status: u16, body: &str) -> Told {
        read(&Answer { status, headers: vec![], body: body.to_owned().into() }, 2, &["badge"])
    }

    fn whole(status: u16, body: &str) -> Refused {
        match told(status, body) {
            Told::Whole(refused) => refused,
            Told::Each(each) => panic!("{each:?}"),
        }
    }

    #[test]
    fn every_code_has_its_class() {
        let day = Some(Pause::NextDay);
        for (codes, class, scope, pause) in [
            (
                &[-1, 1, 10_001, 10_002, 10_003, 20_607, 26_003, 65_029, 10_037][..],
                Class::Retry,
                Scope::Platform,
                None,
            ),
            (&[10_027, 10_022, 10_023, 10_024, 200_002], Class::Throttle, Scope::App, None),
            (&[10_034, 200_001, 26_004], Class::Throttle, Scope::Category, day),
            (&[10_008, 10_012, 10_016, 10_017, 10_041, 20_209], Class::Perm, Scope::Message, None),
            (&[65_008, 65_009, 65_010, 65_011, 65_012, 65_013], Class::Perm, Scope::Message, None),
            (&[65_014, 65_015, 65_016, 65_017], Class::Perm, Scope::Message, None),
            (&[65_035, 65_036, 65_037, 65_038], Class::Perm, Scope::Message, None),
            (&[66_007, 10_029, 20_301], Class::Unbind, Scope::Device, None),
            (&[21_301, 21_302, 21_303, 22_000, 22_006, 22_007, 22_022], Class::Config, Scope::App, None),
            (&[10_031, 10_033, 10_036, 26_006, 27_001], Class::Config, Scope::App, None),
        ] {
            for code in codes {
                let body = json!({"result": "error", "code": code, "reason": "why"}).to_string();
                let refused = whole(200, &body);
                assert_eq!((refused.class, refused.scope, refused.pause), (class, scope, pause), "{code}");
                assert_eq!((refused.code, refused.text.as_str()), (code.to_string(), "why"));
                assert!(!refused.is_unknown);
            }
        }
    }

    #[test]
    fn one_id_stands_for_the_whole_batch() {
        let Told::Each(each) = told(200, r#"{"result":"ok","code":0,"data":{"id":"slm1"}}"#) else {
            panic!("refused")
        };
        let accepted = Accepted { vendor_id: Some("slm1".to_owned()), degraded: vec!["badge"] };
        assert_eq!(each, [Outcome::Accepted(accepted.clone()), Outcome::Accepted(accepted)]);
        assert!(matches!(told(200, r#"{"code":65003,"reason":"offline"}"#), Told::Each(_)));
    }

    #[test]
    fn a_quota_told_beside_a_success_is_a_quota() {
        let refused = whole(200, r#"{"code":0,"data":{"id":"slm1","channel_exceed_quota":["110001"]}}"#);
        assert_eq!((refused.class, refused.scope), (Class::Throttle, Scope::Category));
        assert_eq!(refused.pause, Some(Pause::NextDay));
    }

    #[test]
    fn what_is_no_answer_of_xiaomis_is_classed_by_its_status() {
        for (status, body, class, code, is_ambiguous) in [
            (200, "{\"code\":0,\"resu", Class::Retry, "garbage", true),
            (200, "{\"code\":0}", Class::Retry, "garbage", true),
            (502, "<html>", Class::Retry, "http_502", false),
            (503, "", Class::Throttle, "http_503", false),
            (404, "", Class::Perm, "http_404", false),
        ] {
            let refused = whole(status, body);
            assert_eq!((refused.class, refused.code.as_str()), (class, code), "{status} {body}");
            assert_eq!(refused.is_ambiguous, is_ambiguous, "{status} {body}");
        }
        let refused = whole(200, r#"{"code":99999}"#);
        assert_eq!((refused.class, refused.is_unknown), (Class::Perm, true));
    }
}

//! Push Kit v3's words in ours. Tokens that were not sent to are grouped by the reason, in a JSON text
//! inside `msg`; each reason has a class of its own.

use carillon_actors::channel::{Accepted, Address, Class, Outcome, Pause, Refused, Scope};
use serde_json::{Map, Value};

use crate::vendors::Answer;
use crate::vendors::pushkit::{self, Row, Said};

const OK: &str = "80000000";
/// Some tokens were not sent to.
const PARTIAL: &str = "80100000";
/// None was.
const ALL_INVALID: &str = "80300007";
/// The parameters are wrong, which one bad token makes them.
const BAD_PARAMETER: &str = "80100001";
/// The day's test messages are spent.
const TESTS_SPENT: &str = "80300029";

/// developer.huawei.com, push-scenariozed-api, "Response codes".
const CODES: [Row; 16] = [
    (BAD_PARAMETER, Class::Perm, Scope::Message),
    ("80100003", Class::Perm, Scope::Message),
    ("80100004", Class::Perm, Scope::Message),
    ("80100016", Class::Perm, Scope::Message),
    ("80100022", Class::Perm, Scope::Message),
    ("80200001", Class::Reauth, Scope::App),
    ("80200005", Class::Reauth, Scope::App),
    ("80300002", Class::Config, Scope::App),
    (ALL_INVALID, Class::Unbind, Scope::Device),
    ("80300008", Class::Perm, Scope::Message),
    ("80300010", Class::Perm, Scope::Message),
    // Of tests alone: what is sent in earnest goes on.
    (TESTS_SPENT, Class::Throttle, Scope::Category),
    ("80300030", Class::Perm, Scope::Message),
    ("80300036", Class::Config, Scope::App),
    ("80300037", Class::Config, Scope::App),
    ("81000001", Class::Retry, Scope::Platform),
];

/// Why a token was not sent to. What concerns the token or the message alone stops no other.
const REASONS: [Row; 11] = [
    ("tokenFormatError", Class::Unbind, Scope::Device),
    ("tokenPlatformNotSupport", Class::Unbind, Scope::Device),
    ("noRight", Class::Unbind, Scope::Device),
    ("noPushTypeRight", Class::Config, Scope::Category),
    ("noRightToSendThisLiveNotificationEvent", Class::Config, Scope::Category),
    ("atomicUnableSendUnsubscribedMsg", Class::Config, Scope::Device),
    ("countryNotSupport", Class::Config, Scope::Device),
    ("differentImgVerifyPolicy", Class::Config, Scope::Message),
    ("notSupportPlayVoice", Class::Config, Scope::Device),
    ("appinfoError", Class::Config, Scope::App),
    ("disableSendHuaweiMsgBecauseOfPenalty", Class::Config, Scope::App),
];

pub(super) fn read(answer: &Answer, to: &[Address], degraded: &[&'static str]) -> Vec<Outcome> {
    let said = Said::read(answer, "msg");
    match &said {
        Some(said) if said.code == OK || said.code == PARTIAL => {
            let groups = groups(said);
            let vendor_id = said.body["requestId"].as_str().map(str::to_owned);
            let accepted = Outcome::Accepted(Accepted { vendor_id, degraded: degraded.to_vec() });
            let one = |address: &Address| reason(&groups, address).map_or(accepted.clone(), Outcome::from);
            to.iter().map(one).collect()
        }
        Some(said) if said.code == ALL_INVALID => {
            let groups = groups(said);
            let whole = match to.len() {
                1 => pushkit::refused(answer, Some(said), &CODES),
                _ => pushkit::alone(ALL_INVALID),
            };
            let one = |address: &Address| reason(&groups, address).unwrap_or_else(|| whole.clone()).into();
            to.iter().map(one).collect()
        }
        Some(said) if said.code == BAD_PARAMETER && to.len() > 1 => {
            pushkit::all(to, pushkit::alone(BAD_PARAMETER))
        }
        said => {
            let mut refused = pushkit::refused(answer, said.as_ref(), &CODES);
            if refused.code == TESTS_SPENT {
                refused.pause = Some(Pause::NextDay);
            }
            pushkit::all(to, refused)
        }
    }
}

/// Tokens by reason: at the top of the text, or one below.
fn groups(said: &Said) -> Map<String, Value> {
    let inside: Value = serde_json::from_str(&said.text).unwrap_or_default();
    let Value::Object(top) = inside else { return Map::new() };
    let below = top.values().filter_map(Value::as_object).flatten();
    let below = below.map(|(name, value)| (name.clone(), value.clone()));
    below.chain(top.clone()).filter(|(_, value)| value.is_array()).collect()
}

fn reason(groups: &Map<String, Value>, address: &Address) -> Option<Refused> {
    let is_in = |value: &Value| {
        let mut tokens = value.as_array().into_iter().flatten().filter_map(Value::as_str);
        tokens.any(|token| token == address.token)
    };
    let (name, _) = groups.iter().find(|(_, tokens)| is_in(tokens))?;
    let known = REASONS.iter().find(|(known, ..)| known == name);
    Some(match known {
        Some((_, class, scope)) => Refused::new(*class, *scope, name.as_str()),
        // A reason nobody knows unbinds nobody.
        None => Refused { is_unknown: true, ..Refused::new(Class::Perm, Scope::Device, name.as_str()) },
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;

    fn answered(status: u16, body: impl Into<String>, tokens: &[&str]) -> Vec<Outcome> {
        let answer = Answer { status, headers: vec![], body: Bytes::from(body.into()) };
        let one = |token: &&str| Address { token: (*token).to_owned(), receipt: String::new() };
        read(&answer, &tokens.iter().map(one).collect::<Vec<_>>(), &[])
    }

    fn said(code: &str, msg: &Value) -> String {
        let msg = msg.as_str().map_or_else(|| msg.to_string(), str::to_owned);
        json!({"code": code, "msg": msg, "requestId": "r"}).to_string()
    }

    fn refused(outcome: &Outcome) -> &Refused {
        let Outcome::Refused(refused) = outcome else { panic!("accepted") };
        refused
    }

    #[test]
    fn every_code_of_one_token_has_its_class() {
        for (status, code, class, scope) in [
            (400, "80100001", Class::Perm, Scope::Message),
            (400, "80100003", Class::Perm, Scope::Message),
            (400, "80100004", Class::Perm, Scope::Message),
            (200, "80100016", Class::Perm, Scope::Message),
            (200, "80100022", Class::Perm, Scope::Message),
            (401, "80200001", Class::Reauth, Scope::App),
            (401, "80200005", Class::Reauth, Scope::App),
            (200, "80300002", Class::Config, Scope::App),
            (200, "80300007", Class::Unbind, Scope::Device),
            (400, "80300008", Class::Perm, Scope::Message),
            (400, "80300010", Class::Perm, Scope::Message),
            (200, "80300029", Class::Throttle, Scope::Category),
            (200, "80300030", Class::Perm, Scope::Message),
            (401, "80300036", Class::Config, Scope::App),
            (200, "80300037", Class::Config, Scope::App),
            (500, "81000001", Class::Retry, Scope::Platform),
        ] {
            let outcomes = answered(status, said(code, &json!("x")), &["t1"]);
            let refused = refused(&outcomes[0]);
            assert_eq!((refused.class, refused.scope, refused.is_unknown), (class, scope, false), "{code}");
            assert_eq!(refused.pause, (code == "80300029").then_some(Pause::NextDay));
        }
    }

    #[test]
    fn every_reason_has_its_class_and_takes_no_other_token_along() {
        for (reason, class, scope) in [
            ("tokenFormatError", Class::Unbind, Scope::Device),
            ("tokenPlatformNotSupport", Class::Unbind, Scope::Device),
            ("noRight", Class::Unbind, Scope::Device),
            ("noPushTypeRight", Class::Config, Scope::Category),
            ("noRightToSendThisLiveNotificationEvent", Class::Config, Scope::Category),
            ("atomicUnableSendUnsubscribedMsg", Class::Config, Scope::Device),
            ("countryNotSupport", Class::Config, Scope::Device),
            ("differentImgVerifyPolicy", Class::Config, Scope::Message),
            ("notSupportPlayVoice", Class::Config, Scope::Device),
            ("appinfoError", Class::Config, Scope::App),
            ("disableSendHuaweiMsgBecauseOfPenalty", Class::Config, Scope::App),
            ("neverHeard", Class::Perm, Scope::Device),
        ] {
            for msg in [json!({reason: ["t2"]}), json!({"success": 1, "illegalTokens": {reason: ["t2"]}})] {
                let outcomes = answered(200, said("80100000", &msg), &["t1", "t2"]);
                assert_eq!(outcomes[0], Outcome::accepted(Some("r".to_owned())), "{reason}");
                let found = refused(&outcomes[1]);
                assert_eq!((found.class, found.scope, found.code.as_str()), (class, scope, reason));
                assert_eq!(found.is_unknown, reason == "neverHeard");
                let all = answered(200, said("80300007", &msg), &["t2"]);
                assert_eq!(refused(&all[0]).class, class);
            }
        }
    }

    #[test]
    fn what_names_no_token_unbinds_no_batch() {
        let partial = answered(200, said("80100000", &json!("some")), &["t1", "t2"]);
        assert!(partial.iter().all(|outcome| matches!(outcome, Outcome::Accepted(_))));
        for code in ["80300007", "80100001"] {
            for outcome in answered(200, said(code, &json!("x")), &["t1", "t2"]) {
                assert_eq!((refused(&outcome).class, refused(&outcome).scope), (Class::Retry, Scope::Device));
            }
        }
    }

    #[test]
    fn what_has_no_known_code_is_classed_by_its_status() {
        for (status, body, class) in [
            (400, "", Class::Perm),
            (401, "", Class::Reauth),
            (404, "<html>", Class::Config),
            (500, "", Class::Retry),
            (502, "<html>", Class::Retry),
            (503, "", Class::Throttle),
            (200, "{\"code\":", Class::Retry),
        ] {
            assert_eq!(refused(&answered(status, body, &["t1"])[0]).class, class, "{status}");
        }
    }
}

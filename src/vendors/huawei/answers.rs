//! Huawei's words in ours. It answers HTTP 200 to most of what is wrong: the code decides.

use std::collections::HashSet;

use carillon_actors::channel::{Accepted, Address, Class, Outcome, Refused, Scope};
use serde_json::Value;

use crate::vendors::Answer;
use crate::vendors::pushkit::{self, Row, Said};

const OK: &str = "80000000";
/// Some tokens of the call are illegal: the others were sent to.
const PARTIAL: &str = "80100000";
/// All are, or they are another app's.
const ALL_INVALID: &str = "80300007";
/// The token list is wrong, which one bad token makes it.
const BAD_LIST: &str = "80100001";

/// The app may not send with high priority.
const NO_RIGHT: &str = "80300011";

/// developer.huawei.com, https-send-api-0000001050986197, "Response parameters".
const CODES: [Row; 19] = [
    (BAD_LIST, Class::Perm, Scope::Message),
    ("80100002", Class::Perm, Scope::Message),
    ("80100003", Class::Perm, Scope::Message),
    ("80100004", Class::Perm, Scope::Message),
    ("80100013", Class::Perm, Scope::Message),
    ("80100016", Class::Perm, Scope::Message),
    ("80100017", Class::Throttle, Scope::App),
    ("80100018", Class::Perm, Scope::Message),
    ("80200001", Class::Reauth, Scope::App),
    ("80200003", Class::Reauth, Scope::App),
    ("80300002", Class::Config, Scope::App),
    ("80300006", Class::Perm, Scope::Message),
    (ALL_INVALID, Class::Unbind, Scope::Device),
    ("80300008", Class::Perm, Scope::Message),
    ("80300010", Class::Perm, Scope::Message),
    (NO_RIGHT, Class::Config, Scope::App),
    ("80300013", Class::Config, Scope::App),
    ("80600003", Class::Retry, Scope::Platform),
    ("81000001", Class::Retry, Scope::Platform),
];

pub(super) fn read(answer: &Answer, to: &[Address], degraded: &[&'static str]) -> Vec<Outcome> {
    let said = Said::read(answer, "msg");
    let accepted = |said: &Said| {
        let vendor_id = said.body["requestId"].as_str().map(str::to_owned);
        Outcome::Accepted(Accepted { vendor_id, degraded: degraded.to_vec() })
    };
    match &said {
        Some(said) if said.code == OK => vec![accepted(said); to.len()],
        Some(said) if said.code == PARTIAL => {
            let illegal = illegal(said);
            let dead = Refused::new(Class::Unbind, Scope::Device, PARTIAL).because("an illegal token");
            let one = |address: &Address| match illegal.contains(&address.token) {
                true => dead.clone().into(),
                false => accepted(said),
            };
            to.iter().map(one).collect()
        }
        Some(said) if to.len() > 1 && [ALL_INVALID, BAD_LIST].contains(&said.code.as_str()) => {
            pushkit::all(to, pushkit::alone(&said.code))
        }
        said => pushkit::all(to, pushkit::refused(answer, said.as_ref(), &CODES)),
    }
}

/// Whether the call was refused for a priority that the app has no right to.
pub(super) fn wants_a_right(outcomes: &[Outcome]) -> bool {
    outcomes.iter().all(|outcome| matches!(outcome, Outcome::Refused(refused) if refused.code == NO_RIGHT))
}

/// They stand in a JSON text inside `msg`; some clients have seen them beside it. Where neither can be
/// read, no token is unbound.
fn illegal(said: &Said) -> HashSet<String> {
    let inside: Value = serde_json::from_str(&said.text).unwrap_or_default();
    let lists = [&inside["illegal_tokens"], &inside["illegalTokens"], &said.body["illegal_tokens"]];
    let list = lists.into_iter().find_map(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;

    fn to(tokens: &[&str]) -> Vec<Address> {
        let one = |token: &&str| Address { token: (*token).to_owned(), receipt: String::new() };
        tokens.iter().map(one).collect()
    }

    fn answered(status: u16, body: impl Into<String>, tokens: &[&str]) -> Vec<Outcome> {
        let answer = Answer { status, headers: vec![], body: Bytes::from(body.into()) };
        read(&answer, &to(tokens), &[])
    }

    fn said(code: &str, msg: &str) -> String {
        json!({"code": code, "msg": msg, "requestId": "r"}).to_string()
    }

    fn refused(outcome: &Outcome) -> &Refused {
        let Outcome::Refused(refused) = outcome else { panic!("accepted") };
        refused
    }

    #[test]
    fn every_code_of_one_token_has_its_class() {
        for (status, code, class, scope) in [
            (200, "80100001", Class::Perm, Scope::Message),
            (200, "80100002", Class::Perm, Scope::Message),
            (200, "80100003", Class::Perm, Scope::Message),
            (200, "80100004", Class::Perm, Scope::Message),
            (200, "80100013", Class::Perm, Scope::Message),
            (200, "80100016", Class::Perm, Scope::Message),
            (200, "80100017", Class::Throttle, Scope::App),
            (200, "80100018", Class::Perm, Scope::Message),
            (401, "80200001", Class::Reauth, Scope::App),
            (401, "80200003", Class::Reauth, Scope::App),
            (200, "80200003", Class::Reauth, Scope::App),
            (200, "80300002", Class::Config, Scope::App),
            (200, "80300006", Class::Perm, Scope::Message),
            (200, "80300007", Class::Unbind, Scope::Device),
            (200, "80300008", Class::Perm, Scope::Message),
            (200, "80300010", Class::Perm, Scope::Message),
            (200, "80300011", Class::Config, Scope::App),
            (200, "80300013", Class::Config, Scope::App),
            (500, "80600003", Class::Retry, Scope::Platform),
            (200, "81000001", Class::Retry, Scope::Platform),
        ] {
            let outcomes = answered(status, said(code, "x"), &["t1"]);
            let refused = refused(&outcomes[0]);
            assert_eq!((refused.class, refused.scope, refused.is_unknown), (class, scope, false), "{code}");
            assert_eq!(refused.code, code);
        }
    }

    #[test]
    fn what_has_no_known_code_is_classed_by_its_status() {
        for (status, body, class, code, is_unknown) in [
            (401, String::new(), Class::Reauth, "http_401", false),
            (404, "<html>".to_owned(), Class::Config, "http_404", false),
            (500, String::new(), Class::Retry, "http_500", false),
            (502, "<html>".to_owned(), Class::Retry, "http_502", false),
            (503, String::new(), Class::Throttle, "http_503", false),
            (503, said("80300503", "x"), Class::Throttle, "80300503", true),
            (200, said("89999999", "x"), Class::Perm, "89999999", true),
            (200, "{\"code\":".to_owned(), Class::Retry, "garbage", false),
        ] {
            let outcomes = answered(status, body.clone(), &["t1"]);
            let refused = refused(&outcomes[0]);
            let found = (refused.class, refused.code.as_str(), refused.is_unknown);
            assert_eq!(found, (class, code, is_unknown), "{status} {body}");
        }
    }

    #[test]
    fn an_illegal_token_takes_no_other_along() {
        let msg = json!({"success": 2, "failure": 1, "illegal_tokens": ["t2"]}).to_string();
        let outcomes = answered(200, said("80100000", &msg), &["t1", "t2", "t3"]);
        assert_eq!(outcomes[0], Outcome::accepted(Some("r".to_owned())));
        assert_eq!(refused(&outcomes[1]).class, Class::Unbind);
        assert_eq!(outcomes[2], outcomes[0]);
        let beside = json!({"code": "80100000", "msg": "partial", "illegal_tokens": ["t1"]}).to_string();
        assert_eq!(refused(&answered(200, beside, &["t1", "t2"])[0]).class, Class::Unbind);
        let unread = answered(200, said("80100000", "some tokens"), &["t1", "t2"]);
        assert!(unread.iter().all(|outcome| matches!(outcome, Outcome::Accepted(_))));
    }

    #[test]
    fn what_is_said_of_a_whole_batch_is_asked_of_each_and_unbinds_none() {
        for code in ["80300007", "80100001"] {
            for outcome in answered(200, said(code, "x"), &["t1", "t2"]) {
                let refused = refused(&outcome);
                assert_eq!((refused.class, refused.scope), (Class::Retry, Scope::Device), "{code}");
            }
        }
    }
}

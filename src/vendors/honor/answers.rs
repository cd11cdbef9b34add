//! Honor's words in ours. Its success is the number 200; a client that knew Huawei's alone took every
//! success for a failure. Dead tokens stand in two lists beside it.

use carillon_actors::channel::{Accepted, Address, Class, Outcome, Pause, Refused, Scope};
use serde_json::Value;

use crate::vendors::Answer;
use crate::vendors::pushkit::{self, Row, Said};

const OK: [&str; 2] = ["200", "80000000"];
const PARTIAL: &str = "80100000";
const ALL_INVALID: &str = "80300007";
/// The day's test messages are spent.
const TESTS_SPENT: &str = "80200047";

/// developer.honor.com, as Getui transcribes it.
const CODES: [Row; 23] = [
    ("80100003", Class::Perm, Scope::Message),
    ("80200050", Class::Perm, Scope::Message),
    ("80200056", Class::Perm, Scope::Message),
    ("80300008", Class::Perm, Scope::Message),
    ("80300010", Class::Perm, Scope::Message),
    ("10300", Class::Perm, Scope::Message),
    ("400", Class::Perm, Scope::Message),
    ("80300006", Class::Perm, Scope::Message),
    (ALL_INVALID, Class::Unbind, Scope::Device),
    ("401", Class::Reauth, Scope::App),
    ("403", Class::Reauth, Scope::App),
    ("80200020", Class::Config, Scope::App),
    ("80200022", Class::Config, Scope::App),
    ("10205", Class::Config, Scope::App),
    ("404", Class::Config, Scope::App),
    // Of tests alone: what is sent in earnest goes on.
    (TESTS_SPENT, Class::Throttle, Scope::Category),
    // The call's `timestamp` is missing, or the clocks differ.
    ("10001", Class::Config, Scope::App),
    ("10207", Class::Config, Scope::App),
    ("500", Class::Retry, Scope::Platform),
    ("502", Class::Retry, Scope::Platform),
    ("503", Class::Throttle, Scope::App),
    // Huawei's, which Honor is not known to have dropped: the token is not good, or not any more.
    ("80200001", Class::Reauth, Scope::App),
    ("80200003", Class::Reauth, Scope::App),
];

pub(super) fn read(answer: &Answer, to: &[Address], degraded: &[&'static str]) -> Vec<Outcome> {
    let said = Said::read(answer, "message");
    match &said {
        Some(said) if OK.contains(&said.code.as_str()) || said.code == PARTIAL => {
            let vendor_id = said.body["data"]["requestId"].as_str();
            let accepted = Accepted { vendor_id: vendor_id.map(str::to_owned), degraded: degraded.to_vec() };
            to.iter().map(|address| one(said, address, to.len(), &accepted)).collect()
        }
        Some(said) if said.code == ALL_INVALID && to.len() > 1 => {
            pushkit::all(to, pushkit::alone(ALL_INVALID))
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

/// Of a call that was taken. Who only failed may be well: it is asked once more by itself.
fn one(said: &Said, address: &Address, asked: usize, accepted: &Accepted) -> Outcome {
    let is_in = |list: &str| {
        let list = said.body["data"][list].as_array();
        list.is_some_and(|list| list.iter().filter_map(Value::as_str).any(|token| token == address.token))
    };
    let dead = |list: &str| Refused::new(Class::Unbind, Scope::Device, list).because("named in this list");
    match () {
        () if is_in("expireTokens") => dead("expireTokens").into(),
        () if is_in("failTokens") && asked > 1 => pushkit::alone("failTokens").into(),
        () if is_in("failTokens") => dead("failTokens").into(),
        () => Outcome::Accepted(accepted.clone()),
    }
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

    fn refused(outcome: &Outcome) -> &Refused {
        let Outcome::Refused(refused) = outcome else { panic!("accepted") };
        refused
    }

    #[test]
    fn success_is_a_number_or_a_text() {
        for code in [json!(200), json!("200"), json!("80000000"), json!(80_000_000)] {
            let body = json!({"code": code, "data": {"sendResult": true, "requestId": "r"}}).to_string();
            assert_eq!(answered(200, body, &["t1"]), [Outcome::accepted(Some("r".to_owned()))]);
        }
    }

    #[test]
    fn every_code_of_one_token_has_its_class() {
        for (status, code, class, scope) in [
            (200, 80_100_003, Class::Perm, Scope::Message),
            (200, 80_200_050, Class::Perm, Scope::Message),
            (200, 80_200_056, Class::Perm, Scope::Message),
            (200, 80_300_008, Class::Perm, Scope::Message),
            (200, 80_300_010, Class::Perm, Scope::Message),
            (200, 10_300, Class::Perm, Scope::Message),
            (400, 400, Class::Perm, Scope::Message),
            (200, 80_300_006, Class::Perm, Scope::Message),
            (200, 80_300_007, Class::Unbind, Scope::Device),
            (401, 401, Class::Reauth, Scope::App),
            (200, 403, Class::Reauth, Scope::App),
            (200, 80_200_001, Class::Reauth, Scope::App),
            (200, 80_200_003, Class::Reauth, Scope::App),
            (200, 80_200_020, Class::Config, Scope::App),
            (200, 80_200_022, Class::Config, Scope::App),
            (200, 10_205, Class::Config, Scope::App),
            (404, 404, Class::Config, Scope::App),
            (200, 80_200_047, Class::Throttle, Scope::Category),
            (200, 10_001, Class::Config, Scope::App),
            (200, 10_207, Class::Config, Scope::App),
            (200, 500, Class::Retry, Scope::Platform),
            (200, 502, Class::Retry, Scope::Platform),
            (503, 503, Class::Throttle, Scope::App),
        ] {
            let body = json!({"code": code, "message": "x", "data": {"sendResult": false}}).to_string();
            let outcomes = answered(status, body, &["t1"]);
            let refused = refused(&outcomes[0]);
            assert_eq!((refused.class, refused.scope, refused.is_unknown), (class, scope, false), "{code}");
            assert_eq!(refused.pause, (code == 80_200_047).then_some(Pause::NextDay));
        }
        for (status, body, class) in [
            (401, "", Class::Reauth),
            (404, "<html>", Class::Config),
            (502, "<html>", Class::Retry),
            (503, "", Class::Throttle),
            (200, "{\"code\":2", Class::Retry),
            (200, "{\"code\":12345}", Class::Perm),
        ] {
            assert_eq!(refused(&answered(status, body, &["t1"])[0]).class, class, "{status} {body}");
        }
    }

    #[test]
    fn who_has_expired_is_dead_and_who_failed_is_asked_once_more_alone() {
        for code in [200, 80_100_000] {
            let data = json!({"requestId": "r", "failTokens": ["t2"], "expireTokens": ["t3"]});
            let body = json!({"code": code, "data": data}).to_string();
            let outcomes = answered(200, body.clone(), &["t1", "t2", "t3"]);
            assert_eq!(outcomes[0], Outcome::accepted(Some("r".to_owned())));
            assert_eq!(
                (refused(&outcomes[1]).class, refused(&outcomes[1]).scope),
                (Class::Retry, Scope::Device)
            );
            assert_eq!(refused(&outcomes[2]).class, Class::Unbind);
            assert_eq!(refused(&answered(200, body, &["t2"])[0]).class, Class::Unbind);
        }
    }

    #[test]
    fn a_batch_that_is_all_invalid_unbinds_none() {
        for outcome in answered(200, r#"{"code":80300007}"#, &["t1", "t2"]) {
            assert_eq!((refused(&outcome).class, refused(&outcome).scope), (Class::Retry, Scope::Device));
        }
    }
}

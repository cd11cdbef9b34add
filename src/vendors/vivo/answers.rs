//! vivo's words in ours: "result" of its server API (2.9.2), and a large sender's table of them.

use std::collections::HashMap;

use carillon_actors::channel::{Accepted, Address, Class, Outcome, Pause, Refused, Scope};
use serde_json::Value;

use crate::vendors::halves::Told;
use crate::vendors::{Answer, given};

type Row = (&'static [i64], Class, Scope, Option<Pause>);

/// Operation messages are let through from 7 to 23.
const MORNING: u8 = 7;

pub(super) const CODES: &[Row] = &[
    (&[10_000], Class::Reauth, Scope::App, None),
    (&[ILLEGAL], Class::Unbind, Scope::Device, None),
    // Notifications off or not active: not now, and not dead.
    (&[10_311], Class::Perm, Scope::Device, None),
    // To go on after one of these lowers the quota: nothing more of that class today.
    (&[10_070, 10_073, 10_252, 10_254], Class::Throttle, Scope::Category, Some(Pause::NextDay)),
    (&[10_072], Class::Throttle, Scope::App, None),
    (&[10_071], Class::Throttle, Scope::Category, Some(Pause::Hour(MORNING))),
    (&[10_040], Class::Retry, Scope::Platform, None),
    // Closed, in review, switched off, another app's token, not yet let to send in earnest, and what
    // is wrong with a signature. 10207 is a clock that goes wrong.
    (
        &[
            10_043, 10_045, 10_082, 10_094, 10_104, 10_200, 10_201, 10_202, 10_203, 10_204, 10_205, 10_206,
            10_207,
        ],
        Class::Config,
        Scope::App,
        None,
    ),
    (
        &[
            10_050, 10_051, 10_054, 10_055, 10_056, 10_057, 10_058, 10_059, 10_060, 10_065, 10_067, 10_085,
            10_095, 10_096, 10_097, 10_103, 10_150, 10_151, 10_152, 10_153, 10_155, 10_304, 10_305, 10_306,
            10_352, 10_353, 10_800, 10_801,
        ],
        Class::Perm,
        Scope::Message,
        None,
    ),
];

const ILLEGAL: i64 = 10_302;

/// The saved message is not known any more.
pub(super) const NO_TASK: i64 = 10_155;

pub(super) fn refused(status: u16, code: i64, text: Option<&str>) -> Refused {
    let row = CODES.iter().find(|(codes, ..)| codes.contains(&code));
    let refused = match row {
        Some((_, class, scope, pause)) => Refused::new(*class, *scope, code.to_string()).pausing(*pause),
        None => Refused::unknown(status, code.to_string()),
    };
    refused.because(text.unwrap_or_default())
}

/// Of an answer; it may come as a text.
pub(super) fn code(body: &Value) -> Option<i64> {
    number(&body["result"])
}

/// A message saved for a list: its task.
pub(super) fn saved(answer: &Answer) -> Result<String, Refused> {
    let body = parsed(answer)?;
    body["taskId"].as_str().map(str::to_owned).ok_or_else(|| given::bare(200))
}

/// What became of one device, or of a list sent under `task`.
pub(super) fn read(answer: &Answer, to: &[Address], task: Option<&str>, degraded: &[&'static str]) -> Told {
    let body = match parsed(answer) {
        Ok(body) => body,
        Err(refused) => return Told::Whole(of_user(answer).unwrap_or(refused)),
    };
    let id = task.or_else(|| body["taskId"].as_str()).map(str::to_owned);
    let accepted = Outcome::Accepted(Accepted { vendor_id: id, degraded: degraded.to_vec() });
    let invalid: HashMap<&str, i64> = users(&body).filter_map(status).collect();
    let outcome = |address: &Address| match invalid.get(address.token.as_str()) {
        Some(status) => invalid_user(*status).into(),
        None => accepted.clone(),
    };
    Told::Each(to.iter().map(outcome).collect())
}

/// The body of a success.
fn parsed(answer: &Answer) -> Result<Value, Refused> {
    let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let Some((body, code)) = body.and_then(|body| code(&body).map(|code| (body, code))) else {
        return Err(given::bare(answer.status).pausing(answer.retry_after()));
    };
    if code == 0 { Ok(body) } else { Err(refused(answer.status, code, body["desc"].as_str())) }
}

/// A single one that was refused as illegal may say more of it.
fn of_user(answer: &Answer) -> Option<Refused> {
    let body: Value = serde_json::from_slice(&answer.body).ok()?;
    let (_, status) = users(&body).find_map(status)?;
    (code(&body)? == ILLEGAL).then(|| Refused {
        code: ILLEGAL.to_string(),
        ..invalid_user(status).because(body["desc"].as_str().unwrap_or_default())
    })
}

fn users(body: &Value) -> impl Iterator<Item = &Value> {
    let list = body["invalidUsers"].as_array().into_iter().flatten();
    list.chain(Some(&body["invalidUser"]).filter(|user| user.is_object()))
}

fn status(user: &Value) -> Option<(&str, i64)> {
    Some((user["userid"].as_str()?, number(&user["status"]).unwrap_or(0)))
}

/// 1 unknown to the app, 2 uninstalled or unsubscribed, 3 inactive, 4 none of the devices for tests.
fn invalid_user(status: i64) -> Refused {
    let code = format!("invalid_user_{status}");
    match status {
        1 | 2 => Refused::new(Class::Unbind, Scope::Device, code),
        4 => Refused::new(Class::Config, Scope::Device, code),
        3 => Refused::new(Class::Perm, Scope::Device, code),
        _ => Refused { scope: Scope::Device, ..Refused::unknown(200, code) },
    }
}

fn number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(body: &Value, tokens: &[&str]) -> Told {
        let to = tokens.iter().map(|token| Address { token: (*token).to_owned(), receipt: String::new() });
        let answer = Answer { status: 200, headers: vec![], body: body.to_string().into() };
        read(&answer, &to.collect::<Vec<_>>(), Some("task-1"), &[])
    }

    fn whole(body: &Value) -> Refused {
        match told(body, &["a"]) {
            Told::Whole(refused) => refused,
            Told::Each(each) => panic!("{each:?}"),
        }
    }

    #[test]
    fn every_code_has_its_class() {
        let day = Some(Pause::NextDay);
        for (codes, class, scope, pause) in [
            (&[10_000][..], Class::Reauth, Scope::App, None),
            (&[10_302], Class::Unbind, Scope::Device, None),
            (&[10_311], Class::Perm, Scope::Device, None),
            (&[10_070, 10_073, 10_252, 10_254], Class::Throttle, Scope::Category, day),
            (&[10_072], Class::Throttle, Scope::App, None),
            (&[10_071], Class::Throttle, Scope::Category, Some(Pause::Hour(7))),
            (&[10_040], Class::Retry, Scope::Platform, None),
            (&[10_043, 10_045, 10_082, 10_094, 10_104], Class::Config, Scope::App, None),
            (&[10_200, 10_201, 10_202, 10_203, 10_204], Class::Config, Scope::App, None),
            (&[10_205, 10_206, 10_207], Class::Config, Scope::App, None),
            (&[10_050, 10_051, 10_054, 10_055, 10_056, 10_057], Class::Perm, Scope::Message, None),
            (&[10_058, 10_059, 10_060, 10_065, 10_067, 10_085], Class::Perm, Scope::Message, None),
            (&[10_095, 10_096, 10_097, 10_103, 10_150, 10_151], Class::Perm, Scope::Message, None),
            (&[10_152, 10_153, 10_155, 10_304, 10_305, 10_306], Class::Perm, Scope::Message, None),
            (&[10_352, 10_353, 10_800, 10_801], Class::Perm, Scope::Message, None),
        ] {
            for code in codes {
                let refused = whole(&json!({"result": code, "desc": "why"}));
                assert_eq!((refused.class, refused.scope, refused.pause), (class, scope, pause), "{code}");
                assert_eq!((refused.text.as_str(), refused.is_unknown), ("why", false), "{code}");
            }
        }
        assert!(whole(&json!({"result": 19_999})).is_unknown);
    }

    #[test]
    fn a_list_names_the_invalid_and_takes_no_other_along() {
        let body = json!({"result": 0, "invalidUsers": [
            {"userid": "b", "status": 1}, {"userid": "c", "status": "2"}, {"userid": "d", "status": 3},
            {"userid": "e", "status": 4},
        ]});
        let Told::Each(each) = told(&body, &["a", "b", "c", "d", "e"]) else { panic!("refused") };
        assert_eq!(each[0], Outcome::accepted(Some("task-1".to_owned())));
        let classes = each[1..].iter().map(|outcome| match outcome {
            Outcome::Refused(refused) => (refused.class, refused.scope),
            Outcome::Accepted(_) => panic!("{outcome:?}"),
        });
        let (unbind, device) = (Class::Unbind, Scope::Device);
        let expected = [(unbind, device), (unbind, device), (Class::Perm, device), (Class::Config, device)];
        assert_eq!(classes.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn an_illegal_id_that_is_only_no_test_device_is_not_dead() {
        let with = |status: u64| {
            whole(&json!({"result": 10302, "desc": "why", "invalidUser": {"status": status, "userid": "a"}}))
        };
        assert_eq!((with(1).class, with(1).code.as_str()), (Class::Unbind, "10302"));
        assert_eq!(with(4).class, Class::Config);
    }

    #[test]
    fn what_is_no_answer_of_vivos_is_classed_by_its_status() {
        for (status, body, class, code) in [
            (500, "Internal Server Error", Class::Retry, "http_500"),
            (200, "{\"code\":0,\"resu", Class::Retry, "garbage"),
            (503, "", Class::Throttle, "http_503"),
        ] {
            let answer = Answer { status, headers: vec![], body: body.to_owned().into() };
            let Told::Whole(refused) = read(&answer, &[], None, &[]) else { panic!("{status}") };
            assert_eq!((refused.class, refused.code.as_str()), (class, code), "{status}");
            assert!(saved(&answer).is_err());
        }
    }
}

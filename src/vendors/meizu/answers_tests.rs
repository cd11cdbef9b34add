use bytes::Bytes;
use serde_json::json;

use super::*;

fn to(tokens: &[&str]) -> Vec<Address> {
    let one = |token: &&str| Address { token: (*token).to_owned(), receipt: "r".to_owned() };
    tokens.iter().map(one).collect()
}

fn answer(status: u16, body: &str) -> Answer {
    Answer { status, headers: vec![], body: Bytes::copy_from_slice(body.as_bytes()) }
}

fn outcomes(body: &Value, tokens: &[&str]) -> Vec<Outcome> {
    match read(&answer(200, &body.to_string()), &to(tokens), &[]) {
        Read::Outcomes(outcomes) => outcomes,
        Read::Elsewhere(url) => panic!("{url}"),
    }
}

fn meant(outcome: &Outcome) -> Option<(Class, Scope, Option<Pause>)> {
    match outcome {
        Outcome::Accepted(_) => None,
        Outcome::Refused(refused) => Some((refused.class, refused.scope, refused.pause)),
    }
}

#[test]
fn every_code_of_a_call_has_its_class() {
    let expected = [
        ("500", Class::Retry, Scope::Platform, None),
        ("1001", Class::Retry, Scope::Platform, None),
        ("1003", Class::Retry, Scope::Platform, None),
        ("1005", Class::Perm, Scope::Message, None),
        ("1006", Class::Config, Scope::App, None),
        ("110000", Class::Config, Scope::App, None),
        ("110001", Class::Config, Scope::App, None),
        ("110004", Class::Perm, Scope::Message, None),
        ("110009", Class::Config, Scope::App, None),
        ("110010", Class::Throttle, Scope::App, None),
        ("110019", Class::Throttle, Scope::App, DAY),
        ("110031", Class::Perm, Scope::Message, None),
        ("110032", Class::Perm, Scope::Message, None),
        ("110033", Class::Config, Scope::App, None),
        ("110051", Class::Throttle, Scope::App, DAY),
        ("110053", Class::Throttle, Scope::App, DAY),
    ];
    assert_eq!(expected.len(), TOP.len());
    for (code, class, scope, pause) in expected {
        let said = outcomes(&json!({"code": code, "message": "why", "value": ""}), &["a", "b"]);
        assert_eq!(said.iter().map(meant).collect::<Vec<_>>(), [Some((class, scope, pause)); 2], "{code}");
    }
}

#[test]
fn every_code_of_a_token_has_its_class_and_takes_no_other_along() {
    let expected = [
        ("201", Class::Config, Scope::App, None),
        ("501", Class::Retry, Scope::Message, None),
        ("513", Class::Retry, Scope::Message, None),
        ("519", Class::Retry, Scope::Message, None),
        ("520", Class::Throttle, Scope::Device, MINUTE),
        ("110002", Class::Unbind, Scope::Device, None),
        ("110003", Class::Unbind, Scope::Device, None),
        ("110005", Class::Perm, Scope::Device, None),
        ("110010", Class::Perm, Scope::Device, None),
        ("110011", Class::Throttle, Scope::Device, DAY),
    ];
    assert_eq!(expected.len(), OF_TOKENS.len());
    for (code, class, scope, pause) in expected {
        let said = outcomes(&json!({"code": "200", "value": {code: ["b"]}, "msgId": "m"}), &["a", "b"]);
        let expected = [None, Some((class, scope, pause))];
        assert_eq!(said.iter().map(meant).collect::<Vec<_>>(), expected, "{code}");
    }
}

/// Said of the call, 110010 is too fast; of a token, that its owner turned pushes off.
#[test]
fn one_number_means_two_things_by_where_it_stands() {
    let of_call = outcomes(&json!({"code": "110010"}), &["a"]);
    assert_eq!(meant(&of_call[0]), Some((Class::Throttle, Scope::App, None)));
    let of_token = outcomes(&json!({"code": "200", "value": {"110010": ["a"]}}), &["a"]);
    assert_eq!(meant(&of_token[0]), Some((Class::Perm, Scope::Device, None)));
    // On top of a batch, a word that is of tokens unbinds none.
    let of_batch = outcomes(&json!({"code": "110002"}), &["a", "b"]);
    assert!(of_batch.iter().all(|outcome| meant(outcome).is_some_and(|(class, ..)| class == Class::Perm)));
}

#[test]
fn bad_tokens_are_read_whichever_way_round_they_stand() {
    for value in [
        json!({"110002": ["a"], "110003": ["b"]}),
        json!({"a": "110002", "b": 110_003}),
        json!({"110002": "a", "110003": "b"}),
    ] {
        let said = outcomes(&json!({"code": "200", "value": value, "msgId": "m-1"}), &["a", "b", "c"]);
        let codes: Vec<_> = said
            .iter()
            .map(|outcome| match outcome {
                Outcome::Accepted(accepted) => accepted.vendor_id.clone().unwrap(),
                Outcome::Refused(refused) => refused.code.clone(),
            })
            .collect();
        assert_eq!(codes, ["110002", "110003", "m-1"]);
    }
}

#[test]
fn nothing_is_unbound_by_what_cannot_be_read() {
    for (status, body, meant, code) in [
        (502, "<html>", Class::Retry, "http_502"),
        (200, "{\"code\"", Class::Retry, "garbage"),
        (200, "[]", Class::Retry, "garbage"),
        (200, r#"{"code":"777"}"#, Class::Perm, "777"),
        (200, r#"{"code":"300","redirect":""}"#, Class::Retry, "300"),
    ] {
        let Read::Outcomes(outcomes) = read(&answer(status, body), &to(&["a"]), &[]) else { panic!() };
        let Outcome::Refused(refused) = &outcomes[0] else { panic!("{body}") };
        assert_eq!((refused.class, &*refused.code), (meant, code), "{body}");
    }
    let said = outcomes(&json!({"code": 200, "value": {"999": ["a"]}}), &["a"]);
    assert!(
        matches!(&said[0], Outcome::Refused(refused) if refused.is_unknown && refused.class == Class::Perm)
    );
}

#[test]
fn another_place_is_gone_to() {
    let body = r#"{"code":"300","redirect":"https://other.meizu.com/x"}"#;
    assert!(
        matches!(read(&answer(200, body), &to(&["a"]), &[]), Read::Elsewhere(url) if url.contains("other"))
    );
}

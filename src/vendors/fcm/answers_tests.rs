use bytes::Bytes;
use serde_json::json;

use super::*;

fn answer(status: u16, body: &str, retry_after: Option<&str>) -> Outcome {
    let headers = retry_after.map(|value| ("retry-after".to_owned(), value.to_owned()));
    let body = Bytes::copy_from_slice(body.as_bytes());
    read(&Answer { status, headers: headers.into_iter().collect(), body }, vec![])
}

fn of(status: u16, name: &str, code: Option<&str>) -> Refused {
    let kind = "type.googleapis.com/google.firebase.fcm.v1.FcmError";
    let details: Vec<_> = code.iter().map(|code| json!({"@type": kind, "errorCode": code})).collect();
    let body = json!({"error": {"code": status, "message": "why", "status": name, "details": details}});
    match answer(status, &body.to_string(), None) {
        Outcome::Refused(refused) => refused,
        Outcome::Accepted(_) => panic!("accepted"),
    }
}

#[test]
fn every_code_has_its_class() {
    let expected = [
        (404, "NOT_FOUND", "UNREGISTERED", Class::Unbind),
        (400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", Class::Perm),
        (403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH", Class::Unbind),
        (401, "UNAUTHENTICATED", "THIRD_PARTY_AUTH_ERROR", Class::Config),
        (429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", Class::Throttle),
        (500, "INTERNAL", "INTERNAL", Class::Retry),
        (503, "UNAVAILABLE", "UNAVAILABLE", Class::Retry),
        (500, "UNKNOWN", "UNSPECIFIED_ERROR", Class::Retry),
    ];
    assert_eq!(expected.len(), CODES.len());
    for (status, name, code, class) in expected {
        let refused = of(status, name, Some(code));
        assert_eq!((refused.class, &*refused.code), (class, code));
    }
}

#[test]
fn without_a_code_the_status_decides_and_unbinds_nobody() {
    let expected = [
        (404, "NOT_FOUND", Class::Config),
        (400, "INVALID_ARGUMENT", Class::Perm),
        (403, "PERMISSION_DENIED", Class::Config),
        (401, "UNAUTHENTICATED", Class::Reauth),
        (429, "RESOURCE_EXHAUSTED", Class::Throttle),
        (500, "INTERNAL", Class::Retry),
        (503, "UNAVAILABLE", Class::Retry),
    ];
    assert_eq!(expected.len(), STATUSES.len());
    for (status, name, class) in expected {
        assert_eq!(of(status, name, None).class, class, "{name}");
    }
}

#[test]
fn a_wrong_argument_unbinds_only_when_it_is_the_token() {
    let violation = json!({"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "Invalid",
        "details": [
            {"@type": "type.googleapis.com/google.rpc.BadRequest",
             "fieldViolations": [{"field": "message.token", "description": "Invalid registration token"}]},
            {"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": "INVALID_ARGUMENT"}]}});
    let text = json!({"error": {"code": 400, "status": "INVALID_ARGUMENT",
        "message": "The registration token is not a valid FCM registration token"}});
    let other = json!({"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "Invalid",
        "details": [{"@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [{"field": "message.data[0].value"}]}]}});
    for (body, class) in [(violation, Class::Unbind), (text, Class::Unbind), (other, Class::Perm)] {
        let Outcome::Refused(refused) = answer(400, &body.to_string(), None) else { panic!() };
        assert_eq!(refused.class, class);
    }
}

#[test]
fn a_quota_waits_as_long_as_google_says_or_a_minute() {
    let body = r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"x"}}"#;
    for (header, seconds) in [(Some("7"), 7), (None, 60)] {
        let Outcome::Refused(refused) = answer(429, body, header) else { panic!() };
        assert_eq!(refused.pause, Some(Pause::For(Ttl::from_secs(seconds))));
    }
}

#[test]
fn what_is_none_of_googles_words_is_classed_by_its_status() {
    for (status, body, class, code, is_unknown) in [
        (502, "<html>Bad Gateway</html>", Class::Retry, "http_502", false),
        (200, "{\"na", Class::Retry, "garbage", false),
        (400, r#"{"error":{"status":"NEW_WORD"}}"#, Class::Perm, "NEW_WORD", true),
        (418, r#"{"error":{}}"#, Class::Perm, "http_418", true),
    ] {
        let Outcome::Refused(refused) = answer(status, body, None) else { panic!() };
        assert_eq!((refused.class, &*refused.code, refused.is_unknown), (class, code, is_unknown), "{body}");
    }
    let name = "projects/p/messages/0:1500";
    let body = json!({"name": name}).to_string();
    assert_eq!(answer(200, &body, None), Outcome::accepted(Some(name.to_owned())));
}

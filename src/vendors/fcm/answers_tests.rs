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
        (404, "NOT_FOUND", "UNREGISTERED", Class::Unbind, Scope::Device),
        (400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", Class::Perm, Scope::Message),
        (403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH", Class::Unbind, Scope::Device),
        (401, "UNAUTHENTICATED", "THIRD_PARTY_AUTH_ERROR", Class::Config, Scope::App),
        (429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", Class::Throttle, Scope::App),
        (500, "INTERNAL", "INTERNAL", Class::Retry, Scope::Platform),
        (503, "UNAVAILABLE", "UNAVAILABLE", Class::Retry, Scope::Platform),
        (500, "UNKNOWN", "UNSPECIFIED_ERROR", Class::Retry, Scope::Platform),
    ];
    assert_eq!(expected.len(), CODES.len());
    for (status, name, code, class, scope) in expected {
        let refused = of(status, name, Some(code));
        assert_eq!((refused.class, refused.scope, &*refused.code), (class, scope, code));
    }
}

#[test]
fn without_a_code_the_status_decides_and_unbinds_nobody() {
    let expected = [
        (404, "NOT_FOUND", Class::Config, Scope::App),
        (400, "INVALID_ARGUMENT", Class::Perm, Scope::Message),
        (403, "PERMISSION_DENIED", Class::Config, Scope::App),
        (401, "UNAUTHENTICATED", Class::Reauth, Scope::App),
        (429, "RESOURCE_EXHAUSTED", Class::Throttle, Scope::App),
        (500, "INTERNAL", Class::Retry, Scope::Platform),
        (503, "UNAVAILABLE", Class::Retry, Scope::Platform),
    ];
    assert_eq!(expected.len(), STATUSES.len());
    for (status, name, class, scope) in expected {
        let refused = of(status, name, None);
        assert_eq!((refused.class, refused.scope, &*refused.code), (class, scope, name));
    }
}

/// As bloomberg/pushiko caught them.
#[test]
fn what_google_was_heard_to_say_is_read() {
    let unregistered = r#"{"error":{"code":404,"message":"Requested entity was not found.","status":"NOT_FOUND",
        "details":[{"@type":"type.googleapis.com/google.firebase.fcm.v1.FcmError","errorCode":"UNREGISTERED"}]}}"#;
    let too_large =
        r#"{"error":{"code":400,"message":"Android message is too big","status":"INVALID_ARGUMENT"}}"#;
    let wrong_project =
        r#"{"error":{"code":404,"message":"Requested entity was not found.","status":"NOT_FOUND"}}"#;
    let apple = r#"{"error":{"code":401,"message":"Auth error from APNS or Web Push Service","status":"UNAUTHENTICATED",
        "details":[{"@type":"type.googleapis.com/google.firebase.fcm.v1.FcmError","errorCode":"THIRD_PARTY_AUTH_ERROR"},
        {"@type":"type.googleapis.com/google.firebase.fcm.v1.ApnsError","statusCode":403,"reason":"InvalidProviderToken"}]}}"#;
    // A code of tomorrow's, whose status is today's: no token dies of it.
    let unheard = r#"{"error":{"code":404,"status":"NOT_FOUND","details":[
        {"@type":"type.googleapis.com/google.firebase.fcm.v1.FcmError","errorCode":"NEVER_HEARD"}]}}"#;
    for (status, body, class, code) in [
        (404, unregistered, Class::Unbind, "UNREGISTERED"),
        (400, too_large, Class::Perm, "INVALID_ARGUMENT"),
        (404, wrong_project, Class::Config, "NOT_FOUND"),
        (401, apple, Class::Config, "THIRD_PARTY_AUTH_ERROR"),
        (404, unheard, Class::Perm, "NEVER_HEARD"),
        (502, "<!DOCTYPE html><title>Error 502 (Server Error)!!1</title>", Class::Retry, "http_502"),
    ] {
        let Outcome::Refused(refused) = answer(status, body, None) else { panic!("{body}") };
        assert_eq!((refused.class, &*refused.code), (class, code), "{body}");
    }
}

#[test]
fn a_pause_is_kept_for_what_passes_and_for_nothing_else() {
    for (status, name, pause) in
        [(503, "UNAVAILABLE", true), (429, "RESOURCE_EXHAUSTED", true), (400, "INVALID_ARGUMENT", false)]
    {
        let body = json!({"error": {"code": status, "status": name}}).to_string();
        let Outcome::Refused(refused) = answer(status, &body, Some("30")) else { panic!("{name}") };
        assert_eq!(refused.pause, pause.then_some(Pause::For(Ttl::from_secs(30))), "{name}");
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

//! What holds between the code and its manual.

use std::collections::BTreeSet;

use carillon_sdk::wire::{ErrorCode, GoodbyeReason};
use serde::Serialize;

use super::Code;

const ERRORS: &str = include_str!("../../docs/errors.md");
const HTTP: &str = include_str!("../../docs/http.md");

/// Each variant leads to the next: one that is added does not compile until it stands here.
const fn after_error(code: ErrorCode) -> Option<ErrorCode> {
    use ErrorCode as E;
    Some(match code {
        E::HelloExpected => E::HelloTwice,
        E::HelloTwice => E::CredentialInvalid,
        E::CredentialInvalid => E::FrameTooLong,
        E::FrameTooLong => E::FrameMalformed,
        E::FrameMalformed => E::AckUnknown,
        E::AckUnknown => E::ReportUnknown,
        E::ReportUnknown => E::BindTokenInvalid,
        E::BindTokenInvalid => E::BindTokenExpired,
        E::BindTokenExpired => E::VendorTokenInvalid,
        E::VendorTokenInvalid => E::TooMany,
        E::TooMany => E::Unavailable,
        E::Unavailable => E::UnexpectedFrame,
        E::UnexpectedFrame => E::Other,
        E::Other => return None,
    })
}

const fn after_reason(reason: GoodbyeReason) -> Option<GoodbyeReason> {
    use GoodbyeReason as G;
    Some(match reason {
        G::Draining => G::Replaced,
        G::Replaced => G::Idle,
        G::Idle => G::Slow,
        G::Slow => G::Busy,
        G::Busy => G::Credential,
        G::Credential => G::Protocol,
        G::Protocol => G::Revoked,
        G::Revoked => G::Internal,
        G::Internal => G::Other,
        G::Other => return None,
    })
}

fn name(of: impl Serialize) -> String {
    serde_json::to_value(of).unwrap().as_str().unwrap().to_owned()
}

#[test]
fn every_code_has_its_heading_and_every_heading_its_code() {
    let headings: BTreeSet<String> =
        ERRORS.lines().filter_map(|line| line.strip_prefix("### ")).map(str::to_owned).collect();
    let mut codes: BTreeSet<String> = Code::ALL.iter().map(|code| code.as_str().to_owned()).collect();
    codes.extend(std::iter::successors(Some(ErrorCode::HelloExpected), |code| after_error(*code)).map(name));
    let reasons = std::iter::successors(Some(GoodbyeReason::Draining), |reason| after_reason(*reason));
    codes.extend(reasons.map(name));
    assert_eq!(headings, codes);
}

#[test]
fn every_http_code_is_documented_with_its_status() {
    for code in Code::ALL {
        let (_, text) = ERRORS.split_once(&format!("\n### {}\n", code.as_str())).unwrap();
        let status = code.status().as_u16();
        assert!(text.starts_with(&status.to_string()), "{} is a {status}", code.as_str());
    }
}

#[test]
fn the_manual_shows_every_route() {
    for entry in super::routes::ROUTES {
        let heading = format!("### {} {}\n", entry.method, entry.path);
        assert!(HTTP.contains(&heading), "{heading}");
    }
}

/// The vectors are those of the SDK's own tests; the manual must show them as the SDK signs them.
#[test]
fn the_manuals_test_vectors_are_signed_as_it_says() {
    use carillon_sdk::Timestamp;
    use carillon_sdk::sign::{Request, canonical, signature};

    let timestamp = Timestamp::from_millis(1_760_000_000_000);
    let push = r#"{"to":{"users":["anna"]},"title":"hi"}"#;
    let query = "to=2&from=1&group_by=platform%2Creason&from=0";
    let bind = r#"{"user_id":"zoë"}"#;
    for (nonce, method, path, query, body) in [
        ("n0nce-0001", "GET", "/v1/devices", "", ""),
        ("n0nce-0002", "POST", "/v1/pushes", "", push),
        ("n0nce-0003", "GET", "/v1/stats", query, ""),
        ("n0nce-0004", "PUT", "/v1/devices/phone%2F1%20%C3%BC/user", "", bind),
    ] {
        let request = Request { method, path, query, body: body.as_bytes(), timestamp, nonce };
        let hex = hex::encode(signature("cs_fixed-secret-for-vectors", &request));
        let shown = format!("```text\n{}\n```\n\nsignature `{hex}`", canonical(&request));
        assert!(HTTP.contains(&shown), "{shown}");
        assert!(body.is_empty() || HTTP.contains(&format!("`{body}`")), "{body}");
    }
}

#[test]
fn the_manuals_bind_token_is_minted_as_it_says() {
    use carillon_sdk::sign::BindToken;
    use carillon_sdk::{AppId, DeviceId, KeyId, Timestamp, UserId, WorkspaceId};

    let token = BindToken {
        app_id: AppId::parse("shop").unwrap(),
        workspace_id: WorkspaceId::parse("production").unwrap(),
        device_id: DeviceId::parse("phone-1").unwrap(),
        user_id: UserId::parse("anna").unwrap(),
        expires_at: Timestamp::from_millis(1_760_000_300_000),
    };
    let minted = token.mint(&KeyId::parse("ck_1").unwrap(), "cs_fixed-secret-for-vectors");
    assert!(HTTP.contains(&minted), "{minted}");
}

/// Bodies shown are bodies taken: each JSON of the manual that a request sends is read as one.
#[test]
fn the_manuals_requests_are_read() {
    use carillon_sdk::api::{BindUser, CreateApp, CreateKey, PushRequest, RegisterDevice};

    fn read<T: serde::de::DeserializeOwned>(route: &str) {
        let (_, section) = HTTP.split_once(&format!("### {route}\n")).unwrap();
        let section = section.split("\n### ").next().unwrap();
        let fenced = section.split("```json\n").nth(1).and_then(|rest| rest.split("```").next());
        let inline = section.split('`').find(|text| text.starts_with('{'));
        let bodies = [fenced, inline].into_iter().flatten();
        let read = bodies.filter(|text| serde_json::from_str::<T>(text).is_ok()).count();
        assert!(read >= 1, "{route} shows no body that it takes");
    }
    read::<RegisterDevice>("POST /v1/devices");
    read::<BindUser>("PUT /v1/devices/{id}/user");
    read::<PushRequest>("POST /v1/pushes");
    read::<CreateKey>("POST /v1/keys");
    read::<CreateApp>("POST /v1/apps");
    read::<carillon_sdk::api::schedules::CreateSchedule>("POST /v1/schedules");
}

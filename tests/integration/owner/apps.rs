//! Apps: found, renamed, shut and opened by the operator.

use carillon_sdk::api::schedules::{CreateSchedule, Moment};
use carillon_sdk::api::{PushRequest, UpdateApp};
use carillon_sdk::wire::{self, Frame, GoodbyeReason, Hello};
use carillon_sdk::{AppId, Ttl, WorkspaceId};
use serde_json::json;

use super::code;
use crate::harness::{Call, Phone, Server, call, eventually, now, to_device, within};

fn enabled(enabled: bool) -> UpdateApp {
    UpdateApp { enabled: Some(enabled), ..UpdateApp::default() }
}

fn ids(server: &Server) -> (AppId, WorkspaceId) {
    (server.ready.app_id.parse().unwrap(), server.ready.workspace_id.parse().unwrap())
}

#[tokio::test]
async fn a_disabled_app_is_refused_its_devices_are_sent_away_and_nothing_is_lost() {
    let server = Server::start().await;
    let (app, operator) = (server.app(), server.operator());
    let (app_id, workspace) = ids(&server);
    let mut phone = Phone::new(&server, &app, "here").await;
    let absent = app.register("absent").await;
    app.push(to_device(&absent.device_id), "kept").await;

    operator.update_app(&app_id, &workspace, &enabled(false)).await.unwrap();
    let goodbye = phone.expect_goodbye(GoodbyeReason::Busy).await;
    assert!((60_000..=120_000).contains(&goodbye.retry_after_ms), "{goodbye:?}");
    assert_eq!(code(app.api.devices(None)).await, "app_disabled");
    assert_eq!(code(app.api.push(&Default::default(), None)).await, "app_disabled");
    let client_key = operator.app(&app_id, &workspace).await.unwrap().client_key;
    let registering = Call::new("POST", "/v1/devices", r#"{"platform":"web"}"#);
    let registering = registering.header("Authorization", &format!("Client {client_key}"));
    assert_eq!(call(server.http(), &registering).await.status, 403);
    let mut stranger = Phone::stranger(&server).await;
    let credential = absent.credential.clone();
    let hello = Hello { version: wire::VERSION, credential, ..Hello::default() };
    stranger.send(&Frame::Hello(hello)).await.unwrap();
    match within("a goodbye", stranger.next()).await.unwrap() {
        Some(Frame::Goodbye(goodbye)) => assert_eq!(goodbye.reason, GoodbyeReason::Busy),
        other => panic!("expected a goodbye, got {other:?}"),
    }

    operator.update_app(&app_id, &workspace, &enabled(true)).await.unwrap();
    Phone::connect(&server, absent).await.receive("kept").await;
    phone.reconnect(&server).await.expect_nothing().await;
}

#[tokio::test]
async fn what_is_scheduled_in_a_disabled_app_waits_until_it_is_enabled() {
    let server = Server::start().await;
    let (app, operator) = (server.app(), server.operator());
    let (app_id, workspace) = ids(&server);
    let device = app.register("d").await;
    let at = now() + Ttl::from_secs(1);
    let schedule = CreateSchedule {
        push: Some(PushRequest {
            to: to_device(&device.device_id),
            title: Some("later".to_owned()),
            ..PushRequest::default()
        }),
        at: Some(Moment::Millis(at.as_millis())),
        ..CreateSchedule::default()
    };
    app.api.create_schedule(&schedule, None).await.unwrap();
    operator.update_app(&app_id, &workspace, &enabled(false)).await.unwrap();
    let while_shut = at + Ttl::from_secs(1);
    eventually("its time to pass", async || (now() > while_shut).then_some(())).await;
    operator.update_app(&app_id, &workspace, &enabled(true)).await.unwrap();
    let came = Phone::connect(&server, device).await.receive("later").await;
    assert!(came.sent_at >= while_shut, "it was sent while the app was shut");
}

#[tokio::test]
async fn another_app_goes_on_while_one_is_disabled_and_a_crash_changes_neither() {
    let mut server = Server::start().await;
    let other = server.another_app("other").await;
    let (app_id, workspace) = ids(&server);
    server.operator().update_app(&app_id, &workspace, &enabled(false)).await.unwrap();
    other.api.devices(None).await.unwrap();
    server.crash().await;
    assert_eq!(code(server.app().api.devices(None)).await, "app_disabled");
    assert!(!server.operator().app(&app_id, &workspace).await.unwrap().enabled);
}

#[tokio::test]
async fn an_operator_finds_workspaces_renames_an_app_and_changes_its_client_key() {
    let server = Server::start().await;
    let operator = server.operator();
    server.another_app("shop").await;
    let make = |workspace: &str| carillon_sdk::api::CreateApp {
        app_id: "shop".parse().unwrap(),
        workspace_id: workspace.parse().unwrap(),
        name: None,
    };
    operator.create_app(&make("test")).await.unwrap();
    let (shop, test) = ("shop".parse().unwrap(), "test".parse().unwrap());
    let found = operator.workspaces(&shop).await.unwrap().apps;
    let mut names: Vec<_> = found.iter().map(|app| app.workspace_id.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["default", "test"]);

    let renamed = UpdateApp { name: Some("The shop".to_owned()), ..UpdateApp::default() };
    let renamed = operator.update_app(&shop, &test, &renamed).await.unwrap();
    assert_eq!((renamed.name.as_deref(), renamed.enabled), (Some("The shop"), true));
    let rotated = operator.rotate_client_key(&shop, &test).await.unwrap();
    let register = async |client_key: &str| {
        let registering = Call::new("POST", "/v1/devices", r#"{"platform":"web"}"#);
        let registering = registering.header("Authorization", &format!("Client {client_key}"));
        call(server.http(), &registering).await.status
    };
    assert_eq!(register(&renamed.client_key).await, 401, "the one before is none any more");
    assert_eq!(register(&rotated.client_key).await, 201);
    assert_eq!(code(operator.app(&shop, &"prod".parse().unwrap())).await, "app_unknown");
    assert_eq!(code(server.app().api.app(&shop, &test)).await, "scope_missing");
}

#[tokio::test]
async fn what_the_operator_does_stands_in_the_operators_own_log() {
    let server = Server::start().await;
    let operator = server.operator();
    let other = server.another_app("shop").await;
    let (shop, default) = ("shop".parse().unwrap(), "default".parse().unwrap());
    operator.update_app(&shop, &default, &enabled(false)).await.unwrap();
    operator.update_app(&shop, &default, &enabled(true)).await.unwrap();
    operator.rotate_client_key(&shop, &default).await.unwrap();
    let log = operator.audit_log(None).await.unwrap().entries;
    let done: Vec<_> = log.iter().rev().map(|entry| (entry.what.as_str(), entry.object.as_str())).collect();
    let of = |what| (what, "shop/default");
    let expected = [of("app.create"), of("app.update"), of("app.update"), of("app.rotate_client_key")];
    assert_eq!(done, expected);
    assert_eq!(log[2].detail.as_ref().unwrap()["to"], json!({ "enabled": false }));
    assert!(log.iter().all(|entry| entry.who == "operator"), "{log:?}");
    // The app's own log has its first key, which the operator made.
    let own = eventually("the app's log", async || other.api.audit_log(None).await.ok()).await.entries;
    let done: Vec<_> = own.iter().map(|entry| (entry.what.as_str(), entry.who.as_str())).collect();
    assert_eq!(done, [("key.create", "operator")]);
}

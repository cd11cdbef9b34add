//! Settings, and the key that signs callbacks.

use carillon_sdk::api::PushRequest;
use carillon_sdk::api::settings::{Callback, MakeCallbackKey, PushApi, Routing, WriteSettings};
use carillon_sdk::{Fallback, Route};

use super::code;
use crate::harness::{Server, to_user};

fn zone(name: &str) -> WriteSettings {
    WriteSettings { time_zone: Some(name.to_owned()), ..WriteSettings::default() }
}

#[tokio::test]
async fn settings_have_defaults_are_changed_whole_and_survive_a_crash() {
    let mut server = Server::start().await;
    let app = server.app();
    let first = app.api.settings().await.unwrap();
    assert_eq!((first.version, first.push_api.enabled, first.time_zone.as_str()), (0, true, "UTC"));
    let second = app.api.replace_settings(&zone("Asia/Shanghai"), Some(&first.etag)).await.unwrap();
    assert_eq!((second.version, second.time_zone.as_str()), (1, "Asia/Shanghai"));
    assert_eq!(code(app.api.replace_settings(&zone("UTC"), Some(&first.etag))).await, "version_mismatch");
    assert_eq!(code(app.api.replace_settings(&zone("Mars/Base"), None)).await, "settings_invalid");
    server.crash().await;
    assert_eq!(server.app().api.settings().await.unwrap(), second);
    let other = server.another_app("other").await;
    assert_eq!(other.api.settings().await.unwrap().version, 0);
    let done = server.app().api.audit_log(None).await.unwrap().entries;
    assert_eq!(done.iter().map(|entry| entry.what.as_str()).collect::<Vec<_>>(), ["settings.update"]);
}

#[tokio::test]
async fn the_road_of_an_apps_pushes_is_a_setting() {
    let server = Server::start().await;
    let app = server.app();
    let first = app.api.settings().await.unwrap().routing;
    assert_eq!((first.route, first.fallback), (Route::VendorFirst, Fallback::Own));
    let routing = Routing { route: Route::VendorAfter, vendor_after_s: 20, fallback: Fallback::None };
    let with = |routing| WriteSettings { routing, ..WriteSettings::default() };
    assert_eq!(app.api.replace_settings(&with(routing), None).await.unwrap().routing, routing);
    let never = Routing { vendor_after_s: 0, ..routing };
    assert_eq!(code(app.api.replace_settings(&with(never), None)).await, "settings_invalid");
}

#[tokio::test]
async fn pushes_by_api_are_refused_while_they_are_switched_off() {
    let server = Server::start().await;
    let app = server.app();
    let switched = |enabled| WriteSettings {
        push_api: PushApi { enabled, public_key: None },
        ..WriteSettings::default()
    };
    app.api.replace_settings(&switched(false), None).await.unwrap();
    let push = PushRequest { to: to_user("ann"), silent: true, ..PushRequest::default() };
    assert_eq!(code(app.api.push(&push, None)).await, "push_api_off");
    assert_eq!(code(app.api.push_batch(&Default::default(), None)).await, "push_api_off");
    assert_eq!(code(app.api.user(&"ann".parse().unwrap())).await, "user_unknown", "nothing was sent");
    app.api.replace_settings(&switched(true), None).await.unwrap();
    app.send(push).await;
}

#[tokio::test]
async fn a_callback_is_on_only_with_a_url_and_a_key_whose_private_half_is_never_shown() {
    let server = Server::start().await;
    let app = server.app();
    let callback = |url: Option<&str>| WriteSettings {
        callback: Callback { enabled: true, url: url.map(str::to_owned) },
        ..WriteSettings::default()
    };
    let url = Some("http://127.0.0.1:9/receipts");
    assert_eq!(code(app.api.callback_key()).await, "callback_key_unknown");
    assert_eq!(code(app.api.replace_settings(&callback(url), None)).await, "settings_invalid");
    let made = app.api.make_callback_key(&MakeCallbackKey::default()).await.unwrap();
    assert!(made.public_key.starts_with("-----BEGIN PUBLIC KEY-----\n") && !made.uploaded);
    assert_eq!(code(app.api.replace_settings(&callback(None), None)).await, "settings_invalid");
    assert_eq!(code(app.api.replace_settings(&callback(Some("ftp://x")), None)).await, "settings_invalid");
    let set = app.api.replace_settings(&callback(url), None).await.unwrap();
    assert_eq!((set.callback.enabled, set.callback_key.as_ref()), (true, Some(&made)));
    let wrong = MakeCallbackKey { private_key: Some(made.public_key.clone()) };
    assert_eq!(code(app.api.make_callback_key(&wrong)).await, "callback_key_invalid");
    let own = PushApi { enabled: true, public_key: Some(made.public_key.clone()) };
    let own = WriteSettings { push_api: own, ..callback(url) };
    let set = app.api.replace_settings(&own, Some(&set.etag)).await.unwrap();
    assert_eq!(set.push_api.public_key, Some(made.public_key));
    let other = server.another_app("other").await;
    assert_eq!(code(other.api.callback_key()).await, "callback_key_unknown");
}

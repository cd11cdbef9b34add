//! Whose token it is, through all that befalls phones; and tokens by the file.

use carillon_sdk::api::tokens::{DeviceTokens, TokenOutcome, TokenStep};
use carillon_sdk::api::{Platform, RegisterDevice};
use carillon_sdk::client::server::TokenForm;
use carillon_sdk::wire::{Frame, VendorToken};
use carillon_sdk::{DeviceId, Vendor};

use crate::harness::{App, Call, Phone, Server, call, run};

async fn report(phone: &mut Phone, channel: &str, token: &str) {
    let frame = VendorToken { request: 9, channel: channel.to_owned(), token: token.to_owned() };
    phone.send(&Frame::VendorToken(frame)).await;
    assert_eq!(phone.expect_answer(9).await.error, None);
}

async fn tokens(app: &App, device: &DeviceId) -> DeviceTokens {
    app.api.device_tokens(device).await.unwrap()
}

/// Channel and token of all that a device has.
async fn has(app: &App, device: &DeviceId) -> Vec<(Vendor, String)> {
    tokens(app, device).await.tokens.into_iter().map(|token| (token.channel, token.token)).collect()
}

async fn steps(app: &App, device: &DeviceId) -> Vec<(TokenStep, Option<String>)> {
    let history = tokens(app, device).await.history.into_iter();
    history.map(|change| (change.change, change.other_device.map(|id| id.to_string()))).collect()
}

#[tokio::test]
async fn a_rotated_token_takes_the_place_of_the_one_before() {
    let server = Server::start().await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "phone").await;
    report(&mut phone, "fcm", "first").await;
    report(&mut phone, "fcm", "first").await;
    report(&mut phone, "fcm", "second").await;
    let known = tokens(&app, phone.id()).await;
    assert_eq!(has(&app, phone.id()).await, [(Vendor::Fcm, "second".to_owned())]);
    assert_eq!((known.carrier, known.tokens[0].by.as_str()), (Some(Vendor::Fcm), "device"));
    assert_eq!(
        steps(&app, phone.id()).await,
        [(TokenStep::Replaced, None), (TokenStep::Registered, None)],
        "the same once more is no change"
    );
}

#[tokio::test]
async fn two_users_of_one_phone_have_one_token_between_them() {
    let server = Server::start().await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "phone").await;
    report(&mut phone, "xiaomi", "abc").await;
    app.bind(phone.id(), "anna").await;
    app.bind(phone.id(), "ben").await;
    report(&mut phone, "xiaomi", "abc").await;
    assert_eq!(has(&app, phone.id()).await, [(Vendor::Xiaomi, "abc".to_owned())]);
    assert_eq!(app.api.device(phone.id()).await.unwrap().user_id.unwrap().as_str(), "ben");
    assert_eq!(steps(&app, phone.id()).await.len(), 1);
}

#[tokio::test]
async fn an_app_installed_anew_has_its_token_once() {
    let server = Server::start().await;
    let app = server.app();
    // It kept its device id and got another token.
    let mut phone = Phone::new(&server, &app, "kept").await;
    report(&mut phone, "huawei", "one").await;
    let mut phone = {
        phone.disconnect();
        Phone::new(&server, &app, "kept").await
    };
    report(&mut phone, "huawei", "two").await;
    assert_eq!(has(&app, phone.id()).await, [(Vendor::Huawei, "two".to_owned())]);
    // It lost its device id and kept its token.
    let old = phone.id().clone();
    phone.disconnect();
    let mut anew = Phone::new(&server, &app, "anew").await;
    report(&mut anew, "huawei", "two").await;
    assert_eq!(has(&app, &old).await, []);
    assert_eq!(has(&app, anew.id()).await, [(Vendor::Huawei, "two".to_owned())]);
    assert_eq!(steps(&app, &old).await[0], (TokenStep::MovedTo, Some("anew".to_owned())));
    assert_eq!(steps(&app, anew.id()).await, [(TokenStep::MovedFrom, Some("kept".to_owned()))]);
    assert_eq!(app.api.device(&old).await.unwrap().vendor_channels, Vec::<String>::new());
}

#[tokio::test]
async fn a_backup_on_a_new_phone_reports_its_own_token_and_the_old_phone_keeps_its() {
    let server = Server::start().await;
    let app = server.app();
    let mut old = Phone::new(&server, &app, "old").await;
    report(&mut old, "apns", "of-the-old").await;
    // What was backed up: the old phone's token, until the system gives the new phone its own.
    let mut new = Phone::new(&server, &app, "new").await;
    report(&mut new, "apns", "of-the-old").await;
    report(&mut new, "apns", "of-the-new").await;
    report(&mut old, "apns", "of-the-old").await;
    assert_eq!(has(&app, old.id()).await, [(Vendor::Apns, "of-the-old".to_owned())]);
    assert_eq!(has(&app, new.id()).await, [(Vendor::Apns, "of-the-new".to_owned())]);
    let moves = [TokenStep::Registered, TokenStep::MovedTo, TokenStep::Registered];
    let known: Vec<_> = steps(&app, old.id()).await.into_iter().map(|(step, _)| step).collect();
    assert_eq!(known, moves);
}

#[tokio::test]
async fn an_app_server_sets_moves_and_withdraws_tokens() {
    let server = Server::start().await;
    let app = server.app();
    for device in ["a", "b"] {
        app.register(device).await;
    }
    let (a, b): (DeviceId, DeviceId) = ("a".parse().unwrap(), "b".parse().unwrap());
    let set = async |device: &DeviceId, token: &str| {
        app.api.set_token(device, Vendor::Oppo, token).await.unwrap().outcome
    };
    assert_eq!(set(&a, "t").await, TokenOutcome::New);
    assert_eq!(set(&a, "t").await, TokenOutcome::Same);
    assert_eq!(set(&a, "u").await, TokenOutcome::Replaced);
    assert_eq!(set(&b, "u").await, TokenOutcome::Moved);
    app.api.withdraw_token(&b, Vendor::Oppo).await.unwrap();
    let known = tokens(&app, &b).await;
    assert_eq!((known.tokens.len(), known.carrier), (0, None));
    assert_eq!(known.history[0].by, format!("key:{}", app.key_id));
    let asked = |method, path: &str, body: &str| Call::new(method, path, body).signed(&app);
    let path = "/v1/devices/a/tokens/pigeon";
    call(server.http(), &asked("PUT", path, r#"{"token":"t"}"#)).await.expect_problem(404, "channel_unknown");
    let path = "/v1/devices/a/tokens/oppo";
    call(server.http(), &asked("PUT", path, r#"{"token":""}"#)).await.expect_problem(400, "token_invalid");
}

async fn export(app: &App, form: TokenForm, channel: Option<Vendor>) -> String {
    let mut export = app.api.export_tokens(form, channel).await.unwrap();
    let mut all = Vec::new();
    while let Some(piece) = export.next().await.unwrap() {
        all.extend_from_slice(&piece);
    }
    String::from_utf8(all).unwrap()
}

#[tokio::test]
async fn tokens_are_imported_from_a_file_and_exported_whole_in_both_forms() {
    let server = Server::start().await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "known").await;
    report(&mut phone, "fcm", "reported").await;
    let lines = [
        r#"{"device_id":"known","channel":"fcm","token":"from-before","registered_at":1700000000000}"#,
        r#"{"device_id":"known","channel":"xiaomi","token":"mi","maker":"Xiaomi","user_id":"anna"}"#,
        r#"{"channel":"apns","token":"abcd","user_id":"ben","registered_at":1700000000000}"#,
        r#"{"device_id":"web, 1","channel":"webpush","token":{"endpoint":"https://p/1","keys":{"auth":"a"}}}"#,
    ];
    let import =
        async |text: String| app.api.import_tokens(TokenForm::Ndjson, text.into(), false).await.unwrap();
    let done = import(lines.join("\n")).await;
    assert_eq!((done.new, done.stale, done.devices, done.bound), (3, 1, 2, 2), "{done:?}");
    assert_eq!(has(&app, phone.id()).await[0], (Vendor::Fcm, "reported".to_owned()));
    let again = import(lines.join("\n")).await;
    assert_eq!((again.new, again.same, again.devices, again.bound), (0, 3, 0, 0), "{again:?}");
    let ndjson = export(&app, TokenForm::Ndjson, None).await;
    assert_eq!(ndjson.lines().count(), 4, "{ndjson}");
    let csv = export(&app, TokenForm::Csv, None).await;
    // Into another app, and out again: the same.
    let other = server.another_app("copy").await;
    for (form, text) in [(TokenForm::Ndjson, &ndjson), (TokenForm::Csv, &csv)] {
        let done = other.api.import_tokens(form, text.clone().into(), false).await.unwrap();
        assert_eq!(done.new + done.same, 4, "{done:?}");
        let sorted = |text: &str| {
            let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
            lines.sort_unstable();
            lines
        };
        assert_eq!(sorted(&export(&other, form, None).await), sorted(text));
    }
    let of_apns = export(&app, TokenForm::Csv, Some(Vendor::Apns)).await;
    assert_eq!(of_apns.lines().count(), 2, "a header and one: {of_apns}");
    // An imported device is claimed by its app, and has its token then.
    let web = RegisterDevice {
        device_id: Some("web, 1".parse().unwrap()),
        platform: Platform::Web,
        ..RegisterDevice::default()
    };
    let claimed = app.api.register_device(&web).await.unwrap();
    assert!(!claimed.created);
    assert_eq!(tokens(&app, &claimed.device_id).await.carrier, Some(Vendor::WebPush));
}

#[tokio::test]
async fn a_line_that_cannot_be_read_refuses_the_file_unless_it_is_to_be_left_out() {
    let server = Server::start().await;
    let app = server.app();
    let file = "channel,token\nfcm,one\npigeon,two\nfcm,three\n";
    let refused = app.api.import_tokens(TokenForm::Csv, file.into(), false).await.unwrap_err();
    assert_eq!(refused.code(), Some("list_invalid"));
    assert_eq!(export(&app, TokenForm::Ndjson, None).await, "");
    let done = app.api.import_tokens(TokenForm::Csv, file.into(), true).await.unwrap();
    assert_eq!((done.new, done.skipped, done.errors[0].line), (2, 1, 3));
    let mut lines = Call::new("POST", "/v1/tokens/import", "one\ntwo\n");
    lines.headers = vec![("Content-Type".to_owned(), "text/plain".to_owned())];
    call(server.http(), &lines.signed(&app)).await.expect_problem(415, "content_type_unsupported");
    let bare = app.api.import_tokens_of(Vendor::Apns, None, "aa\nbb\n".into(), false).await.unwrap();
    assert_eq!((bare.new, bare.devices), (2, 2), "of one channel a token a line is enough");
    assert_eq!(export(&app, TokenForm::Csv, Some(Vendor::Apns)).await.lines().count(), 3);
}

#[tokio::test]
async fn thousands_of_tokens_are_taken_in_and_all_come_out() {
    let server = Server::start().await;
    let app = server.app();
    let line = |n: u32| format!("{{\"device_id\":\"d{n}\",\"channel\":\"vivo\",\"token\":\"token-{n}\"}}\n");
    let file: String = (0..5_000).map(line).collect();
    let done = app.api.import_tokens(TokenForm::Ndjson, file.into(), false).await.unwrap();
    assert_eq!((done.new, done.devices), (5_000, 5_000), "{done:?}");
    let out = export(&app, TokenForm::Ndjson, None).await;
    let tokens: std::collections::BTreeSet<_> = out.lines().collect();
    assert_eq!(tokens.len(), 5_000);
}

#[tokio::test]
async fn the_command_line_shows_imports_and_exports_tokens() {
    let server = Server::start().await;
    let app = server.app();
    let scratch = tempfile::tempdir().unwrap();
    let path = |name: &str| scratch.path().join(name).display().to_string();
    std::fs::write(path("in.csv"), "device_id,channel,token\nd,fcm,abc\n").unwrap();
    let imported = run(&server, &["device", "import", &path("in.csv")]).await;
    assert!(imported.out.starts_with("1 new"), "{} {}", imported.out, imported.err);
    let shown = run(&server, &["device", "tokens", "d", "--json"]).await;
    assert_eq!(shown.json()[0]["tokens"][0]["token"], "abc");
    let exported = run(&server, &["device", "export", &path("out.csv")]).await;
    assert_eq!(exported.code, Some(0), "{}", exported.err);
    let written = std::fs::read_to_string(path("out.csv")).unwrap();
    assert_eq!(
        written,
        "device_id,channel,token,platform,maker,user_id,registered_at\nd,fcm,abc,android,,,\n"
    );
    let over = run(&server, &["device", "export", &path("out.csv")]).await;
    assert_ne!(over.code, Some(0), "it never writes over a file");
    assert_eq!(has(&app, &"d".parse().unwrap()).await.len(), 1);
}

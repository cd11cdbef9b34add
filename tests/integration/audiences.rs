//! Tags, audiences, and pushes to them.

use carillon_sdk::api::tags::{ChangeTags, MemberKind, MemberMode, Tags};
use carillon_sdk::api::{Platform, RegisterDevice, Target};
use carillon_sdk::client::server::{Error, MemberForm};
use carillon_sdk::{DeviceId, UserId};

use crate::harness::{App, Call, Phone, Registered, Server, call};

fn tags(names: &[&str]) -> Tags {
    Tags { tags: names.iter().map(|&name| name.to_owned()).collect() }
}

fn user(name: &str) -> UserId {
    name.parse().unwrap()
}

fn device(name: &str) -> DeviceId {
    name.parse().unwrap()
}

fn to(audience: &str) -> Target {
    Target { audience: Some(audience.to_owned()), ..Target::default() }
}

async fn register(app: &App, name: &str, platform: Platform, version: &str) -> Registered {
    let body = RegisterDevice {
        device_id: Some(device(name)),
        platform,
        app_version: Some(version.to_owned()),
        ..RegisterDevice::default()
    };
    app.api.register_device(&body).await.unwrap()
}

async fn count(app: &App, audience: &str) -> u64 {
    app.api.count_audience(audience).await.unwrap().devices
}

async fn upload(app: &App, tag: &str, kind: MemberKind, mode: MemberMode, file: &str) -> Result<u64, Error> {
    let file = (MemberForm::Lines, file.to_owned().into());
    app.api.upload_members(tag, (kind, mode), file, false).await.map(|done| done.members)
}

#[tokio::test]
async fn tags_of_devices_and_users_survive_a_kill() {
    let mut server = Server::start().await;
    let app = server.app();
    let phone = app.register("phone").await.device_id;
    assert_eq!(app.api.set_device_tags(&phone, &tags(&["b", "a", "a"])).await.unwrap(), tags(&["a", "b"]));
    let change = ChangeTags { add: vec!["c".to_owned()], remove: vec!["a".to_owned()] };
    assert_eq!(app.api.change_device_tags(&phone, &change).await.unwrap(), tags(&["b", "c"]));
    app.api.set_user_tags(&user("ann"), &tags(&["gold"])).await.unwrap();
    app.bind(&phone, "ann").await;

    server.crash().await;
    let app = server.app();
    assert_eq!(app.api.device(&phone).await.unwrap().tags, ["b", "c"]);
    assert_eq!(app.api.user(&user("ann")).await.unwrap().tags, ["gold"]);
    assert_eq!(count(&app, "tag = c and user_tag = gold and bound within 1h").await, 1);
    let listed = app.api.tags(None).await.unwrap().tags;
    let seen: Vec<_> = listed.iter().map(|tag| (tag.tag.as_str(), tag.devices, tag.users)).collect();
    assert_eq!(seen, [("b", 1, 0), ("c", 1, 0), ("gold", 0, 1)]);

    app.api.delete_tag("gold").await.unwrap();
    assert_eq!(app.api.user(&user("ann")).await.unwrap().tags, Vec::<String>::new());
    assert_eq!(app.api.delete_tag("gold").await.unwrap_err().code(), Some("tag_unknown"));
}

#[tokio::test]
async fn a_push_to_an_audience_reaches_exactly_those_in_it() {
    let server = Server::start().await;
    let app = server.app();
    let mut phones = Vec::new();
    for (name, platform, version) in [
        ("old", Platform::Android, "1.9"),
        ("new", Platform::Android, "1.10"),
        ("apple", Platform::Ios, "1.10"),
        ("tester", Platform::Android, "2.0"),
    ] {
        let registered = register(&app, name, platform, version).await;
        phones.push(Phone::connect(&server, registered).await);
    }
    app.api.set_device_tags(&device("tester"), &tags(&["test device"])).await.unwrap();
    let who = "platform = android and app_version >= 1.10 and not tag = \"test device\"";
    assert_eq!(count(&app, who).await, 1);
    app.push(to(who), "for the new").await;
    app.push(to("everybody"), "for all").await;
    for phone in &mut phones {
        if *phone.id() == device("new") {
            phone.receive("for the new").await;
        }
        // In one log, in order: nobody else has the first before the second.
        phone.receive("for all").await;
    }
    let late = register(&app, "late", Platform::Android, "3.0").await;
    let mut late = Phone::connect(&server, late).await;
    late.receive("for the new").await;
}

#[tokio::test]
async fn a_users_tag_speaks_for_the_devices_the_user_is_on() {
    let server = Server::start().await;
    let app = server.app();
    let (mine, other) = (app.register("mine").await.device_id, app.register("other").await.device_id);
    app.api.set_user_tags(&user("ann"), &tags(&["vip"])).await.unwrap();
    assert_eq!(count(&app, "user_tag = vip").await, 0);
    app.bind(&mine, "ann").await;
    app.bind(&other, "bob").await;
    assert_eq!(count(&app, "user_tag = vip").await, 1);
    app.bind(&mine, "bob").await;
    let counted = app.api.count_audience("user_tag = vip OR bound").await.unwrap();
    assert_eq!((counted.devices, counted.users), (2, 1));
    assert_eq!(counted.audience, "user_tag = vip or bound");
    assert_eq!(counted.by_platform.get(&Platform::Android), Some(&2));
    assert_eq!(counted.by_channel.get("own"), Some(&2));
}

#[tokio::test]
async fn a_syntax_error_names_its_place_and_nothing_is_sent() {
    let server = Server::start().await;
    let app = server.app();
    for (path, body) in [
        ("/v1/audiences/count", r#"{"audience":"platform = android and (tag"}"#),
        ("/v1/pushes", r#"{"to":{"audience":"platform = android and (tag"},"title":"x"}"#),
    ] {
        let answer = call(server.http(), &Call::new("POST", path, body).signed(&app)).await;
        let problem = answer.expect_problem(400, "audience_invalid");
        assert!(problem.detail.contains("at byte 27 (column 28)"), "{}", problem.detail);
        assert!(problem.errors[0].pointer.ends_with("/audience"), "{:?}", problem.errors);
    }
    let both = r#"{"to":{"audience":"bound","all":true},"title":"x"}"#;
    let answer = call(server.http(), &Call::new("POST", "/v1/pushes", both).signed(&app)).await;
    answer.expect_problem(400, "target_invalid");
    assert_eq!(app.totals().await.accepted, 0);
}

#[tokio::test]
async fn a_list_file_with_a_bad_line_changes_nothing_unless_told_to_skip_it() {
    let server = Server::start().await;
    let app = server.app();
    for name in ["a", "b", "c"] {
        app.register(name).await;
    }
    let (devices, add) = (MemberKind::Devices, MemberMode::Add);
    let Error::Problem(problem) = upload(&app, "vip", devices, add, "a\nnobody\nc\n").await.unwrap_err()
    else {
        panic!("a problem");
    };
    assert_eq!(problem.code, "list_invalid");
    let places: Vec<_> = problem.errors.iter().map(|error| error.pointer.as_str()).collect();
    assert_eq!(places, ["/2"]);
    assert_eq!(count(&app, "tag = vip").await, 0);

    let file = (MemberForm::Commas, "a, nobody\r\n\"c\"".into());
    let done = app.api.upload_members("vip", (devices, add), file, true).await.unwrap();
    assert_eq!((done.members, done.skipped, done.errors.len()), (2, 1, 1));
    assert_eq!(count(&app, "tag = vip").await, 2);

    let replaced = (MemberForm::Ndjson, "\"b\"\n{\"device_id\": \"c\"}\n".into());
    let done = app.api.upload_members("vip", (devices, MemberMode::Replace), replaced, false).await.unwrap();
    assert_eq!((done.members, done.removed), (2, 1));
    assert_eq!(app.api.device(&device("a")).await.unwrap().tags, Vec::<String>::new());

    assert_eq!(upload(&app, "vip", devices, MemberMode::Remove, "b\nc\n").await.unwrap(), 2);
    assert!(app.api.tags(None).await.unwrap().tags.is_empty());
    assert_eq!(upload(&app, "vip", MemberKind::Users, add, "ann\nbob\n").await.unwrap(), 2);
    assert_eq!(app.api.user(&user("bob")).await.unwrap().tags, ["vip"]);
    let log = call(server.http(), &Call::new("GET", "/v1/audit", "").signed(&app)).await.text();
    assert!(log.contains("tag.upload"), "{log}");
}

#[tokio::test]
async fn an_upload_is_signed_over_the_file_it_brings() {
    let server = Server::start().await;
    let app = server.app();
    app.register("a").await;
    let path = "/v1/tags/vip/members";
    let signed = |content_type: &str| {
        let mut upload = Call::new("POST", path, "a\n");
        upload.headers[0].1 = content_type.to_owned();
        upload.signed(&app)
    };
    call(server.http(), &signed("application/json")).await.expect_problem(415, "content_type_unsupported");
    let mut other = signed("text/plain");
    other.body = b"b\n".to_vec();
    call(server.http(), &other).await.expect_problem(401, "signature_invalid");
    assert_eq!(count(&app, "tag = vip").await, 0);
}

#[tokio::test]
async fn tags_are_their_apps_own() {
    let server = Server::start().await;
    let (ours, theirs) = (server.app(), server.another_app("theirs").await);
    for app in [&ours, &theirs] {
        app.register("phone").await;
    }
    theirs.api.set_device_tags(&device("phone"), &tags(&["vip"])).await.unwrap();
    assert_eq!(count(&ours, "tag = vip").await, 0);
    assert!(ours.api.tags(None).await.unwrap().tags.is_empty());
    assert_eq!(ours.api.delete_tag("vip").await.unwrap_err().code(), Some("tag_unknown"));
    assert_eq!(count(&theirs, "tag = vip").await, 1);
}

#[tokio::test]
async fn a_tag_is_short_and_a_device_has_a_hundred_at_most() {
    let server = Server::start().await;
    let app = server.app();
    let phone = app.register("phone").await.device_id;
    for wrong in ["", "a\nb", &"t".repeat(65)] {
        let refused = app.api.set_device_tags(&phone, &tags(&[wrong])).await.unwrap_err();
        assert_eq!(refused.code(), Some("tag_invalid"), "{wrong:?}");
    }
    let names: Vec<String> = (0..101).map(|n| format!("t{n}")).collect();
    let refused = app.api.set_device_tags(&phone, &Tags { tags: names }).await.unwrap_err();
    assert_eq!(refused.code(), Some("tags_full"));
    let refused = app.api.set_user_tags(&user("nobody"), &tags(&[])).await.unwrap_err();
    assert_eq!(refused.code(), Some("user_unknown"));
}

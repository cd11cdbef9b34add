//! Templates: kept, changed, previewed, and pushed in.

use carillon_sdk::api::PushRequest;
use carillon_sdk::api::batch::{BatchEntry, PushBatch};
use carillon_sdk::api::templates::{PreviewTemplate, WriteTemplate};
use carillon_sdk::client::server::Error;

use crate::harness::{App, Phone, Server, to_device};

fn parcel() -> WriteTemplate {
    WriteTemplate {
        name: Some("parcel".to_owned()),
        title: Some("A parcel for #name#".to_owned()),
        body: Some("It is from #shop#.".to_owned()),
        uri: Some("app://parcels/#id#".to_owned()),
        data: Some(serde_json::json!({"kind": "parcel"})),
        ..WriteTemplate::default()
    }
}

fn in_its_words(app_values: &[(&str, &str)]) -> PushRequest {
    PushRequest { template: Some("parcel".to_owned()), values: values(app_values), ..PushRequest::default() }
}

fn values(pairs: &[(&str, &str)]) -> std::collections::BTreeMap<String, String> {
    pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

async fn code<T: std::fmt::Debug>(answer: impl Future<Output = Result<T, Error>>) -> String {
    answer.await.unwrap_err().code().unwrap_or("no code").to_owned()
}

#[tokio::test]
async fn a_template_is_made_read_changed_and_deleted_and_survives_a_crash() {
    let mut server = Server::start().await;
    let app = server.app();
    let made = app.api.create_template(&parcel()).await.unwrap();
    assert_eq!((made.version, &made.variables[..]), (1, &["name", "shop", "id"].map(str::to_owned)[..]));
    assert_eq!(code(app.api.create_template(&parcel())).await, "template_exists");

    server.crash().await;
    let app = server.app();
    assert_eq!(app.api.template("parcel").await.unwrap(), made);
    let shorter = WriteTemplate { title: Some("Parcel".to_owned()), ..WriteTemplate::default() };
    let changed = app.api.replace_template("parcel", &shorter, Some(&made.etag)).await.unwrap();
    assert_eq!((changed.version, changed.body, &changed.id), (2, None, &made.id));
    assert_eq!(app.api.templates(None).await.unwrap().templates.len(), 1);

    app.api.delete_template("parcel", Some(&changed.etag)).await.unwrap();
    assert_eq!(code(app.api.template("parcel")).await, "template_unknown");
    assert_eq!(code(app.api.delete_template("parcel", None)).await, "template_unknown");
}

#[tokio::test]
async fn who_changes_what_another_changed_meanwhile_is_told() {
    let server = Server::start().await;
    let app = server.app();
    let first = app.api.create_template(&parcel()).await.unwrap();
    let other = WriteTemplate { title: Some("Other".to_owned()), ..WriteTemplate::default() };
    let second = app.api.replace_template("parcel", &other, Some(&first.etag)).await.unwrap();
    assert_eq!(code(app.api.replace_template("parcel", &other, Some(&first.etag))).await, "version_mismatch");
    assert_eq!(code(app.api.delete_template("parcel", Some(&first.etag))).await, "version_mismatch");
    assert_eq!(app.api.template("parcel").await.unwrap(), second, "nothing was changed");
}

#[tokio::test]
async fn a_push_in_a_templates_words_reaches_the_device_in_its_own() {
    let server = Server::start().await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "d").await;
    app.api.create_template(&parcel()).await.unwrap();
    let words = in_its_words(&[("name", "Ann"), ("shop", "Blum & Co"), ("id", "7")]);
    app.send(PushRequest { to: to_device(phone.id()), ..words }).await;
    let came = phone.receive("A parcel for Ann").await;
    assert_eq!(came.body.as_deref(), Some("It is from Blum & Co."));
    assert_eq!(came.uri.as_deref(), Some("app://parcels/7"));
    assert_eq!(came.data, Some(serde_json::json!({"kind": "parcel"})));
}

#[tokio::test]
async fn a_push_without_a_template_or_a_value_is_refused_and_sends_nothing() {
    let server = Server::start().await;
    let app = server.app();
    let device = app.register("d").await.device_id;
    let to = || PushRequest { to: to_device(&device), ..in_its_words(&[("shop", "Blum")]) };
    assert_eq!(code(app.api.push(&to(), None)).await, "template_unknown");
    app.api.create_template(&parcel()).await.unwrap();
    let Err(Error::Problem(problem)) = app.api.push(&to(), None).await else { panic!("a problem") };
    let places: Vec<_> = problem.errors.iter().map(|at| at.pointer.as_str()).collect();
    assert_eq!(
        (problem.code.as_str(), &places[..]),
        ("variable_missing", &["/values/name", "/values/id"][..])
    );
    let both = PushRequest { title: Some("own".to_owned()), ..to() };
    assert_eq!(code(app.api.push(&both, None)).await, "body_invalid");
    let neither = PushRequest { template: None, title: Some("own".to_owned()), ..to() };
    assert_eq!(code(app.api.push(&neither, None)).await, "body_invalid");
    let long = "x".repeat(5_000);
    let long = in_its_words(&[("name", &long), ("shop", "Blum"), ("id", "7")]);
    let long = PushRequest { to: to_device(&device), ..long };
    assert_eq!(code(app.api.push(&long, None)).await, "payload_too_large");
    assert_eq!(app.api.device(&device).await.unwrap().pending, 0);
}

#[tokio::test]
async fn a_preview_says_which_channels_would_refuse_the_text() {
    let server = Server::start().await;
    let app = server.app();
    app.api.create_template(&parcel()).await.unwrap();
    let preview = async |name: &str| {
        let values = PreviewTemplate { values: values(&[("name", name), ("shop", "Blum"), ("id", "7")]) };
        app.api.preview_template("parcel", &values).await.unwrap()
    };
    let fits = preview("Ann").await;
    assert_eq!((fits.title.as_deref(), fits.breaches.len()), (Some("A parcel for Ann"), 0));
    let long = preview(&"n".repeat(40)).await;
    let titles: Vec<_> = long.breaches.iter().map(|one| (one.channel.as_str(), one.has)).collect();
    assert_eq!(titles, [("xiaomi", 53), ("huawei", 53), ("oppo", 53), ("vivo", 53), ("apns", 53)]);
    let nothing = PreviewTemplate::default();
    assert_eq!(code(app.api.preview_template("parcel", &nothing)).await, "variable_missing");
}

#[tokio::test]
async fn an_app_keeps_as_many_templates_as_it_may() {
    let server = Server::start_with(&[("CARILLON_LIMITS_TEMPLATES_MAX", "2")]).await;
    let app = server.app();
    let named = |name: &str| WriteTemplate { name: Some(name.to_owned()), ..parcel() };
    for name in ["b", "a"] {
        app.api.create_template(&named(name)).await.unwrap();
    }
    assert_eq!(code(app.api.create_template(&named("c"))).await, "templates_full");
    let names = app.api.templates(None).await.unwrap().templates.into_iter().map(|one| one.name);
    assert_eq!(names.collect::<Vec<_>>(), ["a", "b"]);
}

#[tokio::test]
async fn another_apps_template_does_not_exist() {
    let server = Server::start().await;
    let (app, other) = (server.app(), server.another_app("other").await);
    app.api.create_template(&parcel()).await.unwrap();
    let device = other.register("d").await.device_id;
    let words = in_its_words(&[("name", "Ann"), ("shop", "Blum"), ("id", "7")]);
    let push = PushRequest { to: to_device(&device), ..words };
    assert_eq!(code(other.api.push(&push, None)).await, "template_unknown");
    assert_eq!(code(other.api.template("parcel")).await, "template_unknown");
    assert_eq!(code(other.api.replace_template("parcel", &parcel(), None)).await, "template_unknown");
    assert_eq!(code(other.api.delete_template("parcel", None)).await, "template_unknown");
    assert_eq!(
        code(other.api.preview_template("parcel", &PreviewTemplate::default())).await,
        "template_unknown"
    );
    assert!(other.api.templates(None).await.unwrap().templates.is_empty());
    let log = other.api.audit_log(None).await.unwrap().entries;
    assert!(log.iter().all(|entry| entry.what == "key.create"), "{log:?}");
}

#[tokio::test]
async fn the_audit_log_has_exactly_what_was_done_to_templates() {
    let server = Server::start().await;
    let app: App = server.app();
    let made = app.api.create_template(&parcel()).await.unwrap();
    assert_eq!(code(app.api.create_template(&parcel())).await, "template_exists");
    app.api.replace_template("parcel", &WriteTemplate { name: None, ..parcel() }, None).await.unwrap();
    assert_eq!(code(app.api.delete_template("parcel", Some(&made.etag))).await, "version_mismatch");
    app.api.delete_template("parcel", None).await.unwrap();
    let log = app.api.audit_log(None).await.unwrap().entries;
    let done: Vec<_> = log.iter().map(|entry| (entry.what.as_str(), entry.object.as_str())).collect();
    let of = |what| (what, "parcel");
    assert_eq!(done, [of("template.delete"), of("template.update"), of("template.create")]);
    for entry in log {
        assert_eq!((entry.who.as_str(), entry.from.as_deref()), (app.key_id.as_str(), Some("127.0.0.1")));
    }
}

fn entry(user: &str, pairs: &[(&str, &str)]) -> BatchEntry {
    BatchEntry { user: Some(user.parse().unwrap()), values: values(pairs), ..BatchEntry::default() }
}

fn batch(entries: Vec<BatchEntry>) -> PushBatch {
    PushBatch {
        template: Some("parcel".to_owned()),
        values: values(&[("shop", "Blum")]),
        entries,
        ..PushBatch::default()
    }
}

#[tokio::test]
async fn a_batch_reaches_each_in_its_own_words_once_under_one_task() {
    let server = Server::start().await;
    let app = server.app();
    app.api.create_template(&parcel()).await.unwrap();
    let mut phones = Vec::new();
    for user in ["ann", "ben"] {
        let phone = Phone::new(&server, &app, &format!("phone-of-{user}")).await;
        app.bind(phone.id(), user).await;
        phones.push(phone);
    }
    let ann = BatchEntry { key: Some("p7".to_owned()), ..entry("ann", &[("name", "Ann"), ("id", "7")]) };
    let own = Some(serde_json::json!({"own": true}));
    let ben =
        BatchEntry { data: own.clone(), ..entry("ben", &[("name", "Ben"), ("id", "8"), ("shop", "Eis")]) };
    let gone = BatchEntry { device: Some("gone".parse().unwrap()), user: None, ..ann.clone() };
    let asked = batch(vec![ann, ben, gone]);
    let answer = app.api.push_batch(&asked, Some("noon")).await.unwrap();
    assert_eq!((answer.accepted, answer.entries[2].code.as_deref()), (2, Some("device_unknown")));
    let again = app.api.push_batch(&asked, Some("noon")).await.unwrap();
    assert_eq!(again, answer);

    let came = phones[0].receive("A parcel for Ann").await;
    assert_eq!(
        (came.body.as_deref(), came.data),
        (Some("It is from Blum."), Some(serde_json::json!({"kind": "parcel"})))
    );
    let came = phones[1].receive("A parcel for Ben").await;
    assert_eq!((came.body.as_deref(), came.data), (Some("It is from Eis."), own));
    // The same key for the same recipient is the same message, though the request is another.
    let keyed = BatchEntry { key: Some("p7".to_owned()), ..entry("ann", &[("name", "Anna"), ("id", "7")]) };
    let repeated = app.api.push_batch(&batch(vec![keyed]), None).await.unwrap();
    assert_eq!(repeated.entries[0].message_id, answer.entries[0].message_id);
    for phone in &mut phones {
        phone.expect_nothing().await;
    }
}

#[tokio::test]
async fn a_batch_with_anything_wrong_sends_nothing_and_says_what() {
    let server = Server::start().await;
    let app = server.app();
    app.api.create_template(&parcel()).await.unwrap();
    let good = || entry("ann", &[("name", "Ann"), ("id", "7")]);
    let wrong = batch(vec![good(), entry("ben", &[("name", "Ben")]), entry("cy", &[])]);
    let Err(Error::Problem(problem)) = app.api.push_batch(&wrong, None).await else { panic!("a problem") };
    let places: Vec<_> = problem.errors.iter().map(|at| at.pointer.as_str()).collect();
    assert_eq!(places, ["/entries/1/values/id", "/entries/2/values/name", "/entries/2/values/id"]);
    assert_eq!(problem.code, "variable_missing");
    assert!(problem.detail.starts_with("ben "), "{problem:?}");

    let entries = |count: usize| (0..count).map(|n| entry(&format!("u{n}"), &[("name", "x"), ("id", "1")]));
    let long = "x".repeat(5_000);
    let cases = [
        (batch(vec![]), "targets_too_many"),
        (batch(entries(1_001).collect()), "targets_too_many"),
        (batch(vec![good(), good()]), "target_duplicate"),
        (batch(vec![good(), BatchEntry { user: None, ..good() }]), "target_invalid"),
        (batch(vec![good(), BatchEntry { key: Some(String::new()), ..good() }]), "body_invalid"),
        (batch(vec![good(), entry("ben", &[("name", &long), ("id", "1")])]), "payload_too_large"),
        (PushBatch { ttl_s: Some(0), ..batch(vec![good()]) }, "ttl_out_of_range"),
        (PushBatch { title: Some("own".to_owned()), ..batch(vec![good()]) }, "body_invalid"),
        (PushBatch { template: None, ..batch(vec![good()]) }, "content_missing"),
        (PushBatch { template: Some("none".to_owned()), ..batch(vec![good()]) }, "template_unknown"),
    ];
    for (asked, expected) in cases {
        assert_eq!(code(app.api.push_batch(&asked, None)).await, expected);
    }
    assert_eq!(code(app.api.user(&"ann".parse().unwrap())).await, "user_unknown", "nothing was sent");
    let all = app.api.push_batch(&batch(entries(1_000).collect()), None).await.unwrap();
    assert_eq!(all.accepted, 1_000);
}

//! Vendor channels as an app's owner sees them, with the real binary and the laboratory.

use std::fs;
use std::path::Path;

use carillon::lab::{Lab, Options};
use carillon_actors::clock::Clock;
use carillon_sdk::Vendor;
use carillon_sdk::api::PushRequest;
use carillon_sdk::api::vendors::{RotateVendor, TestVendor, VendorStatus, WriteVendor};
use serde_json::{Value, json};

use crate::harness::{App, Call, Server, call, run, to_device};

pub(crate) async fn lab() -> Lab {
    Lab::start(Clock::system(), Options { is_lenient: true, ..Options::default() }).await.unwrap()
}

pub(crate) fn setup(lab: &Lab, vendor: Vendor) -> WriteVendor {
    let setup = lab.setup(vendor);
    WriteVendor {
        credential: Some(setup.credential),
        settings: setup.settings,
        hosts: setup.hosts,
        ca_pem: setup.ca_pem,
        ..WriteVendor::default()
    }
}

/// A token of this fate, in the vendor's shape.
fn token(lab: &Lab, vendor: Vendor, fate: &str) -> String {
    match vendor {
        Vendor::WebPush => lab.subscription(&format!("{fate}-x")).to_string(),
        _ => format!("{fate}-x"),
    }
}

fn to(token: String) -> TestVendor {
    TestVendor { token: Some(token) }
}

async fn raw(server: &Server, app: &App, method: &'static str, path: &str, body: &str) -> String {
    let answer = call(server.http(), &Call::new(method, path, body).signed(app)).await;
    format!("{} {}", answer.head, answer.text())
}

#[tokio::test]
async fn all_ten_are_listed_and_one_is_set_up_tried_out_and_removed() {
    let (server, lab) = (Server::start().await, lab().await);
    let app = server.app();
    let vendors = app.api.vendors().await.unwrap().vendors;
    assert_eq!(vendors.iter().map(|one| one.vendor).collect::<Vec<_>>(), Vendor::ALL);
    assert!(vendors.iter().all(|one| one.status == VendorStatus::Absent));
    let mut silent = Vec::new();
    for vendor in Vendor::ALL {
        let put = app.api.put_vendor(vendor, &setup(&lab, vendor), None).await;
        let view = put.unwrap_or_else(|error| panic!("{vendor}: {error:?}"));
        assert_ne!(view.status, VendorStatus::Absent, "{vendor}");
        let tested = app.api.test_vendor(vendor, &to(token(&lab, vendor, "ok"))).await.unwrap();
        assert!(tested.passed, "{vendor}: {tested:?}");
        let taken = lab.world().capture.taken(vendor);
        // Google looks at a test and shows nothing.
        assert_eq!(taken.len(), usize::from(vendor != Vendor::Fcm), "{vendor}");
        let quota = app.api.vendor_quota(vendor).await.unwrap();
        assert!(quota.limits.iter().all(|limit| limit.remaining.is_none_or(|left| left > 0)), "{quota:?}");
        let dead = app.api.test_vendor(vendor, &to(token(&lab, vendor, "dead"))).await.unwrap();
        // Google looks at a test's message and not at its token.
        let tells = vendor != Vendor::Fcm;
        let class = dead.refused.map(|refused| refused.class);
        if class.as_deref() != tells.then_some("unbind") {
            silent.push((vendor, class));
        }
        app.api.delete_vendor(vendor).await.unwrap();
        assert_eq!(app.api.vendor(vendor).await.unwrap_err().code(), Some("vendor_unknown"));
    }
    assert!(silent.is_empty(), "of a dead token: {silent:?}");
}

#[tokio::test]
async fn a_setup_that_does_not_fit_says_where_and_never_what_was_given() {
    let server = Server::start().await;
    let app = server.app();
    for vendor in Vendor::ALL {
        let planted = json!({"credential": {"private_key": "planted-key", "key_p8": "planted-key"}});
        let path = format!("/v1/vendors/{vendor}");
        let answer = call(server.http(), &Call::new("PUT", &path, &planted.to_string()).signed(&app)).await;
        let problem = answer.expect_problem(422, "vendor_invalid");
        assert!(problem.errors[0].pointer.starts_with('/'), "{vendor}: {problem:?}");
        assert!(!answer.text().contains("planted"), "{vendor}: {}", answer.text());
    }
    let host = WriteVendor {
        credential: Some(json!({})),
        hosts: [("send".to_owned(), "ftp://x".to_owned())].into(),
        ..WriteVendor::default()
    };
    let refused = app.api.put_vendor(Vendor::Fcm, &host, None).await.unwrap_err();
    assert_eq!(refused.code(), Some("vendor_invalid"));
}

#[tokio::test]
async fn a_new_credential_replaces_the_old_once_the_vendor_has_taken_it() {
    let (server, lab) = (Server::start().await, lab().await);
    let app = server.app();
    let before = app.api.put_vendor(Vendor::Fcm, &setup(&lab, Vendor::Fcm), None).await.unwrap();
    let good = lab.setup(Vendor::Fcm).credential;
    let mut other = good.clone();
    other["client_email"] = json!("nobody@example.com");
    let rotate =
        |credential| RotateVendor { credential: Some(credential), token: None, new_receipts_url: false };
    let refused = app.api.rotate_vendor(Vendor::Fcm, &rotate(other)).await.unwrap();
    assert!(!refused.rotated && refused.tested.is_some_and(|tested| tested.refused.is_some()));
    assert_eq!(refused.vendor.setup.unwrap().etag, before.setup.unwrap().etag, "nothing has changed");
    assert!(app.api.test_vendor(Vendor::Fcm, &TestVendor::default()).await.unwrap().passed);
    assert!(app.api.rotate_vendor(Vendor::Fcm, &rotate(good)).await.unwrap().rotated);
    let nothing = RotateVendor { credential: None, token: None, new_receipts_url: false };
    let refused = app.api.rotate_vendor(Vendor::Fcm, &nothing).await.unwrap_err();
    assert_eq!(refused.code(), Some("vendor_invalid"));
}

#[tokio::test]
async fn vendors_post_receipts_at_an_address_that_can_be_changed() {
    let (server, lab) = (Server::start().await, lab().await);
    let app = server.app();
    let view = app.api.put_vendor(Vendor::Meizu, &setup(&lab, Vendor::Meizu), None).await.unwrap();
    let path =
        |url: Option<String>| url.unwrap().split_once("/v1/").map(|(_, path)| format!("/v1/{path}")).unwrap();
    let old = path(view.setup.unwrap().receipts_url);
    let post = async |path: &str, body: &str| {
        let form = ("Content-Type".to_owned(), "application/x-www-form-urlencoded".to_owned());
        let request = Call { headers: vec![form], ..Call::new("POST", path, body) };
        call(server.http(), &request).await
    };
    let body =
        "cb=%7B%22m-1%22%3A%7B%22param%22%3A%22p%22%2C%22type%22%3A1%2C%22targets%22%3A%5B%22t%22%5D%7D%7D";
    for _ in 0..2 {
        assert_eq!(post(&old, body).await.status, 200);
    }
    post(&old, "cb=nonsense").await.expect_problem(400, "receipt_invalid");
    post("/v1/vendor-receipts/vr_guess", body).await.expect_problem(404, "route_unknown");
    let large = post(&old, &"x".repeat((256 << 10) + 1)).await;
    large.expect_problem(413, "body_too_large");
    let metrics = call(server.operations(), &Call::new("GET", "/metrics", "")).await.text();
    let once = r#"carillon_vendor_receipts_total{vendor="meizu",news="delivered"} 1"#;
    assert!(metrics.contains(once), "what comes twice counts once");
    let rotate = RotateVendor { credential: None, token: None, new_receipts_url: true };
    let rotated = app.api.rotate_vendor(Vendor::Meizu, &rotate).await.unwrap();
    assert_eq!(post(&path(rotated.vendor.setup.unwrap().receipts_url), body).await.status, 200);
    post(&old, body).await.expect_problem(404, "route_unknown");
}

#[tokio::test]
async fn the_command_line_takes_a_credential_from_a_file_and_shows_all_ten() {
    let (server, lab) = (Server::start().await, lab().await);
    let setup = lab.setup(Vendor::Meizu);
    let file = |name: &str, text: &str| {
        let path = Path::new(&server.ready.data).join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (credential, ca) = (file("c.json", &setup.credential.to_string()), file("ca.pem", lab.ca_pem()));
    let host = format!("send={}", lab.base_url(Vendor::Meizu));
    let add = [
        "vendor",
        "add",
        "meizu",
        "--credential-file",
        &credential,
        "--host",
        &host,
        "--vendor-ca-file",
        &ca,
    ];
    let added = run(&server, &add).await;
    assert_eq!(added.code, Some(0), "{added:?}");
    let listed = run(&server, &["vendor", "list", "--json"]).await.json();
    assert_eq!(listed[0]["vendors"].as_array().unwrap().len(), 10);
    let tested = run(&server, &["vendor", "test", "meizu", "--token", "ok-1", "--json"]).await;
    assert_eq!((tested.code, &tested.json()[0]["passed"]), (Some(0), &json!(true)), "{tested:?}");
    let refused = run(&server, &["vendor", "test", "meizu", "--token", "bad-1"]).await;
    assert_ne!(refused.code, Some(0), "{refused:?}");
    assert_eq!(run(&server, &["vendor", "quota", "meizu"]).await.code, Some(0));
    assert_eq!(run(&server, &["vendor", "remove", "meizu"]).await.code, Some(0));
}

/// The texts of a credential that nobody may see again: of a PEM, a line of its middle.
fn secrets(credential: &Value) -> Vec<String> {
    let open =
        ["client_email", "project_id", "client_id", "app_id", "app_key", "key_id", "team_id", "token_uri"];
    let open =
        |name: &str| open.contains(&name) || name.ends_with("_uri") || name == "public_key" || name == "type";
    let fields = credential.as_object().unwrap().iter().filter(|(name, _)| !open(name));
    let texts = fields.filter_map(|(_, value)| value.as_str());
    let one = |text: &str| {
        let lines: Vec<_> = text.lines().filter(|line| !line.starts_with("-----")).collect();
        lines[lines.len() / 2].trim().to_owned()
    };
    texts.map(one).filter(|text| text.len() >= 8).collect()
}

/// What the vendor gave for access, as it stands in a call with a message; of most only the beginning is
/// known here.
async fn access(lab: &Lab, app: &App, vendor: Vendor) -> Option<String> {
    let (Vendor::Oppo | Vendor::Vivo) = vendor else { return None };
    let device = app.register(&format!("of-{vendor}")).await.device_id;
    app.api.set_token(&device, vendor, "ok-1").await.unwrap();
    let push = PushRequest {
        to: to_device(&device),
        title: Some("Paid".to_owned()),
        body: Some("Order 7781".to_owned()),
        ..PushRequest::default()
    };
    let id = app.send(push).await;
    // Its receipt comes at once.
    app.await_state(id, device.as_str(), "delivered").await;
    let call = lab.world().capture.requests(vendor).pop().unwrap();
    let header = call.headers.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("authtoken"));
    let access =
        header.map(|(_, value)| value).or_else(|| Some(call.body["auth_token"].as_str()?.to_owned()));
    Some(access.filter(|access| access.len() >= 12).unwrap())
}

fn holding(dir: &Path, secret: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            holding(&path, secret, found);
        } else if fs::read(&path)
            .is_ok_and(|bytes| bytes.windows(secret.len()).any(|part| part == secret.as_bytes()))
        {
            found.push(path.display().to_string());
        }
    }
}

#[tokio::test]
async fn no_credential_is_found_again_in_data_logs_answers_audit_or_metrics() {
    let (server, lab) = (Server::start_logging().await, lab().await);
    let app = server.app();
    let (mut seen, mut planted, mut addresses) = (Vec::new(), Vec::new(), Vec::new());
    for vendor in Vendor::ALL {
        let setup = setup(&lab, vendor);
        planted.extend(secrets(setup.credential.as_ref().unwrap()));
        let path = format!("/v1/vendors/{vendor}");
        seen.push(raw(&server, &app, "PUT", &path, &serde_json::to_string(&setup).unwrap()).await);
        for fate in ["ok", "dead", "throttle", "bad", "config", "down", "html", "garbage", "quota"] {
            let body = json!({"token": token(&lab, vendor, fate)}).to_string();
            seen.push(raw(&server, &app, "POST", &format!("{path}/test"), &body).await);
        }
        let mut wrong = setup.credential.clone().unwrap();
        for name in ["app_secret", "master_secret", "client_secret"] {
            if wrong.get(name).is_some() {
                wrong[name] = json!("planted-and-wrong-secret");
            }
        }
        planted.push("planted-and-wrong-secret".to_owned());
        let body = json!({"credential": wrong, "token": token(&lab, vendor, "ok")}).to_string();
        seen.push(raw(&server, &app, "POST", &format!("{path}/rotate"), &body).await);
        seen.push(raw(&server, &app, "GET", &path, "").await);
        planted.extend(access(&lab, &app, vendor).await);
        // Whoever may read setups is shown the address of their receipts, and nobody else is.
        let view = app.api.vendor(vendor).await.unwrap().setup.unwrap();
        let (_, secret) = view.receipts_url.as_deref().and_then(|url| url.rsplit_once('/')).unwrap();
        let post = Call::new("POST", &format!("/v1/vendor-receipts/{secret}"), "x");
        assert_ne!(call(server.http(), &post).await.status, 404, "{vendor}");
        addresses.push(secret.to_owned());
    }
    seen.push(raw(&server, &app, "GET", "/v1/vendors", "").await);
    seen.push(raw(&server, &app, "GET", "/v1/audit?limit=1000", "").await);
    seen.push(call(server.operations(), &Call::new("GET", "/metrics", "")).await.text());
    assert!(planted.len() >= 14, "{}", planted.len());
    for secret in &planted {
        let told = seen.iter().find(|text| text.contains(secret));
        assert!(told.is_none(), "{secret} is in {told:?}");
    }
    for secret in planted.into_iter().chain(addresses) {
        let mut files = Vec::new();
        holding(Path::new(&server.ready.data), &secret, &mut files);
        assert!(files.is_empty(), "{secret} is in {files:?}");
        assert!(!server.log().contains(&secret), "{secret} is in the log");
    }
}

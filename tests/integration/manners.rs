//! What the HTTP API owes every caller, whatever is asked.

use carillon_sdk::api::{DeviceRegistered, Problem};
use serde_json::{Value, json};

use crate::harness::{Answer, App, Call, Phone, Server, call, now};

impl Server {
    async fn ask(&self, app: &App, method: &'static str, path: &str, body: &Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        call(self.http(), &Call::new(method, path, &body).signed(app)).await
    }

    async fn get(&self, app: &App, path: &str) -> Answer {
        self.ask(app, "GET", path, &Value::Null).await
    }

    /// Registers a device with the demo app's publishable key and further headers.
    async fn register_itself(&self, device: &str, more: &[(&str, &str)]) -> Answer {
        let client_key = self.operator().apps().await.unwrap().apps.remove(0).client_key;
        let body = json!({"device_id": device, "platform": "web"}).to_string();
        let mut register = Call::new("POST", "/v1/devices", &body);
        register = register.header("Authorization", &format!("Client {client_key}"));
        for (name, value) in more {
            register = register.header(name, value);
        }
        call(self.http(), &register).await
    }
}

fn json_of(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{error} in {}", answer.text()))
}

#[tokio::test]
async fn a_problems_type_leads_to_its_explanation() {
    let server = Server::start().await;
    let problem: Problem =
        server.get(&server.app(), "/v1/devices/nobody").await.expect_problem(404, "device_unknown");
    let (path, code) = problem.kind.split_once('#').unwrap();
    let page = call(server.http(), &Call::new("GET", path, "")).await;
    assert!(page.text().contains(&format!("\n### {code}\n")), "{code} in {}", page.head);
}

#[tokio::test]
async fn a_method_not_taken_is_told_which_are() {
    let server = Server::start().await;
    let answer = server.ask(&server.app(), "POST", "/v1/devices/phone", &Value::Null).await;
    answer.expect_problem(405, "method_not_allowed");
    assert_eq!(answer.header("allow"), Some("GET, DELETE"));
}

#[tokio::test]
async fn a_device_is_taken_over_only_by_who_has_its_credential() {
    let server = Server::start().await;
    let victim = server.app().register("victim").await;
    let other = server.app().register("other").await;
    let shown = |credential: &str| [("X-Device-Credential".to_owned(), credential.to_owned())];
    for wrong in ["guess", &other.credential] {
        let [(name, value)] = shown(wrong);
        let answer = server.register_itself("victim", &[(&name, &value)]).await;
        answer.expect_problem(409, "device_exists");
    }
    server.register_itself("victim", &[]).await.expect_problem(409, "device_exists");

    // Whoever failed took nothing: the credential still holds, and who has it may renew it.
    let [(name, value)] = shown(&victim.credential);
    let answer = server.register_itself("victim", &[(&name, &value)]).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let renewed: DeviceRegistered = serde_json::from_slice(&answer.body).unwrap();
    assert!(!renewed.created && renewed.credential != victim.credential);
    Phone::connect(&server, renewed).await;
}

#[tokio::test]
async fn of_many_who_register_one_new_id_at_once_one_has_it() {
    let server = Server::start().await;
    let all = (0..8).map(|_| server.register_itself("wanted", &[]));
    let answers = futures_util::future::join_all(all).await;
    let made: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
    assert_eq!(made.len(), 1, "{answers:?}");
    assert!(answers.iter().all(|answer| matches!(answer.status, 201 | 409)), "{answers:?}");
    Phone::connect(&server, serde_json::from_slice(&made[0].body).unwrap()).await;
}

#[tokio::test]
async fn registrations_with_the_client_key_are_limited_by_address() {
    let server = Server::start_with(&[
        ("CARILLON_RATES_CLIENT_PER_S", "1"),
        ("CARILLON_RATES_CLIENT_BURST", "2"),
        ("CARILLON_HTTP_BEHIND_PROXY", "true"),
    ])
    .await;
    // A caller may write any address in front; the proxy's own comes last and counts.
    let from = async |number: usize, address: &str| {
        let forwarded = format!("203.0.113.{number}, {address}");
        let name = format!("{address} {number}");
        server.register_itself(&name, &[("X-Forwarded-For", &forwarded)]).await
    };
    let mut statuses = Vec::new();
    for number in 0..8 {
        statuses.push(from(number, "198.51.100.1").await.status);
    }
    assert!(statuses.contains(&201) && statuses.contains(&429), "{statuses:?}");
    assert_eq!(from(0, "198.51.100.2").await.status, 201, "another address has its own");
}

#[tokio::test]
async fn who_guesses_keys_is_slowed_down() {
    let server = Server::start_with(&[
        ("CARILLON_RATES_AUTH_FAILURES_PER_S", "1"),
        ("CARILLON_RATES_AUTH_FAILURES_BURST", "3"),
    ])
    .await;
    let app = server.app();
    let mut codes = Vec::new();
    for number in 0..8 {
        let guess = Call::new("GET", "/v1/devices", "");
        let guess = guess.signed_with(&app, "wrong", now(), &format!("nonce-of-{number}"));
        let answer = call(server.http(), &guess).await;
        codes.push(json_of(&answer)["code"].as_str().unwrap().to_owned());
    }
    assert_eq!(codes[0], "signature_invalid");
    assert!(codes.contains(&"rate_limited".to_owned()), "{codes:?}");
}

#[tokio::test]
async fn a_repeated_push_gets_the_first_answer_though_the_devices_are_others_now() {
    let server = Server::start().await;
    let app = server.app();
    app.register("phone").await;
    let push = async |title: &str| {
        let body = json!({"to": {"devices": ["phone", "later"]}, "title": title}).to_string();
        let push = Call::new("POST", "/v1/pushes", &body).header("Idempotency-Key", "order 7");
        call(server.http(), &push.signed(&app)).await
    };
    let first = push("one").await;
    assert_eq!((first.status, first.header("idempotent-replayed")), (202, None), "{}", first.text());
    app.register("later").await;
    let again = push("one").await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (202, Some("true")));
    assert_eq!(again.text(), first.text());
    for (device, pending) in [("phone", 1), ("later", 0)] {
        let found = server.get(&app, &format!("/v1/devices/{device}")).await;
        assert_eq!(json_of(&found)["pending"], pending, "{device}");
    }
}

#[tokio::test]
async fn a_push_that_reached_nobody_says_why_for_each_and_may_be_tried_again() {
    let server = Server::start().await;
    let app = server.app();
    let push = async || {
        let push = Call::new("POST", "/v1/pushes", r#"{"to":{"devices":["phone"]},"title":"x"}"#);
        call(server.http(), &push.header("Idempotency-Key", "order 8").signed(&app)).await
    };
    let problem = push().await.expect_problem(404, "device_unknown");
    assert_eq!(problem.targets[0].code.as_deref(), Some("device_unknown"));
    app.register("phone").await;
    assert_eq!(push().await.status, 202);
}

#[tokio::test]
async fn a_key_cannot_lock_its_app_out_nor_give_away_what_it_has_not() {
    let server = Server::start().await;
    let app = server.app();
    let own = format!("/v1/keys/{}", app.key_id);
    server.ask(&app, "DELETE", &own, &Value::Null).await.expect_problem(409, "key_in_use");
    let wish = json!({"scopes": ["operator"]});
    server.ask(&app, "POST", "/v1/keys", &wish).await.expect_problem(400, "key_invalid");

    let made = json_of(&server.ask(&app, "POST", "/v1/keys", &json!({"scopes": ["keys", "read"]})).await);
    let text = |field: &str| made[field].as_str().unwrap();
    let small = App::new(&server, text("key_id"), text("secret"));
    for wish in [json!({"scopes": ["push"]}), json!({})] {
        server.ask(&small, "POST", "/v1/keys", &wish).await.expect_problem(403, "scope_missing");
    }
}

#[tokio::test]
async fn any_text_is_a_device_id_when_it_is_encoded() {
    let server = Server::start().await;
    let app = server.app();
    for (id, encoded) in [("phone/1 ü", "phone%2F1%20%C3%BC"), ("50%+?#", "50%25%2B%3F%23"), ("..", "%2E%2E")]
    {
        app.register(id).await;
        let found = server.get(&app, &format!("/v1/devices/{encoded}")).await;
        assert_eq!(json_of(&found)["device_id"], id);
    }
}

#[tokio::test]
async fn answers_say_how_many_requests_are_left() {
    let server =
        Server::start_with(&[("CARILLON_RATES_KEY_PER_S", "10"), ("CARILLON_RATES_KEY_BURST", "100")]).await;
    let answer = server.get(&server.app(), "/v1/devices").await;
    assert_eq!(answer.header("ratelimit-policy"), Some("\"default\";q=100;w=10"));
    assert!(answer.header("ratelimit").is_some_and(|limit| limit.starts_with("\"default\";r=")));
}

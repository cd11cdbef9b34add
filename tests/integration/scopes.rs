//! Every route refuses a key that has not its scope, and knows no other app's objects. The routes
//! are those that the description has, so that a new one is held to it too.

use carillon_sdk::api::{CreateKey, Scope};

use crate::harness::{App, Call, Server, call, now, to_user};

const METHODS: [(&str, &str); 5] =
    [("get", "GET"), ("post", "POST"), ("put", "PUT"), ("patch", "PATCH"), ("delete", "DELETE")];

/// A key of this app with one scope.
async fn with_only(server: &Server, app: &App, scope: Scope) -> App {
    let request = CreateKey { scopes: vec![scope], ..CreateKey::default() };
    let made = app.api.create_key(&request).await.unwrap();
    App::new(server, made.key.key_id.as_str(), &made.secret)
}

/// The path with something in the place of each name.
fn filled(path: &str) -> String {
    let fill = |part: &str| if part.starts_with('{') { "7".to_owned() } else { part.to_owned() };
    path.split('/').map(fill).collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn every_route_refuses_a_key_without_its_scope() {
    let server = Server::start().await;
    let other = server.another_app("theirs").await;
    let (reader, pusher) =
        (with_only(&server, &server.app(), Scope::Read).await, with_only(&server, &other, Scope::Push).await);
    let described = call(server.http(), &Call::new("GET", "/openapi.json", "")).await;
    let described: serde_json::Value = serde_json::from_slice(&described.body).unwrap();
    let mut asked = 0;
    for (path, item) in described["paths"].as_object().unwrap() {
        for (name, method) in METHODS {
            let operation = &item[name];
            let needs =
                operation["description"].as_str().and_then(|text| text.split("with the scope `").nth(1));
            let Some(needs) = needs.and_then(|rest| rest.split('`').next()) else {
                let open = operation["security"].as_array().is_none_or(Vec::is_empty);
                assert!(open, "{method} {path} takes a key and does not say of which scope");
                continue;
            };
            let key = if needs == "read" { &pusher } else { &reader };
            let mut request = Call::new(method, &filled(path), "{}");
            // A file is looked at by its kind before anything else.
            if operation["requestBody"]["content"]["text/csv"].is_object() {
                request.headers = vec![("Content-Type".to_owned(), "text/csv".to_owned())];
            }
            let answer = call(server.http(), &request.signed(key)).await;
            assert!(answer.text().contains("\"scope_missing\""), "{method} {path}: {}", answer.text());
            answer.expect_problem(403, "scope_missing");
            asked += 1;
        }
    }
    assert!(asked > 50, "{asked} routes");
}

/// One of everything an app can have, and what calls each path with it.
struct Theirs {
    device: &'static str,
    user: &'static str,
    message: String,
    task: String,
    key: String,
    template: &'static str,
    endpoint: String,
    list: String,
    campaign: String,
    schedule: String,
    run: String,
}

impl Theirs {
    async fn made(server: &Server, theirs: &App) -> Self {
        let make = async |path: &str, kind: &str, body: &str, id: &str| {
            let mut request = Call::new("POST", path, body);
            request.headers = vec![("Content-Type".to_owned(), kind.to_owned())];
            let answer = call(server.http(), &request.signed(theirs)).await;
            let made: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
            let id = made.pointer(id).unwrap_or_else(|| panic!("no {id} in {made}"));
            id.as_str().map_or_else(|| id.to_string(), str::to_owned)
        };
        let json = "application/json";
        theirs.register("their-device").await;
        theirs.bind(&"their-device".parse().unwrap(), "their-user").await;
        make("/v1/templates", json, r#"{"name":"theirs","title":"x"}"#, "/name").await;
        let at = now().as_millis() + 3_600_000;
        let schedule = format!(r#"{{"push":{{"to":{{"users":["u"]}},"title":"x"}},"at":{at}}}"#);
        let schedule = make("/v1/schedules", json, &schedule, "/schedule_id").await;
        let planned = theirs.api.schedule(&schedule).await.unwrap();
        let batch = r#"{"title":"x","entries":[{"device":"their-device"}]}"#;
        let endpoint = r#"{"url":"http://127.0.0.1:9/","events":["arrived"]}"#;
        let campaign = r#"{"to":{"all":true},"title":"x"}"#;
        Self {
            device: "their-device",
            user: "their-user",
            message: theirs.push(to_user("their-user"), "secret").await.to_string(),
            task: make("/v1/pushes/batch", json, batch, "/task").await,
            key: theirs.key_id.to_string(),
            template: "theirs",
            endpoint: make("/v1/endpoints", json, endpoint, "/endpoint_id").await,
            list: make("/v1/lists", "application/x-ndjson", "{\"user_id\":\"u\"}\n", "/list_id").await,
            campaign: make("/v1/campaigns", json, campaign, "/campaign_id").await,
            run: planned.runs[0].run_id.clone(),
            schedule,
        }
    }

    /// The path with their object in it. None where a name is the caller's own to choose, so that
    /// nobody else's can be meant; panics for a path that nobody has thought of.
    fn path(&self, path: &str) -> Option<String> {
        let ids = match path.split('/').nth(2).unwrap() {
            "devices" => [("{id}", self.device)],
            "users" if path.ends_with("/tags") => return None,
            "users" => [("{id}", self.user)],
            "messages" => [("{id}", &*self.message)],
            "tasks" => [("{task}", &*self.task)],
            "keys" => [("{id}", &*self.key)],
            "templates" => [("{name}", self.template)],
            "endpoints" => [("{id}", &*self.endpoint)],
            "lists" => [("{id}", &*self.list)],
            "campaigns" => [("{id}", &*self.campaign)],
            "schedules" => [("{id}", &*self.schedule)],
            "tags" => return None,
            // One a vendor: a PUT makes ours.
            "vendors" if path.ends_with("{vendor}") => return None,
            "vendors" => [("{vendor}", "xiaomi")],
            // The address is the credential.
            "vendor-receipts" => return None,
            // The operator's.
            "apps" => return None,
            _ => panic!("which object of theirs is in {path}?"),
        };
        let [(name, id)] = ids;
        Some(path.replace(name, id).replace("{run}", &self.run).replace("{channel}", "fcm"))
    }
}

/// A body that a method of this path takes.
fn body_of(method: &str, path: &str) -> &'static str {
    match (method, path) {
        ("PUT", "/v1/devices/{id}/user") => r#"{"user_id":"ann"}"#,
        ("PUT", "/v1/devices/{id}/tags") => r#"{"tags":["vip"]}"#,
        ("PUT", "/v1/devices/{id}/tokens/{channel}") => r#"{"token":"ours"}"#,
        ("PATCH", "/v1/devices/{id}/tags") => r#"{"add":["vip"]}"#,
        ("PATCH", "/v1/endpoints/{id}") => r#"{"description":"ours now"}"#,
        ("POST", "/v1/endpoints/{id}/replay") => r#"{"since":1}"#,
        ("POST", "/v1/campaigns/{id}/apply") => r#"{"plan":"0123456789abcdef0123456789abcdef"}"#,
        ("PATCH", "/v1/keys/{id}") => r#"{"name":"ours"}"#,
        ("POST", "/v1/keys/{id}/rotate") => r#"{"overlap_s":60}"#,
        ("PUT", "/v1/templates/{name}") => r#"{"title":"ours"}"#,
        ("POST", "/v1/vendors/{vendor}/rotate") => r#"{"credential":{}}"#,
        _ => "{}",
    }
}

#[tokio::test]
async fn every_route_answers_404_for_another_apps_object() {
    let server = Server::start().await;
    let (ours, theirs) = (server.app(), server.another_app("theirs").await);
    let objects = Theirs::made(&server, &theirs).await;
    let described = call(server.http(), &Call::new("GET", "/openapi.json", "")).await;
    let described: serde_json::Value = serde_json::from_slice(&described.body).unwrap();
    let mut asked = 0;
    for (path, item) in described["paths"].as_object().unwrap() {
        if !path.contains('{') {
            continue;
        }
        let Some(theirs) = objects.path(path) else { continue };
        for (name, method) in METHODS.into_iter().filter(|(name, _)| item[*name].is_object()) {
            let body = if item[name]["requestBody"].is_object() { body_of(method, path) } else { "" };
            let answer = call(server.http(), &Call::new(method, &theirs, body).signed(&ours)).await;
            assert_eq!(answer.status, 404, "{method} {path}: {}", answer.text());
            asked += 1;
        }
    }
    assert!(asked > 30, "{asked} routes");
    let path = format!("/v1/campaigns/{}", objects.campaign);
    let still = call(server.http(), &Call::new("GET", &path, "").signed(&theirs)).await;
    assert!(still.text().contains("\"planned\""), "theirs is as it was: {}", still.text());
}

//! What operators and integrators read: metrics, the description of the API, its errors.

use crate::harness::{Call, Phone, Server, call, to_device};

#[tokio::test]
async fn the_description_of_the_api_is_served_to_anybody() {
    let server = Server::start().await;
    let answer = call(server.http(), &Call::new("GET", "/openapi.json", "")).await;
    assert_eq!(answer.status, 200);
    let api: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert!(api["openapi"].as_str().unwrap().starts_with("3.1"));
    for path in
        ["/v1/pushes", "/v1/devices", "/v1/devices/{id}", "/v1/messages/{id}", "/v1/stats", "/v1/keys"]
    {
        assert!(api["paths"].get(path).is_some(), "{path} is not described");
    }
}

#[tokio::test]
async fn metrics_have_series_for_what_happened() {
    let server = Server::start().await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "d").await;
    let id = app.push(to_device(phone.id()), "hello").await;
    phone.receive("hello").await;
    app.await_state(id, "d", "delivered").await;
    let answer = call(server.operations(), &Call::new("GET", "/metrics", "")).await;
    let text = answer.text();
    let series: Vec<_> = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
    assert!(series.len() > 20, "{text}");
    assert!(
        series.iter().all(|line| line.starts_with("carillon_") || line.starts_with("process_")),
        "{text}"
    );
    for name in [
        "carillon_build_info",
        "carillon_api_requests_total",
        "carillon_api_request_duration_seconds",
        "carillon_connections",
        "carillon_messages_accepted_total",
        "carillon_target_terminal_total",
        "carillon_offline_queue_messages",
        "carillon_actor_restarts_total",
        "carillon_store_operation_duration_seconds",
        "carillon_wal_fsync_duration_seconds",
    ] {
        assert!(
            text.contains(&format!("# TYPE {name} ")),
            "no {name} in
{text}"
        );
    }
}

#[tokio::test]
async fn no_series_bears_the_name_of_a_device_or_a_user() {
    let server = Server::start().await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "a-device-of-mine").await;
    app.bind(phone.id(), "a-user-of-mine").await;
    app.push(to_device(phone.id()), "hello").await;
    phone.receive("hello").await;
    let text = call(server.operations(), &Call::new("GET", "/metrics", "")).await.text();
    assert!(!text.contains("of-mine"), "cardinality without bound:\n{text}");
}

#[tokio::test]
async fn the_operations_listener_serves_no_api_and_the_api_no_operations() {
    let server = Server::start().await;
    assert_eq!(call(server.operations(), &Call::new("GET", "/v1/devices", "")).await.status, 404);
    call(server.http(), &Call::new("GET", "/metrics", "")).await.expect_problem(404, "route_unknown");
}

//! Statistics and metrics: what is counted is what happened.

use serde_json::json;

use crate::harness::{App, Phone, Server, now, until};

/// The sum of a field over the last hours, as `/v1/stats` has it.
async fn counted(app: &App, field: &str, granularity: &str) -> u64 {
    let (from, to) = (now().as_millis() - 86_400_000, now().as_millis() + 120_000);
    let path = format!("/v1/stats?from={from}&to={to}&granularity={granularity}");
    let rows = app.get(&path).await.expect(200).body["rows"].as_array().expect("rows").clone();
    rows.iter().map(|row| row[field].as_u64().expect("a count")).sum()
}

#[tokio::test]
async fn counts_reconcile_with_verdicts_after_a_kill_too() {
    let mut server = Server::start_with(&[("CARILLON_LIMITS_ACK_TIMEOUT", "200ms")]).await;
    let app = server.app();
    let mut phone = server.phone("phone").await;
    Phone::register(&server, "asleep").await;
    for number in 0..5 {
        app.push_to_device("phone", &format!("{number}")).await;
        phone.take(&format!("{number}")).await;
    }
    let late =
        app.push(json!({"devices": ["asleep"]}), "late", json!({"ttl_s": 1})).await.expect(202).message_id();
    app.message_is(&late, "asleep", "expired").await;
    until("five arrived", || async { (counted(&app, "arrived", "minute").await == 5).then_some(()) }).await;

    for round in 0..2 {
        let app = server.app();
        for granularity in ["minute", "hour", "day"] {
            for (field, count) in [("accepted", 6), ("arrived", 5), ("expired", 1), ("failed", 0)] {
                assert_eq!(
                    counted(&app, field, granularity).await,
                    count,
                    "{field} by {granularity}, round {round}"
                );
            }
        }
        server.crash_and_restart().await;
    }
}

#[tokio::test]
async fn statistics_are_grouped_by_what_one_asks() {
    let server = Server::start().await;
    let app = server.app();
    let mut phone = server.phone("phone").await;
    app.post("/v1/devices", json!({"device_id": "pad", "platform": "ios", "app_version": "2.0"}))
        .await
        .expect_ok();
    app.push_to_device("phone", "one").await;
    phone.take("one").await;
    app.push_to_device("pad", "two").await;

    let path =
        |group| format!("/v1/stats?from=0&to={}&granularity=day&group_by={group}", now().as_millis() + 1000);
    let rows = app.get(&path("platform,app_version")).await.expect(200).body["rows"].clone();
    let accepted = |platform: &str, version: &str| {
        let group = json!({"platform": platform, "app_version": version});
        rows.as_array().expect("rows").iter().find(|row| row["group"] == group).expect("a row")["accepted"]
            .clone()
    };
    assert_eq!((accepted("android", "1.0"), accepted("ios", "2.0")), (json!(1), json!(1)));
    app.get(&path("shoe_size")).await.refused(400, "query_invalid");
}

#[tokio::test]
async fn operators_see_connections_messages_and_the_store() {
    let server = Server::start().await;
    let app = server.app();
    let mut phone = server.phone("phone").await;
    app.push_to_device("phone", "counted").await;
    phone.take("counted").await;
    until("one connection is shown", || async {
        (server.metric("carillon_connections{protocol=\"tcp\"}").await >= 1.0).then_some(())
    })
    .await;
    assert!(server.metric("carillon_messages_accepted_total{push_type=\"single\"}").await >= 1.0);
    let (_, text) = server.operations(reqwest::Method::GET, "/metrics").await;
    for name in [
        "carillon_build_info",
        "carillon_api_requests_total",
        "carillon_api_request_duration_seconds",
        "carillon_connections_closed_total",
        "carillon_target_terminal_total",
        "carillon_offline_queue_messages",
        "carillon_actor_restarts_total",
        "carillon_store_operation_duration_seconds",
        "carillon_wal_fsync_duration_seconds",
    ] {
        assert!(text.contains(&format!("# TYPE {name} ")), "{name} is missing");
    }
    assert!(!text.contains("device=") && !text.contains("user="), "no label may hold an unbounded set");
}

#[tokio::test]
async fn the_openapi_document_is_served() {
    let server = Server::start().await;
    let answer = server
        .app()
        .send(reqwest::Method::GET, "/openapi.json", &[], Vec::new())
        .await
        .expect("answered")
        .expect(200);
    assert!(answer.body["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")));
    for path in ["/v1/pushes", "/v1/devices/{id}", "/v1/messages/{id}", "/v1/stats"] {
        assert!(answer.body["paths"].get(path).is_some(), "{path}");
    }
}

//! Statistics reconcile with verdicts, after a crash too.

use carillon_sdk::api::{Dimension, Granularity, PushRequest, StatsRow};
use carillon_sdk::client::server::StatsQuery;
use carillon_sdk::wire::ReportKind;

use crate::harness::{App, Phone, Server, eventually, to_all, to_device, to_user};

/// Waits for the sums to be these: a verdict is counted when it is applied, shortly after its cause.
async fn await_totals(app: &App, wanted: impl Fn(&StatsRow) -> bool) -> StatsRow {
    let mut last = StatsRow::default();
    let found = tokio::time::timeout(std::time::Duration::from_secs(20), async {
        loop {
            last = app.totals().await;
            if wanted(&last) {
                return last.clone();
            }
            // Between two questions: the API has no event to wait for.
            tokio::time::sleep(std::time::Duration::from_millis(15)).await;
        }
    })
    .await;
    found.unwrap_or_else(|_| panic!("the counts stayed {last:?}"))
}

#[tokio::test]
async fn counts_equal_verdicts_before_and_after_a_crash() {
    let mut server = Server::start().await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "here").await;
    let away = app.register("away").await;
    for number in 0..5 {
        let title = number.to_string();
        app.push(to_device(phone.id()), &title).await;
        let push = phone.receive(&title).await;
        if number < 2 {
            app.await_state(push.message_id, "here", "delivered").await;
            phone.report(push.message_id, ReportKind::Opened).await;
        }
    }
    app.push_for(1, to_device(&away.device_id), "expires").await;
    app.push(to_device(&away.device_id), "stays").await;
    let reconciled = |row: &StatsRow| (row.accepted, row.arrived, row.opened, row.expired) == (7, 5, 2, 1);
    let before = await_totals(&app, reconciled).await;
    server.crash().await;
    let after = await_totals(&server.app(), reconciled).await;
    assert_eq!(before.sent, after.sent);
}

#[tokio::test]
async fn a_broadcast_counts_each_device() {
    let server = Server::start().await;
    let app = server.app();
    let mut phones = Vec::new();
    for number in 0..5 {
        phones.push(Phone::new(&server, &app, &format!("d{number}")).await);
    }
    let id = app.push(to_all(), "everybody").await;
    for phone in &mut phones {
        phone.receive("everybody").await;
    }
    await_totals(&app, |row| (row.accepted, row.arrived) == (5, 5)).await;
    eventually("every device to be delivered", async || {
        app.message(id).await.counts.get("delivered").copied().filter(|count| *count == 5)
    })
    .await;
}

#[tokio::test]
async fn counts_are_told_apart_by_platform_version_and_push_type() {
    let server = Server::start().await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "d").await;
    app.push(to_device(phone.id()), "hello").await;
    phone.receive("hello").await;
    await_totals(&app, |row| row.arrived == 1).await;
    let query = StatsQuery {
        granularity: Granularity::Hour,
        group_by: vec![Dimension::Platform, Dimension::AppVersion, Dimension::PushType],
        ..StatsQuery::default()
    };
    let rows = app.api.stats(&query).await.unwrap().rows;
    let row = rows.iter().find(|row| row.arrived == 1).unwrap_or_else(|| panic!("{rows:?}"));
    assert_eq!(row.group["platform"], "android");
    assert_eq!(row.group["app_version"], "1.0");
    assert!(row.group.contains_key("push_type"));
}

#[tokio::test]
async fn a_replaced_push_counts_as_replaced_and_a_deleted_devices_as_failed() {
    let server = Server::start().await;
    let app = server.app();
    let device = app.register("d").await;
    for title in ["0:0", "1:0"] {
        let push = PushRequest {
            to: to_device(&device.device_id),
            title: Some(title.to_owned()),
            collapse_key: Some("score".to_owned()),
            ..PushRequest::default()
        };
        app.send(push).await;
    }
    app.api.delete_device(&device.device_id).await.unwrap();
    await_totals(&app, |row| (row.accepted, row.replaced, row.failed) == (2, 1, 1)).await;
}

#[tokio::test]
async fn a_push_for_a_user_nobody_is_counts_when_it_expires() {
    let server = Server::start().await;
    let app = server.app();
    let id = app.push_for(1, to_user("nobody"), "unheard").await;
    app.await_state(id, "nobody", "expired").await;
    await_totals(&app, |row| (row.accepted, row.expired) == (1, 1)).await;
}

//! Pushes beyond the promises: broadcasts, limits, lanes, what a message's story says.

use serde_json::json;

use crate::harness::{Phone, Server, until};

#[tokio::test]
async fn a_broadcast_reaches_who_is_online_who_comes_later_and_who_registers_later() {
    let mut server = Server::start().await;
    let mut online = server.phone("online").await;
    let mut later = Phone::register(&server, "later").await;
    let answer = server.app().push(json!({"all": true}), "to all", json!({})).await.expect(202);
    assert_eq!(answer.body["accepted"], 2);

    online.take("to all").await;
    let mut new = server.phone("registered later").await;
    new.take("to all").await;
    server.crash_and_restart().await;
    later.connect(&server).await;
    later.take("to all").await;

    let id = answer.message_id();
    until("three have it", || async {
        (server.app().message(&id).await["counts"]["delivered"] == 3).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_acked_broadcast_does_not_come_again() {
    let server = Server::start().await;
    let mut phone = server.phone("phone").await;
    let id = server.app().push(json!({"all": true}), "once", json!({})).await.expect(202).message_id();
    phone.take("once").await;
    server.app().message_is(&id, "phone", "delivered").await;

    phone.disconnect();
    phone.connect(&server).await;
    server.app().push_to_device("phone", "marker").await;
    phone.take("marker").await;
}

#[tokio::test]
async fn a_full_queue_is_refused_and_what_was_accepted_stays() {
    let server = Server::start_with(&[("CARILLON_LIMITS_PENDING_MAX", "3")]).await;
    let app = server.app();
    let mut phone = Phone::register(&server, "phone").await;
    for number in 0..3 {
        app.push_to_device("phone", &format!("{number}")).await;
    }
    app.push(json!({"devices": ["phone"]}), "one too many", json!({})).await.refused(429, "queue_full");

    phone.connect(&server).await;
    for number in 0..3 {
        phone.take(&format!("{number}")).await;
    }
    until("there is room again", || async {
        (app.push(json!({"devices": ["phone"]}), "fits", json!({})).await.status == 202).then_some(())
    })
    .await;
    phone.take("fits").await;
}

#[tokio::test]
async fn more_than_a_window_arrives_as_acks_make_room() {
    let server = Server::start().await;
    let app = server.app();
    let mut phone = Phone::register(&server, "phone").await;
    for number in 0..200 {
        app.push_to_device("phone", &format!("{number:03}")).await;
    }
    phone.connect(&server).await;
    for number in 0..200 {
        phone.take(&format!("{number:03}")).await;
    }
}

#[tokio::test]
async fn a_story_has_a_time_for_each_step() {
    let server = Server::start().await;
    let app = server.app();
    let mut phone = server.phone("phone").await;
    let id = app.push_to_device("phone", "read me").await;
    let push = phone.take("read me").await;
    app.message_is(&id, "phone", "delivered").await;
    for kind in [carillon_sdk::wire::ReportKind::Shown, carillon_sdk::wire::ReportKind::Opened] {
        let report = carillon_sdk::wire::Report { message_id: push.message_id, kind };
        phone.send(&carillon_sdk::wire::Frame::Report(report)).await;
    }

    let row = until("it was opened", || async {
        let row = app.message_is(&id, "phone", "delivered").await;
        row["steps"].as_array()?.iter().any(|step| step["step"] == "opened").then_some(row)
    })
    .await;
    let steps: Vec<_> = row["steps"].as_array().expect("steps").clone();
    let names: Vec<_> = steps.iter().filter_map(|step| step["step"].as_str()).collect();
    assert_eq!(names, ["accepted", "sent", "delivered", "shown", "opened"]);
    assert!(steps.is_sorted_by_key(|step| step["at"].as_u64()), "{row}");
}

#[tokio::test]
async fn many_targets_are_answered_in_the_order_given() {
    let server = Server::start().await;
    let app = server.app();
    let names: Vec<String> = (0..50).map(|number| format!("device {number}")).collect();
    for name in &names {
        Phone::register(&server, name).await;
    }
    let answer = app.push(json!({"devices": names}), "all of you", json!({})).await.expect(202);
    let order: Vec<_> =
        answer.body["targets"].as_array().expect("rows").iter().map(|row| row["device_id"].clone()).collect();
    assert_eq!(serde_json::Value::from(order), json!(names));
    for name in names {
        assert_eq!(app.get(&format!("/v1/devices/{}", name.replace(' ', "%20"))).await.body["pending"], 1);
    }
}

//! Figures, tasks and their exports.

use carillon_sdk::DeviceId;
use carillon_sdk::api::Granularity;
use carillon_sdk::api::batch::{BatchEntry, PushBatch};
use carillon_sdk::client::server::AnalysisQuery;
use carillon_sdk::wire::ReportKind;
use reqwest::Method;

use crate::harness::{Phone, Server, eventually, to_all};

#[tokio::test]
async fn a_tasks_figures_are_what_its_devices_did() {
    let mut server = Server::start().await;
    let app = server.app();
    let mut phones = Vec::new();
    for name in ["a", "b", "c"] {
        phones.push(Phone::new(&server, &app, name).await);
    }
    let offline = app.register("offline").await;
    let device = |id: &DeviceId| BatchEntry { device: Some(id.clone()), ..BatchEntry::default() };
    let mut entries: Vec<_> = phones.iter().map(|phone| device(phone.id())).collect();
    entries.push(device(&offline.device_id));
    let batch = PushBatch {
        name: Some("Spring sale".to_owned()),
        title: Some("sale".to_owned()),
        entries,
        ..PushBatch::default()
    };
    let task = app.api.push_batch(&batch, None).await.unwrap().task;
    for phone in &mut phones {
        phone.receive("sale").await;
    }
    let number = task.parse().unwrap();
    eventually("three to have it", async || {
        (app.api.task(number).await.unwrap().figures.arrived == 3).then_some(())
    })
    .await;
    server.crash().await;
    let app = server.app();
    let list = app.api.tasks(Some("spring"), None).await.unwrap().tasks;
    let [found] = &list[..] else { panic!("{list:?}") };
    let figures = &found.figures;
    assert_eq!((&found.task, found.ended_at), (&task, None));
    assert_eq!((figures.accepted, figures.successful, figures.arrived, figures.pending), (4, 4, 3, 1));
    assert_eq!(figures.arrival_rate, 0.75);
}

#[tokio::test]
async fn figures_are_summed_filtered_and_exported() {
    let server = Server::start().await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "phone").await;
    let message = app.push(to_all(), "=now").await;
    phone.receive("=now").await;
    phone.report(message, ReportKind::Opened).await;
    let of = async |filters: &[(&str, &str)]| {
        let filters = filters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let query = AnalysisQuery { granularity: Granularity::Minute, filters, ..AnalysisQuery::default() };
        app.api.analysis(&query).await.unwrap().figures
    };
    // Acks of broadcasts are noted about once a second, after the report.
    eventually("a push that arrived and was opened", async || {
        let figures = of(&[]).await;
        ((figures.arrived, figures.opened) == (1, 1)).then_some(())
    })
    .await;
    assert_eq!(of(&[("push_type", "broadcast"), ("platform", "android")]).await.arrived, 1);
    assert_eq!(of(&[("platform", "ios")]).await.arrived, 0);
    for (path, head) in [
        ("/v1/stats?format=csv&group_by=platform", "start,platform,accepted,"),
        ("/v1/analysis?format=csv", "from,to,accepted,"),
        ("/v1/tasks?format=csv", "task,name,push_type,"),
    ] {
        let answer = app.api.request(Method::GET, path, bytes::Bytes::new()).await.unwrap();
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.body.starts_with(head.as_bytes()), "{path}: {:?}", answer.body);
    }
    for wrong in ["/v1/stats?platform=symbian", "/v1/analysis?task=x", "/v1/tasks?limit=0"] {
        let answer = app.api.request(Method::GET, wrong, bytes::Bytes::new()).await.unwrap();
        assert_eq!(answer.status, 400, "{wrong}");
    }
}

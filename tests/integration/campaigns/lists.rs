//! Lists, and campaigns over them: to each its own words.

use carillon_sdk::api::campaigns::{CampaignState, CampaignTarget, CreateCampaign};
use carillon_sdk::client::server::{Error, ListForm};

use super::{await_state, run, statistics, to_all};
use crate::harness::{Phone, Server};

fn to_list(list: &str, title: &str) -> CreateCampaign {
    CreateCampaign {
        to: CampaignTarget { list: Some(list.to_owned()), ..CampaignTarget::default() },
        ..to_all(title)
    }
}

#[tokio::test]
async fn each_line_is_sent_in_its_own_words_and_an_unknown_device_is_its_lines_outcome() {
    let server = Server::start().await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "d1").await;
    let mut other = Phone::new(&server, &app, "d2").await;
    app.bind(other.id(), "ben").await;
    let csv = "device_id,user_id,name,data\nd1,,Ann,\"{\"\"n\"\":1}\"\nnobody,,Nobody,\n,ben,Ben,\n";
    let uploaded = app.api.upload_list(ListForm::Csv, csv.into(), Some("spring"), false).await.unwrap();
    assert_eq!((uploaded.list.lines, uploaded.list.devices, uploaded.list.users), (3, 2, 1));
    let made = app.api.create_campaign(&to_list(&uploaded.list.list_id, "Hello #name#")).await.unwrap();
    let plan = &made.planned;
    assert_eq!((plan.targets, plan.unknown, plan.users), (3, 1, 1));
    assert_eq!(plan.by_platform.get("android"), Some(&1));
    assert_eq!(plan.samples[0].title.as_deref(), Some("Hello Ann"));
    let id = &made.campaign.campaign_id;
    app.api.apply_campaign(id, &plan.plan).await.unwrap();
    let push = phone.receive("Hello Ann").await;
    assert_eq!(push.data, Some(serde_json::json!({ "n": 1 })));
    other.receive("Hello Ben").await;
    let over = await_state(&app, id, CampaignState::Finished).await;
    assert_eq!((over.counts.targets, over.counts.released, over.counts.refused), (3, 3, 1));
    assert_eq!((over.counts.accepted, over.counts.delivered), (2, 2));
    assert_eq!(over.refusals.get("device_unknown"), Some(&1));
    let counted = statistics(&app, id).await;
    assert_eq!((counted.accepted, counted.arrived), (2, 2));
}

#[tokio::test]
async fn a_line_without_a_value_is_named_and_nothing_is_sent_to_any() {
    let server = Server::start().await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "d1").await;
    let lines = "{\"device_id\":\"d1\",\"values\":{\"name\":\"Ann\"}}\n{\"user_id\":\"ben\"}\n";
    let uploaded = app.api.upload_list(ListForm::Ndjson, lines.into(), None, false).await.unwrap();
    let made = app.api.create_campaign(&to_list(&uploaded.list.list_id, "Hello #name#")).await.unwrap();
    let missing = &made.planned.missing;
    assert_eq!((made.planned.missing_count, missing.len()), (1, 1));
    assert_eq!((missing[0].line, missing[0].variable.as_str()), (Some(2), "name"));
    assert_eq!(missing[0].user_id, Some("ben".parse().unwrap()));
    let refused = app.api.apply_campaign(&made.campaign.campaign_id, &made.planned.plan).await;
    assert_eq!(refused.unwrap_err().code(), Some("plan_broken"));
    phone.expect_nothing().await;
}

#[tokio::test]
async fn a_bad_line_in_the_middle_refuses_the_whole_unless_it_may_be_skipped() {
    let server = Server::start().await;
    let app = server.app();
    let lines = "{\"device_id\":\"d1\"}\nnonsense\n{\"device_id\":\"d3\"}\n";
    let refused = app.api.upload_list(ListForm::Ndjson, lines.into(), None, false).await.unwrap_err();
    let Error::Problem(problem) = refused else { panic!("{refused:?}") };
    assert_eq!((problem.status, problem.code.as_str()), (400, "list_invalid"));
    assert_eq!(problem.errors.iter().map(|at| at.pointer.as_str()).collect::<Vec<_>>(), ["/2"]);
    assert!(app.api.lists(None).await.unwrap().lists.is_empty());
    let uploaded = app.api.upload_list(ListForm::Ndjson, lines.into(), None, true).await.unwrap();
    assert_eq!((uploaded.list.lines, uploaded.list.skipped, uploaded.errors[0].line), (2, 1, 2));
}

#[tokio::test]
async fn a_list_is_kept_over_a_kill_and_goes_when_no_campaign_is_for_it() {
    let mut server = Server::start().await;
    let app = server.app();
    let lines = "{\"device_id\":\"d1\"}\n";
    let uploaded = app.api.upload_list(ListForm::Ndjson, lines.into(), None, false).await.unwrap();
    let list = uploaded.list.list_id.clone();
    server.crash().await;
    let app = server.app();
    assert_eq!(app.api.list(&list).await.unwrap(), uploaded.list);
    let made = app.api.create_campaign(&to_list(&list, "hello")).await.unwrap();
    assert_eq!(app.api.delete_list(&list).await.unwrap_err().code(), Some("list_in_use"));
    app.api.abort_campaign(&made.campaign.campaign_id).await.unwrap();
    app.api.delete_list(&list).await.unwrap();
    assert_eq!(app.api.list(&list).await.unwrap_err().code(), Some("list_unknown"));
    let refused = app.api.create_campaign(&to_list(&list, "hello")).await.unwrap_err();
    assert_eq!(refused.code(), Some("list_unknown"));
}

#[tokio::test]
async fn a_list_has_its_canary_too_and_every_line_is_sent_once() {
    let server = Server::start().await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "d").await;
    let lines: String =
        (0..40).map(|n| format!("{{\"device_id\":\"d\",\"values\":{{\"n\":\"{n}\"}}}}\n")).collect();
    let uploaded = app.api.upload_list(ListForm::Ndjson, lines.into(), None, false).await.unwrap();
    let campaign = CreateCampaign { canary: Some(0.3), ..to_list(&uploaded.list.list_id, "#n#") };
    let made = app.api.create_campaign(&campaign).await.unwrap();
    let id = &made.campaign.campaign_id;
    app.api.apply_campaign(id, &made.planned.plan).await.unwrap();
    let holding = await_state(&app, id, CampaignState::Holding).await;
    assert_eq!(holding.counts.released, made.planned.canary);
    app.api.resume_campaign(id).await.unwrap();
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < 40 {
        match phone.next().await {
            Some(carillon_sdk::wire::Frame::Push(push)) => {
                phone.ack(&push).await;
                assert!(seen.insert(push.title.unwrap()), "a line came twice");
            }
            other => panic!("{other:?}"),
        }
    }
    let over = await_state(&app, id, CampaignState::Finished).await;
    assert_eq!((over.counts.released, over.counts.delivered), (40, 40));
}

#[tokio::test]
async fn a_line_with_a_key_is_found_by_its_key_and_another_campaign_repeats_it_harmlessly() {
    let server = Server::start().await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "d").await;
    let lines = "{\"device_id\":\"d\",\"key\":\"order-7\"}\n";
    let uploaded = app.api.upload_list(ListForm::Ndjson, lines.into(), None, false).await.unwrap();
    run(&app, &to_list(&uploaded.list.list_id, "shipped")).await;
    phone.receive("shipped").await;
    run(&app, &to_list(&uploaded.list.list_id, "shipped")).await;
    phone.expect_nothing().await;
}

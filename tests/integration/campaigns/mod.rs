//! Campaigns from plan to end.

mod lists;
mod scale;
mod steering;

use std::collections::BTreeMap;

use carillon_sdk::api::campaigns::{
    CampaignCreated, CampaignState, CampaignTarget, CampaignView, CreateCampaign,
};
use carillon_sdk::api::{Dimension, Granularity, StatsRow};
use carillon_sdk::client::server::StatsQuery;

use crate::harness::{App, Phone, Server, eventually};

fn to_all(title: &str) -> CreateCampaign {
    CreateCampaign {
        to: CampaignTarget { all: true, ..CampaignTarget::default() },
        title: Some(title.to_owned()),
        ..CreateCampaign::default()
    }
}

/// Makes a campaign and applies it by its plan.
async fn run(app: &App, campaign: &CreateCampaign) -> CampaignView {
    let CampaignCreated { campaign, planned } = app.api.create_campaign(campaign).await.unwrap();
    app.api.apply_campaign(&campaign.campaign_id, &planned.plan).await.unwrap()
}

/// Generous, as a debug build beside others is slow; and the last view says what was missing.
async fn await_state(app: &App, id: &str, state: CampaignState) -> CampaignView {
    await_state_within(crate::harness::DEADLINE, app, id, state).await
}

async fn await_state_within(
    deadline: std::time::Duration,
    app: &App,
    id: &str,
    state: CampaignState,
) -> CampaignView {
    let mut seen = None;
    let looking = async {
        loop {
            let campaign = app.api.campaign(id).await.ok();
            if campaign.as_ref().is_some_and(|campaign| campaign.state == state) {
                return campaign;
            }
            seen = campaign.or(seen.take());
            // Between two questions: a watch would do as well, and has its own test.
            tokio::time::sleep(std::time::Duration::from_millis(30)).await;
        }
    };
    let found = tokio::time::timeout(deadline, looking).await.ok().flatten();
    found.unwrap_or_else(|| panic!("{id} did not become {}: {seen:?}", state.as_str()))
}

async fn await_released(app: &App, id: &str, released: u64) -> CampaignView {
    eventually(&format!("{released} to be let go"), async || {
        app.api.campaign(id).await.ok().filter(|campaign| campaign.counts.released >= released)
    })
    .await
}

/// What statistics say of a task.
async fn statistics(app: &App, id: &str) -> StatsRow {
    let query = StatsQuery {
        granularity: Granularity::Day,
        from: Some(two_days_before()),
        group_by: vec![Dimension::Task],
        ..StatsQuery::default()
    };
    let rows = app.api.stats(&query).await.unwrap().rows;
    let of_task = rows.into_iter().filter(|row| row.group.get("task").map(String::as_str) == Some(id));
    of_task.fold(StatsRow::default(), |sum, row| StatsRow {
        accepted: sum.accepted + row.accepted,
        arrived: sum.arrived + row.arrived,
        expired: sum.expired + row.expired,
        revoked: sum.revoked + row.revoked,
        failed: sum.failed + row.failed,
        ..sum
    })
}

/// The day before, whole: a test may run over midnight.
fn two_days_before() -> carillon_sdk::Timestamp {
    crate::harness::now() - carillon_sdk::Ttl::from_secs(2 * 24 * 3_600)
}

#[tokio::test]
async fn a_campaign_is_planned_first_and_nothing_is_sent_until_it_is_applied() {
    let server = Server::start().await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "d").await;
    let made = app.api.create_campaign(&to_all("sale")).await.unwrap();
    assert_eq!((made.campaign.state, made.planned.targets), (CampaignState::Planned, 1));
    assert_eq!(made.planned.by_platform, BTreeMap::from([("android".to_owned(), 1)]));
    assert_eq!(made.planned.by_app_version, BTreeMap::from([("1.0".to_owned(), 1)]));
    assert_eq!(made.planned.samples[0].device_id.as_ref(), Some(phone.id()));
    phone.expect_nothing().await;
    let id = made.campaign.campaign_id;
    app.api.apply_campaign(&id, &made.planned.plan).await.unwrap();
    phone.receive("sale").await;
    let over = await_state(&app, &id, CampaignState::Finished).await;
    assert_eq!((over.counts.targets, over.counts.released, over.counts.delivered), (1, 1, 1));
}

#[tokio::test]
async fn on_frozen_data_what_was_planned_is_what_was_done() {
    let server = Server::start().await;
    let app = server.app();
    let mut phones = Vec::new();
    for n in 0..8 {
        phones.push(Phone::new(&server, &app, &format!("d{n}")).await);
    }
    for phone in &phones[..3] {
        app.bind(phone.id(), "ann").await;
    }
    let campaign = CreateCampaign {
        to: CampaignTarget { audience: Some("bound".to_owned()), ..CampaignTarget::default() },
        ..to_all("bound")
    };
    let made = app.api.create_campaign(&campaign).await.unwrap();
    let id = &made.campaign.campaign_id;
    app.api.apply_campaign(id, &made.planned.plan).await.unwrap();
    for phone in &mut phones[..3] {
        phone.receive("bound").await;
    }
    let over = await_state(&app, id, CampaignState::Finished).await;
    assert_eq!(over.counts.accepted, made.planned.targets);
    assert_eq!((over.counts.released, over.counts.delivered), (3, 3));
    let counted = statistics(&app, id).await;
    assert_eq!((counted.accepted, counted.arrived), (3, 3));
    for phone in &mut phones[3..] {
        phone.expect_nothing().await;
    }
}

#[tokio::test]
async fn a_plan_that_no_longer_holds_is_refused_with_the_new_one_and_nothing_is_sent() {
    let server = Server::start().await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "d1").await;
    let made = app.api.create_campaign(&to_all("sale")).await.unwrap();
    let id = &made.campaign.campaign_id;
    app.register("d2").await;
    let error = app.api.apply_campaign(id, &made.planned.plan).await.unwrap_err();
    let carillon_sdk::client::server::Error::Problem(problem) = error else { panic!("{error:?}") };
    let plan = problem.plan.unwrap();
    assert_eq!((problem.code.as_str(), plan.targets), ("plan_changed", 2));
    phone.expect_nothing().await;
    assert_eq!(app.api.plan_campaign(id).await.unwrap().plan, plan.plan);
    app.api.apply_campaign(id, &plan.plan).await.unwrap();
    phone.receive("sale").await;
    let again = app.api.apply_campaign(id, &plan.plan).await.unwrap();
    assert!(again.state != CampaignState::Planned, "an apply that is repeated is answered");
}

#[tokio::test]
async fn what_would_go_wrong_is_planned_and_not_applied() {
    let server = Server::start().await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "d").await;
    for campaign in [to_all("hello #who#"), to_all(&"x".repeat(5_000))] {
        let made = app.api.create_campaign(&campaign).await.unwrap();
        let refused = app.api.apply_campaign(&made.campaign.campaign_id, &made.planned.plan).await;
        assert_eq!(refused.unwrap_err().code(), Some("plan_broken"), "{:?}", made.planned);
    }
    let valued = CreateCampaign {
        values: BTreeMap::from([("who".to_owned(), "Ann".to_owned())]),
        ..to_all("hello #who#")
    };
    run(&app, &valued).await;
    phone.receive("hello Ann").await;
}

#[tokio::test]
async fn a_campaign_keeps_the_words_its_template_had() {
    let server = Server::start().await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "d").await;
    let template = serde_json::json!({ "name": "sale", "title": "Sale at #shop#" });
    let template = serde_json::from_value(template).unwrap();
    app.api.create_template(&template).await.unwrap();
    let campaign = CreateCampaign {
        title: None,
        template: Some("sale".to_owned()),
        values: BTreeMap::from([("shop".to_owned(), "Bell".to_owned())]),
        ..to_all("")
    };
    let made = app.api.create_campaign(&campaign).await.unwrap();
    assert_eq!(made.campaign.template.as_deref(), Some("sale"));
    app.api.delete_template("sale", None).await.unwrap();
    app.api.apply_campaign(&made.campaign.campaign_id, &made.planned.plan).await.unwrap();
    phone.receive("Sale at Bell").await;
}

#[tokio::test]
async fn another_tenants_campaign_does_not_exist() {
    let server = Server::start().await;
    let (app, other) = (server.app(), server.another_app("other").await);
    let made = app.api.create_campaign(&to_all("sale")).await.unwrap();
    let id = &made.campaign.campaign_id;
    for refused in [
        other.api.campaign(id).await.map(drop),
        other.api.plan_campaign(id).await.map(drop),
        other.api.apply_campaign(id, &made.planned.plan).await.map(drop),
        other.api.abort_campaign(id).await.map(drop),
    ] {
        assert_eq!(refused.unwrap_err().code(), Some("campaign_unknown"));
    }
    assert!(other.api.campaigns(None).await.unwrap().campaigns.is_empty());
}

#[tokio::test]
async fn campaigns_are_listed_in_pages_in_order_of_creation() {
    let server = Server::start().await;
    let app = server.app();
    let mut made = Vec::new();
    for n in 0..5 {
        made.push(app.api.create_campaign(&to_all(&n.to_string())).await.unwrap().campaign.campaign_id);
    }
    let (mut cursor, mut listed) = (None::<String>, Vec::new());
    loop {
        let path = match &cursor {
            Some(cursor) => format!("/v1/campaigns?limit=2&cursor={cursor}"),
            None => "/v1/campaigns?limit=2".to_owned(),
        };
        let answer = app.api.request(reqwest::Method::GET, &path, bytes::Bytes::new()).await.unwrap();
        let page: carillon_sdk::api::campaigns::CampaignList = serde_json::from_slice(&answer.body).unwrap();
        listed.extend(page.campaigns.into_iter().map(|campaign| campaign.campaign_id));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(listed, made);
}

#[tokio::test]
async fn every_change_of_a_campaign_has_its_audit_entry() {
    let server = Server::start().await;
    let app = server.app();
    app.register("d").await;
    let id = run(&app, &CreateCampaign { canary: Some(0.5), ..to_all("sale") }).await.campaign_id;
    app.api.abort_campaign(&id).await.ok();
    let entries = app.api.audit_log(None).await.unwrap().entries;
    let mut done: Vec<_> =
        entries.iter().filter(|entry| entry.object == id).map(|entry| entry.what.as_str()).collect();
    done.reverse();
    assert_eq!(done[..2], ["campaign.create", "campaign.apply"]);
}

#[tokio::test]
async fn a_watch_tells_each_change_and_ends_with_the_campaign() {
    let server = Server::start().await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "d").await;
    let made = app.api.create_campaign(&to_all("sale")).await.unwrap();
    let id = &made.campaign.campaign_id;
    let mut watch = app.api.watch_campaign(id, None).await.unwrap();
    assert_eq!(watch.next().await.unwrap().unwrap().state, CampaignState::Planned);
    app.api.apply_campaign(id, &made.planned.plan).await.unwrap();
    phone.receive("sale").await;
    let mut last = None;
    while let Some(view) = crate::harness::within("a view", watch.next()).await.unwrap() {
        last = Some(view);
    }
    assert_eq!(last.map(|view| (view.state, view.counts.delivered)), Some((CampaignState::Finished, 1)));
    let heard = watch.id().unwrap();
    let mut again = app.api.watch_campaign(id, Some(heard)).await.unwrap();
    assert_eq!(again.next().await.unwrap(), None, "all was told");
}

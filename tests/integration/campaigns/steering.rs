//! Pace, canary, pause, resume, abort; and what a kill or a panic in the middle changes: nothing.

use carillon_sdk::api::campaigns::{CampaignPace, CampaignState, CreateCampaign};

use super::{await_released, await_state, run, statistics, to_all};
use crate::harness::{App, Call, Phone, Registered, Server, call};

async fn register(app: &App, count: usize) -> Vec<Registered> {
    let mut devices = Vec::new();
    for n in 0..count {
        devices.push(app.register(&format!("d{n}")).await);
    }
    devices
}

/// Connects each and takes what waits for it: how many pushes.
async fn collect(server: &Server, devices: Vec<Registered>) -> usize {
    let mut count = 0;
    for device in devices {
        let mut phone = Phone::connect(server, device).await;
        phone.send(&carillon_sdk::wire::Frame::Ping).await;
        loop {
            match phone.next().await {
                Some(carillon_sdk::wire::Frame::Push(push)) => {
                    phone.ack(&push).await;
                    count += 1;
                }
                Some(carillon_sdk::wire::Frame::Pong) => break,
                Some(carillon_sdk::wire::Frame::Revoke(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    }
    count
}

fn slowly(per_second: u32) -> Option<CampaignPace> {
    Some(CampaignPace { per_second: Some(per_second), per_minute: None })
}

#[tokio::test]
async fn a_canary_gets_it_first_and_the_rest_when_it_is_told_to_resume() {
    let server = Server::start().await;
    let app = server.app();
    let devices = register(&app, 20).await;
    let id = run(&app, &CreateCampaign { canary: Some(0.25), ..to_all("sale") }).await.campaign_id;
    let holding = await_state(&app, &id, CampaignState::Holding).await;
    assert_eq!((holding.counts.released, holding.counts.targets), (5, 20));
    let paused = app.api.pause_campaign(&id).await.unwrap();
    assert_eq!(paused.state, CampaignState::Holding, "it lets nothing go already");
    app.api.resume_campaign(&id).await.unwrap();
    await_state(&app, &id, CampaignState::Settling).await;
    assert_eq!(collect(&server, devices).await, 20);
    let over = await_state(&app, &id, CampaignState::Finished).await;
    assert_eq!((over.counts.delivered, over.counts.pending), (20, 0));
}

#[tokio::test]
async fn a_paused_campaign_lets_nothing_go_and_a_resumed_one_goes_on() {
    let server = Server::start().await;
    let app = server.app();
    register(&app, 30).await;
    let id = run(&app, &CreateCampaign { pace: slowly(20), ..to_all("sale") }).await.campaign_id;
    await_released(&app, &id, 4).await;
    let paused = app.api.pause_campaign(&id).await.unwrap();
    assert_eq!(paused.state, CampaignState::Paused);
    let so_far = paused.counts.released;
    assert!(so_far < 30, "all was let go before the pause");
    // Its runner answers after whatever it had in hand, so a second answer follows any slip.
    assert_eq!(app.api.pause_campaign(&id).await.unwrap().counts.released, so_far);
    app.api.resume_campaign(&id).await.unwrap();
    assert_eq!(app.api.resume_campaign(&id).await.unwrap().counts.targets, 30);
    await_released(&app, &id, 30).await;
}

#[tokio::test]
async fn an_aborted_campaign_leaves_what_is_out_and_lets_nothing_more_go() {
    let server = Server::start().await;
    let app = server.app();
    let devices = register(&app, 30).await;
    let id = run(&app, &CreateCampaign { pace: slowly(20), ..to_all("sale") }).await.campaign_id;
    await_released(&app, &id, 4).await;
    let aborted = app.api.abort_campaign(&id).await.unwrap();
    assert_eq!(aborted.state, CampaignState::Aborted);
    assert_eq!(app.api.abort_campaign(&id).await.unwrap().counts.released, aborted.counts.released);
    let refused = app.api.resume_campaign(&id).await.unwrap_err();
    assert_eq!(refused.code(), Some("campaign_state"));
    assert_eq!(collect(&server, devices).await as u64, aborted.counts.released);
}

#[tokio::test]
async fn a_revoked_campaign_withdraws_what_is_pending_over_a_kill_too() {
    let mut server = Server::start().await;
    let app = server.app();
    let devices = register(&app, 10).await;
    let id = run(&app, &to_all("sale")).await.campaign_id;
    await_released(&app, &id, 10).await;
    let revoking = app.api.revoke_campaign(&id).await.unwrap();
    assert!(matches!(revoking.state, CampaignState::Revoking | CampaignState::Revoked));
    server.crash().await;
    let app = server.app();
    let over = await_state(&app, &id, CampaignState::Revoked).await;
    assert_eq!(app.api.revoke_campaign(&id).await.unwrap().state, over.state, "it may be repeated");
    assert_eq!(collect(&server, devices).await, 0);
    let counted = crate::harness::eventually("every target to be revoked", async || {
        Some(statistics(&app, &id).await).filter(|counted| counted.revoked == 10)
    })
    .await;
    assert_eq!((counted.accepted, counted.arrived), (10, 0));
}

#[tokio::test]
async fn a_killed_server_goes_on_where_it_was_without_gap_or_repeat() {
    let mut server = Server::start().await;
    let app = server.app();
    let devices = register(&app, 40).await;
    let id = run(&app, &CreateCampaign { pace: slowly(40), ..to_all("sale") }).await.campaign_id;
    let mut so_far = 0;
    for _ in 0..3 {
        so_far = await_released(&server.app(), &id, so_far + 3).await.counts.released;
        server.crash().await;
    }
    let app = server.app();
    await_state(&app, &id, CampaignState::Settling).await;
    assert_eq!(collect(&server, devices).await, 40);
    let over = await_state(&app, &id, CampaignState::Finished).await;
    assert_eq!((over.counts.targets, over.counts.accepted, over.counts.delivered), (40, 40, 40));
    let counted = statistics(&app, &id).await;
    assert_eq!((counted.accepted, counted.arrived), (40, 40));
}

/// A panic of a kind in the middle of a campaign, and it reaches its end all the same.
async fn survives(kind: &str) {
    let mut server = Server::start().await;
    let app = server.app();
    let devices = register(&app, 20).await;
    let id = run(&app, &CreateCampaign { pace: slowly(20), ..to_all("sale") }).await.campaign_id;
    for released in [2, 6, 10] {
        await_released(&app, &id, released).await;
        let path = format!("/dev/panic?kind={kind}");
        assert_eq!(call(server.operations(), &Call::new("POST", &path, "")).await.status, 202);
    }
    await_state(&app, &id, CampaignState::Settling).await;
    assert_eq!(collect(&server, devices).await, 20);
    await_state(&app, &id, CampaignState::Finished).await;
    assert!(server.exit_status().is_none(), "the process must live");
}

#[tokio::test]
async fn a_panic_in_a_campaign_is_survived() {
    survives("campaign").await;
}

#[tokio::test]
async fn a_panic_in_the_campaigns_supervisor_is_survived() {
    survives("campaigns").await;
}

#[tokio::test]
async fn a_campaign_that_panics_again_and_again_fails_and_takes_nothing_with_it() {
    let mut server = Server::start().await;
    let app = server.app();
    register(&app, 20).await;
    let id = run(&app, &CreateCampaign { pace: slowly(1), ..to_all("sale") }).await.campaign_id;
    let failed = crate::harness::eventually("the campaign to fail", async || {
        call(server.operations(), &Call::new("POST", "/dev/panic?kind=campaign", "")).await;
        app.api.campaign(&id).await.ok().filter(|campaign| campaign.state == CampaignState::Failed)
    })
    .await;
    assert!(failed.reason.is_some_and(|reason| reason.contains("panicked")));
    assert!(server.exit_status().is_none(), "the process must live");
}

//! Campaigns in the engine: their pace, their runners, and what panics.

use std::time::Duration;

use carillon_sdk::Ttl;
use carillon_sdk::api::campaigns::{CampaignState, CampaignView};

use super::world::{World, soon};
use crate::audience::Audience;
use crate::campaign::{By, Command, Pace, Spec, To};
use crate::engine::Kind;
use crate::model::Task;
use crate::order::Content;
use crate::template::Values;

fn by() -> By {
    By { who: "ck_1".to_owned(), from: None, nonce: None }
}

/// A campaign to everybody, applied.
async fn applied(world: &World, pace: Pace) -> Task {
    let spec = Spec {
        name: None,
        content: Content { title: Some("sale".to_owned()), ..Content::default() },
        template: None,
        values: Values::new(),
        to: To::Audience { text: None, audience: Audience::Everybody },
        ttl: Ttl::from_secs(3_600),
        collapse_key: None,
        pace,
        canary: None,
    };
    let (made, plan) = world.engine.create_campaign(world.app, spec, by()).await.unwrap();
    let task = Task(made.campaign_id.parse().unwrap());
    world.engine.apply_campaign(world.app, task, plan.plan, by()).await.unwrap();
    task
}

async fn view(world: &World, task: Task) -> CampaignView {
    world.engine.campaign(world.app, task).await.unwrap()
}

async fn until_released(world: &World, task: Task, count: u64) {
    while view(world, task).await.counts.released < count {
        // On paused time: it ends as soon as nothing else is to be done.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[actix::test]
async fn a_pace_is_kept_on_tokio_time() {
    let world = World::new().await;
    for n in 0..50 {
        world.register(&n.to_string()).await;
    }
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    let task = applied(&world, Pace { per_second: Some(10), per_minute: None }).await;
    until_released(&world, task, 50).await;
    assert!(began.elapsed() >= Duration::from_millis(4_500), "{:?}", began.elapsed());
}

#[actix::test]
async fn a_minutes_share_waits_for_the_next_minute() {
    let world = World::new().await;
    for n in 0..30 {
        world.register(&n.to_string()).await;
    }
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    let task = applied(&world, Pace { per_second: None, per_minute: Some(10) }).await;
    until_released(&world, task, 30).await;
    assert!(began.elapsed() >= Duration::from_secs(120), "{:?}", began.elapsed());
}

#[actix::test]
async fn a_runner_and_the_office_that_panic_are_made_anew_and_the_campaign_goes_on() {
    let mut world = World::new().await;
    for n in 0..20 {
        world.register(&n.to_string()).await;
    }
    tokio::time::pause();
    let task = applied(&world, Pace { per_second: Some(5), per_minute: None }).await;
    for (kind, released) in [(Kind::Campaign, 3), (Kind::Campaigns, 8), (Kind::Campaign, 12)] {
        until_released(&world, task, released).await;
        world.engine.crash(kind);
    }
    until_released(&world, task, 20).await;
    assert!(world.exits.try_recv().is_err());
}

#[actix::test]
async fn a_campaign_that_is_over_when_its_validity_is_has_let_nothing_go_since() {
    let world = World::new().await;
    let device = world.register("pixel").await;
    let task = applied(&world, Pace::default()).await;
    soon("the campaign to settle", async {
        while view(&world, task).await.state != CampaignState::Settling {
            // Between two looks, not instead of one.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    world.pass(Ttl::from_secs(3_600)).await;
    world.pass(Ttl::from_secs(60)).await;
    let over = soon("the campaign to finish", async {
        loop {
            let view = view(&world, task).await;
            if view.state == CampaignState::Finished {
                return view;
            }
            // Between two looks: its runner asks every two seconds.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert_eq!((over.counts.expired, over.counts.pending), (1, 0));
    let mut phone = world.connect(device).await;
    phone.expect_nothing().await;
    let told = world.engine.tell_campaign(world.app, task, Command::Resume, by()).await.unwrap();
    assert_eq!(told.state, CampaignState::Finished);
}

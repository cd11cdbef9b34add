//! One actor of each kind panics in a handler, and the rest goes on.

use super::world::{World, name, soon, users};
use crate::engine::{Kind, Refusal, To};
use crate::limits::Limits;
use carillon_sdk::wire::Frame;

/// Pushes until one is accepted: while an actor is made anew a push may be refused or unknown.
async fn push_until_accepted(world: &World, to: To, title: &str) {
    soon("an accepted push", async {
        loop {
            match world.engine.push(world.message(to.clone(), title)).await {
                Ok(_) => return,
                Err(Refusal::Busy | Refusal::Unknown) => tokio::task::yield_now().await,
                Err(refusal) => panic!("{refusal:?}"),
            }
        }
    })
    .await;
}

#[actix::test]
async fn a_connection_that_panics_is_made_anew_around_its_socket_and_unacked_pushes_come_again() {
    let world = World::new().await;
    let mut phone = world.phone("pixel").await;
    world.push(To::Devices(vec![phone.device]), "unacked").await;
    let first = phone.expect_push().await;
    world.engine.crash(Kind::Connection);
    assert_eq!(phone.take("unacked").await.message_id, first.message_id);
    world.push(To::Devices(vec![phone.device]), "after").await;
    phone.take("after").await;
    phone.expect_nothing().await;
}

#[actix::test]
async fn a_shard_that_panics_loses_its_sockets_and_no_message() {
    let world = World::new().await;
    let mut phones = Vec::new();
    for n in 0..8 {
        phones.push(world.phone(&n.to_string()).await);
    }
    let devices: Vec<_> = phones.iter().map(|phone| phone.device).collect();
    world.push(To::Devices(devices.clone()), "before").await;
    let mut before = Vec::new();
    for phone in &mut phones {
        before.push(phone.expect_push().await.message_id);
    }
    world.engine.crash(Kind::Shard);
    let mut ended = 0;
    for phone in &mut phones {
        phone.send(Frame::Ping).await;
        match phone.next().await {
            None => ended += 1,
            Some(Frame::Pong) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!((1..8).contains(&ended), "{ended} of 8: one shard of two");
    for device in devices {
        let mut phone = world.connect(device).await;
        phone.take("before").await;
        push_until_accepted(&world, To::Devices(vec![device]), "after").await;
        phone.take("after").await;
    }
}

#[actix::test]
async fn a_user_that_panics_is_made_anew_by_the_next_push() {
    let world = World::new().await;
    let mut phone = world.phone("pixel").await;
    world.bind(phone.device, Some("anna")).await;
    world.engine.crash(Kind::User);
    push_until_accepted(&world, users(&["anna"]), "after").await;
    phone.take("after").await;
    assert_eq!(world.engine.store().device_info(phone.device).unwrap().user_id, Some(name("anna")));
}

#[actix::test]
async fn metrics_and_the_scheduler_are_made_anew() {
    let mut world = World::new().await;
    for _ in 0..3 {
        world.engine.crash(Kind::Metrics);
        world.engine.crash(Kind::Scheduler);
    }
    // The Scheduler lives: what expires is verdicted without anybody asking for a sweep.
    let device = world.register("pixel").await;
    let pushed = world.push(To::Devices(vec![device]), "short").await;
    world.clock.advance(std::time::Duration::from_secs(3_600));
    world.expect_state(&pushed, "expired", 1).await;
    assert!(world.exits.try_recv().is_err());
}

#[actix::test]
async fn a_root_that_panics_ends_the_process_with_status_70() {
    let mut world = World::new().await;
    world.engine.crash(Kind::Root);
    assert_eq!(soon("an exit", world.exits.recv()).await, Some(70));
}

#[actix::test]
async fn a_store_that_panics_ends_the_process_with_status_70() {
    let mut world = World::new().await;
    world.engine.crash(Kind::Store);
    assert_eq!(soon("an exit", world.exits.recv()).await, Some(70));
}

#[actix::test]
async fn more_deaths_in_a_minute_than_a_parent_bears_end_the_parent() {
    let limits = Limits { deaths_per_minute_max: 2, ..Limits::default() };
    let mut world = World::with(limits, |hints| hints).await;
    soon("an exit", async {
        loop {
            world.engine.crash(Kind::Metrics);
            tokio::task::yield_now().await;
            if let Ok(status) = world.exits.try_recv() {
                assert_eq!(status, 70);
                return;
            }
        }
    })
    .await;
}

#[actix::test]
async fn a_shard_beyond_its_budget_is_made_anew_by_root_and_devices_come_back() {
    let limits = Limits { deaths_per_minute_max: 1, ..Limits::default() };
    let world = World::with(limits, |hints| hints).await;
    let mut phone = world.phone("pixel").await;
    world.push(To::Devices(vec![phone.device]), "kept").await;
    phone.expect_push().await;
    world.engine.crash(Kind::Connection);
    phone.expect_push().await;
    world.engine.crash(Kind::Connection);
    assert_eq!(phone.next().await, None);
    world.connect(phone.device).await.take("kept").await;
}

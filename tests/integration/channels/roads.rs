//! Which road a message takes, and what its story says of it.

use carillon::lab::Condition;
use carillon_sdk::api::Step;
use carillon_sdk::api::vendors::VendorOptions;
use carillon_sdk::client::device::{DeviceClient, Options};
use carillon_sdk::client::{Address, Trust};
use carillon_sdk::{Fallback, MessageId, Route, Vendor};
use serde_json::Value;

use super::{Bench, roads};
use crate::harness::{Phone, eventually, to_device, within};

fn by(route: Route) -> VendorOptions {
    VendorOptions { route: Some(route), vendor_after_s: Some(1), ..VendorOptions::default() }
}

/// A connected phone that its vendor reaches too.
async fn phone(bench: &Bench, vendor: Vendor, name: &str) -> Phone {
    let phone = Phone::new(&bench.server, &bench.app, name).await;
    bench.app.api.set_token(phone.id(), vendor, name).await.unwrap();
    phone
}

#[tokio::test]
async fn each_route_takes_its_road_and_the_story_says_why() {
    let bench = Bench::start(&[Vendor::Fcm]).await;
    let mut phone = phone(&bench, Vendor::Fcm, "ok-phone").await;
    let taken = || bench.taken(Vendor::Fcm, "ok-phone").len();

    let id = bench.push("ok-phone", "first the vendor", by(Route::VendorFirst)).await;
    let target = bench.app.await_state(id, "ok-phone", "handed_over").await;
    assert_eq!(roads(&target), ["fcm: vendor_first"]);
    phone.expect_nothing().await;

    let id = bench.push("ok-phone", "while online", by(Route::OnlineFirst)).await;
    phone.receive("while online").await;
    let target = bench.app.await_state(id, "ok-phone", "delivered").await;
    assert_eq!(roads(&target), ["own: online"]);

    let id = bench.push("ok-phone", "own and nothing else", by(Route::OwnOnly)).await;
    phone.receive("own and nothing else").await;
    let target = bench.app.await_state(id, "ok-phone", "delivered").await;
    assert_eq!((roads(&target), taken()), (vec!["own: own_only".to_owned()], 1));

    drop(phone.disconnect());
    // Until the server has seen the phone go it is online.
    let offline = eventually("the phone to be offline", async || {
        let id = bench.push("ok-phone", "while offline", by(Route::OnlineFirst)).await;
        let target = bench.await_step(id, "ok-phone", Step::Routed).await;
        (roads(&target) == ["fcm: unconnected"]).then_some(id)
    })
    .await;
    bench.app.await_state(offline, "ok-phone", "handed_over").await;

    let id = bench.push("ok-phone", "the vendor after a second", by(Route::VendorAfter)).await;
    let target = bench.app.await_state(id, "ok-phone", "handed_over").await;
    assert_eq!(roads(&target), ["own: unconnected", "fcm: waited"]);
}

#[tokio::test]
async fn what_a_vendor_refuses_comes_by_our_own_road_at_once_if_that_is_wanted() {
    let bench = Bench::start(&[Vendor::Fcm]).await;
    let mut bad = phone(&bench, Vendor::Fcm, "bad-phone").await;
    let id = bench.push("bad-phone", "refused", VendorOptions::default()).await;
    bad.receive("refused").await;
    let target = bench.app.await_state(id, "bad-phone", "delivered").await;
    assert_eq!(roads(&target), ["fcm: vendor_first", "fcm: vendor_refused", "own: fallback"]);

    let none = VendorOptions { fallback: Some(Fallback::None), ..VendorOptions::default() };
    let id = bench.push("bad-phone", "refused for good", none).await;
    let target = bench.app.await_state(id, "bad-phone", "rejected").await;
    assert_eq!(roads(&target), ["fcm: vendor_first"]);
    bad.expect_nothing().await;

    let mut dead = phone(&bench, Vendor::Fcm, "dead-phone").await;
    let id = bench.push("dead-phone", "to a dead token", VendorOptions::default()).await;
    dead.receive("to a dead token").await;
    let target = bench.app.await_state(id, "dead-phone", "delivered").await;
    assert_eq!(roads(&target), ["fcm: vendor_first", "fcm: token_dead", "own: fallback"]);
    let id = bench.push("dead-phone", "and the next", VendorOptions::default()).await;
    dead.receive("and the next").await;
    let target = bench.app.await_state(id, "dead-phone", "delivered").await;
    assert_eq!(roads(&target), [""; 0], "there was nothing to choose");
}

#[tokio::test]
async fn a_setup_that_is_taken_away_gives_a_connected_phone_what_waited_for_its_vendor() {
    let bench = Bench::start(&[Vendor::Huawei]).await;
    let mut phone = phone(&bench, Vendor::Huawei, "ok-phone").await;
    bench.lab.world().set_condition(Vendor::Huawei, Condition::Down);
    let id = bench.push("ok-phone", "waits for Huawei", VendorOptions::default()).await;
    bench.await_step(id, "ok-phone", Step::Routed).await;
    phone.expect_nothing().await;
    bench.app.api.delete_vendor(Vendor::Huawei).await.unwrap();
    phone.receive("waits for Huawei").await;
    let target = bench.app.await_state(id, "ok-phone", "delivered").await;
    assert_eq!(roads(&target), ["huawei: vendor_first", "own: token_gone"]);
}

#[tokio::test]
async fn while_one_vendor_is_down_the_others_carry_all_and_it_does_when_it_is_back() {
    let vendors = [Vendor::Huawei, Vendor::Fcm, Vendor::Apns, Vendor::Vivo];
    let bench = Bench::start(&vendors).await;
    let phones = |n: usize| vendors.map(|vendor| (vendor, format!("ok-{vendor}-{n}")));
    let phones: Vec<(Vendor, String)> = (0..5).flat_map(phones).collect();
    bench.phones(&phones).await;
    bench.lab.world().set_condition(Vendor::Huawei, Condition::Down);
    let mut pushed = Vec::new();
    for (vendor, name) in &phones {
        pushed.push((*vendor, name, bench.push(name, "to each", VendorOptions::default()).await));
    }
    for (_, name, id) in pushed.iter().filter(|(vendor, ..)| *vendor != Vendor::Huawei) {
        bench.await_step(*id, name, Step::HandedOver).await;
    }
    for (_, name, id) in pushed.iter().filter(|(vendor, ..)| *vendor == Vendor::Huawei) {
        assert_eq!(bench.app.target(*id, name).await.unwrap().state, "pending");
    }
    bench.lab.world().set_condition(Vendor::Huawei, Condition::Up);
    for (_, name, id) in pushed.iter().filter(|(vendor, ..)| *vendor == Vendor::Huawei) {
        bench.await_step(*id, name, Step::HandedOver).await;
    }
}

/// The id that an app's handler finds in what its vendor brought.
fn carillon_id(content: &Value) -> Option<MessageId> {
    match content {
        Value::Object(fields) => {
            let here = fields.get("carillon_id").and_then(Value::as_str).and_then(|id| id.parse().ok());
            here.or_else(|| fields.values().find_map(carillon_id))
        }
        _ => None,
    }
}

#[tokio::test]
async fn a_message_that_a_vendor_and_our_socket_bring_has_one_id_and_is_shown_once() {
    let bench = Bench::start(&[Vendor::Fcm]).await;
    let registered = bench.app.register("cut-99-phone").await;
    let address = Address::Tcp(bench.server.ready.devices_tcp.clone());
    let options = Options { trust: Trust::Web, ..Options::new(address, registered.credential.clone()) };
    let device = within("a session", DeviceClient::connect(options)).await.unwrap();
    // The vendor takes it, shows it, and the answer is lost: the channel tries again.
    bench.app.api.set_token(&registered.device_id, Vendor::Fcm, "cut-99-phone").await.unwrap();
    let id = bench.push("cut-99-phone", "by both roads", VendorOptions::default()).await;
    let shown = eventually("the vendor to show it", async || {
        bench.taken(Vendor::Fcm, "cut-99-phone").first().and_then(|taken| carillon_id(&taken.content))
    })
    .await;
    assert_eq!(shown, id);
    assert!(device.brought_by_vendor(shown).await.unwrap());
    bench.app.api.withdraw_token(&registered.device_id, Vendor::Fcm).await.unwrap();
    bench.app.await_state(id, "cut-99-phone", "delivered").await;
    bench.await_step(id, "cut-99-phone", Step::Shown).await;
    bench.app.push(to_device(&registered.device_id), "only once").await;
    let next = within("the next push", device.next_push()).await.unwrap();
    assert_eq!((next.title.as_deref(), device.counts().repeats), (Some("only once"), 1));
    assert!(!device.brought_by_vendor(next.message_id).await.unwrap(), "the app has it from here");
}

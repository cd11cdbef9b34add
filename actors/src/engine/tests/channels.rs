//! Setups for vendors, and the channels that they make, to a vendor that is the test's.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use carillon_sdk::Vendor;
use serde_json::json;

use super::world::{World, soon};
use crate::channel::fake::{self, Book, FakeGateways, FakeVendor};
use crate::channel::{
    AccessView, BreakerView, Class, Config, Draft, Errand, ErrandLane, Error, Outcome, Refused, Scope, State,
};
use crate::engine::{self, To};
use crate::store::{Audit, By, Kind};

fn open(world: &World) -> (Arc<FakeVendor>, Book) {
    let (vendor, book) = (Arc::new(FakeVendor::default()), Book::new(world.clock.clone()));
    let config = Config { receipts_url: Some("https://push.example.com/vendors/".to_owned()) };
    world.engine.open_channels(Arc::new(FakeGateways(Arc::clone(&vendor))), Arc::new(book.clone()), config);
    (vendor, book)
}

/// With the engine's own store behind it.
fn open_whole(world: &World) -> Arc<FakeVendor> {
    let vendor = Arc::new(FakeVendor::default());
    world.engine.open_channels(
        Arc::new(FakeGateways(Arc::clone(&vendor))),
        Arc::new(world.engine.store().clone()),
        Config::default(),
    );
    vendor
}

fn audit() -> Audit {
    Audit { who: "test".into(), from: None, what: "channel.put".into(), object: "apns".into(), detail: None }
}

fn draft() -> Draft {
    Draft {
        credential: Some(json!({"key": "planted-secret"})),
        settings: json!({"topic": "com.example"}),
        hosts: BTreeMap::from([("send".to_owned(), "http://127.0.0.1:1".to_owned())]),
        ca_pem: None,
        clock_offset_ms: 0,
        enabled: true,
        quotas: BTreeMap::new(),
    }
}

#[actix::test]
async fn a_credential_goes_in_and_nobody_sees_it_again() {
    let world = World::new().await;
    let _open = open(&world);
    let setups = world.engine.channel_setups(world.app);
    let view = setups.put(Vendor::Apns, None, draft(), audit(), None).await.unwrap();
    assert_eq!(setups.list(), std::slice::from_ref(&view));
    assert!(!format!("{view:?}").contains("planted-secret"));
    for (_, _, stored) in world.engine.store().objects_of_all(Kind::Channel) {
        assert!(!String::from_utf8_lossy(&stored.bytes).contains("planted-secret"));
    }
    assert_eq!(
        world.engine.channel_of_receipts(view.receipts_key.as_deref().unwrap()),
        Some((world.app, Vendor::Apns))
    );
    assert_eq!(world.engine.channel_of_receipts("vr_"), None);
}

#[actix::test]
async fn a_setup_changes_without_its_credential_and_over_the_revision_named_alone() {
    let world = World::new().await;
    let _open = open(&world);
    let setups = world.engine.channel_setups(world.app);
    let without = Draft { credential: None, ..draft() };
    let put = setups.put(Vendor::Apns, None, without.clone(), audit(), None).await;
    assert_eq!(put, Err(Error::NoCredential));
    let first = setups.put(Vendor::Apns, Some(0), draft(), audit(), None).await.unwrap();
    let changed = Draft { settings: json!({"topic": "com.example.beta"}), ..without };
    let second =
        setups.put(Vendor::Apns, Some(first.revision), changed.clone(), audit(), None).await.unwrap();
    assert_eq!(second.settings, changed.settings);
    assert_eq!((second.receipts_key, second.created_at), (first.receipts_key, first.created_at));
    let late = setups.put(Vendor::Apns, Some(first.revision), changed, audit(), None).await;
    assert_eq!(late, Err(Error::Changed));
}

#[actix::test]
async fn what_a_vendor_would_not_take_is_refused_where_it_comes_in() {
    let world = World::new().await;
    let _open = open(&world);
    let setups = world.engine.channel_setups(world.app);
    let wrong = Draft { credential: Some(json!({})), ..draft() };
    let refused = setups.put(Vendor::Apns, None, wrong, audit(), None).await;
    assert!(matches!(refused, Err(Error::Invalid(invalid)) if invalid.pointer == "/credential/key"));
    let quotas = BTreeMap::from([("marketing".to_owned(), Some(1))]);
    let refused = setups.put(Vendor::Apns, None, Draft { quotas, ..draft() }, audit(), None).await;
    assert!(matches!(refused, Err(Error::Invalid(invalid)) if invalid.pointer == "/quotas/marketing"));
    assert_eq!(setups.list(), []);
}

#[actix::test]
async fn a_trial_keeps_its_access_until_the_credential_changes() {
    let world = World::new().await;
    let (vendor, _book) = open(&world);
    let setups = world.engine.channel_setups(world.app);
    let test = || world.engine.test_channel(world.app, Vendor::Apns, Some("ok-1".to_owned()));
    assert_eq!(test().await, Err(Error::Unknown));
    setups.put(Vendor::Apns, None, draft(), audit(), None).await.unwrap();

    let tested = test().await.unwrap();
    assert_eq!(tested.access, Ok(AccessView::Held { ends_at: None }));
    assert_eq!(tested.sent, Some(Outcome::accepted(None)));
    test().await.unwrap();
    assert_eq!(vendor.authorized.load(Ordering::SeqCst), 1);
    for (_, _, stored) in world.engine.store().objects_of_all(Kind::ChannelState) {
        assert!(!String::from_utf8_lossy(&stored.bytes).contains("access-1"));
    }

    let rotated = json!({"key": "another"});
    setups.rotate(Vendor::Apns, Some(rotated), false, audit(), None).await.unwrap();
    let refused = Refused::new(Class::Config, Scope::App, "InvalidProviderToken");
    let access = Err(refused.clone());
    vendor.give(move |_| access.clone());
    assert_eq!(test().await.unwrap().access, Err(refused));

    setups.remove(Vendor::Apns, audit(), None).await.unwrap();
    assert!(world.engine.store().objects_of_all(Kind::ChannelState).is_empty());
    assert_eq!(test().await, Err(Error::Unknown));
}

/// Waits until the channel's state is so.
async fn until(world: &World, is_so: impl Fn(Option<&State>) -> bool) {
    soon("a channel's state", async {
        while !is_so(world.engine.channel_state(world.app, Vendor::Apns).as_ref()) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

fn errand(world: &World, number: u32) -> Errand {
    fake::errand(number, &fake::message("a", world.clock.now()), world.clock.now())
}

#[actix::test]
async fn a_setup_makes_a_channel_and_a_change_makes_it_anew() {
    let world = World::new().await;
    let (vendor, book) = open(&world);
    book.add(ErrandLane::Normal, [errand(&world, 1)]);
    let setups = world.engine.channel_setups(world.app);
    setups.put(Vendor::Apns, None, draft(), audit(), None).await.unwrap();
    soon("a message", book.until_handed_over(1)).await;
    until(&world, |state| state.is_some()).await;

    let off = Draft { credential: None, enabled: false, ..draft() };
    setups.put(Vendor::Apns, None, off, audit(), None).await.unwrap();
    until(&world, |state| state.is_none()).await;
    book.add(ErrandLane::Normal, [errand(&world, 2)]);

    setups.put(Vendor::Apns, None, draft(), audit(), None).await.unwrap();
    soon("another message", book.until_handed_over(2)).await;
    assert_eq!(vendor.authorized.load(Ordering::SeqCst), 1, "the credential did not change");

    setups.remove(Vendor::Apns, audit(), None).await.unwrap();
    until(&world, |state| state.is_none()).await;
}

#[actix::test]
async fn channels_and_their_office_that_panic_are_made_anew_and_lose_nothing() {
    let world = World::new().await;
    let (_vendor, book) = open(&world);
    let setups = world.engine.channel_setups(world.app);
    setups.put(Vendor::Apns, None, draft(), audit(), None).await.unwrap();
    for (number, kind) in [(1, engine::Kind::Channel), (2, engine::Kind::Channels)] {
        book.add(ErrandLane::Normal, [errand(&world, number)]);
        soon("a message", book.until_handed_over(number as usize)).await;
        world.engine.crash(kind);
    }
    book.add(ErrandLane::Normal, [errand(&world, 3)]);
    soon("a message after both died", book.until_handed_over(3)).await;
}

#[actix::test]
async fn a_trial_that_goes_well_sets_a_stopped_channel_going() {
    let world = World::new().await;
    let (vendor, book) = open(&world);
    let wrong = Refused::new(Class::Config, Scope::App, "BadTopic");
    vendor.answer(move |parcel| vec![wrong.clone().into(); parcel.to.len()]);
    let setups = world.engine.channel_setups(world.app);
    setups.put(Vendor::Apns, None, draft(), audit(), None).await.unwrap();
    book.add(ErrandLane::Normal, [errand(&world, 1)]);
    let is_open = |state: &State| matches!(state.breaker, BreakerView::Open { .. });
    until(&world, |state| state.is_some_and(is_open)).await;

    vendor.answer(|parcel| vec![Outcome::accepted(None); parcel.to.len()]);
    let tested = world.engine.test_channel(world.app, Vendor::Apns, Some("ok-1".to_owned())).await.unwrap();
    assert_eq!(tested.sent, Some(Outcome::accepted(None)));
    until(&world, |state| state.is_some_and(|state| !is_open(state))).await;
    world.clock.advance(std::time::Duration::from_secs(1));
    book.add(ErrandLane::Normal, [errand(&world, 2)]);
    soon("both messages", book.until_handed_over(2)).await;
}

#[actix::test]
async fn a_server_that_drains_hears_what_its_vendors_say() {
    let world = World::new().await;
    let (_vendor, book) = open(&world);
    let setups = world.engine.channel_setups(world.app);
    setups.put(Vendor::Apns, None, draft(), audit(), None).await.unwrap();
    book.add(ErrandLane::Normal, [errand(&world, 1)]);
    until(&world, |state| state.is_some()).await;
    soon("the drain", world.engine.drain(carillon_sdk::Ttl::ZERO)).await;
    assert!(book.ends().len() <= 1);
}

#[actix::test]
async fn a_push_goes_by_the_vendor_and_what_it_said_is_the_verdict() {
    let world = World::new().await;
    let vendor = open_whole(&world);
    let setups = world.engine.channel_setups(world.app);
    setups.put(Vendor::Apns, None, draft(), audit(), None).await.unwrap();
    let mut devices = Vec::new();
    for name in ["ok", "flaky", "dead", "wrong"] {
        let device = world.register(name).await;
        world.engine.store().vendor_token(device, Vendor::Apns, name, By::Device).await.unwrap();
        devices.push(device);
    }
    let failures = parking_lot::Mutex::new(1);
    vendor.answer(move |parcel| {
        let refuse = |class, scope| vec![Refused::new(class, scope, "code").into()];
        let mut left = failures.lock();
        match &*parcel.to[0].token {
            "flaky" if std::mem::take(&mut *left) > 0 => refuse(Class::Retry, Scope::Message),
            "dead" => refuse(Class::Unbind, Scope::Device),
            "wrong" => refuse(Class::Perm, Scope::Message),
            _ => vec![Outcome::accepted(None)],
        }
    });
    let options = Some(r#"{"route":"vendor_first","fallback":"none"}"#.to_owned());
    let push = engine::Push { options, ..world.message(To::Devices(devices.clone()), "hello") };
    let pushed = world.engine.push(push).await.unwrap();
    soon("three calls", async {
        while vendor.calls.lock().len() < 4 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // The flaky one is due again within a second.
    soon("the second call for the flaky one", async {
        while vendor.calls.lock().len() < 5 {
            world.clock.advance(std::time::Duration::from_millis(100));
            tokio::task::yield_now().await;
        }
    })
    .await;
    world.expect_state(&pushed, "handed_over", 2).await;
    soon("the dead token's end", async {
        while !world.engine.store().tokens_of(devices[2]).await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(world.engine.store().tokens_of(devices[3]).await.unwrap().len(), 1);
}

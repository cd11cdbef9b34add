//! Receipts on their way out, to a gateway that is the test's.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use carillon_sdk::Ttl;
use carillon_sdk::api::{EventType, EventView, SignatureAlgorithm};
use carillon_sdk::wire::Lane;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::Notify;

use super::world::{World, name, soon};
use crate::engine::{Kind, To};
use crate::model::PushType;
use crate::order::{Content, Named, Order, Recipient, Recipients};
use crate::receipts::{Answer, Config, Draft, Endpoint, Gateway, Patience, Post, Secret};
use crate::settings::CallbackKey;
use crate::store::{Audit, FeedFrom, FeedQuery};

/// Notes what it is given, and answers what the test wants.
struct Fake {
    posts: Mutex<Vec<Post>>,
    answer: Mutex<Answer>,
    came: Notify,
}

impl Gateway for Arc<Fake> {
    fn post(&self, post: Post) -> BoxFuture<'static, Answer> {
        self.posts.lock().push(post);
        self.came.notify_waiters();
        let answer = self.answer.lock().clone();
        Box::pin(std::future::ready(answer))
    }
}

impl Fake {
    fn open(world: &World) -> Arc<Self> {
        let fake = Arc::new(Self {
            posts: Mutex::default(),
            answer: Mutex::new(Answer::Taken),
            came: Notify::new(),
        });
        let ms = Ttl::from_millis;
        let patience = Patience { rest_first: ms(1), rest_max: ms(2), give_up: Ttl::from_secs(3 * 86_400) };
        let config = Config { patience, endpoints_max: 4 };
        world.engine.open_receipts(Arc::new(Arc::clone(&fake)), config);
        fake
    }

    fn answers(&self, answer: Answer) {
        *self.answer.lock() = answer;
    }

    /// Waits until the posts so far are so, and gives them.
    async fn until(&self, what: &str, is_so: impl Fn(&[Post]) -> bool) -> Vec<Post> {
        soon(what, async {
            loop {
                let mut came = std::pin::pin!(self.came.notified());
                came.as_mut().enable();
                let posts = self.posts.lock().clone();
                if is_so(&posts) {
                    return posts;
                }
                came.await;
            }
        })
        .await
    }
}

fn audit(object: &str) -> Audit {
    Audit { who: "test".into(), from: None, what: "test".into(), object: object.into(), detail: None }
}

async fn endpoint(world: &World) -> String {
    let draft = Draft {
        url: "http://example.com/hook".to_owned(),
        events: vec![EventType::Accepted, EventType::Arrived],
        description: None,
        algorithm: SignatureAlgorithm::Hmac,
        secret: Secret::fresh(SignatureAlgorithm::Hmac),
    };
    let id = Endpoint::fresh_id();
    world.engine.endpoints(world.app).create(draft, audit(&id), None).await.unwrap();
    id
}

fn events(posts: &[Post]) -> Vec<EventView> {
    let of = |post: &Post| {
        let body: Value = serde_json::from_slice(&post.body).unwrap();
        serde_json::from_value::<Vec<EventView>>(body["data"]["events"].clone()).unwrap_or_default()
    };
    posts.iter().flat_map(of).collect()
}

fn ids(events: &[EventView]) -> Vec<String> {
    let mut seen = HashSet::new();
    events.iter().map(|event| event.id.clone()).filter(|id| seen.insert(id.clone())).collect()
}

#[actix::test]
async fn receipts_that_panic_are_made_anew_and_go_on_where_they_were() {
    let mut world = World::new().await;
    let fake = Fake::open(&world);
    let mut phone = world.phone("pixel").await;
    endpoint(&world).await;
    for round in 1..=5 {
        world.push(To::Devices(vec![phone.device]), "hello").await;
        phone.take("hello").await;
        if round % 2 == 0 {
            world.engine.crash(Kind::Receipts);
        }
        fake.until("this round's events", |posts| ids(&events(posts)).len() == 2 * round).await;
    }
    let query = FeedQuery { types: vec![EventType::Accepted, EventType::Arrived], limit: 100, until: None };
    let feed = world.engine.store().events(world.app, FeedFrom::Oldest, query).await.unwrap().events;
    let feed: Vec<_> = feed.into_iter().map(|event| event.id).collect();
    assert_eq!(ids(&events(&fake.posts.lock())), feed, "nothing lost, and in order");
    assert!(world.exits.try_recv().is_err());
}

#[actix::test]
async fn an_endpoint_that_took_nothing_for_days_is_disabled_and_told_why() {
    let world = World::new().await;
    let fake = Fake::open(&world);
    fake.answers(Answer::Failed { why: "it answered 500".to_owned(), retry_after: None });
    let phone = world.phone("pixel").await;
    let id = endpoint(&world).await;
    world.push(To::Devices(vec![phone.device]), "hello").await;
    fake.until("some tries", |posts| posts.len() > 3).await;
    let endpoints = world.engine.endpoints(world.app);
    assert!(endpoints.get(&id).unwrap().endpoint.disabled.is_none());
    world.clock.advance(Duration::from_secs(3 * 86_400));
    let disabled = soon("it to be disabled", async {
        loop {
            let kept = endpoints.get(&id).unwrap();
            if kept.endpoint.disabled.is_some() {
                return kept.view(world.clock.now());
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(disabled.disabled_reason.as_deref(), Some("gave_up"));
    assert_eq!(disabled.last_error.as_deref(), Some("it answered 500"));
    let entry = world.engine.store().audit_log(world.app, None, 1).await.unwrap().remove(0).audit;
    assert_eq!((&*entry.who, &*entry.what, &*entry.object), ("server", "endpoint.disable", &*id));
    let tries = fake.posts.lock().len();
    world.push(To::Devices(vec![phone.device]), "more").await;
    assert_eq!(fake.posts.lock().len(), tries, "it is left alone");
}

async fn order(world: &World, key: &str) {
    let recipient = Recipient {
        to: Named::User(name("anna")),
        key: Some(key.to_owned()),
        values: Default::default(),
        data: None,
    };
    let order = Order {
        name: None,
        push_type: PushType::Single,
        template: None,
        content: Content { title: Some("hello".to_owned()), ..Content::default() },
        values: Default::default(),
        to: Recipients::Each(vec![recipient]),
        ttl: super::world::HOUR,
        lane: Lane::Normal,
        collapse_key: None,
        keys_keep: Ttl::ZERO,
    };
    assert_eq!(world.engine.order(world.app, order, None, None).await.unwrap().accepted, 1);
}

#[actix::test]
async fn the_callback_tells_each_verdict_signed_with_the_apps_key_from_when_it_is_turned_on() {
    let world = World::new().await;
    let fake = Fake::open(&world);
    let mut phone = world.phone("pixel").await;
    world.bind(phone.device, Some("anna")).await;
    order(&world, "before").await;
    phone.take("hello").await;
    let key = CallbackKey::generate().unwrap();
    let shown = world.engine.set_callback_key(world.app, key, audit("key"), None).await.unwrap();
    let turn = |on: bool| {
        world.engine.change_settings(
            world.app,
            None,
            move |mut settings| {
                settings.callback.enabled = on;
                settings.callback.url = Some("http://example.com/cb?tenant=7".to_owned());
                settings
            },
            audit("settings"),
            None,
        )
    };
    turn(true).await.unwrap();
    // It has begun when its place is written down.
    soon("its beginning", async {
        while world.engine.store().object(world.app, crate::store::Kind::Receipt, "callback").is_none() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    order(&world, "order-1").await;
    phone.take("hello").await;
    let post = fake.until("a callback", |posts| !posts.is_empty()).await.remove(0);
    let body: Value = serde_json::from_slice(&post.body).unwrap();
    let expected = serde_json::json!({
        "version": 1, "event": "arrived", "appId": "shop", "workspaceId": "default", "msgKey": "order-1",
        "taskId": null, "target": "anna", "deliveryType": 3, "userId": "anna", "deviceId": "pixel",
        "channel": "own", "status": 2, "statusName": "Acked", "reason": null,
    });
    for (field, expected) in expected.as_object().unwrap() {
        assert_eq!(&body[field], expected, "{field} in {body}");
    }
    assert!(body["pushTime"].as_u64() <= body["eventTime"].as_u64() && body["pushTime"].is_u64());

    let (front, sign) = post.url.split_once("&sign=").unwrap();
    assert_eq!(front, "http://example.com/cb?tenant=7");
    let sign = URL_SAFE.decode(sign).unwrap();
    let verifies = |text: &[u8]| verifies(&shown.public_key, text, &sign);
    assert!(verifies(&post.body));
    assert!(!verifies(&[&post.body[..], b" "].concat()), "a changed body");

    turn(false).await.unwrap();
    order(&world, "unheard").await;
    phone.take("hello").await;
    assert_eq!(fake.posts.lock().len(), 1);
}

fn verifies(public_pem: &str, text: &[u8], sign: &[u8]) -> bool {
    use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
    use rsa::pkcs1::EncodeRsaPublicKey;
    use rsa::pkcs8::DecodePublicKey;
    let key = rsa::RsaPublicKey::from_public_key_pem(public_pem).unwrap();
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.to_pkcs1_der().unwrap());
    key.verify(text, sign).is_ok()
}

use std::collections::BTreeMap;
use std::convert::Infallible;

use carillon_actors::channel::{Gateways, News, ReceiptPost, Setup};
use carillon_actors::clock::Clock;
use carillon_sdk::{Timestamp, Vendor};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::*;
use crate::lab::{Asked, Posting, wire};
use crate::vendors::Protocols;

fn world() -> Arc<World> {
    Arc::new(World::new(Clock::manual(Timestamp::from_millis(1_764_000_000_000)), false))
}

/// Posts what `world` owes to a receiver of its own, whose address it gives.
struct Post {
    url: String,
    came: mpsc::UnboundedReceiver<Asked>,
    _tasks: JoinSet<()>,
}

impl Post {
    async fn open(world: &Arc<World>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/receipts", listener.local_addr().unwrap());
        let (sender, came) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                let sender = sender.clone();
                let service = service_fn(move |request| {
                    let sender = sender.clone();
                    async move {
                        if let Ok(asked) = wire::asked(request).await {
                            sender.send(asked).unwrap();
                        }
                        Ok::<_, Infallible>(wire::response(200, &[], bytes::Bytes::new(), true))
                    }
                });
                open.spawn(async move {
                    let connection = hyper::server::conn::http1::Builder::new();
                    let _ = connection.serve_connection(TokioIo::new(socket), service).await;
                });
            }
        });
        let poster = Poster::new(None).unwrap();
        tasks.spawn(post_all(Arc::clone(world), poster));
        Self { url, came, _tasks: tasks }
    }

    async fn next(&mut self) -> Asked {
        let came = tokio::time::timeout(Duration::from_secs(20), self.came.recv());
        came.await.unwrap().unwrap()
    }
}

/// A receipt of an arrival as each simulator writes it.
fn arrival(vendor: Vendor, url: &str, token: &str) -> Letter {
    let at = 1_764_000_000_000_u64;
    match vendor {
        Vendor::Xiaomi => {
            let told = json!({"param": "r-1", "type": 1, "targets": token, "timestamp": at});
            Letter::form(vendor, url, "data", &json!({ "m-1": told }))
        }
        Vendor::Meizu => {
            let told = json!({"param": "r-1", "type": 1, "targets": [token], "timestamp": at});
            Letter::form(vendor, url, "cb", &json!({ "m-1-1": told }))
        }
        Vendor::Oppo => {
            let told = json!({"messageId": "m-1", "registrationIds": token, "eventTime": at.to_string(),
                "param": "r-1", "eventType": "push_arrive"});
            Letter::json(vendor, url, &json!([told]))
        }
        Vendor::Vivo => {
            let told = json!({"targets": token, "ackTime": at, "ackType": "0", "param": "r-1"});
            Letter::json(vendor, url, &json!({ "m-1": told }))
        }
        other => panic!("{other} is told in its console where to post"),
    }
}

/// As the server reads it.
fn read(world: &World, vendor: Vendor, asked: &Asked) -> Vec<(Option<String>, News)> {
    let secrets =
        json!({"receipts_user": statuses::RECEIPTS_USER, "receipts_secret": statuses::RECEIPTS_SECRET});
    let setup = Setup {
        credential: if vendor == Vendor::Honor { Value::Null } else { secrets },
        settings: Value::Null,
        hosts: BTreeMap::new(),
        ca_pem: None,
        clock_offset_ms: 0,
        receipts_url: None,
    };
    let post = ReceiptPost {
        signature: asked.header("x-huawei-callback-id").map(str::to_owned),
        body: asked.body.clone(),
    };
    let receipts = Protocols::new(world.clock.clone()).receipts(vendor, &setup, &post).unwrap();
    receipts.into_iter().map(|receipt| (receipt.token, receipt.news)).collect()
}

#[tokio::test]
async fn what_is_posted_is_read_as_an_arrival() {
    let world = world();
    let mut post = Post::open(&world).await;
    for vendor in [Vendor::Xiaomi, Vendor::Meizu, Vendor::Oppo, Vendor::Vivo] {
        world.outbox.put(arrival(vendor, &post.url, "ok-1"));
        let read = read(&world, vendor, &post.next().await);
        assert_eq!(read, [(Some("ok-1".to_owned()), News::Delivered)], "{vendor}");
    }
}

#[tokio::test]
async fn a_late_receipt_of_huaweis_is_signed_when_it_is_posted() {
    let world = world();
    world.set_receipts_url(Vendor::Huawei, "http://127.0.0.1:1/");
    statuses::post(&world, Vendor::Huawei, &[json!({"token": "ok-1", "status": 0, "biTag": "r-1"})]);
    let mut letter = world.outbox.take().remove(0);
    world.clock.advance(Duration::from_secs(3_600));
    let mut post = Post::open(&world).await;
    letter.url.clone_from(&post.url);
    world.outbox.put(letter);
    let read = read(&world, Vendor::Huawei, &post.next().await);
    assert_eq!(read, [(Some("ok-1".to_owned()), News::Delivered)]);
}

#[tokio::test]
async fn receipts_come_twice_when_the_outbox_is_told_so() {
    let world = world();
    let mut post = Post::open(&world).await;
    world.outbox.set_posting(Posting { copies: 2, ..Posting::default() });
    world.outbox.put(arrival(Vendor::Vivo, &post.url, "ok-1"));
    let (first, second) = (post.next().await, post.next().await);
    assert_eq!(first.body, second.body);
}

#[test]
fn a_batch_holds_as_many_as_it_may_and_all_are_read() {
    let world = world();
    for vendor in [Vendor::Xiaomi, Vendor::Meizu, Vendor::Oppo, Vendor::Vivo] {
        let letters = (0..5).map(|n| arrival(vendor, "http://127.0.0.1/", &format!("ok-{n}")));
        let posts = batched(letters.collect(), 3);
        assert_eq!(posts.len(), 2, "{vendor}");
        let asked = |letter: &Letter| Asked {
            method: "POST".to_owned(),
            path: String::new(),
            query: String::new(),
            headers: letter.headers.clone(),
            body: letter.body.clone().into(),
            is_http2: false,
            connection: 0,
            certificate: None,
        };
        let told: Vec<_> = posts.iter().flat_map(|letter| read(&world, vendor, &asked(letter))).collect();
        let tokens: Vec<_> = told.iter().filter_map(|(token, _)| token.as_deref()).collect();
        assert_eq!(tokens, ["ok-0", "ok-1", "ok-2", "ok-3", "ok-4"], "{vendor}");
    }
}

#[test]
fn two_sayings_of_one_message_are_two_posts() {
    let of = |kind: u32, token: &str| {
        let told = json!({"param": "r-1", "type": kind, "targets": token});
        Letter::form(Vendor::Xiaomi, "http://127.0.0.1/", "data", &json!({ "m-1": told }))
    };
    // An arrival, and a token that is dead: 16.
    assert_eq!(batched(vec![of(1, "ok-1"), of(16, "dead-1")], 100).len(), 2);
}

#[tokio::test]
async fn nothing_is_posted_beyond_this_machine() {
    let poster = Poster::new(None).unwrap();
    let world = world();
    for url in ["http://192.0.2.1/", "https://example.com/", "http://127.0.0.1.example.com/", "no URL"] {
        poster.post(&world, arrival(Vendor::Vivo, url, "ok-1")).await;
    }
    let posted = world.capture.posted(Vendor::Vivo);
    assert_eq!(posted.len(), 4);
    assert!(posted.iter().all(|one| one.status == 0 && one.why.is_some()));
}

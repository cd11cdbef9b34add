//! App servers: one request after the other, each answer written down. A request that got no
//! answer is promised nothing, unless its idempotency key lets it be asked again.

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::dice::Dice;
use super::ledger::{Ledger, Promise, To};
use super::{DEVICES, Stage, USERS};
use crate::harness::{App, now};

struct Request {
    promise: Promise,
    body: Value,
    key: Option<String>,
}

pub(crate) async fn live(
    pusher: u32,
    mut dice: Dice,
    mut stage: watch::Receiver<Stage>,
    ledger: Arc<Ledger>,
) {
    let mut number = 0;
    let mut again: Option<Request> = None;
    loop {
        let current = stage.borrow_and_update().clone();
        let app = match current {
            Stage::Up(ready) => App::new(&ready),
            // What has a key is asked again even at the end, so that its answer is known.
            Stage::Settle(ready) if again.is_some() => App::new(&ready),
            Stage::Over | Stage::Settle(_) => return,
            Stage::Down => {
                if stage.changed().await.is_err() {
                    return;
                }
                continue;
            }
        };
        let request = again.take().unwrap_or_else(|| {
            number += 1;
            request(pusher, number, &mut dice)
        });
        let key: Vec<_> = request.key.iter().map(|key| ("idempotency-key", key.as_str())).collect();
        match app.try_call(Method::POST, "/v1/pushes", &key, Some(&request.body)).await {
            Ok(answer) if answer.status == 202 => {
                let id = answer.message_id();
                ledger.promised(Promise { id, ..request.promise });
            }
            // 429 and 503 promise nothing.
            Ok(answer) if [429, 503, 409].contains(&answer.status) => {}
            Ok(answer) => panic!("{} {}", answer.status, answer.text),
            Err(_) => again = request.key.is_some().then_some(request),
        }
    }
}

fn request(pusher: u32, number: u64, dice: &mut Dice) -> Request {
    let title = format!("{pusher}-{number}");
    let (to, target) = match dice.below(100) {
        0..3 => (To::All, json!({"all": true})),
        3..40 => {
            let user = u32::try_from(dice.below(USERS.into())).expect("small");
            (To::User(user), json!({"users": [format!("user-{user}")]}))
        }
        _ => {
            let device = u32::try_from(dice.below(DEVICES.into())).expect("small");
            (To::Device(device), json!({"devices": [format!("phone-{device}")]}))
        }
    };
    let lane = match to {
        To::All => "bulk",
        _ if dice.percent(30) => "high",
        _ => "normal",
    };
    let ttl_s = if dice.percent(10) { 2 } else { 3600 };
    let mut body = json!({"to": target, "title": title, "ttl_s": ttl_s});
    if lane == "high" {
        body["lane"] = json!("high");
    }
    let key = dice.percent(50).then(|| format!("key {title}"));
    let expires_at_ms = now().as_millis() + ttl_s * 1000;
    Request {
        promise: Promise { title, id: String::new(), to, lane, pusher, number, expires_at_ms },
        body,
        key,
    }
}

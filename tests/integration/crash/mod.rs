//! Kill -9 at random moments, while app servers push and devices ack, bind and reconnect. The
//! clients keep ledgers of what they were promised and what they saw; the ledgers are the judge.
//!
//! `CRASHES=1000 cargo test --test integration crash` for a long run; `SEED=…` to repeat one.

mod dice;
mod ledger;
mod phones;
mod pushers;

use std::sync::Arc;
use std::time::Duration;

use dice::Dice;
use ledger::Ledger;
use tokio::sync::watch;

use crate::harness::{Phone, Ready, Server};

pub(crate) const DEVICES: u32 = 12;
pub(crate) const USERS: u32 = 5;

/// What the clients are told: a server to talk to, none while it is dead, or the end.
#[derive(Clone)]
pub(crate) enum Stage {
    Up(Arc<Ready>),
    Down,
    /// Push nothing any more; take and ack what is left.
    Settle(Arc<Ready>),
    Over,
}

#[tokio::test]
async fn fifty_kills_lose_nothing_that_was_promised() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let crashes = number("CRASHES").unwrap_or(50);
    let seed = number("SEED").unwrap_or_else(|| crate::harness::now().as_millis());
    eprintln!("crash test: CRASHES={crashes} SEED={seed}");
    let mut dice = Dice::new(seed);

    let mut server = Server::start_with(&[("CARILLON_LIMITS_ACK_TIMEOUT", "1s")]).await;
    let ledger = Arc::new(Ledger::default());
    let (stage, follow) = watch::channel(Stage::Up(Arc::new(server.ready.clone())));
    let mut clients = tokio::task::JoinSet::new();
    for number in 0..DEVICES {
        let phone = Phone::register(&server, &format!("phone-{number}")).await;
        clients.spawn(phones::live(phone, number, dice.fork(), follow.clone(), Arc::clone(&ledger)));
    }
    for number in 0..4 {
        clients.spawn(pushers::live(number, dice.fork(), follow.clone(), Arc::clone(&ledger)));
    }

    for _ in 0..crashes {
        // The random moment of the kill: it is the subject of the test.
        tokio::time::sleep(Duration::from_millis(dice.below(900))).await;
        server.kill().await;
        stage.send_replace(Stage::Down);
        server.start_again().await;
        stage.send_replace(Stage::Up(Arc::new(server.ready.clone())));
    }
    stage.send_replace(Stage::Settle(Arc::new(server.ready.clone())));
    ledger.settled(&server.app()).await;
    stage.send_replace(Stage::Over);
    while let Some(ended) = clients.join_next().await {
        ended.expect("no client found a broken promise");
    }
    ledger.judge(&server.app()).await;
}

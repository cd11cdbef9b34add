//! SIGKILL at random moments while clients push, ack, bind and reconnect. Ledgers kept by the
//! clients prove that no 202 was lost, that order held, that repeats carry the same id, that no
//! message was shown to another user, and that the counts equal the verdicts.
//!
//! `CRASHES` says how often (50 by itself), `CRASH_SEED` repeats a run's choices, though not its
//! timing.

mod device;
mod ledger;
mod proof;
mod random;
mod sender;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::harness::{App, Server, eventually};
use device::Device;
use ledger::{Ledger, title};
use random::Random;
use sender::Sender;

pub(crate) const DEVICES: usize = 8;
const USERS: usize = 4;
const SENDERS: u64 = 4;
/// The one who sends markers at the end.
const MARKER: u64 = 99;
/// A kill comes this many milliseconds after the server was ready, at most.
const LIFE_MS_MAX: u64 = 500;

/// The server as the clients find it.
#[derive(Clone)]
pub(crate) enum World {
    Down,
    Up(Arc<Up>),
    Over,
}

pub(crate) struct Up {
    pub(crate) ready: crate::harness::Ready,
    pub(crate) app: App,
}

/// How the clients behave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mood {
    Wild,
    /// Senders stop; every device acks everything and binds this user.
    Calm(String),
}

impl Mood {
    pub(crate) const fn is_calm(&self) -> bool {
        matches!(self, Self::Calm(_))
    }
}

fn number_from(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| text.parse().unwrap())
}

#[tokio::test]
async fn no_202_is_lost_over_kills_at_random_moments() {
    let crashes = number_from("CRASHES", 50);
    let seed = number_from("CRASH_SEED", crate::harness::now().as_millis());
    eprintln!("{crashes} crashes, CRASH_SEED={seed}");
    let mut random = Random::new(seed);
    // Unacked pushes come again soon, so that repeats are among what is proven.
    let mut server = Server::start_with(&[("CARILLON_LIMITS_ACK_TIMEOUT", "400ms")]).await;
    let (up, world) = watch::channel(World::Down);
    let (moods, mood) = watch::channel(Mood::Wild);
    let ledger = Arc::new(Ledger::default());
    let users: Arc<[String]> = (0..USERS).map(|number| format!("user-{number}")).collect();
    let mut clients = devices(&server, &world, &mood, &users, &ledger, &mut random).await;
    let mut senders = send(&world, &mood, &users, &ledger, &mut random);

    for _ in 0..crashes {
        show(&up, &server);
        // The moment of the kill is what is random.
        tokio::time::sleep(Duration::from_millis(random.below(LIFE_MS_MAX))).await;
        still_well(&mut clients);
        still_well(&mut senders);
        up.send_replace(World::Down);
        server.crash().await;
    }
    show(&up, &server);
    let last = users.last().cloned().unwrap();
    moods.send_replace(Mood::Calm(last));
    while let Some(ended) = senders.join_next().await {
        ended.unwrap();
    }
    settle(&server, &moods, &users, &ledger).await;
    eprintln!("{}", ledger.summary());
    proof::check(&server.app(), &ledger).await;
    still_well(&mut clients);
    up.send_replace(World::Over);
    clients.abort_all();
}

fn show(up: &watch::Sender<World>, server: &Server) {
    up.send_replace(World::Up(Arc::new(Up { ready: server.ready.clone(), app: server.app() })));
}

/// A client that panicked found something wrong; a client that merely ended did not.
fn still_well(clients: &mut JoinSet<()>) {
    while let Some(ended) = clients.try_join_next() {
        ended.unwrap();
    }
}

async fn devices(
    server: &Server,
    world: &watch::Receiver<World>,
    mood: &watch::Receiver<Mood>,
    users: &Arc<[String]>,
    ledger: &Arc<Ledger>,
    random: &mut Random,
) -> JoinSet<()> {
    let mut clients = JoinSet::new();
    for number in 0..DEVICES {
        let device = Device {
            registered: server.app().register(&device_name(number)).await,
            world: world.clone(),
            mood: mood.clone(),
            users: Arc::clone(users),
            ledger: Arc::clone(ledger),
            random: random.split(),
            bound: None,
            asked: Vec::new(),
            requests: 0,
            waiting: false,
            trail: Vec::new(),
            held: Vec::new(),
        };
        clients.spawn(device.live());
    }
    clients
}

fn send(
    world: &watch::Receiver<World>,
    mood: &watch::Receiver<Mood>,
    users: &Arc<[String]>,
    ledger: &Arc<Ledger>,
    random: &mut Random,
) -> JoinSet<()> {
    let devices: Arc<[String]> = (0..DEVICES).map(device_name).collect();
    let mut senders = JoinSet::new();
    for number in 0..SENDERS {
        let sender = Sender {
            number,
            world: world.clone(),
            mood: mood.clone(),
            devices: Arc::clone(&devices),
            users: Arc::clone(users),
            ledger: Arc::clone(ledger),
            random: random.split(),
        };
        senders.spawn(sender.send());
    }
    senders
}

/// Logs every user in on every device in turn, until each device has all that it was ever due.
async fn settle(server: &Server, moods: &watch::Sender<Mood>, users: &[String], ledger: &Ledger) {
    let app = server.app();
    for (number, user) in users.iter().enumerate() {
        moods.send_replace(Mood::Calm(user.clone()));
        for device in 0..DEVICES {
            let view = &device_name(device).parse().unwrap();
            eventually("every device to have the user", async || {
                let bound = app.api.device(view).await.unwrap().user_id;
                bound.filter(|bound| bound.as_str() == user)
            })
            .await;
        }
        let marker = title(MARKER, number as u64 + 1);
        app.push(crate::harness::to_user(user), &marker).await;
        for device in 0..DEVICES {
            eventually(&format!("{marker} to reach device {device}"), async || {
                ledger.has_acked(&device_name(device), &marker).then_some(())
            })
            .await;
        }
    }
}

fn device_name(number: usize) -> String {
    format!("device-{number}")
}

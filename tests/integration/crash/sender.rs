//! An app server that sends one push after another, and never two at once.

use std::sync::Arc;
use std::time::Duration;

use carillon_sdk::api::{Lane, PushAccepted, PushRequest, Target};
use carillon_sdk::client::server::Error;
use tokio::sync::watch;

use super::ledger::{Accepted, Ledger, To, title};
use super::random::Random;
use super::{Mood, World};
use crate::harness::App;

const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Sender {
    pub(crate) number: u64,
    pub(crate) world: watch::Receiver<World>,
    pub(crate) mood: watch::Receiver<Mood>,
    pub(crate) devices: Arc<[String]>,
    pub(crate) users: Arc<[String]>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) random: Random,
}

impl Sender {
    /// Sends until the mood is calm, and no push is left whose answer a retry could still get.
    pub(crate) async fn send(mut self) {
        for number in 1.. {
            if self.mood.borrow().is_calm() {
                return;
            }
            let title = title(self.number, number);
            let (push, to) = self.draft(&title);
            let keyed = push.ttl_s.is_some() || self.random.percent(50);
            let key = keyed.then(|| format!("key {title}"));
            self.until_answered(&title, &push, to, key.as_deref()).await;
        }
    }

    /// With a key it asks again until there is an answer; without one, no answer is one.
    async fn until_answered(&mut self, title: &str, push: &PushRequest, to: Vec<To>, key: Option<&str>) {
        loop {
            let Some(app) = self.app().await else { return };
            let answer = tokio::time::timeout(PATIENCE, app.api.push(push, key)).await;
            match answer {
                Ok(Ok(answer)) => return self.accept(title, push, &to, &answer),
                Ok(Err(Error::Problem(problem))) if matches!(problem.status, 409 | 503) => {
                    assert!(
                        ["busy", "unavailable", "outcome_unknown", "idempotency_in_flight"]
                            .contains(&problem.code.as_str()),
                        "{problem:?}"
                    );
                    if key.is_none() {
                        return self.ledger.unknown();
                    }
                    tokio::task::yield_now().await;
                }
                Ok(Err(Error::Problem(problem))) if problem.status == 429 => return self.ledger.refused(),
                Ok(Err(Error::Problem(problem))) => panic!("{push:?} was refused: {problem:?}"),
                // The server died under it, or is gone.
                Ok(Err(_)) | Err(_) if key.is_none() => return self.ledger.unknown(),
                Ok(Err(_)) | Err(_) => tokio::task::yield_now().await,
            }
        }
    }

    fn accept(&self, title: &str, push: &PushRequest, to: &[To], answer: &PushAccepted) {
        let accepted = to
            .iter()
            .enumerate()
            .filter(|(at, _)| answer.targets.get(*at).is_none_or(|target| target.accepted))
            .map(|(_, to)| to.clone())
            .collect();
        let accepted = Accepted { id: answer.message_id, to: accepted, may_expire: push.ttl_s.is_some() };
        self.ledger.accepted(title, accepted);
    }

    /// The app of the server that runs now; None at the end.
    async fn app(&mut self) -> Option<App> {
        match &*self.world.wait_for(|world| !matches!(world, World::Down)).await.ok()? {
            World::Up(up) => Some(up.app.clone()),
            World::Down | World::Over => None,
        }
    }

    fn draft(&mut self, title: &str) -> (PushRequest, Vec<To>) {
        let one = |random: &mut Random, of: &[String]| {
            of[usize::try_from(random.below(of.len() as u64)).unwrap()].clone()
        };
        let to = match self.random.below(100) {
            0..45 => vec![To::Device(one(&mut self.random, &self.devices))],
            45..60 => self.devices.iter().take(4).cloned().map(To::Device).collect(),
            60..92 => vec![To::User(one(&mut self.random, &self.users))],
            _ => vec![To::All],
        };
        let push = PushRequest {
            to: target(&to),
            title: Some(title.to_owned()),
            lane: if self.random.percent(30) { Lane::High } else { Lane::Normal },
            ttl_s: self.random.percent(10).then_some(1),
            ..PushRequest::default()
        };
        (push, to)
    }
}

fn target(to: &[To]) -> Target {
    let mut target = Target::default();
    for to in to {
        match to {
            To::Device(device) => target.devices.push(device.parse().unwrap()),
            To::User(user) => target.users.push(user.parse().unwrap()),
            To::All => target.all = true,
        }
    }
    target
}

//! A device with whims: it acks most of the time, binds users, reconnects at random.

use std::sync::Arc;
use std::time::Duration;

use carillon_sdk::client::{Address, Connection, Trust};
use carillon_sdk::wire::{self, Ack, Bind, Frame, Hello, Push, Welcome};
use tokio::sync::watch;

use super::ledger::Ledger;
use super::random::Random;
use super::{Mood, World};
use crate::harness::{Registered, now};

/// A server that does not answer within this is being killed, or is broken: come again.
const PATIENCE: Duration = Duration::from_secs(10);
/// A frame may have been on its way for this long when its message expired.
const ON_ITS_WAY_MS: u64 = 5_000;

pub(crate) struct Device {
    pub(crate) registered: Registered,
    pub(crate) world: watch::Receiver<World>,
    pub(crate) mood: watch::Receiver<Mood>,
    pub(crate) users: Arc<[String]>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) random: Random,
    /// The user the server last confirmed, which a crash must not undo.
    pub(crate) bound: Option<String>,
    /// Users asked for and not confirmed: each may have been done, or may still be, by a server that
    /// is slow to take what an ended session left behind.
    pub(crate) asked: Vec<Asked>,
    pub(crate) requests: u32,
    /// Whether this session owes an answer.
    pub(crate) waiting: bool,
    /// What it said and heard of bindings, for whoever must find out why a promise was broken.
    pub(crate) trail: Vec<String>,
    /// Acked lately, and perhaps in vain: told again in a Hello.
    pub(crate) held: Vec<u64>,
}

/// A user asked for, and of which server process.
#[derive(Debug)]
pub(crate) struct Asked {
    request: u32,
    of: u32,
    user: String,
}

impl Device {
    pub(crate) async fn live(mut self) {
        loop {
            let world = match self.world.wait_for(|world| !matches!(world, World::Down)).await {
                Ok(world) => world.clone(),
                Err(_) => return,
            };
            let World::Up(server) = world else { return };
            let address = Address::Tcp(server.ready.devices_tcp.clone());
            let opened = tokio::time::timeout(PATIENCE, Connection::open(&address, &Trust::Web)).await;
            if let Ok(Ok(connection)) = opened {
                // Errors are what a killed server looks like; what counts is in the ledger.
                let _ = self.session(connection, &server).await;
            } else {
                // A killed server refuses until the next one is there.
                tokio::task::yield_now().await;
            }
        }
    }

    async fn session(&mut self, mut connection: Connection, server: &super::Up) -> Option<()> {
        let holding = if self.random.percent(50) { std::mem::take(&mut self.held) } else { Vec::new() };
        let hello = Hello {
            version: wire::VERSION,
            credential: self.registered.credential.clone(),
            holding,
            ..Hello::default()
        };
        connection.send(&Frame::Hello(hello)).await.ok()?;
        self.waiting = false;
        let mut whims = tokio::time::interval(Duration::from_millis(15 + self.random.below(60)));
        whims.tick().await;
        self.obey_mood(&mut connection, server).await?;
        loop {
            tokio::select! {
                frame = connection.next() => self.frame(&mut connection, server, frame.ok()??).await?,
                changed = self.mood.changed() => {
                    changed.ok()?;
                    self.obey_mood(&mut connection, server).await?;
                }
                _ = whims.tick(), if !self.mood.borrow().is_calm() => {
                    if self.random.percent(15) {
                        return None;
                    }
                    if self.random.percent(30) {
                        let user = self.users[usize::try_from(self.random.below(self.users.len() as u64)).unwrap()].clone();
                        self.ask_for(&mut connection, server, user).await?;
                    }
                }
            }
        }
    }

    async fn obey_mood(&mut self, connection: &mut Connection, server: &super::Up) -> Option<()> {
        let Mood::Calm(user) = self.mood.borrow_and_update().clone() else { return Some(()) };
        self.ask_for(connection, server, user).await
    }

    async fn ask_for(&mut self, connection: &mut Connection, server: &super::Up, user: String) -> Option<()> {
        if self.waiting && !self.mood.borrow().is_calm() {
            return Some(());
        }
        let token = server.app.bind_token(&self.registered.device_id, &user, 60_000);
        self.requests += 1;
        self.waiting = true;
        self.trail.push(format!("{} asked as {} for {user}", now().as_millis(), self.requests));
        self.asked.push(Asked { request: self.requests, of: server.ready.pid, user });
        connection.send(&Frame::Bind(Bind { request: self.requests, token })).await.ok()
    }

    async fn frame(&mut self, connection: &mut Connection, server: &super::Up, frame: Frame) -> Option<()> {
        match frame {
            Frame::Welcome(welcome) => self.welcomed(&welcome, server.ready.pid),
            Frame::Push(push) => self.pushed(connection, &push).await?,
            Frame::Ping => connection.send(&Frame::Pong).await.ok()?,
            // The other way: crash tests bind by token alone.
            Frame::Answer(answer) if answer.request == 0 => {}
            Frame::Answer(answer) => match answer.error {
                None => {
                    self.bound = answer.user_id.map(|user| user.to_string());
                    self.trail.push(format!(
                        "{} told of {}: {:?}",
                        now().as_millis(),
                        answer.request,
                        self.bound
                    ));
                    self.asked.retain(|asked| asked.request > answer.request);
                    self.waiting = false;
                }
                Some(code) => panic!("{} could not bind: {code:?}", self.name()),
            },
            Frame::Goodbye(_) => return None,
            Frame::Error(error) => panic!("{} was told {error:?}", self.name()),
            other => panic!("{} got {other:?}", self.name()),
        }
        Some(())
    }

    /// A binding that was confirmed holds; one that was asked for may have been done.
    fn welcomed(&mut self, welcome: &Welcome, server: u32) {
        let user = welcome.user_id.as_ref().map(ToString::to_string);
        self.trail.push(format!("{} welcomed by {server} as {user:?}", now().as_millis()));
        assert!(
            self.may_be(user.as_ref()),
            "{} is {user:?}, not {:?} nor {:?}: {:#?}",
            self.name(),
            self.bound,
            self.asked,
            self.trail.iter().rev().take(12).collect::<Vec<_>>()
        );
        // A server says what it has in hand, which may not be on disk yet. One that was asked for
        // nothing says what is; what a dead one had not done by then will not be done.
        if self.asked.iter().all(|asked| asked.of != server) {
            self.bound = user;
            self.asked.clear();
        }
    }

    /// Whether this user may be the one logged in here.
    fn may_be(&self, user: Option<&String>) -> bool {
        user == self.bound.as_ref() || self.asked.iter().any(|asked| Some(&asked.user) == user)
    }

    async fn pushed(&mut self, connection: &mut Connection, push: &Push) -> Option<()> {
        if let Some(user) = push.user_id.as_ref().map(ToString::to_string) {
            assert!(self.may_be(Some(&user)), "{} of {:?} got {push:?}", self.name(), self.bound);
        }
        let late_ms = now().since(push.expires_at).as_millis();
        assert!(late_ms < ON_ITS_WAY_MS, "{} got {push:?} {late_ms} ms after it expired", self.name());
        self.ledger.saw(self.name(), push);
        if self.mood.borrow().is_calm() || self.random.percent(85) {
            // In the books before it is on the wire: the server may act upon it and die.
            self.ledger.acks(self.name(), push);
            self.held.push(push.seq);
            if self.held.len() > 64 {
                self.held.remove(0);
            }
            connection.send(&Frame::Ack(Ack { seqs: vec![push.seq] })).await.ok()?;
        }
        Some(())
    }

    fn name(&self) -> &str {
        self.registered.device_id.as_str()
    }
}

//! From an accepted socket to a verified device, or to a coded close.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use carillon_actors::engine::{Engine, Readiness};
use carillon_actors::link::{Arrival, Framing, Protocol};
use carillon_sdk::Ttl;
use carillon_sdk::wire::{ErrorCode, ErrorFrame, Frame, Goodbye, GoodbyeReason, Hello};
use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::counts::{self, Why, refused};
use super::guest::Guest;
use super::hello::{Greeting, Reader, last_words};
use super::tcp::PlainTcp;
use super::tls::Tls;

/// A server that is full or stopping sends a device away for so long, and up to twice as long:
/// jitter, so that those sent away together do not come back together.
const FULL_RETRY: Ttl = Ttl::from_secs(30);
const DRAINING_RETRY: Ttl = Ttl::from_secs(2);

/// One arbiter's porch.
pub(super) struct Porch {
    engine: Engine,
    tls: Option<Arc<ServerConfig>>,
    /// Guests of all arbiters together.
    places: Arc<Semaphore>,
    /// One TLS handshake step at a time on this arbiter.
    turns: Semaphore,
    hello_timeout: Duration,
}

/// Held by a guest while it is on the porch.
pub(super) type Place = Option<OwnedSemaphorePermit>;

/// Why a guest was not let in: the label of the metric, and what it is told.
enum Refusal {
    /// Nothing to say, or nobody to say it to.
    Silent(Why),
    /// The answer to a request that is no upgrade, or to a Close.
    Last(Bytes),
    /// It broke the protocol.
    Protocol {
        why: Why,
        code: ErrorCode,
        detail: String,
    },
    Credential,
    Away {
        why: Why,
        reason: GoodbyeReason,
        retry_after: Ttl,
    },
}

impl Porch {
    pub(super) fn new(engine: Engine, tls: Option<Arc<ServerConfig>>, places: Arc<Semaphore>) -> Self {
        let hello_timeout = Duration::from_millis(engine.limits().hello_timeout.as_millis());
        Self { engine, tls, places, turns: Semaphore::new(1), hello_timeout }
    }

    /// Waits for a free place. None only if the semaphore were closed, which nobody does.
    pub(super) fn place(&self) -> impl Future<Output = Place> + use<> {
        let places = Arc::clone(&self.places);
        async move { places.acquire_owned().await.ok() }
    }

    /// Everything between accept and the engine. The place is given back when the guest is inside
    /// or about to be dismissed.
    pub(super) async fn receive(self: Rc<Self>, socket: TcpStream, protocol: Protocol, place: Place) {
        let began = self.engine.clock().elapsed();
        let deadline = Instant::now() + self.hello_timeout;
        let Ok(Ok(mut guest)) = timeout_at(deadline, self.secure(socket, protocol)).await else {
            refused(Why::Tls);
            return;
        };
        let mut reader = Reader::new(protocol);
        let greeted = timeout_at(deadline, greet(&mut guest, &mut reader)).await.unwrap_or_else(|_| {
            let detail = format!("no Hello within {} s", self.hello_timeout.as_secs());
            Err(Refusal::Protocol { why: Why::Timeout, code: ErrorCode::HelloExpected, detail })
        });
        let outcome = match greeted {
            Ok(greeted) => self.let_in(guest, greeted, protocol),
            Err(refusal) => Err((Some(guest), refusal)),
        };
        drop(place);
        match outcome {
            Ok(()) => {
                let took = self.engine.clock().elapsed().saturating_sub(began);
                counts::let_in(protocol, took);
            }
            Err((guest, refusal)) => dismiss(guest, reader.framing(), refusal).await,
        }
    }

    async fn secure(&self, socket: TcpStream, protocol: Protocol) -> io::Result<Guest> {
        match (protocol, &self.tls) {
            (Protocol::Tls | Protocol::Wss, Some(config)) => {
                let tls = Tls::accept(socket, Arc::clone(config), &self.turns).await?;
                Ok(Guest::Tls(Box::new(tls)))
            }
            _ => Ok(Guest::Plain(PlainTcp::new(socket))),
        }
    }

    /// The credential comes before the rate: a stranger's Hellos use up nobody's admission.
    fn let_in(
        &self,
        guest: Guest,
        greeted: Greeted,
        protocol: Protocol,
    ) -> Result<(), (Option<Guest>, Refusal)> {
        let Greeted { hello, rest, framing } = greeted;
        let limits = self.engine.limits();
        let away = |why, reason, retry_after| Refusal::Away { why, reason, retry_after };
        if self.engine.readiness() == Readiness::Draining {
            return Err((
                Some(guest),
                away(Why::Draining, GoodbyeReason::Draining, jittered(DRAINING_RETRY)),
            ));
        }
        if self.engine.connections() >= limits.connections_max {
            return Err((Some(guest), away(Why::Full, GoodbyeReason::Busy, jittered(FULL_RETRY))));
        }
        let Some(device) = self.engine.store().verify_credential(&hello.credential) else {
            return Err((Some(guest), Refusal::Credential));
        };
        if self.engine.store().is_disabled(device.app) {
            return Err((Some(guest), away(Why::Disabled, GoodbyeReason::Busy, self.engine.away_for())));
        }
        if let Err(retry_after) = self.engine.admit_hello() {
            return Err((Some(guest), away(Why::Rate, GoodbyeReason::Busy, retry_after)));
        }
        let attach = match guest.into_attach() {
            Ok(attach) => attach,
            Err(error) => {
                tracing::debug!(%error, "a socket could not be moved");
                return Err((None, Refusal::Silent(Why::Ended)));
            }
        };
        // Its shard takes no more: the socket goes with the arrival, and its device comes back.
        let arrival = Arrival { device, hello, framing, protocol, rest, attach };
        self.engine.arrive(arrival).map_err(|back| {
            let guest = (back.attach)().ok().map(Guest::Returned);
            (guest, away(Why::ShardFull, GoodbyeReason::Busy, jittered(FULL_RETRY)))
        })
    }
}

struct Greeted {
    hello: Hello,
    rest: Bytes,
    framing: Framing,
}

/// Reads until the Hello, answering an upgrade request on the way.
async fn greet(guest: &mut Guest, reader: &mut Reader) -> Result<Greeted, Refusal> {
    loop {
        match reader.next() {
            Greeting::More => {
                let more = guest.read(|bytes| reader.take(bytes)).await;
                if !more.unwrap_or(false) {
                    return Err(Refusal::Silent(Why::Ended));
                }
            }
            Greeting::Write(bytes) => {
                guest.write_all(&bytes).await.map_err(|_| Refusal::Silent(Why::Ended))?;
            }
            Greeting::Hello { hello, rest, framing } => return Ok(Greeted { hello: *hello, rest, framing }),
            Greeting::Last(answer) => return Err(Refusal::Last(answer)),
            Greeting::Broken { code, detail } => {
                return Err(Refusal::Protocol { why: Why::Protocol, code, detail });
            }
        }
    }
}

/// `framing` is None before a WebSocket is one: then there is nothing to say in.
async fn dismiss(guest: Option<Guest>, framing: Option<Framing>, refusal: Refusal) {
    let goodbye = |reason, retry_after: Ttl| {
        Frame::Goodbye(Goodbye { reason, retry_after_ms: retry_after.as_millis() })
    };
    let error = |code, detail| Frame::Error(ErrorFrame { code, detail });
    let (why, frames) = match refusal {
        Refusal::Silent(why) => return refused(why),
        Refusal::Last(answer) => {
            refused(Why::NoHello);
            if let Some(guest) = guest {
                guest.dismiss(&answer).await;
            }
            return;
        }
        Refusal::Protocol { why, code, detail } => {
            (why, vec![error(code, detail), goodbye(GoodbyeReason::Protocol, Ttl::ZERO)])
        }
        Refusal::Credential => {
            let detail = "register the device again".to_owned();
            let frames = vec![
                error(ErrorCode::CredentialInvalid, detail),
                goodbye(GoodbyeReason::Credential, Ttl::ZERO),
            ];
            (Why::Credential, frames)
        }
        Refusal::Away { why, reason, retry_after } => (why, vec![goodbye(reason, retry_after)]),
    };
    refused(why);
    if let (Some(guest), Some(framing)) = (guest, framing) {
        guest.dismiss(&last_words(&frames, framing)).await;
    }
}

/// Between one and two times `base`.
fn jittered(base: Ttl) -> Ttl {
    let base = base.as_millis();
    // Without entropy there is no jitter, and a device still comes back in time.
    let random = getrandom::u64().unwrap_or(0);
    Ttl::from_millis(base + random % base.max(1))
}

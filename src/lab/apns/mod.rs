//! APNs: one token a request, over HTTP/2 alone.
//!
//! Tokens are hex, or scripted: those of `lab::fate_of`, and four of its own:
//! `dead-ago3600-…` was unregistered so many seconds ago; `say-<Reason>-…` is answered with that reason
//! each time; `goaway-…` gets `Shutdown` and GOAWAY the first time; a scripted name is a Live Activity's as well
//! as a device's.

mod auth;
mod reasons;
mod rules;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use carillon_sdk::Vendor;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use serde_json::{Value, json};

use self::auth::{Keys, Provider};
use self::reasons::Reason;
use self::rules::Push;
use super::{Asked, Condition, Fate, Reply, Simulator, Taken, World};

const VENDOR: Vendor = Vendor::Apns;
const BUNDLE_ID: &str = "com.example.app";

pub struct Apns {
    keys: Keys,
    is_sandbox: bool,
    providers: Mutex<Provider>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// What was taken, by token and `apns-id`: a repeat is answered and not shown again.
    taken: HashSet<(String, String)>,
    /// The newest `timestamp` of a Live Activity, by token.
    activities: HashMap<String, u64>,
    gone_away: HashSet<String>,
}

impl Apns {
    /// The production environment.
    #[must_use]
    pub fn new() -> Self {
        Self {
            keys: Keys::generate(),
            is_sandbox: false,
            providers: Mutex::default(),
            kept: Mutex::default(),
        }
    }

    /// The sandbox, which names each notification in `apns-unique-id`.
    #[must_use]
    pub fn sandbox() -> Self {
        Self { is_sandbox: true, ..Self::new() }
    }

    /// As [`Simulator::setup`], with another key of the same team: not good on the same connection.
    #[must_use]
    pub fn setup_with_other_key(&self) -> (Value, Value) {
        (self.keys.credential(1), self.settings())
    }

    /// As [`Simulator::setup`], with a certificate of one topic in place of a key.
    #[must_use]
    pub fn setup_with_certificate(&self) -> (Value, Value) {
        (json!({"certificate_pem": self.keys.certificate_pem}), self.settings())
    }

    fn settings(&self) -> Value {
        json!({
            "bundle_id": BUNDLE_ID,
            "environment": if self.is_sandbox { "sandbox" } else { "production" },
        })
    }

    async fn respond(&self, world: &World, asked: &Asked) -> Reply {
        let id = asked.header("apns-id").map_or_else(|| uuid::Uuid::new_v4().to_string(), str::to_owned);
        match world.condition(VENDOR) {
            Condition::Down => return Reason::of("ServiceUnavailable").reply(&id),
            Condition::Silent => return Reply::Silence,
            Condition::Unreachable => return Reply::Cut,
            Condition::Up | Condition::TokensRevoked | Condition::CredentialRefused => {}
        }
        if !asked.is_http2 {
            // Its listener speaks nothing else.
            return Reply::Cut;
        }
        let judged = Push::target(asked).and_then(|token| {
            let topic = self.providers.lock().admit(&self.keys, world, asked)?;
            Push::read(asked, token, topic, world.is_lenient)
        });
        match judged {
            Ok(push) => self.deliver(world, &push, &id).await,
            Err(reason) => reason.reply(&id),
        }
    }

    async fn deliver(&self, world: &World, push: &Push, id: &str) -> Reply {
        if !world.within_rate(VENDOR, 1) || !world.within_day(VENDOR, 1) {
            return Reason::of("TooManyRequests").reply(id);
        }
        if let Some(reply) = self.scripted(&push.token, id) {
            return reply;
        }
        match world.fate(VENDOR, &push.token) {
            Fate::Accepted => self.take(world, push, id),
            Fate::Slow(span) => {
                // The fate says how late.
                tokio::time::sleep(span).await;
                self.take(world, push, id)
            }
            Fate::Dead => {
                let ago_s = push.token.split('-').nth(1).and_then(|part| part.strip_prefix("ago"));
                let ago_s: u64 = ago_s.and_then(|text| text.parse().ok()).unwrap_or(0);
                let since = world.now(VENDOR).as_millis().saturating_sub(ago_s.saturating_mul(1_000));
                Reason::of("Unregistered").since(since).reply(id)
            }
            Fate::Flaky(_) => Reason::of("InternalServerError").reply(id),
            Fate::Down(_) => Reason::of("ServiceUnavailable").reply(id),
            Fate::Throttled(_) | Fate::Quota => Reason::of("TooManyRequests").reply(id),
            Fate::Bad => Reason::of("PayloadEmpty").reply(id),
            Fate::Config => Reason::of("TopicDisallowed").reply(id),
            Fate::Html(_) => Reply::html(502),
            Fate::Garbage(_) => {
                // Who answers 200 has it, whatever else he says.
                let _ = self.take(world, push, id);
                Reply::html(200)
            }
            Fate::Silent(_) => {
                let _ = self.take(world, push, id);
                Reply::Silence
            }
            Fate::Cut(_) => {
                let _ = self.take(world, push, id);
                Reply::Cut
            }
        }
    }

    fn scripted(&self, token: &str, id: &str) -> Option<Reply> {
        let mut parts = token.split('-');
        match parts.next()? {
            "say" => Some(Reason::known(parts.next()?)?.reply(id)),
            "goaway" if self.kept.lock().gone_away.insert(token.to_owned()) => {
                let Reply::Answer { status, headers, body } = Reason::of("Shutdown").reply(id) else {
                    return None;
                };
                Some(Reply::Goaway { status, headers, body })
            }
            _ => None,
        }
    }

    fn take(&self, world: &World, push: &Push, id: &str) -> Reply {
        let mut kept = self.kept.lock();
        let mut reply = Reply::Answer { status: 200, headers: Vec::new(), body: bytes::Bytes::new() };
        reply = reply.with("apns-id", id);
        if self.is_sandbox {
            reply = reply.with("apns-unique-id", uuid::Uuid::new_v4().to_string());
        }
        if !kept.taken.insert((push.token.clone(), id.to_owned())) {
            return reply;
        }
        let mut content = push.content();
        if let Some(timestamp) = push.activity_timestamp() {
            let latest = kept.activities.entry(push.token.clone()).or_default();
            if timestamp < *latest {
                content["dropped"] = "older than what is shown".into();
            }
            *latest = timestamp.max(*latest);
        }
        world.capture.take(Taken {
            vendor: VENDOR,
            at: world.now(VENDOR),
            token: push.token.clone(),
            key: Some(id.to_owned()),
            vendor_id: id.to_owned(),
            content,
        });
        reply
    }
}

impl Default for Apns {
    fn default() -> Self {
        Self::new()
    }
}

impl Simulator for Apns {
    fn vendor(&self) -> Vendor {
        VENDOR
    }

    fn answer<'a>(&'a self, world: &'a World, asked: Asked) -> BoxFuture<'a, Reply> {
        Box::pin(async move {
            let reply = self.respond(world, &asked).await;
            world.capture.heard(VENDOR, world.now(VENDOR), &asked, &reply);
            reply
        })
    }

    fn setup(&self) -> (Value, Value) {
        (self.keys.credential(0), self.settings())
    }
}

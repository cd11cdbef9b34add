//! A push service for browsers (RFC 8030, 8291, 8292), and the browsers behind it, which read what
//! they are sent: the capture shows it in clear.
//!
//! A subscription is made by [`WebPush::subscription`]; its endpoint's last segment is a token as
//! `lab::fate_of` reads it, or `say-<status>-…`, which is answered with that status each time.

mod browser;
mod rules;
#[cfg(test)]
mod tests;
mod vapid;

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use carillon_sdk::Vendor;
use futures_util::future::BoxFuture;
use p256::SecretKey;
use parking_lot::Mutex;
use serde_json::{Value, json};

use self::browser::{Browser, key, public};
use self::rules::{No, Push};
use self::vapid::Vapid;
use super::{Asked, Condition, Fate, Reply, Simulator, Taken, World};

const VENDOR: Vendor = Vendor::WebPush;
const PATH: &str = "/wpush/v2/";
/// Browsers remembered; what is forgotten is made again.
const BROWSERS_MAX: usize = 100_000;

pub struct WebPush {
    secret: SecretKey,
    vapid: Vapid,
    browsers: Mutex<HashMap<String, Arc<Browser>>>,
}

impl WebPush {
    #[must_use]
    pub fn new() -> Self {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).expect("the system gives random bytes, or nothing here could start");
        let secret = key(bytes);
        let vapid = Vapid::new(public(&secret));
        Self { secret, vapid, browsers: Mutex::default() }
    }

    /// What a browser would give the app for a push service at `origin` (`https://host:port`): JSON as
    /// `PushSubscription` has it, which is the device's token.
    #[must_use]
    pub fn subscription(&self, origin: &str, token: &str) -> Value {
        let origin = origin.trim_end_matches('/');
        json!({"endpoint": format!("{origin}{PATH}{token}"), "keys": self.browser(token).keys()})
    }

    fn browser(&self, token: &str) -> Arc<Browser> {
        if let Some(known) = self.browsers.lock().get(token) {
            return Arc::clone(known);
        }
        let made = Arc::new(Browser::of(token));
        let mut browsers = self.browsers.lock();
        if browsers.len() >= BROWSERS_MAX {
            browsers.clear();
        }
        browsers.insert(token.to_owned(), Arc::clone(&made));
        made
    }

    async fn respond(&self, world: &World, asked: &Asked) -> Reply {
        match world.condition(VENDOR) {
            Condition::Down => return No::new(503, 201, "back off").reply(),
            Condition::Silent => return Reply::Silence,
            Condition::Unreachable => return Reply::Cut,
            Condition::Up | Condition::TokensRevoked | Condition::CredentialRefused => {}
        }
        let Some(token) = asked.path.strip_prefix(PATH).filter(|token| !token.is_empty()) else {
            return No::new(404, 102, "no such endpoint").reply();
        };
        let judged = self.vapid.admit(world, asked).and_then(|()| Push::read(asked));
        match judged.and_then(|push| self.open(token, asked, push)) {
            Ok(push) => self.deliver(world, asked, token, &push).await,
            Err(no) => no.reply(),
        }
    }

    /// A service knows no plaintext; the laboratory's stands in for the browser, which would drop in
    /// silence what it cannot read.
    fn open(&self, token: &str, asked: &Asked, mut push: Push) -> Result<Push, No> {
        if asked.body.is_empty() {
            return Ok(push);
        }
        let plain = self.browser(token).read(&asked.body);
        push.plain = Some(plain.map_err(|why| No::new(400, 110, why))?);
        Ok(push)
    }

    async fn deliver(&self, world: &World, asked: &Asked, token: &str, push: &Push) -> Reply {
        if !world.within_rate(VENDOR, 1) {
            return No::new(429, 201, "too many requests").reply().with("retry-after", "1");
        }
        if !world.within_day(VENDOR, 1) {
            return No::new(429, 201, "too many requests").reply().with("retry-after", "3600");
        }
        if let Some(status) = scripted(token) {
            return No::new(status, 999, "as scripted").reply();
        }
        let take = || take(world, asked, token, push);
        match world.fate(VENDOR, token) {
            Fate::Accepted => take(),
            Fate::Slow(span) => {
                // The fate says how late.
                tokio::time::sleep(span).await;
                take()
            }
            Fate::Dead => No::new(410, 106, "no longer subscribed").reply(),
            Fate::Flaky(_) => No::new(503, 202, "try again").reply(),
            Fate::Down(_) => No::new(500, 999, "internal").reply(),
            Fate::Throttled(_) => No::new(429, 201, "too many requests").reply().with("retry-after", "1"),
            Fate::Quota => No::new(429, 201, "too many requests").reply().with("retry-after", "3600"),
            Fate::Bad => No::new(400, 110, "bad headers").reply(),
            Fate::Config => No::new(403, 109, "another key than the subscription's").reply(),
            Fate::Html(_) => Reply::html(502),
            Fate::Garbage(_) => {
                // Any 2xx means that it was taken.
                let _ = take();
                Reply::html(200)
            }
            Fate::Silent(_) => {
                let _ = take();
                Reply::Silence
            }
            Fate::Cut(_) => {
                let _ = take();
                Reply::Cut
            }
        }
    }
}

fn scripted(token: &str) -> Option<u16> {
    token.strip_prefix("say-")?.split('-').next()?.parse().ok().filter(|status| (300..600).contains(status))
}

fn take(world: &World, asked: &Asked, token: &str, push: &Push) -> Reply {
    let id = uuid::Uuid::new_v4().to_string();
    world.capture.take(Taken {
        vendor: VENDOR,
        at: world.now(VENDOR),
        token: token.to_owned(),
        key: None,
        vendor_id: id.clone(),
        content: push.content(),
    });
    let place = match rules::host(asked) {
        Some(host) => format!("https://{host}/m/{id}"),
        None => format!("/m/{id}"),
    };
    let reply = Reply::Answer { status: 201, headers: Vec::new(), body: bytes::Bytes::new() };
    reply.with("location", place).with("ttl", push.ttl_s.to_string())
}

impl Default for WebPush {
    fn default() -> Self {
        Self::new()
    }
}

impl Simulator for WebPush {
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

    /// `public_key` is what the web page subscribes with.
    fn setup(&self) -> (Value, Value) {
        let credential = json!({
            "private_key": URL_SAFE_NO_PAD.encode(self.secret.to_bytes()),
            "public_key": URL_SAFE_NO_PAD.encode(self.vapid.public()),
        });
        (credential, json!({"subject": "mailto:push@example.com"}))
    }
}

//! FCM's HTTP v1: an access token for a signed assertion, and one message a request.
//!
//! Tokens are those of `lab::fate_of`, `say-<ERROR_CODE>-…`, which is answered with that code each
//! time, and `malformed-…`, which is no registration token at all.

mod answers;
mod oauth;
mod rules;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use carillon_sdk::Vendor;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use self::answers::{No, code};
use self::oauth::OAuth;
use self::rules::Message;
use super::keys::RsaKey;
use super::{Asked, Condition, Fate, Reply, Simulator, Taken, World};

const VENDOR: Vendor = Vendor::Fcm;
const PROJECT_ID: &str = "example-project";

pub struct Fcm {
    oauth: OAuth,
}

impl Fcm {
    /// Makes an RSA key: a second or so of a processor.
    #[must_use]
    pub fn new() -> Self {
        Self { oauth: OAuth::new(Arc::new(RsaKey::generate())) }
    }

    async fn respond(&self, world: &World, asked: &Asked) -> Reply {
        match world.condition(VENDOR) {
            Condition::Down => return No::unavailable().reply(),
            Condition::Silent => return Reply::Silence,
            Condition::Unreachable => return Reply::Cut,
            Condition::Up | Condition::TokensRevoked | Condition::CredentialRefused => {}
        }
        if asked.path == oauth::PATH {
            return self.oauth.give(world, asked);
        }
        let judged = self.judge(world, asked);
        match judged {
            Ok(message) => deliver(world, &message).await,
            Err(no) => no.reply(),
        }
    }

    fn judge(&self, world: &World, asked: &Asked) -> Result<Message, No> {
        let project =
            asked.path.strip_prefix("/v1/projects/").and_then(|rest| rest.strip_suffix("/messages:send"));
        let project = project.ok_or_else(|| No::plain(404, "NOT_FOUND", "no such method"))?;
        if asked.method != "POST" {
            return Err(No::plain(404, "NOT_FOUND", "no such method"));
        }
        self.oauth.admit(world, asked)?;
        if project != PROJECT_ID {
            return Err(No::plain(404, "NOT_FOUND", "no such project"));
        }
        Message::read(asked, world.is_lenient)
    }
}

async fn deliver(world: &World, message: &Message) -> Reply {
    if message.is_dry {
        return accepted("fake_message_id");
    }
    if !world.within_rate(VENDOR, 1) {
        return code("QUOTA_EXCEEDED", "too fast").reply().with("retry-after", "1");
    }
    if !world.within_day(VENDOR, 1) {
        return code("QUOTA_EXCEEDED", "too many").reply();
    }
    let token = message.target.as_str();
    if let Some(word) = token.strip_prefix("say-").and_then(|rest| rest.split('-').next()) {
        return code(word, "as scripted").reply();
    }
    match world.fate(VENDOR, token) {
        Fate::Accepted => take(world, message),
        Fate::Slow(span) => {
            // The fate says how late.
            tokio::time::sleep(span).await;
            take(world, message)
        }
        Fate::Dead => code("UNREGISTERED", "the token is no longer registered").reply(),
        Fate::Flaky(_) => code("INTERNAL", "internal").reply(),
        Fate::Down(_) => No::unavailable().reply(),
        Fate::Throttled(_) => code("QUOTA_EXCEEDED", "too fast").reply().with("retry-after", "1"),
        Fate::Quota => code("QUOTA_EXCEEDED", "too many").reply(),
        Fate::Bad => No::field("message.data", "as scripted").reply(),
        Fate::Config => No::plain(403, "PERMISSION_DENIED", "no permission in this project").reply(),
        Fate::Html(_) => Reply::html(502),
        Fate::Garbage(_) => half(),
        Fate::Silent(_) => {
            let _ = take(world, message);
            Reply::Silence
        }
        Fate::Cut(_) => {
            let _ = take(world, message);
            Reply::Cut
        }
    }
}

fn take(world: &World, message: &Message) -> Reply {
    let id = uuid::Uuid::new_v4().simple().to_string();
    let name = format!("projects/{PROJECT_ID}/messages/0:{id}");
    world.capture.take(Taken {
        vendor: VENDOR,
        at: world.now(VENDOR),
        token: message.target.clone(),
        key: None,
        vendor_id: name,
        content: message.content(),
    });
    accepted(&format!("0:{id}"))
}

fn accepted(id: &str) -> Reply {
    Reply::json(200, &json!({"name": format!("projects/{PROJECT_ID}/messages/{id}")}))
}

fn half() -> Reply {
    let headers = vec![("content-type".to_owned(), "application/json; charset=UTF-8".to_owned())];
    Reply::Answer { status: 200, headers, body: bytes::Bytes::from_static(b"{\"name\": \"projects/ex") }
}

impl Default for Fcm {
    fn default() -> Self {
        Self::new()
    }
}

impl Simulator for Fcm {
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
        (self.oauth.credential(), json!({"package": "com.example.app"}))
    }
}

//! Honor Push: as Huawei once was, but in camelCase, with a `timestamp` in every call, a success that
//! is the number 200, and dead tokens in two lists of the answer.
//!
//! A token that begins `dead-fail-` stands in `failTokens`, any other dead one in `expireTokens`.

mod message;
#[cfg(test)]
mod tests;

use carillon_sdk::{Ttl, Vendor};
use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use self::message::{Content, Wrong};
use super::course;
use super::issued::{Issued, Standing};
use super::ruling::{Ruling, Shelf};
use super::statuses;
use super::{Asked, Condition, Fate, Reply, Simulator, World};

const VENDOR: Vendor = Vendor::Honor;
const APP_ID: &str = "104401411";
const CLIENT_ID: &str = "220900001";
const CLIENT_SECRET: &str = "lab-honor-secret/+=";
const LIFE: Ttl = Ttl::from_secs(3_600);
/// How far a call's `timestamp` may be from the vendor's clock. Published nowhere: a guess.
const CLOCK_MS_MAX: u64 = 600_000;

#[derive(Default)]
pub struct Honor {
    issued: Issued,
    shelf: Shelf,
}

impl Simulator for Honor {
    fn vendor(&self) -> Vendor {
        VENDOR
    }

    fn answer<'a>(&'a self, world: &'a World, asked: Asked) -> BoxFuture<'a, Reply> {
        Box::pin(async move {
            let reply = match course::condition(world, VENDOR) {
                Some(reply) => reply,
                None => self.route(world, &asked).await,
            };
            world.capture.heard(VENDOR, world.now(VENDOR), &asked, &reply);
            reply
        })
    }

    fn setup(&self) -> (Value, Value) {
        let credential = json!({"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET});
        (credential, json!({"app_id": APP_ID, "badge_class": "com.example.demo.MainActivity"}))
    }
}

impl Honor {
    async fn route(&self, world: &World, asked: &Asked) -> Reply {
        let parts: Vec<&str> = asked.path.trim_start_matches('/').split('/').collect();
        match (asked.method.as_str(), parts.as_slice()) {
            ("POST", ["auth", "token"])
            | ("POST", ["auth", "realms", "developer", "protocol", "openid-connect", "token"]) => {
                self.token(world, asked)
            }
            ("POST", ["api", "v1", id, "sendMessage"]) => self.send(world, asked, id).await,
            _ => said(404, 404, "no such resource"),
        }
    }

    fn token(&self, world: &World, asked: &Asked) -> Reply {
        let form = asked.form();
        let field = |name| form.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let is_known = field("client_id") == Some(CLIENT_ID) && field("client_secret") == Some(CLIENT_SECRET);
        let is_granted = field("grant_type") == Some("client_credentials");
        if !is_granted || !is_known || world.condition(VENDOR) == Condition::CredentialRefused {
            let error = if is_granted { "invalid_client" } else { "unsupported_grant_type" };
            let why = "Invalid client or Invalid client credentials";
            return Reply::json(401, &json!({"error": error, "error_description": why}));
        }
        let token = self.issued.give(world, VENDOR, LIFE);
        let expires_in = LIFE.as_millis() / 1000;
        Reply::json(200, &json!({"access_token": token, "expires_in": expires_in, "token_type": "Bearer"}))
    }

    async fn send(&self, world: &World, asked: &Asked, app_id: &str) -> Reply {
        let bearer = asked.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        match self.issued.standing(world, VENDOR, bearer.unwrap_or_default()) {
            Standing::Good => {}
            Standing::Expired | Standing::Unknown => return said(401, 401, "Unauthorized"),
        }
        let Some(timestamp) = asked.header("timestamp").filter(|text| !text.is_empty()) else {
            return said(200, 10_001, "timestamp is empty");
        };
        let now = world.now(VENDOR).as_millis();
        let is_near = timestamp.parse::<u64>().is_ok_and(|time| time.abs_diff(now) <= CLOCK_MS_MAX);
        if !is_near {
            return said(200, 10_207, "timestamp is not in time");
        }
        if app_id != APP_ID {
            return said(200, 10_205, "appId does not exist");
        }
        let content = match Content::read(asked, world.is_lenient) {
            Ok(content) => content,
            Err(Wrong { code, why }) => return said(200, code, &why),
        };
        let devices = u32::try_from(content.tokens.len()).unwrap_or(u32::MAX);
        if !world.within_rate(VENDOR, devices) {
            return said(503, 503, "flow control");
        }
        if !world.within_day(VENDOR, devices) {
            return said(200, 80_200_047, "the day's messages are spent");
        }
        let ruling = Ruling::draw(world, VENDOR, &content.tokens);
        if let Some(reply) = ruling.before() {
            return reply;
        }
        match refused_whole(&ruling) {
            Some(reply) => reply,
            None => ruling.after(self.take(world, &content, &ruling)).await,
        }
    }

    fn take(&self, world: &World, content: &Content, ruling: &Ruling<'_>) -> Reply {
        let accepted = ruling.accepted();
        if accepted.is_empty() {
            return said(200, 80_300_007, "all tokens are invalid");
        }
        let dead = ruling.tokens(|fate| fate == Fate::Dead);
        let (failed, expired): (Vec<String>, Vec<String>) =
            dead.into_iter().partition(|token| token.starts_with("dead-fail-"));
        let request_id = request_id();
        let mut receipts = Vec::new();
        for token in &accepted {
            self.shelf.take(world, VENDOR, (token, None), &request_id, &content.shown);
            receipts.push(json!({
                "biTag": content.shown["android"]["biTag"], "appid": APP_ID, "token": token,
                "status": 40_000_002, "timestamp": world.now(VENDOR).as_millis(), "requestId": request_id,
            }));
        }
        statuses::post(world, VENDOR, &receipts);
        let (code, message) =
            if failed.is_empty() { (200, "success") } else { (80_100_000, "partial success") };
        let data = json!({
            "sendResult": true, "requestId": request_id, "failTokens": failed, "expireTokens": expired,
        });
        Reply::json(200, &json!({"code": code, "message": message, "data": data}))
    }
}

/// What one token of the call makes Honor say of the whole.
fn refused_whole(ruling: &Ruling<'_>) -> Option<Reply> {
    type Is = fn(Fate) -> bool;
    let sayings: [(Is, u16, u32, &str); 5] = [
        (|fate| matches!(fate, Fate::Throttled(_)), 503, 503, "flow control"),
        (|fate| fate == Fate::Quota, 200, 80_200_047, "the day's messages are spent"),
        (|fate| matches!(fate, Fate::Flaky(_)), 200, 502, "bad gateway"),
        (|fate| fate == Fate::Config, 200, 80_200_022, "no right for this type of message"),
        (|fate| fate == Fate::Bad, 200, 80_100_003, "incorrect message structure"),
    ];
    let saying = sayings.into_iter().find(|(is, ..)| ruling.any(is));
    saying.map(|(_, status, code, message)| said(status, code, message))
}

fn said(status: u16, code: u32, message: &str) -> Reply {
    let data = json!({"sendResult": false, "requestId": request_id(), "failTokens": [], "expireTokens": []});
    Reply::json(status, &json!({"code": code, "message": message, "data": data}))
}

fn request_id() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

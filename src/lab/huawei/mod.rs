//! Huawei's HMS Push Kit, v1 and v2: a token endpoint and one to send to, partial success told as
//! JSON inside a string, flow control as HTTP 503. A token that begins `unranked-` is one to which the
//! app may send nothing of high urgency.

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
use super::statuses::{self, RECEIPTS_SECRET, RECEIPTS_USER};
use super::{Asked, Condition, Fate, Reply, Simulator, World};

const VENDOR: Vendor = Vendor::Huawei;
const CLIENT_ID: &str = "100000001";
const CLIENT_SECRET: &str = "lab-huawei-secret/+=";
const PROJECT_ID: &str = "388421841222199046";
const LIFE: Ttl = Ttl::from_secs(3_600);

#[derive(Default)]
pub struct Huawei {
    issued: Issued,
    shelf: Shelf,
}

impl Simulator for Huawei {
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
        let credential = json!({
            "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET,
            "receipts_user": RECEIPTS_USER, "receipts_secret": RECEIPTS_SECRET,
        });
        (credential, json!({"package": "com.example.demo", "api_version": "v1", "project_id": PROJECT_ID}))
    }
}

impl Huawei {
    async fn route(&self, world: &World, asked: &Asked) -> Reply {
        let parts: Vec<&str> = asked.path.trim_start_matches('/').split('/').collect();
        match (asked.method.as_str(), parts.as_slice()) {
            ("POST", ["oauth2", "v2" | "v3", "token"]) => self.token(world, asked),
            ("POST", ["v1", id, "messages:send"]) => self.send(world, asked, *id == CLIENT_ID).await,
            ("POST", ["v2", id, "messages:send"]) => self.send(world, asked, *id == PROJECT_ID).await,
            _ => said(404, "80100001", "no such resource"),
        }
    }

    fn token(&self, world: &World, asked: &Asked) -> Reply {
        let form = asked.form();
        let field = |name| form.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let refused = |sub_error: u32, why: &str| {
            let body = json!({"error": 1101, "sub_error": sub_error, "error_description": why});
            Reply::json(400, &body)
        };
        if field("grant_type") != Some("client_credentials") {
            return refused(20_041, "invalid grant type");
        }
        let is_known = field("client_id") == Some(CLIENT_ID) && field("client_secret") == Some(CLIENT_SECRET);
        if !is_known || world.condition(VENDOR) == Condition::CredentialRefused {
            return refused(20_001, "invalid client");
        }
        let token = self.issued.give(world, VENDOR, LIFE);
        let expires_in = LIFE.as_millis() / 1000;
        Reply::json(200, &json!({"access_token": token, "expires_in": expires_in, "token_type": "Bearer"}))
    }

    async fn send(&self, world: &World, asked: &Asked, is_own_id: bool) -> Reply {
        let bearer = asked.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        match self.issued.standing(world, VENDOR, bearer.unwrap_or_default()) {
            Standing::Unknown => return said(401, "80200001", "OAuth authentication error"),
            Standing::Expired => return said(401, "80200003", "OAuth token expired"),
            Standing::Good => {}
        }
        if !is_own_id {
            return said(200, "80300002", "the current app does not have the permission to push messages");
        }
        let content = match Content::read(asked, world.is_lenient) {
            Ok(content) => content,
            Err(Wrong { code, why }) => return said(200, code, &why),
        };
        if !world.within_rate(VENDOR, content.devices()) || !world.within_day(VENDOR, content.devices()) {
            return said(503, "80300503", "flow control");
        }
        let ruling = Ruling::draw(world, VENDOR, &content.tokens);
        if let Some(reply) = ruling.before() {
            return reply;
        }
        let is_unranked = content.tokens.iter().any(|token| token.starts_with("unranked-"));
        if is_unranked && content.message["android"]["urgency"] == "HIGH" {
            return said(200, "80300011", "no permission to send high-priority messages");
        }
        match refused_whole(&ruling) {
            Some(reply) => reply,
            None => ruling.after(self.take(world, &content, &ruling)).await,
        }
    }

    /// Dead tokens take no other along, and are told of inside `msg`.
    fn take(&self, world: &World, content: &Content, ruling: &Ruling<'_>) -> Reply {
        let accepted = ruling.accepted();
        let illegal = ruling.tokens(|fate| fate == Fate::Dead);
        if accepted.is_empty() {
            return said(200, "80300007", "all the tokens are invalid");
        }
        let request_id = request_id();
        let mut receipts = Vec::new();
        for token in accepted.iter().filter(|_| !content.validate_only) {
            self.shelf.take(world, VENDOR, (token, None), &request_id, &content.message);
            receipts.push(json!({
                "biTag": content.message["android"]["bi_tag"], "appid": CLIENT_ID, "token": token, "status": 0,
                "timestamp": world.now(VENDOR).as_millis(), "requestId": request_id,
            }));
        }
        statuses::post(world, VENDOR, &receipts);
        let (code, msg) = if illegal.is_empty() {
            ("80000000", "Success".to_owned())
        } else {
            let counts = json!({
                "success": accepted.len(), "failure": illegal.len(), "illegal_tokens": illegal,
            });
            ("80100000", counts.to_string())
        };
        Reply::json(200, &json!({"code": code, "msg": msg, "requestId": request_id}))
    }
}

/// What one token of the call makes Huawei say of the whole.
fn refused_whole(ruling: &Ruling<'_>) -> Option<Reply> {
    type Is = fn(Fate) -> bool;
    let sayings: [(Is, u16, &str, &str); 4] = [
        // Huawei has no code for a day's quota at send: what is over it is held back by 503 too.
        (|fate| matches!(fate, Fate::Throttled(_) | Fate::Quota), 503, "80300503", "flow control"),
        (|fate| matches!(fate, Fate::Flaky(_)), 200, "81000001", "internal error"),
        (|fate| fate == Fate::Config, 200, "80300002", "no permission to send to these tokens"),
        (|fate| fate == Fate::Bad, 200, "80100003", "incorrect message structure"),
    ];
    let saying = sayings.into_iter().find(|(is, ..)| ruling.any(is));
    saying.map(|(_, status, code, msg)| said(status, code, msg))
}

fn said(status: u16, code: &str, msg: &str) -> Reply {
    Reply::json(status, &json!({"code": code, "msg": msg, "requestId": request_id()}))
}

fn request_id() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

//! Huawei's Push Kit v3 for HarmonyOS NEXT: no token endpoint, but a JWT that the caller signs with
//! its service account's key (PS256), and one message shape for each `push-type`.

mod jwt;
mod message;
#[cfg(test)]
mod tests;

use carillon_sdk::Vendor;
use futures_util::future::BoxFuture;
use serde_json::{Map, Value, json};

use self::jwt::{Account, Claim};
use self::message::{Content, Wrong};
use super::course;
use super::ruling::{Ruling, Shelf};
use super::statuses;
use super::{Asked, Fate, Reply, Simulator, World};

const VENDOR: Vendor = Vendor::HarmonyOs;
const PROJECT_ID: &str = "388421841222199046";
const PACKAGE: &str = "com.example.demo";

#[derive(Default)]
pub struct Harmony {
    account: Account,
    shelf: Shelf,
}

impl Simulator for Harmony {
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
        (jwt::key_file(PROJECT_ID), json!({}))
    }
}

impl Harmony {
    async fn route(&self, world: &World, asked: &Asked) -> Reply {
        let parts: Vec<&str> = asked.path.trim_start_matches('/').split('/').collect();
        match (asked.method.as_str(), parts.as_slice()) {
            ("POST", ["v3", id, "messages:send"]) => self.send(world, asked, id).await,
            // Its tokens are refused by the older versions of the API, and the other way about.
            ("POST", ["v1" | "v2", _, "messages:send"]) => said(401, "80200001", "not a v3 URL"),
            _ => said(404, "80100001", "no such resource"),
        }
    }

    async fn send(&self, world: &World, asked: &Asked, project: &str) -> Reply {
        match self.account.check(world, asked.header("authorization").unwrap_or_default()) {
            Claim::Good => {}
            Claim::Bad(why) => return said(401, "80200001", &why),
            Claim::Expired => return said(401, "80200005", "the JWT expired"),
            Claim::TooLong => return said(401, "80300036", "the JWT is good for more than a day"),
        }
        if project != PROJECT_ID {
            return said(200, "80300002", "the project in the URL is not the account's");
        }
        let content = match Content::read(asked, world.is_lenient) {
            Ok(content) => content,
            Err(Wrong { code, why }) => return said(400, code, &why),
        };
        let devices = u32::try_from(content.tokens.len()).unwrap_or(u32::MAX);
        if !world.within_rate(VENDOR, devices) {
            return said(503, "80300503", "flow control");
        }
        if !world.within_day(VENDOR, devices) {
            return said(200, "80300029", "the day's messages of the project are spent");
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

    /// Tokens that were not sent to are grouped by the reason, inside `msg`.
    fn take(&self, world: &World, content: &Content, ruling: &Ruling<'_>) -> Reply {
        let accepted = ruling.accepted();
        let request_id = request_id();
        let mut receipts = Vec::new();
        for token in &accepted {
            let key = content.message_id.as_deref();
            self.shelf.take(world, VENDOR, (token, key), &request_id, &content.shown);
            receipts.push(json!({
                "token": token, "pushType": content.shown["pushType"], "appPackageName": PACKAGE,
                "biTag": content.shown["pushOptions"]["biTag"], "requestId": request_id,
                "deliveryStatus": {"result": 0, "timestamp": world.now(VENDOR).as_millis()},
            }));
        }
        statuses::post(world, VENDOR, &receipts);
        let mut reasons = Map::new();
        for (reason, fate) in [("tokenFormatError", Fate::Dead), ("noPushTypeRight", Fate::Config)] {
            let tokens = ruling.tokens(|one| one == fate);
            if !tokens.is_empty() {
                reasons.insert(reason.to_owned(), json!(tokens));
            }
        }
        let failure = content.tokens.len() - accepted.len();
        let (code, msg) = match (accepted.len(), failure) {
            (_, 0) => ("80000000", "Success.".to_owned()),
            (0, _) => ("80300007", json!({"failure": failure, "illegalTokens": reasons}).to_string()),
            (success, _) => {
                let counts = json!({"success": success, "failure": failure, "illegalTokens": reasons});
                ("80100000", counts.to_string())
            }
        };
        Reply::json(200, &json!({"code": code, "msg": msg, "requestId": request_id}))
    }
}

/// What one token of the call makes the vendor say of the whole.
fn refused_whole(ruling: &Ruling<'_>) -> Option<Reply> {
    type Is = fn(Fate) -> bool;
    let sayings: [(Is, u16, &str, &str); 4] = [
        (|fate| matches!(fate, Fate::Throttled(_)), 503, "80300503", "flow control"),
        (|fate| fate == Fate::Quota, 200, "80300029", "the day's messages of the project are spent"),
        (|fate| matches!(fate, Fate::Flaky(_)), 200, "81000001", "internal error"),
        (|fate| fate == Fate::Bad, 400, "80100003", "incorrect message structure"),
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

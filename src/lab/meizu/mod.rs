//! Meizu: no access token, but an MD5 over every call's fields; success is the text "200", with a map
//! from error code to the ids it befell.
//!
//! Two things that no fate is for: a token that begins `off-` is switched off on its device (110010
//! in `value`; the same number on top means too fast), and one that begins `moved-` makes the vendor
//! point elsewhere (300) until the call is repeated there.

mod message;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use carillon_sdk::Vendor;
use futures_util::future::BoxFuture;
use md5::{Digest as _, Md5};
use serde_json::{Value, json};

use self::message::Content;
use super::course;
use super::ruling::{Ruling, Shelf};
use super::{Asked, Condition, Fate, Letter, Reply, Simulator, World};

const VENDOR: Vendor = Vendor::Meizu;
const APP_ID: &str = "100999";
const APP_SECRET: &str = "lab-meizu-secret";
const SEND: &str = "/garcia/api/server/push/varnished/pushByPushId";
const ELSEWHERE: &str = "/elsewhere";
const PUSH_IDS_MAX: usize = 100;

#[derive(Default)]
pub struct Meizu {
    shelf: Shelf,
}

impl Simulator for Meizu {
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
        (json!({"app_id": APP_ID, "app_secret": APP_SECRET}), json!({}))
    }
}

impl Meizu {
    async fn route(&self, world: &World, asked: &Asked) -> Reply {
        let path = asked.path.strip_prefix(ELSEWHERE).unwrap_or(&asked.path);
        if asked.method != "POST" || path != SEND {
            return Reply::html(404);
        }
        let form: BTreeMap<String, String> = asked.form().into_iter().collect();
        if let Err((code, why)) = signed(world, &form) {
            return said(200, code, why);
        }
        let ids = form.get("pushIds").map_or("", String::as_str);
        let ids: Vec<String> = ids.split(',').filter(|id| !id.is_empty()).map(str::to_owned).collect();
        if ids.is_empty() || ids.len() > PUSH_IDS_MAX {
            return said(200, "1005", "pushIds: not 1 to 100");
        }
        let content =
            match Content::read(form.get("messageJson").map_or("", String::as_str), world.is_lenient) {
                Ok(content) => content,
                Err(why) => return said(200, "1005", &why),
            };
        let is_moved = path == asked.path && ids.iter().any(|id| id.starts_with("moved-"));
        if let Some(host) = asked.header("host").filter(|_| is_moved) {
            let redirect = format!("https://{host}{ELSEWHERE}{SEND}");
            let body =
                json!({"code": "300", "message": "moved", "value": "", "redirect": redirect, "msgId": ""});
            return Reply::json(200, &body);
        }
        let devices = u32::try_from(ids.len()).unwrap_or(u32::MAX);
        if !world.within_rate(VENDOR, devices) {
            return said(200, "110010", "too fast");
        }
        if !world.within_day(VENDOR, devices) {
            return said(200, "110019", "the app's pushes of the day are spent");
        }
        let ruling = Ruling::draw(world, VENDOR, &ids);
        if let Some(reply) = ruling.before() {
            return reply;
        }
        if ruling.any(|fate| fate == Fate::Bad) {
            return said(200, "1005", "a parameter is wrong");
        }
        ruling.after(self.take(world, &content, &ruling)).await
    }

    /// Each id that was not taken stands under its code; those taken are not listed.
    fn take(&self, world: &World, content: &Content, ruling: &Ruling<'_>) -> Reply {
        let (off, accepted): (Vec<String>, Vec<String>) =
            ruling.accepted().into_iter().partition(|id| id.starts_with("off-"));
        let msg_id = format!("NS{}", uuid::Uuid::new_v4().simple());
        for id in &accepted {
            self.shelf.take(world, VENDOR, (id, None), &msg_id, &content.shown);
        }
        if let Some(url) = content.shown["extra"]["callback"].as_str().filter(|_| !accepted.is_empty()) {
            let arrived = json!({
                "param": content.shown["extra"]["callback.param"], "type": 1, "targets": accepted,
            });
            let body = Value::Object([(format!("{msg_id}-1"), arrived)].into_iter().collect());
            world.outbox.put(Letter::form(VENDOR, url, "cb", &body));
        }
        let (illegal, left): (Vec<String>, Vec<String>) = ruling
            .tokens(|fate| fate == Fate::Dead)
            .into_iter()
            .partition(|id| id.starts_with("dead-illegal-"));
        let value: BTreeMap<&str, Vec<String>> = [
            ("110002", left),
            ("110003", illegal),
            ("110010", off),
            ("110011", ruling.tokens(|fate| fate == Fate::Quota)),
            ("201", ruling.tokens(|fate| fate == Fate::Config)),
            ("501", ruling.tokens(|fate| matches!(fate, Fate::Flaky(_)))),
            ("520", ruling.tokens(|fate| matches!(fate, Fate::Throttled(_)))),
        ]
        .into_iter()
        .filter(|(_, ids)| !ids.is_empty())
        .collect();
        let body = json!({"code": "200", "message": "", "value": value, "redirect": "", "msgId": msg_id});
        Reply::json(200, &body)
    }
}

/// The fields by their names, each with its value, one after the other, then the secret.
fn signed(world: &World, form: &BTreeMap<String, String>) -> Result<(), (&'static str, &'static str)> {
    if form.get("appId").is_none_or(|id| id != APP_ID) {
        return Err(("110000", "appId is illegal"));
    }
    let mut text: String = form
        .iter()
        .filter(|(name, _)| *name != "sign")
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    text.push_str(APP_SECRET);
    let sign = hex::encode(Md5::digest(text.as_bytes()));
    let is_refused = world.condition(VENDOR) == Condition::CredentialRefused;
    if is_refused || form.get("sign").is_none_or(|shown| *shown != sign) {
        return Err(("1006", "the signature is wrong"));
    }
    Ok(())
}

fn said(status: u16, code: &str, message: &str) -> Reply {
    Reply::json(status, &json!({"code": code, "message": message, "value": "", "redirect": "", "msgId": ""}))
}

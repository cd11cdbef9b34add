//! OPPO PUSH, after its own pages (addresses and codes, unicast, receipts) and its server SDK.
//!
//! What is peculiar to it: a token signed for with SHA-256; forms with JSON inside; an answer a token
//! in `unicast_batch`, and in `broadcast` lists of ids under numeric keys, which are codes.

mod fields;

use std::collections::{BTreeMap, HashMap};

use carillon_sdk::{Ttl, Vendor};
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use self::fields::{Wrong, check, is_registration_id, text};
use super::course::{self, Course};
use super::issued::Issued;
use super::{Asked, Condition, Fate, Letter, Reply, Simulator, Taken, World};

const VENDOR: Vendor = Vendor::Oppo;
/// Of an access token: a day. Several live side by side.
const LIFE: Ttl = Ttl::from_secs(86_400);
const APP_KEY: &str = "lab-oppo-app-key";
const MASTER_SECRET: &str = "lab-oppo-master-secret";
const APP_ID: &str = "30012345";

/// Registration ids of one call, and messages of one.
const IDS_MAX: usize = 1_000;
/// A timestamp may be so far off.
const WINDOW_MS: u64 = 600_000;

#[derive(Default)]
pub struct Oppo {
    issued: Issued,
    saved: Mutex<HashMap<String, Map<String, Value>>>,
    /// By `app_message_id` and registration id: the id of what was taken.
    known: Mutex<HashMap<(String, String), String>>,
}

impl Simulator for Oppo {
    fn vendor(&self) -> Vendor {
        VENDOR
    }

    fn answer<'a>(&'a self, world: &'a World, asked: Asked) -> BoxFuture<'a, Reply> {
        Box::pin(async move {
            let reply = match course::condition(world, VENDOR) {
                Some(reply) => reply,
                None => self.look(world, &asked).await.unwrap_or_else(|wrong| {
                    Reply::json(200, &json!({"code": wrong.code, "message": wrong.why}))
                }),
            };
            world.capture.heard(VENDOR, world.now(VENDOR), &asked, &reply);
            reply
        })
    }

    fn setup(&self) -> (Value, Value) {
        (json!({"app_key": APP_KEY, "master_secret": MASTER_SECRET}), json!({}))
    }
}

impl Oppo {
    async fn look(&self, world: &World, asked: &Asked) -> Result<Reply, Wrong> {
        if asked.method != "POST" {
            return Err(Wrong::new(12, "Http Action Not Allowed"));
        }
        let form: BTreeMap<String, String> = asked.form().into_iter().collect();
        if asked.path == "/server/v1/auth" {
            return self.authorize(world, &form);
        }
        let path = asked.path.strip_prefix("/server/v1/message/notification/");
        let Some(path) = path else { return Ok(course::text(404, "Not Found")) };
        // The document says the body; the header is seen in clients.
        let token = form.get("auth_token").map(String::as_str).or_else(|| asked.header("auth_token"));
        let token = token.filter(|token| !token.is_empty()).ok_or(Wrong::new(29, "Missing Auth Token"))?;
        if !self.issued.is_good(world, VENDOR, token) {
            return Err(Wrong::new(11, "Invalid AuthToken"));
        }
        match path {
            "unicast" => self.unicast(world, &form).await,
            "unicast_batch" => self.unicast_batch(world, &form).await,
            "save_message_content" => self.save(world, &form),
            "broadcast" => self.broadcast(world, &form).await,
            _ => Ok(course::text(404, "Not Found")),
        }
    }

    fn authorize(&self, world: &World, form: &BTreeMap<String, String>) -> Result<Reply, Wrong> {
        let field = |name: &str, code| {
            let value = form.get(name).filter(|value| !value.is_empty());
            value.map(String::as_str).ok_or(Wrong::new(code, format!("Missing {name}")))
        };
        let key = field("app_key", 15)?;
        let sign = field("sign", 17)?;
        let timestamp = field("timestamp", 18)?;
        if key != APP_KEY {
            return Err(Wrong::new(14, "Invalid App Key"));
        }
        let now = world.now(VENDOR).as_millis();
        let at: u64 = timestamp.parse().map_err(|_| Wrong::new(19, "Invalid Timestamp"))?;
        if at.abs_diff(now) > WINDOW_MS {
            return Err(Wrong::new(19, "Invalid Timestamp"));
        }
        let expected = hex::encode(Sha256::digest(format!("{key}{timestamp}{MASTER_SECRET}")));
        if sign != expected || world.condition(VENDOR) == Condition::CredentialRefused {
            return Err(Wrong::new(16, "Invalid Signature"));
        }
        let token = self.issued.give(world, VENDOR, LIFE);
        Ok(success(&json!({"auth_token": token, "create_time": now})))
    }

    async fn unicast(&self, world: &World, form: &BTreeMap<String, String>) -> Result<Reply, Wrong> {
        let message = form.get("message").ok_or(Wrong::missing("message"))?;
        let message: Value = serde_json::from_str(message).map_err(|_| Wrong::value("message"))?;
        let (id, fields) = target(&message)?;
        check(fields, false, world.is_lenient)?;
        let course = Course::draw(world, VENDOR, [id]);
        if let Some(reply) = course.before() {
            return Ok(reply);
        }
        pace(world, 1)?;
        if let Some(wrong) = told(id, fields, course.fates[0], world.is_lenient) {
            return Err(wrong);
        }
        quota(world, 1)?;
        let vendor_id = self.hand_over(world, id, fields, None);
        Ok(course.after(success(&json!({"messageId": vendor_id}))).await)
    }

    async fn unicast_batch(&self, world: &World, form: &BTreeMap<String, String>) -> Result<Reply, Wrong> {
        let messages = form.get("messages").ok_or(Wrong::missing("messages"))?;
        let messages: Vec<Value> = serde_json::from_str(messages).map_err(|_| Wrong::value("messages"))?;
        if messages.is_empty() || messages.len() > IDS_MAX {
            return Err(Wrong::value("messages: 1 to 1000 of them"));
        }
        let messages: Vec<_> = messages.iter().map(target).collect::<Result<_, _>>()?;
        let course = Course::draw(world, VENDOR, messages.iter().map(|(id, _)| *id));
        if let Some(reply) = course.before() {
            return Ok(reply);
        }
        let devices = u32::try_from(messages.len()).unwrap_or(u32::MAX);
        pace(world, devices)?;
        quota(world, devices)?;
        let items = messages.iter().zip(&course.fates).map(|((id, fields), fate)| {
            let wrong = told(id, fields, *fate, world.is_lenient);
            let wrong = wrong.or_else(|| check(fields, false, world.is_lenient).err());
            match wrong {
                Some(wrong) => {
                    json!({"registrationId": id, "errorCode": wrong.code, "errorMessage": wrong.why})
                }
                None => json!({"registrationId": id, "messageId": self.hand_over(world, id, fields, None)}),
            }
        });
        let reply = success(&Value::Array(items.collect()));
        Ok(course.after(reply).await)
    }

    fn save(&self, world: &World, form: &BTreeMap<String, String>) -> Result<Reply, Wrong> {
        let fields = form.iter().filter(|(name, _)| *name != "auth_token");
        let fields: Map<_, _> = fields.map(|(name, value)| (name.clone(), json!(value))).collect();
        check(&fields, true, world.is_lenient)?;
        let id = uuid::Uuid::new_v4().simple().to_string()[..24].to_owned();
        self.saved.lock().insert(id.clone(), fields);
        Ok(success(&json!({"message_id": id})))
    }

    async fn broadcast(&self, world: &World, form: &BTreeMap<String, String>) -> Result<Reply, Wrong> {
        let message_id = form.get("message_id").ok_or(Wrong::missing("message_id"))?;
        let fields = self.saved.lock().get(message_id).cloned();
        let fields = fields.ok_or(Wrong::new(31, "Data Not Exist"))?;
        if form.get("target_type").map(String::as_str) != Some("2") {
            return Err(Wrong::value("target_type: the laboratory knows registration ids alone"));
        }
        let ids = form.get("target_value").ok_or(Wrong::missing("target_value"))?;
        let ids: Vec<&str> = ids.split(';').filter(|id| !id.is_empty()).collect();
        if ids.is_empty() || ids.len() > IDS_MAX {
            return Err(Wrong::value("target_value: 1 to 1000 ids"));
        }
        let course = Course::draw(world, VENDOR, ids.iter().copied());
        if let Some(reply) = course.before() {
            return Ok(reply);
        }
        // What no list of ids can say is said of the call.
        let whole = |fate: &Fate| matches!(fate, Fate::Flaky(_) | Fate::Throttled(_) | Fate::Config);
        if let Some(fate) = course.fates.iter().copied().find(whole) {
            return Err(told("", &fields, fate, true).unwrap_or(Wrong::new(-1, "Service Unavailable")));
        }
        let devices = u32::try_from(ids.len()).unwrap_or(u32::MAX);
        pace(world, devices)?;
        quota(world, devices)?;
        let task = uuid::Uuid::new_v4().simple().to_string()[..24].to_owned();
        let mut bad: BTreeMap<i32, Vec<&str>> = BTreeMap::new();
        for (id, fate) in ids.iter().zip(&course.fates) {
            match told(id, &fields, *fate, world.is_lenient) {
                None => _ = self.hand_over(world, id, &fields, Some((message_id, &task))),
                // Of a device's day one hears later.
                Some(wrong) if wrong.code == 33 => {
                    receipt(world, &fields, id, &task, message_id, "user_daily_limit");
                }
                Some(wrong) => bad.entry(wrong.code).or_default().push(id),
            }
        }
        let mut data = json!({"message_id": message_id, "task_id": task});
        for (code, ids) in bad {
            data[code.to_string()] = json!(ids.join(";"));
        }
        Ok(course.after(success(&data)).await)
    }

    /// To one device, once for each of the app's own ids. Returns OPPO's id.
    fn hand_over(
        &self,
        world: &World,
        id: &str,
        fields: &Map<String, Value>,
        broadcast: Option<(&str, &str)>,
    ) -> String {
        let fresh = || format!("{APP_ID}-1-1-{}", &uuid::Uuid::new_v4().simple().to_string()[..24]);
        let vendor_id = broadcast.map_or_else(fresh, |(message, _)| message.to_owned());
        let key = text(fields, "app_message_id");
        if let Some(key) = &key {
            let mut known = self.known.lock();
            if let Some(before) = known.get(&(key.clone(), id.to_owned())) {
                return before.clone();
            }
            known.insert((key.clone(), id.to_owned()), vendor_id.clone());
        }
        world.capture.take(Taken {
            vendor: VENDOR,
            at: world.now(VENDOR),
            token: id.to_owned(),
            key,
            vendor_id: vendor_id.clone(),
            content: Value::Object(fields.clone()),
        });
        let task = broadcast.map_or("", |(_, task)| task);
        receipt(world, fields, id, task, &vendor_id, "push_arrive");
        vendor_id
    }
}

fn receipt(world: &World, fields: &Map<String, Value>, id: &str, task: &str, message: &str, kind: &str) {
    let Some(url) = text(fields, "call_back_url") else { return };
    let body = json!([{
        "messageId": message,
        "appId": APP_ID,
        "taskId": task,
        "registrationIds": id,
        "eventTime": world.now(VENDOR).as_millis().to_string(),
        "param": text(fields, "call_back_parameter").unwrap_or_default(),
        "eventType": kind,
    }]);
    world.outbox.put(Letter::json(VENDOR, &url, &body));
}

/// The registration id and the notification of one message.
fn target(message: &Value) -> Result<(&str, &Map<String, Value>), Wrong> {
    if message["target_type"] != 2 {
        return Err(Wrong::value("target_type: the laboratory knows registration ids alone"));
    }
    let id = message["target_value"].as_str().ok_or(Wrong::missing("target_value"))?;
    let fields = message["notification"].as_object().ok_or(Wrong::missing("notification"))?;
    Ok((id, fields))
}

/// What is said of one registration id.
fn told(id: &str, fields: &Map<String, Value>, fate: Fate, is_lenient: bool) -> Option<Wrong> {
    let wrong = match fate {
        Fate::Dead => Wrong::new(10_000, "Invalid registration_id"),
        Fate::Bad => Wrong::new(10_001, "Refused by a rule of business"),
        Fate::Quota => Wrong::new(33, "The number of messages exceeds the daily limit"),
        Fate::Throttled(_) => Wrong::new(13, "App Call Limited"),
        Fate::Flaky(_) => Wrong::new(-1, "Service Currently Unavailable"),
        Fate::Config => Wrong::new(28, "App Disabled"),
        _ if id.starts_with("uncategorised-") && fields.contains_key("category") => {
            Wrong::new(67, "The category is not granted")
        }
        _ if !is_lenient && !is_registration_id(id) => Wrong::new(10_000, "Invalid registration_id"),
        _ => return None,
    };
    Some(wrong)
}

fn pace(world: &World, devices: u32) -> Result<(), Wrong> {
    world.within_rate(VENDOR, devices).then_some(()).ok_or(Wrong::new(13, "App Call Limited"))
}

fn quota(world: &World, devices: u32) -> Result<(), Wrong> {
    let is_within = world.within_day(VENDOR, devices);
    is_within.then_some(()).ok_or(Wrong::new(33, "The number of messages exceeds the daily limit"))
}

fn success(data: &Value) -> Reply {
    Reply::json(200, &json!({"code": 0, "message": "success", "data": data}))
}

#[cfg(test)]
mod tests;

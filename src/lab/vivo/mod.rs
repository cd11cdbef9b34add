//! vivo push, after its interface document (2.9.2) and server SDK (3.3).
//!
//! What is peculiar to it: an MD5 signature for a token, at most ten such calls a second; a list needs
//! two targets at least; of a list the bad ones are named with a status; a day's quota spent is not to
//! be tried again that day.

mod fields;

use std::collections::HashMap;

use carillon_sdk::{Ttl, Vendor};
use futures_util::future::BoxFuture;
use md5::{Digest as _, Md5};
use parking_lot::Mutex;
use serde_json::{Value, json};

use self::fields::{Wrong, check};
use super::course::{self, Course};
use super::issued::Issued;
use super::{Asked, Condition, Fate, Letter, Reply, Simulator, Taken, World};

const VENDOR: Vendor = Vendor::Vivo;
/// Of an access token: a day. Several live side by side.
const LIFE: Ttl = Ttl::from_secs(86_400);
const APP_ID: u64 = 10_004;
const APP_KEY: &str = "lab-vivo-app-key";
const APP_SECRET: &str = "lab-vivo-app-secret";

/// Ids of one list; a single one has a call of its own.
const LIST: std::ops::RangeInclusive<usize> = 2..=1_000;
/// A timestamp may be so far off.
const WINDOW_MS: u64 = 600_000;
const AUTHS_PER_SECOND: u32 = 10;

/// What a list says of an id.
const UNKNOWN: u64 = 1;
const INACTIVE: u64 = 3;

#[derive(Default)]
pub struct Vivo {
    issued: Issued,
    /// The second, and the calls for a token in it.
    auths: Mutex<(u64, u32)>,
    saved: Mutex<HashMap<String, Value>>,
    /// By request id and regId: the task under which it was taken.
    known: Mutex<HashMap<(String, String), String>>,
}

impl Simulator for Vivo {
    fn vendor(&self) -> Vendor {
        VENDOR
    }

    fn answer<'a>(&'a self, world: &'a World, asked: Asked) -> BoxFuture<'a, Reply> {
        Box::pin(async move {
            let reply = match course::condition(world, VENDOR) {
                Some(reply) => reply,
                None => self.look(world, &asked).await.unwrap_or_else(Reply::from),
            };
            world.capture.heard(VENDOR, world.now(VENDOR), &asked, &reply);
            reply
        })
    }

    fn setup(&self) -> (Value, Value) {
        (json!({"app_id": APP_ID, "app_key": APP_KEY, "app_secret": APP_SECRET}), json!({}))
    }
}

impl Vivo {
    async fn look(&self, world: &World, asked: &Asked) -> Result<Reply, Wrong> {
        if asked.method != "POST" {
            return Ok(course::text(404, "Not Found"));
        }
        let body = asked.json().filter(Value::is_object).ok_or(Wrong::new(10_050, "the body is no JSON"))?;
        if asked.path == "/message/auth" {
            return self.authorize(world, &body);
        }
        let token = asked.header("authtoken").unwrap_or_default();
        if !self.issued.is_good(world, VENDOR, token) {
            return Err(Wrong::new(10_000, "权限认证失败"));
        }
        if body["appId"] != APP_ID {
            return Err(Wrong::new(10_094, "appId与authToken不匹配"));
        }
        match asked.path.as_str() {
            "/message/send" => self.send(world, &body).await,
            "/message/saveListPayload" => self.save(world, &body),
            "/message/pushToList" => self.push_to_list(world, &body).await,
            _ => Ok(course::text(404, "Not Found")),
        }
    }

    fn authorize(&self, world: &World, body: &Value) -> Result<Reply, Wrong> {
        let now = world.now(VENDOR);
        {
            let mut auths = self.auths.lock();
            if auths.0 != now.as_secs() {
                *auths = (now.as_secs(), 0);
            }
            auths.1 += 1;
            if auths.1 > AUTHS_PER_SECOND {
                return Err(Wrong::new(10_072, "鉴权调用过于频繁"));
            }
        }
        let key = body["appKey"].as_str().ok_or(Wrong::new(10_201, "appKey is missing"))?;
        let sign = body["sign"].as_str().ok_or(Wrong::new(10_203, "sign is missing"))?;
        let at = body["timestamp"].as_u64().ok_or(Wrong::new(10_202, "timestamp is missing"))?;
        if body["appId"] != APP_ID || key != APP_KEY {
            return Err(Wrong::new(10_200, "no such app"));
        }
        if at.abs_diff(now.as_millis()) > WINDOW_MS {
            return Err(Wrong::new(10_207, "timestamp is too far off"));
        }
        let expected = hex::encode(Md5::digest(format!("{APP_ID}{APP_KEY}{at}{APP_SECRET}")));
        if sign != expected || world.condition(VENDOR) == Condition::CredentialRefused {
            return Err(Wrong::new(10_205, "sign is wrong"));
        }
        let token = self.issued.give(world, VENDOR, LIFE);
        Ok(Reply::json(200, &json!({"result": 0, "desc": "请求成功", "authToken": token})))
    }

    async fn send(&self, world: &World, body: &Value) -> Result<Reply, Wrong> {
        let id = body["regId"].as_str().filter(|id| !id.is_empty());
        let id = id.ok_or(Wrong::new(10_050, "regId and alias are empty"))?;
        check(body)?;
        let course = Course::draw(world, VENDOR, [id]);
        if let Some(reply) = course.before() {
            return Ok(reply);
        }
        pace(world, 1)?;
        let fate = course.fates[0];
        match fate {
            Fate::Dead => {
                let body = json!({"result": 10_302, "desc": "regId不合法",
                    "invalidUser": {"status": status_of(id), "userid": id}});
                return Ok(Reply::json(200, &body));
            }
            Fate::Bad => return Err(Wrong::new(10_103, "敏感信息")),
            _ => whole(&course, body)?,
        }
        quota(world, body, 1)?;
        let task = self.hand_over(world, id, body, &new_task());
        Ok(course.after(done(&task, &[])).await)
    }

    fn save(&self, world: &World, body: &Value) -> Result<Reply, Wrong> {
        check(body)?;
        let is_targeted = body.get("regId").is_some() || body.get("alias").is_some();
        if is_targeted && !world.is_lenient {
            return Err(Wrong::new(10_150, "a saved message has no target"));
        }
        let task = new_task();
        self.saved.lock().insert(task.clone(), body.clone());
        Ok(done(&task, &[]))
    }

    async fn push_to_list(&self, world: &World, body: &Value) -> Result<Reply, Wrong> {
        let ids = body["regIds"].as_array().ok_or(Wrong::new(10_151, "regIds is missing"))?;
        let ids: Vec<&str> = ids.iter().filter_map(Value::as_str).collect();
        if !LIST.contains(&ids.len()) {
            let code = if ids.len() < *LIST.start() { 10_153 } else { 10_152 };
            return Err(Wrong::new(code, "regIds: 2 to 1000 of them"));
        }
        let task = body["taskId"].as_str().ok_or(Wrong::new(10_155, "taskId is missing"))?;
        let saved = self.saved.lock().get(task).cloned().ok_or(Wrong::new(10_155, "no such taskId"))?;
        let request = fields::request_id(body)?;
        let course = Course::draw(world, VENDOR, ids.iter().copied());
        if let Some(reply) = course.before() {
            return Ok(reply);
        }
        let devices = u32::try_from(ids.len()).unwrap_or(u32::MAX);
        pace(world, devices)?;
        whole(&course, &saved)?;
        quota(world, &saved, devices)?;
        let mut content = saved;
        content["requestId"] = json!(request);
        let mut invalid = Vec::new();
        for (id, fate) in ids.iter().zip(&course.fates) {
            match fate {
                Fate::Dead => invalid.push(json!({"userid": id, "status": status_of(id)})),
                Fate::Bad => invalid.push(json!({"userid": id, "status": INACTIVE})),
                _ => _ = self.hand_over(world, id, &content, task),
            }
        }
        Ok(course.after(done(task, &invalid)).await)
    }

    /// To one device, once a request. Returns the task it was taken under.
    fn hand_over(&self, world: &World, id: &str, content: &Value, task: &str) -> String {
        let request = content["requestId"].as_str().unwrap_or_default();
        {
            let mut known = self.known.lock();
            if let Some(before) = known.get(&(request.to_owned(), id.to_owned())) {
                return before.clone();
            }
            known.insert((request.to_owned(), id.to_owned()), task.to_owned());
        }
        let now = world.now(VENDOR);
        world.capture.take(Taken {
            vendor: VENDOR,
            at: now,
            token: id.to_owned(),
            key: Some(request.to_owned()),
            vendor_id: task.to_owned(),
            content: content.clone(),
        });
        if let Some(url) = content["extra"]["callback"].as_str() {
            let body = json!({task: {"targets": id, "ackTime": now.as_millis(), "ackType": "0",
                "param": content["extra"]["callback.param"].as_str().unwrap_or_default()}});
            world.outbox.put(Letter::json(VENDOR, url, &body));
        }
        task.to_owned()
    }
}

/// What concerns the call as a whole.
fn whole(course: &Course, content: &Value) -> Result<(), Wrong> {
    for fate in &course.fates {
        match fate {
            Fate::Flaky(_) => return Err(Wrong::new(10_040, "系统繁忙")),
            Fate::Throttled(_) => return Err(Wrong::new(10_072, "发送过于频繁")),
            Fate::Config => return Err(Wrong::new(10_043, "推送通道关闭")),
            Fate::Quota => return Err(over_quota(content)),
            _ => {}
        }
    }
    Ok(())
}

/// `dead-2-…` is uninstalled, `dead-4-…` no test device; else unknown.
fn status_of(id: &str) -> u64 {
    let number = id.split('-').nth(1).and_then(|text| text.parse().ok());
    number.filter(|status| (1..=4).contains(status)).unwrap_or(UNKNOWN)
}

fn pace(world: &World, devices: u32) -> Result<(), Wrong> {
    world.within_rate(VENDOR, devices).then_some(()).ok_or(Wrong::new(10_072, "发送过于频繁"))
}

fn quota(world: &World, content: &Value, devices: u32) -> Result<(), Wrong> {
    if world.within_day(VENDOR, devices) { Ok(()) } else { Err(over_quota(content)) }
}

/// Operation and system messages have a quota each.
fn over_quota(content: &Value) -> Wrong {
    if content["classification"] == 1 {
        return Wrong::new(10_073, "系统消息发送量超限");
    }
    Wrong::new(10_070, "运营消息发送量超限")
}

fn new_task() -> String {
    uuid::Uuid::new_v4().as_u128().to_string()[..18].to_owned()
}

fn done(task: &str, invalid: &[Value]) -> Reply {
    let mut body = json!({"result": 0, "desc": "请求成功", "taskId": task});
    if !invalid.is_empty() {
        body["invalidUsers"] = json!(invalid);
    }
    Reply::json(200, &body)
}

impl From<Wrong> for Reply {
    fn from(wrong: Wrong) -> Self {
        Self::json(200, &json!({"result": wrong.code, "desc": wrong.why}))
    }
}

#[cfg(test)]
mod tests;

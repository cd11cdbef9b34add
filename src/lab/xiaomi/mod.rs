//! Xiaomi MiPush, after dev.mi.com (API 1559, codes 1560, limits 1656).
//!
//! What is peculiar to it: a static key in `Authorization`; forms, answered with one id for a whole
//! batch; regids that are dead are not in the answer but come by receipt (type 16); a second
//! notification with the same `extra.jobkey` is dropped for the device that has the first.

mod fields;

use std::collections::HashMap;

use carillon_sdk::Vendor;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use serde_json::{Value, json};

use self::fields::{Fields, Wrong};
use super::course::{self, Course};
use super::{Asked, Condition, Fate, Letter, Reply, Simulator, Taken, World};

const VENDOR: Vendor = Vendor::Xiaomi;
const SECRET: &str = "lab-xiaomi-app-secret";
const PACKAGE: &str = "com.example.lab";

/// Regids of one call.
const REGIDS_MAX: usize = 1_000;

/// Kinds of receipts, as the bits of `extra.callback.type`.
const ARRIVED: u32 = 1;
const INVALID: u32 = 16;
const FILTERED: u32 = 64;
const OVER_QUOTA: u32 = 128;

#[derive(Default)]
pub struct Xiaomi {
    /// By jobkey and regid: the id of what the device has.
    known: Mutex<HashMap<(String, String), String>>,
    acked: Mutex<u64>,
}

/// One notification of a call.
struct Order {
    regids: Vec<String>,
    fields: Fields,
}

impl Simulator for Xiaomi {
    fn vendor(&self) -> Vendor {
        VENDOR
    }

    fn answer<'a>(&'a self, world: &'a World, asked: Asked) -> BoxFuture<'a, Reply> {
        Box::pin(async move {
            let reply = match course::condition(world, VENDOR) {
                Some(reply) => reply,
                None => self.look(world, &asked).await,
            };
            world.capture.heard(VENDOR, world.now(VENDOR), &asked, &reply);
            reply
        })
    }

    fn setup(&self) -> (Value, Value) {
        (json!({"app_secret": SECRET}), json!({"package": PACKAGE, "channels": {"im": "110001"}}))
    }
}

impl Xiaomi {
    async fn look(&self, world: &World, asked: &Asked) -> Reply {
        let key = asked.header("authorization").and_then(|value| value.strip_prefix("key="));
        if key != Some(SECRET) || world.condition(VENDOR) == Condition::CredentialRefused {
            return refused(21_301, "认证失败", "Invalid authorization");
        }
        let is_multi = match (asked.method.as_str(), asked.path.as_str()) {
            ("POST", "/v2/message/regid" | "/v3/message/regid") => false,
            ("POST", "/v2/multi_messages/regids") => true,
            _ => return course::text(404, "Not Found"),
        };
        let kind = asked.header("content-type").unwrap_or_default();
        if !kind.starts_with("application/x-www-form-urlencoded") && !world.is_lenient {
            return refused(10_012, "非法请求", "The body is no form");
        }
        let orders = if is_multi { many(asked) } else { single(asked) };
        let orders = match orders {
            Ok(orders) => orders,
            Err(wrong) => return wrong.into(),
        };
        for order in &orders {
            if let Err(wrong) = order.fields.check(PACKAGE, world.is_lenient) {
                return wrong.into();
            }
        }
        let regids = orders.iter().flat_map(|order| &order.regids).map(String::as_str);
        let course = Course::draw(world, VENDOR, regids);
        if let Some(reply) = course.before() {
            return reply;
        }
        if let Some(reply) = whole(world, &course) {
            return reply;
        }
        let reply = self.deliver(world, &orders, &course, is_multi);
        course.after(reply).await
    }

    fn deliver(&self, world: &World, orders: &[Order], course: &Course, is_multi: bool) -> Reply {
        let good = course.fates.iter().filter(|fate| Course::is_taken(**fate)).count();
        let devices = u32::try_from(good).unwrap_or(u32::MAX);
        if good > 0 && !world.within_day(VENDOR, devices) {
            if is_multi {
                // Of such a call the quota is no error: it is said of the channel (limits, 1656).
                let channels: Vec<_> =
                    orders.iter().filter_map(|one| one.fields.get("extra.channel_id")).collect();
                return accepted(&json!({"id": new_id(), "channel_exceed_quota": channels}));
            }
            return self.over_quota();
        }
        *self.acked.lock() += u64::from(devices);
        let id = new_id();
        let regids =
            orders.iter().flat_map(|order| order.regids.iter().map(move |regid| (regid, &order.fields)));
        for ((regid, fields), fate) in regids.zip(&course.fates) {
            self.hand_over(world, &id, regid, fields, *fate);
        }
        accepted(&json!({"id": id, "day_quota": "1000000", "day_acked": self.acked.lock().to_string()}))
    }

    /// To one device: shown, or a receipt says why not.
    fn hand_over(&self, world: &World, id: &str, regid: &str, fields: &Fields, fate: Fate) {
        let kind = match fate {
            Fate::Dead => INVALID,
            Fate::Quota => OVER_QUOTA,
            Fate::Bad => FILTERED,
            _ => ARRIVED,
        };
        if kind == ARRIVED {
            let key = fields.get("extra.jobkey").map(str::to_owned);
            if let Some(key) = &key {
                let mut known = self.known.lock();
                if known.contains_key(&(key.clone(), regid.to_owned())) {
                    return;
                }
                known.insert((key.clone(), regid.to_owned()), id.to_owned());
            }
            world.capture.take(Taken {
                vendor: VENDOR,
                at: world.now(VENDOR),
                token: regid.to_owned(),
                key,
                vendor_id: id.to_owned(),
                content: fields.content(),
            });
        }
        let Some(url) = fields.get("extra.callback") else { return };
        let asked_for = fields.get("extra.callback.type").and_then(|bits| bits.parse().ok());
        // Without a word on it, arrivals and clicks.
        if asked_for.unwrap_or(3_u32) & kind == 0 {
            return;
        }
        let body = json!({id: {
            "param": fields.get("extra.callback.param").unwrap_or_default(),
            "type": kind,
            "targets": regid,
            "jobkey": fields.get("extra.jobkey").unwrap_or_default(),
            "barStatus": "Enable",
            "timestamp": world.now(VENDOR).as_millis(),
        }});
        world.outbox.put(Letter::form(VENDOR, url, "data", &body));
    }

    fn over_quota(&self) -> Reply {
        let acked = *self.acked.lock();
        refused(200_001, "超出配额", &format!("exceed quota, quota: {acked}, have acked: {acked}"))
    }
}

/// What concerns the call as a whole, so that nothing of it is taken. A single regid is told apart;
/// of a batch no answer speaks of one.
fn whole(world: &World, course: &Course) -> Option<Reply> {
    if let [alone] = course.fates[..] {
        match alone {
            Fate::Dead => return Some(refused(66_007, "非法regId", "Invalid regId")),
            Fate::Bad => return Some(refused(10_041, "标题或描述不合规", "Refused by the rules of content")),
            Fate::Quota => {
                return Some(refused(200_001, "超出配额", "exceed quota, quota: 1, have acked: 1"));
            }
            _ => {}
        }
    }
    if course.has(|fate| *fate == Fate::Config) {
        return Some(refused(22_022, "包名不合法", "The package is not this app's"));
    }
    if course.has(|fate| matches!(fate, Fate::Flaky(_))) {
        return Some(refused(10_002, "系统繁忙", "System is busy"));
    }
    let devices = u32::try_from(course.fates.len()).unwrap_or(u32::MAX);
    if course.has(|fate| matches!(fate, Fate::Throttled(_))) || !world.within_rate(VENDOR, devices) {
        return Some(refused(200_002, "请求过于频繁", "QPS exceeds the limit"));
    }
    let is_dead = course.fates.iter().all(|fate| *fate == Fate::Dead);
    is_dead.then(|| refused(20_301, "发送消息失败", "No valid targets!"))
}

fn single(asked: &Asked) -> Result<Vec<Order>, Wrong> {
    let fields = Fields::new(asked.form())?;
    let regids = fields.get("registration_id").ok_or(Wrong::missing("registration_id"))?;
    let regids: Vec<String> = regids.split(',').map(str::to_owned).collect();
    if regids.len() > REGIDS_MAX {
        return Err(Wrong::value("registration_id"));
    }
    if regids.iter().any(String::is_empty) {
        return Err(Wrong::regid());
    }
    Ok(vec![Order { regids, fields }])
}

fn many(asked: &Asked) -> Result<Vec<Order>, Wrong> {
    let form = asked.form();
    let messages = form.iter().find(|(name, _)| name == "messages").ok_or(Wrong::missing("messages"))?;
    let messages: Vec<Value> = serde_json::from_str(&messages.1).map_err(|_| Wrong::value("messages"))?;
    if messages.is_empty() || messages.len() > REGIDS_MAX {
        return Err(Wrong::value("messages"));
    }
    let order = |one: &Value| {
        let target = one["target"].as_str().filter(|target| !target.is_empty()).ok_or(Wrong::regid())?;
        let fields = Fields::of_json(&one["message"])?;
        Ok(Order { regids: vec![target.to_owned()], fields })
    };
    messages.iter().map(order).collect()
}

fn new_id() -> String {
    format!("slm{}", uuid::Uuid::new_v4().simple())
}

fn accepted(data: &Value) -> Reply {
    let trace = new_id();
    let body = json!({"result": "ok", "trace_id": trace, "code": 0, "data": data, "description": "成功",
        "info": "Received push messages for 1 regid"});
    Reply::json(200, &body)
}

fn refused(code: u32, description: &str, reason: &str) -> Reply {
    let body = json!({"result": "error", "reason": reason, "trace_id": new_id(), "code": code,
        "description": description});
    Reply::json(200, &body)
}

impl From<Wrong> for Reply {
    fn from(wrong: Wrong) -> Self {
        refused(wrong.code, "参数错误", &wrong.why)
    }
}

#[cfg(test)]
mod tests;

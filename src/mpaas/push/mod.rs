//! The four pushes: each is parsed whole, then ordered from the core. What is refused sent nothing.
//!
//! ```text
//!  form ─▶ Shared (validity, look, options) + Words + Recipients ─▶ Order ─▶ now, or a schedule
//! ```

mod activity;
mod broadcast;
mod content;
mod options;
mod targets;
mod vendors;

use carillon_actors::engine::Outcome;
use carillon_actors::model::{App, PushType};
use carillon_actors::order::{Content, Order, Ordered, Recipient, Recipients};
use carillon_actors::store::Idempotency;
use carillon_actors::template::Values;
use carillon_sdk::wire::Lane;
use sha2::{Digest as _, Sha256};

use super::actions::Call;
use super::answer::{Done, Refused};
use super::fault::{Fault, Kind};
use super::form::plain;
use super::result::{Code, Failure};
use super::schedules;
pub(super) use activity::keep as keep_activity;
pub(super) use content::{action, default_url, style};
use targets::Delivery;

/// Longest name of a task, in bytes.
const NAME_BYTES_MAX: usize = 256;

/// When a queue that is full may have room again.
const QUEUE_FULL_MS: u64 = 1_000;

/// Kinds of target of one message; of a task; live activities, 5 and 6, are each told alone.
const ALONE: [i64; 6] = [1, 2, 3, 5, 6, 7];
const MANY: [i64; 4] = [1, 2, 3, 7];

pub(super) async fn simple(call: Call) -> Result<Done, Refused> {
    let delivery = targets::delivery(&call.form, &ALONE)?;
    activity::possible(&call, delivery)?;
    let recipients = targets::msg_keys(&call.form, delivery)?;
    let content = content::own(&call.form)?;
    let repeat = repeat_of_all(call.app, "simple", &recipients);
    let words = Words { template: None, content, values: Values::new() };
    let order = order(&call, PushType::Single, words, Recipients::Each(recipients), delivery)?;
    let order = activity::addressed(&call, order, delivery).await?;
    carry_out(call, order, repeat).await
}

pub(super) async fn template(call: Call) -> Result<Done, Refused> {
    let delivery = targets::delivery(&call.form, &ALONE)?;
    activity::possible(&call, delivery)?;
    let recipients = targets::msg_keys(&call.form, delivery)?;
    let (name, content) = content::of_template(&call)?;
    let values = content::values(&call.form)?;
    let repeat = repeat_of_all(call.app, "template", &recipients);
    let words = Words { template: Some(name), content, values };
    let order = order(&call, PushType::Template, words, Recipients::Each(recipients), delivery)?;
    let order = activity::addressed(&call, order, delivery).await?;
    carry_out(call, order, repeat).await
}

pub(super) async fn multiple(call: Call) -> Result<Done, Refused> {
    let delivery = targets::delivery(&call.form, &MANY)?;
    let (name, content) = content::of_template(&call)?;
    let extended = content::extended(&call.form)?;
    let recipients = targets::list(&call.form, delivery, &extended)?;
    let repeat = repeat_of_all(call.app, "multiple", &recipients);
    let words = Words { template: Some(name), content, values: Values::new() };
    let order = order(&call, PushType::Multiple, words, Recipients::Each(recipients), delivery)?;
    carry_out(call, order, repeat).await
}

pub(super) async fn broadcast(call: Call) -> Result<Done, Refused> {
    let audience = broadcast::audience(&call.form, call.state.engine.clock().now())?;
    let key = call.form.text("Msgkey").ok_or_else(|| Code::InvalidParam.because("Msgkey is missing"))?;
    let repeat = repeat(call.app, "broadcast", key.as_bytes());
    let (name, content) = content::of_template(&call)?;
    let values = content::values(&call.form)?;
    let words = Words { template: Some(name), content, values };
    let audience = Recipients::Audience(audience);
    let order = order(&call, PushType::Broadcast, words, audience, Delivery::Device)?;
    carry_out(call, order, repeat).await
}

/// What is said: a call's own, or a template's with values of the call.
struct Words {
    /// The template's name.
    template: Option<String>,
    content: Content,
    values: Values,
}

/// What all four have in common, checked; the order as a whole too, each recipient's words included.
fn order(
    call: &Call,
    push_type: PushType,
    words: Words,
    to: Recipients,
    delivery: Delivery,
) -> Result<Order, Failure> {
    let Words { template, mut content, values } = words;
    let (form, settings) = (&call.form, &call.state.mpaas);
    if !call.state.engine.settings(call.app).push_api.enabled {
        return Err(Code::ApiSwitchNotOpen.into());
    }
    let name = form.owned("TaskName");
    if name.is_none() && settings.task_name_required {
        return Err(Code::TaskNameNull.into());
    }
    if name.as_ref().is_some_and(|name| name.len() > NAME_BYTES_MAX) {
        return Err(Code::InvalidParam.because(format!("TaskName has at most {NAME_BYTES_MAX} bytes")));
    }
    let limits = call.state.engine.limits();
    let ttl = content::validity(form, settings.expired_seconds_max.min(limits.ttl_max))?;
    content::dress(&mut content, form)?;
    let extended = content::extended(form)?;
    if !extended.common.is_empty() {
        content.data = Some(content::data(&extended.common));
    }
    let (of_template, is_rich) = (content.options.as_deref(), content::is_rich(&content));
    content.options = Some(options::kept(form, &extended, of_template, is_rich, delivery)?);
    let order = Order {
        name,
        push_type,
        template,
        content,
        values,
        to,
        ttl,
        lane: Lane::Normal,
        collapse_key: None,
        keys_keep: settings.msg_key_keep,
    };
    order.check().map_err(|(at, missing)| lacking(&order, at, &missing.0))?;
    content::fits(&order, settings.payload_bytes_max.min(limits.payload_bytes_max))?;
    Ok(order)
}

fn lacking(order: &Order, at: usize, variable: &str) -> Failure {
    let detail = match &order.to {
        Recipients::Each(recipients) => {
            let target = recipients.get(at).map_or("", |recipient| recipient.to.as_str());
            format!("no value for #{variable}# of {target:?}")
        }
        Recipients::Audience(_) => format!("no value for #{variable}#"),
    };
    Code::TemplateKvNotEnough.because(detail)
}

/// Now, or at its time. `repeat` says which calls are the same one.
async fn carry_out(call: Call, order: Order, repeat: Idempotency) -> Result<Done, Refused> {
    if let Some(strategy) = schedules::strategy(&call)? {
        let text = call.form.text("StrategyContent").unwrap_or_default();
        let repeat = self::repeat(call.app, "schedule", &[repeat.key.as_slice(), text.as_bytes()].concat());
        return schedules::create(call, order, strategy, repeat.key).await;
    }
    // One who is named alone has a key by which the message is known; a task is known by the whole.
    let has_task = matches!(order.push_type, PushType::Multiple | PushType::Broadcast);
    let repeat = has_task.then_some(repeat);
    let ordered = call.state.engine.order(call.app, order, repeat, call.nonce).await?;
    answer(&ordered)
}

/// Success when one was accepted. `Data` is how the push is found again: its task, or its messages.
fn answer(ordered: &Ordered) -> Result<Done, Refused> {
    let all = || ordered.messages.iter().map(|(_, outcome)| *outcome);
    if all().any(|outcome| outcome == Outcome::Accepted) {
        let ids = || ordered.messages.iter().map(|(id, _)| id.to_string()).collect::<Vec<_>>().join(",");
        return Ok(Done::Text(ordered.task.map_or_else(ids, |task| task.to_string())));
    }
    if all().any(|outcome| outcome == Outcome::QueueFull) {
        let message = "As much waits for this target as may wait; nothing was sent.";
        return Err(Fault::throttling(Kind::Throttling, message, QUEUE_FULL_MS).into());
    }
    Err(Code::InvalidParam.because("no target is a registered device").into())
}

/// A call of the same words is the same call: its first answer is given again.
fn repeat(app: App, what: &str, key: &[u8]) -> Idempotency {
    let mut digest = Sha256::new();
    digest.update(format!("mpaas\0{what}\0"));
    digest.update(app.0.to_be_bytes());
    digest.update(key);
    let mut short = [0; 16];
    short.copy_from_slice(&digest.finalize()[..16]);
    Idempotency { key: short, body: [0; 32] }
}

/// The same targets under the same keys.
fn repeat_of_all(app: App, what: &str, recipients: &[Recipient]) -> Idempotency {
    let pair = |recipient: &Recipient| {
        format!("{}\0{}\0", recipient.to.as_str(), recipient.key.as_deref().unwrap_or_default())
    };
    let mut pairs: Vec<String> = recipients.iter().map(pair).collect();
    pairs.sort_unstable();
    repeat(app, what, pairs.concat().as_bytes())
}

/// The values of a JSON object, each as text.
fn texts(object: serde_json::Map<String, serde_json::Value>) -> Values {
    object.into_iter().map(|(name, value)| (name, plain(&value))).collect()
}

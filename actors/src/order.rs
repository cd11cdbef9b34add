//! An order: a push in all its words, for whomever, kept by schedules and carried out here. Each
//! recipient gets a message of its own, in its own words; an audience gets one message together.
//!
//! ```text
//!  edge, Scheduler ──Order──▶ task opened ─▶ rendered ─┬─ each ──────▶ queues of devices and users
//!                                                      └─ audience ──▶ the app's log
//! ```

use std::sync::Arc;

use carillon_sdk::wire::{Lane, Look};
use carillon_sdk::{DeviceId, MessageId, Timestamp, Ttl, UserId};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};

use crate::audience::Audience;
use crate::engine::{Outcome, Refusal, Shared};
use crate::model::{App, Device, Message, Owner, PushType, Task};
use crate::push::{Turn, namespace, outcome_of, remember, to_user, turn};
use crate::store::{Idempotency, Nonce, TaskInfo};
use crate::template::{self, Missing, Values};

/// What is said, placeholders and all.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Content {
    pub title: Option<String>,
    pub body: Option<String>,
    pub uri: Option<String>,
    /// A JSON object, as text; never rendered.
    pub data: Option<String>,
    pub look: Option<Look>,
    pub silent: bool,
    /// For phone makers' channels and other roads: a JSON object, as text.
    pub options: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// The task's name, for people.
    pub name: Option<String>,
    pub push_type: PushType,
    /// Of which template the content was taken, for people.
    pub template: Option<String>,
    pub content: Content,
    /// Common to all; a recipient's own go before.
    pub values: Values,
    pub to: Recipients,
    /// Never zero: an order is kept.
    pub ttl: Ttl,
    pub lane: Lane,
    pub collapse_key: Option<String>,
    /// How long a recipient's key is known again, where that is longer than the store's own time.
    pub keys_keep: Ttl,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Recipients {
    /// At most `targets_max`, one message each.
    Each(Vec<Recipient>),
    Audience(Audience),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recipient {
    pub to: Named,
    /// The caller's own name for the message: the same key for the same recipient is the same
    /// message, and by both it is found again.
    pub key: Option<String>,
    pub values: Values,
    /// In place of the content's.
    pub data: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Named {
    Device(DeviceId),
    User(UserId),
}

/// The answer to an order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ordered {
    /// For push types multiple and broadcast.
    pub task: Option<Task>,
    /// One a recipient, in their order; one for an audience.
    pub messages: Vec<(MessageId, Outcome)>,
    /// Recipients accepted, or devices in the audience.
    pub accepted: u32,
    /// True when an earlier request gave this answer.
    #[serde(skip)]
    pub replayed: bool,
}

impl Named {
    const fn kind(&self) -> &'static str {
        match self {
            Self::Device(_) => "device",
            Self::User(_) => "user",
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Device(id) => id.as_str(),
            Self::User(id) => id.as_str(),
        }
    }
}

impl Content {
    /// In the words for one recipient.
    pub fn render(&self, values: &[&Values]) -> Result<Self, Missing> {
        let text =
            |text: &Option<String>| text.as_ref().map(|text| template::render(text, values)).transpose();
        Ok(Self { title: text(&self.title)?, body: text(&self.body)?, uri: text(&self.uri)?, ..self.clone() })
    }
}

impl Order {
    /// The first recipient (by its place) and variable without a value.
    pub fn check(&self) -> Result<(), (usize, Missing)> {
        match &self.to {
            Recipients::Audience(_) => {
                self.content.render(&[&self.values]).map(drop).map_err(|missing| (0, missing))
            }
            Recipients::Each(recipients) => recipients.iter().enumerate().try_for_each(|(at, recipient)| {
                let rendered = self.content.render(&[&recipient.values, &self.values]);
                rendered.map(drop).map_err(|missing| (at, missing))
            }),
        }
    }

    fn has_task(&self) -> bool {
        matches!(self.push_type, PushType::Multiple | PushType::Broadcast)
    }
}

/// The id of the message that a recipient's key names.
#[must_use]
pub fn message_of_key(app: App, to: &Named, key: &str) -> MessageId {
    let name = format!("key\0{}\0{}\0{key}", to.kind(), to.as_str());
    MessageId::derived(&namespace(app), name.as_bytes())
}

/// Carries an order out. With an idempotency key a repeated one gets the first answer.
pub(crate) async fn order(
    shared: &Shared,
    app: App,
    order: Order,
    idempotency: Option<Idempotency>,
    nonce: Option<Nonce>,
) -> Result<Ordered, Refusal> {
    order_under(shared, app, order, None, idempotency, nonce).await
}

/// The same under a task that was opened before, so that a second try is not found and counted apart
/// from the first.
pub(crate) async fn order_under(
    shared: &Shared,
    app: App,
    order: Order,
    task: Option<Task>,
    idempotency: Option<Idempotency>,
    nonce: Option<Nonce>,
) -> Result<Ordered, Refusal> {
    shared.open(app)?;
    let Some(idempotency) = idempotency else {
        return carry_out(shared, app, order, task, None, nonce).await;
    };
    let guard = match turn::<Ordered>(shared, app, &idempotency)? {
        Turn::First(guard) => guard,
        Turn::Again(answer) => return Ok(Ordered { replayed: true, ..answer }),
    };
    let now = shared.clock.now();
    let until = (now + shared.limits.idempotency_keep).max(now + order.ttl).max(now + order.keys_keep);
    let to_audience = matches!(order.to, Recipients::Audience(_));
    let ordered = carry_out(shared, app, order, task, Some(&idempotency), nonce).await?;
    // An audience may be empty now, and is asked again for each device that comes.
    if ordered.accepted > 0 || to_audience {
        remember(shared, guard, &ordered, until).await?;
    }
    Ok(ordered)
}

/// Opens the task of an order, if its kind has one.
pub(crate) async fn open_task(
    shared: &Shared,
    app: App,
    order: &Order,
    nonce: &mut Option<Nonce>,
) -> Result<Option<Task>, Refusal> {
    if !order.has_task() {
        return Ok(None);
    }
    let info = TaskInfo {
        name: order.name.clone(),
        push_type: order.push_type,
        template: order.template.clone(),
        expires_at: shared.clock.now() + order.ttl,
    };
    Ok(Some(shared.store.open_task(app, info, nonce.take()).await?))
}

async fn carry_out(
    shared: &Shared,
    app: App,
    order: Order,
    task: Option<Task>,
    idempotency: Option<&Idempotency>,
    mut nonce: Option<Nonce>,
) -> Result<Ordered, Refusal> {
    let accepted_at = shared.clock.now();
    let task = match task {
        Some(task) => Some(task),
        None => open_task(shared, app, &order, &mut nonce).await?,
    };
    let draft = Draft { app, order: &order, task, accepted_at };
    match &order.to {
        Recipients::Each(recipients) => each(shared, &draft, recipients, idempotency, nonce).await,
        Recipients::Audience(audience) => {
            let id = idempotency.map_or_else(MessageId::fresh, |idempotency| {
                MessageId::derived(&namespace(app), &idempotency.key)
            });
            let message =
                draft.message(id, &[&order.values], None, None).map_err(|_| Refusal::ValueMissing)?;
            let targets = shared.store.broadcast(Arc::new(message), audience.clone(), nonce).await?;
            shared.counters.accepted(order.push_type, targets);
            let messages = vec![(id, Outcome::Accepted)];
            Ok(Ordered { task, messages, accepted: targets, replayed: false })
        }
    }
}

struct Draft<'a> {
    app: App,
    order: &'a Order,
    task: Option<Task>,
    accepted_at: Timestamp,
}

impl Draft<'_> {
    fn message(
        &self,
        id: MessageId,
        values: &[&Values],
        data: Option<&String>,
        key: Option<&String>,
    ) -> Result<Message, Missing> {
        let content = self.order.content.render(values)?;
        Ok(Message {
            id,
            app: self.app,
            push_type: self.order.push_type,
            title: content.title,
            body: content.body,
            data: data.cloned().or(content.data),
            lane: match self.order.to {
                Recipients::Audience(_) => Lane::Bulk,
                Recipients::Each(_) => self.order.lane,
            },
            silent: content.silent,
            collapse_key: self.order.collapse_key.clone(),
            accepted_at: self.accepted_at,
            expires_at: self.accepted_at + self.order.ttl,
            uri: content.uri,
            look: content.look,
            task: self.task,
            options: content.options,
            repeat_until: (!self.order.keys_keep.is_zero())
                .then_some(self.accepted_at + self.order.keys_keep),
            revokes: None,
            key: key.cloned(),
        })
    }
}

/// Every recipient its message: all at once, since they meet in the same commits.
async fn each(
    shared: &Shared,
    draft: &Draft<'_>,
    recipients: &[Recipient],
    idempotency: Option<&Idempotency>,
    mut nonce: Option<Nonce>,
) -> Result<Ordered, Refusal> {
    let (app, order) = (draft.app, draft.order);
    let mut sends = Vec::with_capacity(recipients.len());
    for (at, recipient) in recipients.iter().enumerate() {
        let id = match (&recipient.key, idempotency) {
            (Some(key), _) => message_of_key(app, &recipient.to, key),
            (None, Some(idempotency)) => {
                let mut name = idempotency.key.to_vec();
                name.extend_from_slice(&(at as u64).to_be_bytes());
                MessageId::derived(&namespace(app), &name)
            }
            (None, None) => MessageId::fresh(),
        };
        let message = draft
            .message(id, &[&recipient.values, &order.values], recipient.data.as_ref(), recipient.key.as_ref())
            .map_err(|_| Refusal::ValueMissing)?;
        let nonce = nonce.take();
        sends.push(async move {
            let enqueued = match &recipient.to {
                Named::Device(name) => {
                    let device = shared.store.device(app, name).unwrap_or(Device::unknown(app));
                    shared.store.enqueue(Arc::new(message), vec![Owner::Device(device)], nonce).await?
                }
                Named::User(name) => to_user(shared, Arc::new(message), name, nonce).await?,
            };
            let outcome = enqueued.first().map_or(Outcome::Gone, |enqueued| outcome_of(shared, *enqueued));
            Ok::<_, Refusal>((id, outcome))
        });
    }
    let sent = join_all(sends).await;
    // One that failed under way fails the whole: a retry completes it, harmlessly for the others.
    let messages = sent.into_iter().collect::<Result<Vec<_>, Refusal>>()?;
    let accepted = messages.iter().filter(|(_, outcome)| *outcome == Outcome::Accepted).count();
    let accepted = u32::try_from(accepted).unwrap_or(u32::MAX);
    if accepted > 0 {
        shared.counters.accepted(order.push_type, accepted);
    }
    Ok(Ordered { task: draft.task, messages, accepted, replayed: false })
}

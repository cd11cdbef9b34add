//! A push, from the parsed request to what became of each target.

use std::sync::Arc;

use carillon_sdk::wire::Lane;
use carillon_sdk::{MessageId, Timestamp, UserId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::audience::Audience;
use crate::encoded::Encoded;
use crate::engine::{Outcome, Push, Pushed, Refusal, Shared, To};
use crate::model::{App, Device, Due, Message, Owner, PushType, Seq};
use crate::router::Full;
use crate::shard::Online;
use crate::store::{self, Begun, Enqueued, Idempotency, IdempotencyGuard, Nonce};
use crate::user::UserPush;

/// How long a shard may take to hand an online-only push to live sockets.
const ONLINE_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);

/// What is remembered of an answer under its idempotency key.
#[derive(Serialize, Deserialize)]
struct Answer {
    id: MessageId,
    accepted: u32,
    outcomes: Vec<Outcome>,
}

impl From<store::Error> for Refusal {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Full => Self::Busy,
            store::Error::Unavailable => Self::Unavailable,
            store::Error::Unknown => Self::Unknown,
            store::Error::DiskFull => Self::DiskFull,
            store::Error::DeviceUnknown => Self::DeviceUnknown,
            store::Error::Exists => Self::BroadcastsFull,
        }
    }
}

/// Answers when every accepted target is on disk, and only then remembers the answer: a retry
/// after a failure under way runs every enqueue again, which the message's id makes harmless.
pub(crate) async fn push(shared: &Shared, push: Push) -> Result<Pushed, Refusal> {
    let Some(idempotency) = push.idempotency.clone() else {
        return deliver(shared, push, MessageId::fresh()).await;
    };
    let guard = match turn::<Answer>(shared, push.app, &idempotency)? {
        Turn::First(guard) => guard,
        Turn::Again(Answer { id, accepted, outcomes }) => {
            return Ok(Pushed { id, accepted, outcomes, replayed: true });
        }
    };
    let id = MessageId::derived(&namespace(push.app), &idempotency.key);
    let now = shared.clock.now();
    let until = (now + shared.limits.idempotency_keep).max(now + push.ttl);
    let all = matches!(push.to, To::All | To::Audience(_));
    let pushed = deliver(shared, push, id).await?;
    if pushed.accepted == 0 && !all {
        // Nothing happened: a retry is let in to try again, and not told for a day that a queue was full.
        return Ok(pushed);
    }
    let answer = Answer { id, accepted: pushed.accepted, outcomes: pushed.outcomes.clone() };
    remember(shared, guard, &answer, until).await?;
    Ok(pushed)
}

/// Whose turn it is under an idempotency key.
pub(crate) enum Turn<A> {
    First(IdempotencyGuard),
    /// An earlier one's answer.
    Again(A),
}

pub(crate) fn turn<A: DeserializeOwned>(
    shared: &Shared,
    app: App,
    idempotency: &Idempotency,
) -> Result<Turn<A>, Refusal> {
    match shared.store.idempotency_begin(app, idempotency) {
        Begun::New(guard) => Ok(Turn::First(guard)),
        Begun::Replay(answer) => {
            let answer = serde_json::from_slice(&answer).map_err(|error| {
                tracing::error!(%error, "an idempotent answer cannot be read");
                Refusal::Unavailable
            })?;
            shared.counters.replays.increment(1);
            Ok(Turn::Again(answer))
        }
        Begun::InFlight => Err(Refusal::IdempotencyInFlight),
        Begun::Mismatch => Err(Refusal::IdempotencyMismatch),
    }
}

/// Keeps the answer for whoever asks again.
pub(crate) async fn remember(
    shared: &Shared,
    guard: IdempotencyGuard,
    answer: &impl Serialize,
    until: Timestamp,
) -> Result<(), Refusal> {
    // An answer is numbers and a list: it always serializes.
    let answer = serde_json::to_vec(answer).unwrap_or_default();
    Ok(shared.store.idempotency_finish(guard, answer, until).await?)
}

pub(crate) fn namespace(app: App) -> [u8; 16] {
    let mut namespace = *b"carillon app....";
    namespace[12..].copy_from_slice(&app.0.to_be_bytes());
    namespace
}

async fn deliver(shared: &Shared, push: Push, id: MessageId) -> Result<Pushed, Refusal> {
    let Push { app, to, title, body, data, uri, look, options, ttl, lane, .. } = push;
    let (collapse_key, silent, nonce) = (push.collapse_key, push.silent, push.nonce);
    let single = if push.from_template { PushType::Template } else { PushType::Single };
    let accepted_at = shared.clock.now();
    let (push_type, lane) = match &to {
        To::All | To::Audience(_) => (PushType::Broadcast, Lane::Bulk),
        To::Devices(devices) if devices.len() > 1 => (PushType::Multiple, lane),
        To::Users(users) if users.len() > 1 => (PushType::Multiple, lane),
        To::Devices(_) | To::Users(_) => (single, lane),
    };
    let expires_at: Timestamp = accepted_at + ttl;
    let message = Arc::new(Message {
        id,
        app,
        push_type,
        title,
        body,
        data,
        lane,
        silent,
        collapse_key,
        accepted_at,
        expires_at,
        uri,
        look,
        task: None,
        options,
        repeat_until: None,
        revokes: None,
        key: None,
    });
    if let Some(nonce) = nonce.clone().filter(|_| ttl.is_zero()) {
        // Nothing is stored that it could ride with.
        shared.store.remember_nonce(app, nonce).await?;
    }
    let outcomes = match to {
        To::All | To::Audience(_) => {
            let audience = if let To::Audience(audience) = to { audience } else { Audience::Everybody };
            let targets = shared.store.broadcast(message, audience, nonce).await?;
            shared.counters.accepted(push_type, targets);
            return Ok(Pushed { id, accepted: targets, outcomes: Vec::new(), replayed: false });
        }
        To::Devices(devices) if ttl.is_zero() => online_devices(shared, &message, &devices).await?,
        To::Users(users) if ttl.is_zero() => online_users(shared, &message, &users).await?,
        To::Devices(devices) => {
            let targets = devices.into_iter().map(Owner::Device).collect();
            stored(shared, shared.store.enqueue(message, targets, nonce).await?)
        }
        To::Users(users) => stored(shared, to_users(shared, message, &users, nonce).await?),
    };
    let accepted = outcomes.iter().filter(|outcome| **outcome == Outcome::Accepted).count();
    let accepted = u32::try_from(accepted).unwrap_or(u32::MAX);
    if accepted > 0 {
        shared.counters.accepted(push_type, accepted);
    }
    Ok(Pushed { id, accepted, outcomes, replayed: false })
}

fn stored(shared: &Shared, enqueued: Vec<Enqueued>) -> Vec<Outcome> {
    enqueued.into_iter().map(|enqueued| outcome_of(shared, enqueued)).collect()
}

pub(crate) fn outcome_of(shared: &Shared, enqueued: Enqueued) -> Outcome {
    match enqueued {
        Enqueued::Stored(_) => Outcome::Accepted,
        Enqueued::Repeated => {
            shared.counters.repeated_targets.increment(1);
            Outcome::Accepted
        }
        Enqueued::QueueFull => Outcome::QueueFull,
        // Its task ended under its hands: there is nothing to send to.
        Enqueued::Gone | Enqueued::Revoked => Outcome::Gone,
    }
}

/// One user's push goes through the user's actor, which orders it against the user's binds.
async fn to_users(
    shared: &Shared,
    message: Arc<Message>,
    users: &[UserId],
    nonce: Option<Nonce>,
) -> Result<Vec<Enqueued>, Refusal> {
    let [user] = users else {
        let owner = |id| Owner::User(shared.store.user(message.app, id));
        let targets = users.iter().map(owner).collect();
        return Ok(shared.store.enqueue(message, targets, nonce).await?);
    };
    to_user(shared, message, user, nonce).await
}

pub(crate) async fn to_user(
    shared: &Shared,
    message: Arc<Message>,
    user: &UserId,
    nonce: Option<Nonce>,
) -> Result<Vec<Enqueued>, Refusal> {
    let user = shared.store.user(message.app, user);
    let (reply, answer) = oneshot::channel();
    if shared.router.tell(shared.router.of_user(user), UserPush { user, message, nonce, reply }).is_err() {
        shared.counters.pushes_refused.increment(1);
        return Err(Refusal::Busy);
    }
    // No answer: the actor died with it in hand.
    Ok(answer.await.map_err(|_| Refusal::Unknown)??)
}

async fn online_devices(
    shared: &Shared,
    message: &Message,
    devices: &[Device],
) -> Result<Vec<Outcome>, Refusal> {
    let due = Arc::new(Encoded::new(message, None, shared.next_online_seq(), None));
    let taken = hand_over(shared, &due, devices).await?;
    let answer = |(device, taken): (&Device, bool)| match outcome(taken) {
        Outcome::Offline if *device == Device::unknown(device.app) => Outcome::Gone,
        outcome => outcome,
    };
    Ok(devices.iter().zip(taken).map(answer).collect())
}

/// Every device the user is logged in on; accepted when any of them took it.
async fn online_users(shared: &Shared, message: &Message, users: &[UserId]) -> Result<Vec<Outcome>, Refusal> {
    let mut outcomes = Vec::with_capacity(users.len());
    for id in users {
        let Some(user) = shared.store.known_user(message.app, id) else {
            outcomes.push(Outcome::Offline);
            continue;
        };
        let seq: Seq = shared.next_online_seq();
        let due = Arc::new(Encoded::new(message, Some(Owner::User(user)), seq, Some(id)));
        let taken = hand_over(shared, &due, &shared.store.user_devices(user)).await?;
        outcomes.push(outcome(taken.contains(&true)));
    }
    Ok(outcomes)
}

const fn outcome(taken: bool) -> Outcome {
    if taken { Outcome::Accepted } else { Outcome::Offline }
}

/// Asks the shards of `devices`, all at once; answers in the order of `devices`.
async fn hand_over(shared: &Shared, due: &Due, devices: &[Device]) -> Result<Vec<bool>, Refusal> {
    let router = &shared.router;
    let mut asked = Vec::new();
    for shard in router.all() {
        let mine: Vec<usize> =
            (0..devices.len()).filter(|at| router.of_device(devices[*at]) == shard).collect();
        if mine.is_empty() {
            continue;
        }
        let (reply, answer) = oneshot::channel();
        let devices = mine.iter().map(|at| devices[*at]).collect();
        match router.tell(shard, Online { due: Arc::clone(due), devices, reply }) {
            Ok(()) => asked.push((mine, answer)),
            Err(Full(_)) if asked.is_empty() => {
                shared.counters.pushes_refused.increment(1);
                return Err(Refusal::Busy);
            }
            // Others have it already: here it counts as offline.
            Err(Full(_)) => shared.counters.pushes_refused.increment(1),
        }
    }
    let mut taken = vec![false; devices.len()];
    for (mine, answer) in asked {
        if let Ok(Ok(answers)) = tokio::time::timeout(ONLINE_TIMEOUT, answer).await {
            for (at, answer) in mine.into_iter().zip(answers) {
                taken[at] = answer;
            }
        }
    }
    Ok(taken)
}

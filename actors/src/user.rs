//! The one place where a user's binds and pushes are put in order.
//!
//! ```text
//!  engine ──UserPush, UserBind──▶ Shard ──▶ User ──▶ store
//! ```
//!
//! Pushes go to the store in the order in which they came, without waiting for one another. A bind
//! is waited for: a push that comes after it is written to the queue that this bind has joined.
//! Made on demand, ended when idle; it remembers nothing. A push that names many users does not
//! come here: it is one operation of the store's own, whose writer orders it against every bind.

use std::sync::Arc;

use actix::{Actor, Addr, AsyncContext, Context, Handler, Message, WrapFuture};
use tokio::sync::oneshot;

use crate::engine::{Crash, Shared};
use crate::model::{Device, Owner, User};
use crate::shard::Child;
use crate::store::{Enqueued, Error, Nonce};
use crate::supervise::Obituary;

/// Pushes and binds one user may have waiting here; beyond: 503.
const MAILBOX_MAX: usize = 1_024;

/// Sent by the engine through the user's shard. The reply comes when the push is on disk; a
/// dropped reply means that it may or may not have happened.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct UserPush {
    pub(crate) user: User,
    pub(crate) message: Arc<crate::model::Message>,
    pub(crate) nonce: Option<Nonce>,
    pub(crate) reply: oneshot::Sender<Result<Vec<Enqueued>, Error>>,
}

/// Sent by the engine through the user's shard: `device` is to be bound to `to`. `user` is `to`,
/// or when that is nobody the user who leaves. The reply is the user bound before.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct UserBind {
    pub(crate) user: User,
    pub(crate) device: Device,
    pub(crate) to: Option<User>,
    pub(crate) nonce: Option<Nonce>,
    pub(crate) reply: oneshot::Sender<Result<Option<User>, Error>>,
}

impl UserPush {
    /// The mailbox was full; nothing happened.
    pub(crate) fn refuse(self) {
        let _ = self.reply.send(Err(Error::Full));
    }
}

impl UserBind {
    /// The mailbox was full; nothing happened.
    pub(crate) fn refuse(self) {
        let _ = self.reply.send(Err(Error::Full));
    }
}

pub(crate) struct UserActor {
    shared: Arc<Shared>,
    _obituary: Obituary<Child>,
}

impl UserActor {
    pub(crate) fn start(shared: Arc<Shared>, obituary: Obituary<Child>) -> Addr<Self> {
        Self::create(|ctx| {
            ctx.set_mailbox_capacity(MAILBOX_MAX);
            Self { shared, _obituary: obituary }
        })
    }
}

impl Actor for UserActor {
    type Context = Context<Self>;
}

impl Handler<UserPush> for UserActor {
    type Result = ();

    fn handle(&mut self, push: UserPush, _: &mut Context<Self>) {
        let shared = Arc::clone(&self.shared);
        // Spawned on the arbiter, which begins its tasks in the order in which they came; futures
        // of one actor have no such order.
        actix_rt::spawn(async move {
            let outcome = shared.store.enqueue(push.message, vec![Owner::User(push.user)], push.nonce).await;
            // A caller who hung up asks again with its idempotency key.
            let _ = push.reply.send(outcome);
        });
    }
}

impl Handler<UserBind> for UserActor {
    type Result = ();

    fn handle(&mut self, bind: UserBind, ctx: &mut Context<Self>) {
        let shared = Arc::clone(&self.shared);
        let bound = async move {
            // Pushes that came before have been spawned: they begin first.
            tokio::task::yield_now().await;
            let outcome = shared.store.bind(bind.device, bind.to, bind.nonce).await;
            let _ = bind.reply.send(outcome);
        };
        ctx.wait(bound.into_actor(self));
    }
}

impl Handler<Crash> for UserActor {
    type Result = ();

    fn handle(&mut self, _: Crash, _: &mut Context<Self>) {
        panic!("a User was told to crash");
    }
}

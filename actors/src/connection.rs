//! One device connection: reads one socket.
//!
//! ```text
//!  socket ──frames──▶ Connection ──▶ Live (session) ──▶ store: acks, pages
//!  socket ◀──pushes── Live ◀── Shard: hints, broadcasts, sweep
//!                       Connection ──Died (on Drop)──▶ Shard
//! ```
//!
//! Thin on purpose: about 850 bytes. It has no buffer and no timer; it decides nothing.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{self, Poll};

use actix::{
    Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, StreamHandler,
    WrapFuture,
};
use carillon_sdk::wire::{BindAnswer, ErrorCode, Report};
use futures_util::Stream;

use crate::binding;
use crate::engine::{Crash, Engine};
use crate::framed::Batch;
use crate::live::Live;
use crate::session::Effect;
use crate::shard::Child;
use crate::supervise::Obituary;

/// A page wanted, and a burst of requests.
const MAILBOX_MAX: usize = 32;

/// Sent by `Live` for what a session decided and the store must do. No reply.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Perform(pub(crate) Effect);

/// Sent by `Live` when the socket refused bytes: polls the socket for room. No reply.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Flush;

/// Sent by `Live` when the connection is over. No reply; the obituary follows.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Leave;

pub(crate) struct Connection {
    live: Rc<Live>,
    _obituary: Obituary<Child>,
}

/// The frames of a socket, as they come.
struct Frames(Rc<Live>);

impl Stream for Frames {
    type Item = Batch;

    fn poll_next(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Option<Batch>> {
        self.0.poll(cx)
    }
}

impl Connection {
    pub(crate) fn start(live: Rc<Live>, obituary: Obituary<Child>) -> Addr<Self> {
        Self::create(|ctx| {
            ctx.set_mailbox_capacity(MAILBOX_MAX);
            Self::add_stream(Frames(Rc::clone(&live)), ctx);
            Self { live, _obituary: obituary }
        })
    }
}

impl Actor for Connection {
    type Context = Context<Self>;
}

impl StreamHandler<Batch> for Connection {
    fn handle(&mut self, batch: Batch, _: &mut Context<Self>) {
        self.live.received(batch);
    }

    fn finished(&mut self, ctx: &mut Context<Self>) {
        self.live.hung_up();
        ctx.stop();
    }
}

impl Handler<Perform> for Connection {
    type Result = ();

    fn handle(&mut self, Perform(effect): Perform, ctx: &mut Context<Self>) {
        match effect {
            Effect::Read { .. } => self.read(&effect, ctx),
            Effect::Bind { request, token } => self.bind(request, Some(token), ctx),
            Effect::Unbind { request } => self.bind(request, None, ctx),
            Effect::VendorToken { request, channel, token } => {
                self.vendor_token(request, channel, token, ctx);
            }
            Effect::Report(report) => self.report(&report, ctx),
            _ => unreachable!("Live performs everything else itself"),
        }
    }
}

impl Handler<Flush> for Connection {
    type Result = ();

    /// Nothing: after its mailbox an actor polls its stream, and that asks the socket for room.
    fn handle(&mut self, _: Flush, _: &mut Context<Self>) {}
}

impl Handler<Leave> for Connection {
    type Result = ();

    fn handle(&mut self, _: Leave, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}

impl Handler<Crash> for Connection {
    type Result = ();

    fn handle(&mut self, _: Crash, _: &mut Context<Self>) {
        panic!("a Connection was told to crash");
    }
}

impl Connection {
    fn engine(&self) -> Engine {
        Engine::of(&self.live.env().shared)
    }

    fn read(&self, read: &Effect, ctx: &mut Context<Self>) {
        let Effect::Read { turn, user, cursor, limit } = *read else { return };
        let (shared, device) = (Arc::clone(&self.live.env().shared), self.live.device);
        let page = async move { shared.store.page(device, user, cursor, limit).await };
        ctx.spawn(page.into_actor(self).map(move |page, this, _| this.live.page(turn, page.ok().as_ref())));
    }

    /// The device asks from outside: what waits here is a future of the engine's edge, and no
    /// mailbox waits with it.
    fn bind(&self, request: u32, token: Option<String>, ctx: &mut Context<Self>) {
        let (engine, device) = (self.engine(), self.live.device);
        let bound = async move {
            match token {
                Some(token) => binding::by_token(&engine, device, &token).await.map(Some),
                None => {
                    engine.bind_itself(device, None).await.map(|_| None).map_err(|_| ErrorCode::Unavailable)
                }
            }
        };
        ctx.spawn(bound.into_actor(self).map(move |bound, this, _| {
            let (error, user_id) = match bound {
                Ok(user_id) => (None, user_id),
                Err(code) => (Some(code), None),
            };
            this.live.answer(BindAnswer { request, error, user_id });
        }));
    }

    fn vendor_token(&self, request: u32, channel: String, token: String, ctx: &mut Context<Self>) {
        let (shared, device) = (Arc::clone(&self.live.env().shared), self.live.device);
        let taken = async move { binding::vendor_token(&shared.store, device, &channel, &token).await };
        ctx.spawn(taken.into_actor(self).map(move |taken, this, _| {
            this.live.answer(BindAnswer { request, error: taken.err(), user_id: None });
        }));
    }

    fn report(&self, report: &Report, ctx: &mut Context<Self>) {
        let (shared, device) = (Arc::clone(&self.live.env().shared), self.live.device);
        let (id, kind) = (report.message_id, report.kind);
        let known = async move { shared.store.report(device, id, kind).await };
        ctx.spawn(known.into_actor(self).map(|known, this, _| match known {
            Ok(true) => {}
            Ok(false) => this.live.error(ErrorCode::ReportUnknown),
            Err(_) => this.live.error(ErrorCode::Unavailable),
        }));
    }
}

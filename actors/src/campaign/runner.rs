//! One campaign that is not over: what it is told, and what it does next, one after the other.
//!
//! ```text
//!  Office ──Do──▶ Runner ──step, a slice at a time──▶ store
//!    ▲──Rested, Obituary──┘ ▲─ tokio timer
//! ```
//!
//! It remembers nothing but its pace: what it does next is read from the store each time, so one
//! made anew goes on where the store is.

use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, SpawnHandle, WrapFuture,
};
use carillon_sdk::Ttl;

use super::keep;
use super::office::{Do, Key, Office, Rested};
use super::orders;
use super::pace::{Bucket, Pace};
use super::step::{self, Next};
use crate::engine::{Crash, Shared};
use crate::root::Finish;
use crate::supervise::{Life, Obituary};

/// Requests one campaign may have waiting; beyond: 503.
const MAILBOX_MAX: usize = 64;

pub(super) struct Runner {
    shared: Arc<Shared>,
    key: Key,
    life: Life,
    office: Addr<Office>,
    bucket: Bucket,
    /// Its zero on tokio time.
    began: tokio::time::Instant,
    timer: Option<SpawnHandle>,
    /// Jobs it was given and has done.
    done: u64,
    _obituary: Obituary<Key>,
}

impl Runner {
    pub(super) fn start(
        shared: Arc<Shared>,
        key: Key,
        life: Life,
        office: Addr<Office>,
        obituary: Obituary<Key>,
    ) -> Addr<Self> {
        Self::create(|ctx| {
            ctx.set_mailbox_capacity(MAILBOX_MAX);
            let pace = keep::read(&shared.store, key.0, key.1)
                .map_or(Pace::default(), |kept| kept.campaign.spec.pace);
            let (bucket, began) = (Bucket::new(pace, 0), tokio::time::Instant::now());
            Self { shared, key, life, office, bucket, began, timer: None, done: 0, _obituary: obituary }
        })
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The next thing to do. Whatever it is told meanwhile waits for its end.
    fn step(&mut self, ctx: &mut Context<Self>) {
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        let allowed = self.bucket.allows(self.now_ms());
        let step = step::step(Arc::clone(&self.shared), self.key, allowed);
        ctx.wait(step.into_actor(self).map(|stepped, this, ctx| {
            this.bucket.took(stepped.released);
            match stepped.next {
                Next::Soon => this.after(this.bucket.wait(this.now_ms()).unwrap_or(Ttl::ZERO), ctx),
                Next::After(span) => this.after(span, ctx),
                Next::Rest => this.rest(ctx),
            }
        }));
    }

    fn after(&mut self, span: Ttl, ctx: &mut Context<Self>) {
        let span = Duration::from_millis(span.as_millis());
        self.timer = Some(ctx.run_later(span, |this, ctx| {
            this.timer = None;
            this.step(ctx);
        }));
    }

    /// Nothing is left to do. An office too busy to hear it is told again.
    fn rest(&mut self, ctx: &mut Context<Self>) {
        self.shared.board.rests(self.key);
        if !self.office.connected() {
            ctx.stop();
        } else if self.office.try_send(Rested { key: self.key, life: self.life, done: self.done }).is_err() {
            self.after(Ttl::from_secs(1), ctx);
        }
    }
}

impl Actor for Runner {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.step(ctx);
    }
}

impl Handler<Do> for Runner {
    type Result = ();

    fn handle(&mut self, job: Do, ctx: &mut Context<Self>) {
        let Do { key, what, by, reply } = job;
        let done = orders::carry_out(Arc::clone(&self.shared), key, what, by);
        ctx.wait(done.into_actor(self).map(move |outcome, this, ctx| {
            // A caller who hung up asks again: every order may be repeated.
            let _ = reply.send(outcome);
            this.done += 1;
            this.step(ctx);
        }));
    }
}

impl Handler<Crash> for Runner {
    type Result = ();

    fn handle(&mut self, _: Crash, _: &mut Context<Self>) {
        panic!("a campaign's Runner was told to crash");
    }
}

impl Handler<Finish> for Runner {
    type Result = ();

    fn handle(&mut self, _: Finish, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}

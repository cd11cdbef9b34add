//! The campaigns' supervisor: a runner for each that is not over, and the way to it.
//!
//! ```text
//!  edge ──Do──▶ Office ──Do──▶ Runner × campaign
//!    Root ◀─Obituary─┘ ▲──Rested, Mourn──┘
//! ```
//!
//! Invariants: one runner a campaign, through which each change of it goes. A runner that panicked
//! is made anew from the store; one that does so again and again is not, and its campaign has
//! failed: it may not take the others' supervisor down. Limits: the mailbox, and deaths a minute,
//! beyond which the office ends itself.

use std::sync::Arc;

use actix::dev::SendError;
use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, Message};
use ahash::AHashMap;
use tokio::sync::oneshot;

use super::desk::{By, Error};
use super::keep;
use super::record::{Campaign, Command};
use super::runner::Runner;
use crate::counters::Counters;
use crate::engine::{Crash, Kind, Refusal, Shared};
use crate::model::{App, Task};
use crate::root::{Finish, RootChild};
use crate::supervise::{Budget, Children, Death, Life, Mourn, Notices, Obituary};

/// Requests about campaigns that may wait here; beyond: 503.
const MAILBOX_MAX: usize = 1_024;

/// Deaths of one campaign's runner within a minute; beyond, the campaign has failed.
const DEATHS_OF_ONE_MAX: u32 = 5;

/// A campaign.
pub(crate) type Key = (App, Task);

/// What is to be done with a campaign.
#[derive(Debug, Clone)]
pub(crate) enum What {
    /// By the hash of a plan.
    Apply(String),
    Tell(Command),
    /// It cannot go on, for this reason.
    Fail(&'static str),
}

/// Sent by the engine, and by the office to the campaign's runner. The reply comes when it is on
/// disk; a dropped reply means that it may or may not have happened.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Do {
    pub(crate) key: Key,
    pub(crate) what: What,
    pub(crate) by: By,
    pub(crate) reply: oneshot::Sender<Result<Campaign, Error>>,
}

impl Do {
    /// A mailbox was full; nothing happened.
    pub(super) fn refuse(self) {
        // Whoever asked may have gone.
        let _ = self.reply.send(Err(Refusal::Busy.into()));
    }
}

/// Sent by a runner that has nothing to do any more, when it had done so many jobs. No reply: unless
/// it was given more meanwhile, it is told to finish.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Rested {
    pub(super) key: Key,
    pub(super) life: Life,
    pub(super) done: u64,
}

/// A runner, and how many jobs it was given.
struct Employed {
    address: Addr<Runner>,
    given: u64,
}

pub(crate) struct Office {
    shared: Arc<Shared>,
    notices: Arc<Notices<Key>>,
    runners: Children<Key, Employed>,
    budget: Budget,
    /// Of runners that died.
    budgets: AHashMap<Key, Budget>,
    finished: bool,
    _obituary: Obituary<RootChild>,
}

impl Office {
    pub(crate) fn start(shared: Arc<Shared>, obituary: Obituary<RootChild>) -> Addr<Self> {
        Self::create(|ctx| {
            ctx.set_mailbox_capacity(MAILBOX_MAX);
            Self {
                notices: Notices::new(ctx.address().recipient()),
                runners: Children::new(),
                budget: Budget::new(shared.limits.deaths_per_minute_max),
                budgets: AHashMap::new(),
                finished: false,
                shared,
                _obituary: obituary,
            }
        })
    }

    fn runner(&mut self, key: Key, ctx: &Context<Self>) -> &mut Employed {
        if self.runners.get_mut(&key).is_none() {
            let life = self.runners.next_life();
            let obituary = Obituary::new(key, life, Arc::clone(&self.notices));
            let address = Runner::start(Arc::clone(&self.shared), key, life, ctx.address(), obituary);
            self.runners.insert(key, Employed { address, given: 0 }, life);
        }
        // Made just above, where there was none.
        self.runners.get_mut(&key).expect("the runner is there")
    }

    /// Makes the runner anew, or lets its campaign fail when it has died too often.
    fn succeed(&mut self, key: Key, ctx: &Context<Self>) {
        let now_ms = self.shared.clock.monotonic_ms();
        let budget = self.budgets.entry(key).or_insert_with(|| Budget::new(DEATHS_OF_ONE_MAX));
        let bearable = budget.bear(now_ms);
        let runner = self.runner(key, ctx);
        if !bearable {
            let (reply, _) = oneshot::channel();
            let what = What::Fail("its runner panicked again and again");
            let fail = Do { key, what, by: By::server(), reply };
            // It was made just now, and its mailbox is empty.
            let _ = runner.give(fail).is_ok();
        }
    }
}

impl Actor for Office {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        for (app, task, campaign) in keep::all(&self.shared.store) {
            if campaign.is_live() {
                self.runner((app, task), ctx);
            }
        }
    }
}

impl Drop for Office {
    /// A runner has timers, so it would live on, beside the one that the next office makes.
    fn drop(&mut self) {
        for runner in self.runners.values() {
            // One too busy to hear it finds that its office is gone.
            let _ = runner.address.try_send(Finish).is_ok();
        }
    }
}

impl Employed {
    /// Gives it a job, or the job back when it has too many.
    #[expect(clippy::result_large_err, reason = "the job is given back whole, and moved either way")]
    fn give(&mut self, job: Do) -> Result<(), Do> {
        self.address.try_send(job).map_err(SendError::into_inner)?;
        self.given += 1;
        Ok(())
    }
}

impl Handler<Do> for Office {
    type Result = ();

    fn handle(&mut self, job: Do, ctx: &mut Context<Self>) {
        if self.finished || keep::read(&self.shared.store, job.key.0, job.key.1).is_none() {
            let refusal = if self.finished { Refusal::Unavailable.into() } else { Error::Unknown };
            // Whoever asked may have gone.
            let _ = job.reply.send(Err(refusal));
            return;
        }
        if let Err(job) = self.runner(job.key, ctx).give(job) {
            job.refuse();
        }
    }
}

impl Handler<Rested> for Office {
    type Result = ();

    fn handle(&mut self, Rested { key, life, done }: Rested, _: &mut Context<Self>) {
        let Some(runner) = self.runners.bury(&key, life) else { return };
        // One with a job in its mailbox rests again when that is done.
        if runner.given != done || runner.address.try_send(Finish).is_err() {
            self.runners.insert(key, runner, life);
        }
    }
}

impl Handler<Mourn> for Office {
    type Result = ();

    fn handle(&mut self, _: Mourn, ctx: &mut Context<Self>) {
        for Death { key, life, panicked } in self.notices.take() {
            if self.runners.bury(&key, life).is_none() || self.finished {
                continue;
            }
            if !self.budget.bear(self.shared.clock.monotonic_ms()) {
                tracing::error!("too many deaths of campaigns in a minute; their office is made anew");
                ctx.stop();
                return;
            }
            tracing::error!(app = key.0.0, task = %key.1, panicked, "a campaign's runner died");
            Counters::restarted(Kind::Campaign);
            self.succeed(key, ctx);
        }
    }
}

impl Handler<Crash> for Office {
    type Result = ();

    fn handle(&mut self, _: Crash, _: &mut Context<Self>) {
        panic!("the campaigns' Office was told to crash");
    }
}

/// Sent by Root: one runner is to panic. No reply.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct CrashRunner;

impl Handler<CrashRunner> for Office {
    type Result = ();

    fn handle(&mut self, _: CrashRunner, _: &mut Context<Self>) {
        if let Some(runner) = self.runners.values().next() {
            // One too busy to hear this is not crashed: the caller sees that it lives.
            let _ = runner.address.try_send(Crash).is_ok();
        }
    }
}

impl Handler<Finish> for Office {
    type Result = ();

    fn handle(&mut self, _: Finish, ctx: &mut Context<Self>) {
        self.finished = true;
        ctx.stop();
    }
}

//! Broadcasts, written to the sockets of an app in slices, so that single pushes overtake.
//!
//! A round goes over an app's devices from the end of the registry's list. Each visit writes
//! whatever the log has for that device, so several broadcasts in a row make one write.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{self, Poll};
use std::time::Duration;

use actix::fut::ActorFuture;
use actix::{AsyncContext, Context};

use super::Shard;
use crate::model::App;

/// A slice takes no longer than this, looked at every `LOOK_EVERY` devices.
const SLICE: Duration = Duration::from_millis(1);
const LOOK_EVERY: usize = 16;

/// Devices in one slice, however fast.
const SLICE_DEVICES_MAX: usize = 1_024;

/// Apps with rounds under way take slices in turns.
#[derive(Default)]
pub(super) struct Fanout {
    rounds: VecDeque<Round>,
    running: bool,
}

struct Round {
    app: App,
    /// Devices from here on were visited.
    from: usize,
    /// The log grew since this round began: another follows.
    again: bool,
}

impl Shard {
    pub(super) fn fan_out(&mut self, app: App, ctx: &mut Context<Self>) {
        match self.fanout.rounds.iter_mut().find(|round| round.app == app) {
            Some(round) => round.again = true,
            None => self.fanout.rounds.push_back(Round { app, from: usize::MAX, again: false }),
        }
        if !std::mem::replace(&mut self.fanout.running, true) {
            ctx.spawn(Slices);
        }
    }

    /// Writes one slice; true when there is more.
    fn slice(&mut self) -> bool {
        let clock = &self.env.shared.clock;
        let began = clock.elapsed();
        let Some(mut round) = self.fanout.rounds.pop_front() else { return false };
        let log = self.env.shared.store.log(round.app);
        for visited in 1..=SLICE_DEVICES_MAX {
            round.from = round.from.min(self.env.registry.borrow().len_of(round.app));
            if round.from == 0 {
                if !round.again {
                    return !self.fanout.rounds.is_empty();
                }
                round = Round { app: round.app, from: usize::MAX, again: false };
                break;
            }
            round.from -= 1;
            let live = self.env.registry.borrow().at(round.app, round.from);
            if let Some(live) = live {
                live.broadcast(&log);
            }
            if visited % LOOK_EVERY == 0 && clock.elapsed().saturating_sub(began) >= SLICE {
                break;
            }
        }
        self.fanout.rounds.push_back(round);
        true
    }
}

/// One slice each time the shard is polled, after its mailbox.
struct Slices;

impl ActorFuture<Shard> for Slices {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        shard: &mut Shard,
        _: &mut Context<Shard>,
        task: &mut task::Context<'_>,
    ) -> Poll<()> {
        if shard.slice() {
            task.waker().wake_by_ref();
            return Poll::Pending;
        }
        shard.fanout.running = false;
        Poll::Ready(())
    }
}

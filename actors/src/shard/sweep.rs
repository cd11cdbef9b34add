//! What a shard does by the clock, for all its devices: no connection has a timer of its own.

use actix::Context;
use carillon_sdk::Ttl;
use carillon_sdk::wire::GoodbyeReason;
use tokio::sync::oneshot;

use super::Shard;

/// A tenth of the devices each time, so every device about once a second.
pub(super) const SWEEP_EVERY_MS: u64 = 100;
const PARTS: u64 = 10;

/// Each device is compared with the store in one round of so many: it heals what a hint lost
/// otherwise than by a full mailbox, and nothing is known to lose one so.
const COMPARE_EVERY: u64 = 4;

/// A user's actor ends after being idle so long.
const USER_IDLE_MS: u64 = 60_000;

/// Goodbyes spread over a window, while the server stops.
pub(super) struct Draining {
    until_ms: u64,
    window: Ttl,
    reply: Option<oneshot::Sender<()>>,
}

impl Draining {
    pub(super) const fn new(window: Ttl, now_ms: u64, reply: oneshot::Sender<()>) -> Self {
        Self { until_ms: now_ms + window.as_millis(), window, reply: Some(reply) }
    }

    /// How many of `left` are to go now, so that the last goes as the window closes.
    fn share(&self, left: usize, now_ms: u64) -> usize {
        let sweeps_left = self.until_ms.saturating_sub(now_ms) / SWEEP_EVERY_MS;
        left.div_ceil(usize::try_from(sweeps_left).unwrap_or(usize::MAX).max(1))
    }
}

impl Shard {
    pub(super) fn sweep(&mut self, _: &mut Context<Self>) {
        self.doubt_lost();
        let (round, part) = (self.sweeps / PARTS, self.sweeps % PARTS);
        self.sweeps += 1;
        let now = self.env.now();
        let apps = self.env.registry.borrow().apps();
        for app in apps {
            let log = self.env.shared.store.log(app);
            let lives = self.env.registry.borrow().part(app, part as usize, PARTS as usize);
            for live in lives {
                live.tick(now);
                if live.lacks(log.head) {
                    live.broadcast(&log);
                }
                if (round + u64::from(live.place.get())) % COMPARE_EVERY == 0 && live.missed() {
                    live.doubt();
                }
            }
        }
        let now_ms = now.mono_ms;
        let ended: Vec<_> = self.env.registry.borrow_mut().ending().iter().map(std::rc::Rc::clone).collect();
        for live in ended {
            live.expire(now_ms);
        }
        self.users.retain(|_, user| now_ms.saturating_sub(user.used_ms) < USER_IDLE_MS);
        self.drain_some(now_ms);
    }

    /// Sessions whose hints found the mailbox full read what they missed.
    pub(super) fn doubt_lost(&self) {
        for device in self.env.shared.router.take_lost(self.env.shard) {
            if let Some(live) = self.live(device) {
                live.start_over();
            }
        }
    }

    fn drain_some(&mut self, now_ms: u64) {
        let Some(draining) = &mut self.draining else { return };
        let left = self.env.registry.borrow().len();
        let going = self.env.registry.borrow().some(draining.share(left, now_ms));
        for live in going {
            // Devices come back over another window as long: full jitter.
            live.end(GoodbyeReason::Draining, self.env.shared.jitter(draining.window));
        }
        if self.env.registry.borrow().len() == 0
            && let Some(reply) = draining.reply.take()
        {
            // The engine may have stopped waiting.
            let _ = reply.send(());
        }
    }
}

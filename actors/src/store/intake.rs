//! What waits for a partition's writer: a bounded queue an app, taken in turns, so that one app's
//! flood costs another its share of a commit and no more.
//!
//! ```text
//!  app A ─▶ ▮▮▮▮▮▮▮▮ ─┐
//!  app B ─▶ ▮         ─┼─ in turns ─▶ take: at most `commit_ops_max` ─▶ the writer
//!  follow-ups ─▶ ▮    ─┘  (first)
//! ```
//!
//! Lazy operations (acks, notes) wait a moment for company; anything else is taken at once.

use std::collections::VecDeque;
use std::time::Duration;

use ahash::AHashMap;
use parking_lot::{Condvar, Mutex};

use super::Error;
use crate::model::App;

pub(super) struct Intake<T> {
    inner: Mutex<Inner<T>>,
    wake: Condvar,
    limits: IntakeLimits,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct IntakeLimits {
    /// Weight that one app may have waiting.
    pub app_max: usize,
    /// Weight of one take.
    pub take_max: usize,
    /// How long lazy operations wait for company.
    pub lazy_wait: Duration,
}

/// How much of a commit an operation is, and whether it may wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weight {
    pub ops: usize,
    pub lazy: bool,
}

struct Inner<T> {
    apps: AHashMap<App, Queue<T>>,
    /// The apps with something waiting.
    turns: VecDeque<App>,
    /// Follow-ups of operations already taken, which bound their number.
    follow_ups: VecDeque<T>,
    waiting: usize,
    urgent: usize,
    closed: bool,
    /// Nobody takes any more: what enters is dropped, which tells whoever waits for it.
    ended: bool,
}

struct Queue<T> {
    ops: VecDeque<(T, Weight)>,
    /// Of what is in `ops` and of what was reserved.
    weight: usize,
}

/// A place held for an operation that must enter several intakes or none.
#[derive(Debug)]
#[must_use]
pub(super) struct Reserved {
    app: App,
    weight: Weight,
}

pub(super) struct Taken<T> {
    pub ops: Vec<T>,
    /// Closed, and nothing is left.
    pub over: bool,
}

impl<T> Intake<T> {
    #[must_use]
    pub(super) fn new(limits: IntakeLimits) -> Self {
        let inner = Inner {
            apps: AHashMap::new(),
            turns: VecDeque::new(),
            follow_ups: VecDeque::new(),
            waiting: 0,
            urgent: 0,
            closed: false,
            ended: false,
        };
        Self { inner: Mutex::new(inner), wake: Condvar::new(), limits }
    }

    pub(super) fn push(&self, app: App, weight: Weight, op: T) -> Result<(), Error> {
        let reserved = self.reserve(app, weight)?;
        self.fill(reserved, op);
        Ok(())
    }

    /// For who bounds by himself what he asks: an app whose share is full waits its turn, and is not
    /// refused.
    pub(super) fn admit(&self, app: App, weight: Weight, op: T) -> Result<(), Error> {
        let reserved = self.enter(app, weight, usize::MAX)?;
        self.fill(reserved, op);
        Ok(())
    }

    /// An operation heavier than an app's whole share still enters an empty queue.
    pub(super) fn reserve(&self, app: App, weight: Weight) -> Result<Reserved, Error> {
        self.enter(app, weight, self.limits.app_max)
    }

    fn enter(&self, app: App, weight: Weight, app_max: usize) -> Result<Reserved, Error> {
        let mut inner = self.inner.lock();
        if inner.closed {
            return Err(Error::Unavailable);
        }
        let queue = inner.apps.entry(app).or_insert_with(|| Queue { ops: VecDeque::new(), weight: 0 });
        if queue.weight > 0 && queue.weight + weight.ops > app_max {
            metrics::counter!("carillon_store_errors_total", "op" => "intake", "reason" => "full")
                .increment(1);
            return Err(Error::Full);
        }
        queue.weight += weight.ops;
        Ok(Reserved { app, weight })
    }

    pub(super) fn release(&self, Reserved { app, weight }: Reserved) {
        if let Some(queue) = self.inner.lock().apps.get_mut(&app) {
            queue.weight -= weight.ops;
        }
    }

    pub(super) fn fill(&self, Reserved { app, weight }: Reserved, op: T) {
        let mut inner = self.inner.lock();
        let inner = &mut *inner;
        if inner.ended {
            return;
        }
        let Some(queue) = inner.apps.get_mut(&app) else { return };
        if queue.ops.is_empty() {
            inner.turns.push_back(app);
        }
        queue.ops.push_back((op, weight));
        let before = inner.waiting;
        inner.waiting += weight.ops;
        inner.urgent += usize::from(!weight.lazy);
        // The writer sleeps for ever only when nothing waits; with lazy company it looks by itself.
        if !weight.lazy || before == 0 || inner.waiting >= self.limits.take_max {
            self.wake.notify_one();
        }
    }

    /// For what an operation already taken causes in another partition.
    pub(super) fn follow_up(&self, op: T) {
        let mut inner = self.inner.lock();
        if inner.ended {
            return;
        }
        inner.follow_ups.push_back(op);
        inner.urgent += 1;
        self.wake.notify_one();
    }

    /// Waits for something to do. `owing`: the writer has removals to write by itself, soon.
    pub(super) fn take(&self, owing: bool) -> Taken<T> {
        let mut inner = self.inner.lock();
        while !inner.closed && inner.urgent == 0 && inner.waiting < self.limits.take_max {
            if inner.waiting == 0 && !owing {
                self.wake.wait(&mut inner);
            } else if self.wake.wait_for(&mut inner, self.limits.lazy_wait).timed_out() {
                break;
            }
        }
        let ops = inner.take(self.limits.take_max);
        let over = inner.closed && ops.is_empty();
        Taken { ops, over }
    }

    /// Nothing enters any more; what is in is still taken.
    pub(super) fn close(&self) {
        self.inner.lock().closed = true;
        self.wake.notify_all();
    }

    /// Closes and forgets what waits: nobody will take it.
    pub(super) fn abandon(&self) {
        let mut inner = self.inner.lock();
        inner.closed = true;
        inner.ended = true;
        inner.urgent = 0;
        inner.waiting = 0;
        inner.turns.clear();
        let forgotten = (std::mem::take(&mut inner.apps), std::mem::take(&mut inner.follow_ups));
        drop(inner);
        drop(forgotten);
        self.wake.notify_all();
    }

    #[must_use]
    pub(super) fn waiting(&self) -> usize {
        self.inner.lock().waiting
    }
}

impl<T> Inner<T> {
    fn take(&mut self, max: usize) -> Vec<T> {
        let mut ops = Vec::new();
        let mut weight = 0;
        while let Some(op) = self.follow_ups.pop_front() {
            self.urgent -= 1;
            ops.push(op);
        }
        while weight < max {
            let Some(app) = self.turns.pop_front() else { break };
            let Some(queue) = self.apps.get_mut(&app) else { continue };
            let Some((op, of)) = queue.ops.pop_front() else { continue };
            queue.weight -= of.ops;
            self.waiting -= of.ops;
            self.urgent -= usize::from(!of.lazy);
            weight += of.ops;
            ops.push(op);
            if !queue.ops.is_empty() {
                self.turns.push_back(app);
            }
        }
        ops
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Weight = Weight { ops: 1, lazy: false };

    fn intake(app_max: usize) -> Intake<(u32, usize)> {
        Intake::new(IntakeLimits { app_max, take_max: 500, lazy_wait: Duration::from_millis(1) })
    }

    #[test]
    fn one_apps_flood_does_not_keep_another_out_of_the_next_commit() {
        let intake = intake(8_192);
        for n in 0..5_000 {
            intake.push(App(1), ONE, (1, n)).unwrap();
        }
        intake.push(App(2), ONE, (2, 0)).unwrap();
        let taken = intake.take(false).ops;
        assert_eq!(taken.len(), 500);
        assert!(taken[..2].contains(&(2, 0)), "the small app's turn is in the first round");
    }

    #[test]
    fn an_apps_operations_keep_their_order() {
        let intake = intake(8_192);
        for n in 0..100 {
            intake.push(App(n % 3), ONE, (n, n as usize)).unwrap();
        }
        let taken = intake.take(false).ops;
        for app in 0..3 {
            assert!(taken.iter().filter(|(from, _)| from % 3 == app).is_sorted_by_key(|(_, n)| n));
        }
    }

    #[test]
    fn a_full_queue_refuses_its_own_app_and_no_other() {
        let intake = intake(2);
        intake.push(App(1), ONE, (0, 0)).unwrap();
        let held = intake.reserve(App(1), ONE).unwrap();
        assert_eq!(intake.push(App(1), ONE, (0, 1)), Err(Error::Full));
        assert_eq!(intake.push(App(2), ONE, (0, 2)), Ok(()));
        intake.release(held);
        assert_eq!(intake.push(App(1), ONE, (0, 3)), Ok(()));
    }

    #[test]
    fn what_enters_an_intake_nobody_takes_from_is_dropped_and_so_answered() {
        let intake = Intake::new(IntakeLimits { app_max: 2, take_max: 2, lazy_wait: Duration::ZERO });
        let (waits, answer) = std::sync::mpsc::channel::<()>();
        let held = intake.reserve(App(1), ONE).unwrap();
        intake.abandon();
        intake.fill(held, waits.clone());
        intake.follow_up(waits);
        assert!(answer.recv().is_err());
    }

    #[test]
    fn a_closed_intake_gives_what_it_has_and_takes_no_more() {
        let intake = intake(2);
        intake.push(App(1), ONE, (0, 0)).unwrap();
        intake.close();
        assert_eq!(intake.push(App(1), ONE, (0, 1)), Err(Error::Unavailable));
        let taken = intake.take(false);
        assert_eq!((taken.ops.len(), taken.over), (1, false));
        assert!(intake.take(false).over);
    }
}

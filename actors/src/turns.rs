//! Binds of one device, one after another, in the order in which they came.
//!
//! Two binds of a device may go through two users' actors, of which one may first have to name its
//! user on disk. Without turns the older could be applied last: the user of a session long ended
//! would take the place of who has logged in since.

use std::sync::Arc;

use ahash::AHashMap;
use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;

use crate::model::Device;

type Queue = Arc<tokio::sync::Mutex<()>>;

/// Holds devices that are being bound right now, and no others.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<AHashMap<Device, Queue>>);

/// One bind's turn; the next one's begins when it is dropped.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    turns: &'a Turns,
    device: Device,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Turns {
    /// Waits for all who asked before. A place in the queue is taken at the first poll.
    pub(crate) async fn take(&self, device: Device) -> Turn<'_> {
        let queue = Arc::clone(self.0.lock().entry(device).or_default());
        Turn { turns: self, device, guard: Some(queue.lock_owned().await) }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.guard = None;
        let mut queues = self.turns.0.lock();
        // Whoever waits holds the queue as well; queues are only taken under this lock.
        if queues.get(&self.device).is_some_and(|queue| Arc::strong_count(queue) == 1) {
            queues.remove(&self.device);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::App;
    use futures_util::FutureExt;

    #[test]
    fn binds_of_one_device_take_turns_and_leave_nothing_behind() {
        let turns = Turns::default();
        let (one, other) = (Device { app: App(1), ordinal: 1 }, Device { app: App(1), ordinal: 2 });
        let first = turns.take(one).now_or_never().unwrap();
        let mut second = Box::pin(turns.take(one));
        assert!(second.as_mut().now_or_never().is_none(), "it waits for the first");
        drop(turns.take(other).now_or_never().expect("another device waits for nobody"));
        drop(first);
        drop(second.now_or_never().expect("its turn has come"));
        assert!(turns.0.lock().is_empty());
    }
}

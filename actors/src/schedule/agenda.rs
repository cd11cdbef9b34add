//! Which schedule is to be looked at when. Only a hint: what is looked at is read from the store, so
//! an entry too many costs a look, and all of them are made anew at start.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use carillon_sdk::Timestamp;
use parking_lot::Mutex;

use super::object::{Id, parts};
use crate::model::App;
use crate::store::{Kind, Store};

/// At most one entry for each change of a schedule since the start.
#[derive(Default)]
pub(crate) struct Agenda(Mutex<BinaryHeap<Reverse<(Timestamp, App, Id)>>>);

impl Agenda {
    /// Everything that is in the store, instead of what is here.
    pub(crate) fn refill(&self, store: &Store) {
        let entry = |(app, id, stored): (App, String, crate::store::Stored)| {
            let id: Id = id.parse().ok()?;
            let (head, _) = parts(&stored.bytes).ok()?;
            Some(Reverse((head.next()?, app, id)))
        };
        *self.0.lock() = store.objects_of_all(Kind::Schedule).into_iter().filter_map(entry).collect();
    }

    pub(crate) fn add(&self, at: Timestamp, app: App, id: Id) {
        self.0.lock().push(Reverse((at, app, id)));
    }

    /// Takes the first entry, if it is due.
    pub(crate) fn take(&self, now: Timestamp) -> Option<(App, Id)> {
        let mut heap = self.0.lock();
        let Reverse((at, app, id)) = heap.peek().copied()?;
        if at > now {
            return None;
        }
        heap.pop();
        Some((app, id))
    }
}

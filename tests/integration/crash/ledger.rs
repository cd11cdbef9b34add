//! What the clients know: every answer they got, and every push they saw.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard};

use carillon_sdk::MessageId;
use carillon_sdk::wire::{Lane, Push};

/// To whom a push was sent.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum To {
    Device(String),
    User(String),
    All,
}

/// A push that was answered with 202.
#[derive(Debug, Clone)]
pub(crate) struct Accepted {
    pub(crate) id: MessageId,
    pub(crate) to: Vec<To>,
    pub(crate) may_expire: bool,
}

/// A push as a device first saw it.
#[derive(Debug, Clone)]
struct Sighting {
    id: MessageId,
    acked: bool,
}

#[derive(Debug, Default)]
struct Books {
    /// By title, which no two pushes share.
    accepted: BTreeMap<String, Accepted>,
    /// Every title and the one id it has been seen or answered with.
    ids: HashMap<String, MessageId>,
    /// Device and title.
    sightings: HashMap<(String, String), Sighting>,
    /// The last number a device first saw of each sender, lane and queue.
    last: HashMap<(String, u64, Lane, Option<String>), u64>,
    repeats: u64,
    unknown: u64,
    refused: u64,
}

/// Shared by all clients of one test.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<Books>);

/// A title tells who sent it and as what number: `sender.number`.
pub(crate) fn title(sender: u64, number: u64) -> String {
    format!("{sender}.{number}")
}

impl Ledger {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap()
    }

    /// A 202 came. Whatever came before under this title must have had this id.
    pub(crate) fn accepted(&self, title: &str, accepted: Accepted) {
        let mut books = self.books();
        books.one_id(title, accepted.id);
        books.accepted.insert(title.to_owned(), accepted);
    }

    /// No answer came, and none will be asked for: it may or may not have happened.
    pub(crate) fn unknown(&self) {
        self.books().unknown += 1;
    }

    pub(crate) fn refused(&self) {
        self.books().refused += 1;
    }

    /// A push came; answers whether for the first time.
    pub(crate) fn saw(&self, device: &str, push: &Push) -> bool {
        let title = push.title.clone().unwrap();
        let mut books = self.books();
        books.one_id(&title, push.message_id);
        let key = (device.to_owned(), title.clone());
        if books.sightings.contains_key(&key) {
            books.repeats += 1;
            return false;
        }
        books.sightings.insert(key, Sighting { id: push.message_id, acked: false });
        books.in_order(device, &title, push);
        true
    }

    pub(crate) fn acks(&self, device: &str, push: &Push) {
        let key = (device.to_owned(), push.title.clone().unwrap());
        self.books().sightings.get_mut(&key).unwrap().acked = true;
    }

    pub(crate) fn has_acked(&self, device: &str, title: &str) -> bool {
        let key = (device.to_owned(), title.to_owned());
        self.books().sightings.get(&key).is_some_and(|sighting| sighting.acked)
    }

    pub(crate) fn all_accepted(&self) -> BTreeMap<String, Accepted> {
        self.books().accepted.clone()
    }

    /// Every message that is known to exist: answered, or seen.
    pub(crate) fn all_ids(&self) -> HashSet<MessageId> {
        let books = self.books();
        books
            .accepted
            .values()
            .map(|accepted| accepted.id)
            .chain(books.sightings.values().map(|seen| seen.id))
            .collect()
    }

    pub(crate) fn summary(&self) -> String {
        let books = self.books();
        format!(
            "{} accepted, {} refused, {} without an answer, {} first sightings, {} repeats",
            books.accepted.len(),
            books.refused,
            books.unknown,
            books.sightings.len(),
            books.repeats
        )
    }
}

impl Books {
    fn one_id(&mut self, title: &str, id: MessageId) {
        let known = *self.ids.entry(title.to_owned()).or_insert(id);
        assert_eq!(known, id, "push {title} has two ids");
    }

    /// One sender's requests do not overlap, so its numbers are in order of acceptance; a device
    /// must first see those of one queue and lane in that order.
    fn in_order(&mut self, device: &str, title: &str, push: &Push) {
        let (sender, number) = title.split_once('.').unwrap();
        let (sender, number): (u64, u64) = (sender.parse().unwrap(), number.parse().unwrap());
        let queue = push.user_id.as_ref().map(ToString::to_string);
        let last = self.last.entry((device.to_owned(), sender, push.lane, queue)).or_insert(0);
        assert!(*last <= number, "{device} saw {title} after number {last} of the same sender, {push:?}");
        *last = number;
    }
}

//! The keys of a partition's tree: a kind byte, then big-endian numbers. ARCHITECTURE.md has the
//! table.

use carillon_sdk::wire::Lane;
use carillon_sdk::{KeyId, MessageId, Timestamp, Vendor};
use smallvec::SmallVec;

use super::errands::ErrandKey;
use super::log::Mark;
use crate::model::{App, Device, Owner, Seq, Task, User};

/// Most keys fit without an allocation.
pub(super) type Key = SmallVec<[u8; 24]>;

pub(super) const APP: u8 = b'A';
pub(super) const AUDIT: u8 = b'a';
pub(super) const SETTLED: u8 = b'B';
pub(super) const ANSWER: u8 = b'I';
pub(super) const KEY: u8 = b'K';
pub(super) const BROADCAST: u8 = b'L';
pub(super) const NONCE: u8 = b'N';
pub(super) const OBJECT: u8 = b'O';
pub(super) const TASK: u8 = b'T';
pub(super) const ERRAND: u8 = b'E';
pub(super) const DEVICE: u8 = b'V';
pub(super) const USER: u8 = b'W';
pub(super) const MARKS: u8 = b'b';
pub(super) const CURSOR: u8 = b'c';
pub(super) const TOKENS: u8 = b'k';
pub(super) const DEVICE_PENDING: u8 = b'd';
pub(super) const REPEAT: u8 = b'm';
pub(super) const SEQ: u8 = b'q';
pub(super) const COMMIT: u8 = b'n';
pub(super) const REVOKED: u8 = b't';
pub(super) const USER_PENDING: u8 = b'u';
pub(super) const LAYOUT: u8 = b'v';
pub(super) const MESSAGE: u8 = b'x';

fn key(kind: u8, parts: &[&[u8]]) -> Key {
    let mut key = Key::new();
    key.push(kind);
    for part in parts {
        key.extend_from_slice(part);
    }
    key
}

/// A row there is one of.
#[must_use]
pub(super) fn single(kind: u8) -> Key {
    key(kind, &[])
}

/// Every key of a kind, from (inclusive) to (exclusive).
#[must_use]
pub(super) fn of_kind(kind: u8) -> (Key, Key) {
    (single(kind), single(kind + 1))
}

#[must_use]
pub(super) fn app(app: App) -> Key {
    key(APP, &[&app.0.to_be_bytes()])
}

#[must_use]
pub(super) fn api_key(id: &KeyId) -> Key {
    key(KEY, &[id.as_str().as_bytes()])
}

#[must_use]
pub(super) fn device(device: Device) -> Key {
    key(DEVICE, &[&device.app.0.to_be_bytes(), &device.ordinal.to_be_bytes()])
}

#[must_use]
pub(super) fn parse_device(key: &[u8]) -> Option<Device> {
    let [app, ordinal] = numbers(key)?;
    Some(Device { app: App(app), ordinal })
}

/// Kinds of row under [`TOKENS`]: the tokens there are, and what was done to them.
const HELD: u8 = 1;
const LEDGER: u8 = 2;

/// A device's token of a vendor.
#[must_use]
pub(super) fn token(device: Device, vendor: Vendor) -> Key {
    key(TOKENS, &[&[HELD], &device.app.0.to_be_bytes(), &device.ordinal.to_be_bytes(), &[vendor as u8]])
}

/// Every token of every device, from (inclusive) to (exclusive).
#[must_use]
pub(super) fn all_tokens() -> (Key, Key) {
    (key(TOKENS, &[&[HELD]]), key(TOKENS, &[&[HELD + 1]]))
}

#[must_use]
pub(super) fn parse_token(key: &[u8]) -> Option<(Device, Vendor)> {
    let (app, rest) = key.get(2..)?.split_first_chunk::<4>()?;
    let (ordinal, vendor) = rest.split_first_chunk::<4>()?;
    let device = Device { app: App(u32::from_be_bytes(*app)), ordinal: u32::from_be_bytes(*ordinal) };
    Some((device, Vendor::from_code(*vendor.first()?)?))
}

/// What was done to a device's tokens, in order.
#[must_use]
pub(super) fn ledger(device: Device, seq: Seq) -> Key {
    let (app, ordinal) = (device.app.0.to_be_bytes(), device.ordinal.to_be_bytes());
    key(TOKENS, &[&[LEDGER], &app, &ordinal, &seq.0.to_be_bytes()])
}

/// All of it.
#[must_use]
pub(super) fn whole_ledger(device: Device) -> (Key, Key) {
    (ledger(device, Seq(0)), ledger(device, Seq(u64::MAX)))
}

#[must_use]
pub(super) fn user(user: User) -> Key {
    key(USER, &[&user.app.0.to_be_bytes(), &user.ordinal.to_be_bytes()])
}

#[must_use]
pub(super) fn parse_user(key: &[u8]) -> Option<User> {
    let [app, ordinal] = numbers(key)?;
    Some(User { app: App(app), ordinal })
}

fn numbers(key: &[u8]) -> Option<[u32; 2]> {
    let (app, ordinal) = key.get(1..)?.split_first_chunk::<4>()?;
    Some([u32::from_be_bytes(*app), u32::from_be_bytes(*ordinal.first_chunk()?)])
}

#[must_use]
pub(super) fn message(expires_at: Timestamp, seq: Seq) -> Key {
    key(MESSAGE, &[&expires_at.as_millis().to_be_bytes(), &seq.0.to_be_bytes()])
}

#[must_use]
pub(super) fn parse_message(key: &[u8]) -> Option<(Timestamp, Seq)> {
    let (expires_at, seq) = key.get(1..)?.split_first_chunk::<8>()?;
    let seq = u64::from_be_bytes(*seq.first_chunk()?);
    Some((Timestamp::from_millis(u64::from_be_bytes(*expires_at)), Seq(seq)))
}

/// The lanes of a queue, in the order of their keys. Bulk is a log's, never a queue's.
pub(super) const LANES: [Lane; 2] = [Lane::High, Lane::Normal];

const fn lane_byte(lane: Lane) -> u8 {
    match lane {
        Lane::High => 0,
        Lane::Normal => 1,
        Lane::Bulk => 2,
    }
}

#[must_use]
pub(super) fn pending(owner: Owner, lane: Lane, seq: Seq) -> Key {
    place(owner, lane_byte(lane), seq.0)
}

fn place(owner: Owner, lane: u8, seq: u64) -> Key {
    let (kind, app, ordinal) = match owner {
        Owner::Device(device) => (DEVICE_PENDING, device.app, device.ordinal),
        Owner::User(user) => (USER_PENDING, user.app, user.ordinal),
    };
    key(kind, &[&app.0.to_be_bytes(), &ordinal.to_be_bytes(), &[lane], &seq.to_be_bytes()])
}

/// The places of one lane after `after`, from (inclusive) to (exclusive).
#[must_use]
pub(super) fn pending_after(owner: Owner, lane: Lane, after: Seq) -> (Key, Key) {
    let lane = lane_byte(lane);
    (place(owner, lane, after.0.saturating_add(1)), place(owner, lane + 1, 0))
}

/// Every place of a queue.
#[must_use]
pub(super) fn pending_all(owner: Owner) -> (Key, Key) {
    (place(owner, 0, 0), place(owner, u8::MAX, 0))
}

#[must_use]
pub(super) fn parse_pending(key: &[u8]) -> Option<(Owner, Lane, Seq)> {
    let [app, ordinal] = numbers(key)?;
    let (&lane, seq) = key.get(9..)?.split_first()?;
    let lane = LANES.into_iter().find(|&known| lane_byte(known) == lane)?;
    let seq = Seq(u64::from_be_bytes(*seq.first_chunk()?));
    let app = App(app);
    match *key.first()? {
        DEVICE_PENDING => Some((Owner::Device(Device { app, ordinal }), lane, seq)),
        USER_PENDING => Some((Owner::User(User { app, ordinal }), lane, seq)),
        _ => None,
    }
}

/// What a vendor is to carry: by channel, the urgent first, then by when it is due.
#[must_use]
pub(super) fn errand(app: App, errand: &ErrandKey) -> Key {
    let (kind, ordinal) = match errand.owner {
        Owner::Device(device) => (0, device.ordinal),
        Owner::User(user) => (1, user.ordinal),
    };
    let lane = u8::from(!errand.is_urgent);
    key(
        ERRAND,
        &[
            &app.0.to_be_bytes(),
            &[errand.vendor as u8, lane],
            &errand.due.as_millis().to_be_bytes(),
            &errand.seq.0.to_be_bytes(),
            &[kind],
            &ordinal.to_be_bytes(),
            &errand.device.to_be_bytes(),
        ],
    )
}

/// Those of one lane of a channel that are due from then on.
#[must_use]
pub(super) fn errands(app: App, vendor: Vendor, is_urgent: bool, from: Timestamp) -> (Key, Key) {
    let lane = u8::from(!is_urgent);
    let from = from.as_millis().to_be_bytes();
    let first = key(ERRAND, &[&app.0.to_be_bytes(), &[vendor as u8, lane], &from]);
    (first, key(ERRAND, &[&app.0.to_be_bytes(), &[vendor as u8, lane + 1]]))
}

/// What stands behind all keys that begin so; the last byte is no 255.
#[must_use]
pub(super) fn after(prefix: &Key) -> Key {
    let mut after = prefix.clone();
    if let Some(last) = after.last_mut() {
        *last += 1;
    }
    after
}

#[must_use]
pub(super) fn parse_errand(key: &[u8]) -> Option<ErrandKey> {
    let (app, rest) = key.get(1..)?.split_first_chunk::<4>()?;
    let (&[vendor, lane], rest) = rest.split_first_chunk::<2>()?;
    let (due, rest) = rest.split_first_chunk::<8>()?;
    let (seq, rest) = rest.split_first_chunk::<8>()?;
    let (&kind, rest) = rest.split_first()?;
    let (ordinal, rest) = rest.split_first_chunk::<4>()?;
    let (app, ordinal) = (App(u32::from_be_bytes(*app)), u32::from_be_bytes(*ordinal));
    Some(ErrandKey {
        vendor: Vendor::from_code(vendor)?,
        is_urgent: lane == 0,
        due: Timestamp::from_millis(u64::from_be_bytes(*due)),
        seq: Seq(u64::from_be_bytes(*seq)),
        owner: match kind {
            0 => Owner::Device(Device { app, ordinal }),
            _ => Owner::User(User { app, ordinal }),
        },
        device: u32::from_be_bytes(*rest.first_chunk()?),
    })
}

#[must_use]
pub(super) fn repeat(id: MessageId) -> Key {
    key(REPEAT, &[id.as_bytes()])
}

#[must_use]
pub(super) fn broadcast(app: App, seq: Seq) -> Key {
    key(BROADCAST, &[&app.0.to_be_bytes(), &seq.0.to_be_bytes()])
}

/// A chunk of one of an entry's bitmaps.
#[must_use]
pub(super) fn chunk(app: App, seq: Seq, mark: Mark, chunk: u16) -> Key {
    let (app, seq) = (app.0.to_be_bytes(), seq.0.to_be_bytes());
    match mark {
        Mark::Settled => key(SETTLED, &[&app, &seq, &chunk.to_be_bytes()]),
        _ => key(MARKS, &[&app, &seq, &[mark as u8], &chunk.to_be_bytes()]),
    }
}

/// Of which entry's bitmap a chunk is, and of which.
#[must_use]
pub(super) fn parse_chunk(key: &[u8]) -> Option<(App, Seq, Mark)> {
    let (app, seq) = parse_broadcast(key)?;
    let mark = if *key.first()? == SETTLED { Mark::Settled } else { Mark::from_code(*key.get(13)?)? };
    Some((app, seq, mark))
}

/// Of a broadcast's row, or of one of its chunks.
#[must_use]
pub(super) fn parse_broadcast(key: &[u8]) -> Option<(App, Seq)> {
    let (app, seq) = key.get(1..)?.split_first_chunk::<4>()?;
    Some((App(u32::from_be_bytes(*app)), Seq(u64::from_be_bytes(*seq.first_chunk()?))))
}

#[must_use]
pub(super) fn answer(app: App, hash: &[u8; 16]) -> Key {
    key(ANSWER, &[&app.0.to_be_bytes(), hash])
}

#[must_use]
pub(super) fn parse_answer(key: &[u8]) -> Option<(App, [u8; 16])> {
    let (app, hash) = key.get(1..)?.split_first_chunk::<4>()?;
    Some((App(u32::from_be_bytes(*app)), *hash.first_chunk()?))
}

/// An object of an app, by kind and id.
#[must_use]
pub(super) fn object(app: App, kind: u8, id: &str) -> Key {
    key(OBJECT, &[&app.0.to_be_bytes(), &[kind], id.as_bytes()])
}

#[must_use]
pub(super) fn parse_object(key: &[u8]) -> Option<(App, u8, &str)> {
    let (app, rest) = key.get(1..)?.split_first_chunk::<4>()?;
    let (&kind, id) = rest.split_first()?;
    Some((App(u32::from_be_bytes(*app)), kind, std::str::from_utf8(id).ok()?))
}

/// What was done to an app's objects, in order.
#[must_use]
pub(super) fn audit(app: App, seq: Seq) -> Key {
    key(AUDIT, &[&app.0.to_be_bytes(), &seq.0.to_be_bytes()])
}

#[must_use]
pub(super) fn task(app: App, task: Task) -> Key {
    key(TASK, &[&app.0.to_be_bytes(), &task.0.to_be_bytes()])
}

/// A task that was revoked.
#[must_use]
pub(super) fn revoked(app: App, task: Task) -> Key {
    key(REVOKED, &[&app.0.to_be_bytes(), &task.0.to_be_bytes()])
}

#[must_use]
pub(super) fn parse_revoked(key: &[u8]) -> Option<(App, Task)> {
    let (app, task) = key.get(1..)?.split_first_chunk::<4>()?;
    Some((App(u32::from_be_bytes(*app)), Task(u64::from_be_bytes(*task.first_chunk()?))))
}

#[must_use]
pub(super) fn parse_task(key: &[u8]) -> Option<(App, Task)> {
    let (app, task) = key.get(1..)?.split_first_chunk::<4>()?;
    Some((App(u32::from_be_bytes(*app)), Task(u64::from_be_bytes(*task.first_chunk()?))))
}

#[must_use]
pub(super) fn nonce(bucket: u64, hash: &[u8; 16]) -> Key {
    key(NONCE, &[&bucket.to_be_bytes(), hash])
}

#[must_use]
pub(super) fn parse_nonce(key: &[u8]) -> Option<(u64, [u8; 16])> {
    let (bucket, hash) = key.get(1..)?.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*bucket), *hash.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_a_queue_reads_back_and_sorts_by_lane_then_seq() {
        let owner = Owner::User(User { app: App(7), ordinal: 9 });
        let places = [(Lane::High, 3), (Lane::High, 300), (Lane::Normal, 2)];
        let keys: Vec<_> = places.iter().map(|&(lane, seq)| pending(owner, lane, Seq(seq))).collect();
        assert!(keys.is_sorted());
        for (key, (lane, seq)) in keys.iter().zip(places) {
            assert_eq!(parse_pending(key), Some((owner, lane, Seq(seq))));
        }
        let (from, to) = pending_after(owner, Lane::High, Seq(3));
        let within: Vec<_> = keys.iter().map(|key| *key >= from && *key < to).collect();
        assert_eq!(within, [false, true, false]);
    }

    #[test]
    fn messages_sort_by_expiry() {
        let early = message(Timestamp::from_millis(5), Seq(9));
        let late = message(Timestamp::from_millis(600), Seq(1));
        assert!(early < late);
        assert_eq!(parse_message(&late), Some((Timestamp::from_millis(600), Seq(1))));
    }
}

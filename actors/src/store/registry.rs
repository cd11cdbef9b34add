//! A partition's share of the directory: devices, bindings, answers. What is decided
//! shows in memory at once and is answered when it is on disk; should the commit fail, the store
//! is read-only and its memory with it.

use super::credential::first_generation;
use super::nonces::bucket_of;
use super::partition::Partition;
use super::rows::{AnswerRow, encode};
use super::work::{Later, Op, Reply, Work, Write};
use super::{Error, Nonce, TagChange, Tagged, keys};
use crate::model::{App, Device, Owner, User};

impl Partition {
    pub(super) fn note_nonce(work: &mut Work, nonce: Option<Nonce>) {
        if let Some(nonce) = nonce {
            work.batch.put(keys::nonce(bucket_of(nonce.at), &nonce.hash), Vec::new());
        }
    }

    pub(super) fn registry(&self, write: Write, work: &mut Work) {
        match write {
            Write::Register { device, body, claim, nonce, reply } => {
                Self::note_nonce(work, nonce);
                let people = self.people(device.app);
                let first = claim.then(first_generation);
                let registered =
                    people.and_then(|people| people.register(device.ordinal, &body, work.now, first));
                if let Some((row, _)) = &registered {
                    work.batch.put(keys::device(device), encode(&Some(row)));
                }
                work.answer(reply, registered);
            }
            Write::Answer { app, idempotency, answer, until, reply } => {
                for gone in self.shared.answers.make_room(app, self.shared.limits.idempotency_max) {
                    metrics::counter!("carillon_idempotency_evicted_total").increment(1);
                    work.batch.delete(keys::answer(app, &gone));
                }
                let row = AnswerRow { body: idempotency.body, until, answer: answer.clone() };
                work.batch.put(keys::answer(app, &idempotency.key), encode(&row));
                let answers = std::sync::Arc::clone(&self.shared.answers);
                work.answers.push(Box::new(move |committed| {
                    if committed.is_ok() {
                        answers.give(app, &idempotency, answer, until);
                    }
                    // Whoever asked may have gone.
                    let _ = reply.send(committed);
                }));
            }
            other => self.people_registry(other, work),
        }
    }

    fn people_registry(&self, write: Write, work: &mut Work) {
        match write {
            Write::NameUser { user, reply } => {
                if let Some(row) = self.people(user.app).and_then(|people| people.to_name(user.ordinal)) {
                    work.batch.put(keys::user(user), encode(&row));
                }
                work.answer(reply, ());
            }
            Write::Bind { device, user, nonce, reply } => {
                Self::note_nonce(work, nonce);
                self.bind(device, user, reply, work);
            }
            Write::Tag { app, members, change, nonce, reply } => {
                Self::note_nonce(work, nonce);
                self.tag(app, &members, &change, reply, work);
            }
            // The rest is not the registry's.
            other => other.refuse(Error::Unavailable),
        }
    }

    /// Those whose tags change get a new row, in this commit.
    fn tag(
        &self,
        app: App,
        members: &[Owner],
        change: &TagChange,
        reply: Reply<Vec<Tagged>>,
        work: &mut Work,
    ) {
        let Some(people) = self.people(app) else {
            return work.answer(reply, vec![Tagged::Gone; members.len()]);
        };
        let mut outcomes = Vec::with_capacity(members.len());
        for &member in members {
            let row = match member {
                Owner::Device(device) => people
                    .tag_device(device.ordinal, change)
                    .map(|row| row.map(|row| (keys::device(device), encode(&Some(row))))),
                Owner::User(user) => people
                    .tag_user(user.ordinal, change)
                    .map(|row| row.map(|row| (keys::user(user), encode(&row)))),
            };
            outcomes.push(match row {
                Ok(changed) => {
                    if let Some((key, value)) = changed {
                        work.batch.put(key, value);
                    }
                    Tagged::Done
                }
                Err(why) => why,
            });
        }
        work.answer(reply, outcomes);
    }

    fn refuse<T>(reply: Reply<T>, error: Error) {
        // Whoever asked may have gone.
        let _ = reply.send(Err(error));
    }

    /// The device's end is on disk before its messages are rejected: found half done at a start,
    /// the rest is done then.
    pub(super) fn delete(&self, device: Device, reply: Reply<()>, work: &mut Work) {
        let Some(people) = self.people(device.app) else { return Self::refuse(reply, Error::DeviceUnknown) };
        let group = people.group(device.ordinal);
        let (Some(group), Some(user)) = (group, people.delete(device.ordinal)) else {
            return Self::refuse(reply, Error::DeviceUnknown);
        };
        self.shared.sessions.forget(device);
        self.shared.ports[self.no].seen.lock().remove(&device);
        work.batch.put(keys::device(device), encode(&None::<super::rows::DeviceRow>));
        work.later.push(Later::Forget { device, group: group.clone() });
        if let Some(user) = user {
            let unlist = Later::Unlist { device, user, group: group.clone() };
            work.follow_ups.push((self.shared.partition_of_user(user), Op::Later(unlist)));
        }
        let unlog = Op::Later(Later::Unlog { device, group });
        work.follow_ups.push((self.shared.partition_of_app(device.app), unlog));
        work.answer(reply, ());
    }

    /// Answered by the user's partition, once what nobody acked is the device's too.
    fn bind(&self, device: Device, user: Option<User>, reply: Reply<Option<User>>, work: &mut Work) {
        let bound = self.people(device.app).and_then(|people| people.bind(device.ordinal, user, work.now));
        let Some((row, before)) = bound else { return Self::refuse(reply, Error::DeviceUnknown) };
        work.batch.put(keys::device(device), encode(&Some(row)));
        match user {
            Some(user) => {
                let list = Write::List { device, user, before, reply };
                work.follow_ups.push((self.shared.partition_of_user(user), Op::Write(list)));
            }
            None => work.answer(reply, before),
        }
    }
}
